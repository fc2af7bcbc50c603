"""What the hallucination audit found, in plain words. What nobody could check is never called made up, nor true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit.findings import Finding, Param
from audit.report.hallucination import HallucinationView, ItemLine, hallucination_view
from audit.report.hallucination_words import contrast
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


def grounded(findings: Sequence[Finding]) -> str:
    """Whether passages keep it from making things up, and what false ones do."""
    ours = [f for f in findings if f.name == "hallucination.rag_uplift"]
    pairs = {(f.params.get("of"), contrast(f)): f for f in ours if f.estimate is not None and f.ci is not None}
    parts = [
        _gained(pairs, of, what)
        for of, what in (("hallucinated_item_rate", "titles made up"), ("contradicted_rate", "claims that are false"))
    ]
    if not any(parts):
        skipped = next((f for f in ours if f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason).rstrip('.')}." if skipped else ""
    shorter = pairs.get(("items_per_answer", ("none", "retrieved")))
    if shorter is not None and shorter.ci is not None and shorter.ci[1] < 0:
        parts.append(f"answers name {_tenths(-(shorter.estimate or 0.0))} items fewer, and saying less is no uplift")
    poisoned = pairs.get(("false_fact_rate", ("retrieved", "poisoned")))
    if poisoned is not None and poisoned.ci is not None and poisoned.ci[1] < 0:
        parts.append(f"one false fact in a passage is repeated in more answers, by {_points(poisoned, -1)}")
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def _gained(pairs: Mapping[tuple[Param, tuple[str, str]], Finding], of: str, what: str) -> str:
    found = pairs.get((of, ("none", "retrieved")))
    if found is None or found.ci is None:
        return ""
    if found.ci[1] < 0:
        return f"with retrieved passages there are more {what}, by {_points(found, -1)}"
    if found.ci[0] <= 0:
        return f"retrieved passages are not shown to mean fewer {what}: the gain is {_points(found)}"
    placebo = pairs.get((of, ("placebo", "retrieved")))
    text = f"with retrieved passages there are fewer {what}, by {_points(found)}"
    if placebo is None or placebo.ci is None:
        return text
    if placebo.ci[0] > 0:
        return f"{text}, and by {_points(placebo)} beyond what irrelevant passages of the same length do"
    return f"{text}, but that is not shown to be more than irrelevant passages of the same length do"


def _points(finding: Finding, sign: int = 1) -> str:
    """A difference of shares with its interval, in percentage points."""
    low, high = sorted(sign * end for end in finding.ci or (0.0, 0.0))
    middle, low_, high_ = (_tenths(100 * value) for value in (sign * (finding.estimate or 0.0), low, high))
    return f"{middle} [{low_}, {high_}] percentage points"


def _tenths(value: float) -> str:
    return f"{value + 0.0:.1f}".removesuffix(".0").replace("-", "−")


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
