"""What the privacy audit found, in plain words. What was not seen is never called safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audit.findings import Finding
from audit.report.privacy import PrivacyView, privacy_view
from audit.report.privacy_words import part_of
from audit.text import count, interval, number, one_line, percent

_SURE = 0.05
_NO_LEAK = ("epsilon_claimed", "guarantee_void", "mitigation_change")
"""What says nothing of what comes out."""


def promised(findings: Sequence[Finding]) -> str:
    """What the guarantee says, for whom, and whether an attack contradicts it."""
    view = privacy_view(findings)
    if view is None or view.pledge is None:
        return ""
    pledge = view.pledge
    parts = [pledge.answer.rstrip(".")]
    if pledge.state == "promised" and not pledge.broken and view.proven:
        best = max(view.proven, key=lambda one: one.finding.estimate or 0.0)
        ceilings = [one.ceiling for one in view.proven if one.ceiling is not None]
        most = f", of at most {max(ceilings):.3g} that so many people could prove" if ceilings else ""
        proven = best.finding.estimate or 0.0
        found = f"Attacks prove that ε is at least {proven:.3g}" if proven else "Attacks prove nothing of ε"
        parts.append(f"{found}{most}: no violation was seen, which does not show that the promise holds")
        if ceilings and view.claimed is not None and max(ceilings) <= view.claimed:
            parts.append("Even a perfect attack on so many people could not contradict it")
    return _sentences(parts)


def given_away(findings: Sequence[Finding]) -> str:
    """Whether members, secrets, histories, attributes or other users' words come out."""
    ours = [f for f in findings if f.module == "privacy" and f.metric not in _NO_LEAK]
    view = privacy_view(ours)
    if view is None:
        skipped = next((f for f in ours if f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason).rstrip('.')}." if skipped else ""
    parts = [_lead(ours), _members(view, ours), _prompted(ours), _canaries(ours), _extracted(ours), *_leaks(ours)]
    return _sentences(parts)


def _lead(ours: Sequence[Finding]) -> str:
    """The first word, as the policy has it."""
    verdicts = {f.verdict for f in ours}
    if "fail" in verdicts:
        return "Yes, more than the policy allows"
    if "inconclusive" in verdicts:
        return "Not decided at this sample size"
    if "pass" in verdicts:
        return "Not by what was tried, as far as the policy asks; other attacks may find more"
    return ""


def _members(view: PrivacyView, ours: Sequence[Finding]) -> str:
    areas = _measured(ours, "mia_auc", part="membership")
    users = [f for f in areas if f.params.get("level") != "row"] or areas
    if not users:
        return ""
    best = max(users, key=lambda f: f.estimate or 0.0)
    figure = f"AUC {number(best.estimate)} {interval(best.ci)}, where 0.5 is guessing"
    if view.bias:
        return f"whether it shows who was trained on is not decided: {one_line(view.bias[0])}"
    if _sure(best):
        rates = _measured(ours, "tpr_at_1pct_fpr", part="membership")
        found = max(rates, key=lambda f: f.estimate or 0.0, default=None)
        also = f"; {_share(found)} of them are found while 1% of the others are accused" if found is not None else ""
        return f"who was trained on can be told from others: {figure}{also}"
    tried = count(len(users), "attack")
    blur = f"; an AUC below {0.5 + best.mde:.2f} could hide at this sample size" if best.mde else ""
    return f"who was trained on is not shown to be told from others by {tried}: the most is {figure}{blur}"


def _prompted(ours: Sequence[Finding]) -> str:
    areas = [f for f in _measured(ours, "mia_auc", part="in_context") if not f.params.get("position")]
    if not areas:
        return ""
    best = max(areas, key=lambda f: f.estimate or 0.0)
    figure = f"AUC {number(best.estimate)} {interval(best.ci)}"
    if best.floor is not None:
        figure += f", where people taken out of it give {number(best.floor)}"
    if _sure(best):
        return f"questions alone tell who stands in its prompt: {figure}"
    return f"who stands in its prompt is not shown to be told: the most is {figure}"


def _canaries(ours: Sequence[Finding]) -> str:
    planted = [f for f in _measured(ours, "exposure") if f.params.get("group") != "control"]
    if not planted:
        return ""
    best = max(planted, key=lambda f: f.estimate or 0.0)
    times = best.params.get("times")
    how = "once" if times == 1 else f"{times} times"
    figure = f"{number(best.estimate)} {interval(best.ci)} bits, where chance gives {number(best.floor)}"
    if best.unmet:
        return f"whether it remembers planted secrets is not decided: {one_line(best.unmet[0])}"
    if _sure(best):
        return f"it remembers secrets that were planted {how}: {figure}"
    return f"planted secrets are not shown to be remembered: the most is {figure}"


def _extracted(ours: Sequence[Finding]) -> str:
    uplift = [f for f in _measured(ours, "extraction_uplift") if f.params.get("match") != "exact"]
    if uplift:
        best = max(uplift, key=lambda f: f.estimate or 0.0)
        points = f"{_points(best.estimate)} {_ends(best)} percentage points"
        if best.unmet:
            return f"whether it reproduces histories it learnt from is not decided: {one_line(best.unmet[0])}"
        if best.ci is not None and best.ci[0] > 0 and _sure(best):
            return f"histories it learnt from come out of it more than others do, by {points}"
        return f"histories it learnt from are not shown to come out more than others do: the difference is {points}"
    alone = [f for f in _measured(ours, "extraction_rate") if f.params.get("match") != "exact"]
    if not alone:
        return ""
    most = max(alone, key=lambda f: f.estimate or 0.0)
    null = "" if most.floor is None else f"; guessing gives {percent(most.floor)}"
    return f"{_share(most)} of the rest of a history comes out{null}"


def _leaks(ours: Sequence[Finding]) -> Iterable[str]:
    crossed = _worst(ours, "cross_user_rate")
    if crossed is not None:
        yield (
            f"{_share(crossed)} of users were told what another user had said"
            if crossed.estimate
            else f"none of {count(crossed.n, 'user')} was told what another user had said"
        )
    personal = _worst(ours, "pii_rate")
    if personal is not None:
        yield (
            f"up to {_share(personal)} of answers hold personal data"
            if personal.estimate
            else f"no answer of {personal.n:,} holds personal data"
        )
    told = _worst(ours, "prompt_leak_rate")
    if told is not None and told.estimate:
        yield f"up to {_share(told)} of attempts got its instruction out of it"
    inferred = [f for f in _measured(ours, "attribute_inference") if f.params.get("against") == "history"]
    more = [f for f in inferred if f.effect_ci is not None and f.effect_ci[0] > 0 and _sure(f)]
    for f in more:
        yield (
            f"its lists give away more of {one_line(f.params.get('attribute'))} than histories do: AUC "
            f"{number(f.estimate)} against {number(f.floor)}"
        )


def _measured(ours: Sequence[Finding], metric: str, part: str = "") -> list[Finding]:
    return [f for f in ours if f.metric == metric and f.estimate is not None and part in ("", part_of(f))]


def _worst(ours: Sequence[Finding], metric: str) -> Finding | None:
    """The largest over what it is the whole of: not of single families of attacks."""
    whole = [f for f in _measured(ours, metric) if f.params.get("family") is None]
    return max(whole, key=lambda f: f.estimate or 0.0, default=None)


def _sure(finding: Finding) -> bool:
    """Whether it stands beyond chance, corrected over all tests where there was one."""
    p = finding.p if finding.p_adjusted is None else finding.p_adjusted
    if p is not None:
        return p < _SURE
    return finding.ci is not None and finding.ci[0] > (0.5 if finding.floor is None else finding.floor)


def _share(finding: Finding) -> str:
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return f"{percent(finding.estimate or 0.0)}{ends}"


def _points(value: float | None) -> str:
    return f"{100 * (value or 0.0) + 0.0:.1f}".removesuffix(".0").replace("-", "−")


def _ends(finding: Finding) -> str:
    return "" if finding.ci is None else f"[{_points(finding.ci[0])}, {_points(finding.ci[1])}]"


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(f"{_first(part)}{part[1:].rstrip('.')}." for part in parts if part)


def _first(part: str) -> str:
    """A capital, but for ε, whose capital nobody would know again."""
    return part[0] if part[0] == "ε" else part[0].upper()
