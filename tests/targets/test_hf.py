"""A local language model as a target: how answers are read, what is declared, and every way in which it can fail."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_lms import tiny_model, tiny_tokenizer

from audit.edits import TextEdit
from audit.errors import ConfigError, TargetError
from audit.target import CountsTokens, Described, GivesLogprobs, Input, Insight, Recommender, Renders
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.prompts import Template
from audit.types import Catalog, Event, Item, Request, Turn, User

FILMS = [
    Item(str(i), title)
    for i, title in enumerate(["Alien (1979)", "Heat (1995)", "Up (2009)", "Toy Story (1995)", "House of Yes (1997)"])
]
PLAIN = Template.plain(
    "{{instruction}}\nLiked: {{#liked|; }}{{title}}{{/liked}}\nMovie: {{#candidate}}{{title}}{{/candidate}}\nAnswer:"
)


def ask(task="score", candidates=FILMS[1:], **fields) -> Request:
    user = User("u", (Event(FILMS[0], rating=5),))
    instruction = fields.pop("instruction", "the movies a user liked")
    return Request(user, task=task, instruction=instruction, candidates=tuple(candidates), **fields)


@pytest.fixture
def target(tiny_lm) -> HFTarget:
    return HFTarget(tiny_lm, catalog=Catalog(FILMS), templates={"score": PLAIN}, max_new_tokens=12, name="tiny")


def test_it_declares_what_its_templates_read(target):
    assert isinstance(target, Recommender)
    assert isinstance(target, Described)
    assert isinstance(target, Renders)
    assert isinstance(target, CountsTokens)
    assert isinstance(target, GivesLogprobs)
    assert {Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT, Input.NOTE} <= target.info.honours
    assert Input.IMAGES not in target.info.honours
    assert target.info.reveals == {Insight.SCORES, Insight.LOGPROBS, Insight.GRADIENTS}
    narrow = HFTarget(target.lm, tasks=("score",), templates={"score": PLAIN})
    assert narrow.info.honours == {Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT}


def test_score_is_the_softmax_of_the_two_first_tokens_behind_the_prompt(target):
    request = ask()
    answer = target.recommend([request])[0]
    yes, no = (ids[0] for ids in target.lm.encode([" Yes", " No"]))
    for i, entry in enumerate(answer.ranked):
        text = PLAIN.render(request, candidate=i).text
        with torch.inference_mode():
            logits = target.lm.model(torch.tensor(target.lm.encode([text]))).logits[0, -1].double()
        assert entry.item_id == request.candidates[i].id
        assert entry.score == pytest.approx(float(torch.softmax(logits[[yes, no]], 0)[0]), abs=1e-5)


def test_a_title_with_the_answer_in_it_shifts_nothing(target):
    both = target.recommend([ask(candidates=[FILMS[4], FILMS[1]])])[0]
    alone = target.recommend([ask(candidates=[FILMS[1]])])[0]
    assert both.ranked[1].score == pytest.approx(alone.ranked[0].score, abs=1e-6)


def test_scores_do_not_depend_on_the_batch(target):
    requests = [ask(instruction="word " * n, candidates=FILMS[: 1 + n % 5]) for n in range(16)]
    together = target.recommend(requests)
    for request, answer in zip(requests, together, strict=True):
        assert answer.scores == target.recommend([request])[0].scores


def test_score_ranking_sorts_the_scores_whatever_the_order_of_the_candidates(tiny_lm):
    target = HFTarget(tiny_lm, tasks=("rank", "score"), rank_mode="score", templates={"rank": PLAIN, "score": PLAIN})
    scores = dict(zip([c.id for c in FILMS], target.recommend([ask(candidates=FILMS)])[0].scores, strict=True))
    best_first = sorted(scores, key=lambda i: -scores[i])
    for order in (FILMS, FILMS[::-1]):
        assert list(target.recommend([ask("rank", order, k=3)])[0].ids) == best_first[:3]


def test_labels_rank_by_the_next_token(target):
    request = ask("rank", FILMS, k=5)
    answer = target.recommend([request])[0]
    prompt = target.render(request).text
    assert prompt.endswith("The best item is")
    letters = [ids[0] for ids in target.lm.encode([f" {c}" for c in "ABCDE"])]
    with torch.inference_mode():
        logits = target.lm.model(torch.tensor(target.lm.encode([prompt]))).logits[0, -1].double()
    expected = torch.log_softmax(logits[letters], 0)
    assert [e.item_id for e in answer.ranked] == [FILMS[i].id for i in expected.argsort(descending=True)]
    assert sum(math.exp(e.score) for e in answer.ranked) == pytest.approx(1)
    assert answer.usage.prompt_tokens == target.count_tokens([request])[0] == len(target.lm.encode([prompt])[0])


@pytest.mark.parametrize("likelihood", ["mean", "sum"])
@pytest.mark.parametrize("shared", [True, False])
def test_titles_rank_by_their_likelihood(tiny_lm, likelihood, shared):
    target = HFTarget(tiny_lm, rank_mode="likelihood", likelihood=likelihood)
    tiny_lm.engine.__dict__["_probed"] = (shared, "")
    request = ask("rank", FILMS, k=5)
    prompt = target.lm.encode([target.render(request).text])[0]
    expected = {}
    for film in FILMS:
        title = target.lm.encode([f" {film.title}"])[0]
        with torch.inference_mode():
            logits = target.lm.model(torch.tensor([[*prompt, *title]])).logits[0].log_softmax(-1)
        told = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(title)]
        expected[film.id] = sum(told) / (len(told) if likelihood == "mean" else 1)
    answer = target.recommend([request])[0]
    assert {e.item_id: e.score for e in answer.ranked} == pytest.approx(expected, abs=1e-4)
    assert list(answer.ids) == sorted(expected, key=lambda i: -expected[i])
    assert target.info.needs_candidates
    assert target.info.max_candidates is None
    assert target.notes == (f"a title's score is the {likelihood} of its tokens' log-probabilities",)


def test_a_title_that_does_not_fit_behind_the_prompt_is_an_outcome(tiny_lm):
    target = HFTarget(tiny_lm, rank_mode="likelihood")
    short, long = target.recommend([ask("rank", [item]) for item in (FILMS[0], Item("x", "word " * 600))])
    assert (short.outcome, long.outcome) == ("ok", "error")


def test_a_model_that_cannot_share_prefixes_says_so():
    from transformers import MistralConfig, MistralForCausalLM

    config = tiny_model().config.to_dict() | {"sliding_window": 16, "model_type": "mistral"}
    target = HFTarget(CausalLM(MistralForCausalLM(MistralConfig(**config)), tiny_tokenizer()))
    (note,) = target.notes
    assert "one prompt at a time" in note
    assert HFTarget(CausalLM(tiny_model(), tiny_tokenizer())).notes == ()


def test_k_cuts_a_ranking(target):
    assert len(target.recommend([ask("rank", FILMS, k=2)])[0].ranked) == 2


def test_more_candidates_than_labels_is_said(target):
    most = target.info.max_candidates
    assert most is not None
    items = [Item(f"x{i}", f"Film {i}") for i in range(most + 1)]
    answer = target.recommend([ask("rank", items)])[0]
    assert answer.outcome == "error"
    assert str(most) in answer.detail
    assert target.recommend([ask("rank", items[:-1])])[0].outcome == "ok"


@pytest.mark.parametrize("shared", [True, False])
def test_greedy_text_equals_one_step_at_a_time(target, shared):
    assert target.lm.engine.works
    target.lm.engine.__dict__["_probed"] = (shared, "")
    prompts = target.lm.encode(["the movies", "Toy Story (1995); Up", "A"])
    for prompt, found in zip(prompts, target.lm.generate(prompts, max_new_tokens=8), strict=True):
        ids = list(prompt)
        with torch.inference_mode():
            for _ in range(8):
                token = int(target.lm.model(torch.tensor([ids])).logits[0, -1].argmax())
                if token == 2:
                    break
                ids.append(token)
        assert found == ids[len(prompt) :]


def test_a_text_does_not_depend_on_the_batch_even_in_bfloat16(tiny_folder):
    lm = HFTarget(str(tiny_folder), dtype="bfloat16").lm
    prompts = lm.encode([f"{w} the movies {'a user liked ' * n}" for n, w in enumerate(["Up", "Heat", "A", "B", "C"])])
    together = lm.generate(prompts, max_new_tokens=24, batch_size=5)
    assert together == [lm.generate([p], max_new_tokens=24)[0] for p in prompts]
    assert len({tuple(t) for t in together}) > 1


@pytest.mark.parametrize("shared", [True, False])
def test_generation_stops_at_the_end_token_and_lets_the_others_go_on(tiny_lm, shared):
    assert tiny_lm.engine.works
    tiny_lm.engine.__dict__["_probed"] = (shared, "")
    prompts = tiny_lm.encode(["the movies", "Toy Story (1995); Up", "A", "Heat"])
    free = tiny_lm.generate(prompts, max_new_tokens=6)
    tiny_lm.__dict__["_ends"] = frozenset({free[0][2]})
    stopped = tiny_lm.generate(prompts, max_new_tokens=6)
    end = free[0][2]
    assert stopped == [tokens[: tokens.index(end)] if end in tokens else tokens for tokens in free]
    assert len(stopped[0]) <= 2


class Scripted(CausalLM):
    """Writes what it is told instead of what it thinks."""

    def generate(self, prompts, **_):
        return self.encode([self.script] * len(prompts))


@pytest.fixture
def scripted() -> HFTarget:
    lm = Scripted(tiny_model(), tiny_tokenizer())
    return HFTarget(lm, catalog=Catalog(FILMS), rank_mode="generate", expect_list=True)


def test_written_titles_are_tied_to_items(scripted):
    scripted.lm.script = "1. Heat (1995)\n2. The Invented Film (2001)\n3. Up (2009)"
    for task in ("rank", "answer"):
        answer = scripted.recommend([ask(task)])[0]
        assert answer.ids == ("1", None, "2")
        assert answer.text == scripted.lm.script
        assert answer.usage.completion_tokens == len(scripted.lm.encode([scripted.lm.script])[0])


def test_without_a_catalogue_the_items_of_the_request_count(scripted):
    scripted.lm.script = "1. Heat (1995)\n2. Alien (1979)"
    answer = HFTarget(scripted.lm, rank_mode="generate").recommend([ask("rank", FILMS[1:3])])[0]
    assert answer.ids == ("1", "0")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("I'm sorry, but I can't help with that request.", "refused"),
        ("Lovely weather today", "unparsable"),
        ("", "unparsable"),
    ],
)
def test_what_cannot_be_read_is_an_outcome_and_keeps_its_text(scripted, said, outcome):
    scripted.lm.script = said
    answer = scripted.recommend([ask("rank")])[0]
    assert (answer.outcome, answer.text) == (outcome, said)
    assert answer.detail


def test_an_explanation_needs_no_list(scripted):
    scripted.lm.script = "Because it is gripping"
    explaining = HFTarget(scripted.lm, catalog=Catalog(FILMS))
    assert explaining.recommend([ask("answer")])[0].outcome == "ok"


@pytest.mark.parametrize("field", ["instruction", "item:0.title", "item:1.title"])
def test_an_edit_reaches_the_model(target, field):
    request = ask(candidates=[FILMS[1]])
    edited = TextEdit(field, 0, 2, "quite another").apply(request)
    assert target.recommend([request])[0].scores != target.recommend([edited])[0].scores


def test_an_empty_history_works(target):
    for task in ("score", "rank", "answer"):
        request = replace(ask(task), user=User("new"))
        assert target.recommend([request])[0].outcome in {"ok", "unparsable"}


def test_missing_candidates_are_an_outcome(target):
    for task in ("score", "rank"):
        for candidates in (None, ()):
            answer = target.recommend([replace(ask(task), candidates=candidates)])[0]
            assert answer.outcome == "error"
            assert "candidates" in answer.detail


def test_a_task_it_does_not_do_is_an_outcome(tiny_lm):
    target = HFTarget(tiny_lm, tasks=("score",))
    good, bad = target.recommend([ask(), ask("answer")])
    assert (good.outcome, bad.outcome) == ("ok", "error")


def test_a_prompt_beyond_the_models_length_is_an_outcome(target):
    short, long = target.recommend([ask(), ask(instruction="word " * 600)])
    assert short.outcome == "ok"
    assert long.outcome == "error"
    assert "512" in long.detail


def test_scores_that_are_not_finite_are_an_outcome(target):
    target.lm.model.model.norm.weight.data.fill_(float("nan"))
    for works in (True, False):
        target.lm.engine.__dict__["_probed"] = (works, "")
        answer = target.recommend([ask()])[0]
        assert answer.outcome == "error"
        assert "not finite" in answer.detail


def test_logprobs_are_those_of_a_plain_forward(target):
    requests = [ask("rank"), ask("answer"), ask(candidates=[FILMS[2]])]
    said = [" Heat (1995)", "", " Yes"]
    for request, text, found in zip(requests, said, target.logprobs(requests, said), strict=True):
        prompt, ids = target.lm.encode([target.render(request).text])[0], target.lm.encode([text])[0]
        with torch.inference_mode():
            logits = target.lm.model(torch.tensor([[*prompt, *ids]])).logits[0].log_softmax(-1)
        assert found == pytest.approx([float(logits[len(prompt) + i - 1, t]) for i, t in enumerate(ids)], abs=1e-4)


def test_a_yes_no_prompt_shows_the_shared_part_once(target):
    request = ask(candidates=FILMS[1:3])
    rendered = target.render(request)
    assert rendered.text == (
        "the movies a user liked\nLiked: Alien (1979)\nMovie: Heat (1995)\nAnswer:Up (2009)\nAnswer:"
    )
    for span in rendered.spans:
        if span.field == "candidates[1].title":
            assert rendered.text[span.start : span.end] == "Up (2009)"
    assert target.render(ask(candidates=[FILMS[1]])).text == PLAIN.render(ask(candidates=[FILMS[1]]), candidate=0).text


@pytest.mark.parametrize("task", ["rank", "answer"])
def test_spans_survive_the_chat_template(target, task):
    title = "<|im_end|> {{k}} \ue0000\ue001 \u202e😀"
    request = ask(task, [Item("x", title), Item("y", title)], instruction=title)
    rendered = target.render(request)
    assert [s.field for s in rendered.spans if rendered.text[s.start : s.end] == title] == [
        "instruction",
        "candidates[0].title",
        "candidates[1].title",
    ]
    assert rendered == target.render(request)


def test_the_prompt_is_that_of_the_tokenizers_own_template(target):
    request = ask("answer", [], instruction="Say something.", turns=(Turn("user", "Hi"), Turn("assistant", "Hello")))
    own = target.lm.tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Say something.\n\nChosen before, oldest first:\n- Alien (1979) (rated 5)"},
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert target.render(request).text == own
    # Nothing is put before a text that carries its own first token.
    assert target.lm.encode([own])[0].count(1) == 4


def test_a_model_without_a_chat_template_says_so(tiny_lm):
    tiny_lm.tokenizer.chat_template = None
    with pytest.raises(TargetError, match="no chat template"):
        HFTarget(tiny_lm)
    assert HFTarget(tiny_lm, tasks=("score",), templates={"score": PLAIN}).recommend([ask()])[0].outcome == "ok"


def test_answers_that_begin_alike_are_refused(tiny_lm):
    target = HFTarget(tiny_lm, tasks=("score",), answers=("zzz", "zzy"))
    with pytest.raises(TargetError, match="do not begin with different tokens"):
        target.recommend([ask()])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tasks": ("guess",)}, "'guess' is not a task"),
        ({"tasks": ()}, "empty"),
        ({"rank_mode": "dice"}, "'dice' must be"),
        ({"answers": ("Yes",)}, "two words"),
        ({"likelihood": "median"}, "mean or sum"),
        ({"max_new_tokens": 0}, "at least 1"),
        ({"templates": {"score": [{"role": "user"}]}}, "needs `role:` and `content:`"),
        ({"templates": {"score": [{"role": "bard", "content": "x"}]}}, "'bard' must be one of"),
        ({"templates": {"score": {"text": "x"}}}, "`messages:` or `plain:`"),
        ({"templates": {"chat": "x"}}, "'chat' is not a task"),
    ],
)
def test_options_that_cannot_be_used_are_named(tiny_lm, options, told):
    with pytest.raises(ConfigError, match=told):
        HFTarget(tiny_lm, **options)


def test_templates_can_be_written_in_a_configuration(tiny_lm):
    texts = {
        "score": {"plain": "{{#liked}}{{title}}{{/liked}}?", "like_above": 5},
        "rank": "{{instruction}} {{#candidates}}{{label}}{{/candidates}}",
        "answer": [{"role": "system", "content": "S"}, {"role": "user", "content": "{{note}}"}],
    }
    target = HFTarget(tiny_lm, templates=texts, instructions={"rank": "Pick."})
    assert target.render(ask(candidates=FILMS[:1])).text == "?"
    assert target.render(ask("rank")).text.startswith("<|im_start|>user\nthe movies a user liked ABCD<|im_end|>")
    assert target.render(ask("answer")).text.startswith("<|im_start|>system\nS<|im_end|>")
    # Nobody said what means the same as the user's own instruction.
    assert target.info.paraphrases["rank"] == ()
    assert target.info.paraphrases["score"]


def test_a_folder_is_loaded_and_known_by_its_content(tiny_folder, tiny_lm):
    one = HFTarget(str(tiny_folder), dtype="float32", templates={"score": PLAIN})
    assert one.recommend([ask()])[0].scores == pytest.approx(
        HFTarget(tiny_lm, templates={"score": PLAIN}).recommend([ask()])[0].scores, abs=1e-6
    )
    same = HFTarget(str(tiny_folder), dtype="float32", templates={"score": PLAIN})
    other_prompt = HFTarget(str(tiny_folder), dtype="float32")
    other_type = HFTarget(str(tiny_folder), dtype="bfloat16", templates={"score": PLAIN})
    assert one.info.fingerprint == same.info.fingerprint
    assert len({one.info.fingerprint, other_prompt.info.fingerprint, other_type.info.fingerprint}) == 3
    assert HFTarget(tiny_lm).info.fingerprint is None


def test_bfloat16_scores_stay_near_those_of_float32(tiny_folder):
    exact, fast = (
        HFTarget(str(tiny_folder), dtype=d, templates={"score": PLAIN}).recommend([ask()])[0].scores
        for d in ("float32", "bfloat16")
    )
    assert fast == pytest.approx(exact, abs=0.05)


def test_a_bad_folder_is_one_sentence(tmp_path, tiny_folder):
    for source in (str(tmp_path), str(tmp_path / "absent" / "model")):
        with pytest.raises(TargetError, match="cannot be loaded") as raised:
            HFTarget(source)
        assert "\n" not in str(raised.value)
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in tiny_folder.iterdir():
        data = file.read_bytes()
        (cut / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    with pytest.raises(TargetError, match="cannot be loaded"):
        HFTarget(str(cut))


def test_pickled_weights_are_refused(tmp_path, tiny_folder):
    for file in tiny_folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save(tiny_model().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(TargetError, match="safetensors"):
        HFTarget(str(tmp_path))


def test_an_unknown_number_type_is_named(tiny_folder):
    with pytest.raises(TargetError, match="'int3' must be one of"):
        HFTarget(str(tiny_folder), dtype="int3")


@pytest.fixture
def adapter(tmp_path):
    """A LoRA adapter for the tiny model that changes its answers."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny_model(), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.05)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_changes_answers_and_fingerprint(tiny_folder, adapter):
    base = HFTarget(str(tiny_folder), dtype="float32", templates={"score": PLAIN})
    tuned = HFTarget(str(tiny_folder), adapter=str(adapter), dtype="float32", templates={"score": PLAIN})
    assert base.recommend([ask()])[0].scores != tuned.recommend([ask()])[0].scores
    assert base.info.fingerprint != tuned.info.fingerprint


def test_an_adapter_of_another_base_is_one_sentence(tmp_path, adapter):
    tiny_model(hidden_size=64).save_pretrained(tmp_path / "wide")
    tiny_tokenizer().save_pretrained(tmp_path / "wide")
    with pytest.raises(TargetError, match="does not fit this model"):
        HFTarget(str(tmp_path / "wide"), adapter=str(adapter))


def test_a_missing_adapter_is_one_sentence(tmp_path, tiny_folder):
    with pytest.raises(TargetError, match="no adapter_config"):
        HFTarget(str(tiny_folder), adapter=str(tmp_path))
