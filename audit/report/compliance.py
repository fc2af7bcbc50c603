"""What a run shows about controls of frameworks, as a report says it. No markup here.

Evidence that bears on a control; no word of it says that a control is met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.findings import Verdict
from audit.policy import ControlResult, Framework, assess
from audit.policy.assessment import State

if TYPE_CHECKING:
    from audit.run import Run

STATES: dict[State, str] = {
    "fail": "speaks against",
    "inconclusive": "open",
    "waived": "waived",
    "pass": "speaks for",
    "measured": "measured",
    "not_tested": "not tested",
}
"""What findings say about a control."""

CAVEAT = (
    "Evidence that bears on each control, from the checks of this run. It is no judgement of compliance: whether a law "
    "or a standard is met is for people to say, who also see contracts, documents and the product itself."
)
RECALLED = "number and title are from memory; check them against the published text"


@dataclass(frozen=True)
class FrameworkView:
    """A framework with its controls.

    Attributes:
        framework: with its edition and its note.
        results: in the framework's order.
    """

    framework: Framework
    results: Sequence[ControlResult]


def compliance_view(run: Run) -> list[FrameworkView]:
    """Every framework of the run's policy; empty where it has none."""
    results = assess(run.policy, run.findings)
    return [
        FrameworkView(framework, [r for r in results if r.framework is framework])
        for framework in run.policy.frameworks
    ]


def look(state: State) -> Verdict | None:
    """The verdict whose shape and colour a state has."""
    if state == "not_tested":
        return "not_applicable"
    return None if state == "measured" else state


def gaps(result: ControlResult) -> str:
    """What was not tested, and what no audit from outside sees."""
    if not result.control.bears:
        return result.why
    beyond = [f"Not seen from outside: {result.control.beyond}"] if result.control.beyond else []
    return " ".join([*result.untested, *beyond])
