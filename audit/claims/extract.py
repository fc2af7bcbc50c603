"""Claims in an answer: who says what of which item, with its place in the text.

Rules of form only, no model: an answer is read as its reader sees it, its titles are tied to items, and wordings that
assert something of an item are looked for sentence by sentence. Opinions assert nothing that can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from weakref import WeakKeyDictionary

from audit.claims.claim import Claim, Predicate
from audit.claims.labelled import JsonObject, Labelled, Labels, json_objects, rows
from audit.claims.modality import is_asserted, is_of_others, modality
from audit.claims.patterns import Wordings
from audit.claims.personal import personal
from audit.claims.sentences import page_of, plain, sentences, spoken
from audit.claims.subjects import Subjects, Title, titles_of
from audit.grounding import GroundedList, Grounder, normalise
from audit.types import Request

_YEAR_BEHIND = re.compile(r"[\"”’'»\s]{0,6}[(\[](?P<object>(?:18|19|20)\d\d)(?=[^()\[\]\n]{0,60}[)\]])")
_NOT_OF_ITEMS = frozenset({"in_history", "user_likes"})
_TITLES_ARE_OBJECTS = frozenset({"series_of", "similar_to", "in_history"})
_PLURAL = re.compile(r"\b(?:they|these|those|both|all (?:of (?:them|these)|three|four|five)|each)\b", re.IGNORECASE)


class Extractor:
    """Extracts the claims of answers about one catalogue. Build one per catalogue; it compiles the wordings.

    Args:
        grounder: ties titles to items.
        columns: further columns by predicate, as for the structured rung: their names are labels too
            (`{"creator": ["imprint"]}` reads “Imprint: Ace” as a creator).
    """

    def __init__(self, grounder: Grounder, columns: Mapping[str, Sequence[str]] | None = None) -> None:
        self._grounder = grounder
        self._wordings = Wordings(grounder.catalog, columns or {})
        self._labels = Labels(grounder.catalog, columns or {})

    def extract(self, text: str, request: Request) -> list[Claim]:
        """The claims of one answer, in reading order.

        Args:
            text: the raw answer, of any length and content.
            request: what it answers: its candidates and history settle what titles mean.

        Returns:
            The claims, with places in `text`. Time grows with the length of the text.
        """
        visible = spoken(text)
        history = [event.item for event in request.user.history]
        listed = self._grounder.ground_list(visible, candidates=request.candidates, history=history)
        mentions = self._grounder.ground_mentions(visible, candidates=[*(request.candidates or ()), *history])
        page = page_of(visible, escaped=listed.style == "json")
        titles = titles_of(page, listed, mentions)
        own = {form for item in history for form in _forms(item.title)}

        def known(title: str) -> bool:
            return self._grounder.matcher.knows(title) or normalise(title).text in own

        reading = _Reading(page, visible, listed, titles, self._wordings, self._labels, known)
        return reading.claims()


def extract(text: str, request: Request, grounder: Grounder) -> list[Claim]:
    """The claims of one answer, in reading order; see `Extractor.extract`."""
    extractor = _extractors.get(grounder)
    if extractor is None:
        extractor = _extractors[grounder] = Extractor(grounder)
    return extractor.extract(text, request)


_extractors: WeakKeyDictionary[Grounder, Extractor] = WeakKeyDictionary()


class _Reading:
    """One answer as it is read."""

    def __init__(
        self,
        page: str,
        visible: str,
        listed: GroundedList,
        titles: list[Title],
        wordings: Wordings,
        labels: Labels,
        known: Callable[[str], bool],
    ) -> None:
        self._page, self._visible, self._style = page, visible, listed.style
        self._titles, self._wordings, self._labels, self._known = titles, wordings, labels, known
        self._spans = [(title.start, title.end) for title in titles]
        self._subjects = Subjects(page, titles, listed.style)
        self._running: Title | None = None
        self._found: list[tuple[int, Claim, int, int]] = []

    def claims(self) -> list[Claim]:
        for title in self._titles:
            self._year_behind(title)
        if self._style == "json":
            self._json()
        else:
            if self._style == "table":
                self._table()
            self._prose(0, len(self._page))
        return _once(self._found)

    def _json(self) -> None:
        entries = [title for title in self._titles if title.listed]
        if not entries:
            self._prose(0, len(self._page))
            return
        opening = max(self._visible.rfind("{", 0, entries[0].start), self._visible.rfind("[", 0, entries[0].start), 0)
        self._prose(0, opening)
        closed = opening
        for one in json_objects(self._visible, opening, len(self._visible)):
            inside = [title for title in self._subjects.within(one.start, one.end) if title.listed]
            closed = max(closed, one.end)
            if len(inside) == 1:
                self._fields(one, inside[0])
        self._running = None
        self._prose(max(closed, entries[-1].end), len(self._page))

    def _fields(self, one: JsonObject, title: Title) -> None:
        for name, start, first, last in one.fields:
            if first <= title.start < last:
                continue
            facts = list(self._labels.value(self._page, name, start, first, last))
            for fact in facts:
                self._labelled(fact, (start, last), title)
            if not facts and last - first > 12:
                self._running = title
                self._prose(first, last, owner=title)

    def _table(self) -> None:
        header: list[str] = []
        for cells in rows(self._page):
            words = [plain(self._page[slice(*cell)]) for cell in cells]
            owner = next((t for cell in cells for t in self._subjects.within(*cell) if t.listed), None)
            if owner is None:
                header = words if not header else header
                continue
            if len(words) != len(header):
                continue
            for label, (first, last) in zip(header, cells, strict=True):
                if not first <= owner.start < last:
                    for fact in self._labels.value(self._page, label, first, first, last):
                        self._labelled(fact, (first, last), owner)

    def _prose(self, start: int, end: int, owner: Title | None = None) -> None:
        for sentence in sentences(self._page, start, end, self._spans):
            self._sentence(sentence, owner)

    def _sentence(self, sentence: tuple[int, int], given: Title | None) -> None:
        page, inside = self._page, self._subjects.within(*sentence)
        asked = page[sentence[0] : sentence[1]].rstrip("\"'”’)] ").endswith("?")
        aside = [title for title in inside if self._subjects.is_aside(sentence, title)]
        for one in personal(page, sentence, inside, self._known) if not asked else ():
            aside += [t for t in inside if one.object_start <= t.start < one.object_end and t not in aside]
            if one.predicate in _NOT_OF_ITEMS:
                self._put(one.predicate, one.object, None, (one.start, one.end), sentence, 0, polarity=one.polarity)
            else:
                said = (one.start, one.end)
                subject = given or self._subjects.of(sentence, said, aside, self._running)
                if subject is not None and plain(subject.title).casefold() != one.object.casefold():
                    meant = modality(page, sentence, said, (one.object_start, one.object_end))
                    self._put(
                        one.predicate, one.object, subject, said, sentence, 0,
                        polarity=meant.polarity, hedged=meant.hedged,
                    )  # fmt: skip
        for fact in self._labels.in_sentence(page, *sentence):
            subject = given or self._subjects.of(sentence, (fact.start, fact.end), aside, self._running)
            if subject is not None and not self._subjects.over(fact.object_start, fact.object_end):
                self._labelled(fact, sentence, subject)
        if not asked:
            self._worded(sentence, aside, given)
        subjects = [title for title in inside if title not in aside]
        if subjects:
            self._running = subjects[-1]

    def _worded(self, sentence: tuple[int, int], aside: list[Title], given: Title | None) -> None:
        page = self._page
        for found in self._wordings.find(page, *sentence):
            said, named = (found.start, found.end), (found.object_start, found.object_end)
            if found.predicate not in _TITLES_ARE_OBJECTS and self._subjects.over(*named):
                continue
            if not is_asserted(page, sentence, said) or is_of_others(page, sentence, found.start):
                continue
            subject = given or self._subjects.of(sentence, said, aside, self._running)
            owned = self._subjects.owner(found.start) is not None or given is not None
            if subject is None or (
                not owned and subject.end <= sentence[0] and _PLURAL.search(page, sentence[0], found.start)
            ):
                continue
            meant = modality(page, sentence, said, named)
            self._put(
                found.predicate, plain(page[slice(*named)]), subject, said, sentence, found.rank,
                polarity=meant.polarity, hedged=meant.hedged, approximate=meant.approximate, named=named,
            )  # fmt: skip

    def _year_behind(self, title: Title) -> None:
        found = _YEAR_BEHIND.match(self._page, title.end)
        if found is None:
            return
        line = self._page.rfind("\n", 0, title.start) + 1
        begin = max(line, title.start - 40)
        span = found.span("object")
        sentence = (begin, min(len(self._page), span[1] + 1))
        self._put("year", found["object"], title, (title.start, span[1] + 1), sentence, 0, named=span)

    def _labelled(self, fact: Labelled, sentence: tuple[int, int], title: Title) -> None:
        named = (fact.object_start, fact.object_end)
        around = (min(fact.start, sentence[0]), max(fact.end, sentence[1]))
        meant = modality(self._page, around, (fact.start, fact.object_start), named)
        self._put(
            fact.predicate, plain(self._page[slice(*named)]), title, (fact.start, fact.end), around, -1,
            polarity=meant.polarity, hedged=meant.hedged, approximate=meant.approximate, named=named,
            attribute=fact.attribute,
        )  # fmt: skip

    def _put(
        self,
        predicate: Predicate,
        said: str,
        subject: Title | None,
        span: tuple[int, int],
        sentence: tuple[int, int],
        rank: int,
        *,
        polarity: bool = True,
        hedged: bool = False,
        approximate: bool = False,
        attribute: str = "",
        named: tuple[int, int] | None = None,
    ) -> None:
        if not any(c.isalnum() for c in said):
            return
        claim = Claim(
            predicate,
            said,
            "" if subject is None else subject.title,
            None if subject is None else subject.item_id,
            *span,
            sentence=plain(self._page[slice(*sentence)]),
            polarity=polarity,
            hedged=hedged,
            approximate=approximate,
            attribute=attribute,
        )
        self._found.append((rank, claim, *(named or span)))


def _once(found: list[tuple[int, Claim, int, int]]) -> list[Claim]:
    """Every object once, however many wordings find it: the surest, then the longest object."""
    kept: list[tuple[int, int, int, Claim]] = []
    taken: dict[str, list[tuple[int, int]]] = {}
    for rank, claim, start, end in sorted(found, key=lambda f: (f[0], f[2] - f[3], f[1].start)):
        spans = taken.setdefault(claim.predicate, [])
        if any(start < stop and begin < end for begin, stop in spans):
            continue
        spans.append((start, end))
        kept.append((claim.start, start, rank, claim))
    return [claim for *_, claim in sorted(kept, key=lambda k: k[:3])]


def _forms(title: str) -> Iterator[str]:
    normal = normalise(title)
    yield from (normal.text, *normal.aliases, *normal.shorter)
