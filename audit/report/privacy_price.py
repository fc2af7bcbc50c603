"""What a promise of privacy costs: the quality of several runs against the ε that their trainings promise.

A curve of one's own audits, each with its interval. It shows what these targets are worth, not what ε does: they may
differ in more than their noise, which the reader has to know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audit.findings import Finding
from audit.report import words
from audit.report.view import RunView, section

_MEASURES = ("ndcg", "hr", "uauc", "auc")
"""By which quality is read, the first that the most runs share."""
Measure = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Priced:
    """One run: its promise and its worth.

    Attributes:
        run: its id.
        name: its name.
        epsilon: promised; None where nothing is, which is no ε at all and not a large one.
        quality: the measure that all the runs share.
    """

    run: str
    name: str
    epsilon: float | None
    quality: Finding


@dataclass(frozen=True)
class Prices:
    """Runs by what they promise.

    Attributes:
        measure: what quality is, for a person.
        points: the smallest ε first, no promise last.
        left_out: names of runs that do not have this measure.
    """

    measure: str
    points: tuple[Priced, ...]
    left_out: tuple[str, ...]


def prices(views: Sequence[RunView]) -> Prices | None:
    """Arrange runs by what they promise; None where not even two share a measure of quality."""
    found = {view.run.id: _qualities(view) for view in views}
    shared = Counter(measure for measures in found.values() for measure in measures)
    if not shared or max(shared.values()) < 2:
        return None
    chosen = min(shared, key=lambda m: (-shared[m], _MEASURES.index(m[0]), str(sorted(m[1]))))
    points = [
        Priced(view.run.id, view.run.name, _promised(view), found[view.run.id][chosen])
        for view in views
        if chosen in found[view.run.id]
    ]
    points.sort(key=lambda p: (p.epsilon is None, p.epsilon or 0.0, p.run))
    k = points[0].quality.params.get("k")
    named = words.short(chosen[0]) + (f"@{k}" if k is not None and "@" not in words.short(chosen[0]) else "")
    return Prices(named, tuple(points), tuple(v.run.name for v in views if chosen not in found[v.run.id]))


def _qualities(view: RunView) -> dict[Measure, Finding]:
    return {
        (f.metric, frozenset((name, str(value)) for name, value in f.params.items())): f
        for f in view.run.findings
        if f.module == "quality" and f.metric in _MEASURES and f.estimate is not None and f.ci is not None
        if section(f)[0] == "headline"
    }


def _promised(view: RunView) -> float | None:
    void = any(f.metric == "guarantee_void" and f.estimate for f in view.run.findings)
    card = next((f for f in view.run.findings if f.metric == "epsilon_claimed"), None)
    return None if card is None or void else card.estimate
