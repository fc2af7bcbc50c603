"""The explanation audit, to be read in two minutes: which attribution can be believed, what would change an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.findings import Finding, Verdict
from audit.report.explanation_words import AGAINST, METHODS, OPERATORS, named
from audit.report.fairness import Chart, Mark, Moved, moved_by
from audit.report.hallucination import Table

CURVES = ("comprehensiveness", "sufficiency", "deletion_auc", "insertion_auc")
_OPERATOR_ORDER = tuple(OPERATORS)
_SURE = 0.05
"""Corrected p below which a position effect is said to be one."""


@dataclass(frozen=True)
class MethodLine:
    """One attribution method under one way of taking items away.

    Attributes:
        label: of the method.
        how: by which operator it was made, and by which it was judged.
        faithful: whether it was shown to be.
        says: why, with figures.
        figures: by metric of `CURVES`.
    """

    label: str
    how: str
    faithful: bool
    says: str
    figures: Mapping[str, Finding]

    @property
    def verdict(self) -> Verdict:
        """As a shape and a colour; not shown is not the same as shown to be wrong."""
        return "pass" if self.faithful else "inconclusive"

    @property
    def word(self) -> str:
        """The same in words."""
        return "faithful" if self.faithful else "not shown to be faithful"


@dataclass(frozen=True)
class FieldLine:
    """What one part of a request moves.

    Attributes:
        label: of the part.
        told: whether the owner has disclosed it: `disclosed`, `not disclosed`, or empty where nothing is known of it.
        protected: whether it is a protected attribute.
        figures: effect above the floor, by operator.
    """

    label: str
    told: str
    protected: bool
    figures: Mapping[str, Finding]


@dataclass(frozen=True)
class ExplanationView:
    """Everything about explanations, arranged for reading.

    Attributes:
        methods: the attributions, faithful ones first.
        gains: what they gain over orders that know nothing.
        checks: sanity, stability, position, and what could not be explained.
        position: how much place is read as preference; None where that was not measured.
        counterfactuals: by operator.
        stated: the target's own words.
        fields: what each part of a request moves, the most first.
        operators: columns of the fields.
        tokens: attributions by words.
        moved: what mitigations change.
    """

    methods: tuple[MethodLine, ...]
    gains: Chart | None
    checks: tuple[Finding, ...]
    position: Finding | None
    counterfactuals: Table | None
    stated: tuple[Finding, ...]
    fields: tuple[FieldLine, ...]
    operators: tuple[str, ...]
    tokens: tuple[Finding, ...]
    moved: tuple[Moved, ...]


def explanation_view(findings: Iterable[Finding]) -> ExplanationView | None:
    """Arrange the findings about explanations; None where nothing was measured."""
    measured = [f for f in findings if f.module == "explanation" and f.estimate is not None]
    if not measured:
        return None
    moved = tuple(moved_by(measured))
    measured = [f for f in measured if f.metric != "mitigation_change"]
    by_metric: dict[str, list[Finding]] = {}
    for f in measured:
        by_metric.setdefault(f.metric, []).append(f)

    def of(*metrics: str) -> list[Finding]:
        return [f for metric in metrics for f in by_metric.get(metric, [])]

    fields = of("field_influence")
    return ExplanationView(
        methods=tuple(_methods(of(*CURVES))),
        gains=_gains(of("faithfulness_gain")),
        checks=tuple(of("unstable_rate", "position_effect", "stability", "sanity")),
        position=next(iter(of("position_effect")), None),
        counterfactuals=_counterfactuals(by_metric),
        stated=tuple(of("stated_matters", "stated_precision", "stated_invented_rate")),
        fields=tuple(_fields(fields, of("undisclosed_influence"), of("protected_influence"))),
        operators=tuple(dict.fromkeys(str(f.params.get("operator")) for f in fields)),
        tokens=tuple(of("attribution_agreement", "completeness_gap")),
        moved=moved,
    )


def surely(finding: Finding) -> bool:
    """Whether an effect is beyond doubt: its corrected p, and where there is none its interval."""
    if finding.p_adjusted is not None:
        return finding.p_adjusted < _SURE
    ends = finding.effect_ci or finding.ci
    return ends is not None and (ends[0] > 0 or ends[1] < 0)


def _key(finding: Finding) -> tuple[str, str, str]:
    p = finding.params
    return str(p.get("method")), str(p.get("made_by")), str(p.get("operator"))


def _methods(findings: Sequence[Finding]) -> list[MethodLine]:
    grouped: dict[tuple[str, str, str], dict[str, Finding]] = {}
    for f in findings:
        grouped.setdefault(_key(f), {})[f.metric] = f
    lines = []
    for (method, made, judged), figures in grouped.items():
        head = figures.get("comprehensiveness") or next(iter(figures.values()))
        faithful = "comprehensiveness" in figures and not head.unmet
        how = f"made with {OPERATORS.get(made, made)}, judged with {OPERATORS.get(judged, judged)}"
        says = head.note.partition("; in units of")[0].partition(": ")[2]
        lines.append(MethodLine(METHODS.get(method, method), how, faithful, says, figures))
    return sorted(lines, key=lambda line: not line.faithful)


def _gains(findings: Sequence[Finding]) -> Chart | None:
    sections: dict[str, list[Mark]] = {}
    for f in findings:
        if f.ci is None or f.estimate is None:
            continue
        method, made, judged = _key(f)
        name = f"{METHODS.get(method, method)}, {made} by {judged}"
        against = str(f.params.get("against"))
        sections.setdefault(name, []).append(Mark(AGAINST.get(against, against), f, (f.ci[0], f.estimate, f.ci[1])))
    if not sections:
        return None
    return Chart(
        "How much more faithful than an order that knows nothing of the target",
        "Right of 0 the attribution comes closer to the best order than the one named; it must do so against all that "
        "it is held to. Made with one way of taking items away, judged with the other.",
        None,
        0.0,
        tuple((name, tuple(marks)) for name, marks in sections.items()),
    )


def _counterfactuals(by_metric: Mapping[str, Sequence[Finding]]) -> Table | None:
    metrics = ("counterfactual_success", "counterfactual_verified", "counterfactual_size")
    operators = {str(f.params.get("operator")) for metric in metrics for f in by_metric.get(metric, ())}
    if not operators:
        return None

    def pick(metric: str, operator: str) -> Finding | None:
        return next((f for f in by_metric.get(metric, ()) if f.params.get("operator") == operator), None)

    lines, notes = [], {}
    for operator in sorted(operators, key=lambda o: (o not in _OPERATOR_ORDER, o)):
        label = OPERATORS.get(operator, operator).capitalize()
        figures = tuple(pick(metric, operator) for metric in metrics)
        lines.append((label, figures))
        if figures[0] is not None:
            floor = figures[0].floor
            chance = "" if floor is None else f"; as many items by chance change {floor:.0%}"
            notes[label] = f"{figures[0].note}{chance}"
    heads = (
        ("A set was found", "and confirmed when asked again"),
        ("Held", "of the sets that were found"),
        ("Items that must go", "mean"),
    )
    return Table(heads, tuple(lines), notes)


def _fields(
    influences: Sequence[Finding], undisclosed: Sequence[Finding], protected: Sequence[Finding]
) -> list[FieldLine]:
    hidden = {str(f.params.get("field")) for f in undisclosed}
    guarded = {str(f.params.get("field")) for f in protected}
    grouped: dict[str, dict[str, Finding]] = {}
    for f in influences:
        grouped.setdefault(str(f.params.get("field")), {})[str(f.params.get("operator"))] = f
    lines = []
    for field, figures in grouped.items():
        notes = " ".join(f.note for f in figures.values())
        told = "not disclosed" if field in hidden else "disclosed" if "; disclosed" in notes else ""
        lines.append(FieldLine(named(field), told, field in guarded, figures))
    return sorted(lines, key=lambda line: -max(f.effect or 0.0 for f in line.figures.values()))
