"""Findings as plain sentences, for formats that other programs show: SARIF, JUnit, model cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from audit.findings import Finding
from audit.policy import Policy
from audit.report.view import row_of
from audit.text import count, interval, number, one_line, threshold

if TYPE_CHECKING:
    from audit.run import Run

# What XML 1.0 cannot hold, not even as an entity, and what no program should have to meet: unassigned non-characters.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]|[\U0001fffe\U0001ffff]")


def plain(text: object) -> str:
    """One line on which nothing can act, and which every format can hold."""
    return _NOT_TEXT.sub("\ufffd", one_line(text))


def sentences(*parts: str) -> str:
    """Parts as sentences one after the other; empty ones are left out."""
    told = [part.rstrip(".") for part in parts if part]
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in told)


def params(finding: Finding) -> Mapping[str, str]:
    """What a finding was measured under, without what was not set."""
    return {plain(name): plain(value) for name, value in finding.params.items() if value is not None}


def label(finding: Finding) -> str:
    """Name and params: the identity of a finding as a person can read it."""
    listed = ", ".join(f"{name}={value}" for name, value in params(finding).items())
    return plain(finding.name) + (f"[{listed}]" if listed else "")


def figures(finding: Finding, policy: Policy) -> str:
    """Estimate, interval, n, floor and limit; empty where nothing was measured."""
    if finding.estimate is None:
        return ""
    row = row_of(finding, policy)
    parts = [f"{number(finding.estimate)} {interval(finding.ci)}".strip()]
    if finding.ci is not None:
        parts[0] += f" at {finding.level:.0%}"
    if finding.n:
        parts.append(f"n = {count(finding.n, plain(finding.unit))}")
    if finding.floor is not None:
        parts.append(f"noise floor {number(finding.floor)}")
    if finding.effect is not None:
        parts.append(f"above the floor {number(finding.effect, signed=True)} {interval(finding.effect_ci)}".strip())
    if finding.threshold is not None:
        side = " on what is above the floor" if row.on_effect else ""
        parts.append(f"limit {threshold(finding.threshold, at_most=row.at_most)}{side}")
    return "; ".join(parts)


MOST_COMMANDS = 20
"""Pieces of evidence of one finding that are named; a file for a CI system has a bounded size."""


def opened_by(run: Run, finding: Finding) -> list[str]:
    """The commands that open the evidence of a finding, and how many more pieces there are."""
    listed = [f"recaudit show {plain(run.id)} --evidence {plain(key)}" for key in finding.evidence[:MOST_COMMANDS]]
    more = len(finding.evidence) - MOST_COMMANDS
    return [*listed, f"and {count(more, 'more piece')} of evidence in the store"] if more > 0 else listed
