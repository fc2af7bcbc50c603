"""A fixed table of synonyms: who may stand for whom, and what copies draw from.

Two sets belong to each word x, as in SAFER (Ye, Gong and Liu, ACL 2020, section 3.3): S_x, its synonyms, which an
adversary may write in its place; and P_x, from which smoothing draws. P_x is the whole group of words that are tied to
x by chains of synonyms, or, where that is large, the K words of it that are nearest to x. So P_x and P_x' are equally
large for synonyms x and x', which the paper's theorem assumes, and equal where the group is small.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path

from audit.errors import AssetError, ConfigError
from audit.types import canonical_json

_PARTS = ("noun", "verb", "adj", "adv")
_SHORTEST = 3
_MARKER = re.compile(r"\((?:a|p|ip)\)\Z")
"""Where an adjective may stand (wndb(5WN))."""


@dataclass(frozen=True, eq=False)
class SynonymTable:
    """Synonyms, all in lower case.

    Attributes:
        synonyms: S_x without x; symmetric.
        largest: K, the most words of a P_x.
    """

    synonyms: Mapping[str, frozenset[str]]
    largest: int
    _draws: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], largest: int) -> SynonymTable:
        """The table of these pairs. A word is its own synonym anyway."""
        found: dict[str, set[str]] = defaultdict(set)
        for one, other in pairs:
            if one != other:
                found[one].add(other)
                found[other].add(one)
        return cls({word: frozenset(found[word]) for word in sorted(found)}, largest)

    def draws(self, word: str) -> tuple[str, ...]:
        """P_x of a word of the table, x included, in alphabetical order."""
        if word not in self._draws:
            self._draws[word] = tuple(sorted(self._nearest(word)))
        return self._draws[word]

    def overlap(self, word: str) -> Fraction:
        """q_x of a word of the table: the least share of P_x that P_x' of a synonym x' has in common with it."""
        own = set(self.draws(word))
        return min(Fraction(len(own & set(self.draws(other))), len(own)) for other in self.synonyms[word])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        content = [self.largest, {word: sorted(others) for word, others in self.synonyms.items()}]
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    def _nearest(self, word: str) -> list[str]:
        """At most K words: by the length of the chain of synonyms, then in alphabetical order."""
        found, ring = [word], [word]
        seen = {word}
        while ring and len(found) < self.largest:
            ring = sorted({other for near in ring for other in self.synonyms[near]} - seen)
            seen.update(ring)
            found += ring
        return found[: self.largest]


def from_mapping(given: Mapping[str, object], largest: int, where: str) -> SynonymTable:
    """A user's own table: for each word a list of its synonyms. What is named on one side is a synonym on both.

    Raises:
        ConfigError: the table is malformed, or holds no pair.
    """
    table = SynonymTable.of(_pairs(given, where), largest)
    if not table.synonyms:
        raise ConfigError(f"{where}: the table holds no two words that are synonyms; give at least one pair")
    return table


def _pairs(given: Mapping[str, object], where: str) -> Iterator[tuple[str, str]]:
    for word, others in given.items():
        if not isinstance(others, list | tuple):
            raise ConfigError(f"{where}: {word!r} must have a list of words, not {type(others).__name__}")
        for other in others:
            one, two = _word(word, where), _word(other, where)
            if is_cased(one) != is_cased(two):
                raise ConfigError(
                    f"{where}: {word!r} has upper case and {other!r} has none; such words cannot be paired"
                )
            yield one, two


def _word(given: object, where: str) -> str:
    word = given.lower() if isinstance(given, str) else ""
    if not usable(word):
        raise ConfigError(f"{where}: {given!r} must be one word of two letters or more, and letters only")
    return word


def from_file(path: Path, largest: int, where: str) -> SynonymTable:
    """A table in a JSON file; see `from_mapping`.

    Raises:
        ConfigError: there is no such file, it is no JSON object, or the table cannot be used.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{where}: {str(path)!r} cannot be read as JSON ({error}); give a file of lists of words"
        ) from None
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: {str(path)!r} must hold one object that gives each word a list of its synonyms")
    return from_mapping(given, largest, f"{where}: {path.name}")


@cache
def from_wordnet(folder: Path, senses: int, largest: int) -> SynonymTable:
    """Words of WordNet that share a sense which is among the first of both, in the same part of speech.

    WordNet orders senses by how frequent they are. With the first one alone, groups are small and words stay what they
    mean; with all of them nearly half of the words are in one group. Words of fewer than three letters, function words,
    names and terms of several words are left out.

    Args:
        folder: with WordNet's files, `corpora/wordnet` of the asset or a folder like it.
        senses: how many senses of a word count.
        largest: K.

    Raises:
        AssetError: the folder holds no WordNet that can be read.
    """
    return SynonymTable.of((pair for part in _PARTS for pair in _shared(folder, part, senses)), largest)


def _shared(folder: Path, part: str, senses: int) -> Iterator[tuple[str, str]]:
    """Pairs of words of one part of speech; the formats are those of wndb(5WN)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    try:
        index = (folder / f"index.{part}").read_text(encoding="utf-8")
        data = (folder / f"data.{part}").read_bytes()
    except (OSError, ValueError) as error:
        raise AssetError(
            f"WordNet cannot be read from {str(folder)!r} ({error}); run `recaudit assets fetch wordnet --force`, or "
            "give a table of your own"
        ) from error
    members: dict[int, list[str]] = defaultdict(list)
    for line in index.splitlines():
        fields = line.split()
        if line[:1] in {"", " "} or not usable(fields[0]) or len(fields[0]) < _SHORTEST:
            continue
        if fields[0] not in ENGLISH_STOP_WORDS:
            for number in fields[len(fields) - int(fields[2]) :][:senses]:
                members[int(number)].append(fields[0])
    for offset, words in members.items():
        if len(words) > 1:
            entry = data[offset : data.index(b"\n", offset)].decode("utf-8", "replace").split()
            # The index is in lower case; names are told by the capital letter that they have here.
            written = {_MARKER.sub("", name) for name in entry[4 : 4 + 2 * int(entry[3], 16) : 2]}
            common = [word for word in words if word in written]
            yield from itertools.combinations(common, 2)


def is_cased(word: str) -> bool:
    """Whether the word can be written in upper case."""
    return word.upper() != word


def usable(word: str) -> bool:
    """Whether a word in lower case can be in a table: letters only, and its cases can be told from each other."""
    if len(word) < 2 or not word.isalpha() or word != word.lower():
        return False
    if word.isascii():
        return True
    forms = [written(word, case) for case in ("lower", "title", "upper")]
    return len({form.lower() for form in forms}) == 1 and len(set(forms)) == (3 if is_cased(word) else 1)


def case_of(word: str) -> str | None:
    """`lower`, `title` or `upper`; None where a word is in no such case, as McDonald is not."""
    return next((case for case in ("lower", "title", "upper") if word == written(word.lower(), case)), None)


def written(word: str, case: str) -> str:
    """A word in lower case, put into a case."""
    if case == "title":
        return word[:1].upper() + word[1:]
    return word.upper() if case == "upper" else word
