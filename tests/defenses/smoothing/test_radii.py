"""Kernels and radii: facts, published code's mistakes, and brute force over every edit of small requests."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.stats import clopper_pearson
from defenses.smoothing.kernels import Kernel, Shift
from defenses.smoothing.radii import (
    HALF,
    World,
    decisions_hold,
    exact_radii,
    largest,
    radius,
    reach,
    released_radius,
)

K2 = Kernel("K2", 2)


def delta(units: int, kept: int, edits: int) -> Fraction:
    """Share of kept sets that touch the first units, counted one by one."""
    sets = list(itertools.combinations(range(units), kept))
    return Fraction(sum(any(i < edits for i in s) for s in sets), len(sets))


# Facts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("units", "kept"), [(20, 2), (20, 18), (10, 3), (7, 7), (50, 5)])
def test_one_edited_unit_touches_k_of_h(units: int, kept: int) -> None:
    shift = Kernel("K2", kept).shift(units, "substitution", 1)
    assert shift is not None
    assert shift.lost == shift.added == Fraction(kept, units)
    assert shift.scale == 1


@pytest.mark.parametrize("name", ["K1", "K2"])
def test_keeping_most_certifies_nothing_and_keeping_little_does(name: str) -> None:
    share = Fraction("0.99")
    assert radius(Kernel(name, 18), 20, "substitution", share) == 0  # type: ignore[arg-type]
    assert radius(Kernel(name, 2), 20, "substitution", share) == 5  # type: ignore[arg-type]


def test_keeping_half_certifies_nothing_even_with_all_votes() -> None:
    for units in range(1, 21):
        for kept in range(math.ceil(units / 2), units + 1):
            assert radius(Kernel("K2", kept), units, "substitution", Fraction(1)) == 0


def test_860_of_1000() -> None:
    lower = clopper_pearson(860, 1000, 1 - 0.001, side="lower").low
    assert lower == pytest.approx(0.8232, abs=5e-5)
    assert radius(K2, 20, "substitution", Fraction(lower)) == 3


@pytest.mark.parametrize(
    ("units", "kept", "edits", "needed"),
    [(10, 1, 1, 0.60), (10, 1, 3, 0.80), (10, 2, 1, 0.70), (20, 2, 2, 0.695), (20, 3, 3, 0.904), (50, 5, 2, 0.692)],
)
def test_share_needed_for_a_substitution(units: int, kept: int, edits: int, needed: float) -> None:
    shift = Kernel("K2", kept).shift(units, "substitution", edits)
    assert shift is not None
    assert float(HALF + shift.lost) == pytest.approx(needed, abs=6e-4)


@pytest.mark.parametrize(
    ("units", "kept", "edits", "needed"),
    [(10, 2, 1, 0.611), (10, 2, 2, 0.733), (10, 2, 3, 0.867), (20, 3, 1, 0.583), (20, 3, 3, 0.777)],
)
def test_share_needed_for_an_insertion(units: int, kept: int, edits: int, needed: float) -> None:
    shift = Kernel("K2", kept).shift(units, "insertion", edits)
    assert shift is not None
    assert float(HALF / shift.scale) == pytest.approx(needed, abs=6e-4)


@pytest.mark.parametrize(("drop", "all_", "most"), [(0.6, 1, 0), (0.7, 1, 1), (0.8, 3, 2), (0.9, 6, 4), (0.95, 13, 9)])
def test_independent_drops(drop: float, all_: int, most: int) -> None:
    kernel = Kernel("K3", drop=drop)
    for kind in ("substitution", "insertion"):
        assert radius(kernel, 40, kind, Fraction(1)) == all_  # type: ignore[arg-type]
    assert radius(kernel, 40, "substitution", Fraction("0.9")) == most


def test_a_tie_is_not_certified() -> None:
    # Ten units, one kept: a substitution takes a tenth, so 6 of 10 votes become exactly one half.
    assert radius(Kernel("K2", 1), 10, "substitution", Fraction(6, 10)) == 0
    assert radius(Kernel("K2", 1), 10, "substitution", Fraction(6, 10) + Fraction(1, 10**12)) == 1
    assert radius(Kernel("K2", 1), 10, "substitution", HALF) == -1
    # In floating point .8 - .3 is above one half.
    assert 0.8 - 0.3 >= 0.5
    assert radius(Kernel("K2", 1), 10, "substitution", Fraction(8, 10)) == 2


def test_a_radius_needs_every_smaller_one_too() -> None:
    assert largest(lambda r: r != 2, 9) == 1
    assert largest(lambda r: False, 9) == -1
    assert largest(lambda r: True, 9) == 9


def test_other_thresholds() -> None:
    assert radius(K2, 20, "substitution", Fraction(1), threshold=Fraction(9, 10)) == 0
    assert radius(K2, 20, "substitution", Fraction(1), threshold=Fraction(3, 10)) == 8
    shift = K2.shift(20, "substitution", 8)
    assert shift is not None
    assert 1 - shift.lost > Fraction(3, 10)


def test_marks_certify_substitutions_only() -> None:
    assert Kernel("K1").kinds == ("substitution",)
    assert Kernel("K1").shift(10, "insertion", 1) is None
    assert radius(Kernel("K1"), 10, "deletion", Fraction(1)) == -1 or Kernel("K1").shift(10, "deletion", 1) is None


def test_a_full_window_turns_an_insertion_into_a_substitution() -> None:
    assert K2.shift(10, "insertion", 2, window=10) == K2.shift(10, "substitution", 2)
    assert K2.shift(8, "insertion", 2, window=10) == K2.shift(8, "insertion", 2)
    assert K2.shift(10, "deletion", 1, window=10) == K2.shift(10, "substitution", 1)
    assert K2.shift(8, "deletion", 1, window=10) == K2.shift(8, "deletion", 1)
    assert Kernel("K3").shift(10, "insertion", 2, window=10) == Kernel("K3").shift(10, "substitution", 2)


# The published code ---------------------------------------------------------------------------------------------------


def test_the_heuristic_certifies_what_is_false() -> None:
    # The vote is right if and only if the kept word is one of the first twelve of twenty.
    kernel, share = Kernel("K1", 1), Fraction(12, 20)
    touched = delta(20, 1, 3)
    assert share - share * touched == Fraction("0.51")  # "certified"
    assert share - touched == Fraction("0.45")  # what three substitutions among the twelve leave
    # The released code reports the first failing radius on top of that.
    assert released_radius(kernel, 20, share, share) == 4
    assert radius(kernel, 20, "substitution", share) == 1
    votes = np.array([[int(i < 12)] for i in range(20)])
    world = World(kernel, 20, [(i,) for i in range(20)], votes, np.ones(20, dtype=bool))
    assert exact_radii(world, "substitution", only_yes, nothing(1)) == [1]


def test_the_released_code_is_one_too_many() -> None:
    kernel = Kernel("K1", 18)
    assert released_radius(kernel, 20, Fraction("0.99"), Fraction(1)) == 1
    assert radius(kernel, 20, "substitution", Fraction("0.99")) == 0
    assert released_radius(kernel, 20, HALF, HALF) == -1


# Brute force ----------------------------------------------------------------------------------------------------------


def only_yes(scenarios: object) -> np.ndarray:
    return decisions_hold(scenarios, np.array([True]), HALF)  # type: ignore[arg-type]


def nothing(count: int):
    return lambda edits: np.zeros(count, dtype=bool)


def after(votes: dict[tuple[int, ...], bool], units: int, kept: int, kind: str, edits: int) -> list[tuple[int, int]]:
    """(least, most) votes over all ways of making exactly `edits` edits, with the total: the adversary in person.

    Units are named, so that the copies of an edited request can be compared with those of the clean one: what holds
    only old names in their old order votes as before, and all others vote against.
    """
    found = []
    old = list(range(units))
    if kind == "insertion":
        # Positions do not matter for what is new, but the order of the old ones stays: enough to try all places once.
        ways = [[*old[:at], *(-1 - i for i in range(edits)), *old[at:]] for at in range(units + 1)]
    elif kind == "deletion":
        ways = [[u for u in old if u not in gone] for gone in itertools.combinations(old, edits)]
    else:
        ways = [[-1 - u if u in gone else u for u in old] for gone in itertools.combinations(old, edits)]
    for way in ways:
        copies = list(itertools.combinations(way, kept))
        yes = sum(all(u >= 0 for u in copy) and votes[copy] for copy in copies)
        found.append((yes, len(copies)))
    return found


@pytest.mark.parametrize("kind", ["substitution", "insertion", "deletion"])
def test_radii_of_random_functions_against_every_edit(kind: str) -> None:
    rng = np.random.default_rng(sum(map(ord, kind)))
    tight = closed_tight = 0
    for _ in range(300):
        units, kept = int(rng.integers(2, 8)), int(rng.integers(1, 4))
        if kept > units:
            continue
        sets = list(itertools.combinations(range(units), kept))
        # Votes that hang on single units, and scattered ones.
        liked = rng.random(units) < rng.choice([0.3, 0.7, 0.95])
        scattered = rng.choice([0.6, 0.75, 0.9]) if rng.random() < 0.5 else None
        votes = {s: bool(liked[list(s)].any() if scattered is None else rng.random() < scattered) for s in sets}
        share = Fraction(sum(votes.values()), len(sets))
        true = largest(
            lambda r: all(2 * yes > n for yes, n in after(votes, units, kept, kind, r)),  # noqa: B023
            units - kept if kind != "insertion" else 6,
        )
        closed = min(radius(Kernel("K2", kept), units, kind, share), 6 if kind == "insertion" else units)  # type: ignore[arg-type]
        world = World(
            Kernel("K2", kept), units, sets, np.array([[int(votes[s])] for s in sets]), np.ones(len(sets), dtype=bool)
        )
        (tried,) = exact_radii(world, kind, only_yes, nothing(1), most=6)  # type: ignore[arg-type]
        assert closed <= true
        assert tried == true
        tight += tried > closed
        closed_tight += closed == true
    assert closed_tight > 100
    # Insertions leave all old copies as they are, so there the bound is exact.
    assert (tight > 0) == (kind != "insertion")


def test_radii_of_no_and_of_failures_against_every_assignment() -> None:
    """Three outcomes per copy, and an adversary who tries every answer of every touched copy."""
    rng = np.random.default_rng(5)
    checked = 0
    for _ in range(400):
        units, kept = int(rng.integers(3, 6)), int(rng.integers(1, 3))
        threshold = Fraction(int(rng.choice([1, 2, 3])), 4)
        sets = list(itertools.combinations(range(units), kept))
        said = rng.choice([0, 1, 2], p=[0.45, 0.45, 0.1] if rng.random() < 0.5 else [0.85, 0.1, 0.05], size=len(sets))
        yes_now, read_now = int((said == 1).sum()), int((said != 2).sum())
        if read_now == 0:
            continue
        yes = Fraction(yes_now, read_now) > threshold
        world = World(Kernel("K2", kept), units, sets, np.array([[int(s == 1)] for s in said]), said != 2)

        def stands(edits: int) -> bool:
            for gone in itertools.combinations(range(units), edits):  # noqa: B023
                left = [s for s, t in zip(said, sets, strict=True) if not set(t) & set(gone)]  # noqa: B023
                free = len(sets) - len(left)  # noqa: B023
                for new_yes in range(free + 1):
                    for new_no in range(free - new_yes + 1):
                        total = sum(s != 2 for s in left) + new_yes + new_no
                        share = Fraction(sum(s == 1 for s in left) + new_yes, total) if total else threshold  # noqa: B023
                        if not (share > threshold if yes else share < threshold):  # noqa: B023
                            return False
            return True

        def holds(scenarios: object) -> np.ndarray:
            return decisions_hold(scenarios, np.array([yes]), threshold)  # type: ignore[arg-type]  # noqa: B023

        (found,) = exact_radii(world, "substitution", holds, nothing(1))
        assert found == largest(stands, units - kept)
        checked += found > 0
    assert checked > 40


def test_bounds_of_independent_drops_against_every_kept_set() -> None:
    """K3 over all 2^h kept sets with their probabilities, against the worst edit of each kind."""
    rng = np.random.default_rng(9)
    drop = Fraction(3, 5)
    kernel = Kernel("K3", drop=0.6)

    def chance(kept: int, units: int) -> Fraction:
        return (1 - drop) ** kept * drop ** (units - kept)

    for _ in range(60):
        units = int(rng.integers(2, 6))
        sets = [s for n in range(units + 1) for s in itertools.combinations(range(units), n)]
        votes = {s: bool(rng.random() < 0.8) and bool(s) for s in sets}
        share = sum((chance(len(s), units) for s in sets if votes[s]), Fraction(0))
        for edits in range(1, units):
            worst = {"substitution": Fraction(2), "insertion": Fraction(2), "deletion": Fraction(2)}
            for gone in itertools.combinations(range(units), edits):
                clean = [s for s in sets if not set(s) & set(gone) and votes[s]]
                worst["substitution"] = min(
                    worst["substitution"], sum((chance(len(s), units) for s in clean), Fraction(0))
                )
                worst["deletion"] = min(
                    worst["deletion"], sum((chance(len(s), units - edits) for s in clean), Fraction(0))
                )
            worst["insertion"] = sum((chance(len(s), units + edits) for s in sets if votes[s]), Fraction(0))
            for kind, least in worst.items():
                shift = kernel.shift(units, kind, edits)  # type: ignore[arg-type]
                assert shift is not None
                assert shift.lower(share) <= least
                if kind == "insertion":
                    assert shift.lower(share) == least


# Drawing and enumerating ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["K1", "K2"])
def test_draws_are_uniform_over_all_kept_sets(name: str) -> None:
    kernel = Kernel(name, 2)  # type: ignore[arg-type]
    every = list(kernel.enumerate(5))
    assert len(every) == kernel.count(5) == 10
    drawn = Counter(kernel.draw(5, 20_000, np.random.default_rng(0)))
    assert set(drawn) == set(every)
    # Chi-square with 9 degrees of freedom exceeds 27.9 with probability .001.
    assert sum((n - 2000) ** 2 / 2000 for n in drawn.values()) < 27.9


def test_independent_drops_keep_each_unit_alike_and_may_keep_none() -> None:
    drawn = Kernel("K3", drop=0.8).draw(4, 20_000, np.random.default_rng(0))
    kept = Counter(u for s in drawn for u in s)
    assert all(abs(kept[u] / 20_000 - 0.2) < 0.015 for u in range(4))
    assert abs(drawn.count(()) / 20_000 - 0.8**4) < 0.015
    with pytest.raises(ValueError, match="K3"):
        Kernel("K3").enumerate(4)


def test_draws_of_as_many_units_as_there_are() -> None:
    assert Kernel("K2", 3).draw(3, 4, np.random.default_rng(0)) == [(0, 1, 2)] * 4
    assert reach(Kernel("K2", 3), 3, "substitution") == 0


@pytest.mark.parametrize(
    ("kernel", "named"),
    [
        (Kernel("K9"), "kernel"),
        (Kernel("K2", 0), "kept"),
        (Kernel("K3", drop=1.0), "drop"),
        (Kernel("K3", drop=0), "drop"),
    ],  # type: ignore[arg-type]
)
def test_a_kernel_that_cannot_be_used_is_named(kernel: Kernel, named: str) -> None:
    with pytest.raises(ConfigError, match=f"defenses.ours.{named}"):
        kernel.check("ours")


def test_a_share_stays_a_share() -> None:
    shift = Shift(Fraction(1), Fraction(1, 2), Fraction(1, 2))
    assert shift.lower(Fraction(1, 4)) == 0
    assert shift.upper(Fraction(3, 4)) == 1


def test_a_world_holds_all_copies() -> None:
    with pytest.raises(ValueError, match="not all 10"):
        World(K2, 5, [(0, 1)], np.ones((1, 1), dtype=np.int64), np.ones(1, dtype=bool))
