"""Comparing groups of names, where the name is what was sampled and not the answer.

Every anchor is asked with some names of each group. Answers to one name resemble each other, so labels are permuted
over names, and intervals resample names and anchors both. Strata (such as the gender when ethnicities are compared)
keep their own labels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from audit.stats.intervals import Interval, check_level
from audit.stats.resampling import Floats, mean_interval

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_EXACT_UP_TO = 20_000
"""Relabellings up to which all are looked at."""
_MAX_CELLS = 1 << 20


@dataclass(frozen=True)
class NameTest:
    """A test by permuting the labels of names.

    Attributes:
        p: its p-value.
        attainable: the smallest it could have been with these numbers of names and permutations.
        exact: whether all relabellings were looked at.
    """

    p: float
    attainable: float
    exact: bool


@dataclass(frozen=True)
class NamePairs:
    """Distances between the answers to two names, at one anchor and within one stratum.

    Attributes:
        anchor: (pairs,) index of the anchor.
        first: (pairs,) index of one name.
        second: (pairs,) index of the other.
        distance: (pairs,) between their answers.
        group: (names,) True for one group, False for the other.
        stratum: (names,) index of the stratum.
    """

    anchor: Ints
    first: Ints
    second: Ints
    distance: Floats
    group: Bools
    stratum: Ints

    @property
    def across(self) -> Bools:
        """(pairs,) whether the two names belong to different groups."""
        across: Bools = self.group[self.first] != self.group[self.second]
        return across

    def per_anchor(self) -> tuple[Ints, Floats, Floats]:
        """The anchors, and for each the mean distance across groups and the mean distance within groups."""
        anchors, at = np.unique(self.anchor, return_inverse=True)
        found = []
        for chosen in (self.across, ~self.across):
            total = np.bincount(at[chosen], self.distance[chosen], minlength=len(anchors))
            found.append(total / np.bincount(at[chosen], minlength=len(anchors)))
        return anchors, found[0], found[1]

    def centred(self) -> Floats:
        """(pairs,) distances less the mean of their anchor and stratum: what an anchor does to all pairs cancels."""
        return _centred(self.distance, self.anchor, self.stratum[self.first])

    def test(self, *, rng: np.random.Generator, permutations: int = 9_999) -> NameTest:
        """Whether names of different groups lie further apart than names of one group; one-sided.

        Raises:
            ValueError: a group has fewer than two names in a stratum.
        """
        _check_cells(self.group, self.stratum, 2)
        key = self.first * len(self.group) + self.second
        pairs, at = np.unique(key, return_inverse=True)
        i, j = pairs // len(self.group), pairs % len(self.group)
        total = np.bincount(at, self.centred(), minlength=len(pairs))
        count = np.bincount(at, minlength=len(pairs)).astype(np.float64)

        def statistic(labels: Bools) -> Floats:
            across = (labels[:, i] != labels[:, j]).astype(np.float64)
            far, near = across @ count, (1.0 - across) @ count
            with np.errstate(divide="ignore", invalid="ignore"):
                excess: Floats = across @ total / far - (1.0 - across) @ total / near
            # A relabelling that leaves no pair on one side has no statistic, so it cannot speak against the null.
            return np.where(np.isfinite(excess), excess, np.inf)

        return _permuted(statistic, self.group, self.stratum, rng, permutations, width=len(pairs), mirrored=True)

    def interval(self, *, rng: np.random.Generator, level: float = 0.95) -> Interval:
        """Interval of the mean distance across less that within groups: estimate ± t · standard error.

        The standard error leaves out one name at a time, or one anchor, and is the larger of the two jackknife
        estimates (Efron & Stein 1981): noise of single answers is in both of them, so their sum would count it twice.
        Drawing names and anchors anew would weigh a pair by the product of three counts, and intervals came out almost
        twice as wide as they need to be. In simulations 95 to 99 of 100 intervals at 95 % held the truth.

        Args:
            rng: used only where no anchor shows any difference.
            level: confidence level.
        """
        check_level(level)
        _, far, near = self.per_anchor()
        if _flat(far - near):
            return mean_interval(far - near, rng=rng, level=level, bounds=(-1.0, 1.0))
        estimate = float((far - near).mean())
        y, across = self.centred(), self.across

        def without(nested: Sequence[Ints]) -> Floats:
            """The statistic without each of some units, by the units that every pair belongs to."""
            count = int(max(n.max() for n in nested)) + 1
            left = []
            for chosen in (across, ~across):
                total = sum(np.bincount(n[chosen], y[chosen], minlength=count) for n in nested)
                pairs = sum(np.bincount(n[chosen], minlength=count) for n in nested)
                left.append((y[chosen].sum() - total) / np.where(pairs < chosen.sum(), chosen.sum() - pairs, np.nan))
            found: Floats = left[0] - left[1]
            return found

        names = without((self.first, self.second))
        cell = self.stratum * 2 + self.group
        used = np.unique(np.concatenate([self.first, self.second]))
        groups = [names[used[cell[used] == c]] for c in np.unique(cell[used])]
        anchors = without((self.anchor,))[np.unique(self.anchor)]
        variance = max(sum(_jackknife_variance(g) for g in groups), _jackknife_variance(anchors))
        free = max(1, min(len(used) - len(groups), len(anchors) - 1))
        half = float(stdtrit(free, 0.5 + level / 2)) * math.sqrt(variance)
        return Interval(estimate, estimate - half, estimate + half, level, "jackknife")


@dataclass(frozen=True)
class NamedValues:
    """One number per answer to a name.

    Attributes:
        anchor: (answers,) index of the anchor.
        name: (answers,) index of the name.
        value: (answers,) what is compared.
        group: (names,) True for one group, False for the other.
        stratum: (names,) index of the stratum.
        bounds: the least and greatest difference of two values.
    """

    anchor: Ints
    name: Ints
    value: Floats
    group: Bools
    stratum: Ints
    bounds: tuple[float, float] | None = None

    def per_anchor(self) -> tuple[Ints, Floats, Floats]:
        """The anchors, and for each the mean of the group and the mean of the other."""
        anchors, at = np.unique(self.anchor, return_inverse=True)
        found = []
        for chosen in (self.group[self.name], ~self.group[self.name]):
            total = np.bincount(at[chosen], self.value[chosen], minlength=len(anchors))
            found.append(total / np.bincount(at[chosen], minlength=len(anchors)))
        return anchors, found[0], found[1]

    def centred(self) -> Floats:
        """(answers,) values less the mean of their anchor and stratum."""
        return _centred(self.value, self.anchor, self.stratum[self.name])

    def effects(self) -> tuple[Floats, Floats]:
        """(names,) what each name adds, fitted beside what each anchor adds; and whether it was asked at all, 0 or 1.

        Values less the mean of their anchor would not do for a test: at every anchor the groups are balanced as they
        are labelled, and not as they are relabelled, so relabelled differences would look too small.
        """
        block = self.anchor * (int(self.stratum.max()) + 1) + self.stratum[self.name]
        _, at = np.unique(block, return_inverse=True)
        met = np.zeros((len(self.group), int(at.max()) + 1))
        np.add.at(met, (self.name, at), 1.0)
        per_block = met / met.sum(axis=0)
        normal = np.diag(met.sum(axis=1)) - met @ per_block.T
        total = np.bincount(self.name, self.centred(), minlength=len(self.group))
        effects: Floats = np.linalg.pinv(normal, hermitian=True) @ total
        return effects, (met.sum(axis=1) > 0).astype(np.float64)

    @property
    def design_effect(self) -> float:
        """How many times wider than for independent answers the variance is: 1 + (m - 1) ICC (Kish 1965).

        The intraclass correlation is that of answers to one name within its group and stratum, by the one-way analysis
        of variance, at least 0; m is the mean number of answers per name.
        """
        cell = self.stratum[self.name] * 2 + self.group[self.name]
        y = self.centred()
        y = y - (np.bincount(cell, y) / np.maximum(np.bincount(cell), 1))[cell]
        names, at = np.unique(self.name, return_inverse=True)
        count = np.bincount(at)
        m, free = len(y) / len(names), len(names) - len(np.unique(cell))
        if m <= 1 or free < 1 or len(y) <= len(names):
            return 1.0
        means = np.bincount(at, y) / count
        between = float((count * means**2).sum()) / free
        within = float(((y - means[at]) ** 2).sum()) / (len(y) - len(names))
        if between + within <= 0:
            return 1.0
        icc = (between - within) / (between + (m - 1) * within)
        return 1.0 + (m - 1) * max(icc, 0.0)

    def test(self, *, rng: np.random.Generator, permutations: int = 9_999) -> NameTest:
        """Whether the means of the two groups differ; two-sided.

        Raises:
            ValueError: a group has no name in a stratum.
        """
        _check_cells(self.group, self.stratum, 1)
        effects, asked = self.effects()

        def statistic(labels: Bools) -> Floats:
            inside = labels * asked
            outside = ~labels * asked
            with np.errstate(divide="ignore", invalid="ignore"):
                gap: Floats = inside @ effects / inside.sum(axis=1) - outside @ effects / outside.sum(axis=1)
            return np.abs(np.where(np.isfinite(gap), gap, np.inf))

        return _permuted(statistic, self.group, self.stratum, rng, permutations, width=len(self.group), mirrored=False)

    def interval(self, *, rng: np.random.Generator, level: float = 0.95, resamples: int = 2000) -> Interval:
        """Interval of the difference of the two means, over names and anchors both.

        Pigeonhole bootstrap (Owen 2007): names are drawn within their group and stratum, anchors anew, and an answer
        weighs as often as both were drawn.
        """
        _, mine, other = self.per_anchor()
        y, inside = self.centred(), self.group[self.name]
        n_anchors = int(self.anchor.max()) + 1

        def statistic(anchors: Floats, names: Floats) -> Floats:
            weight = anchors[:, self.anchor] * names[:, self.name]
            a, b = weight[:, inside], weight[:, ~inside]
            with np.errstate(divide="ignore", invalid="ignore"):
                gap: Floats = a @ y[inside] / a.sum(axis=1) - b @ y[~inside] / b.sum(axis=1)
            return gap

        return _pigeonhole(
            statistic,
            mine - other,
            n_anchors,
            self.anchor,
            self.group,
            self.stratum,
            rng,
            level,
            resamples,
            len(y),
            self.bounds,
        )


def attainable_name_p(cells: Sequence[tuple[int, int]], *, mirrored: bool = False) -> float:
    """The smallest p-value that permuting labels of names can give.

    Args:
        cells: for each stratum, how many names either group has.
        mirrored: whether the statistic stays the same when the two groups change places within one stratum, as that
            of distances does; a difference of means only keeps its size when they change places in all of them.

    Returns:
        Relabellings that look like the one observed, over all: 3 names against 3 give .1, 5 against 5 give .0079.
    """
    every = math.prod(math.comb(a + b, a) for a, b in cells)
    even = [a == b for a, b in cells]
    same = 2 ** sum(even) if mirrored else (2 if all(even) else 1)
    return same / every


def _centred(values: Floats, anchor: Ints, stratum: Ints) -> Floats:
    block = anchor * (int(stratum.max()) + 1) + stratum
    _, at = np.unique(block, return_inverse=True)
    centred: Floats = values - (np.bincount(at, values) / np.bincount(at))[at]
    return centred


def _flat(values: Floats) -> bool:
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))


def _jackknife_variance(without: Floats) -> float:
    known = without[np.isfinite(without)]
    n = len(known)
    return (n - 1) / n * float(((known - known.mean()) ** 2).sum()) if n > 1 else 0.0


def _check_cells(group: Bools, stratum: Ints, least: int) -> None:
    for s in np.unique(stratum):
        for name, chosen in (("one group", group), ("the other group", ~group)):
            if (count := int(np.count_nonzero(chosen & (stratum == s)))) < least:
                raise ValueError(f"group: stratum {s} has {count} names of {name}; at least {least} are needed")


def _permuted(
    statistic: Callable[[Bools], Floats],
    group: Bools,
    stratum: Ints,
    rng: np.random.Generator,
    permutations: int,
    *,
    width: int,
    mirrored: bool,
) -> NameTest:
    members = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
    cells = [(int(group[m].sum()), int((~group[m]).sum())) for m in members]
    every = math.prod(math.comb(a + b, a) for a, b in cells)
    exact = every <= _EXACT_UP_TO
    seen = float(statistic(group[None, :])[0])
    rows = max(1, _MAX_CELLS // max(width, len(group)))
    hits = 0
    for labels in (
        _all_labels(group, members, cells, rows) if exact else _labels(group, members, rng, permutations, rows)
    ):
        drawn = statistic(labels)
        hits += int(np.count_nonzero(drawn >= seen - 1e-12 * max(1.0, abs(seen))))
    least = attainable_name_p(cells, mirrored=mirrored)
    if exact:
        return NameTest(hits / every, least, True)
    return NameTest((hits + 1) / (permutations + 1), max(least, 1 / (permutations + 1)), False)


def _labels(
    group: Bools, members: Sequence[Ints], rng: np.random.Generator, permutations: int, rows: int
) -> Iterator[Bools]:
    for start in range(0, permutations, rows):
        labels = np.empty((min(rows, permutations - start), len(group)), dtype=bool)
        for m in members:
            labels[:, m] = rng.permuted(np.broadcast_to(group[m], (len(labels), len(m))), axis=1)
        yield labels


def _all_labels(group: Bools, members: Sequence[Ints], cells: Sequence[tuple[int, int]], rows: int) -> Iterator[Bools]:
    choices = [list(itertools.combinations(m.tolist(), a)) for m, (a, _) in zip(members, cells, strict=True)]
    every = itertools.product(*choices)
    while some := list(itertools.islice(every, rows)):
        labels = np.zeros((len(some), len(group)), dtype=bool)
        for row, chosen in enumerate(some):
            labels[row, list(itertools.chain(*chosen))] = True
        yield labels


def _pigeonhole(
    statistic: Callable[[Floats, Floats], Floats],
    per_anchor: Floats,
    n_anchors: int,
    anchor: Ints,
    group: Bools,
    stratum: Ints,
    rng: np.random.Generator,
    level: float,
    resamples: int,
    width: int,
    bounds: tuple[float, float] | None,
) -> Interval:
    check_level(level)
    estimate = float(per_anchor.mean())
    if _flat(per_anchor):
        return mean_interval(per_anchor, rng=rng, level=level, bounds=bounds)
    present = np.unique(anchor)
    cell = stratum * 2 + group
    drawn = []
    rows = max(1, _MAX_CELLS // width)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        anchors = np.zeros((size, n_anchors))
        anchors[:, present] = _counts(rng, size, len(present))
        names = np.zeros((size, len(group)))
        for c in np.unique(cell):
            members = np.flatnonzero(cell == c)
            names[:, members] = _counts(rng, size, len(members))
        drawn.append(statistic(anchors, names))
    replicates = np.concatenate(drawn)
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates):
        raise ValueError("names: no resample holds a pair on both sides; more names per group are needed")
    low, high = (float(q) for q in np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2]))
    return Interval(estimate, min(low, estimate), max(high, estimate), level, "percentile", resamples - len(replicates))


def _counts(rng: np.random.Generator, size: int, n: int) -> Floats:
    picks = rng.integers(0, n, size=(size, n)) + np.arange(0, size * n, n)[:, None]
    return np.bincount(picks.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
