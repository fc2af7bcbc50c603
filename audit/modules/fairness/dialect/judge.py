"""From the answers to guises to findings: a variety against controls that change as much and belong to nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.apart import VALIDITY_GAP, mean_apart, self_apart, unit_bounds, utility
from audit.modules.fairness.design import NEUTRAL, Anchor, Reading, Readings
from audit.modules.fairness.dialect.guises import Guise, edit_distance
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet

if TYPE_CHECKING:
    from audit.modules.fairness.dialect.part import Dialect

_FEWEST = 2
_TELLING = 0.05
CONTROLS: Mapping[str, str] = {"control": "a casual register", "typos": "slips of the pen"}
"""Variants that a variety is held against."""
_NOT_VALIDATED = "the shipped guises were not checked by speakers; bring your own (modules.fairness.dialect.file)"


@dataclass(frozen=True)
class Said:
    """What takes the place of a standard request."""

    guise: Guise
    slips: str

    def words(self, variant: str) -> str:
        """The request as a variant says it."""
        return {"dialect": self.guise.dialect, "control": self.guise.control, "typos": self.slips}[variant]


@dataclass(frozen=True)
class Judge:
    """One variety."""

    context: Context
    readings: Readings
    said: Mapping[str, Said]
    part: Dialect
    form: str
    primary: ReportCard
    explored: ReportCard
    sheet: Sheet

    @property
    def anchors(self) -> Sequence[Anchor]:
        """The requests as users make them."""
        return self.readings.grid.anchors

    def judge(self, control: str) -> None:
        """Everything about the variety beside one control."""
        title = f"{self.form} beside {CONTROLS[control]}"
        if control not in self.readings.found:
            reason = "the file has no column 'control'; fill it with the requests in a casual register"
            self.primary.skip("dialect_effect", f"Distance of answers, {title}", reason, **self._params(control))
            return
        everywhere = list(range(len(self.anchors)))
        gap = self._signed(
            control, "invalid_gap", "invalid", "Answers that cannot be read", everywhere, _unreadable, (), (-1.0, 1.0)
        )
        readable = [i for i in everywhere if all(self.readings.valid[v][i] for v in (NEUTRAL, "dialect", control))]
        if len({self.anchors[i].who for i in readable}) < _FEWEST:
            reason = f"{len(readable)} requests have answers that can be read in every guise, and two units are needed"
            self.primary.skip("dialect_effect", f"Distance of answers, {title}", reason, **self._params(control))
            return
        unmet = [_NOT_VALIDATED] if self.part.file is None else []
        if abs(gap) > VALIDITY_GAP:
            unmet.append(f"answers to the two guises can be read {abs(gap):.1%} apart")
        self._distance(control, title, readable, unmet)
        popularity = self.context.dataset.popularity
        measures: list[tuple[str, str, Callable[[Anchor, Reading], float], tuple[float, float] | None]] = []
        if self.context.task == "score":
            limits = unit_bounds(list(self.readings.found.values()))
            measures.append(("score", "Mean score", lambda _, r: float(np.mean(list(r.scores.values()))), limits))
        else:
            if all(self.anchors[i].relevant for i in readable):
                measures.append(("ndcg", "NDCG on held-out items", utility, (-1.0, 1.0)))

            def log_popularity(_: Anchor, reading: Reading) -> float:
                known = [math.log1p(popularity[name]) for name in reading.names if name in popularity]
                return float(np.mean(known)) if known else 0.0

            measures.append(("log_popularity", "Log popularity of items", log_popularity, None))
        for name, what, of, bounds in measures:
            self._signed(control, "dialect_effect", name, what, readable, of, unmet, bounds)

    def _distance(self, control: str, title: str, at: Sequence[int], unmet: Sequence[str]) -> None:
        far, near = (
            np.array([mean_apart(self.readings[v][i], self.readings[NEUTRAL][i]) for i in at])
            for v in ("dialect", control)
        )
        units, mine, other = self._by_unit(at, far, near)
        bounded = unit_bounds(list(self.readings.found.values())) is not None
        rng = self._rng(control, "distance")
        card = self.primary
        p = stats.paired_permutation(mine, other, rng=rng)
        still = float(np.mean([self_apart(self.readings[NEUTRAL][i]) for i in at]))
        card.add(
            "dialect_effect",
            f"Distance of answers, {title}",
            self._mean(mine, rng, (0.0, 1.0) if bounded else None),
            n=len(units),
            unit=self.part.cluster,
            direction="higher_is_worse",
            params=self._params(control),
            floor=float(other.mean()),
            effect=self._mean(mine - other, rng, (-1.0, 1.0) if bounded else None),
            test="sign-flip permutation",
            p=p,
            mde=mde_of(mine - other),
            note=f"{self._edits(control)}; repeats of the standard request lie {still:.3g} apart",
            unmet=[*unmet, *_halves(mine - other)],
            evidence=self._evidence(at, far - near) if p < _TELLING else (),
            values=dict(zip(units, (mine - other).tolist(), strict=True)),
        )

    def _signed(
        self,
        control: str,
        metric: str,
        measure: str,
        what: str,
        at: Sequence[int],
        of: Callable[[Anchor, Reading], float],
        unmet: Sequence[str],
        bounds: tuple[float, float] | None,
    ) -> float:
        """A quantity with a direction, in the dialect less in the control; returns the mean difference."""
        both = (
            np.array([np.mean([of(self.anchors[i], r) for r in self.readings[v][i]]) for i in at])
            for v in ("dialect", control)
        )
        units, mine, other = self._by_unit(at, *both)
        title = f"{what}, {self.form} beside {CONTROLS[control]}"
        if len(units) < _FEWEST:
            reason = f"{len(units)} units, and at least {_FEWEST} are needed"
            self.explored.skip(metric, title, reason, **self._params(control, measure))
            return 0.0
        rng = self._rng(control, measure)
        self.explored.add(
            metric,
            title,
            self._mean(mine - other, rng, bounds),
            n=len(units),
            unit=self.part.cluster,
            direction="neither",
            params=self._params(control, measure),
            test="sign-flip permutation",
            p=stats.paired_permutation(mine, other, rng=rng),
            mde=mde_of(mine - other),
            note=f"{mine.mean():.4g} against {other.mean():.4g}",
            unmet=[*unmet, *(_halves(mine - other) if metric == "dialect_effect" else [])],
            values=dict(zip(units, (mine - other).tolist(), strict=True)),
        )
        return float((mine - other).mean())

    def _by_unit(self, at: Sequence[int], a: Floats, b: Floats) -> tuple[list[str], Floats, Floats]:
        """Means over the requests of each unit."""
        who = [self.anchors[i].who for i in at]
        units, index = np.unique(who, return_inverse=True)
        count = np.bincount(index)
        return units.tolist(), np.bincount(index, a) / count, np.bincount(index, b) / count

    def _mean(self, values: Floats, rng: np.random.Generator, bounds: tuple[float, float] | None) -> stats.Interval:
        level, resamples = self.primary.level, self.primary.resamples
        return stats.mean_interval(values, rng=rng, level=level, resamples=resamples, bounds=bounds)

    def _params(self, control: str, measure: str = "distance") -> dict[str, Param]:
        against = "informal" if control == "control" else control
        channel = str(self.part.channel_for(self.context))
        return {"part": "dialect", "form": self.form, "against": against, "measure": measure, "channel": channel}

    def _rng(self, control: str, measure: str) -> np.random.Generator:
        return self.context.rng("fairness", "dialect", self.form, control, measure)

    def _edits(self, control: str) -> str:
        """How much either guise changes the words."""
        distances = [
            [edit_distance(words.guise.standard, words.words(variant)) for words in self.said.values()]
            for variant in ("dialect", control)
        ]
        mine, other = (float(np.mean(found)) for found in distances)
        return f"{mine:.1f} characters of a request are changed by the dialect, {other:.1f} by the control"

    def _evidence(self, at: Sequence[int], excess: Floats) -> list[str]:
        kept = []
        for j in np.argsort(-excess, kind="stable")[: self.sheet.examples].tolist():
            anchor = self.anchors[at[j]]
            edits = self.readings.grid.by_id["dialect"].edits(anchor.request)
            note = f"the answer moves {excess[j]:.3g} further than under the control"
            kept.append(self.sheet.compare(anchor.id, f"The same request in {self.form}", anchor.request, edits, note))
        return kept


def _unreadable(_: Anchor, reading: Reading) -> float:
    return float(not reading.valid)


def _halves(values: Floats) -> list[str]:
    """A phrase if the effect has not the same sign on every other unit and on the rest."""
    one, other = values[::2].mean(), values[1::2].mean()
    return [] if one * other > 0 else ["its sign is not the same on two halves of the requests"]
