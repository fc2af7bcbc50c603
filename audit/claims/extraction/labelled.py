"""Facts that stand beside their names: fields of JSON, columns of tables, `Genre: comedy`, “its publisher is …”."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from audit.claims.claim import Predicate
from audit.claims.columns import key, named, role
from audit.claims.extraction.found import Found
from audit.claims.extraction.patterns import PREDICATES, divided
from audit.types import Catalog

_NO_LABELS = frozenset(
    {"date", "styles", "length", "minutes", "stars", "maker", "system", "systems", "console", "services"}
)
"""Columns whose names are ordinary words in front of a colon."""
_MORE_LABELS: Mapping[str, Predicate] = {
    "release": "year", "first_published": "year", "subgenre": "genre", "type_of_film": "genre", "by": "creator",
    "dir": "creator", "run_time": "runtime", "where_to_watch": "platform", "watch_on": "platform",
    "stream_on": "platform",
    "main_actors": "cast", "lead_actors": "cast", "available": "platform",
}  # fmt: skip
_ANY_CREATOR = frozenset("creator creators artist artists made_by".split())
_NO_ATTRIBUTES = frozenset(
    "id item_id title name description text url image image_url plot summary overview reason explanation rating".split()
)

_TOKEN = re.compile(
    r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|\'[^\'\n]{0,400}\'(?=\s{0,40}[,\]}:])|[\[\]{},:]'
    r"|-?\d{1,30}(?:\.\d{1,30})?|true|false|null|None"
)
_YEAR = re.compile(r"(?<!\d)(?:(?:1[5-9]|20)\d\d(?:s\b)?)(?!\d)|(?<!\w)(?:early |mid-? ?|late )?['’]?\d0s\b")
_VALUE_END = re.compile(r"[|;)\n\u2022]|\s[-\u2013\u2014]\s")
_CLAUSE_END = re.compile(r"[;)\n]|,\s(?:and|but|it|which|so)\b|\s(?:and it|but)\b")
_NOTHING = re.compile(
    r"(?:n/?a|none|unknown|various|null|not (?:available|specified|applicable|known)|tbd|-+|\?+)\W*$", re.IGNORECASE
)
_TRIMMED = " \t\n\"'“”.,;*_()[]"
_MANY: frozenset[str] = frozenset({"genre", "language", "award"})
_PEOPLE: frozenset[str] = frozenset({"creator", "cast", "platform"})


@dataclass
class JsonObject:
    """One object of a JSON answer.

    Attributes:
        start: where it begins.
        end: one past its end.
        fields: names, where each begins, and the spans of their values; an array gives several.
    """

    start: int
    end: int
    fields: list[tuple[str, int, int, int]] = field(default_factory=list)


class Labels:
    """The names under which facts are given.

    Args:
        catalog: whose columns are names too.
        columns: further columns by predicate.
    """

    def __init__(self, catalog: Catalog, columns: Mapping[str, Sequence[str]]) -> None:
        present = dict.fromkeys(name for item in catalog.items_in_order for name in item.attributes)
        written = {key(name): name for name in present}
        self._of: dict[str, tuple[Predicate, str]] = {
            name: ("passage", attribute) for name, attribute in written.items() if name not in _NO_ATTRIBUTES
        }
        for predicate in PREDICATES:
            for name in (*named(predicate), *columns.get(predicate, ())):
                if key(name) not in _NO_LABELS or name in columns.get(predicate, ()):
                    # Whoever says "studio" or "publisher" means that column and no other creator's.
                    own = predicate == "creator" and key(name) not in _ANY_CREATOR and not role(key(name), "")
                    self._of[key(name)] = ("passage", written.get(key(name), name)) if own else (predicate, "")
        self._of.update({name: (predicate, "") for name, predicate in _MORE_LABELS.items() if name not in self._of})
        names = "|".join(
            re.escape(name).replace("_", r"[\s_-]") for name in sorted(self._of, key=lambda n: (-len(n), n))
        )
        self._colon = re.compile(rf"(?<![\w'’])(?P<label>{names})\s?:\s?(?!\s)", re.I)
        self._is = re.compile(
            rf"\b(?:its|their|the|whose)\s(?P<label>{names})(?:\sof\sth\w{{1,3}}\s\w{{3,10}})?\s(?:is|are|was"
            rf"|were)\s",
            re.I,
        )

    def meaning(self, label: str) -> tuple[Predicate, str] | None:
        """The predicate of a name, and its column if only that says what is meant."""
        return self._of.get(key(label.strip(_TRIMMED)))

    def opens(self, page: str, at: int) -> bool:
        """Whether a line that begins with a name holds this place near its start: `Author: …` is no title."""
        begin = page.rfind("\n", 0, at) + 1
        found = self._colon.search(page, begin, min(begin + 60, len(page))) if at - begin < 60 else None
        return found is not None and not page[begin : found.start()].strip(" *•-+>\t") and at <= found.end() + 2

    def in_sentence(self, page: str, start: int, end: int) -> Iterator[Found]:
        """`Label: value` and “its label is value” in one sentence."""
        found = list(self._colon.finditer(page, start, end))
        for place, match in enumerate(found):
            stop = found[place + 1].start() if place + 1 < len(found) else end
            if cut := _VALUE_END.search(page, match.end(), stop):
                stop = cut.start()
            yield from self.value(page, match["label"], match.start("label"), match.end(), stop)
        for match in self._is.finditer(page, start, end):
            cut = _CLAUSE_END.search(page, match.end(), end)
            stop = cut.start() if cut else end
            yield from self.value(page, match["label"], match.start("label"), match.end(), stop)

    def value(self, page: str, label: str, start: int, first: int, last: int) -> Iterator[Found]:
        """The facts in the value of a name."""
        meaning = self.meaning(label)
        if meaning is None:
            return
        predicate, attribute = meaning
        while start < last and page[start].isspace():
            start += 1
        last = min(last, first + 200)
        if predicate == "year":
            spans = [found.span() for found in _YEAR.finditer(page, first, last)][:1]
        elif predicate in _MANY:
            spans = divided(page, first, last)
        elif predicate in _PEOPLE:
            spans = divided(page, first, last, names=True)
        else:
            spans = [(first, last)]
        for begin, stop in spans:
            while begin < stop and page[begin] in _TRIMMED:
                begin += 1
            while stop > begin and page[stop - 1] in _TRIMMED:
                stop -= 1
            if self._fits(page[begin:stop], predicate):
                yield Found(predicate, start, stop, begin, stop, rank=-1, attribute=attribute)

    def _fits(self, said: str, predicate: Predicate) -> bool:
        if not said or _NOTHING.match(said) or not any(c.isalnum() for c in said):
            return False
        words = len(said.split())
        if predicate in _MANY or predicate in _PEOPLE:
            return words <= 6 and any(c.isalpha() for c in said)
        return words <= (12 if predicate in ("constraint_ok", "passage") else 8)


def json_objects(text: str, start: int, end: int) -> Iterator[JsonObject]:
    """The objects in a part of a text that holds JSON, the inner before the outer; also one that was broken off."""
    stack: list[tuple[JsonObject | None, str]] = []
    name, name_at, is_key = "", start, True
    for token in _TOKEN.finditer(text, start, end):
        mark = token[0]
        if mark in "[{":
            stack.append((JsonObject(token.start(), end) if mark == "{" else None, name))
            is_key = mark == "{"
        elif mark in "]}":
            if not stack:
                continue
            closed, name = stack.pop()
            if closed is not None:
                closed.end = token.end()
                yield closed
            is_key = False
        elif mark == ":":
            is_key = False
        elif mark == ",":
            is_key = bool(stack) and stack[-1][0] is not None
        else:
            quoted = mark[0] in "\"'"
            first, last = token.start() + quoted, token.end() - quoted
            if is_key:
                name, name_at = text[first:last], first
                continue
            inside = next((frame for frame, _ in reversed(stack) if frame is not None), None)
            if inside is not None:
                inside.fields.append((name, name_at, first, last))
    for frame, _ in reversed(stack):
        if frame is not None:
            yield frame


def rows(page: str) -> Iterator[list[tuple[int, int]]]:
    """The cells of each line of a table, as spans; rules (`|---|`) are left out."""
    position = 0
    while position < len(page):
        end = page.find("\n", position)
        end = len(page) if end < 0 else end
        if page.find("|", position, end) >= 0 and end - position < 4000:
            bars = [i for i in range(position, end) if page[i] == "|"]
            edges = [position - 1, *bars, end]
            spans = [(a + 1, b) for a, b in pairwise(edges)]
            spans = [span for n, span in enumerate(spans) if page[slice(*span)].strip() or 0 < n < len(spans) - 1]
            if any(c.isalnum() for c in page[position:end]):
                yield spans
        position = end + 1
