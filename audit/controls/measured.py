"""What repetitions of controls came to: the data behind "what this audit could have seen"."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from audit.stats.claims import Held, at_n, held, size_seen

SCHEMA = 1
DETECTED, FALSE_ALARMS, COVERED = 0.95, 0.05, (0.93, 0.97)
"""What is claimed: detection at the claimed size, alarms on the clean twin, coverage of 95 % intervals."""


@dataclass(frozen=True)
class Cell:
    """One control at one size with one number of users.

    Attributes:
        control: its id.
        module: that was asked.
        title: of the control.
        size: that was planted; 0 is the clean twin.
        users: under audit.
        claimed: whether this is the size and the number of users of the claim.
        repetitions: with new users and new draws each.
        seen: in how many of them the audit saw the flaw; at size 0 these are false alarms.
        truth: true value of the metric; None where it is not known.
        judged: repetitions that gave an interval to hold the truth against.
        covered: in how many of those it holds the truth.
        bias: mean of estimate minus truth over those; None below two.
        bias_se: its standard error.
    """

    control: str
    module: str
    title: str
    size: float
    users: int
    claimed: bool
    repetitions: int
    seen: int
    truth: float | None = None
    judged: int = 0
    covered: int = 0
    bias: float | None = None
    bias_se: float | None = None

    @property
    def rate(self) -> float:
        """Detection rate, or rate of false alarms."""
        return self.seen / self.repetitions


@dataclass(frozen=True)
class Claim:
    """What was claimed of one control, and whether it is shown to hold.

    Attributes:
        clean: the clean twin at the claimed number of users.
        planted: the claimed size at the same.
        coverage: every cell of the control whose truth is known and inside its range, that is, of sizes above 0.
    """

    clean: Cell
    planted: Cell
    coverage: tuple[Cell, ...]

    @property
    def detection(self) -> Held:
        """Is the claimed size seen in at least 95 % of repetitions?"""
        return held(self.planted.seen, self.planted.repetitions, least=DETECTED)

    @property
    def alarms(self) -> Held:
        """Is the clean twin called flawed in at most 5 %?"""
        return held(self.clean.seen, self.clean.repetitions, most=FALSE_ALARMS)

    @property
    def covered(self) -> tuple[int, int]:
        """Intervals that hold the truth, and all that were held against it."""
        return sum(c.covered for c in self.coverage), sum(c.judged for c in self.coverage)

    @property
    def covering(self) -> Held | None:
        """Do 95 % intervals hold the truth in 93 to 97 %? None where the truth is not known."""
        hits, n = self.covered
        return held(hits, n, least=COVERED[0], most=COVERED[1]) if n else None

    @property
    def verdict(self) -> Held:
        """The worst of the three."""
        all_of = [self.detection, self.alarms, *([self.covering] if self.covering else [])]
        return "misses" if "misses" in all_of else "open" if "open" in all_of else "holds"


@dataclass(frozen=True)
class Seeable:
    """What so many users could have shown.

    Attributes:
        control: its id.
        module: that looks for it.
        title: of the control.
        at_80: smallest size that is seen with a power of 80 %; None where the largest measured size is not.
        at_95: the same with 95 %.
        largest: that was measured.
        between: the measured numbers of users around the run's own; equal where that was measured or lies outside.
        alarms: false alarms on the clean twin.
        clean: repetitions of it.
        fewest: repetitions of the size that has fewest, among the numbers of users that were used.
    """

    control: str
    module: str
    title: str
    at_80: float | None
    at_95: float | None
    largest: float
    between: tuple[int, int]
    alarms: int
    clean: int
    fewest: int


@dataclass(frozen=True)
class Measured:
    """A whole measurement.

    Attributes:
        cells: in the order of the controls.
        seed: that repetitions were numbered from.
        profile: that said how many.
        versions: of RecAudit and what it rests on.
        data: what was planted into: `invented`, or the name of the user's own dataset.
    """

    cells: tuple[Cell, ...]
    seed: int
    profile: str
    versions: Mapping[str, str]
    data: str = "invented"

    def claims(self) -> list[Claim]:
        """A claim for each control whose clean twin and claimed size were measured."""
        found = []
        for own in self._by_control().values():
            planted = next((c for c in own if c.claimed), None)
            clean = next((c for c in own if planted is not None and c.size == 0 and c.users == planted.users), None)
            if planted is not None and clean is not None:
                found.append(Claim(clean, planted, tuple(c for c in own if c.size > 0 and c.judged)))
        return found

    def seeable(self, users: int, modules: Iterable[str]) -> list[Seeable]:
        """What a run of so many users could have seen, for the modules that ran."""
        wanted, found = set(modules), []
        for name, own in self._by_control().items():
            if own[0].module not in wanted:
                continue
            counts = sorted({c.users for c in own if c.size > 0})
            curves = {n: self._curve(own, n) for n in counts}
            at_80, at_95 = (
                {n: s for n, curve in curves.items() if (s := size_seen(*curve, power)) is not None}
                for power in (0.8, 0.95)
            )
            around = at_n(users, dict.fromkeys(counts, 0.0))[1:]
            clean = [c for c in own if c.size == 0]
            found.append(
                Seeable(
                    control=name,
                    module=own[0].module,
                    title=own[0].title,
                    at_80=_taken(users, at_80, around),
                    at_95=_taken(users, at_95, around),
                    largest=max(c.size for c in own),
                    between=around,
                    alarms=sum(c.seen for c in clean),
                    clean=sum(c.repetitions for c in clean),
                    fewest=min(c.repetitions for c in own if c.size > 0 and c.users in around),
                )
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "schema": SCHEMA,
            "profile": self.profile,
            "seed": self.seed,
            "data": self.data,
            "versions": dict(self.versions),
            "cells": [asdict(cell) for cell in self.cells],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measured:
        """Inverse of `to_dict`; fields that are not known are left out."""
        known = {f.name for f in fields(Cell)}
        cells = tuple(Cell(**{k: v for k, v in cell.items() if k in known}) for cell in data["cells"])
        return cls(cells, data["seed"], data["profile"], data["versions"], data.get("data", "invented"))

    def _by_control(self) -> dict[str, list[Cell]]:
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.control, []).append(cell)
        return found

    @staticmethod
    def _curve(own: Sequence[Cell], users: int) -> tuple[list[float], list[float]]:
        cells = sorted((c for c in own if c.users == users and c.size > 0), key=lambda c: c.size)
        return [c.size for c in cells], [c.rate for c in cells]


def _taken(users: int, known: dict[int, float], around: tuple[int, int]) -> float | None:
    """The size at so many users; None where either measured number of users around it reached no size."""
    if not all(n in known for n in around):
        return None
    return at_n(users, {n: known[n] for n in around})[0]


@cache
def shipped() -> Measured | None:
    """The measurement that comes with this version; None where there is none."""
    file = files("audit.controls") / "measured.json"
    return Measured.from_dict(json.loads(file.read_text("utf-8"))) if file.is_file() else None
