"""Which evidence a run gives about each control of a framework.

Evidence that bears on a control, and never more: whether a law or a standard is complied with is for people to say, who
know the product, its users and what stands in its papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audit.findings import Finding
from audit.policy.framework import Bearing, Control, Framework
from audit.policy.gate import by_severity
from audit.policy.policy import Policy

State = Literal["fail", "inconclusive", "waived", "pass", "measured", "not_tested"]
"""The worst verdict of the findings that bear on a control; `measured` where no rule judged any of them."""


_WORST_FIRST: tuple[Literal["fail", "inconclusive", "waived", "pass"], ...] = ("fail", "inconclusive", "waived", "pass")


@dataclass(frozen=True)
class ControlResult:
    """What a run shows about one control.

    Attributes:
        framework: that the control is of.
        control: the control.
        state: see `State`.
        findings: with a verdict, worst first.
        measured: findings that bear on it and that no rule judges.
        untested: what was not tested of what would bear on it, and why: a sentence each.
    """

    framework: Framework
    control: Control
    state: State
    findings: tuple[Finding, ...]
    measured: tuple[Finding, ...]
    untested: tuple[str, ...]

    @property
    def tag(self) -> str:
        """`owasp-llm:2026:LLM07`."""
        return self.framework.tag(self.control)

    @property
    def why(self) -> str:
        """Why nothing was tested, in a sentence; empty where something was."""
        if self.state != "not_tested":
            return ""
        if not self.control.bears:
            return f"An audit from outside cannot test it. {self.control.beyond}"
        return " ".join(self.untested)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; findings by id."""
        return {
            "control": self.tag,
            "title": self.control.title,
            "recalled": self.control.recalled,
            "state": self.state,
            "findings": [{"id": f.id, "verdict": f.verdict} for f in self.findings],
            "measured": [f.id for f in self.measured],
            "untested": list(self.untested),
            "beyond": self.control.beyond,
        }


def assess(policy: Policy, findings: Sequence[Finding]) -> list[ControlResult]:
    """Every control of the policy's frameworks, in their order, with what bears on it.

    Args:
        policy: that judged the findings.
        findings: of a run, with their verdicts.
    """
    return [_result(framework, control, findings) for framework in policy.frameworks for control in framework.controls]


def _result(framework: Framework, control: Control, findings: Sequence[Finding]) -> ControlResult:
    ours = by_severity([f for f in findings if framework.bears(control, f)])
    judged = tuple(f for f in ours if f.verdict not in {None, "not_applicable"})
    measured = tuple(f for f in ours if f.verdict is None)
    verdicts = {f.verdict for f in judged}
    bare: State = "measured" if measured else "not_tested"
    state: State = next((v for v in _WORST_FIRST if v in verdicts), bare)
    return ControlResult(framework, control, state, judged, measured, tuple(_untested(control.bears, findings)))


def _untested(bears: Sequence[Bearing], findings: Sequence[Finding]) -> list[str]:
    """Why what would bear on a control was not tested, each reason once."""
    ran = {f.module for f in findings}
    said: dict[str, None] = {}
    absent: list[str] = []
    for bearing in bears:
        fitting = [f for f in findings if bearing.fits(f)]
        if any(f.verdict != "not_applicable" for f in fitting):
            continue
        if bearing.module not in ran:
            said[f"The module {bearing.module} did not run."] = None
        elif not fitting:
            absent.append(str(bearing))
        for finding in fitting:
            said[f"{bearing.metric} could not be tested: {finding.reason.rstrip('.')}."] = None
    return [*said, *([f"This run measured no {', '.join(absent)}."] if absent else [])]
