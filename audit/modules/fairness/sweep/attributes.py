"""What the values of an attribute do beside each other: SNSR, SNSV, and the greatest distance between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from audit import stats
from audit.modules.fairness.design import NEUTRAL, Variant
from audit.modules.fairness.sweep.alike import Alike, compat_similarity, row_means
from audit.modules.fairness.sweep.desk import FEWEST, Desk, say
from audit.modules.fairness.sweep.similarity import COMPAT, MEASURES
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import mde_of

_METRICS: tuple[tuple[str, Literal["range", "sd"]], ...] = (("snsr", "range"), ("snsv", "sd"))
_GROUPS = 200
"""Groups of placebos that are looked at, at most."""
_RARE = 0.05


@dataclass(frozen=True)
class AttributeJudge:
    """Judges one attribute.

    Attributes:
        desk: of the run.
        attribute: its name.
        variants: its values.
    """

    desk: Desk
    attribute: str
    variants: Sequence[Variant]

    def judge(self) -> None:
        """Report how far the values lie apart."""
        if len(self.variants) < 2:
            reason = "the attribute has one value, and a range needs two"
            self.desk.primary.skip("snsr", self._title("snsr"), reason, **self._params(self.desk.measure, "clean"))
            return
        valid = self.desk.alike.valid(NEUTRAL, *(v.id for v in self.variants))
        if valid.sum() < FEWEST:
            reason = f"{int(valid.sum())} of {len(valid)} anchors gave lists for every value"
            self.desk.primary.skip("snsr", self._title("snsr"), reason, **self._params(self.desk.measure, "clean"))
            return
        # What confirms the measure that findings rest on holds for the others and for SNSV: one contrast, many names.
        unmet = self._unmet(self.desk.alike.table(self.variants), valid)
        for measure in MEASURES:
            self._spread(measure, "clean", self.desk.by(measure).table(self.variants), valid, unmet)
        for published in COMPAT if self.desk.replicate else ():
            columns = [compat_similarity(self.desk.readings, v.id, published) for v in self.variants]
            self._spread(published, "compat", np.stack(columns, axis=1), valid, unmet)
        self._farthest_pair(valid)

    def _params(self, measure: str, form: str) -> dict[str, str | int | float | bool | None]:
        return {**self.desk.params, "attribute": self.attribute, "measure": measure, "form": form}

    def _title(self, metric: str) -> str:
        what = "lowest and highest similarity to neutral" if metric == "snsr" else "spread of similarity to neutral"
        return f"{metric.upper()} of {self.attribute}: {what}"

    def _spread(self, measure: str, form: str, table: Floats, valid: Bools, unmet: Sequence[str]) -> None:
        desk = self.desk
        decides = measure == desk.measure and form == "clean"
        known = table[valid]
        means = known.mean(axis=0)
        low, high = int(np.argmin(means)), int(np.argmax(means))
        sims = ", ".join(f"{v.value} {mean:.3f}" for v, mean in zip(self.variants, means, strict=True))
        for metric, statistic in _METRICS:
            leads = decides and metric == "snsr"
            card = desk.primary if leads else desk.explored
            rng = desk.rng("spread", self.attribute, measure, form, metric)
            test = stats.spread_test(known, statistic, rng=rng, permutations=desk.permutations if leads else 9_999)
            values = _unit_values(known, statistic)
            card.add(
                metric,
                self._title(metric),
                stats.jackknife_interval(values, level=card.level, bounds=(0.0, np.inf)),
                n=len(known),
                unit=desk.unit,
                direction="higher_is_worse",
                params=self._params(measure, form),
                floor=test.floor,
                effect=stats.jackknife_interval(values - test.floor, level=card.level),
                test="values' labels shuffled within anchors",
                p=test.p,
                mde=mde_of(values),
                note=say(
                    f"most advantaged: {self.variants[high].value}, least: {self.variants[low].value}",
                    f"similarity to neutral: {sims}",
                    desk.joint(valid),
                ),
                unmet=unmet,
                values=desk.by_unit(valid, values - test.floor),
            )

    def _unmet(self, table: Floats, valid: Bools) -> list[str]:
        """What keeps the spread of these values from being decided on."""
        desk = self.desk
        unmet = []
        halves = [half & valid for half in desk.halves]
        if all(half.any() for half in halves):
            found, there = (table[half].mean(axis=0) for half in halves)
            if there[int(np.argmax(found))] <= there[int(np.argmin(found))]:
                unmet.append("the order found on one half of the anchors is not that of the other half")
        means = table[valid].mean(axis=0)
        low, high = self.variants[int(np.argmin(means))].id, self.variants[int(np.argmax(means))].id
        signs = desk.wording_signs([one.between(high) - one.between(low) for one in desk.reworded])
        unmet += desk.not_reworded(signs)
        share = self._placebos_reach(float(np.ptp(means)))
        if share is None:
            unmet.append("there are too few placebos to see what harmless words would come to (placebos)")
        elif share > _RARE:
            unmet.append(f"{share:.0%} of the groups of as many placebos differ as much among each other")
        return unmet

    def _placebos_reach(self, spread: float) -> float | None:
        """The share of groups of placebos, as many as values, whose similarities to neutral spread as far."""
        table = self.desk.alike.table(self.desk.placebos)
        table = table[np.isfinite(table).all(axis=1)]
        size = min(len(self.variants), len(self.desk.placebos))
        if size < 2 or not len(table):
            return None
        means = table.mean(axis=0)
        groups = np.array(list(combinations(range(len(means)), size)))
        if len(groups) > _GROUPS:
            groups = groups[self.desk.rng("placebo groups", self.attribute).permutation(len(groups))[:_GROUPS]]
        return float(np.mean(np.ptp(means[groups], axis=1) >= spread))

    def _farthest_pair(self, valid: Bools) -> None:
        """Two values may be equally far from neutral and yet far from each other: then SNSR is 0."""
        desk, alike = self.desk, self.desk.alike
        pairs = list(combinations(self.variants, 2))
        distances = [_apart(alike, a, b) for a, b in pairs]
        at = int(np.argmax([d[valid].mean() for d in distances]))
        (a, b), distance = pairs[at], distances[at]
        harmless = [_apart(alike, p, q) for p, q in combinations(desk.placebos, 2)]
        floor = row_means(np.stack(harmless, axis=1)) if harmless else 1.0 - alike.within()
        kept = valid & np.isfinite(floor)
        title = f"The two values of {self.attribute} whose answers lie farthest apart"
        params = self._params(desk.measure, "clean")
        if kept.sum() < FEWEST:
            reason = f"{int(kept.sum())} of {len(kept)} anchors gave lists for every value and for two placebos"
            desk.explored.skip("value_distance", title, reason, **params)
            return
        effect = distance[kept] - floor[kept]
        signs = desk.wording_signs([_beyond_pairs(one, a, b) for one in desk.reworded])
        unmet = desk.not_confirmed(np.where(kept, distance - floor, np.nan), signs)
        if any(np.nanmean(d[kept]) >= distance[kept].mean() for d in harmless if np.isfinite(d[kept]).any()):
            unmet.append("two placebos lie as far apart")
        p = stats.paired_permutation(
            distance[kept], floor[kept], rng=desk.rng("pair", self.attribute), alternative="greater"
        )
        desk.explored.add(
            "value_distance",
            title,
            desk.mean(distance[kept], (0.0, 1.0), desk.explored, "pair", self.attribute),
            n=int(kept.sum()),
            unit=desk.unit,
            direction="higher_is_worse",
            params=params,
            floor=float(floor[kept].mean()),
            effect=desk.mean(effect, (-1.0, 1.0), desk.explored, "pair effect", self.attribute),
            test=f"paired permutation, over {len(pairs)} pairs (Bonferroni)",
            p=min(1.0, p * len(pairs)),
            mde=mde_of(effect),
            note=say(
                f"{a.value} and {b.value}",
                "the floor is the distance between two placebos" if harmless else "the floor is that of repeats",
                desk.joint(kept),
            ),
            unmet=unmet,
            values=desk.by_unit(kept, effect),
        )


def _unit_values(table: Floats, statistic: Literal["range", "sd"]) -> Floats:
    """One number per anchor whose mean is the range or standard deviation of the columns' means."""

    def spread(weights: Floats) -> Floats:
        return stats.spread_of((weights @ table) / weights.sum(axis=1, keepdims=True), statistic)

    return stats.unit_values(spread, len(table))


def _apart(alike: Alike, x: Variant, y: Variant) -> Floats:
    """(anchors,) distance of two variants, both ways averaged."""
    found: Floats = 1.0 - (alike.between(x.id, y.id) + alike.between(y.id, x.id)) / 2.0
    return found


def _beyond_pairs(alike: Alike, x: Variant, y: Variant) -> Floats:
    """(anchors,) how much farther apart two values are than two placebos."""
    pairs = [_apart(alike, p, q) for p, q in combinations(alike.readings.of("placebo"), 2)]
    floor = row_means(np.stack(pairs, axis=1)) if pairs else np.zeros(alike.anchors)
    found: Floats = _apart(alike, x, y) - floor
    return found
