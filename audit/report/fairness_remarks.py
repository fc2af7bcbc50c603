"""What the fairness audit found, in plain words. No sentence here says that anything is fair."""

from __future__ import annotations

from collections.abc import Sequence

from audit.findings import Finding
from audit.policy import held_back
from audit.text import count, interval, listed, number, one_line

_STATED = ("excess_distance", "swap_distance", "name_effect", "dialect_effect")
"""What is said in the request, or only hinted at; all are effects above harmless words."""


def treated(findings: Sequence[Finding]) -> str:
    """Whether what users say of themselves changes what they get."""
    ours = [f for f in findings if f.module == "fairness"]
    refused = [f for f in ours if f.metric == "invalid_gap" and f.estimate is not None and f.threshold is not None]
    tested = [f for f in ours if f.metric in _STATED and f.effect is not None and f.effect_ci is not None]
    tested = [f for f in tested if f.threshold is not None] or tested
    if not tested and not refused:
        skipped = next((f for f in ours if f.metric in _STATED and f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason)}." if skipped else ""
    parts = []
    if failing := [f for f in refused if f.verdict == "fail"]:
        parts.append(_most_refused(failing))
    found = [f for f in tested if f.verdict == "fail"]
    signals = [f for f in tested if held_back(f)]
    if found:
        parts.append(f"Yes: {_strongest(found)}")
        if len(found) > 1:
            parts.append(f"{count(len(found) - 1, 'other finding')} of this kind")
    if held := [f for f in refused if held_back(f)]:
        parts.append(f"Not decided: {_most_refused(held)}, but {_worst_refused(held).unmet[0]}")
    if signals:
        strongest = max(signals, key=lambda f: f.effect or 0.0)
        parts.append(f"Not decided: {_strongest(signals)}, but {strongest.unmet[0]}")
    if tested and not found and not signals:
        parts.append(f"No difference beyond harmless words was decided on, in {count(len(tested), 'comparison')}")
        if (largest := max(tested, key=lambda f: f.effect or 0.0)).effect:
            parts.append(f"The largest: {_strongest([largest])}")
        if seen := [f.mde for f in tested if f.mde is not None]:
            parts.append(_unseen("Effects", seen))
    return _sentences(parts)


def _most_refused(refused: Sequence[Finding]) -> str:
    worst = _worst_refused(refused)
    points = 100 * (worst.estimate or 0.0)
    return (
        f"{_about(worst)} is refused, or cannot be read, {points:.0f} percentage points more often {interval(worst.ci)}"
    )


def _worst_refused(refused: Sequence[Finding]) -> Finding:
    return max(refused, key=lambda f: f.estimate or 0.0)


def _unseen(what: str, mdes: Sequence[float]) -> str:
    """What was too small to be seen: in no comparison below the least, and surely in all above the greatest."""
    least, most = number(min(mdes)), number(max(mdes))
    within = f"below {least}" if least == most else f"below {least} in the best comparison, below {most} in the worst,"
    return f"{what} {within} could go unseen with so few"


def served(findings: Sequence[Finding]) -> str:
    """Whether a group of real users gets less."""
    gaps = [
        f
        for f in findings
        if f.name == "fairness.quality_gap" and f.estimate is not None and f.params.get("adjusted") is False and f.p
    ]
    judged = [f for f in gaps if f.threshold is not None] or gaps
    if not judged:
        return ""
    failing = [f for f in judged if f.verdict == "fail"]
    signals = [f for f in judged if held_back(f)]
    worst = max(failing or signals or judged, key=lambda f: f.estimate or 0.0)
    shown = f"{one_line(worst.title)}: {number(worst.estimate)} {interval(worst.ci)}"
    if failing:
        others = f"{count(len(failing) - 1, 'other gap')} of this kind" if len(failing) > 1 else ""
        return _sentences([f"Yes. {shown}", f"In numbers: {one_line(worst.note)}", others])
    if signals:
        return _sentences([f"Not decided. {shown}, but {worst.unmet[0]}", f"In numbers: {one_line(worst.note)}"])
    visible = max((f.mde for f in judged if f.mde is not None), default=None)
    judged_groups = count(len(judged), "group")
    parts = [
        "The one group that could be judged is not shown to be served worse than the others"
        if len(judged) == 1
        else f"None of {judged_groups} is shown to be served worse than the others"
    ]
    parts.append(f"The largest gap: {shown}")
    if visible is not None:
        parts.append(f"With so few users a gap below {number(visible)} could go unseen")
    return _sentences(parts)


def exposed(findings: Sequence[Finding]) -> str:
    """Who gets the places in the lists."""
    ratios = [f for f in findings if f.name == "fairness.exposure_ratio" and f.estimate is not None]
    judged = [f for f in ratios if f.threshold is not None]
    if not judged:
        return ""
    under = [f for f in judged if f.verdict == "fail"]
    signals = [f for f in judged if held_back(f)]
    undecided = [f for f in judged if f.verdict == "inconclusive" and not held_back(f)]
    reference = str(judged[0].params.get("reference"))
    against = {"history": "of what users chose before", "offered": "of what was offered"}.get(reference, reference)
    parts = [
        f"Less than four fifths of their share {against}: {_lowest(under)}"
        if under
        else f"No group of items is shown to get less than four fifths of its share {against}"
    ]
    if signals:
        parts.append(f"Not decided: {_lowest(signals)}, but {min(signals, key=_estimate).unmet[0]}")
    if undecided:
        verb = "is" if len(undecided) == 1 else "are"
        low = min(undecided, key=_estimate)
        parts.append(
            f"{count(len(undecided), 'group')} {verb} open at this sample size; the lowest is {_group(low)} "
            f"with {number(low.estimate)} {interval(low.ci)}"
        )
    return _sentences(parts)


def selected(findings: Sequence[Finding]) -> str:
    """Whether a category of people is selected less often than the most selected one."""
    ratios = [f for f in findings if f.name == "fairness.impact_ratio" and f.estimate is not None]
    if not ratios:
        return ""
    failing, signals = [f for f in ratios if f.verdict == "fail"], [f for f in ratios if held_back(f)]
    worst = min(failing or signals or ratios, key=_estimate)
    shown = f"{one_line(worst.title)}: {number(worst.estimate)} {interval(worst.ci)}"
    if worst.verdict == "fail":
        lead = "Yes"
    elif held_back(worst):
        return _sentences([f"Not decided. {shown}, but {worst.unmet[0]}"])
    else:
        lead = f"Not shown, in {count(len(ratios), 'comparison')}"
    return _sentences([f"{lead}. {shown}", one_line(worst.note)])


def _lowest(ratios: Sequence[Finding]) -> str:
    ordered = sorted(ratios, key=_estimate)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return listed([f"{_group(f)} ({number(f.estimate)})" for f in ordered[:3]]) + more


def _estimate(finding: Finding) -> float:
    return finding.estimate or 0.0


def _strongest(found: Sequence[Finding]) -> str:
    worst = max(found, key=lambda f: f.effect or 0.0)
    return f"{_about(worst)} moves the answer by {number(worst.effect)} {interval(worst.effect_ci)} beyond its floor"


def _about(finding: Finding) -> str:
    p = finding.params
    value, against, attribute = p.get("value") or p.get("group") or p.get("form"), p.get("against"), p.get("attribute")
    text = f"“{one_line(value)}”" if value else f"“{one_line(finding.title)}”"
    if against and finding.metric != "dialect_effect":
        text += f" for “{one_line(against)}”"
    return f"{text} ({one_line(attribute)})" if attribute else text


def _group(finding: Finding) -> str:
    p = finding.params
    return f"“{one_line(p.get('group'))}” by {one_line(p.get('column'))}"


def _sentences(parts: Sequence[str]) -> str:
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)
