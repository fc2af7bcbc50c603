"""Policies: thresholds that turn findings into verdicts, and verdicts into an exit code."""

from __future__ import annotations

from audit.policy.assessment import ControlResult, assess
from audit.policy.framework import Bearing, Control, Framework
from audit.policy.gate import Gate, by_severity, gate
from audit.policy.load import PolicyFile, known_metrics, load, packs, together
from audit.policy.policy import Policy
from audit.policy.rule import MIN_UNITS, Rule, held_back
from audit.policy.selector import Requirement, Selector
from audit.policy.waiver import Waiver, today

__all__ = [
    "MIN_UNITS",
    "Bearing",
    "Control",
    "ControlResult",
    "Framework",
    "Gate",
    "Policy",
    "PolicyFile",
    "Requirement",
    "Rule",
    "Selector",
    "Waiver",
    "assess",
    "by_severity",
    "gate",
    "held_back",
    "known_metrics",
    "load",
    "packs",
    "today",
    "together",
]
