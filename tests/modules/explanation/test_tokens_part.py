"""Our attributions of a language model against Captum's, and integrated gradients where they add up."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from helpers import Scripted
from part_world import a_context

from audit.modules.explanation import captum_check
from audit.modules.explanation.captum_check import feature_ablation, integrated_gradients, shapley_sampling
from audit.modules.explanation.explained import explained
from audit.modules.explanation.methods import attributions_of
from audit.modules.explanation.tokens import Tokens
from audit.modules.explanation.values import Values
from audit.target import Insight
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.zoo import smollm2_ranker, tallrec


@cache
def random_weights():
    import torch
    from tiny_lms import tiny_model, tiny_tokenizer

    torch.set_num_threads(1)
    return CausalLM(tiny_model(initializer_range=0.1), tiny_tokenizer())


def yes_no():
    given = {"templates": {"score": tallrec.TEMPLATE}, "instructions": {"score": tallrec.INSTRUCTION}}
    return HFTarget(random_weights(), tasks=("score",), **given)


def by_label():
    templates = {"rank": smollm2_ranker.TEMPLATES["rank"]}
    return HFTarget(random_weights(), tasks=("rank",), rank_mode="labels", templates=templates)


def a_values(target, tmp_path, operator="delete", *, users=2, history=3):
    task = target.info.tasks[0]
    offered = {"candidates": 4} if task == "rank" else {}
    context = a_context(target, tmp_path, task=task, users=users, history=history, **offered)
    return context, Values(context, explained(context, users).cases, operator)


@pytest.mark.parametrize("build", [yes_no, by_label])
@pytest.mark.parametrize("operator", ["delete", "swap"])
def test_leave_one_out_equals_captums_feature_ablation_to_three_decimals(tmp_path, build, operator):
    _, values = a_values(build(), tmp_path, operator)
    assert values.scale == ("logit of yes" if build is yes_no else "logit margin")
    alone = attributions_of("leave-one-out", values, np.random.default_rng(0), 256)
    for number, ours in enumerate(alone):
        theirs = feature_ablation(values.context.gateway.target, values, number)
        assert ours.phi == pytest.approx(theirs, abs=5e-4)
        assert np.abs(ours.phi).max() > 0.01  # and there is something to agree on


def test_captums_sampled_shapley_values_come_near_ours_and_add_up_to_the_same(tmp_path):
    _, values = a_values(yes_no(), tmp_path)
    (ours, _) = attributions_of("shapley", values, np.random.default_rng(0), 256)
    theirs = shapley_sampling(values.context.gateway.target, values, 0, samples=40, seed=3)
    assert theirs.sum() == pytest.approx(ours.total, abs=1e-3)
    assert theirs == pytest.approx(ours.phi, abs=0.3 * np.ptp(ours.phi) + 0.01)


def test_integrated_gradients_double_their_steps_until_they_add_up(tmp_path, monkeypatch):
    _, values = a_values(yes_no(), tmp_path, "placeholder")
    target = values.context.gateway.target
    loose = integrated_gradients(target, values, 0, steps=1, gap=0.99)
    strict = integrated_gradients(target, values, 0, steps=1, gap=0.05)
    assert strict.steps > loose.steps or strict.gap <= 0.05
    assert strict.gap <= 0.05
    assert strict.phi.sum() == pytest.approx(strict.total, abs=0.05 * abs(strict.total))
    monkeypatch.setattr(captum_check, "MOST_STEPS", 8)
    never = integrated_gradients(target, values, 0, steps=1, gap=1e-12)
    assert never.steps == 8
    assert never.gap > 1e-12


def test_the_part_reports_agreement_per_operator_and_the_gap(tmp_path):
    context, _ = a_values(yes_no(), tmp_path, users=3)
    part = Tokens(users=3, operators=("delete",), samples=2, steps=8)
    planned = part.plan(context)
    assert planned == part.plan(context)
    out = part.run(context, examples=1)
    assert context.gateway.usage().queries <= len({context.gateway.key(ask) for ask in planned})
    found = {(f.metric, f.params.get("against"), f.params.get("measure")): f for f in out.findings}
    exact = found["attribution_agreement", "feature-ablation", "max_difference"]
    assert exact.estimate < 5e-4
    assert exact.direction == "higher_is_worse"
    assert found["attribution_agreement", "feature-ablation", "spearman"].estimate > 0.99
    assert ("attribution_agreement", "shapley-sampling", "spearman") in found
    assert ("attribution_agreement", "integrated-gradients", "spearman") in found
    gap = found["completeness_gap", None, None]
    assert "add up to within 5%" in gap.note
    assert "had no stable recommendation" in gap.note
    [shown] = [e for e in out.evidence if e.id in gap.evidence]
    assert len(shown.attribution.bars) == 3
    assert "where" in shown.note


def test_a_target_without_gradients_or_weights_says_so(tmp_path):
    context = a_context(Scripted(reveals=frozenset({Insight.SCORES})), tmp_path / "a", users=2, candidates=4)
    assert "needs the weights" in Tokens().lacking(context)
    target = HFTarget(random_weights(), tasks=("rank",), rank_mode="likelihood", templates={"rank": _TITLES})
    context = a_context(target, tmp_path / "b", users=2, candidates=4)
    assert "gives no gradients" in Tokens().lacking(context)


_TITLES = "Watched: {{#history|; }}{{title}}{{/history}}\nNext:"


def test_nothing_to_explain_is_said_and_not_measured(tmp_path):
    context, _ = a_values(yes_no(), tmp_path)
    target = Scripted(lambda r: r, tasks=("score",))  # never asked
    assert target.asked == []
    out = Tokens(users=2, steps=0, samples=0).run(context.head(1), examples=0)
    assert {f.verdict for f in out.findings} == {"not_applicable"}
    assert "1 recommendations can be explained" in out.findings[0].reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"users": 1}, "users: 1 must be a whole number of at least 2"),
        ({"evaluations": 0}, "evaluations: 0 must be"),
        ({"samples": -1}, "samples: -1 must be"),
        ({"steps": 1000}, "steps: 1000 must be at most 512"),
        ({"gap": 5}, "gap: 5 must lie between 0 and 1"),
        ({"operators": ()}, "operators: \\(\\) must be a list"),
        ({"operators": ("remove",)}, "operators: 'remove' must be one of"),
    ],
)
def test_options_that_cannot_be_used_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        Tokens(**options)


@pytest.mark.llm
def test_leave_one_out_equals_feature_ablation_on_the_real_model(tmp_path, smollm2):
    given = {"templates": {"score": tallrec.TEMPLATE}, "instructions": {"score": tallrec.INSTRUCTION}}
    _, values = a_values(HFTarget(smollm2, tasks=("score",), **given), tmp_path, history=4)
    (ours, _) = attributions_of("leave-one-out", values, np.random.default_rng(0), 256)
    assert ours.phi == pytest.approx(feature_ablation(values.context.gateway.target, values, 0), abs=5e-4)
