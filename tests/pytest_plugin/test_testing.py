"""`audit.testing`: an assertion passes for what holds, and else says what was found and how to see it."""

from __future__ import annotations

import re

import pytest
from audited_project import CASE, Project

from audit.testing import (
    assert_fair,
    assert_faithful,
    assert_no_hallucination,
    assert_passes,
    assert_private,
    assert_robust,
)

pytest_plugins = ["pytester"]


def said(call: object, *args: object, **options: object) -> str:
    with pytest.raises(AssertionError) as caught:
        call(*args, **options)  # type: ignore[operator]
    return str(caught.value)


def test_what_holds_passes_and_is_given_back(project: Project) -> None:
    assert [f.verdict for f in assert_passes(project.run, "quality.hr")] == ["pass"]
    assert [f.verdict for f in assert_passes(project.run, "quality.mrr", min=0.1)] == ["pass"]
    assert_passes(project.run, "robustness.flip_rate", max=0.7, attack="negation")
    assert_passes(project.run, "quality.hr", min=0.45, by="estimate")


def test_a_failure_names_all_that_is_needed(project: Project) -> None:
    text = said(assert_passes, project.run, "robustness.flip_rate", max=0.1, value="effect", attack="negation")
    assert text.splitlines()[0] == f"robustness.flip_rate (attack=negation) fails in run {project.run.id}"
    for part in (
        "estimate  0.510, 95% interval [0.410, 0.610], n = 40 users",
        "effect    0.500 [0.400, 0.600] above a noise floor of 0.010",
        "limit     at most 0.1, by the whole interval of the effect",
        f"recaudit show {project.run.id} --evidence {CASE.id}",
    ):
        assert part in text


def test_what_is_open_names_the_n_that_would_settle_it(project: Project) -> None:
    text = said(assert_passes, project.run, "robustness.flip_rate", attack="typos")
    assert "is inconclusive" in text
    assert re.search(r"settle    about [\d,]+ users would settle it", text)
    assert assert_passes(project.run, "robustness.flip_rate", attack="typos", allow_inconclusive=True)


@pytest.mark.parametrize(
    ("metric", "params", "why"),
    [
        ("fairness.snsr", {}, "the module fairness did not run"),
        ("robustness.flip_rte", {}, "did you mean 'robustness.flip_rate'"),
        ("robustness.flip_rate", {"attack": "typo"}, "did you mean 'typos'"),
        ("robustness.asr", {"attack": "typos"}, "it has no instruction to edit"),
        ("quality.mrr", {}, "no rule of the policy 'small' judges it"),
        ("quality.hr", {"k": 10}, "k=10"),
    ],
)
def test_what_was_not_measured_fails_and_says_why(
    project: Project, metric: str, params: dict[str, object], why: str
) -> None:
    assert why in said(assert_passes, project.run, metric, **params)


def test_modules_are_held_to_the_policy(project: Project) -> None:
    # Typing slips are open, and the failure of negation is waived.
    assert "typos" in said(assert_robust, project.run)
    found = assert_robust(project.run, allow_inconclusive=True)
    assert [f.verdict for f in found] == ["inconclusive", "waived"]
    for call in (assert_fair, assert_private, assert_no_hallucination, assert_faithful):
        assert "did not run" in said(call, project.run)


def test_both_limits_are_a_mistake(project: Project) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        assert_passes(project.run, "quality.hr", min=0.1, max=0.9)
