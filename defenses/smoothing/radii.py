"""Radii of decisions: how many units may be edited before the votes for yes or no can tip.

Two ways, both certificates: from a bound on the share of votes (`Kernel.shift`), and, where all kept sets are known, by
trying every set of units that an adversary can edit (`World`). The second is never weaker.

All comparisons are of integers or fractions: at ties floating point certifies what is false.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from audit.defense import EditKind
from defenses.smoothing.kernels import Kept, Kernel

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
HALF = Fraction(1, 2)
AFFORDABLE = 1_000_000_000
"""Most steps, attacked sets times kept sets times items, that trying every set may take."""
_BATCH = 2_000_000
_MANY = 1_000_000


def largest(holds: Callable[[int], bool], most: int) -> int:
    """The largest r up to `most` for which it holds, and for every smaller one too; -1 where it fails at once."""
    return next((r - 1 for r in range(most + 1) if not holds(r)), most)


def reach(kernel: Kernel, units: int, kind: EditKind) -> int:
    """The most edits that any certificate of this kernel could be about."""
    # Insertions always fail in the end, because new copies outnumber the old: a bound for the loop only.
    return _MANY if kind == "insertion" else units - kernel.fewest


def radius(
    kernel: Kernel,
    units: int,
    kind: EditKind,
    share: Fraction,
    *,
    threshold: Fraction = HALF,
    window: int | None = None,
) -> int:
    """The certified radius of a share of votes: the largest r after which more than `threshold` of them remain.

    This is the certificate of SelfDenoise and RanMASK with beta = 1: any smaller beta, such as their p̂, is a guess
    about the copies an adversary reaches, and not a bound.

    Args:
        kernel: which units copies keep.
        units: h.
        kind: of edit.
        share: a lower bound on the share of copies that vote so, of all copies.
        threshold: what must be exceeded.
        window: see `Kernel.shift`.

    Returns:
        At least 0; -1 where not even the share itself exceeds the threshold.
    """

    def holds(edits: int) -> bool:
        shift = kernel.shift(units, kind, edits, window=window)
        return shift is not None and shift.lower(share) > threshold

    return largest(holds, reach(kernel, units, kind))


def released_radius(kernel: Kernel, units: int, share: Fraction, beta: Fraction) -> int:
    """The number that the released code of SelfDenoise and RanMASK reports. It is not a certificate.

    The first r that *fails* p_L - beta Δ(r) > 1/2, one more than the radius, with the observed share of votes as beta.

    Returns:
        At least 1; -1 where p_L is not above one half.
    """
    if share <= HALF:
        return -1
    kept = kernel.kept

    def touched(edits: int) -> Fraction:
        return 1 - Fraction(math.comb(units - edits, kept), math.comb(units, kept))

    return next((r for r in range(units - kept + 1) if share - beta * touched(r) <= HALF), units - kept + 1)


@dataclass(frozen=True, eq=False)
class Scenarios:
    """What is left of the votes in each of some cases: untouched copies, and copies free for the adversary.

    Attributes:
        values: (B, M) sum of votes, or of scaled values, for each item over the untouched copies.
        read: (B,) untouched copies that were read.
        free: (B,) copies that the adversary may let vote as they like.
        gone: units that the request may have lost.
    """

    values: Ints
    read: Ints
    free: Ints
    gone: int = 0


Holds = Callable[[Scenarios], Bools]


@dataclass(frozen=True, eq=False)
class World:
    """All copies of one request, with their votes: what a certificate by trying every attacked set needs.

    Attributes:
        kernel: K1 or K2.
        units: h.
        kept: the kept set of every copy: all C(h, k) of them.
        values: (n, M) votes as 0 or 1, or scaled values, 0 in rows that were not read.
        read: (n,) bool.
        unit: what one full vote is worth in `values`.
        window: see `Kernel.shift`.
    """

    kernel: Kernel
    units: int
    kept: Sequence[Kept]
    values: Ints
    read: Bools
    unit: int = 1
    window: int | None = None

    def __post_init__(self) -> None:
        if len(self.kept) != self.kernel.count(self.units) or len(self.kept) != len(self.read):
            raise ValueError(f"kept: {len(self.kept)} sets are not all {self.kernel.count(self.units)}")

    @cached_property
    def _holds(self) -> Bools:
        """(n, h) whether the copy keeps the unit."""
        holds: Bools = np.zeros((len(self.kept), self.units), dtype=bool)
        holds[np.arange(len(self.kept))[:, None], np.array(self.kept, dtype=np.int64)] = True
        return holds

    def affordable(self, kind: EditKind, edits: int) -> bool:
        """Whether so many edits can be tried in all ways: in the time there is, and without unknown older units."""
        if self.window is not None:
            pushed_out = kind == "insertion" and self.units + edits > self.window
            if pushed_out or (kind == "deletion" and self.units >= self.window):
                return False
        sets = 1 if kind == "insertion" else math.comb(self.units, edits)
        return sets * self.values.size <= AFFORDABLE

    def scenarios(self, kind: EditKind, edits: int) -> Iterator[Scenarios]:
        """What is left after every way of making so many edits of a kind, in batches.

        Sets of fewer units need not be tried for a substitution: who edits more can do what who edits fewer can.
        """
        n = len(self.kept)
        if kind == "insertion":
            free = math.comb(self.units + edits, self.kernel.kept) - n
            whole = self.values.sum(axis=0, dtype=np.int64)[None]
            yield Scenarios(whole, np.array([self.read.sum()], dtype=np.int64), np.array([free], dtype=np.int64))
            return
        attacked = itertools.combinations(range(self.units), edits)
        size = max(1, _BATCH // n)
        while batch := list(itertools.islice(attacked, size)):
            hit = np.zeros((len(batch), n), dtype=bool)
            for column in zip(*batch, strict=True):
                hit |= self._holds[:, list(column)].T
            # Counts are exact as floats, whose products are far faster; scaled values may not be.
            number = np.float64 if self.unit == 1 else np.int64
            left = (~hit).astype(number)
            free = hit.sum(axis=1, dtype=np.int64)
            if kind == "deletion":
                free = np.zeros_like(free)
            values, read = left @ self.values.astype(number), left @ self.read.astype(number)
            yield Scenarios(values.astype(np.int64), read.astype(np.int64), free, edits)

    def every(self, kind: EditKind, edits: int, holds: Holds, needed: Bools) -> Bools:
        """Which statements hold in every scenario.

        Args:
            kind: of edit.
            edits: how many.
            holds: (B, S) which of S statements stand in each scenario.
            needed: (S,) those that are asked about; the search ends when none of them is left.

        Returns:
            (S,) bool; without meaning where not needed.
        """
        standing = needed.copy()
        for batch in self.scenarios(kind, edits):
            standing &= holds(batch).all(axis=0)
            if not standing.any():
                break
        return standing


def decisions_hold(scenarios: Scenarios, yes: Bools, threshold: Fraction, unit: int = 1) -> Bools:
    """Which decisions stand, whatever the free copies say; a tie counts against them.

    Yes stands where even with every free copy against it the votes for yes are more than `threshold` of those read; no
    stands where even with every free copy against it they are less.

    Args:
        scenarios: what is left of the votes.
        yes: (M,) the decision about each item.
        threshold: of the decision.
        unit: see `World`.

    Returns:
        (B, M) bool.
    """
    top, bottom = threshold.numerator, threshold.denominator
    cast = (top * unit * (scenarios.read + scenarios.free))[:, None]
    against = np.where(yes, 0, 1) * (unit * scenarios.free)[:, None]
    weight = bottom * (scenarios.values + against)
    return np.asarray(np.where(yes, weight > cast, weight < cast))


def exact_radii(
    world: World, kind: EditKind, holds: Holds, bound: Callable[[int], Bools], *, most: int | None = None
) -> list[int]:
    """The radius of each of S statements when all copies are known.

    Args:
        world: the copies and their votes.
        kind: of edit.
        holds: (B, S) which statements stand in each scenario.
        bound: (S,) which statements the bound on shares shows to stand after so many edits. It is asked first, because
            it costs nothing, and alone where trying every set would take too long.
        most: the most edits to certify.

    Returns:
        S radii; -1 where a statement is not certified even without edits.
    """
    limit = reach(world.kernel, world.units, kind)
    standing = np.ones(len(bound(0)), dtype=bool)
    radii = np.full(len(standing), -1)
    for edits in range((limit if most is None else min(limit, most)) + 1):
        shown = bound(edits)
        open_ = standing & ~shown
        if open_.any() and world.affordable(kind, edits):
            shown = shown | world.every(kind, edits, holds, open_)
        standing &= shown
        if not standing.any():
            break
        radii[standing] = edits
    return [int(r) for r in radii]
