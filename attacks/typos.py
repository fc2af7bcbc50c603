"""Character noise: the slips of a hurried typist, as a stress test of the wording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audit.attack import AttackInfo, Perturbation, ThreatModel, writable_text
from audit.edits import Edit, TextEdit, Zone, read_text
from audit.target import Input, TargetInfo
from audit.types import Request

_WORD = re.compile(r"[^\W\d_]{4,}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> Mapping[str, str]:
    """Keys that touch each key of a QWERTY keyboard, in its row and in the rows above and below."""
    near: dict[str, str] = {}
    for r, row in enumerate(_ROWS):
        for c, key in enumerate(row):
            places = [(r, c - 1), (r, c + 1), (r - 1, c), (r - 1, c + 1), (r + 1, c - 1), (r + 1, c)]
            near[key] = "".join(_ROWS[y][x] for y, x in places if 0 <= y < len(_ROWS) and 0 <= x < len(_ROWS[y]))
    return near


_NEAR = _neighbours()


@dataclass(frozen=True)
class Typos(Perturbation):
    """Misspell a few words: swap, drop, double or mistype one letter of each.

    The first and last letter of a word stay, as in most human slips, so the word remains readable (Pruthi et al.,
    ACL 2019, use the same four operations).

    Attributes:
        words: how many words to misspell.
    """

    words: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words < 1:
            raise ValueError(f"words: {self.words} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="typos",
            title="Typing slips",
            why="People mistype; a recommendation that turns on one letter cannot be trusted with real traffic.",
            reference="Character noise after Pruthi et al., ACL 2019 (swap, drop, add, keyboard)",
            threat_model=ThreatModel(frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER}), max_edits=self.words),
            needs=frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT}),
            severity="medium",
        )

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """Misspell up to `words` words of four letters or more."""
        places = [
            (field, match.start(), match.group())
            for field in writable_text(request, target)
            for match in _WORD.finditer(read_text(request, field))
        ]
        if not places:
            return ()
        chosen = rng.choice(len(places), size=min(self.words, len(places)), replace=False)
        # From the end of each field to its start, so that earlier positions stay true.
        picked = sorted((places[i] for i in chosen), key=lambda place: (place[0], -place[1]))
        return tuple(TextEdit(field, start, start + len(word), _slip(word, rng)) for field, start, word in picked)


def _slip(word: str, rng: np.random.Generator) -> str:
    """The word with one slip inside it; always different from the word."""
    at = int(rng.integers(1, len(word) - 1))
    slips = [word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]]
    if at + 1 < len(word) - 1 and word[at] != word[at + 1]:
        slips.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    if near := _NEAR.get(word[at].lower()):
        slips.append(word[:at] + near[int(rng.integers(len(near)))] + word[at + 1 :])
    return slips[int(rng.integers(len(slips)))]
