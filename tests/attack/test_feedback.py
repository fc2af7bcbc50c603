"""What an adversary can read: losses against SciPy, and never a success in an answer that cannot be read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import catalog, request
from scipy.special import log_softmax, logsumexp

from audit.attack import Goal, Objective, feedback_for
from audit.metrics import rbo
from audit.target import Input, Insight, TargetInfo
from audit.types import Answer, Ranked

SCORED = TargetInfo("scored", honours=frozenset({Input.HISTORY}), reveals=frozenset({Insight.SCORES}))
SCORES_ITEMS = TargetInfo("both", tasks=("rank", "score"), reveals=frozenset({Insight.SCORES}))
LISTS = TargetInfo("lists")
DEGRADE, PROMOTE = Objective(Goal.DEGRADE), Objective(Goal.PROMOTE, item_id="i8")


def listed(scores: dict[str, float | None]) -> Answer:
    return Answer(tuple(Ranked(name, name, score) for name, score in scores.items()))


SHOWN = {"i4": 2.0, "i5": 1.0, "i6": 0.5, "i7": -1.0, "i8": -3.0}


def test_a_scored_list_gives_the_negative_log_likelihood_of_the_truth() -> None:
    feedback = feedback_for(SCORED, request(), listed(SHOWN), DEGRADE, frozenset({"i5", "i7"}), catalog())
    assert feedback is not None
    truth = -logsumexp(log_softmax(list(SHOWN.values()))[[1, 3]])
    assert feedback.loss(listed(SHOWN)) == pytest.approx(truth)
    assert feedback.ask(request(k=2)).k == 5  # the tail of the list is asked for too
    raised = feedback_for(SCORED, request(), listed(SHOWN), PROMOTE, None, catalog())
    assert raised is not None
    assert raised.loss(listed(SHOWN)) == pytest.approx(log_softmax(list(SHOWN.values()))[4])


def test_a_catalogue_ranker_is_asked_for_the_score_of_one_item() -> None:
    asked = request(candidates=None)
    feedback = feedback_for(SCORES_ITEMS, asked, listed(SHOWN), DEGRADE, frozenset({"i9"}), catalog())
    assert feedback is not None
    question = feedback.ask(asked)
    assert (question.task, [c.id for c in question.candidates or ()]) == ("score", ["i9"])
    assert (question.instruction, question.user) == (asked.instruction, asked.user)
    assert feedback.loss(listed({"i9": -4.5})) == 4.5
    assert feedback.about == {"i9"}


def test_a_bare_list_gives_the_discounted_gain_and_a_slope() -> None:
    asked = request(candidates=None)
    clean = listed(dict.fromkeys(("i10", "i11", "i12")))
    feedback = feedback_for(LISTS, asked, clean, DEGRADE, frozenset({"i11"}), catalog())
    assert feedback is not None
    assert feedback.loss(clean) == pytest.approx(1 - 1 / math.log2(3))
    gone = listed(dict.fromkeys(("i10", "i13", "i12")))
    moved = 1 - rbo(("i10", "i11", "i12"), ("i10", "i13", "i12"))
    assert feedback.loss(gone) == pytest.approx(1 + 0.1 * moved)
    assert feedback.ask(asked) is asked


@pytest.mark.parametrize("known", [True, False])
def test_decisions_are_turned_away_from_the_truth_or_from_what_was_said(known: bool) -> None:
    asked = request(task="score", candidates=3)
    clean = listed({"i4": 0.9, "i5": 0.2, "i6": 0.7})
    truth = frozenset({"i5"}) if known else None
    feedback = feedback_for(SCORED, asked, clean, Objective(Goal.FLIP), truth, catalog())
    assert feedback is not None
    said = np.array([0.9, 0.2, 0.7])
    right = np.array([False, True, False]) if known else said > 0.5
    assert feedback.loss(clean) == pytest.approx(-np.log(np.where(right, said, 1 - said)).mean())


@pytest.mark.parametrize("outcome", ["refused", "unparsable", "error"])
def test_no_failed_answer_is_a_success(outcome: str) -> None:
    for info in (SCORED, LISTS):
        feedback = feedback_for(info, request(), listed(SHOWN), DEGRADE, frozenset({"i5"}), catalog())
        assert feedback is not None
        assert feedback.loss(Answer(outcome=outcome, detail="x")) == -math.inf  # type: ignore[arg-type]
        assert feedback.loss(Answer()) == -math.inf


def test_scores_that_are_no_numbers_are_no_success() -> None:
    feedback = feedback_for(SCORED, request(), listed(SHOWN), DEGRADE, frozenset({"i5"}), catalog())
    assert feedback is not None
    assert feedback.loss(listed({**SHOWN, "i4": math.inf})) == -math.inf
    assert feedback.loss(listed({**SHOWN, "i4": math.nan})) == -math.inf


def test_without_a_readable_clean_answer_there_is_nothing_to_attack_label_free() -> None:
    lost = Answer(outcome="refused", detail="no")
    assert feedback_for(SCORED, request(), lost, DEGRADE, None, catalog()) is None
    assert feedback_for(SCORED, request(task="score"), lost, Objective(Goal.FLIP), None, catalog()) is None
    assert feedback_for(SCORED, request(), lost, DEGRADE, frozenset({"i5"}), catalog()) is not None


def test_label_free_it_is_the_first_choice_that_should_fall() -> None:
    feedback = feedback_for(SCORED, request(), listed(SHOWN), DEGRADE, None, catalog())
    assert feedback is not None
    assert feedback.about == {"i4"}
