"""From the panel's answers to findings: one value against another, beyond placebo against placebo."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from audit import stats
from audit.edits import Edit, SetAttribute, TextEdit, read_text
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.apart import VALIDITY_GAP, unit_bounds
from audit.modules.fairness.design import NEUTRAL, Anchor, Readings
from audit.modules.fairness.swaps import measures
from audit.modules.fairness.swaps.measures import Between, mean_among, mean_between
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.stats import Interval
from audit.types import Request

_TELLING = 0.05
_FEWEST = 2
_SHARE_OF_WORDINGS = 2 / 3
"""Share of the other wordings in which an effect must have the same sign."""


@dataclass(frozen=True)
class Pair:
    """Two values of an attribute."""

    attribute: str
    value: str
    against: str

    @property
    def ids(self) -> tuple[str, str]:
        """Ids of their variants."""
        return f"{self.attribute}={self.value}", f"{self.attribute}={self.against}"

    @property
    def sides(self) -> str:
        """For titles."""
        return f"{self.attribute} {self.value} against {self.against}"


@dataclass(frozen=True)
class Judge:
    """One run of the part.

    Attributes:
        context: what is audited.
        main: answers to the first wording.
        others: answers to the other wordings.
        cut: score above which a decision is a yes.
        primary: the distances that are decided on.
        explored: all others.
        sheet: for evidence.
        unit: of inference, `user` or `anchor`.
        channel: through which values are said.
    """

    context: Context
    main: Readings
    others: Sequence[Readings]
    cut: float
    primary: ReportCard
    explored: ReportCard
    sheet: Sheet
    unit: str
    channel: str

    @property
    def anchors(self) -> Sequence[Anchor]:
        """The units."""
        return self.main.grid.anchors

    @cached_property
    def scored(self) -> bool:
        """Whether there are scores."""
        return any(r.scores for runs in self.main[NEUTRAL] for r in runs)

    @cached_property
    def bounded(self) -> bool:
        """Whether distances lie between 0 and 1."""
        return unit_bounds(list(self.main.found.values())) is not None

    def judge(self, pair: Pair) -> None:
        """Everything about one exchange."""
        a, b = pair.ids
        if a not in self.main.found or b not in self.main.found:
            self.primary.skip(
                "swap_distance", pair.sides, "one of the values has no word here", **self._params(pair, "rbo")
            )
            return
        gap = self._invalid(pair)
        unmet = []
        if abs(gap) > VALIDITY_GAP:
            unmet.append(f"answers to the two values can be read {abs(gap):.1%} apart")
        self._distance(pair, unmet)
        if self.scored:
            bounds = (-1.0, 1.0) if self.bounded else None
            self._shift(pair, "score_shift", "Mean score", "score", measures.score_gain, bounds, unmet)
            self._decisions(pair, unmet)
            return
        for name, title, measure in (
            ("jaccard", "Which items", measures.jaccard_distance),
            ("kendall", "Order of common items", measures.order_distance),
        ):
            self._beyond(pair, "swap_distance", title, name, measure, self.explored, unmet)
        self._beyond(pair, "top_change_rate", "First item", "top", measures.top_changes, self.explored, unmet)
        if any(anchor.relevant for anchor in self.anchors):
            self._shift(pair, "utility_shift", "NDCG on held-out items", "ndcg", measures.ndcg_gain, (-1.0, 1.0), unmet)

    # One measure of one exchange --------------------------------------------------------------------------------------

    def _distance(self, pair: Pair, unmet: Sequence[str]) -> None:
        name = "score" if self.scored else "rbo"
        title = "Distance of scores" if self.scored else "Distance of lists"
        self._beyond(pair, "swap_distance", title, name, measures.rbo_distance, self.primary, unmet, deciding=True)

    def _beyond(
        self,
        pair: Pair,
        metric: str,
        title: str,
        name: str,
        measure: Between,
        card: ReportCard,
        unmet: Sequence[str],
        *,
        deciding: bool = False,
    ) -> None:
        """A distance, held against the distance of two placebos."""
        far = self._between(self.main, pair, measure)
        floor = self._placebo(measure) if self._has_placebos else self._still(pair, measure)
        at = np.flatnonzero(np.isfinite(far) & np.isfinite(floor))
        params = self._params(pair, name)
        if len(at) < _FEWEST:
            reason = f"{len(at)} anchors have answers that can be compared, and at least {_FEWEST} are needed"
            card.skip(metric, f"{title}, {pair.sides}", reason, **params)
            return
        excess = far[at] - floor[at]
        rng = self._rng(pair, metric, name)
        limits = ((0.0, 1.0), (-1.0, 1.0)) if self.bounded else (None, None)
        p = stats.paired_permutation(far[at], floor[at], rng=rng)
        held = list(unmet)
        if deciding:
            held += [*_halves(excess), *self._other_wordings(pair, measure, float(excess.mean()))]
        telling = deciding and p < _TELLING
        card.add(
            metric,
            f"{title}, {pair.sides}",
            self._mean(far[at], rng, card, limits[0]),
            n=len(at),
            unit=self.unit,
            direction="higher_is_worse",
            params=params,
            floor=float(floor[at].mean()),
            effect=self._mean(excess, rng, card, limits[1]),
            test="sign-flip permutation",
            p=p,
            mde=mde_of(excess),
            note=self._about(pair, name, at),
            unmet=held,
            evidence=self._evidence(pair, at, far, floor) if telling else (),
            values=self._by_anchor(at, excess),
        )

    def _shift(
        self,
        pair: Pair,
        metric: str,
        title: str,
        name: str,
        measure: Between,
        bounds: tuple[float, float] | None,
        unmet: Sequence[str],
    ) -> None:
        """A difference with a direction: which value is served better."""
        gain = self._between(self.main, pair, measure)
        at = np.flatnonzero(np.isfinite(gain))
        if len(at) < _FEWEST:
            reason = f"{len(at)} anchors can be compared, and at least {_FEWEST} are needed"
            self.explored.skip(metric, f"{title}, {pair.sides}", reason, **self._params(pair, name))
            return
        rng = self._rng(pair, metric)
        notes = []
        if name == "ndcg":
            sides = (self._benefit(f"{pair.attribute}={value}", at) for value in (pair.value, pair.against))
            notes.append("against the neutral answer {:+.3g} and {:+.3g}".format(*sides))
        self.explored.add(
            metric,
            f"{title}, {pair.sides}",
            self._mean(gain[at], rng, self.explored, bounds),
            n=len(at),
            unit=self.unit,
            direction="neither",
            params=self._params(pair, name),
            test="sign-flip permutation",
            p=stats.paired_permutation(gain[at], np.zeros(len(at)), rng=rng),
            mde=mde_of(gain[at]),
            note="; ".join(notes),
            unmet=[*unmet, *_halves(gain[at])],
            values=self._by_anchor(at, gain[at]),
        )

    def _decisions(self, pair: Pair, unmet: Sequence[str]) -> None:
        """How many decisions turn, and whether they turn one way."""
        flips, net = measures.flips(self.cut), measures.net_flips(self.cut)
        far, turned = self._between(self.main, pair, flips), self._between(self.main, pair, net)
        floor = self._placebo(flips) if self._has_placebos else self._still(pair, flips)
        at = np.flatnonzero(np.isfinite(far) & np.isfinite(floor))
        title = f"Decisions at {self.cut:g} that turn, {pair.sides}"
        if len(at) < _FEWEST:
            reason = f"{len(at)} anchors can be compared, and at least {_FEWEST} are needed"
            self.explored.skip("decision_flip_rate", title, reason, **self._params(pair, "decision"))
            return
        rng = self._rng(pair, "decision_flip_rate")
        first, second = int((turned[at] > 0).sum()), int((turned[at] < 0).sum())
        single = set(np.unique(turned[at]).tolist()) <= {-1.0, 0.0, 1.0}
        # Several candidates of one anchor are no independent decisions: then anchors are flipped whole.
        p = (
            stats.mcnemar_exact(first, second)
            if single
            else stats.paired_permutation(turned[at], np.zeros(len(at)), rng=rng)
        )
        self.explored.add(
            "decision_flip_rate",
            title,
            self._mean(far[at], rng, self.explored, (0.0, 1.0)),
            n=len(at),
            unit=self.unit,
            direction="higher_is_worse",
            params=self._params(pair, "decision"),
            floor=float(floor[at].mean()),
            effect=self._mean(far[at] - floor[at], rng, self.explored, (-1.0, 1.0)),
            test="McNemar, exact" if single else "sign-flip permutation",
            p=p,
            mde=mde_of(far[at] - floor[at]),
            note=(
                f"{first} anchors get more yes as {pair.value}, {second} as {pair.against}; the test asks whether they "
                "turn one way"
            ),
            unmet=unmet,
            values=self._by_anchor(at, far[at] - floor[at]),
        )

    def _invalid(self, pair: Pair) -> float:
        """How much more often answers to one value cannot be read; a finding of its own."""
        one, other = (
            np.array([np.mean([not r.valid for r in runs]) for runs in self.main[variant]]) for variant in pair.ids
        )
        rng = self._rng(pair, "invalid_gap")
        self.explored.add(
            "invalid_gap",
            f"Answers that cannot be read, {pair.sides}",
            self._mean(one - other, rng, self.explored, (-1.0, 1.0)),
            n=len(one),
            unit=self.unit,
            direction="neither",
            params=self._params(pair, "invalid"),
            test="sign-flip permutation",
            p=stats.paired_permutation(one, other, rng=rng),
            note=f"{one.mean():.1%} as {pair.value}, {other.mean():.1%} as {pair.against}",
            values=self._by_anchor(np.arange(len(one)), one - other),
        )
        return float((one - other).mean())

    # Numbers per anchor -----------------------------------------------------------------------------------------------

    def _between(self, readings: Readings, pair: Pair, measure: Between) -> Floats:
        a, b = (readings[variant] for variant in pair.ids)
        return np.array([mean_between(measure, *three) for three in zip(readings.grid.anchors, a, b, strict=True)])

    @cached_property
    def _has_placebos(self) -> bool:
        return len(self.main.of("placebo")) >= _FEWEST

    @cached_property
    def _floors(self) -> dict[tuple[int, Between], Floats]:
        return {}

    def _placebo(self, measure: Between, readings: Readings | None = None) -> Floats:
        """Mean distance of two placebos at each anchor, over those pairs that can be compared."""
        found = self.main if readings is None else readings
        key = (id(found), measure)
        if key not in self._floors:
            rows = [
                [mean_between(measure, anchor, found[p.id][i], found[q.id][i]) for i, anchor in enumerate(self.anchors)]
                for p, q in combinations(found.of("placebo"), 2)
            ]
            table = np.array(rows)
            known = np.isfinite(table)
            count = known.sum(axis=0)
            total = np.where(known, table, 0.0).sum(axis=0)
            self._floors[key] = np.divide(total, count, out=np.full(len(count), math.nan), where=count > 0)
        return self._floors[key]

    def _still(self, pair: Pair, measure: Between) -> Floats:
        """Mean distance of repeats of the same question, where there are no placebos."""
        a, b = (self.main[variant] for variant in pair.ids)
        both = zip(self.anchors, a, b, strict=True)
        return np.array([(mean_among(measure, w, x) + mean_among(measure, w, y)) / 2 for w, x, y in both])

    def _benefit(self, variant: str, at: np.ndarray) -> float:
        """Mean NDCG less that of the neutral answer."""
        gains = [
            mean_between(measures.ndcg_gain, self.anchors[i], self.main[variant][i], self.main[NEUTRAL][i]) for i in at
        ]
        return float(np.nanmean(gains)) if np.isfinite(gains).any() else 0.0

    # What else must hold, and what is said ----------------------------------------------------------------------------

    def _other_wordings(self, pair: Pair, measure: Between, effect: float) -> list[str]:
        """A phrase if the effect does not have the same sign in most other wordings."""
        same = tried = 0
        for readings in self.others:
            if any(variant not in readings.found for variant in pair.ids):
                continue
            excess = self._between(readings, pair, measure)
            if len(readings.of("placebo")) >= _FEWEST:
                excess = excess - self._placebo(measure, readings)
            if np.isfinite(excess).any():
                tried += 1
                same += bool(np.nanmean(excess) * effect > 0)
        if tried and same < _SHARE_OF_WORDINGS * tried - 1e-9:
            return [f"its sign is the same in {same} of {tried} other wordings only"]
        return []

    def _about(self, pair: Pair, name: str, at: np.ndarray) -> str:
        notes = [f"held against {'two placebos' if self._has_placebos else 'repeats of the same question'}"]
        if self._has_placebos and name in ("rbo", "score") and self.main.repeats > 1:
            still = self._still(pair, measures.rbo_distance)
            notes.append(f"repeats of one question lie {np.nanmean(still[at]):.3g} apart")
        if name == "kendall":
            shares = self._between(self.main, pair, lambda _, x, y: measures.common_share(x, y))
            notes.append(
                f"{len(at)} of {len(self.anchors)} anchors have {measures.FEWEST_COMMON} items in common; the lists "
                f"share {np.nanmean(shares):.0%}"
            )
        return "; ".join(notes)

    def _evidence(self, pair: Pair, at: np.ndarray, far: Floats, floor: Floats) -> list[str]:
        kept = []
        order = at[np.argsort(-(far[at] - floor[at]), kind="stable")]
        for i in order[: self.sheet.examples].tolist():
            before, after = (self.main.grid.requests[variant][i] for variant in pair.ids)
            note = f"{far[i]:.3g} apart; two placebos {floor[i]:.3g}"
            title = f"{pair.value} becomes {pair.against}"
            kept.append(self.sheet.compare(self.anchors[i].id, title, before, between(before, after), note))
        return kept

    def _mean(
        self, values: Floats, rng: np.random.Generator, card: ReportCard, bounds: tuple[float, float] | None
    ) -> Interval:
        return stats.mean_interval(values, rng=rng, level=card.level, resamples=card.resamples, bounds=bounds)

    def _by_anchor(self, at: np.ndarray, values: Floats) -> Mapping[str, float]:
        return {self.anchors[i].id: float(v) for i, v in zip(at, values, strict=True)}

    def _params(self, pair: Pair, measure: str) -> dict[str, Param]:
        return {
            "part": "swaps",
            "attribute": pair.attribute,
            "value": pair.value,
            "against": pair.against,
            "measure": measure,
            "channel": self.channel,
        }

    def _rng(self, pair: Pair, *names: str) -> np.random.Generator:
        return self.context.rng("fairness", "swaps", pair.attribute, pair.value, pair.against, *names)


def between(before: Request, after: Request) -> list[Edit]:
    """The edits from one request to another that differs in a text or in attributes only."""
    edits: list[Edit] = []
    for field in ("note", "instruction"):
        old, new = read_text(before, field), read_text(after, field)
        if old != new:
            edits.append(TextEdit(field, 0, len(old), new))
    mine, other = before.user.attributes, after.user.attributes
    edits += [SetAttribute(n, other.get(n)) for n in {**mine, **other} if mine.get(n) != other.get(n)]
    return edits


def _halves(values: Floats) -> list[str]:
    """A phrase if the effect has not the same sign on every other anchor and on the rest."""
    one, other = values[::2].mean(), values[1::2].mean()
    return [] if one * other > 0 else ["its sign is not the same on two halves of the anchors"]
