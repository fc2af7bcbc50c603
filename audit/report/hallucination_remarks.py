"""What the hallucination audit found, in plain words. What nobody could check is never called made up, nor true."""

from __future__ import annotations

from collections.abc import Sequence

from audit.findings import Finding
from audit.report.hallucination import HallucinationView, ItemLine, hallucination_view
from audit.text import one_line, percent


def made_up(findings: Sequence[Finding]) -> str:
    """Whether it recommends what does not exist, and says what is not so."""
    ours = [f for f in findings if f.module == "hallucination"]
    view = hallucination_view(ours)
    if view is None or not (view.items or view.claims):
        skipped = next((f for f in ours if f.verdict == "not_applicable" and f.metric != "mitigation_change"), None)
        return f"Not tested: {one_line(skipped.reason).rstrip('.')}." if skipped else ""
    parts = [_trust(view), *(_titles(line) for line in view.items)]
    if view.claims is not None:
        supported, contradicted, unverifiable = view.claims.parts
        parts.append(
            f"Of what it says of items and of the user, {_share(contradicted)} is contradicted by the facts, "
            f"{percent(supported.estimate or 0.0)} is supported, and {percent(unverifiable.estimate or 0.0)} nobody "
            "could check, which is neither true nor made up"
        )
    if view.corrected is not None:
        parts.append(f"Corrected for the checker's own errors, {_share(view.corrected)} is contradicted")
    if (silent := next((f for f in view.answers if f.metric == "respond_rate"), None)) and (silent.estimate or 0) < 1:
        parts.append(f"{percent(1 - (silent.estimate or 0.0))} of its answers assert nothing that could be checked")
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def _trust(view: HallucinationView) -> str:
    """The first word: whether it may be concluded from at all, and then what the policy says."""
    if view.checker.verdict == "fail":
        why = view.checker.reasons or tuple(
            f"{gate.title[:1].lower()}{gate.title[1:]}: {_plain(gate.finding)}, and "
            f"{'at most' if gate.at_most else 'at least'} {gate.limit:g} is needed"
            for gate in view.checker.gates
            if gate.met is False
        )
        return (
            f"Not decided: the checker of this audit does not meet its own gates here ({one_line(why[0])}). As measured"
        )
    judged = [f for line in view.items for f in (line.low, line.high) if f is not None]
    judged += [view.claims.parts[1]] if view.claims else []
    verdicts = {f.verdict for f in judged}
    lead = (
        "Yes, more than the policy allows"
        if "fail" in verdicts
        else "Not decided at this sample size"
        if "inconclusive" in verdicts
        else "No more than the policy allows"
        if "pass" in verdicts
        else ""
    )
    if view.checker.verdict == "pass":
        return lead
    doubt = "how good the checker is was not measured in full, so read the figures with care"
    return f"{lead}; {doubt}" if lead else doubt


def _titles(line: ItemLine) -> str:
    low, high = line.low.estimate or 0.0, line.high.estimate or 0.0 if line.high is not None else None
    upper = f", up to {percent(high)} if titles near an item count too" if high is not None and high > low else ""
    return f"in {line.label.lower()}, {_share(line.low)} of the titles are in no row of the catalogue{upper}"


def _share(finding: Finding) -> str:
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return f"{percent(finding.estimate or 0.0)}{ends}"


def _plain(finding: Finding | None) -> str:
    return "not measured" if finding is None or finding.estimate is None else f"{finding.estimate:.3g}"
