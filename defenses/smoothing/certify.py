"""From votes to claims: what is certified of an answer, from all copies or from a sample of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from audit.defense import Claim, EditKind, Statement
from audit.stats import clopper_pearson
from audit.stats.bounded import hoeffding
from audit.types import Request
from defenses.smoothing.kernels import Kept, Kernel, Shift
from defenses.smoothing.radii import (
    Bools,
    Ints,
    Scenarios,
    World,
    decisions_hold,
    exact_radii,
    largest,
    radius,
    reach,
    released_radius,
)
from defenses.smoothing.topk import all_kept_out, all_stay, kept_out, stays
from defenses.smoothing.votes import Counting, Votes, owned

SCALE = 1 << 40
"""What a value of 1 is as an integer. Sums of some millions of values fit 64 bits."""
_NO_LISTS = "the released code has numbers for decisions only, and none for lists"


@dataclass(frozen=True)
class Claims:
    """What is certified of one request, or of one part of it.

    Attributes:
        claims: statements with their radii.
        family: how many statements alpha was split over; 1 where nothing is sampled.
        reason: why there are none.
    """

    claims: tuple[Claim, ...] = ()
    family: int = 1
    reason: str = ""


@dataclass(frozen=True)
class Setting:
    """Which copies there are, and how their votes become an answer.

    Attributes:
        kernel: which units copies keep.
        units: h.
        counting: how votes become an answer.
        window: see `Kernel.shift`.
        heuristic: the radii of the released code in place of certified ones.
    """

    kernel: Kernel
    units: int
    counting: Counting
    window: int | None = None
    heuristic: bool = False

    def shift(self, kind: EditKind, edits: int) -> Shift | None:
        """See `Kernel.shift`."""
        return self.kernel.shift(self.units, kind, edits, window=self.window)

    @property
    def kinds(self) -> tuple[EditKind, ...]:
        """Kinds of edit to report on: the released code knows substitutions only."""
        return ("substitution",) if self.heuristic else self.kernel.kinds


def from_all(
    request: Request, votes: Votes, kept: Sequence[Kept], setting: Setting, most: Mapping[EditKind, int]
) -> Claims:
    """Claims where the votes of all kept sets are known. Nothing is sampled, so they hold for certain.

    Args:
        request: what was asked.
        votes: of the copies.
        kept: their kept sets.
        setting: see `Setting`.
        most: by kind of edit, the most edits to certify, where there is such a limit.
    """
    if votes.failures == votes.n:
        return Claims(reason="no copy got a readable answer")
    if request.task == "score":
        return Claims(_decisions(votes, kept, setting, most))
    if setting.heuristic:
        return Claims(reason=_NO_LISTS)
    return Claims(_places(request, votes, kept, setting, most))


def _decisions(votes: Votes, kept: Sequence[Kept], setting: Setting, most: Mapping[EditKind, int]) -> tuple[Claim, ...]:
    yes = setting.counting.decisions(votes)
    threshold = setting.counting.exact_threshold
    values, unit = _integers(votes, setting.counting, up=~yes)
    world = World(setting.kernel, setting.units, kept, values, votes.read, unit, setting.window)
    totals = values.sum(axis=0)
    # Of all copies: one that was not read is neither.
    mass = [int(t) if y else int(votes.read.sum()) * unit - int(t) for t, y in zip(totals, yes, strict=True)]
    shares = [Fraction(m, votes.n * unit) for m in mass]
    needed = [threshold if y else 1 - threshold for y in yes]
    cast = [int(a) if y else int(b) for a, b, y in zip(votes.yes, votes.no, yes, strict=True)]

    def bound(kind: EditKind) -> Callable[[int], Bools]:
        def shown(edits: int) -> Bools:
            shift = setting.shift(kind, edits)
            if shift is None:
                return np.zeros(len(shares), dtype=bool)
            return np.array([shift.lower(s) > t for s, t in zip(shares, needed, strict=True)], dtype=bool)

        return shown

    def holds(scenarios: Scenarios) -> Bools:
        return decisions_hold(scenarios, yes, threshold, unit)

    if setting.heuristic:
        found: dict[EditKind, list[int]] = {
            "substitution": [
                released_radius(setting.kernel, setting.units, s, Fraction(c, votes.n))
                for s, c in zip(shares, cast, strict=True)
            ]
        }
    else:
        found = {kind: exact_radii(world, kind, holds, bound(kind), most=most.get(kind)) for kind in setting.kinds}
    return tuple(
        _claim(item, "yes" if y else "no", {kind: radii[i] for kind, radii in found.items()}, cast[i], shares[i])
        for i, (item, y) in enumerate(zip(votes.items, yes, strict=True))
    )


def _integers(votes: Votes, counting: Counting, *, up: Bools | None = None) -> tuple[Ints, int]:
    """Votes or values as integers, and what 1 is; values rounded down, or up where `up` (by column) says so."""
    if counting.rule == "share":
        return votes.cast.astype(np.int64), 1
    scaled = votes.values * SCALE
    floors = np.floor(scaled)
    if up is not None:
        floors = np.where(up, np.ceil(scaled), floors)
    return floors.astype(np.int64), SCALE


def _claim(
    item: str,
    statement: Statement,
    radii: Mapping[EditKind, int],
    votes: int,
    lower: Fraction,
    upper: Fraction | None = None,
) -> Claim:
    return Claim(item, statement, radii, votes, float(lower), float(lower if upper is None else upper))


def _places(
    request: Request, votes: Votes, kept: Sequence[Kept], setting: Setting, most: Mapping[EditKind, int]
) -> tuple[Claim, ...]:
    counting, k = setting.counting, request.k
    share = counting.rule == "share"
    values, unit = _integers(votes, counting)
    world = World(setting.kernel, setting.units, kept, values, votes.read, unit, setting.window)
    # Rounded values of others may be short of the true ones by less than one in each copy.
    slack = 0 if share else votes.n
    depth = counting.list_length(request) if share else None
    unlisted = 0 if request.candidates is not None else k
    chosen = counting.listed(request, votes)
    mine = [i for i, item in enumerate(votes.items) if item in owned(request)]
    # Of a whole catalogue nothing is said about items outside the list: whoever writes the history takes items off it.
    others = [] if unlisted else [i for i in range(len(votes.items)) if i not in set(chosen)]
    totals = values.sum(axis=0)
    lower = [Fraction(int(t), votes.n * unit) for t in totals]
    upper = [Fraction(int(t) + slack, votes.n * unit) for t in totals]
    rivals = _Rivals(upper, k, unlisted, mine)
    best = sorted(lower, reverse=True)

    def bound(kind: EditKind) -> Callable[[int], Bools]:
        def shown(edits: int) -> Bools:
            shift = setting.shift(kind, edits)
            if shift is None:
                return np.zeros(len(chosen) + len(others), dtype=bool)
            stay = [stays(lower[i], rivals.of(i, _gone(kind, edits)), k, depth, shift) for i in chosen]
            out = {u: kept_out(u, best[:k], k, shift) for u in {upper[i] for i in others}}
            return np.array([*stay, *(out[upper[i]] for i in others)], dtype=bool)

        return shown

    def holds(scenarios: Scenarios) -> Bools:
        stay = all_stay(scenarios, chosen, k, depth, unlisted=unlisted, unit=unit, slack=slack, owned=mine)
        return np.concatenate([stay, all_kept_out(scenarios, others, k, unit=unit, slack=slack)], axis=1)

    found = {kind: exact_radii(world, kind, holds, bound(kind), most=most.get(kind)) for kind in setting.kinds}
    claims = []
    for place, i in enumerate([*chosen, *others]):
        statement: Statement = "in_top_k" if place < len(chosen) else "not_in_top_k"
        radii = {kind: radii[place] for kind, radii in found.items()}
        claims.append(_claim(votes.items[i], statement, radii, int(votes.yes[i]), lower[i], upper[i]))
    return tuple(claims)


def _gone(kind: EditKind, edits: int) -> int:
    """Units that the request may have lost."""
    return 0 if kind == "insertion" else edits


class _Rivals:
    """The k largest upper bounds of the others that may be on offer after some edits.

    Args:
        upper: of all items with a column.
        k: how many.
        unlisted: items on offer without a column.
        owned: columns of items that are not on offer, unless an edit takes them from the history.
        zero: bound of an item without a column.
    """

    def __init__(
        self,
        upper: Sequence[Fraction],
        k: int,
        unlisted: int,
        owned: Sequence[int] = (),
        zero: Fraction = Fraction(0),
    ) -> None:
        self._upper, self._k = [*upper, *[zero] * min(max(unlisted, 0), k)], k
        on_offer = [i for i in range(len(self._upper)) if i not in set(owned)]
        self._top = sorted(on_offer, key=lambda i: -self._upper[i])[: k + 1]
        self._owned = sorted((upper[i] for i in owned), reverse=True)

    def of(self, item: int, gone: int) -> list[Fraction]:
        others = [self._upper[i] for i in self._top if i != item]
        return sorted([*others, *self._owned[:gone]], reverse=True)[: self._k]


@dataclass(frozen=True, eq=False)
class Sample:
    """Two independent samples of copies of one request.

    Attributes:
        choosing: votes from which the answer, and so the statements to certify, come.
        bounding: fresh votes on which they are bounded.
        alpha: chance, at most, that any statement of the request is false.
        parts: parts of the request, over which alpha is split too.
        catalog_size: how many items a ranking without candidates is of; None where that is not known.
    """

    choosing: Votes
    bounding: Votes
    alpha: float
    parts: int = 1
    catalog_size: int | None = None

    @cached_property
    def _column(self) -> Mapping[str, int]:
        return {item: i for i, item in enumerate(self.bounding.items)}

    def cast(self, item: str) -> int:
        """Fresh votes for an item."""
        return int(self.bounding.yes[self._column[item]]) if item in self._column else 0

    def mass(self, item: str) -> float:
        """Mean value of an item over all fresh copies, 0 where one was not read."""
        return float(self.bounding.values[:, self._column[item]].mean()) if item in self._column else 0.0


def from_sample(request: Request, sample: Sample, setting: Setting) -> Claims:
    """Claims from random copies: each statement is chosen on one sample and bounded on another.

    Votes have Clopper–Pearson bounds, values Hoeffding's, all at alpha over the number of bounds that are used; that
    number is fixed by the candidates, or the catalogue, before anything is drawn. `score`: one bound per candidate.
    `rank`: an upper bound for every item on offer, and a lower one for each that is listed.
    """
    if sample.choosing.failures == sample.choosing.n:
        return Claims(reason="no copy got a readable answer")
    if request.task == "score":
        family = max(len(sample.choosing.items), 1) * sample.parts
        return Claims(_sampled_decisions(sample, setting, family), family)
    if setting.heuristic:
        return Claims(reason=_NO_LISTS)
    on_offer = sample.catalog_size if request.candidates is None else len(request.candidates)
    if on_offer is None:
        return Claims(reason="the number of items on offer is not known; give the catalog, or candidates")
    chosen = [sample.choosing.items[i] for i in setting.counting.listed(request, sample.choosing)]
    family = (on_offer + len(chosen)) * sample.parts
    return Claims(_sampled_places(request, sample, setting, chosen, on_offer, family), family)


def _sampled_decisions(sample: Sample, setting: Setting, family: int) -> tuple[Claim, ...]:
    threshold = setting.counting.exact_threshold
    n, read = sample.bounding.n, sample.bounding.n - sample.bounding.failures
    # The released code knows no other statements beside the one.
    level = 1 - (sample.alpha if setting.heuristic else sample.alpha / family)
    claims = []
    for item, yes in zip(sample.choosing.items, setting.counting.decisions(sample.choosing), strict=True):
        cast = sample.cast(item) if yes else read - sample.cast(item)
        mass = sample.mass(item) if yes else read / n - sample.mass(item)
        lower = _lower(cast, mass, n, level, setting.counting)
        needed = threshold if yes else 1 - threshold
        if setting.heuristic:
            radii: dict[EditKind, int] = {
                "substitution": released_radius(setting.kernel, setting.units, lower, Fraction(cast, n))
            }
        else:
            radii = {
                kind: radius(setting.kernel, setting.units, kind, lower, threshold=needed, window=setting.window)
                for kind in setting.kinds
            }
        claims.append(_claim(item, "yes" if yes else "no", radii, cast, lower, Fraction(1)))
    return tuple(claims)


def _lower(cast: int, mass: float, n: int, level: float, counting: Counting) -> Fraction:
    if counting.rule == "share":
        return Fraction(clopper_pearson(cast, n, level, side="lower").low)
    return Fraction(hoeffding(min(max(mass, 0.0), 1.0), n, level, side="lower").low)


def _upper(cast: int, mass: float, n: int, level: float, counting: Counting) -> Fraction:
    if counting.rule == "share":
        return Fraction(clopper_pearson(cast, n, level, side="upper").high)
    return Fraction(hoeffding(mass, n, level, side="upper").high)


def _sampled_places(
    request: Request, sample: Sample, setting: Setting, chosen: Sequence[str], on_offer: int, family: int
) -> tuple[Claim, ...]:
    counting, k, n = setting.counting, request.k, sample.bounding.n
    level = 1 - sample.alpha / family
    depth = counting.list_length(request) if counting.rule == "share" else None
    names = list(dict.fromkeys([*chosen, *sample.bounding.items, *sample.choosing.items]))
    upper = [_upper(sample.cast(i), sample.mass(i), n, level, counting) for i in names]
    lower = [_lower(sample.cast(i), sample.mass(i), n, level, counting) for i in chosen]
    mine = [i for i, item in enumerate(names) if item in owned(request)]
    rivals = _Rivals(upper, k, on_offer - len(names), mine, _upper(0, 0.0, n, level, counting))

    def largest_for(kind: EditKind, holds: Callable[[Shift, int], bool]) -> int:
        def passes(edits: int) -> bool:
            shift = setting.shift(kind, edits)
            return shift is not None and holds(shift, _gone(kind, edits))

        return largest(passes, reach(setting.kernel, setting.units, kind))

    def radii(holds: Callable[[Shift, int], bool]) -> dict[EditKind, int]:
        return {kind: largest_for(kind, holds) for kind in setting.kinds}

    claims = []
    for i, item in enumerate(chosen):
        found = radii(lambda s, gone, i=i: stays(lower[i], rivals.of(i, gone), k, depth, s))  # type: ignore[misc]
        claims.append(_claim(item, "in_top_k", found, sample.cast(item), lower[i], upper[i]))
    # Many items have the same few votes.
    out: dict[Fraction, dict[EditKind, int]] = {}
    for item, most in () if request.candidates is None else _rest(names, upper, len(chosen)):
        if most not in out:
            out[most] = radii(lambda s, _, most=most: kept_out(most, lower, k, s))  # type: ignore[misc]
        claims.append(_claim(item, "not_in_top_k", out[most], n - sample.cast(item), Fraction(0), most))
    return tuple(claims)


def _rest(names: Sequence[str], upper: Sequence[Fraction], first: int) -> Iterable[tuple[str, Fraction]]:
    return zip(names[first:], upper[first:], strict=True)
