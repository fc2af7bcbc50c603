"""Claims from votes: exact ones against an exhaustive adversary, sampled ones against their error level."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers import request

from audit.defense import Claim
from audit.types import Answer, Ranked, Request
from defenses.smoothing.certify import SCALE, Sample, Setting, from_all, from_sample
from defenses.smoothing.kernels import Kernel
from defenses.smoothing.votes import Counting, Votes

SCORE = request(task="score", candidates=3)
IDS = tuple(item.id for item in SCORE.candidates or ())


def votes_of(
    scores: Sequence[Sequence[float] | None], asked: Request = SCORE, counting: Counting | None = None
) -> Votes:
    """Votes from the probabilities, or lists, that each copy gives."""
    answers = []
    for row in scores:
        if row is None:
            answers.append(Answer(outcome="refused"))
        elif asked.task == "score":
            answers.append(Answer(tuple(Ranked(i, "", s) for i, s in zip(IDS, row, strict=True))))
        else:
            answers.append(Answer(tuple(Ranked(f"i{int(n)}") for n in row)))
    return (counting or Counting()).votes(asked, answers)


def setting(units: int, kept: int, counting: Counting | None = None, **fields: Any) -> Setting:
    return Setting(Kernel("K2", kept), units, counting or Counting(), **fields)


def radii(claims: Sequence[Claim], kind: str = "substitution") -> list[int]:
    return [c.radius[kind] for c in claims]  # type: ignore[index]


# All copies known -----------------------------------------------------------------------------------------------------


def test_claims_of_scores_say_what_was_decided_and_how_far_it_holds() -> None:
    sets = list(itertools.combinations(range(10), 1))
    found = from_all(SCORE, votes_of([[0.9, 0.2, 0.9 if u < 6 else 0.1] for (u,) in sets]), sets, setting(10, 1), {})
    assert [c.statement for c in found.claims] == ["yes", "no", "yes"]
    # All of ten: four may go. Six of ten: one substitution leaves five against five.
    assert radii(found.claims) == [4, 4, 0]
    assert radii(found.claims, "insertion") == [9, 9, 1]
    # Removing one of the six leaves 5 of 9; two, 4 of 8.
    assert radii(found.claims, "deletion") == [9, 9, 1]
    assert [c.votes for c in found.claims] == [10, 10, 6]
    assert [c.lower for c in found.claims] == [1.0, 1.0, 0.6]


def test_a_tie_is_answered_and_not_certified() -> None:
    sets = list(itertools.combinations(range(4), 1))
    claims = from_all(
        SCORE, votes_of([[0.9, 0.6, 0.0], [0.9, 0.6, 0.0], [0.4] * 3, [0.4] * 3]), sets, setting(4, 1), {}
    )
    assert [c.statement for c in claims.claims] == ["yes", "no", "no"]  # by the mean at even votes
    assert radii(claims.claims) == [-1, -1, 1]


def test_failures_are_votes_for_nobody() -> None:
    sets = list(itertools.combinations(range(10), 1))
    rows = [[0.9] * 3] * 6 + [None] * 4
    found = from_all(SCORE, votes_of(rows), sets, setting(10, 1), {})
    # 6 for, none against: after r substitutions 6 - r against r.
    assert radii(found.claims) == [2, 2, 2]
    assert found.claims[0].lower == 0.6
    assert from_all(SCORE, votes_of([None] * 10), sets, setting(10, 1), {}).reason


def test_mean_scores_are_certified_by_their_sums() -> None:
    counting = Counting(rule="mean")
    sets = list(itertools.combinations(range(10), 1))
    found = from_all(SCORE, votes_of([[1.0, 0.75, 0.25]] * 10, counting=counting), sets, setting(10, 1, counting), {})
    # r substitutions leave 1 - r / 10 against one half; .75 - .75 r / 10; and .25 (1 - r / 10) + r / 10.
    assert radii(found.claims) == [4, 3, 3]
    assert [c.statement for c in found.claims] == ["yes", "yes", "no"]
    assert found.claims[1].lower == pytest.approx(0.75)
    assert SCALE * 5000 < 2**63


def test_insertions_are_certified_no_further_than_asked() -> None:
    sets = list(itertools.combinations(range(10), 1))
    found = from_all(SCORE, votes_of([[0.9] * 3] * 10), sets, setting(10, 1), {"insertion": 2})
    assert radii(found.claims, "insertion") == [2, 2, 2]
    assert radii(found.claims) == [4, 4, 4]


def test_the_released_code_is_kept_apart() -> None:
    sets = list(itertools.combinations(range(20), 1))
    rows = [[0.9 if u < 12 else 0.1] * 3 for (u,) in sets]
    heuristic = from_all(SCORE, votes_of(rows), sets, setting(20, 1, heuristic=True), {})
    assert heuristic.claims[0].radius == {"substitution": 4}
    assert from_all(SCORE, votes_of(rows), sets, setting(20, 1), {}).claims[0].radius["substitution"] == 1
    rank = request(candidates=3, k=1)
    lists = votes_of([[4]] * 20, rank)
    assert "decisions only" in from_all(rank, lists, sets, setting(20, 1, heuristic=True), {}).reason
    assert "decisions only" in from_sample(rank, Sample(lists, lists, 0.01), setting(20, 1, heuristic=True)).reason


def test_claims_of_lists_cover_all_candidates() -> None:
    asked = request(history=5, candidates=4, k=2)
    sets = list(itertools.combinations(range(5), 1))
    found = from_all(asked, votes_of([[5, 6]] * 5, asked), sets, setting(5, 1), {})
    assert {c.item_id: c.statement for c in found.claims} == {
        "i5": "in_top_k",
        "i6": "in_top_k",
        "i7": "not_in_top_k",
        "i8": "not_in_top_k",
    }
    # Two others would have to come up from nothing: 5 - r against r slots each.
    assert radii(found.claims) == [2, 2, 2, 2]


def test_lists_by_place_scores() -> None:
    counting = Counting(rule="mean")
    asked = request(history=5, candidates=5, k=1)
    # Depth 1 would hide it: the second place is worth three quarters.
    counting = Counting(rule="mean", depth=2)
    lists = votes_of([[5, 6]] * 5, asked, counting)
    found = from_all(asked, lists, list(itertools.combinations(range(5), 1)), setting(5, 1, counting), {})
    assert found.claims[0].item_id == "i5"
    # 5 against 3.75; one substitution: 4 against 3 + 1.
    assert found.claims[0].radius["substitution"] == 0
    assert found.claims[0].lower == 1.0
    assert found.claims[1].upper == pytest.approx(0.75, abs=1e-9)


# Samples --------------------------------------------------------------------------------------------------------------


def test_statements_come_from_one_sample_and_bounds_from_another() -> None:
    one = request(task="score", candidates=1)
    yes, no = ([Answer((Ranked("i4", "", s),))] * 1000 for s in (0.9, 0.1))
    counting = Counting()
    mostly = counting.votes(one, yes[:860] + no[:140])
    found = from_sample(one, Sample(counting.votes(one, yes[:100]), mostly, 0.001), setting(20, 2))
    (claim,) = found.claims
    assert claim.statement == "yes"
    assert claim.lower == pytest.approx(0.8232, abs=5e-5)
    assert claim.radius["substitution"] == 3
    # Chosen as no on the first sample: the second does not bear it out.
    (claim,) = from_sample(one, Sample(counting.votes(one, no[:100]), mostly, 0.001), setting(20, 2)).claims
    assert claim.statement == "no"
    assert set(claim.radius.values()) == {-1}


def test_alpha_is_split_over_candidates_parts_and_items_on_offer() -> None:
    rows = [[0.9] * 3] * 100
    alone = from_sample(SCORE, Sample(votes_of(rows), votes_of(rows), 0.01), setting(20, 2))
    assert alone.family == 3
    assert alone.claims[0].lower == pytest.approx((0.01 / 3) ** (1 / 100))
    assert from_sample(SCORE, Sample(votes_of(rows), votes_of(rows), 0.01, parts=5), setting(20, 2)).family == 15
    asked = request(candidates=None, k=2)
    lists = votes_of([[7, 8]] * 100, asked)
    known = from_sample(asked, Sample(lists, lists, 0.01, catalog_size=50), setting(20, 2))
    assert known.family == 52
    assert "catalog" in from_sample(asked, Sample(lists, lists, 0.01), setting(20, 2)).reason
    assert from_sample(SCORE, Sample(votes_of([None]), votes_of([None]), 0.01), setting(20, 2)).reason


def test_an_unseen_item_is_a_rival_too() -> None:
    asked = request(candidates=None, k=1)
    few = votes_of([[7]] * 6 + [[8]] * 4, asked)
    listed = from_sample(asked, Sample(few, few, 0.05, catalog_size=2), setting(20, 2)).claims
    open_ = from_sample(asked, Sample(few, few, 0.05, catalog_size=1000), setting(20, 2)).claims
    # Nothing is said of i8: whoever puts i7 into the history takes it off the list.
    assert [c.item_id for c in listed] == [c.item_id for c in open_] == ["i7"]
    assert open_[0].lower < listed[0].lower  # the family is larger


def test_what_the_user_has_competes_only_where_an_edit_may_take_it_away() -> None:
    counting = Counting(depth=2)
    asked = request(history=10, candidates=None, k=1)
    # Every copy lists i1, which the user has, before i25.
    sets = list(itertools.combinations(range(10), 1))
    all_ = from_all(asked, votes_of([[1, 25]] * 10, asked, counting), sets, setting(10, 1, counting), {})
    lists = votes_of([[1, 25]] * 500, asked, counting)
    drawn = from_sample(asked, Sample(lists, lists, 0.01, catalog_size=50), setting(10, 1, counting))
    for (claim,) in (all_.claims, drawn.claims):
        assert claim.item_id == "i25"
        assert (claim.radius["substitution"], claim.radius["deletion"]) == (0, 0)
        assert claim.radius["insertion"] >= 7


def small_world(rng: np.random.Generator, units: int, kept: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    sets = list(itertools.combinations(range(units), kept))
    return sets, rng.random((len(sets), 3)) < rng.choice([0.25, 0.6, 0.8, 0.95], size=3)


def table(rows: np.ndarray) -> Votes:
    return Votes(IDS, rows, np.where(rows, 0.75, 0.25), np.ones(len(rows), dtype=bool), dict.fromkeys(IDS, ""), {})


@pytest.mark.parametrize("rule", ["share", "mean"])
def test_sampled_bounds_are_wrong_no_more_often_than_alpha(rule: str) -> None:
    """2,000 repetitions: how often any statement about a request claims more than is true of the smoothed target."""
    rng = np.random.default_rng(3)
    alpha, repetitions, n = 0.2, 2_000, 60
    counting = Counting(rule=rule)  # type: ignore[arg-type]
    wrong = claims = 0
    for _ in range(repetitions):
        sets, cast = small_world(rng, 8, 2)
        chosen = setting(8, 2, counting)
        true = table(cast)
        mass = true.yes / len(sets) if rule == "share" else true.mean
        drawn = [table(cast[rng.integers(len(sets), size=size)]) for size in (20, n)]
        found = from_sample(SCORE, Sample(drawn[0], drawn[1], alpha), chosen)
        assert found.family == 3
        false = False
        for i, claim in enumerate(found.claims):
            share = float(mass[i] if claim.statement == "yes" else 1 - mass[i])
            false |= claim.lower > share
            claims += claim.radius["substitution"] >= 0
        wrong += false
    assert wrong <= alpha * repetitions
    assert claims > 1_000  # it is not for want of claims
    if rule == "share":
        assert wrong > 0  # and not for want of sampling error


def test_sampled_radii_are_not_above_the_exact_ones_more_often_than_alpha() -> None:
    """What counts in the end: a claimed radius inside which some edit does tip the decision."""
    rng = np.random.default_rng(4)
    alpha, repetitions, wrong, positive = 0.2, 2_000, 0, 0
    for number in range(repetitions):
        if number % 50 == 0:
            chosen = setting(7, 1)
            sets, cast = small_world(rng, 7, 1)
            exact = true_radii(SCORE, table(cast), sets, chosen)
        drawn = [table(cast[rng.integers(len(sets), size=size)]) for size in (20, 80)]
        found = from_sample(SCORE, Sample(drawn[0], drawn[1], alpha), chosen).claims
        wrong += any(c.radius["substitution"] > exact.get((c.item_id, c.statement), -1) for c in found)
        positive += sum(c.radius["substitution"] > 0 for c in found)
    assert wrong <= alpha * repetitions
    assert positive > 500


def true_radii(
    asked: Request, votes: Votes, sets: Sequence[tuple[int, ...]], chosen: Setting
) -> dict[tuple[str, str], int]:
    """Of every statement that holds, from all copies; `test_topk` and `test_radii` hold these against brute force."""
    claims = from_all(asked, votes, sets, chosen, {}).claims
    return {(c.item_id, c.statement): c.radius["substitution"] for c in claims}


def test_sampled_lists_are_wrong_no_more_often_than_alpha() -> None:
    rng = np.random.default_rng(6)
    asked = request(candidates=6, k=2)
    names = [item.id for item in asked.candidates or ()]
    alpha, repetitions, wrong, certified = 0.2, 2_000, 0, 0

    def voted(rows: np.ndarray) -> Votes:
        read = np.ones(len(rows), dtype=bool)
        return Votes(tuple(names), rows, rows.astype(float), read, dict.fromkeys(names, ""), {})

    for number in range(repetitions):
        if number % 50 == 0:
            taste = rng.gamma(0.3, size=6) + 1e-3
            sets = list(itertools.combinations(range(8), 1))
            cast = np.zeros((len(sets), 6), dtype=bool)
            for row in range(len(sets)):
                cast[row, rng.choice(6, size=2, replace=False, p=taste / taste.sum())] = True
            true = true_radii(asked, voted(cast), sets, setting(8, 1))
        drawn = [voted(cast[rng.integers(len(sets), size=size)]) for size in (30, 150)]
        found = from_sample(asked, Sample(drawn[0], drawn[1], alpha), setting(8, 1))
        assert found.family == 6 + sum(c.statement == "in_top_k" for c in found.claims)
        said = [c for c in found.claims if c.radius["substitution"] >= 0]
        wrong += any(c.radius["substitution"] > true.get((c.item_id, c.statement), -1) for c in said)
        certified += len(said)
    assert wrong <= alpha * repetitions
    assert certified > 1_000


def test_the_exact_share_is_a_fraction_and_no_float() -> None:
    sets = list(itertools.combinations(range(10), 1))
    rows = [[0.9 if u < 8 else 0.1] * 3 for (u,) in sets]
    found = from_all(SCORE, votes_of(rows), sets, setting(10, 1), {})
    # 8 - 3 = 5 of 10 is a tie; .8 - .3 in floating point is above one half.
    assert radii(found.claims) == [2, 2, 2]
    assert Fraction(8, 10) - Fraction(3, 10) == Fraction(1, 2)
