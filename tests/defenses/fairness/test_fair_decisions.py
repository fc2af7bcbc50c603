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


def accuracy(answers: list[Answer], requests: list[Request]) -> float:
    """Share of decisions that agree with what the planted scores are made from."""
    right = [
        ((s or 0.0) > 0.5) is (merit > 0.5)
        for request, answer in zip(requests, answers, strict=True)
        for s, merit in zip(answer.scores, merits(request), strict=True)
    ]
    return float(np.mean(right))


def merits(request: Request) -> list[float]:
    rng = np.random.default_rng(int(request.user.id.encode().hex(), 16) % 2**32)
    return [float(rng.uniform()) for _ in request.candidates or ()]


def knows_but_is_harsh(request: Request) -> Answer:
    """Scores that follow what an item is worth to a user, and are lower for one gender."""
    shift = 0.3 if request.user.attributes.get("gender") == "F" else 0.0
    given = zip(request.candidates or (), merits(request), strict=True)
    return Answer(tuple(Ranked(item.id, item.title, max(0.0, merit - shift)) for item, merit in given))


def test_equal_thresholds_restore_what_a_shift_took_from_one_group() -> None:
    requests = audited()
    bare = target(knows_but_is_harsh)
    before = list(bare.recommend(requests))
    after = list(FairThresholds(OTHERS, targets=6, history=8).protect(bare).recommend(requests))
    gap = {name: yes_by_gender(found, requests) for name, found in (("before", before), ("after", after))}
    assert gap["before"]["M"] - gap["before"]["F"] > 0.2
    assert abs(gap["after"]["M"] - gap["after"]["F"]) < 0.15
    assert accuracy(before, requests) > 0.8, "the bare target is right about everybody whom it does not shift"


def test_a_target_that_is_even_already_is_hardly_changed() -> None:
    def even(request: Request) -> Answer:
        given = zip(request.candidates or (), merits(request), strict=True)
        return Answer(tuple(Ranked(item.id, item.title, merit) for item, merit in given))

    requests, bare = audited(), target(even)
    said = yes_by_gender(list(FairThresholds(OTHERS, targets=6, history=8).protect(bare).recommend(requests)), requests)
    plain = yes_by_gender(list(bare.recommend(requests)), requests)
    assert abs(said["M"] - said["F"]) < abs(plain["M"] - plain["F"]) + 0.1


def test_the_reduction_narrows_the_gap_and_what_it_costs_is_seen() -> None:
    requests = audited()
    bare = target(knows_but_is_harsh)
    before = list(bare.recommend(requests))
    after = list(FairReduction(OTHERS, targets=6, history=8, slack=0.02).protect(bare).recommend(requests))
    told, left = yes_by_gender(before, requests), yes_by_gender(after, requests)
    assert abs(left["M"] - left["F"]) < 0.6 * (told["M"] - told["F"])
    # All it sees is the score, so that it can balance groups only by heeding the score less.
    assert accuracy(after, requests) < accuracy(before, requests)


@pytest.mark.parametrize("score", [None, 1.5, -0.1])
def test_what_cannot_be_decided_is_refused(score: float | None) -> None:
    fitted = FairThresholds(OTHERS, targets=6, history=8).protect(target())

    def odd(request: Request) -> Answer:
        return Answer(tuple(Ranked(item.id, item.title, score) for item in request.candidates or ()))

    fitted.target = target(odd)
    (answer,) = fitted.recommend(audited()[:1])
    assert answer.outcome != "ok"
    assert answer.detail


def test_decisions_stay_scores_between_nothing_and_one() -> None:
    def sure(request: Request) -> Answer:
        return Answer(tuple(Ranked(i.id, i.title, n % 2 / 1.0) for n, i in enumerate(request.candidates or ())))

    fitted = FairThresholds(OTHERS, targets=6, history=8).protect(target())
    fitted.target = target(sure)
    for answer in fitted.recommend(audited()[:20]):
        assert all(s is not None and 0.0 <= s <= 1.0 for s in answer.scores)


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
