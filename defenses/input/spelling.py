"""Words set right against the words of the catalogue. Step 8 of the sanitiser."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import regex
from rapidfuzz import process
from rapidfuzz.distance import OSA

_WORD = regex.compile(r"(?<![\p{L}\p{M}\p{N}_'’-])\p{L}[\p{L}\p{M}]*(?![\p{L}\p{M}\p{N}_'’-])")


class Spelling:
    """Corrects a word that stands in no title and is one slip away from exactly one word that does.

    A slip is one letter more, less or other, or two neighbours swapped (optimal string alignment distance 1). Words
    with digits, hyphens or apostrophes are left alone: model numbers and names are no slips.

    Args:
        titles: of the catalogue.
        shortest: letters a word must have to be looked at.
    """

    def __init__(self, titles: Iterable[str], shortest: int) -> None:
        self.shortest = shortest
        self.words = frozenset(word for title in titles for word in words_of(title))
        self._long = sorted(word for word in self.words if len(word) >= shortest - 1)
        self._nearest = lru_cache(maxsize=1 << 16)(self._look_up)

    def corrected(self, text: str) -> str:
        """The text with such words set right, in the case in which they stood."""
        result: str = _WORD.sub(lambda found: self._word(found[0]), text)
        return result

    def _word(self, word: str) -> str:
        if len(word) < self.shortest:
            return word
        folded = word.casefold()
        if folded in self.words:
            return word
        right = self._nearest(folded)
        return word if right is None else _cased(right, word)

    def _look_up(self, word: str) -> str | None:
        found = process.extract(word, self._long, scorer=OSA.distance, score_cutoff=1, limit=2)
        return str(found[0][0]) if len(found) == 1 else None


def words_of(text: str) -> list[str]:
    """The words of a text, as they are compared; parts of `O'Brien` and `Sci-Fi` are words too."""
    return [word.casefold() for word in regex.findall(r"\p{L}[\p{L}\p{M}]*", text)]


def _cased(right: str, shown: str) -> str:
    if shown.isupper():
        return right.upper()
    return right[:1].upper() + right[1:] if shown[:1].isupper() else right
