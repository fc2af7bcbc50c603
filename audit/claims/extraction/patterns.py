"""Wordings of claims: the patterns of `patterns.yaml`, with the genres of a catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, get_args

import yaml

from audit.claims.claim import Predicate
from audit.claims.columns import key, named, parts
from audit.claims.extraction.found import Found
from audit.types import Catalog

MAX_GENRES = 400
"""Genres of a catalogue that are looked for in prose, the most frequent first; free tags run into the thousands."""

PREDICATES: tuple[Predicate, ...] = get_args(Predicate)

_SPLIT = re.compile(r"\s*(?:,\s*and\s+|,\s*or\s+|,|/|\||;|\s&\s|\s\+\s|\s+and\s+|\s+or\s+)\s*")
_NAME_SPLIT = re.compile(r",\s+(?:and|or)\s+|,\s+|\s+and\s+|\s+or\s+|\s+&\s+|;\s*|\s*\|\s*|\s*/\s*")
_NAMES = frozenset({"creator", "cast", "platform", "award"})


class Wordings:
    """The patterns for one catalogue.

    Args:
        catalog: whose genres are looked for beside the usual ones.
        columns: further columns by predicate.
    """

    def __init__(self, catalog: Catalog, columns: Mapping[str, Sequence[str]]) -> None:
        table = _table()
        strong, weak = set(table["genres"]["nouns"]), set(table["genres"]["weak"])
        own = [genre for genre in _genres(catalog, (*columns.get("genre", ()), *named("genre"))) if genre not in strong]
        self._strong = _alternatives([*strong, *(genre for genre in own if genre not in weak and len(genre) > 3)])
        any_genre = _alternatives([*strong, *weak, *own])
        macros = {**table["macros"], "genres": any_genre}
        self._patterns = [
            (predicate, re.compile(_expanded(pattern, macros)))
            for predicate in PREDICATES
            for pattern in table["patterns"].get(predicate, ())
        ]
        self._cues = {predicate: re.compile(cue) for predicate, cue in table["cues"].items()}
        self._credit = re.compile(
            _expanded(r"[\"”’'»\s]{0,4}(?:[(\[]\d{4}[)\]])?,?\s?\(?(?i:by)\s(?P<object>{names})", macros)
        )
        self._genre = _GenrePhrases(any_genre, self._strong, _expanded("{noun}", macros))

    def credit(self, page: str, start: int, end: int) -> Iterator[Found]:
        """Who made what stands in `page[start:end]`, if that is said right behind it: “Dune by Frank Herbert”."""
        if match := self._credit.match(page, end):
            for piece in divided(page, *match.span("object"), names=True):
                yield Found("creator", start, match.end(), *piece)

    def find(self, page: str, start: int, end: int) -> Iterator[Found]:
        """The wordings in one sentence, `page[start:end]`; several names joined in one are several."""
        text = page[start:end]  # `^` is the start of the sentence
        absent = {predicate for predicate, cue in self._cues.items() if cue.search(text) is None}
        for predicate, pattern in self._patterns:
            if predicate in absent:
                continue
            for match in pattern.finditer(text):
                first, last = match.span("object")
                pieces = divided(text, first, last, names=True) if predicate in _NAMES else [(first, last)]
                for begin, stop in pieces:
                    yield Found(
                        predicate, start + match.start(), start + max(match.end(), last), start + begin, start + stop
                    )
        yield from self._genre.find(text, start)


class _GenrePhrases:
    """Genres in the places where they are said of an item, not of a taste or of its plot."""

    def __init__(self, any_genre: str, strong: str, noun: str) -> None:
        joint = r"(?:\s?[/,&+|-]\s?|\s(?:and|meets|cum)\s|,\sand\s|\s)"
        chain = rf"(?:{any_genre})(?:{joint}(?:{any_genre})){{0,4}}"
        headed = rf"(?:(?:{any_genre}){joint}){{0,4}}(?:{strong})(?:{joint}(?:{any_genre})){{0,3}}"
        behind = (
            r"(?=\s?(?:[.,;:!?()\[\]\u2014\u2013\"'”’|-]|$)|\s(?:about|with|that|which|who|whose|in|on|from|of"
            r"|set|starring|"
            r"directed|written|by|featuring|where|and|or|nor|but|for|following|based|you|released|made|at|full|as|like"
            r"|is|was|to)\b)"
        )
        lead = (
            r"\b(?:an?|another|one of the|this|part|pure|half|more of an?|also an?)\s"
            r"(?:[\w'’-]{2,20}[\s,]\s?){0,4}?"
        )
        self._patterns = [
            (0, rf"(?P<object>{chain})[\s-](?:[\w'’-]{{2,14}}\s){{0,1}}?{noun}"),
            (1, r"(?:^\W{0,4}|\b(?:is|was|isn['’]t|wasn['’]t|nor|it's|it’s|remains|being|as|both|into|but|yet"
                r"|just|simply|also)\s"
                r"(?:\w{3,12}\s)?|[-\u2013\u2014:,(]\s?)"
                rf"(?:{lead})(?P<object>{headed}){behind}"),
            (0, r"\bgenres?(?:\s(?:is|are|include|includes|of this \w{3,8} (?:is|are))\s(?:an?\s)?|:\s?)"
                rf"(?P<object>{chain})"),
            (0, rf"\b(?P<object>{chain})\sgenres?\b"),
            (1, r"\b(?:piece|work|example|slice|mix|blend|mixture|combination|fusion|dose|combines|mixes|blends|mixing|"
                rf"blending|combining)\s(?:of\s)?(?:[\w'’-]{{2,14}}\s){{0,2}}?(?P<object>{chain})"),
            # "Heat - Crime, Drama", and without an article "Heat - Intense crime thriller about …"
            (0, rf"(?:^\W{{0,4}}|\s[-\u2013\u2014:]\s)(?P<object>{chain})\s?(?:[.;|)\]]|$)"),
            (1, r"(?:^\W{0,4}|\s[-\u2013\u2014:]\s)(?:"
                r"(?!(?:of|with|for|in|to|no|not|and|more|less|the|about|into|like)\b)"
                rf"[\w'’-]{{2,20}},?\s){{0,3}}(?P<object>{headed}){behind}"),
            (0, rf"\b\d{{4}}\)?[,;]\s(?:an?\s)?(?P<object>{chain})(?=\s?[,;.)]|$)"),
            (0, rf"[(\[](?:\d{{4}}[,;]\s?)?(?P<object>{chain})[)\],]"),
        ]  # fmt: skip
        self._compiled = [(rank, re.compile(pattern, re.IGNORECASE)) for rank, pattern in self._patterns]
        self._any = re.compile(rf"\b(?:{any_genre})(?![\w'’])", re.IGNORECASE)

    def find(self, text: str, at: int) -> Iterator[Found]:
        """The genres said in a sentence that begins at a place of the page."""
        if self._any.search(text) is None:
            return
        for rank, pattern in self._compiled:
            for match in pattern.finditer(text):
                for genre in self._any.finditer(text, *match.span("object")):
                    begin, stop = genre.span()
                    yield Found("genre", at + match.start(), at + match.end(), at + begin, at + stop, rank)


def divided(page: str, start: int, end: int, *, names: bool = False) -> list[tuple[int, int]]:
    """Spans of what is enumerated in `page[start:end]`."""
    spans, begin = [], start
    for joint in (_NAME_SPLIT if names else _SPLIT).finditer(page, start, end):
        spans.append((begin, joint.start()))
        begin = joint.end()
    spans.append((begin, end))
    return [(first, last) for first, last in spans if page[first:last].strip(" .")]


def _genres(catalog: Catalog, columns: Sequence[str]) -> list[str]:
    wanted = {key(name) for name in columns}
    seen: Counter[str] = Counter()
    for item in catalog.items_in_order:
        for name, value in item.attributes.items():
            if key(name) in wanted:
                seen.update(part.casefold() for part in parts(value) if any(c.isalpha() for c in part))
    return [genre for genre, _ in seen.most_common(MAX_GENRES) if 2 < len(genre) <= 40]


def _alternatives(genres: Sequence[str]) -> str:
    """One pattern for all, the longest first; `-` and white space are one, and a plural is the same genre."""
    written = []
    for genre in sorted(set(genres), key=lambda g: (-len(g), g)):
        words = r"[\s-]".join(re.escape(word) for word in re.split(r"[\s\-]+", genre))
        words = words.replace("'", "['’]")
        written.append(words[:-1] + "(?:y|ies)" if genre.endswith("y") else words + "s?")
    return rf"\b(?:{'|'.join(written)})(?![\w])"


def _expanded(pattern: str, macros: Mapping[str, str]) -> str:
    for _ in range(4):  # macros hold macros
        for name, text in macros.items():
            pattern = pattern.replace(f"{{{name}}}", text)
    return pattern


@cache
def _table() -> dict[str, Any]:
    read = resources.files("audit.claims.extraction").joinpath("patterns.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(read)
    return loaded
