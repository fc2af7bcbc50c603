"""The real SmolLM2: its mended tokenizer, and the zero-shot ranker built on it."""

from __future__ import annotations

import math

import pytest
from tiny_lms import tiny_model, tiny_tokenizer

from audit.target import Input
from audit.targets.hf import HFTarget
from audit.targets.zoo import smollm2 as zoo
from audit.targets.zoo import smollm2_ranker
from audit.types import TASKS, Item, Request, User


def test_its_templates_read_what_a_ranker_needs():
    for task in ("rank", "answer"):
        assert smollm2_ranker.TEMPLATES[task].honours == {Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT}
        assert len({smollm2_ranker.INSTRUCTIONS[task], *smollm2_ranker.PARAPHRASES[task]}) >= 3
        assert task in TASKS


def test_the_gguf_is_converted_only_once(tmp_path, monkeypatch):
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path))
    calls = []

    def convert(gguf, out):
        calls.append(gguf)
        tiny_model().save_pretrained(out)
        tiny_tokenizer().save_pretrained(out)

    monkeypatch.setattr(zoo, "convert", convert)
    monkeypatch.setattr(zoo, "gguf_file", lambda: tmp_path / "x.gguf")
    assert zoo.folder() == zoo.folder()
    assert len(calls) == 1
    ranker = smollm2_ranker.build(dtype="float32")
    assert ranker.info.tasks == ("rank", "answer")
    assert ranker.info.needs_candidates


@pytest.fixture(scope="module")
def ranker(smollm2, ml100k) -> HFTarget:
    return HFTarget(
        smollm2,
        catalog=ml100k.catalog,
        tasks=("rank", "answer"),
        templates=smollm2_ranker.TEMPLATES,
        instructions=smollm2_ranker.INSTRUCTIONS,
        expect_list=True,
        max_new_tokens=60,
    )


def request(ml100k, ranker, task, **fields) -> Request:
    events = ml100k.events(ml100k.user_ids[0])[:10]
    return Request(User("u", events), task=task, instruction=ranker.info.instructions[task], **fields)


@pytest.mark.llm
def test_the_tokenizer_is_mended(smollm2):
    tokenizer = smollm2.tokenizer
    assert tokenizer.convert_ids_to_tokens([1, 2]) == ["<|im_start|>", "<|im_end|>"]
    assert tokenizer.eos_token_id == 2
    assert tokenizer.pad_token_id not in (None, 2)
    assert smollm2.encode(["hi"]) == [[6004]]
    assert tokenizer.encode("hi") == [6004]
    for text in ('{x} "quoted"\n\nAmélie', "\u202eעברית\u200f 😀👩‍👩‍👧"):
        assert tokenizer.decode(smollm2.encode([text])[0], clean_up_tokenization_spaces=False) == text
    frame = "".join(smollm2.frame(["user"]))
    assert smollm2.encode([frame])[0].count(1) == frame.count("<|im_start|>") == 3


@pytest.mark.llm
def test_generation_stops_by_itself(smollm2):
    prompt = "".join(
        p + c for p, c in zip(smollm2.frame(["user"]), ["Reply with the single word: yes", ""], strict=True)
    )
    tokens = smollm2.generate(smollm2.encode([prompt]), max_new_tokens=100)[0]
    assert 0 < len(tokens) < 100


@pytest.mark.llm
def test_twenty_candidates_are_ranked_in_one_pass(ranker, ml100k):
    items = ml100k.catalog.items_in_order[50:70]
    answer = ranker.recommend([request(ml100k, ranker, "rank", candidates=items, k=20)])[0]
    assert sorted(answer.ids) == sorted(i.id for i in items)
    assert sum(math.exp(e.score) for e in answer.ranked) == pytest.approx(1)
    assert ranker.info.max_candidates >= 26


@pytest.mark.llm
def test_scores_do_not_depend_on_the_batch(ranker, ml100k):
    items = ml100k.catalog.items_in_order
    requests = [request(ml100k, ranker, "rank", candidates=items[i : i + 3 + i], k=50) for i in range(6)]
    for one, many in zip((ranker.recommend([r])[0] for r in requests), ranker.recommend(requests), strict=True):
        assert many.ids == one.ids
        assert many.scores == pytest.approx(one.scores, abs=1e-4)


@pytest.mark.llm
def test_free_text_is_a_list_tied_to_the_catalogue(ranker, ml100k):
    answer = ranker.recommend([request(ml100k, ranker, "answer", k=5)])[0]
    assert answer.outcome == "ok"
    assert answer.text.startswith("Here are 5 movies")
    assert answer.ranked
    assert 0 < answer.usage.completion_tokens <= 60
    assert answer == answer.from_dict(answer.to_dict())


@pytest.mark.llm
def test_an_item_outside_the_catalogue_can_be_a_candidate(ranker, ml100k):
    answer = ranker.recommend([request(ml100k, ranker, "rank", candidates=(Item("new", "Dune (2021)"),))])[0]
    assert answer.ids == ("new",)
