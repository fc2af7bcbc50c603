"""The sentences: they must say what the findings say, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from report_world import ERRORS, FLIP, HIT, LIFT, SKIPPED

from audit.findings import Finding
from audit.report.summary import headline, summary, users_to_settle
from audit.report.view import RunView
from audit.run import Run

MakeRun = Callable[..., Run]


def answers(run: Run) -> dict[str, str]:
    return {remark.question: remark.answer for remark in summary(RunView(run))}


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        (
            [FLIP, ERRORS, LIFT],
            "Not ready to ship: 1 check fails. It is “Typing slips: clean hits lost from the first 10”",
        ),
        ([ERRORS, LIFT], "Nothing failed, but 1 check is open at this sample size"),
        ([LIFT, HIT], "Ready to ship by this policy: the one check passed."),
        ([SKIPPED], "Nothing could be judged"),
    ],
)
def test_the_verdict_in_one_sentence(make_run: MakeRun, findings: list[Finding], sentence: str) -> None:
    assert headline(make_run(findings)).startswith(sentence)


def test_several_failures_name_the_gravest(make_run: MakeRun) -> None:
    broken = replace(ERRORS, estimate=0.5, ci=(0.4, 0.6))
    assert headline(make_run([broken, FLIP])).startswith(
        "Not ready to ship: 2 checks fail. The gravest is “Typing slips"
    )


def test_an_unfinished_run_decides_nothing(make_run: MakeRun) -> None:
    assert headline(make_run([LIFT], status="stopped")).startswith("This run is unfinished")


@pytest.mark.parametrize(
    ("ci", "words"),
    [
        ((0.05, 0.15), "it is better than plain popularity by 0.100"),
        ((-0.05, 0.25), "it is not shown to differ from plain popularity"),
        ((0.0, 0.2), "not shown to differ"),
    ],
)
def test_better_needs_an_interval_above_zero(make_run: MakeRun, ci: tuple[float, float], words: str) -> None:
    answer = answers(make_run([HIT, replace(LIFT, ci=ci)]))["Is it any good?"]
    assert words in answer
    assert "among the first 10 for 62% of 50 users [50%, 70%]" in answer


HISTORY = replace(LIFT, metric="history_use", title="lost", params={"ablation": "history_emptied", "metric": "ndcg"})


@pytest.mark.parametrize(
    ("estimate", "ci", "words"),
    [
        (0.1, (0.05, 0.15), "Yes: with the history taken away, NDCG falls by 0.100 [0.050, 0.150]."),
        (0.01, (-0.05, 0.07), "That is not shown to help"),
        (-0.1, (-0.15, -0.05), "NDCG rises by 0.100 [0.050, 0.150]."),
    ],
)
def test_use_of_the_history(make_run: MakeRun, estimate: float, ci: tuple[float, float], words: str) -> None:
    moved = replace(HIT, metric="history_effect", params=HISTORY.params, note="the order changed for 9 of 50 users")
    assert words in answers(make_run([replace(HISTORY, estimate=estimate, ci=ci), moved]))["Does it use the history?"]


def test_a_history_that_is_not_read_is_a_plain_no(make_run: MakeRun) -> None:
    lost = replace(HISTORY, estimate=0.0, ci=(-0.04, 0.04))
    stays = replace(
        HIT,
        metric="history_change_rate",
        params={"ablation": "history_emptied"},
        estimate=0.0,
        ci=(0.0, 0.037),
        n=100,
        verdict="fail",
    )
    answer = answers(make_run([lost, stays]))["Does it use the history?"]
    assert answer == (
        "No: with the history taken away, 0% of 100 users get another answer, and at most 3.7% of all users would."
    )


def test_a_second_metric_is_told_but_does_not_decide(make_run: MakeRun) -> None:
    judged = replace(HISTORY, estimate=0.08, ci=(-0.01, 0.15), params={**HISTORY.params, "metric": "auc"})
    other = replace(HISTORY, params={**HISTORY.params, "metric": "uauc"})
    answer = answers(make_run([judged, other]))["Does it use the history?"]
    assert answer.startswith("That is not shown: the AUC lost without it is 0.080 [−0.010, 0.150]")
    assert answer.endswith("UAUC does fall without it, by 0.100 [0.050, 0.150].")


def test_the_worst_attack_is_named_with_its_excess_over_the_floor(make_run: MakeRun) -> None:
    mild = replace(FLIP, title="Other: lost", params={"attack": "other"}, effect=0.35)
    answer = answers(make_run([FLIP, mild]))["Which attack hurts most?"]
    assert "Of 2 attacks tried, “Typing slips” costs most: 40% [30%, 50%]" in answer
    assert "noise floor of 10%" in answer


def test_no_attack_is_blamed_without_evidence(make_run: MakeRun) -> None:
    answer = answers(make_run([replace(FLIP, effect=0.05, effect_ci=(-0.01, 0.11))]))["Which attack hurts most?"]
    assert answer.startswith("The one attack tried is not shown to cost quality beyond the noise floor.")
    assert "5% [−1%, 11%]" in answer


def test_unreadable_answers_are_counted(make_run: MakeRun) -> None:
    broken = replace(ERRORS, estimate=0.1, ci=(0.05, 0.2))
    refused = replace(ERRORS, metric="refused_rate", estimate=0.04, ci=(0.01, 0.1))
    assert "10% of the answers failed." in answers(make_run([broken]))["Can its answers be read?"]
    both = answers(make_run([broken, refused]))["Can its answers be read?"]
    assert "14% of the answers were lost (4% refused and 10% failed)" in both
    assert "Every answer could be read." in answers(make_run([ERRORS]))["Can its answers be read?"]


def test_untested_is_said_not_to_pass(make_run: MakeRun) -> None:
    answer = answers(make_run([LIFT, SKIPPED]))["What was not tested?"]
    assert answer == "“One inserted not”: the target reads no text. What was not tested does not count as passed."


def test_the_sample_size_counts_users_not_units_of_a_finding(make_run: MakeRun) -> None:
    """A flip rate on 10 hits of 50 users: 40 hits would settle it, and those take 200 users."""
    open_flip = replace(FLIP, n=10, verdict="inconclusive", n_to_settle=40)
    assert users_to_settle(open_flip, 50) == 200
    assert users_to_settle(replace(open_flip, n_to_settle=None), 50) is None
    assert "users would settle the open check." in answers(make_run([ERRORS]))["What next?"]


def test_a_clean_run_is_a_baseline(make_run: MakeRun) -> None:
    assert "recaudit diff" in answers(make_run([LIFT]))["What next?"]
