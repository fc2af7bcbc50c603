"""The fairness audit, to be read in two minutes: effects in charts, groups in tables, what mitigations change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audit.findings import VERDICTS, Finding
from audit.policy import held_back

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
        band: values between which nothing is amiss, None for an end without a limit; None for no band.
        middle: the value of no effect.
        marks: the lines, by section and then as given; a section has a label of its own.
        left_out: how many lines found no room, the least telling ones.
    """

    title: str
    hint: str
    band: tuple[float | None, float | None] | None
    middle: float
    marks: tuple[tuple[str, tuple[Mark, ...]], ...]
    left_out: int = 0

    @property
    def signals(self) -> list[tuple[str, str]]:
        """Lines that lie beyond the limit and are not decided, each with what is missing."""
        return [
            (f"{name}: {mark.label}" if name else mark.label, "; ".join(mark.finding.unmet))
            for name, marks in self.marks
            for mark in marks
            if held_back(mark.finding)
        ]


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
    """What one mitigation changed.

    Attributes:
        defense: its name.
        held: what fails or is open without it, failures first, and each change; what passes, where it surely changed.
        others: further quantities that changed beyond doubt: what it costs, or does besides.
    """

    defense: str
    held: tuple[tuple[Finding, Finding], ...]
    others: tuple[Finding, ...]


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
    made = (_refused(measured), _stated(measured), _hinted(measured), *_genres(measured), _exposure(measured))
    charts = [c for c in made if c]
    return FairnessView(tuple(charts), tuple(_groups(ours)), tuple(_selections(measured)), tuple(moved_by(measured)))


def _effect(finding: Finding, label: str) -> Mark | None:
    if finding.effect is None or finding.effect_ci is None:
        return None
    return Mark(label, finding, (finding.effect_ci[0], finding.effect, finding.effect_ci[1]))


def _limit(findings: Sequence[Finding]) -> float | None:
    return next((f.threshold for f in findings if f.threshold is not None), None)


def _chart(
    title: str,
    hint: str,
    sections: dict[str, list[Mark]],
    band: tuple[float | None, float | None] | None,
    middle: float = 0.0,
) -> Chart | None:
    every = [mark for marks in sections.values() for mark in marks]
    if not every:
        return None

    def telling(mark: Mark) -> tuple[int, float, float]:
        f = mark.finding
        verdict = len(VERDICTS) if f.verdict is None else VERDICTS.index(f.verdict)
        return (
            verdict,
            1.0 if f.p_adjusted is None else f.p_adjusted,
            -abs(mark.span[1] - (middle if mark.beside is None else mark.beside)),
        )

    # Room goes to what tells most wherever it stands: by section, the last attribute would never be seen.
    shown = {id(mark) for mark in sorted(every, key=telling)[:_MOST]}
    kept = [
        (name, tuple(sorted((m for m in marks if id(m) in shown), key=lambda m: -m.span[1])))
        for name, marks in sections.items()
    ]
    return Chart(title, hint, band, middle, tuple((n, m) for n, m in kept if m), len(every) - len(shown))


def _up_to(findings: Sequence[Finding]) -> tuple[float | None, float | None] | None:
    """The band below an upper limit: an effect below 0 passes it, so the band has no lower end."""
    limit = _limit(findings)
    return None if limit is None else (None, limit)


def _refused(findings: Sequence[Finding]) -> Chart | None:
    ours = [f for f in findings if f.metric == "invalid_gap" and f.params.get("kind") == "invalid"]
    if not any(f.estimate for f in ours):
        return None
    sections: dict[str, list[Mark]] = {}
    for f in ours:
        if f.ci is not None and f.estimate is not None:
            mark = Mark(str(f.params.get("value")), f, (f.ci[0], f.estimate, f.ci[1]))
            sections.setdefault(str(f.params.get("attribute")), []).append(mark)
    return _chart(
        "Who is refused, or cannot be read",
        "How much more often than without the value, as a share of answers; the shaded side is within the limit.",
        sections,
        _up_to(ours),
    )


def _stated(findings: Sequence[Finding]) -> Chart | None:
    ours = [f for f in findings if f.metric == "excess_distance" and f.params.get("form", "clean") == "clean"]
    sections: dict[str, list[Mark]] = {}
    for f in ours:
        if mark := _effect(f, str(f.params.get("value"))):
            sections.setdefault(str(f.params.get("attribute")), []).append(mark)
    return _chart(
        "What a stated value changes",
        "Distance beyond harmless words of the same shape; the shaded side is within the policy's limit.",
        sections,
        _up_to(ours),
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
        "Distance beyond names of one group, or beyond casual speech and slips of the pen; the shaded side is within "
        "the policy's limit.",
        sections,
        _up_to(ours),
    )


def _genres(findings: Sequence[Finding]) -> list[Chart]:
    charts = []
    for metric, hint in (
        (
            "association",
            "Logarithm of odds in lists for a stated value; the same people ask, so 0 is no lean. Against all other "
            "values unless one is named.",
        ),
        (
            "amplification",
            "Logarithm of odds in lists of real groups, against all others; the open ring is what their own histories "
            "hold.",
        ),
    ):
        sections: dict[str, list[Mark]] = {}
        ours = [f for f in findings if f.metric == metric and f.ci is not None and f.estimate is not None]
        mirrored = _mirrored(ours)
        for f in ours:
            if f.id in mirrored:
                continue
            assert f.ci is not None  # noqa: S101 - filtered above
            mark = Mark(str(f.params.get("name")), f, (f.ci[0], f.estimate or 0.0, f.ci[1]), f.floor)
            against = f.params.get("against")
            named = "" if against in (None, "the others") else f", against {against}"
            sections.setdefault(f"{f.params.get('attribute')}: {_who(f)}{named}", []).append(mark)
        if chart := _chart("Which genres lean towards whom", hint, sections, None):
            charts.append(chart)
    return charts


def _who(finding: Finding) -> str:
    return str(finding.params.get("value") or finding.params.get("group"))


def _mirrored(leans: Sequence[Finding]) -> set[str]:
    """Ids of leans that say no more than another: of two groups, one leans by what the other leans away."""
    by_feature: dict[tuple[object, ...], list[Finding]] = {}
    for f in leans:
        key = (f.params.get("attribute"), f.params.get("feature"), f.params.get("name"))
        by_feature.setdefault(key, []).append(f)
    pairs = [two for two in by_feature.values() if len(two) == 2]
    return {
        two[1].id
        for pair in pairs
        for two in [sorted(pair, key=_who)]
        if abs((two[0].estimate or 0.0) + (two[1].estimate or 0.0)) < 1e-9
    }


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
    return _chart(
        "Who gets the exposure",
        "Share of exposure over share of the reference; 1 is as much. Shaded: .8 to 1.25; only its lower end is held "
        "to a limit.",
        sections,
        (0.8, 1.25),
        1.0,
    )


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


def moved_by(findings: Sequence[Finding]) -> list[Moved]:
    """What each mitigation changed of these findings of one module, which are measured without it and behind it."""
    by_id = {f.id: f for f in findings}
    changes: dict[str, list[Finding]] = {}
    for f in findings:
        if f.metric == "mitigation_change":
            changes.setdefault(str(f.params["defense"]), []).append(f)
    return [_moved_by(name, found, by_id) for name, found in changes.items()]


def _moved_by(name: str, changes: Sequence[Finding], by_id: dict[str, Finding]) -> Moved:
    held, others = [], []
    for f in changes:
        before = by_id.get(str(f.params.get("finding")))
        doubtless = f.p_adjusted is not None and f.p_adjusted < 0.05
        # What passes without it and stays as it is tells nobody anything.
        if before is not None and (before.verdict in ("fail", "inconclusive") or (before.verdict and doubtless)):
            held.append((before, f))
        elif doubtless:
            others.append(f)

    def sure(f: Finding) -> tuple[float, float]:
        return (1.0 if f.p_adjusted is None else f.p_adjusted), -abs(f.estimate or 0.0)

    held.sort(key=lambda pair: (VERDICTS.index(pair[0].verdict or "not_applicable"), *sure(pair[1])))
    return Moved(name, tuple(held), tuple(sorted(others, key=sure)[:_MOST]))
