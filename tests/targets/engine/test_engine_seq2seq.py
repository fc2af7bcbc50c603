"""Encode once, score all candidates: the same numbers as one pair at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import model

from audit.targets.engine.seq2seq import Seq2SeqEngine

WORDS = st.lists(st.integers(3, 6), max_size=12)
INPUT = st.lists(st.integers(3, 400), min_size=1, max_size=30)


def alone(lm, question, answer, start) -> list[float]:
    with torch.inference_mode():
        logits = lm(input_ids=torch.tensor([question]), decoder_input_ids=torch.tensor([[start, *answer[:-1]]])).logits[
            0
        ]
    logits = logits.float().log_softmax(-1)
    return [float(logits[i, token]) for i, token in enumerate(answer)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.15)])
@pytest.mark.parametrize("name", ["t5", "bart"])
@settings(max_examples=20, deadline=None)
@given(inputs=st.lists(INPUT, min_size=1, max_size=3), answers=st.lists(WORDS, min_size=1, max_size=8))
def test_scores_equal_one_pair_at_a_time(name, dtype, tolerance, inputs, answers):
    lm = model(name, dtype)
    engine = Seq2SeqEngine(lm)
    found = engine.score_continuations(inputs, [answers] * len(inputs))
    start = lm.config.decoder_start_token_id
    for question, scores in zip(inputs, found, strict=True):
        for answer, score in zip(answers, scores, strict=True):
            expected = alone(lm, question, answer, start) if answer else []
            assert score.tokens == pytest.approx(expected, abs=tolerance)
    # Warm and in another order: the same bits.
    again = engine.score_continuations(inputs[::-1], [answers] * len(inputs))[::-1]
    assert again == found


def test_an_input_is_encoded_once():
    engine = Seq2SeqEngine(model("t5"))
    assert engine.note == ""
    engine.stats.hits = engine.stats.misses = 0
    for _ in range(3):
        engine.score_continuations([[5, 6, 7]], [[[8, 9], [8], [10]]])
        engine.next_logits([[5, 6, 7]])
    assert (engine.stats.misses, engine.stats.hits) == (1, 5)


def test_the_cache_of_inputs_is_bounded():
    engine = Seq2SeqEngine(model("t5"), max_cache_bytes=2000)
    engine.next_logits([[n] * 10 for n in range(3, 9)])
    assert engine.stats.bytes <= 2000
    assert engine.stats.dropped > 0


def test_a_decoder_without_trees_says_so():
    assert "one row per candidate" in Seq2SeqEngine(model("bart")).note


def test_first_token_logits_are_those_of_a_plain_pass():
    lm = model("t5")
    found = Seq2SeqEngine(lm).next_logits([[5, 6], [7, 8, 9]], only=[11, 4])
    with torch.inference_mode():
        for question, row in zip([[5, 6], [7, 8, 9]], found, strict=True):
            plain = lm(input_ids=torch.tensor([question]), decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
            assert torch.allclose(row, plain[[11, 4]], atol=1e-4)


def test_text_is_the_greedy_one():
    lm = model("t5")
    ids = [0]
    with torch.inference_mode():
        while len(ids) < 6:
            logits = lm(input_ids=torch.tensor([[5, 6, 7]]), decoder_input_ids=torch.tensor([ids])).logits
            ids.append(int(logits[0, -1].argmax()))
    expected = ids[1:]
    stops = [i for i, t in enumerate(expected) if t in (0, 1)]
    assert Seq2SeqEngine(lm).generate([[5, 6, 7]], max_new_tokens=5) == [expected[: stops[0]] if stops else expected]
