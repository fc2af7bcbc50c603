"""Fair decisions: a planted gap of yes between groups is closed on other users, and what is unknown is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import Scripted
from world import make_world

from audit.data.cases import scoring_cases
from audit.errors import ConfigError
from audit.target import Insight
from audit.types import Answer, Ranked, Request
from defenses.fairness.decisions import FairReduction, FairThresholds

WORLD = make_world(users=160)
UNDER_AUDIT = frozenset(list(WORLD.user_ids)[:60])
OTHERS = WORLD.without_users(UNDER_AUDIT)


def harsh_on_women(request: Request) -> Answer:
    """Noisy scores that are lower for one gender."""
    rng = np.random.default_rng(int(request.digest[:8], 16))
    shift = -0.3 if request.user.attributes.get("gender") == "F" else 0.0
    return Answer(
        tuple(
            Ranked(item.id, item.title, float(np.clip(rng.uniform(0.2, 0.9) + shift, 0.0, 1.0)))
            for item in request.candidates or ()
        )
    )


def target(answer: Any = harsh_on_women) -> Scripted:
    return Scripted(answer, tasks=("score",), reveals=frozenset({Insight.SCORES}), fingerprint="fair")


def audited() -> list[Request]:
    cases = scoring_cases(WORLD, users=None, targets=6, rng=np.random.default_rng(1), history=8, part="train")
    return [c.request for c in cases if c.unit in UNDER_AUDIT]


def yes_by_gender(answers: list[Answer], requests: list[Request]) -> dict[str, float]:
    said: dict[str, list[bool]] = {"F": [], "M": []}
    for request, answer in zip(requests, answers, strict=True):
        said[str(request.user.attributes["gender"])] += [(s or 0.0) > 0.5 for s in answer.scores]
    return {group: float(np.mean(yes)) for group, yes in said.items()}


def test_thresholds_of_their_own_close_the_gap_on_other_users() -> None:
    requests = audited()
    bare = target()
    before = yes_by_gender(list(bare.recommend(requests)), requests)
    assert before["M"] - before["F"] > 0.3
    made = FairThresholds(OTHERS, targets=6, history=8).protect(bare)
    answers = list(made.recommend(requests))
    after = yes_by_gender(answers, requests)
    assert abs(after["M"] - after["F"]) < 0.15
    for request, answer in zip(requests, answers, strict=True):
        assert list(answer.ids) == [item.id for item in request.candidates or ()]


def test_the_order_within_yes_and_within_no_is_the_target_s() -> None:
    requests = audited()[:10]
    bare = target()
    made = FairThresholds(OTHERS, targets=6, history=8).protect(bare)
    for before, after in zip(bare.recommend(requests), made.recommend(requests), strict=True):
        for side in (True, False):
            kept = [i for i, s in enumerate(after.scores) if ((s or 0.0) > 0.5) is side]
            assert sorted(kept, key=lambda i: before.scores[i] or 0.0) == sorted(
                kept, key=lambda i: after.scores[i] or 0.0
            )


def test_who_was_not_fitted_on_is_refused_with_the_reason() -> None:
    made = FairThresholds(OTHERS, targets=6, history=8).protect(target())
    request = audited()[0]
    other, unknown = (replace(request, user=replace(request.user, attributes=known)) for known in ({"gender": "X"}, {}))
    answers = made.recommend([other, unknown])
    assert [a.outcome for a in answers] == ["refused", "refused"]
    assert answers[0].detail == "the user's gender is 'X'; thresholds were fitted for F, M"
    assert "not known" in answers[1].detail


def test_lots_are_part_of_the_question() -> None:
    requests = audited()[:20]
    made = FairThresholds(OTHERS, targets=6, history=8).protect(target())
    assert made.recommend_draws(requests, [1] * 20) == made.recommend_draws(requests, [1] * 20)
    assert made.info.randomised
    assert (
        made.info.fingerprint != FairThresholds(OTHERS, targets=6, history=8, seed=1).protect(target()).info.fingerprint
    )


def test_the_reduction_needs_no_group_at_prediction() -> None:
    requests = audited()
    made = FairReduction(OTHERS, targets=6, history=8).protect(target())
    blind = [replace(r, user=replace(r.user, attributes={})) for r in requests]
    assert all(a.outcome == "ok" for a in made.recommend(blind))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FairThresholds(OTHERS, attribute="shoe"), "no column 'shoe'"),
        (lambda: FairThresholds(OTHERS, goal="luck"), "goal: 'luck'"),  # type: ignore[arg-type]
        (lambda: FairReduction(OTHERS, slack=0), "slack: 0"),
        (lambda: FairThresholds(OTHERS, users=0), "users: 0"),
        (lambda: FairThresholds(OTHERS, users=2).protect(target()), "too few to fit it; raise users"),
        (
            lambda: FairThresholds(OTHERS).protect(
                target(lambda r: Answer(tuple(Ranked(i.id, score=7.0) for i in r.candidates or ())))
            ),
            "are no chances",
        ),
    ],
)
def test_a_mistake_is_one_sentence(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
