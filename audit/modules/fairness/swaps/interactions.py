"""Two attributes said together: more than each of them alone?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from audit import stats
from audit.modules.base import Context
from audit.modules.fairness.apart import unit_bounds
from audit.modules.fairness.design import NEUTRAL, Readings
from audit.modules.fairness.panel import Panel
from audit.modules.fairness.statements import Channel, channel_of
from audit.modules.fairness.swaps import measures
from audit.modules.fairness.swaps.measures import mean_between
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of

if TYPE_CHECKING:
    from audit.modules.fairness.swaps.part import Swaps

_TWO_PLACEBOS = "two placebos"
_CONTROLS = 6
"""Pairs of placebos that are said together."""


@dataclass(frozen=True)
class Crossing:
    """Two attributes to be said together.

    Attributes:
        names: of the attributes.
        panel: that asks for them; None where it cannot be asked.
        cells: by what is said together, the two values.
        controls: by what is said together, the two placebos.
        reason: why it cannot be asked.
    """

    names: tuple[str, str]
    panel: Panel | None = None
    cells: dict[str, tuple[str, str]] | None = None
    controls: dict[str, tuple[str, str]] | None = None
    reason: str | None = None

    @property
    def together(self) -> str:
        """Name of the attribute that holds both values."""
        return " x ".join(self.names)

    @classmethod
    def of(cls, part: Swaps, context: Context, names: tuple[str, str]) -> Crossing:
        """Work out what has to be asked."""
        values = part.values(context)
        if missing := [name for name in names if name not in values]:
            return cls(names, reason=f"{' and '.join(missing)} must be among the attributes of the part")
        if channel_of(context.info, part.channel) is Channel.ATTRIBUTES:
            return cls(names, reason="through attributes two values are said apart, not in one phrase")
        placebos = part.words.placebos[: part.placebos]
        pairs = list(combinations(placebos, 2))[:_CONTROLS]
        if not pairs:
            return cls(names, reason="a longer request needs a control of its own: at least two placebos")
        one, other = names
        cells = {f"{a} {b}": (f"{one}={a}", f"{other}={b}") for a in values[one] for b in values[other]}
        controls = {f"{a} {b}": (f"placebo={a}", f"placebo={b}") for a, b in pairs}
        crossing = cls(names, cells=cells, controls=controls)
        asked = {one: values[one], other: values[other], crossing.together: tuple(cells)}
        fields = {f: getattr(part, f) for f in Panel.__dataclass_fields__}
        panel = replace(
            Panel(**fields),
            attributes={**asked, _TWO_PLACEBOS: tuple(controls)},
            paraphrases=0,
            languages=(),
            typos=False,
        )
        return replace(crossing, panel=panel)


def judge_crossing(context: Context, crossing: Crossing, fewest: int, card: ReportCard) -> None:
    """Ask, and report every cell: I = Δ(both) - Δ(one) - Δ(other), where Δ is the distance from the neutral answer.

    Distances do not add up: two harmless words together move an answer less than the sum of both. So a cell is held
    against two placebos said together, which have the length of a cell as well.
    """
    title = f"{crossing.together}, said together"
    if crossing.panel is None or crossing.cells is None or crossing.controls is None:
        card.skip("interaction", title, str(crossing.reason), part="swaps", attribute=crossing.together)
        return
    count = len(crossing.panel.seeds(context))
    if count < fewest:
        reason = f"{count} anchors are too few for the cells of an intersection; at least {fewest} are needed"
        card.skip("interaction", title, reason, part="swaps", attribute=crossing.together)
        return
    readings = crossing.panel.grid(context).run(context)
    rows = [_excess(readings, f"{_TWO_PLACEBOS}={both}", *pair) for both, pair in crossing.controls.items()]
    control = np.array(rows).mean(axis=0)
    bounded = unit_bounds(list(readings.found.values())) is not None
    limits = ((-2.0, 1.0), (-3.0, 3.0)) if bounded else (None, None)
    for both, pair in crossing.cells.items():
        beyond = _excess(readings, f"{crossing.together}={both}", *pair)
        at = np.flatnonzero(np.isfinite(beyond) & np.isfinite(control))
        if len(at) < fewest:
            reason = f"{len(at)} anchors can be read, and at least {fewest} are needed"
            card.skip("interaction", f"{title}: {both}", reason, part="swaps", attribute=crossing.together, value=both)
            continue
        rng = context.rng("fairness", "swaps", "interaction", crossing.together, both)
        effect = beyond[at] - control[at]
        level, resamples = card.level, card.resamples
        card.add(
            "interaction",
            f"{title}: {both}",
            stats.mean_interval(beyond[at], rng=rng, level=level, resamples=resamples, bounds=limits[0]),
            n=len(at),
            unit="anchor",
            direction="neither",
            params={"part": "swaps", "attribute": crossing.together, "value": both, "measure": "rbo"},
            floor=float(control[at].mean()),
            effect=stats.mean_interval(effect, rng=rng, level=level, resamples=resamples, bounds=limits[1]),
            test="sign-flip permutation",
            p=stats.paired_permutation(beyond[at], control[at], rng=rng),
            mde=mde_of(effect),
            note="distance of both beyond the sum of each; held against two placebos said together",
            values={readings.grid.anchors[i].id: float(v) for i, v in zip(at.tolist(), effect, strict=True)},
        )


def _excess(readings: Readings, both: str, one: str, other: str) -> Floats:
    """Per anchor, Δ(both) - Δ(one) - Δ(other)."""
    moved = [
        np.array(
            [
                mean_between(measures.rbo_distance, anchor, x, y)
                for anchor, x, y in zip(readings.grid.anchors, readings[variant], readings[NEUTRAL], strict=True)
            ]
        )
        for variant in (both, one, other)
    ]
    excess: Floats = moved[0] - moved[1] - moved[2]
    return excess
