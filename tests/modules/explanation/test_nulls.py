"""A network that has learnt nothing: no method is called faithful of it, and its copy is another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from faithful_targets import linear
from helpers import Scripted
from part_world import a_context

from audit.modules.explanation.faithfulness import Faithfulness
from audit.modules.explanation.methods import Attribution
from audit.modules.explanation.nulls import Nulls
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


def test_a_model_of_random_weights_does_not_predict_its_prompts(random_model, tmp_path, monkeypatch):
    from audit.targets.learnt import surprise

    requests = [case.request for case in a_context(random_model, tmp_path, users=8, candidates=4, history=4).cases]
    own, counted = surprise(random_model, requests)
    assert own.shape == counted.shape == (8,)
    vocabulary = random_model.lm.model.get_input_embeddings().num_embeddings
    np.testing.assert_allclose(own, np.log(vocabulary), atol=0.5)
    assert (counted < own - 1).all()
    # By hand: how often each token of the first prompt stands in the others.
    first, *others = random_model.lm.encode([random_model.render(r).text for r in requests])
    flat = [token for tokens in others for token in tokens]
    expected = [-np.log((flat.count(t) + 1 / vocabulary) / (len(flat) + 1)) for t in first[1:]]
    assert counted[0] == pytest.approx(np.mean(expected))
    assert surprise(linear(), requests) is None
    assert surprise(random_model, requests[:1]) is None
    # No further than the model reaches, and not on prompts that hold nothing to predict.
    monkeypatch.setitem(vars(random_model.lm), "limit", 5)
    assert surprise(random_model, requests)[0].shape == (8,)
    monkeypatch.setitem(vars(random_model.lm), "limit", 2048)
    monkeypatch.setattr(random_model.lm, "encode", lambda texts: [[1]] * len(texts))
    assert surprise(random_model, requests) is None


def _moved_by(size: float) -> Attribution:
    return Attribution(phi=np.full(4, size), se=np.zeros(4), exact=True, evaluations=5)


def test_a_model_that_learnt_its_prompts_has_learnt_something(random_model, tmp_path):
    import copy

    import torch

    from audit.targets.learnt import surprise

    learnt = copy.deepcopy(random_model)
    context = a_context(learnt, tmp_path, users=8, candidates=4, history=4)
    requests = [case.request for case in context.cases]
    model = learnt.lm.model
    rows = [torch.tensor([t[:512]]) for t in learnt.lm.encode([learnt.render(r).text for r in requests])]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with torch.random.fork_rng(devices=[]):
        for _ in range(5):
            for row in rows:
                optimizer.zero_grad()
                model(input_ids=row, labels=row).loss.backward()
                optimizer.step()
    model.eval()
    own, counted = surprise(learnt, requests)
    assert (own < counted).all()
    still = [_moved_by(0.0) for _ in requests]
    moved = [_moved_by(1.0) for _ in requests]
    assert Nulls(still, moved, None, (own, counted)).against(context) == ()
    [said] = Nulls(still, moved, None, surprise(random_model, requests)).against(context)
    assert said.startswith(
        "items move it no more than a copy with shuffled weights (0 against 1, p 1), and it predicts"
    )
    # Without prompts to predict, the comparison with the copy decides alone, and moving more is enough.
    assert len(Nulls(still, moved, None).against(context)) == 1
    assert Nulls(moved, still, None).against(context) == ()


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
