"""From the answers to names to findings: names of two groups against names of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.base import Context, Output
from audit.modules.fairness.apart import VALIDITY_GAP, apart, mean_apart, unit_bounds, utility
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.design import NEUTRAL, Anchor, Reading, Readings
from audit.modules.fairness.names.lists import Cell, NameList
from audit.modules.fairness.statements import Channel
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.stats import Interval, NamedValues, NamePairs, NameTest

if TYPE_CHECKING:
    from audit.modules.fairness.names.part import Names

_TELLING = 0.05


@dataclass(frozen=True)
class Contrast:
    """Two groups of names.

    Attributes:
        column: what the names hint at.
        group: one group.
        against: the other.
        cells: pairs of cells, one of each group, that are alike in all other columns.
    """

    column: str
    group: str
    against: str
    cells: tuple[tuple[Cell, Cell], ...]

    @property
    def sides(self) -> str:
        """For titles."""
        return f"{self.group} against {self.against} names"


@dataclass(frozen=True)
class Signed:
    """The answers of one contrast.

    Attributes:
        names: every name that was used.
        group: (names,) whether it is of the contrast's group.
        stratum: (names,) index of the pair of cells.
        at: per anchor and stratum, the names used there, with their slots.
    """

    names: list[str]
    group: np.ndarray
    stratum: np.ndarray
    at: list[list[list[tuple[int, str]]]]


@dataclass(frozen=True)
class Judge:
    """One run of the part."""

    context: Context
    readings: Readings
    names: NameList
    dealt: Mapping[str, Mapping[Cell, tuple[str, ...]]]
    channel: Channel
    part: Names

    @property
    def anchors(self) -> Sequence[Anchor]:
        """The users who signed."""
        return self.readings.grid.anchors

    @cached_property
    def _bare(self) -> Mapping[str, Sequence[Reading]]:
        """By anchor, the answers without a name."""
        return {anchor.id: runs for anchor, runs in zip(self.anchors, self.readings[NEUTRAL], strict=True)}

    @cached_property
    def bounds(self) -> tuple[float, float] | None:
        """Of a difference of distances."""
        return unit_bounds(list(self.readings.found.values()))

    def output(self, contrasts: Sequence[Contrast], examples: int) -> Output:
        """All findings."""
        primary, explored = cards(self.context)
        output = Output()
        sheet = Sheet(self.context, primary, output, examples)
        for cell, count in self.names.thin.items():
            title = f"What names of {', '.join(cell)} change"
            reason = f"the list holds {count} such name, and at least 2 are needed"
            primary.skip("name_effect", title, reason, part="names", cell=", ".join(cell))
        for contrast in contrasts:
            self._contrast(contrast, primary, explored, sheet)
        return Output([*decided(primary), *decided(explored)], output.evidence, {**primary.values, **explored.values})

    def _contrast(self, contrast: Contrast, primary: ReportCard, explored: ReportCard, sheet: Sheet) -> None:
        signed = self._signed(contrast)
        gap = self._validity(contrast, signed, explored)
        readable = [i for i in range(len(self.anchors)) if self._readable(signed, i)]
        if len(readable) < 2:
            reason = f"{len(readable)} users have a readable answer to all these names, and at least 2 are needed"
            primary.skip("name_effect", f"Lists, {contrast.sides}", reason, **self._params(contrast, "distance"))
            return
        unmet = []
        if abs(gap) > VALIDITY_GAP:
            unmet.append(f"answers to the two groups of names can be read {abs(gap):.1%} apart")
        self._distance(contrast, signed, readable, unmet, primary, sheet)
        measures: list[tuple[str, str, Callable[[Anchor, Reading], float], tuple[float, float] | None]] = []
        if self.context.task == "rank" and all(self.anchors[i].relevant for i in readable):
            measures.append(("ndcg", "NDCG on held-out items", utility, (-1.0, 1.0)))
        if self.context.task == "score":
            measures.append(("score", "Mean score", _mean_score, self.bounds))
        for measure, title, of, bounds in measures:
            self._directed(contrast, signed, readable, unmet, explored, measure, title, of, bounds)

    def _signed(self, contrast: Contrast) -> Signed:
        names: dict[str, int] = {}
        group, stratum = [], []
        at: list[list[list[tuple[int, str]]]] = []
        for anchor in self.anchors:
            hand = self.dealt[anchor.request.digest]
            here = []
            for s, pair in enumerate(contrast.cells):
                used = []
                for cell, inside in zip(pair, (True, False), strict=True):
                    for place, name in enumerate(hand[cell]):
                        if name not in names:
                            names[name] = len(names)
                            group.append(inside)
                            stratum.append(s)
                        used.append((names[name], f"{', '.join(cell)} #{place + 1}"))
                here.append(used)
            at.append(here)
        return Signed(list(names), np.array(group, dtype=bool), np.array(stratum, dtype=np.int64), at)

    def _readable(self, signed: Signed, i: int) -> bool:
        """Whether all answers of an anchor can be read: comparisons stay balanced."""
        return all(self.readings.valid[slot][i] for used in signed.at[i] for _, slot in used)

    def _params(self, contrast: Contrast, measure: str) -> dict[str, Param]:
        return {
            "part": "names",
            "attribute": contrast.column,
            "group": contrast.group,
            "against": contrast.against,
            "measure": measure,
            "channel": self.channel.value,
        }

    def _rng(self, contrast: Contrast, *names: str) -> np.random.Generator:
        return self.context.rng("fairness", "names", contrast.column, contrast.group, contrast.against, *names)

    def _values(
        self,
        signed: Signed,
        chosen: Sequence[int],
        of: Callable[[Anchor, Sequence[Reading]], float],
        bounds: tuple[float, float] | None,
    ) -> NamedValues:
        rows = [
            (i, name, of(self.anchors[i], self.readings[slot][i]))
            for i in chosen
            for used in signed.at[i]
            for name, slot in used
        ]
        anchor, name, value = (np.array(column) for column in zip(*rows, strict=True))
        return NamedValues(anchor, name, value.astype(np.float64), signed.group, signed.stratum, bounds)

    def _validity(self, contrast: Contrast, signed: Signed, card: ReportCard) -> float:
        """How much more often answers to one group cannot be read; a finding of its own."""
        found = self._values(
            signed,
            range(len(self.anchors)),
            lambda _, runs: float(np.mean([not r.valid for r in runs])),
            (-1.0, 1.0),
        )
        anchors, mine, other = found.per_anchor()
        rng = self._rng(contrast, "invalid")
        test = found.test(rng=rng, permutations=self.part.permutations)
        card.add(
            "invalid_gap",
            f"Answers that cannot be read, {contrast.sides}",
            found.interval(rng=rng, level=card.level, resamples=card.resamples),
            n=len(anchors),
            unit="user",
            direction="neither",
            params=self._params(contrast, "invalid"),
            test=_named(test),
            p=test.p,
            note=f"{mine.mean():.1%} of the answers to {contrast.group} names, {other.mean():.1%} of the others",
            values=self._by_anchor(anchors, mine - other),
        )
        return float((mine - other).mean())

    def _distance(
        self,
        contrast: Contrast,
        signed: Signed,
        readable: Sequence[int],
        unmet: Sequence[str],
        card: ReportCard,
        sheet: Sheet,
    ) -> None:
        rows = [
            (i, a, b, mean_apart(self.readings[slot_a][i], self.readings[slot_b][i]))
            for i in readable
            for used in signed.at[i]
            for (a, slot_a), (b, slot_b) in combinations(used, 2)
        ]
        anchor, a, b, distance = (np.array(column) for column in zip(*rows, strict=True))
        first, second = np.minimum(a, b), np.maximum(a, b)
        pairs = NamePairs(anchor, first, second, distance.astype(np.float64), signed.group, signed.stratum)
        anchors, far, near = pairs.per_anchor()
        rng = self._rng(contrast, "distance")
        test = pairs.test(rng=rng, permutations=self.part.permutations)
        effect = pairs.interval(rng=rng, level=card.level)
        moved = self._values(signed, readable, lambda anchor, runs: self._moved(anchor, runs), self.bounds)
        detectable = mde_of(far - near)
        card.add(
            "name_effect",
            f"Distance of answers, {contrast.sides}",
            self._interval(far, card, contrast),
            n=len(anchors),
            unit="user",
            direction="higher_is_worse",
            params=self._params(contrast, "distance"),
            floor=float(near.mean()),
            effect=effect,
            test=_named(test),
            p=test.p,
            mde=None if detectable is None else detectable * moved.design_effect**0.5,
            note="; ".join(
                [
                    self._about(signed, test, moved),
                    f"a name at all moves the answer by {moved.value.mean():.3g} from the one without a name",
                ]
            ),
            unmet=[*unmet, *_halves(far - near)],
            evidence=self._evidence(contrast, signed, anchors, far - near, sheet) if test.p < _TELLING else (),
            values=self._by_anchor(anchors, far - near),
        )

    def _directed(
        self,
        contrast: Contrast,
        signed: Signed,
        readable: Sequence[int],
        unmet: Sequence[str],
        card: ReportCard,
        measure: str,
        title: str,
        of: Callable[[Anchor, Reading], float],
        bounds: tuple[float, float] | None,
    ) -> None:
        """A quantity that has a direction: which group is served better."""
        found = self._values(signed, readable, lambda a, runs: float(np.mean([of(a, r) for r in runs])), bounds)
        anchors, mine, other = found.per_anchor()
        rng = self._rng(contrast, measure)
        test = found.test(rng=rng, permutations=self.part.permutations)
        detectable = mde_of(mine - other)
        card.add(
            "name_effect",
            f"{title}, {contrast.sides}",
            found.interval(rng=rng, level=card.level, resamples=card.resamples),
            n=len(anchors),
            unit="user",
            direction="neither",
            params=self._params(contrast, measure),
            test=_named(test),
            p=test.p,
            mde=None if detectable is None else detectable * found.design_effect**0.5,
            note=f"{mine.mean():.4g} against {other.mean():.4g}; {self._about(signed, test, found)}",
            unmet=[*unmet, *_halves(mine - other)],
            values=self._by_anchor(anchors, mine - other),
        )

    def _moved(self, anchor: Anchor, runs: Sequence[Reading]) -> float:
        """Distance of an answer to a name from the answer without one; 0 where that cannot be read."""
        bare = self._bare[anchor.id]
        found = [apart(x, y) for x in bare for y in runs]
        return float(np.mean(found)) if np.isfinite(found).all() else 0.0

    def _interval(self, values: Floats, card: ReportCard, contrast: Contrast) -> Interval:
        bounds = None if self.bounds is None else (0.0, 1.0)
        rng = self._rng(contrast, "across")
        return stats.mean_interval(values, rng=rng, level=card.level, resamples=card.resamples, bounds=bounds)

    def _about(self, signed: Signed, test: NameTest, found: NamedValues) -> str:
        """How many names, what they can show, and how far the names of one group differ."""
        mine = int(signed.group.sum())
        cell = signed.stratum * 2 + signed.group
        effects, _ = found.effects()
        centred = effects - (np.bincount(cell, effects) / np.maximum(np.bincount(cell), 1))[cell]
        return (
            f"{mine} names against {len(signed.names) - mine}, the smallest attainable p is {test.attainable:.2g}; "
            f"names of one group have a standard deviation of {centred.std():.3g} and a design effect of "
            f"{found.design_effect:.3g}"
        )

    def _by_anchor(self, anchors: np.ndarray, values: Floats) -> dict[str, float]:
        return {self.anchors[i].id: float(v) for i, v in zip(anchors, values, strict=True)}

    def _evidence(
        self, contrast: Contrast, signed: Signed, anchors: np.ndarray, excess: Floats, sheet: Sheet
    ) -> list[str]:
        """Users to whom the two groups of names matter most, each with its two names that lie furthest apart."""
        kept = []
        for at in np.argsort(-excess, kind="stable")[: sheet.examples].tolist():
            i = int(anchors[at])
            across = [
                (mean_apart(self.readings[slot_a][i], self.readings[slot_b][i]), a, b, slot_a)
                for used in signed.at[i]
                for (a, slot_a), (b, slot_b) in combinations(used, 2)
                if signed.group[a] != signed.group[b]
            ]
            distance, a, b, slot_a = max(across, key=lambda row: row[0])
            request = self.readings.grid.requests[slot_a][i]
            old, new = signed.names[a], signed.names[b]
            note = f"these two answers are {distance:.3g} apart; groups beyond names of one group: {excess[at]:.3g}"
            edits = self.part.rename(request, self.channel, old, new)
            kept.append(sheet.compare(self.anchors[i].id, f"{old} signs as {new}", request, edits, note))
        return kept


def _mean_score(_: Anchor, reading: Reading) -> float:
    return float(np.mean(list(reading.scores.values()))) if reading.scores else 0.0


def _named(test: NameTest) -> str:
    return "permutation of names, all relabellings" if test.exact else "permutation of names"


def _halves(values: Floats) -> list[str]:
    """A phrase if the effect has not the same sign on every other user and on the rest."""
    one, other = values[::2].mean(), values[1::2].mean()
    return [] if one * other > 0 else ["its sign is not the same on two halves of the users"]
