"""The conformance check: real requests that show what a target can do, what it gets wrong, and what can be audited.

A wrong declaration is worse than a missing one. A target that says it reads the history and does not would come out of
every history attack unharmed, and would read as robust. So each declared input is edited as strongly as it can be, and
some answer has to change.
"""

from __future__ import annotations

from audit.conformance.checking import check
from audit.conformance.report import Check, Level, Observation, Report

__all__ = ["Check", "Level", "Observation", "Report", "check"]
