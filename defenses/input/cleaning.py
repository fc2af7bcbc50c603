"""The text cleaner behind the sanitiser: a pure function of one text, step by step.

The order is that of the plan; entities are decoded once, at the start, and the other steps are repeated until none of
them changes anything, because one can uncover work for another: a tag split by a zero-width space is a tag only when
that is gone. Repeating ends: behind the first round no step makes a text longer but spelling, which writes words that
it leaves alone from then on, and only where they fit. Cleaning what is clean therefore changes nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

from defenses.input.confusables import one_script
from defenses.input.invisible import visible_only
from defenses.input.lengths import collapsed, cut
from defenses.input.reserved import decoded, neutralised
from defenses.input.spelling import Spelling

StepName = Literal["entities", "compatibility", "invisible", "confusables", "repeats", "length", "reserved", "spelling"]
_KEPT = 1 << 16
"""Texts whose result is remembered: the titles of a catalogue come back with every request."""


@dataclass(frozen=True)
class Change:
    """What one step did to a text."""

    step: StepName
    before: str
    after: str


@dataclass(frozen=True)
class Cleaned:
    """A clean text, and what was done for it in order."""

    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How long a text may be.

    Attributes:
        words: at most.
        characters: at most.
        repeats: of the same word or phrase in a row.
    """

    words: int
    characters: int
    repeats: int


class Cleaner:
    """Cleans texts of one sort.

    Args:
        limits: of their length.
        reserved: strings that are taken out, beside what is reserved anyway.
        spelling: sets words right; None for not at all.
        one_line: whether a line break has no place in them, as in a title.
    """

    def __init__(
        self, limits: Limits, *, reserved: Sequence[str] = (), spelling: Spelling | None = None, one_line: bool = False
    ) -> None:
        self._limits = limits
        self._spelling = spelling
        self._one_line = one_line
        self._reserved = tuple(reserved)
        self._steps: tuple[tuple[StepName, Callable[[str], str]], ...] = (
            ("compatibility", partial(unicodedata.normalize, "NFKC")),
            ("invisible", visible_only),
            ("confusables", one_script),
            ("compatibility", partial(unicodedata.normalize, "NFKC")),
            ("repeats", partial(collapsed, repeats=limits.repeats)),
            ("length", partial(cut, words=limits.words, characters=limits.characters)),
            ("reserved", self._without_reserved),
            ("spelling", self._spelled),
        )
        self.clean = lru_cache(maxsize=_KEPT)(self._clean)

    def _clean(self, text: str) -> Cleaned:
        changes: list[Change] = []

        def step(name: StepName, before: str, after: str) -> str:
            if before != after:
                changes.append(Change(name, before, after))
            return after

        text = step("entities", text, decoded(text))
        while True:
            before = text
            for name, change in self._steps:
                text = step(name, text, change(text))
            if text == before:
                return Cleaned(text, tuple(changes))

    def _without_reserved(self, text: str) -> str:
        text = neutralised(text, self._reserved)
        return " ".join(text.split("\n")).strip() if self._one_line else text

    def _spelled(self, text: str) -> str:
        if self._spelling is None:
            return text
        right = self._spelling.corrected(text)
        return right if len(right) <= self._limits.characters else text
