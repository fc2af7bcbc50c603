"""Whether two names are one person's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz

from audit.grounding.titles import fold, split_words

Likeness = Literal["same", "surname", "other"]
"""`surname`: the surname is the same, and nothing was said against the rest."""

_ROLE = re.compile(
    r"^(?:the\s+)?(?:legendary |acclaimed |great |famed |renowned )*"
    r"(?:director|author|writer|novelist|filmmaker|artist|composer|developer|actor|actress|star|sir|dame|mr|mrs|ms|dr)s?"
    r"\b\.?\s+"
)
_ENDING = frozenset({"jr", "sr", "ii", "iii", "iv"})
_PARTICLES = frozenset("de del della der di du da dos la le van von den ten ter bin al el ben st saint".split())
_AND = re.compile(r"\s*(?:,?\s+and\s+|\s+&\s+|\s+with\s+|\s*/\s*|\s*;\s*)\s*", re.IGNORECASE)
_SIBLINGS = re.compile(r"^(?:the\s+)?(.+?)(?:s)?\s+(?:brothers|bros\.?|sisters|siblings)$", re.IGNORECASE)
_FAMILY = re.compile(r"^the\s+(\w{3,})s$", re.IGNORECASE)
# A misspelled name, by the limits that hold for titles.
_TYPO_RATIO = 93.0
_TYPO_LENGTH = 8


@lru_cache(maxsize=1 << 13)
def people(text: str) -> tuple[str, ...]:
    """The persons that a text names. One first name before “and” is lent the surname behind it (Joel and Ethan Coen).

    `Coen, Joel` is one person; `Joel Coen, Ethan Coen` are two.
    """
    named = []
    for group in _AND.split(text.strip()):
        pieces = [piece.strip() for piece in group.split(",") if piece.strip()]
        inverted = len(pieces) == 2 and len(split_words(fold(pieces[0]))) == 1
        named += [group.strip()] if inverted else pieces
    if len(named) == 2 and "," not in named[1]:
        first, second = split_words(fold(named[0])), named[1].split()
        if len(first) == 1 and len(second) > 1 and _AND.search(text):
            named[0] = f"{named[0]} {' '.join(second[1:])}"
    return tuple(name for name in named if name)


def one_of(said: str, known: Sequence[str]) -> tuple[Likeness, str]:
    """The person among those known that a name may mean, and how sure that is."""
    found: tuple[Likeness, str] = ("other", "")
    for name in known:
        likeness = alike(said, name)
        if likeness == "same":
            return likeness, name
        if likeness == "surname" and found[0] == "other":
            found = (likeness, name)
    return found


@lru_cache(maxsize=1 << 15)
def alike(said: str, known: str) -> Likeness:
    """Compare two names: by their words, then by surname and what is given beside it.

    `Scott` and `R. Scott` may be Ridley Scott; `Tony Scott` is not. One word alone is enough if the other name has it.
    """
    if siblings := _SIBLINGS.match(said.strip()) or _FAMILY.match(said.strip()):
        said = siblings[1]
    one, two = _words(said), _words(known)
    if not one or not two:
        return "other"
    if sorted(one) == sorted(two) or "".join(one) == "".join(two):
        return "same"
    if len(one) == 1 or len(two) == 1:
        return "surname" if set(one) <= set(two) or set(two) <= set(one) else "other"
    (given, surname), (other_given, other_surname) = _parted(one), _parted(two)
    if surname == other_surname:
        if not given or not other_given:
            return "surname"
        return "same" if _compatible(given[0], other_given[0]) else "other"
    whole, other = " ".join(one), " ".join(two)
    misspelled = given == other_given and min(len(whole), len(other)) >= _TYPO_LENGTH
    return "same" if misspelled and fuzz.ratio(whole, other) >= _TYPO_RATIO else "other"


def _words(name: str) -> list[str]:
    folded = _ROLE.sub("", fold(name).strip())
    # `Scott, Ridley`
    head, comma, tail = folded.partition(",")
    if comma and tail.strip() and len(split_words(tail)) <= 3 and split_words(tail)[:1] != ["jr"]:
        folded = f"{tail} {head}"
    words = split_words(folded.replace("'s", "").replace("’s", ""))
    return [word for word in words if word not in _ENDING] or words


def _parted(words: list[str]) -> tuple[list[str], str]:
    start = len(words) - 1
    while start > 0 and words[start - 1] in _PARTICLES:
        start -= 1
    return words[:start], " ".join(words[start:])


def _compatible(one: str, two: str) -> bool:
    """Whether two first names may be one: an initial, a short form, a spelling."""
    shorter, longer = sorted((one, two), key=len)
    if longer.startswith(shorter):
        return True
    return len(shorter) > 4 and fuzz.ratio(shorter, longer) >= 75.0 and shorter[0] == longer[0]
