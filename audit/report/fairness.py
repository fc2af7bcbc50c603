"""The fairness audit, to be read in two minutes: effects in charts, groups in tables, what mitigations change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.findings import Finding

_MOST = 40
"""Lines of one chart; further ones are in the tables below it."""


@dataclass(frozen=True)
class Mark:
    """One line of a chart.

    Attributes:
        label: at its left.
        finding: what it shows.
        span: low, estimate, high.
        beside: a second value to be seen beside it, such as the users' own; None for none.
    """

    label: str
    finding: Finding
    span: tuple[float, float, float]
    beside: float | None = None


@dataclass(frozen=True)
class Chart:
    """Effects side by side, on one scale.

    Attributes:
        title: what is shown.
        hint: how to read it.
        band: values between which nothing is amiss; None for no band.
        middle: the value of no effect.
        marks: the lines, by section and then as given; a section has a label of its own.
        left_out: how many lines found no room.
    """

    title: str
    hint: str
    band: tuple[float, float] | None
    middle: float
    marks: tuple[tuple[str, tuple[Mark, ...]], ...]
    left_out: int = 0


@dataclass(frozen=True)
class GroupLine:
    """One group of users.

    Attributes:
        group: its name.
        quality: what it gets.
        gap: how much less than the others, if that was judged.
        adjusted: the same at equal histories.
        rows: whether it was too small to be reported.
    """

    group: str
    quality: Finding | None
    gap: Finding | None
    adjusted: Finding | None


@dataclass(frozen=True)
class GroupTable:
    """The groups of one column, by one measure, and why some are missing."""

    attribute: str
    measure: str
    lines: tuple[GroupLine, ...]
    suppressed: str


@dataclass(frozen=True)
class Selection:
    """One category of people: its rates and impact ratio."""

    attribute: str
    group: str
    rate: str
    share: Finding
    ratio: Finding | None


@dataclass(frozen=True)
class Moved:
    """What one mitigation changed that was held to a limit before, or changed beyond doubt."""

    defense: str
    lines: tuple[Finding, ...]


@dataclass(frozen=True)
class FairnessView:
    """Everything about fairness, arranged for reading."""

    charts: tuple[Chart, ...]
    groups: tuple[GroupTable, ...]
    selections: tuple[Selection, ...]
    moved: tuple[Moved, ...]


def fairness_view(findings: Iterable[Finding]) -> FairnessView | None:
    """Arrange the findings about fairness; None where there are none."""
    ours = [f for f in findings if f.module == "fairness"]
    measured = [f for f in ours if f.estimate is not None]
    if not measured:
        return None
    charts = [c for c in (_stated(measured), _hinted(measured), *_genres(measured), _exposure(measured)) if c]
    return FairnessView(tuple(charts), tuple(_groups(ours)), tuple(_selections(measured)), tuple(_moved(measured)))


def _effect(finding: Finding, label: str) -> Mark | None:
    if finding.effect is None or finding.effect_ci is None:
        return None
    return Mark(label, finding, (finding.effect_ci[0], finding.effect, finding.effect_ci[1]))


def _limit(findings: Sequence[Finding]) -> float | None:
    return next((f.threshold for f in findings if f.threshold is not None), None)


def _chart(title: str, hint: str, sections: dict[str, list[Mark]], limit: float | None) -> Chart | None:
    if not any(sections.values()):
        return None
    kept: list[tuple[str, tuple[Mark, ...]]] = []
    room, total = _MOST, sum(len(marks) for marks in sections.values())
    for name, marks in sections.items():
        if marks and room:
            shown = sorted(marks, key=lambda m: -m.span[1])[:room]
            kept.append((name, tuple(shown)))
            room -= len(shown)
    band = None if limit is None else (-limit, limit)
    return Chart(title, hint, band, 0.0, tuple(kept), total - sum(len(m) for _, m in kept))


def _stated(findings: Sequence[Finding]) -> Chart | None:
    ours = [f for f in findings if f.metric == "excess_distance" and f.params.get("form", "clean") == "clean"]
    sections: dict[str, list[Mark]] = {}
    for f in ours:
        if mark := _effect(f, str(f.params.get("value"))):
            sections.setdefault(str(f.params.get("attribute")), []).append(mark)
    return _chart(
        "What a stated value changes",
        "Distance beyond harmless words of the same shape; the shaded band is the policy's limit.",
        sections,
        _limit(ours),
    )


def _hinted(findings: Sequence[Finding]) -> Chart | None:
    ours = [f for f in findings if f.metric in ("name_effect", "dialect_effect") and f.params["measure"] == "distance"]
    sections: dict[str, list[Mark]] = {}
    for f in ours:
        p = f.params
        label = f"{p.get('group') or p.get('form')} / {p.get('against')}"
        if mark := _effect(f, label):
            sections.setdefault("Names" if f.metric == "name_effect" else "Dialect", []).append(mark)
    return _chart(
        "What a name or a dialect changes",
        "Distance beyond names of one group, or beyond casual speech and slips of the pen.",
        sections,
        _limit(ours),
    )


def _genres(findings: Sequence[Finding]) -> list[Chart]:
    charts = []
    for metric, hint in (
        ("association", "Logarithm of odds in lists for a stated value; the same people ask, so 0 is no lean."),
        ("amplification", "Logarithm of odds in lists of real groups; the open ring is what their own histories hold."),
    ):
        sections: dict[str, list[Mark]] = {}
        for f in (f for f in findings if f.metric == metric):
            p = f.params
            who = str(p.get("value") or p.get("group"))
            pair = tuple(sorted((who, str(p.get("against")))))
            # Two values lean by as much in opposite directions: one of them is drawn.
            if who != pair[0] and any(
                g.metric == metric and (g.params.get("value") or g.params.get("group")) == pair[0] for g in findings
            ):
                continue
            if f.ci is None or f.estimate is None:
                continue
            mark = Mark(str(p.get("name")), f, (f.ci[0], f.estimate, f.ci[1]), f.floor)
            sections.setdefault(f"{who}, against {p.get('against')}", []).append(mark)
        if chart := _chart("Which genres lean towards whom", hint, sections, None):
            charts.append(chart)
    return charts


def _exposure(findings: Sequence[Finding]) -> Chart | None:
    ratios = [f for f in findings if f.metric == "exposure_ratio" and f.ci is not None and f.estimate is not None]
    judged = [f for f in ratios if f.threshold is not None] or ratios
    if not judged:
        return None
    sections: dict[str, list[Mark]] = {}
    for f in judged:
        assert f.ci is not None  # noqa: S101 - filtered above
        low, high = f.ci
        key = f"{f.params.get('column')}, of {f.params.get('reference')}"
        sections.setdefault(key, []).append(Mark(str(f.params.get("group")), f, (low, f.estimate or 0.0, high)))
    made = _chart(
        "Who gets the exposure", "Share of exposure over share of the reference; 1 is as much.", sections, None
    )
    if made is None:
        return None
    return Chart(made.title, f"{made.hint} Shaded: .8 to 1.25.", (0.8, 1.25), 1.0, made.marks, made.left_out)


def _groups(findings: Sequence[Finding]) -> list[GroupTable]:
    of_part = [f for f in findings if f.params.get("part") == "groups"]
    tables = []
    pairs = dict.fromkeys(
        (str(f.params["attribute"]), str(f.params["measure"])) for f in of_part if f.metric == "group_quality"
    )
    for attribute, measure in pairs:
        mine = [f for f in of_part if f.params.get("attribute") == attribute]
        by_measure = [f for f in mine if f.params.get("measure") == measure]
        lines = []
        for f in (f for f in by_measure if f.metric == "group_quality"):
            gaps = [
                g for g in by_measure if g.metric == "quality_gap" and g.params.get("group") == f.params.get("group")
            ]
            plain = next((g for g in gaps if g.params.get("adjusted") is False), None)
            equal = next((g for g in gaps if g.params.get("adjusted") is True and g.estimate is not None), None)
            lines.append(GroupLine(str(f.params.get("group")), f, plain, equal))
        small = next((f.reason for f in mine if f.params.get("group") == "(small)"), "")
        tables.append(GroupTable(attribute, measure, tuple(lines), small))
    return tables


def _selections(findings: Sequence[Finding]) -> list[Selection]:
    ratios = {
        (f.params.get("attribute"), f.params.get("group"), f.params.get("rate")): f
        for f in findings
        if f.metric == "impact_ratio"
    }
    found = []
    for f in findings:
        if f.metric in ("selection_rate", "scoring_rate"):
            rate = "selection" if f.metric == "selection_rate" else "scoring"
            attribute, group = f.params.get("attribute"), f.params.get("group")
            found.append(Selection(str(attribute), str(group), rate, f, ratios.get((attribute, group, rate))))
    return found


def _moved(findings: Sequence[Finding]) -> list[Moved]:
    by_id = {f.id: f for f in findings}
    names = dict.fromkeys(str(f.params["defense"]) for f in findings if f.metric == "mitigation_change")
    moved = []
    for name in names:
        changes = [f for f in findings if f.metric == "mitigation_change" and f.params["defense"] == name]
        telling = []
        for f in changes:
            before = by_id.get(str(f.params.get("finding")))
            if (before is not None and before.threshold is not None) or (
                f.p_adjusted is not None and f.p_adjusted < 0.05
            ):
                telling.append(f)
        order = sorted(
            telling, key=lambda f: (f.p_adjusted if f.p_adjusted is not None else 1.0, -abs(f.estimate or 0.0))
        )
        moved.append(Moved(name, tuple(order[:_MOST])))
    return moved
