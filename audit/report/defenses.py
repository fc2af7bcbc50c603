"""What a report shows of defenses: a line for each, one table per row of the comparison, certified figures apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.findings import Finding

METRICS = (
    "attacked_utility",
    "broken_rate",
    "defense_gain",
    "robust_utility",
    "clean_utility",
    "utility_cost",
    "false_alarm_rate",
    "calls_per_answer",
    "latency_multiplier",
    "detector_fpr",
    "detector_auroc",
    "detector_tpr",
    "certified_accuracy",
    "certified_hr",
    "certified_overlap",
    "certificate_coverage",
    "certificate_violations",
    "defended_lift",
    "defended_psr",
    "lift_blocked",
)
"""Metrics that compare defenses."""

ROWS = {
    "adaptive": "Adaptive: the attack run again, end to end, by somebody who may ask the defended target. What is left",
    "replay": "Replay: the edits found without the defense, sent to the defended target. What is left",
}
"""The rows of a pair that get a table of their own: they never share one, nor a column with a certificate."""

_COLUMNS = (
    "clean_utility",
    "utility_cost",
    "robust_utility",
    "false_alarm_rate",
    "calls_per_answer",
    "latency_multiplier",
)

_CERTIFIED = ("certified_accuracy", "certified_hr", "certified_overlap")


@dataclass(frozen=True)
class DefenseLine:
    """One defense, or none, over the figures to choose by.

    Attributes:
        name: registered name; empty for the bare target.
        title: for a person.
        figures: by metric, its finding; metrics that were not measured are absent.
    """

    name: str
    title: str
    figures: dict[str, Finding]


@dataclass(frozen=True)
class Grid:
    """Attacks by defenses, in one row of the comparison.

    Attributes:
        row: `adaptive` or `replay`.
        title: what the row means.
        defenses: names of the columns behind the first, which is the bare target.
        lines: title of an attack, the bare target's figure, and one figure per defense; None where it was not run.
        higher_is_better: whether the figures are what is left, or what the attacker gets.
    """

    row: str
    title: str
    defenses: tuple[str, ...]
    lines: tuple[tuple[str, Finding | None, tuple[Finding | None, ...]], ...]
    higher_is_better: bool = True

    @property
    def figures(self) -> list[Finding]:
        """Every figure that was measured."""
        return [f for _, bare, behind in self.lines for f in (bare, *behind) if f is not None]


@dataclass(frozen=True)
class CertifiedLine:
    """What one defense certifies against one kind of edit, by radius.

    Attributes:
        title: of the defense.
        what: the quantity and the kind of edit.
        figures: by radius from 0.
    """

    title: str
    what: str
    figures: tuple[Finding, ...]


@dataclass(frozen=True)
class DefenseView:
    """Everything about defenses, arranged for reading.

    Attributes:
        attacks: how many attacks the worst case is over.
        what: the utility that is measured.
        lines: the bare target first, then defenses by what they leave under attack.
        grids: one per row of the comparison.
        certified: by defense.
    """

    attacks: int
    what: str
    lines: tuple[DefenseLine, ...]
    grids: tuple[Grid, ...]
    certified: tuple[CertifiedLine, ...]

    @property
    def columns(self) -> list[str]:
        """Metrics of the lines that any of them has, in a fixed order."""
        return [metric for metric in _COLUMNS if any(metric in line.figures for line in self.lines)]

    @property
    def points(self) -> list[tuple[str, float, float, float]]:
        """Title, clean utility, utility under the worst attack, and calls per answer, of each line that has them."""
        found = []
        for line in self.lines:
            clean, robust = line.figures.get("clean_utility"), line.figures.get("robust_utility")
            calls = line.figures.get("calls_per_answer")
            if clean and robust and clean.estimate is not None and robust.estimate is not None:
                found.append((line.title, clean.estimate, robust.estimate, (calls.estimate if calls else 1.0) or 1.0))
        return found


def defense_view(findings: Iterable[Finding]) -> DefenseView | None:
    """Arrange the findings about defenses; None where there are none."""
    measured = [f for f in findings if f.estimate is not None]
    of_ours = [f for f in measured if f.metric in METRICS]
    robust = {_name(f): f for f in of_ours if f.metric == "robust_utility"}
    titles = {name: f.title.partition(": ")[0] for name, f in robust.items()}
    # Where only promotions were tried, a defense is known from the titles of their findings.
    for f in of_ours:
        if f.metric == "defended_psr":
            titles.setdefault(_name(f), f.title.partition(" against ")[2].partition(": ")[0])
    if not set(titles) - {""}:
        return None
    order = sorted(titles, key=lambda name: (name != "", -_left(robust.get(name)), name))
    columns = [name for name in order if name]
    k = robust[""].params.get("k") if "" in robust else None
    grids = [_grid(row, title, columns, of_ours) for row, title in ROWS.items()]
    grids += [_promoted(row, columns, measured) for row in ROWS]
    return DefenseView(
        int(next((f.params.get("attacks") or 0 for f in robust.values()), 0)),
        f"NDCG@{k}" if k else "share of right decisions",
        tuple(DefenseLine(name, titles[name], _figures(name, of_ours)) for name in order if name in robust),
        tuple(grid for grid in grids if grid.lines),
        tuple(_certified(order, titles, of_ours)),
    )


def _left(robust: Finding | None) -> float:
    return 0.0 if robust is None else robust.estimate or 0.0


def _name(finding: Finding) -> str:
    return str(finding.params.get("defense") or "")


def _figures(name: str, findings: Sequence[Finding]) -> dict[str, Finding]:
    return {
        f.metric: f for f in findings if _name(f) == name and f.metric in _COLUMNS and f.params.get("measure") != "auc"
    }


def _grid(row: str, title: str, order: Sequence[str], findings: Sequence[Finding]) -> Grid:
    figures = [f for f in findings if f.metric == "attacked_utility"]
    bare = {str(f.params["attack"]): f for f in figures if f.params.get("row") == "undefended"}
    behind = {(str(f.params["attack"]), _name(f)): f for f in figures if f.params.get("row") == row}
    lines = [
        (f.title.partition(": ")[0], f, tuple(behind.get((attack, name)) for name in order))
        for attack, f in bare.items()
    ]
    lines.sort(key=lambda line: line[1].estimate or 0.0)
    return Grid(row, title, tuple(order), tuple(lines))


_PARTS = ("family", "field", "style", "carrier", "position", "channel", "stratum")


def _promoted(row: str, order: Sequence[str], findings: Sequence[Finding]) -> Grid:
    """Promotion success, by attack and defense."""
    behind = {
        (str(f.params["attack"]), _name(f)): f
        for f in findings
        if f.metric == "defended_psr" and f.params.get("row") == row
    }
    bare = {
        str(f.params["attack"]): f for f in findings if f.metric == "psr" and not any(f.params.get(p) for p in _PARTS)
    }
    lines = [
        (f.title.partition(": ")[0], f, tuple(behind.get((attack, name)) for name in order))
        for attack, f in bare.items()
        if any(key[0] == attack for key in behind)
    ]
    lines.sort(key=lambda line: -(line[1].estimate or 0.0))
    how = "the same text, sent to the defended target" if row == "replay" else "searched again against the defense"
    title = f"Planted text, {how}: promotion success rate, lower is better"
    return Grid(row, title, tuple(order), tuple(lines), higher_is_better=False)


def _certified(order: Sequence[str], titles: dict[str, str], findings: Sequence[Finding]) -> list[CertifiedLine]:
    words = {
        "certified_accuracy": "right decisions",
        "certified_hr": "next item certified in the list",
        "certified_overlap": "share of the list certified",
    }
    lines = []
    for name in order:
        for metric in _CERTIFIED:
            ours = [f for f in findings if f.metric == metric and _name(f) == name]
            for edit in dict.fromkeys(str(f.params.get("edit")) for f in ours):
                by_radius = sorted(
                    (f for f in ours if str(f.params.get("edit")) == edit), key=lambda f: int(f.params.get("r") or 0)
                )
                lines.append(CertifiedLine(titles[name], f"{words[metric]}, {edit}s", tuple(by_radius)))
    return lines
