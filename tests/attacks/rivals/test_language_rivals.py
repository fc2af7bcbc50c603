"""LLMBA and masked filling: what language models write, and that it is held to the rules of every search."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from helpers import catalog
from planted import WORDED, attack, brittle, drop

from attacks.rivals import language, llmba, masked_fill
from attacks.rivals.language import CausalFiller, Gap, MaskedFiller, Write, Writer, plain
from attacks.rivals.llmba import LLMBA
from attacks.rivals.masked_fill import MaskedFill
from audit.attack import Goal, Objective, Search
from audit.edits import HistoryInsert, TextEdit, apply
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Catalog

sys.path.append(str(Path(__file__).parents[2] / "targets"))

MODES = ("BAE-R", "BAE-I", "BAE-R/I", "BAE-R+I")


@pytest.fixture(scope="module")
def lm() -> Any:
    import torch
    from tiny_lms import tiny_model, tiny_tokenizer

    from audit.targets.lm import CausalLM

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield CausalLM(tiny_model(), tiny_tokenizer())
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights that knows a few words."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    words = "please rank these films well for anna garden winter number never always film song book list show".split()
    folder = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *words, "##ing", "7"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, initializer_range=1.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
    return folder


class Says(Writer):
    """A writer with a script: sentences for the first question, titles for the one that asks for a title."""

    def __init__(self, sentences: Sequence[str], titles: Sequence[str]) -> None:
        self.said = {"text": sentences, "title": titles}
        self.wishes: list[Write] = []

    def together(self, jobs: Sequence[Sequence[Write]]) -> list[list[list[str]]]:
        self.wishes += [wish for job in jobs for wish in job]
        return [
            [list(self.said["title" if "title" in wish.prompt else "text"][: wish.count]) for wish in job]
            for job in jobs
        ]


class Fills(CausalFiller):
    """A filler that has the same words for every gap."""

    def __init__(self, *words: str) -> None:
        language.Filler.__init__(self)
        self.words = words
        self.gaps: list[Gap] = []

    def fill(self, gap: Gap) -> list[str]:
        self.gaps.append(gap)
        return list(self.words[: gap.count])


@pytest.fixture
def tiny(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model in the place of SmolLM2."""
    one_writer, one_filler = Writer(lm), CausalFiller(lm)
    monkeypatch.setattr(llmba, "writer", lambda folder: one_writer)
    monkeypatch.setattr(masked_fill, "filler", lambda agent, masked_lm: one_filler)


def says(monkeypatch: pytest.MonkeyPatch, sentences: Sequence[str], titles: Sequence[str] = ()) -> Says:
    script = Says(sentences, titles)
    monkeypatch.setattr(llmba, "writer", lambda folder: script)
    return script


def fills(monkeypatch: pytest.MonkeyPatch, *words: str) -> Fills:
    script = Fills(*words)
    monkeypatch.setattr(masked_fill, "filler", lambda agent, masked_lm: script)
    return script


RIVALS = {"llmba": LLMBA, **{mode: lambda items, mode=mode: MaskedFill(items, mode=mode) for mode in MODES}}
each = pytest.mark.parametrize("build", RIVALS.values(), ids=RIVALS.keys())
Build = Callable[[Catalog], Search]


# What holds for both, with a model of random weights ------------------------------------------------------------------


@each
@pytest.mark.parametrize("budget", [1, 2, 7, 50])
def test_no_more_is_asked_than_the_budget(
    build: Build, budget: int, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, ["Be kind.", "Never mind", "x y z"], [f"Winter Garden Number {n}" for n in range(40)])
    planted.holds_the_budget(build(catalog()), budget)


@each
def test_without_a_budget_it_is_one_blind_attempt(build: Build, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["Be kind."], ["Winter Garden Number 30"])
    target = brittle()
    assert attack(build(catalog()), target, 0).edits
    assert len(target.asked) == 2


@each
def test_it_repeats_itself(build: Build, tiny: None) -> None:
    planted.repeats_itself(build(catalog()))


@each
def test_a_target_that_reads_nothing_gives_nothing_away(build: Build, tiny: None) -> None:
    planted.gains_nothing_where_nothing_is_read(build(catalog()))


@each
def test_odd_questions_are_attacked_without_harm(build: Build, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llmba, "_TOKENS", {"text": 3, "title": 3})
    planted.survives_odd_questions(build)


# LLMBA ----------------------------------------------------------------------------------------------------------------


def test_the_sentence_and_the_titles_that_hurt_are_found_together(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = ["Winter Garden Number 20", "Winter Garden Number 33", "No such film"]
    script = says(monkeypatch, ["Be kind.", "Prefer the unusual"], titles)
    attempt = attack(LLMBA(catalog()), brittle({"unusual": 2.0}, {"i33": 1.0, "i20": 0.5}), 40)
    after = apply(attempt.edits, WORDED)
    assert after.instruction == WORDED.instruction + " Prefer the unusual"
    assert {e.item.id for e in after.user.history[4:]} == {"i33", "i20"}
    assert drop(attempt) == 3.5
    # The prompts quote the instruction and the history, and name the truth.
    assert WORDED.instruction in script.wishes[0].prompt
    assert "Winter Garden Number 3" in script.wishes[1].prompt
    assert all('"Winter Garden Number 4"' in wish.prompt for wish in script.wishes)


def test_without_labels_the_model_is_told_the_targets_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    script = says(monkeypatch, ["Be kind."])
    target = brittle({"well": 9.0})  # the truth is last already
    attack(LLMBA(catalog()), target, 10, label_free=True)
    assert all('"Winter Garden Number 5"' in wish.prompt for wish in script.wishes)


def test_titles_of_the_question_are_not_inserted(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, [], [f"Winter Garden Number {n}" for n in range(11)])
    edits = attack(LLMBA(catalog(), texts=20), brittle(), 40).edits
    assert {e.event.item.id for e in edits if isinstance(e, HistoryInsert)} <= {"i9", "i10"}
    assert edits


def test_nothing_usable_written_is_an_attempt_without_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["", " \u200b ", "…"], ["No such film"])
    target = brittle()
    attempt = attack(LLMBA(catalog()), target, 10)
    assert attempt.edits == ()
    assert attempt.queries == 0


def test_words_alone_and_items_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    script = says(monkeypatch, ["Be kind."], ["Winter Garden Number 20"])
    assert all(isinstance(e, TextEdit) for e in attack(LLMBA(catalog(), edits="words"), brittle(), 9).edits)
    assert all(isinstance(e, HistoryInsert) for e in attack(LLMBA(catalog(), edits="items"), brittle(), 9).edits)
    assert len(script.wishes) == 2


def test_text_goes_to_the_note_or_to_the_newest_title(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ["Be kind."])
    noted = replace(WORDED, user=replace(WORDED.user, note="something calm"))
    for honours, field in ((Input.NOTE, "note"), (Input.ITEM_TEXT, "item:i3.title")):
        (edit,) = attack(LLMBA(catalog()), brittle(honours=frozenset({honours})), 9, asked=noted).edits
        assert isinstance(edit, TextEdit)
        assert edit.field == field


def test_written_text_is_short_and_typed_as_people_type() -> None:
    assert plain(' "Be\u202e kind,\nand\x00 short…" now', 4) == "Be kind, and short…"
    assert plain("\ufffd \u200b", 9) == ""


def test_samples_follow_the_model(lm: Any) -> None:
    """First tokens are drawn as often as their probability says (among the forty likeliest, renormalised)."""
    wish = Write("the best item", "Answer:", 64, 1, "", np.random.default_rng(0))
    prompt = lm.encode([Writer(lm)._framed(wish)])[0]
    top = lm.next_logits([[prompt]])[0][0].topk(40)
    chances = top.values.double().softmax(0).numpy()
    likeliest = lm.decode([int(top.indices[0])])
    drawn = [one for _ in range(10) for one in Writer(lm).together([[wish]])[0][0]]
    share = np.mean([text == likeliest for text in drawn])
    # Three standard errors of a share among 640 draws.
    assert abs(share - chances[0]) < 3 * np.sqrt(chances[0] * (1 - chances[0]) / 640) + 1e-9
    assert set(drawn) <= {lm.decode([int(token)]) for token in top.indices} | {""}


def test_samples_do_not_depend_on_who_else_is_served(lm: Any) -> None:
    def wish(prompt: str, seed: int, count: int = 3) -> Write:
        return Write(prompt, "", count, 6, "\n", np.random.default_rng(seed))

    (alone,) = Writer(lm).together([[wish("the user liked Alien", 1)]])
    crowd = Writer(lm).together([[wish("Heat", 2, 40)], [wish("the user liked Alien", 1)], [wish("Up", 3, 40)]])
    assert crowd[1] == alone
    assert [len(texts) for (texts,) in crowd] == [40, 3, 40]


# Masked filling -------------------------------------------------------------------------------------------------------


def filled(
    monkeypatch: pytest.MonkeyPatch, mode: str, words: Sequence[str], harm: dict[str, float], **more: Any
) -> str:
    fills(monkeypatch, *words)
    target = brittle({"films": -2.0, **harm})
    attempt = attack(MaskedFill(catalog(), mode=mode, words=1, **more), target, 40)  # type: ignore[arg-type]
    return apply(attempt.edits, WORDED).instruction


def test_each_mode_does_what_its_name_says(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["songs", "odd", "films"]
    assert filled(monkeypatch, "BAE-R", words, {"songs": 1.0}) == "Please rank these songs well for Anna"
    assert filled(monkeypatch, "BAE-I", words, {"odd": 3.0}) in {
        "Please rank these odd films well for Anna",
        "Please rank these films odd well for Anna",
    }
    assert filled(monkeypatch, "BAE-R/I", words, {"odd": 1.0}) == "Please rank these odd well for Anna"
    both = filled(monkeypatch, "BAE-R+I", words, {"songs": 1.0, "odd": 0.5})
    assert both in {"Please rank these songs odd well for Anna", "Please rank these odd songs well for Anna"}


def test_fillings_pile_up_word_by_word(monkeypatch: pytest.MonkeyPatch) -> None:
    fills(monkeypatch, "songs", "odd", "badly")
    target = brittle({"films": -2.0, "well": -1.0, "songs": 0.5, "badly": 0.25, "odd": 0.1})
    attempt = attack(MaskedFill(catalog(), words=2), target, 60)
    assert apply(attempt.edits, WORDED).instruction == "Please rank these songs badly for Anna"


def test_punctuation_and_capitals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    script = fills(monkeypatch, "kindly")
    asked = replace(WORDED, instruction="Please, rank (films).")
    target = brittle({"Please,": -2.0})
    attempt = attack(MaskedFill(catalog(), words=1), target, 30, asked=asked)
    assert apply(attempt.edits, asked).instruction == "Kindly, rank (films)."
    assert Gap("", ", rank (films).", 26) in script.gaps or script.gaps[0].right == ", rank (films)."


def test_users_who_share_an_instruction_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    script = fills(monkeypatch, "songs")
    asked = [replace(WORDED, user=replace(WORDED.user, id=f"u{n}")) for n in range(5)]
    goal = Objective(Goal.DEGRADE, (frozenset({planted.TRUTH}),) * 5)
    target = brittle({"films": -2.0, "rank": -1.0, "well": -0.5})
    attempts = list(MaskedFill(catalog()).run(target, asked, goal, 40, np.random.default_rng(0)))
    assert len(attempts) == 5
    assert len(script.gaps) == 3


def test_the_causal_filler_ranks_by_left_and_right_context(lm: Any) -> None:
    """Against brute force: log p(w | left) + log p(right | left, w), computed over the whole text, token by token."""
    gap = Gap("the best", " movies a user liked", 3)
    found = CausalFiller(lm).fill(gap)
    left, right = lm.encode([gap.left])[0], lm.encode([gap.right])[0][:6]

    def score(word: str) -> float:
        (token,) = lm.encode([" " + word])[0]
        whole = [*left, token, *right]
        return sum(
            float(lm.next_logits([[whole[:at]]])[0][0].log_softmax(-1)[whole[at]])
            for at in range(len(left), len(whole))
        )

    scores = [score(word) for word in found]
    assert len(set(found)) == 3
    assert scores == sorted(scores, reverse=True)
    first = lm.next_logits([[left]])[0][0]
    words = {
        word: int(token)
        for word, token in language._words(lm.tokenizer, first.argsort(descending=True, stable=True).tolist(), True, 12)
    }
    assert sorted(words, key=score, reverse=True)[:3] == found


def test_the_causal_filler_fills_the_beginning_of_a_text(lm: Any) -> None:
    assert len(CausalFiller(lm).fill(Gap("", "", 2))) == 2


def test_the_masked_filler_reads_the_mask(bert: Path) -> None:
    import torch
    from transformers import pipeline

    gap = Gap("please rank", " films well.", 4)
    found = MaskedFiller(str(bert)).fill(gap)
    ask: Any = pipeline("fill-mask", model=str(bert), top_k=20, device=torch.device("cpu"))
    expected = [one["token_str"] for one in ask("please rank [MASK] films well.")]
    assert found == [word for word in expected if word.isalpha() and word != "[UNK]"][:4]


def test_a_masked_model_can_be_named(bert: Path) -> None:
    language.filler.cache_clear()
    attempt = attack(MaskedFill(catalog(), masked_lm=str(bert)), brittle({"films": -2.0, "never": 1.0}), 60)
    assert "never" in apply(attempt.edits, WORDED).instruction.casefold().split()
    assert drop(attempt) >= 3.0


@pytest.mark.parametrize("mode", MODES)
def test_a_long_text_is_seen_near_the_gap(mode: str, bert: Path) -> None:
    asked = replace(WORDED, instruction="please " * 300 + "rank films " + "well " * 300)
    attempt = attack(MaskedFill(catalog(), mode=mode, masked_lm=str(bert)), brittle(), 12, asked=asked)  # type: ignore[arg-type]
    assert attempt.edits


# Options --------------------------------------------------------------------------------------------------------------


def test_options_that_make_no_sense_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="agent: 'nowhere' is not a folder"):
        LLMBA(catalog(), agent="nowhere")
    with pytest.raises(ConfigError, match="masked_lm: 'nowhere' is not a folder"):
        MaskedFill(catalog(), masked_lm="nowhere")
    with pytest.raises(ConfigError, match="mode: 'BAE' must be one of BAE-R, BAE-I, BAE-R/I, BAE-R\\+I"):
        MaskedFill(catalog(), mode="BAE")  # type: ignore[arg-type]
    for name in ("delta", "texts", "words"):
        with pytest.raises(ValueError, match=f"{name}: 0 must be at least 1"):
            LLMBA(catalog(), **{name: 0})
    with pytest.raises(ValueError, match="candidates: 0 must be at least 1"):
        MaskedFill(catalog(), candidates=0)
    with pytest.raises(ConfigError, match=r"masked_lm: .* holds no config\.json"):
        MaskedFill(catalog(), masked_lm=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="holds no masked language model"):
        attack(MaskedFill(catalog(), masked_lm=str(tmp_path)), brittle(), 9)


# The real model -------------------------------------------------------------------------------------------------------


@pytest.mark.llm
def test_smollm2_fills_a_gap_and_writes_a_sentence(smollm2: Any) -> None:
    found = CausalFiller(smollm2).fill(Gap("Here are the movies a", " has watched. Choose the movie", 8))
    assert {"person", "user", "friend"} & set(found[:4])
    wish = Write("Write one short sentence about films.", "", 2, 6, "\n", np.random.default_rng(0))
    texts = Writer(smollm2).together([[wish]])[0][0]
    assert all(any(c.isalpha() for c in text) for text in texts)
    assert texts[0] != texts[1]
