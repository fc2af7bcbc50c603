"""Kernels: which units of a request a copy keeps, and what edits can do to the distribution of copies.

A kernel must not let a copy know what it lost. K1 puts marks in the place of lost units, so that only substitutions,
which leave the number of units alone, give copies that a clean request could have given too. K2 and K3 rebuild the
request from the kept units alone: no marks, no numbers of places, no totals.

Sources: K1 is RanMASK (Zeng et al., Computational Linguistics 2023) and SelfDenoise (Ji et al., NAACL 2024, section 3);
K3 is RS-Del (Huang et al., NeurIPS 2023) and CERT-ED (Huang et al., EMNLP 2024). The bounds are derived in
`Kernel.shift`, and held against brute force in the tests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from audit.defense import EditKind
from audit.errors import ConfigError

KernelName = Literal["K1", "K2", "K3"]
Kept = tuple[int, ...]
"""Positions of kept units, ascending."""

ONE, ZERO = Fraction(1), Fraction(0)


@dataclass(frozen=True)
class Shift:
    """What edits can do to a share of votes: p becomes at least `scale` p - `lost`, at most `scale` p + `added`.

    The share is over copies. `added` is the share of the new copies that hold an edited unit, and of which nothing is
    known; `lost` is the share (in units of the new total) of old copies that are gone.
    """

    scale: Fraction = ONE
    lost: Fraction = ZERO
    added: Fraction = ZERO

    def lower(self, p: Fraction) -> Fraction:
        """The least that a share of p can become."""
        return max(ZERO, self.scale * p - self.lost)

    def upper(self, p: Fraction) -> Fraction:
        """The most that a share of p can become."""
        return min(ONE, self.scale * p + self.added)


@dataclass(frozen=True)
class Kernel:
    """A kernel.

    Attributes:
        name: `K1`, keep `kept` of h units and put marks in the place of the others; `K2`, keep `kept` of h and drop the
            others; `K3`, drop each unit with probability `drop`, whatever happens to the others.
        kept: k, for K1 and K2. Fixed, and never a rate: with a rate an adversary who inserts units would change it.
        drop: q, for K3.
    """

    name: KernelName = "K2"
    kept: int = 2
    drop: float = 0.8

    def check(self, defense: str) -> None:
        """Raise ConfigError for a setting that cannot be used, named as an option of this defense."""
        if self.name not in get_args(KernelName):
            raise ConfigError(f"defenses.{defense}.kernel: {self.name!r} must be one of K1, K2, K3")
        if self.name != "K3" and self.kept < 1:
            raise ConfigError(f"defenses.{defense}.kept: {self.kept} must be at least 1")
        if self.name == "K3" and not 0 < self.drop < 1:
            raise ConfigError(f"defenses.{defense}.drop: {self.drop} must lie between 0 and 1")

    @property
    def kinds(self) -> tuple[EditKind, ...]:
        """The kinds of edit that it can certify against."""
        return ("substitution",) if self.name == "K1" else ("substitution", "insertion", "deletion")

    @cached_property
    def _q(self) -> Fraction:
        # As it was written: .8 is four fifths, not the nearest float.
        return Fraction(str(self.drop))

    @property
    def fewest(self) -> int:
        """The fewest units with which it works."""
        return 1 if self.name == "K3" else self.kept

    def keeps(self, units: int) -> float:
        """How many units a copy keeps, on average."""
        return units * float(1 - self._q) if self.name == "K3" else self.kept

    def count(self, units: int) -> int:
        """Kept sets, all equally likely; 0 for K3, whose sets are not."""
        return 0 if self.name == "K3" else math.comb(units, self.kept)

    def enumerate(self, units: int) -> Iterator[Kept]:
        """All kept sets of K1 or K2, in lexicographic order."""
        if self.name == "K3":
            raise ValueError("kernel: the kept sets of K3 are not equally likely; draw them")
        return itertools.combinations(range(units), self.kept)

    def draw(self, units: int, n: int, rng: np.random.Generator) -> list[Kept]:
        """Independent kept sets; for K3 some may be empty.

        Args:
            units: h, at least `fewest`.
            n: how many.
            rng: source of the draws.
        """
        if self.name == "K3":
            kept = rng.random((n, units)) >= self.drop
            return [tuple(np.flatnonzero(row).tolist()) for row in kept]
        # The k smallest of h independent uniform numbers are a uniformly random k-subset.
        chosen = np.argpartition(rng.random((n, units)), self.kept - 1, axis=1)[:, : self.kept]
        return [tuple(sorted(row)) for row in chosen.tolist()]

    def shift(self, units: int, kind: EditKind, edits: int, *, window: int | None = None) -> Shift | None:
        """What so many edits of one kind can do; None where nothing is known.

        K1 and K2: of the N = C(h, k) old and N' = C(h', k) new kept sets, Nc = C(c, k) hold only units that both
        requests have, and their copies are the same. So a share p of the old is at least (pN - (N - Nc)) / N' of the
        new, and at most (pN + (N' - Nc)) / N'. A substitution of r is r deletions with r insertions: h' = h,
        c = h - r. K3: a copy holds none of d units that are gone with probability q^d, and none of i new ones with q^i;
        given that, old and new copies are the same, so that p becomes at least q^i (p - (1 - q^d)) / q^d.

        Args:
            units: h.
            kind: what is done.
            edits: r.
            window: most units a request is cut down to, latest first; then an insertion may push out old ones, and a
                deletion may let in older ones. None where nothing is cut.
        """
        if kind not in self.kinds:
            return None
        if edits == 0:
            return Shift()
        gone, new = _gone_and_new(units, kind, edits, window)
        common, after = units - gone, units - gone + new
        if common < 0 or after < self.fewest:
            return None
        if self.name == "K3":
            scale = self._q**new / self._q**gone
            return Shift(scale, scale * (1 - self._q**gone), 1 - self._q**new)
        before, shared, total = (math.comb(m, self.kept) for m in (units, common, after))
        return Shift(Fraction(before, total), Fraction(before - shared, total), Fraction(total - shared, total))


def _gone_and_new(units: int, kind: EditKind, edits: int, window: int | None) -> tuple[int, int]:
    """Units that are no longer there, and units that are new."""
    if kind == "substitution":
        return edits, edits
    if kind == "insertion":
        pushed_out = 0 if window is None else max(units + edits - window, 0)
        return pushed_out, min(edits, window or edits)
    # Behind a window older units may come in. They are unknown, so they count as the adversary's.
    return edits, 0 if window is None or units < window else edits
