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
    """Up to five single words that share a sense with this one, most frequent senses first, in its own case.

    Args:
        word: to be replaced.
        wordnet: folder with WordNet's files, such as the asset `wordnet` (`corpora/wordnet` in it).

    Raises:
        AssetError: the folder holds no WordNet that can be read.
    """
    found: list[str] = []
    for synset in _reader(wordnet).synsets(word.casefold()):
        for name in synset.lemma_names():
            if name.isalpha() and name.casefold() != word.casefold() and name.casefold() not in found:
                found.append(name.casefold())
    return [name.capitalize() if word[:1].isupper() else name for name in found[:_SYNONYMS]]


@cache
def _reader(wordnet: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - an untyped library
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    folder = Path(wordnet)
    nested = folder / "corpora" / "wordnet"
    try:
        return WordNetCorpusReader(str(nested if nested.is_dir() else folder), None)
    except (OSError, LookupError) as error:
        raise AssetError(
            f"wordnet: {wordnet!r} holds no WordNet that can be read ({error}); fetch it with "
            "`recaudit assets fetch wordnet`, or leave the option out"
        ) from error
