"""A run held to a policy as a whole: its verdict and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from audit.findings import SEVERITIES, Finding, Verdict, overall
from audit.policy.policy import Policy
from audit.policy.selector import Selector
from audit.policy.waiver import Waiver, today


@dataclass(frozen=True)
class Gate:
    """The outcome of a policy on a run.

    Attributes:
        verdict: of the run. With a waived failure and nothing worse it is `waived`, never `pass`.
        exit_code: 0 nothing stops it, 1 something failed, 4 nothing failed but something is open and the policy asks
            for certainty.
        missing: required modules and checks that the run did not test.
        failed: findings that fail, most severe first.
        open: inconclusive findings.
        waived: findings that somebody answers for; each says who (`Finding.waiver`).
        expired: waivers whose last day is over, and that would lift something.
        idle: waivers that lift nothing, because no finding fits them or none that fits would stop the gate.
    """

    verdict: Verdict
    exit_code: int
    missing: tuple[str, ...]
    failed: tuple[Finding, ...]
    open: tuple[Finding, ...]
    waived: tuple[Finding, ...] = ()
    expired: tuple[Waiver, ...] = ()
    idle: tuple[Waiver, ...] = ()


def gate(policy: Policy, findings: Sequence[Finding], on: date | None = None) -> Gate:
    """Hold judged findings to the policy as a whole.

    Args:
        policy: that judged them.
        findings: with their verdicts.
        on: the day that waivers are held to; default: today.
    """
    day = on or today()
    missing = tuple(str(need) for need in policy.require if not _tested(need, findings))
    ordered = by_severity(findings)
    failed = tuple(f for f in ordered if f.verdict == "fail")
    unsettled = tuple(f for f in ordered if f.verdict == "inconclusive")
    waived = tuple(f for f in ordered if f.verdict == "waived")
    code = 1 if failed or missing else 4 if unsettled and policy.certainty else 0
    verdict: Verdict = "fail" if missing else overall(findings)
    expired = tuple(
        w for w in policy.waivers if w.expired(day) and any(w.fits(f) and policy.stops(f) for f in findings)
    )
    idle = tuple(
        w
        for w in policy.waivers
        if w not in expired and not any(w.fits(f) and (f.verdict == "waived" or policy.stops(f)) for f in findings)
    )
    return Gate(verdict, code, missing, failed, unsettled, waived, expired, idle)


def _tested(need: str | Selector, findings: Sequence[Finding]) -> bool:
    if isinstance(need, Selector):
        return any(need.fits(f) and f.verdict != "not_applicable" for f in findings)
    return any(need in {f.module, f.name} and f.verdict != "not_applicable" for f in findings)


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Findings as a reader wants them: failures, open, waived, passed, measured, untestable; each by severity."""
    verdicts: list[Verdict | None] = ["fail", "inconclusive", "waived", "pass", None, "not_applicable"]
    return sorted(findings, key=lambda f: (verdicts.index(f.verdict), SEVERITIES.index(f.severity)))
