"""The privacy audit, to be read in two minutes: what was promised, what attacks prove, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.findings import Finding, Param, Roc
from audit.report.fairness import Chart, Mark, Moved, moved_by
from audit.report.hallucination import Table
from audit.report.privacy_pledge import Pledge, pledge_of
from audit.report.privacy_words import SCORES, SHORT, part_of, score
from audit.text import count, one_line


@dataclass(frozen=True)
class Proven:
    """One lower bound of ε.

    Attributes:
        label: how it was found.
        finding: the bound.
        ceiling: the most that so many people could have proven; None where that is not said.
        over: whether it contradicts what was promised.
    """

    label: str
    finding: Finding
    ceiling: float | None
    over: bool


@dataclass(frozen=True)
class Traced:
    """The curve of one attack.

    Attributes:
        label: the attack.
        finding: its AUC.
        roc: the curve.
    """

    label: str
    finding: Finding
    roc: Roc


@dataclass(frozen=True)
class PrivacyView:
    """Everything about privacy, arranged for reading.

    Attributes:
        pledge: the guarantee; None where nobody asked for it.
        claimed: ε that bounds are held against, for a user with all their rows; None where there is none.
        proven: lower bounds of ε.
        members: attacks on who was trained on, by AUC; first what the split gives away without the target.
        bias: why no attack on this split proves a leak.
        curves: the same attacks at every share of others accused.
        rates: what the same attacks find where few are accused.
        unresolvable: why a rate is missing.
        prompted: attacks on who stands in the prompt.
        prompted_curves: the same at every share of others accused.
        prompted_rates: the same by advantage.
        canaries: exposure of planted secrets, and of some that were never planted.
        canary_table: how far both are told apart.
        extraction: how much of histories comes out.
        inference: attributes guessed from lists.
        leaks: what answers hold that they should not.
        forgotten: what is left of people who asked to be forgotten.
        moved: what mitigations change.
    """

    pledge: Pledge | None
    claimed: float | None
    proven: tuple[Proven, ...]
    members: Chart | None
    bias: tuple[str, ...]
    curves: tuple[Traced, ...]
    rates: Table | None
    unresolvable: tuple[str, ...]
    prompted: Chart | None
    prompted_curves: tuple[Traced, ...]
    prompted_rates: Table | None
    canaries: Chart | None
    canary_table: Table | None
    extraction: Table | None
    inference: Chart | None
    leaks: tuple[Finding, ...]
    forgotten: tuple[Finding, ...]
    moved: tuple[Moved, ...]


def privacy_view(findings: Iterable[Finding]) -> PrivacyView | None:
    """Arrange the findings about privacy; None where there is neither a figure nor a word on the guarantee."""
    ours = [f for f in findings if f.module == "privacy"]
    measured = [f for f in ours if f.estimate is not None]
    pledge = pledge_of(ours)
    if not measured and pledge is None:
        return None
    moved = tuple(moved_by(measured))
    measured = [f for f in measured if f.metric != "mitigation_change"]
    by_part: dict[str, list[Finding]] = {}
    for f in measured:
        by_part.setdefault(part_of(f), []).append(f)
    training, prompt = by_part.get("membership", []), by_part.get("in_context", [])
    canaries = by_part.get("canaries", [])
    proven = tuple(_proven(f) for f in measured if f.metric == "epsilon_lower_bound")
    return PrivacyView(
        pledge=pledge,
        claimed=next((one.finding.floor for one in proven if one.finding.floor is not None), _claimed(pledge)),
        proven=proven,
        members=_members(training),
        bias=tuple(dict.fromkeys(reason for f in training for reason in f.unmet)),
        curves=_traced(training),
        rates=_rates([f for f in training if f.params.get("level") != "row"]),
        unresolvable=tuple(_unresolvable(ours)),
        prompted=_prompted(prompt),
        prompted_curves=_traced(prompt),
        prompted_rates=_rates(prompt),
        canaries=_exposed(canaries),
        canary_table=_told_apart(canaries),
        extraction=_extracted(by_part.get("extraction", [])),
        inference=_inferred(by_part.get("inference", [])),
        leaks=tuple(sorted(by_part.get("leakage", []), key=_leak_order)),
        forgotten=tuple(by_part.get("unlearning", [])),
        moved=moved,
    )


# The guarantee ------------------------------------------------------------------------------------------------------


def _claimed(pledge: Pledge | None) -> float | None:
    return pledge.finding.estimate if pledge and pledge.state == "promised" and pledge.to_user else None


_METHODS: Mapping[str, str] = {"two-hypothesis": "One threshold", "one-run": "Guesses about one training"}


def _proven(finding: Finding) -> Proven:
    method = str(finding.params.get("method") or "")
    ceiling = finding.facts.get("ceiling")
    over = finding.effect is not None and finding.effect > 0
    return Proven(
        _METHODS.get(method, method), finding, float(ceiling) if isinstance(ceiling, int | float) else None, over
    )


# Who was trained on -------------------------------------------------------------------------------------------------


def _mark(finding: Finding, label: str, beside: float | None = None) -> Mark | None:
    if finding.estimate is None or finding.ci is None:
        return None
    return Mark(label, finding, (finding.ci[0], finding.estimate, finding.ci[1]), beside)


def _marks(
    findings: Iterable[Finding], label: Callable[[Finding], str] = score, *, floors: bool = False
) -> tuple[Mark, ...]:
    ordered = sorted(findings, key=_attack_order)
    made = (_mark(f, label(f), f.floor if floors else None) for f in ordered)
    return tuple(mark for mark in made if mark is not None)


def _attack_order(finding: Finding) -> tuple[int, str]:
    name = str(finding.params.get("score") or finding.params.get("attack") or "")
    return (list(SCORES).index(name) if name in SCORES else len(SCORES)), _who(finding)


def _chart(title: str, hint: str, middle: float, sections: Iterable[tuple[str, tuple[Mark, ...]]]) -> Chart | None:
    kept = tuple((name, marks) for name, marks in sections if marks)
    # No band in which all is well: an attack that finds nothing does not show that there is nothing.
    return Chart(title, hint, None, middle, kept) if kept else None


def _members(training: Sequence[Finding]) -> Chart | None:
    areas = [f for f in training if f.metric == "mia_auc"]
    sections = (
        ("Without its training", _marks(f for f in training if f.metric == "blind_auc")),
        ("Users, all rows together", _marks(f for f in areas if f.params.get("level") != "row")),
        ("Single rows", _marks(f for f in areas if f.params.get("level") == "row")),
    )
    return _chart(
        "Can it be told who was trained on?",
        "AUC of each attack, with its interval: 0.5 is guessing. What is told without the training must hold 0.5. An "
        "AUC of 0.5 is not proof of safety: read the rates below it too.",
        0.5,
        sections,
    )


def _traced(findings: Sequence[Finding]) -> tuple[Traced, ...]:
    ordered = sorted((f for f in findings if f.metric == "mia_auc"), key=_attack_order)
    return tuple(Traced(_who(f), f, f.roc) for f in ordered if f.roc is not None)


def _rates(findings: Sequence[Finding]) -> Table | None:
    """By attack what is found where few are accused, and the advantage."""
    metrics = [m for m in ("tpr_at_1pct_fpr", "tpr_at_01pct_fpr", "mia_advantage") if _has(findings, m)]
    cells = {(_who(f), f.metric): f for f in findings}
    names = dict.fromkeys(_who(f) for f in sorted(findings, key=_attack_order) if f.metric in metrics)
    if not metrics:
        return None
    lines = tuple((name, tuple(cells.get((name, metric)) for metric in metrics)) for name in names)
    notes = {}
    for name, figures in lines:
        if first := next((f for f in figures if f is not None), None):
            notes[name] = first.note
    return Table(tuple((SHORT[metric], "") for metric in metrics), lines, notes)


def _has(findings: Sequence[Finding], metric: str) -> bool:
    return any(f.metric == metric for f in findings)


_NAMED = frozenset({"part", "score", "attack", "level", "signal", "place"})


def _who(finding: Finding) -> str:
    """An attack, and what else it was tried under."""
    named = [score(finding)]
    for name, value in finding.params.items():
        if name == "shots":
            named.append(count(int(value or 0), "shot"))
        elif name == "guard":
            named += ["told not to tell"] if value else []
        elif name == "position":
            named += [str(value)] if value else []
        elif name not in _NAMED and value is not None:
            named.append(f"{name} {value}")
    return ", ".join(named)


def _unresolvable(ours: Sequence[Finding]) -> list[str]:
    skipped = [f for f in ours if f.metric.startswith("tpr_at_") and f.verdict == "not_applicable"]
    told = {SHORT[f.metric]: one_line(f.reason) for f in skipped if f.reason.startswith("not resolvable")}
    return [f"{name}: {reason}" for name, reason in told.items()]


def _prompted(findings: Sequence[Finding]) -> Chart | None:
    areas = [f for f in findings if f.metric == "mia_auc"]
    sections = (
        ("", _marks((f for f in areas if not f.params.get("position")), _who, floors=True)),
        ("By place in the prompt", _marks((f for f in areas if f.params.get("position")), _who)),
    )
    return _chart(
        "Can it be told who stands in its prompt?",
        "AUC of each attack by questions alone: 0.5 is guessing. The circle is the same for people taken out of the "
        "prompt: only what lies right of it comes from the prompt.",
        0.5,
        sections,
    )


# What it remembers --------------------------------------------------------------------------------------------------


def _times(finding: Finding) -> float:
    """How often a secret was planted; all together come last."""
    times = finding.params.get("times")
    return float(times) if isinstance(times, int) else math.inf


def _often(times: Param) -> str:
    if times == 0:
        return "never planted"
    return "planted once" if times == 1 else "planted, all" if times == "all" else f"planted {times} times"


def _exposed(canaries: Sequence[Finding]) -> Chart | None:
    shown = sorted((f for f in canaries if f.metric == "exposure"), key=_times)
    named = [(f, _often(f.params.get("times"))) for f in shown]
    marks = tuple(mark for f, label in named if (mark := _mark(f, label, f.floor)) is not None)
    floor = next((f.floor for f in shown if f.floor is not None), 1.44)
    return _chart(
        "Does it remember planted secrets?",
        f"Mean exposure in bits; the circle is chance: a secret that was never seen has {floor:.2f} on average. If "
        "planted several times, it is not covered by a guarantee for one unit.",
        floor,
        (("", marks),),
    )


def _told_apart(canaries: Sequence[Finding]) -> Table | None:
    found = sorted((f for f in canaries if f.metric == "canary_auc"), key=_times)
    lines = tuple((_often(f.params.get("times")).capitalize(), (f,)) for f in found)
    return Table(((SHORT["canary_auc"], ""),), lines, {title: f.note for title, (f,) in lines}) if lines else None


_GROUPS: Mapping[str, str] = {"members": "Trained on", "others": "Others", "everyone": "Everybody"}
_TASKS: Mapping[str, str] = {"rank": "lists", "answer": "free text"}


def _extracted(findings: Sequence[Finding]) -> Table | None:
    """By experiment how much comes out of members and of others, and the difference."""
    cells: dict[str, dict[str, Finding]] = {}
    for f in findings:
        p = f.params
        order = " in their order" if p.get("match") == "exact" else ""
        task = _TASKS.get(str(p.get("task")), str(p.get("task") or ""))
        where = f"Next items{order}, {p.get('prefix')} given ({task})"
        group = "beyond" if f.metric == "extraction_uplift" else str(p.get("group"))
        cells.setdefault(where, {})[group] = f
    present = [g for g in (*_GROUPS, "beyond") if any(g in found for found in cells.values())]
    if not present:
        return None
    columns = tuple((_GROUPS.get(group, SHORT["extraction_uplift"]), "") for group in present)
    lines = tuple((where, tuple(found.get(g) for g in present)) for where, found in sorted(cells.items()))
    notes = {where: next(iter(found.values())).note for where, found in cells.items()}
    return Table(columns, lines, notes)


# What answers say ---------------------------------------------------------------------------------------------------


def _inferred(findings: Sequence[Finding]) -> Chart | None:
    beyond = [f for f in findings if f.params.get("against") == "history"] or list(findings)
    marks = (_mark(f, str(f.params.get("attribute") or f.title), f.floor) for f in beyond)
    return _chart(
        "What do its lists give away of a person?",
        "AUC of guessing the attribute from the list: 0.5 is guessing. The circle is what the history alone tells; "
        "only what lies right of it is the target's doing.",
        0.5,
        (("", tuple(mark for mark in marks if mark is not None)),),
    )


_LEAKS = ("cross_user_rate", "pii_rate", "prompt_leak_rate", "sensitive_rate")


def _leak_order(finding: Finding) -> tuple[int, str]:
    known = _LEAKS.index(finding.metric) if finding.metric in _LEAKS else len(_LEAKS)
    return known, str(finding.params.get("family") or "")
