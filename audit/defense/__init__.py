"""The defense protocol: what a defense declares, what a defended target is, and what a certificate says.

A defense wraps a target; a defended target is a target, so every module, attack and other defense runs on it unchanged.

From the shortest way to write one to the longest: a `Rewriting` target edits each request before it is asked; a
`Defended` target asks as it likes; anything else with `info` and `protect` is a `Defense` too. Beside that a defended
target may draw at random (`audit.target.Randomised`), certify (`Certifies`) or raise an alarm (`Detects`).
"""

from __future__ import annotations

from audit.defense.certificate import Certificate, Certifies, Claim, EditKind, Method, Statement
from audit.defense.defended import Defended, Rewriting
from audit.defense.detection import Detects
from audit.defense.info import Defense, DefenseInfo, Family
from audit.defense.stack import Stack
from audit.defense.training import Trains

__all__ = [
    "Certificate",
    "Certifies",
    "Claim",
    "Defended",
    "Defense",
    "DefenseInfo",
    "Detects",
    "EditKind",
    "Family",
    "Method",
    "Rewriting",
    "Stack",
    "Statement",
    "Trains",
]
