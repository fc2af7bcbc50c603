"""What the fairness audit found, in plain words. No sentence here says that anything is fair."""

from __future__ import annotations

from collections.abc import Sequence

from audit.findings import Finding
from audit.text import count, interval, listed, number, one_line

_STATED = ("excess_distance", "swap_distance", "name_effect", "dialect_effect")
"""What is said in the request, or only hinted at; all are effects above harmless words."""


def treated(findings: Sequence[Finding]) -> str:
    """Whether what users say of themselves changes what they get."""
    ours = [f for f in findings if f.module == "fairness"]
    refused = [f for f in ours if f.metric == "invalid_gap" and f.verdict in ("fail", "inconclusive")]
    tested = [f for f in ours if f.metric in _STATED and f.effect is not None and f.effect_ci is not None]
    tested = [f for f in tested if f.threshold is not None] or tested
    if not tested and not refused:
        skipped = next((f for f in ours if f.metric in _STATED and f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason)}." if skipped else ""
    parts = []
    failing = [f for f in refused if f.verdict == "fail"]
    if failing:
        worst = max(failing, key=lambda f: f.estimate or 0.0)
        parts.append(f"{_about(worst)} is refused, or cannot be read, {number(worst.estimate)} more often")
    found = [f for f in tested if f.verdict == "fail"]
    signals = [f for f in tested if f.verdict == "inconclusive" and f.unmet]
    if found:
        parts.append(f"Yes: {_strongest(found)}")
        if len(found) > 1:
            parts.append(f"{count(len(found) - 1, 'other finding')} of this kind")
    elif signals:
        parts.append(f"That is not decided: {_strongest(signals)}, but {signals[0].unmet[0]}")
    elif tested:
        parts.append(f"No difference beyond harmless words was decided on, in {count(len(tested), 'comparison')}")
        if (largest := max(tested, key=lambda f: f.effect or 0.0)).effect:
            parts.append(f"The largest: {_strongest([largest])}")
        if seen := [f.mde for f in tested if f.mde is not None]:
            parts.append(f"Effects below {number(min(seen))} could not have been seen with so few")
    return _sentences(parts)


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
    worst = max(judged, key=lambda f: f.estimate or 0.0)
    shown = f"{one_line(worst.title)}: {number(worst.estimate)} {interval(worst.ci)}"
    if worst.verdict == "fail":
        return _sentences([f"Yes. {shown}", f"In numbers: {one_line(worst.note)}"])
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
    under = sorted((f for f in judged if f.verdict == "fail"), key=lambda f: f.estimate or 0.0)
    reference = str(judged[0].params.get("reference"))
    against = {"history": "of what users chose before", "offered": "of what was offered"}.get(reference, reference)
    if not under:
        return f"No group of items is shown to get less than four fifths of its share {against}."
    named = listed([f"{_group(f)} ({number(f.estimate)})" for f in under[:3]])
    more = f" and {len(under) - 3} more" if len(under) > 3 else ""
    return f"Less than four fifths of their share {against}: {named}{more}."


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
