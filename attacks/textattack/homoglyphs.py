"""Homoglyph swap with the table that the released wheel of TextAttack lacks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from attacks.textattack.library import WordSwapHomoglyphSwap


@cache
def homoglyphs() -> Mapping[str, tuple[str, ...]]:
    """For each Latin letter, the Cyrillic and Greek letters drawn like it; see `attacks/data/homoglyphs.txt`."""
    table: dict[str, tuple[str, ...]] = {}
    for line in (files("attacks") / "data" / "homoglyphs.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            latin, alike = (chr(int(code, 16)) for code in line.split("\t")[:2])
            table[latin] = (*table.get(latin, ()), alike)
    return table


class HomoglyphSwap(WordSwapHomoglyphSwap):  # type: ignore[misc]  # untyped base
    """Replace one letter of a word by one that looks the same.

    The released class reads a file that its wheel does not hold and so cannot even be made; its built-in table swaps
    some letters for mathematical or full-width ones, which normalisation (NFKC) takes back, and digits for letters.
    """

    def __init__(self) -> None:
        # Not the parent's: that is what reads the missing file.
        self.random_one = False
        self.homos = {latin: alike[0] for latin, alike in homoglyphs().items()}
        self.homos_intentional = {latin: list(alike) for latin, alike in homoglyphs().items()}

    def _get_replacement_words(self, word: str) -> list[str]:
        return [
            word[:at] + alike + word[at + 1 :]
            for at, letter in enumerate(word)
            for alike in homoglyphs().get(letter, ())
        ]
