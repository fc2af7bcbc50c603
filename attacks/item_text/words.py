"""Words that a seller can find: on the shelf, in the facts of the item, and around the item's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from audit.errors import AssetError
from audit.types import Item

_WORD = re.compile(r"[^\W\d_]{3,}")
_EMPTY = frozenset({"the", "and", "for", "with", "from", "der", "die", "das", "les", "des", "los", "las", "del"})
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_SYNONYMS = 5
_PARTS = ("noun", "verb", "adj", "adv")


def words_of(titles: Sequence[str]) -> list[str]:
    """The distinct words of three letters or more of some titles, in their order, without articles and the like."""
    found = (word for title in titles for word in _WORD.findall(title))
    return list(dict.fromkeys(word for word in found if word.casefold() not in _EMPTY))


def facts_of(item: Item) -> list[str]:
    """The words by which an item would be searched for: its structured facts, or else those of its title."""
    texts = [
        text
        for value in item.attributes.values()
        for text in (value if isinstance(value, tuple) else (value,))
        if isinstance(text, str)
    ]
    return words_of(texts) or words_of([item.title])


def slips(word: str, rng: np.random.Generator) -> list[str]:
    """The word with one neighbouring pair swapped, one letter less, one letter more; its ends stay."""
    if len(word) < 4:
        return []
    made = []
    at = int(rng.integers(1, len(word) - 2))
    made.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    at = int(rng.integers(1, len(word) - 1))
    made.append(word[:at] + word[at + 1 :])
    at = int(rng.integers(1, len(word)))
    made.append(word[:at] + _ALPHABET[int(rng.integers(len(_ALPHABET)))] + word[at:])
    return [slip for slip in dict.fromkeys(made) if slip != word]


def lookalikes(word: str, rng: np.random.Generator) -> list[str]:
    """The word with one letter exchanged for one of another alphabet that is drawn alike, up to two of them."""
    places = [(at, alike) for at, letter in enumerate(word) for alike in homoglyphs().get(letter, ())]
    return [
        word[:at] + alike + word[at + 1 :] for at, alike in (places[int(i)] for i in rng.permutation(len(places))[:2])
    ]


@cache
def homoglyphs() -> Mapping[str, tuple[str, ...]]:
    """For each Latin letter, the letters of other alphabets that are drawn alike; see `attacks/data/homoglyphs.txt`."""
    table: dict[str, tuple[str, ...]] = {}
    for line in files("attacks").joinpath("data", "homoglyphs.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            latin, alike = (chr(int(code, 16)) for code in line.split("\t")[:2])
            table[latin] = (*table.get(latin, ()), alike)
    return table


def synonyms(word: str, wordnet: str) -> list[str]:
    """Up to five single words that share a sense with this one, the senses in WordNet's order, in the word's own case.

    Args:
        word: to be replaced.
        wordnet: folder with WordNet's files, such as the asset `wordnet`.

    Raises:
        AssetError: the folder holds no WordNet that can be read.
    """
    own = word.casefold()
    found = dict.fromkeys(
        name
        for part in _PARTS
        for offset in _index(wordnet, part).get(own, ())
        for name in _members(wordnet, part, offset)
        if name.isalpha() and name != own
    )
    return [name.capitalize() if word[:1].isupper() else name for name in list(found)[:_SYNONYMS]]


@cache
def _index(wordnet: str, part: str) -> Mapping[str, tuple[int, ...]]:
    """Where the synsets of each word are described: the last numbers of a line of `index.PART` (wndb(5WN))."""
    lines = _file(wordnet, f"index.{part}").decode("utf-8", "replace").splitlines()
    fields = (line.split() for line in lines if line and not line.startswith(" "))
    return {f[0]: tuple(map(int, f[len(f) - int(f[2]) :])) for f in fields}


def _members(wordnet: str, part: str, offset: int) -> list[str]:
    """The words of a synset: offset, file, part of speech, their number in hexadecimal, then word and sense in turn."""
    data = _file(wordnet, f"data.{part}")
    fields = data[offset : data.index(b"\n", offset)].decode("utf-8", "replace").split()
    return [re.sub(r"\(\w+\)$", "", name).casefold() for name in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]


@cache
def _file(wordnet: str, name: str) -> bytes:
    folder = Path(wordnet)
    nested = folder / "corpora" / "wordnet"
    path = (nested if nested.is_dir() else folder) / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise AssetError(
            f"wordnet: {wordnet!r} holds no WordNet that can be read ({error}); fetch it with "
            "`recaudit assets fetch wordnet`, or leave the option out"
        ) from error
