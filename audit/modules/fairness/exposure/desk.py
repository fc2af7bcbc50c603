"""What the judges of exposure share: the lists, what they are held against, and where findings go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.exposure.lists import Lists, Shown
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

REFERENCES = ("catalogue", "history", "merit", "offered")
"""What a share of exposure can be held against."""


@dataclass(frozen=True)
class Desk:
    """One run of the part.

    Attributes:
        context: what is audited.
        shown: the readable lists.
        popularity: (items,) how many users chose each item.
        counted: in which log, as the end of a sentence.
        rivals: by name, what trivial recommenders list for the same requests.
        references: what shares of exposure are held against.
        primary: findings that are decided on: the exposure ratios.
        explored: all others.
        sheet: for evidence.
        params: of every finding.
        draws: how often random lists are drawn.
    """

    context: Context
    shown: Shown
    popularity: Floats
    counted: str
    rivals: Mapping[str, Lists]
    references: tuple[str, ...]
    primary: ReportCard
    explored: ReportCard
    sheet: Sheet
    params: Mapping[str, Param]
    draws: int

    @property
    def n(self) -> int:
        """Users with a readable list."""
        return len(self.shown.cases)

    def rng(self, *names: str) -> np.random.Generator:
        """A random stream of the part."""
        return self.context.rng("fairness", "exposure", *names)

    def say(self, *notes: str) -> str:
        """A note, with what was left out at its end."""
        return "; ".join(note for note in (*notes, self.shown.note) if note)
