"""Repeats collapsed, and texts cut to a length. Step 6 of the sanitiser."""

from __future__ import annotations

import re

_RUN = re.compile(r"([^\w\s])\1{4,}|([^\W\d_])\2{4,}|(\n)\3{2,}|[^\S\n]{2,}")
_LEFT = 4
"""Of a letter or sign that is repeated."""
_WORD = re.compile(r"\S+")
_PERIOD = 8
"""Longest phrase, in words, whose repetition is looked for."""


def collapsed(text: str, repeats: int) -> str:
    """The text with runs shortened.

    Args:
        text: what to shorten.
        repeats: how often in a row the same word, or the same phrase of up to eight words, may stand.

    Returns:
        More than four of the same letter or sign become four, digits stay; more than two line breaks become two, more
        than one blank becomes one; of a word or phrase the first `repeats` stay.
    """
    text = _RUN.sub(_shortened, text).strip()
    for period in range(1, _PERIOD + 1):
        text = _without_repeats(text, period, repeats)
    return text


def cut(text: str, words: int, characters: int) -> str:
    """The first words of a text that fit; a word that is longer than everything allowed is cut itself."""
    found = list(_WORD.finditer(text))
    if len(found) <= words and len(text) <= characters:
        return text
    end = max((w.end() for w in found[:words] if w.end() <= characters), default=0)
    return text[: end or characters]


def _shortened(found: re.Match[str]) -> str:
    if found[3]:
        return "\n\n"
    return (found[1] or found[2]) * _LEFT if found[1] or found[2] else " "


def _without_repeats(text: str, period: int, repeats: int) -> str:
    found = list(_WORD.finditer(text))
    words = [w[0].casefold() for w in found]
    pieces: list[str] = []
    at = kept = 0
    while at + period < len(words):
        end = at
        while end + period < len(words) and words[end] == words[end + period]:
            end += 1
        copies = (end - at) // period + 1
        if copies > repeats:
            # What stays ends with the last copy that is allowed; the text goes on behind the last one there is.
            pieces.append(text[kept : found[at + repeats * period - 1].end()])
            kept = found[at + copies * period - 1].end()
            at += copies * period
        else:
            at += max(end - at, 0) + 1
    return "".join([*pieces, text[kept:]])
