"""An encoder-decoder model as a target: every way of asking it, against plain passes."""

from __future__ import annotations

import pytest
import torch
from tiny_lms import tiny_tokenizer

from audit.targets.hf import HFTarget
from audit.targets.prompts import Template
from audit.targets.seq2seq import Seq2SeqLM
from audit.types import Event, Item, Request, User

FILMS = [Item(str(i), title) for i, title in enumerate(["Alien (1979)", "Heat (1995)", "Up (2009)"])]
PLAIN = "Liked: {{#liked|; }}{{title}}{{/liked}}\n"
TEMPLATES = {
    "score": Template.plain(PLAIN + "Movie: {{#candidate}}{{title}}{{/candidate}}?"),
    "rank": Template.plain(PLAIN + "{{#candidates}}{{label}} {{title}} {{/candidates}}"),
    "answer": Template.plain(PLAIN),
}


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=480,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return T5ForConditionalGeneration(config)


def target(**options) -> HFTarget:
    return HFTarget(Seq2SeqLM(t5(), tiny_tokenizer()), templates=TEMPLATES, max_new_tokens=6, **options)


def ask(task, **fields) -> Request:
    return Request(User("u", (Event(FILMS[0], rating=5),)), task=task, candidates=tuple(FILMS), **fields)


def first_logits(lm, text: str, decoder=(0,)):
    with torch.inference_mode():
        return lm.model(
            input_ids=torch.tensor(lm.encode([text])), decoder_input_ids=torch.tensor([list(decoder)])
        ).logits[0]


def test_score_is_the_softmax_of_the_two_answers():
    model = target()
    answer = model.recommend([ask("score")])[0]
    yes, no = (ids[0] for ids in model.lm.encode(["Yes", "No"]))
    for i, entry in enumerate(answer.ranked):
        logits = first_logits(model.lm, TEMPLATES["score"].render(ask("score"), candidate=i).text)[-1]
        assert entry.score == pytest.approx(float(torch.softmax(logits[[yes, no]], 0)[0]), abs=1e-5)


def test_labels_rank_by_the_first_token():
    model = target()
    answer = model.recommend([ask("rank")])[0]
    letters = [ids[0] for ids in model.lm.encode(list("ABC"))]
    logits = first_logits(model.lm, model.render(ask("rank")).text)[-1][letters]
    assert list(answer.ids) == [FILMS[i].id for i in logits.argsort(descending=True)]


def test_titles_rank_by_their_likelihood():
    model = target(rank_mode="likelihood", likelihood="sum")
    answer = model.recommend([ask("rank")])[0]
    expected = {}
    for film in FILMS:
        title = model.lm.encode([film.title])[0]
        logits = first_logits(model.lm, model.render(ask("rank")).text, [0, *title[:-1]]).log_softmax(-1)
        expected[film.id] = sum(float(logits[i, token]) for i, token in enumerate(title))
    assert {e.item_id: e.score for e in answer.ranked} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("task", ["rank", "answer"])
def test_it_writes_text(task):
    model = target(rank_mode="generate")
    answer = model.recommend([ask(task)])[0]
    assert answer.outcome in {"ok", "unparsable"}
    assert answer.usage.completion_tokens <= 6
    assert answer.text == model.recommend([ask(task)])[0].text


def test_a_folder_is_known_for_what_it_is(tmp_path):
    t5().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded = HFTarget(tmp_path, templates=TEMPLATES, dtype="float32")
    assert isinstance(loaded.lm, Seq2SeqLM)
    assert loaded.recommend([ask("score")])[0].scores == pytest.approx(target().recommend([ask("score")])[0].scores)
