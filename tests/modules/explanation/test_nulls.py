"""A network that has learnt nothing: no method is called faithful of it, and its copy is another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faithful_targets import linear
from helpers import Scripted
from part_world import a_context

from audit.modules.explanation.faithfulness import Faithfulness
from audit.target import describe
from audit.types import Answer


@pytest.fixture(scope="module")
def random_model():
    from tiny_lms import tiny_model, tiny_tokenizer

    from audit.targets.hf import HFTarget
    from audit.targets.lm import CausalLM

    # The spread of weights before any training: margins are tiny, and every one of them has a smooth cause.
    model = tiny_model(0, initializer_range=0.02, max_position_embeddings=2048)
    return HFTarget(CausalLM(model, tiny_tokenizer()), tasks=("rank",))


def test_nothing_is_called_faithful_of_random_weights(random_model, tmp_path):
    context = a_context(random_model, tmp_path, users=12, candidates=4, history=4)
    part = Faithfulness(users=12, sanity=False, stability=False)
    output = part.run(context, examples=1)
    found = [f for f in output.findings if f.metric == "comprehensiveness"]
    assert len(found) == 4
    for finding in found:
        assert "no more than a copy with shuffled weights" in finding.unmet[0]
        assert "shuffled candidate lists" in finding.unmet[0]
    [stands] = [f for f in output.findings if f.params.get("of") == "candidates"]
    assert stands.estimate < 0.5
    [alike] = [f for f in output.findings if f.params.get("check") == "random weights"]
    assert abs(alike.estimate) < 0.6


def test_the_shuffled_copy_has_the_same_weights_elsewhere(random_model):
    from audit.targets.shuffled import shuffled

    before = {name: p.detach().clone() for name, p in random_model.lm.model.named_parameters()}
    twin = shuffled(random_model, np.random.default_rng(0))
    assert describe(twin).fingerprint is None
    for name, parameter in twin.lm.model.named_parameters():
        assert sorted(parameter.flatten().tolist()) == sorted(before[name].flatten().tolist())
        assert (parameter == before[name]).all() == (before[name].unique().numel() == 1)
    assert all((p == before[name]).all() for name, p in random_model.lm.model.named_parameters())
    assert shuffled(linear(), np.random.default_rng(0)) is None


def test_a_recommendation_that_only_follows_the_list_is_no_recommendation(tmp_path):
    inner = linear()

    def answer(asked):
        ranked = inner.answer(asked).ranked
        # The first of the list comes first; how far ahead it is hangs on the history.
        first = next(r for r in ranked if r.item_id == asked.candidates[0].id)
        return Answer((replace(first, score=first.score + 100.0), *(r for r in ranked if r is not first)))

    target = Scripted(answer, reveals=inner.info.reveals)
    context = a_context(target, tmp_path, users=12, candidates=6, history=4)
    output = Faithfulness(users=12, sanity=False, stability=False).run(context, examples=1)
    for finding in (f for f in output.findings if f.metric == "comprehensiveness"):
        assert "of shuffled candidate lists" in finding.unmet[0]
