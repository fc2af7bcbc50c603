"""A run held to a policy as a whole: its verdict and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from audit.findings import SEVERITIES, Finding, Verdict, overall
from audit.policy.policy import Policy
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
    tested = [f for f in findings if f.verdict != "not_applicable"]
    missing = tuple(str(need) for need in policy.require if not any(need.fits(f) for f in tested))
    ordered = by_severity(findings)
    failed = tuple(f for f in ordered if f.verdict == "fail")
    unsettled = tuple(f for f in ordered if f.verdict == "inconclusive")
    waived = tuple(f for f in ordered if f.verdict == "waived")
    code = 1 if failed or missing else 4 if unsettled and policy.certainty else 0
    verdict: Verdict = "fail" if missing else overall(findings)
    expired = tuple(
        w for w in policy.waivers if w.expired(day) and any(w.fits(f) and policy.stops(f) for f in findings)
    )
    used = [policy.waiver_for(f) for f in waived]
    idle = tuple(w for w in policy.waivers if w not in expired and w not in used)
    return Gate(verdict, code, missing, failed, unsettled, waived, expired, idle)


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Findings as a reader wants them: failures, open, waived, passed, measured, untestable; each by severity."""
    verdicts: list[Verdict | None] = ["fail", "inconclusive", "waived", "pass", None, "not_applicable"]
    return sorted(findings, key=lambda f: (verdicts.index(f.verdict), SEVERITIES.index(f.severity)))
