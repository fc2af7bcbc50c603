"""Claims in an answer: who says what of which item, with its place in the text.

Rules of form only, no model: an answer is read as its reader sees it, its titles are tied to items, and wordings that
assert something of an item are looked for sentence by sentence. Opinions assert nothing that can be checked.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from weakref import WeakKeyDictionary

from audit.claims.claim import Claim
from audit.claims.extraction.found import Found
from audit.claims.extraction.labelled import JsonObject, Labels, json_objects, rows
from audit.claims.extraction.modality import Modality, is_asserted, is_of_others, is_question, modality
from audit.claims.extraction.patterns import Wordings
from audit.claims.extraction.personal import personal
from audit.claims.extraction.sentences import Page, page_of, plain, sentences, spoken
from audit.claims.extraction.subjects import Subjects, Title, masked, titles_of
from audit.grounding import GroundedList, Grounder, normalise
from audit.types import Request

_YEAR_BEHIND = re.compile(
    r"[\"”’'»\s]{0,6}[(\[](?:[^()\[\]\n]{0,40}?[,;]\s?)?(?P<year>(?:18|19|20)\d\d)(?=[^()\[\]\n]{0,60}[)\]])"
)
_YEAR_NEXT = re.compile(r"\s?[:,\u2013\u2014-]\s?(?P<year>(?:18|19|20)\d\d)(?=\s?(?:[,;.|\n]|$)|\s[-\u2013\u2014]\s)")
"""A year that follows the title of an entry without brackets: `Heat, 1995`."""
_SEVERAL = re.compile(r"\b(?:they|these|those|both|all (?:of (?:them|these)|three|four|five)|each)\b", re.IGNORECASE)


class Extractor:
    """Extracts the claims of answers about one catalogue. What it needs of a catalogue is made once.

    Args:
        grounder: ties titles to items.
        columns: further columns by predicate, as for the structured rung: their names are labels too
            (`{"creator": ["imprint"]}` reads “Imprint: Ace” as a creator).
    """

    def __init__(self, grounder: Grounder, columns: Mapping[str, Sequence[str]] | None = None) -> None:
        self._grounder = grounder
        # Not the extractor itself is kept: it would hold its grounder, and nothing would ever be let go.
        compiled = _compiled.setdefault(grounder, {})
        wanted = tuple(sorted((predicate, tuple(names)) for predicate, names in (columns or {}).items()))
        if wanted not in compiled:
            compiled[wanted] = Wordings(grounder.catalog, columns or {}), Labels(grounder.catalog, columns or {})
        self._wordings, self._labels = compiled[wanted]

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
        titles = titles_of(page, listed, mentions, self._grounder.matcher)
        titles = [title for title in titles if title.item_id or not self._labels.opens(page.text, title.start)]
        own = {form for item in history for form in _forms(item.title)}

        def known(title: str) -> bool:
            return self._grounder.matcher.knows(title) or normalise(title).text in own

        reading = _Reading(page, visible, listed, titles, self._wordings, self._labels, known)
        return reading.claims()


def extract(
    text: str, request: Request, grounder: Grounder, columns: Mapping[str, Sequence[str]] | None = None
) -> list[Claim]:
    """The claims of one answer, in reading order; see `Extractor`."""
    return Extractor(grounder, columns).extract(text, request)


_Key = tuple[tuple[str, tuple[str, ...]], ...]
_compiled: WeakKeyDictionary[Grounder, dict[_Key, tuple[Wordings, Labels]]] = WeakKeyDictionary()


class _Reading:
    """One answer as it is read."""

    def __init__(
        self,
        page: Page,
        visible: str,
        listed: GroundedList,
        titles: list[Title],
        wordings: Wordings,
        labels: Labels,
        known: Callable[[str], bool],
    ) -> None:
        self._whole, self._page, self._visible, self._style = page, page.text, visible, listed.style
        self._titles, self._wordings, self._labels, self._known = titles, wordings, labels, known
        self._masked = masked(page.text, titles)
        self._spans = [(title.start, title.end) for title in titles]
        self._subjects = Subjects(page.text, titles, listed.style)
        self._running: Title | None = None
        self._taken: list[tuple[Found, Claim]] = []

    def claims(self) -> list[Claim]:
        if self._style == "json":
            self._json()
        else:
            if self._style == "table":
                self._table()
            self._prose(0, len(self._page))
        return _once(self._taken)

    def _json(self) -> None:
        entries = [title for title in self._titles if title.listed]
        first = self._whole.raw(entries[0].start) if entries else 0
        opening = max(self._visible.rfind("{", 0, first), self._visible.rfind("[", 0, first), 0)
        self._prose(0, self._whole.seen(opening))
        closed = entries[-1].end if entries else self._whole.seen(opening)
        nested: list[JsonObject] = []
        for title in entries:
            self._year_behind(title, (title.start, title.end + len(" (2000)")))
        for one in json_objects(self._visible, opening, len(self._visible)):
            begin, end = self._whole.seen(one.start), self._whole.seen(one.end)
            inside = [title for title in self._subjects.within(begin, end) if title.listed]
            closed = max(closed, end)
            if len(inside) == 1:
                # {"title": …, "details": {"year": …}}
                for part in [*(part for part in nested if one.start < part.start), one]:
                    self._fields(part, inside[0])
                nested = []
            elif not inside:
                nested.append(one)
            else:
                nested = []
        self._running = None
        self._prose(closed, len(self._page))

    def _fields(self, one: JsonObject, title: Title) -> None:
        for name, *raw in one.fields:
            start, first, last = (self._whole.seen(place) for place in raw)
            if first <= title.start < last:
                continue
            facts = list(self._labels.value(self._page, name, start, first, last))
            for fact in facts:
                self._labelled(fact, (first, last), title, name)
            if not facts:
                self._prose(first, last, owner=title)

    def _table(self) -> None:
        header: list[str] = []
        for cells in rows(self._page):
            words = [plain(self._page[slice(*cell)]) for cell in cells]
            owner = next((t for cell in cells for t in self._subjects.within(*cell) if t.listed), None)
            if owner is None:
                header = header or words
            elif len(words) == len(header):
                for label, (first, last) in zip(header, cells, strict=True):
                    if not first <= owner.start < last:
                        for fact in self._labels.value(self._page, label, first, first, last):
                            self._labelled(fact, (first, last), owner, label)

    def _prose(self, start: int, end: int, owner: Title | None = None) -> None:
        for sentence in sentences(self._page, start, end, self._spans, cells=self._style == "table"):
            self._sentence(sentence, owner)

    def _sentence(self, sentence: tuple[int, int], given: Title | None) -> None:
        inside = self._subjects.within(*sentence)
        aside = [title for title in inside if self._subjects.is_aside(sentence, title)]
        for title in inside:
            self._year_behind(title, sentence)
            for found in self._wordings.credit(self._page, title.start, title.end):
                self._take(found, title, sentence, modality(self._masked, sentence, found.said, found.object))
        if not is_question(self._page, sentence):
            self._personal(sentence, inside, aside, given)
            for found in self._wordings.find(self._page, *sentence):
                self._worded(found, sentence, aside, given)
        for fact in self._labels.in_sentence(self._page, *sentence):
            subject = given or self._subjects.of(sentence, fact.said, aside, self._running)
            if subject is not None and not self._subjects.over(*fact.object):
                self._labelled(fact, sentence, subject)
        subjects = [title for title in inside if title not in aside]
        if subjects:
            self._running = subjects[-1]

    def _personal(
        self, sentence: tuple[int, int], inside: list[Title], aside: list[Title], given: Title | None
    ) -> None:
        """What is said of the user and of likeness; the titles in it are put aside."""
        for found in personal(self._page, sentence, inside, self._known):
            aside += [t for t in inside if found.object_start <= t.start < found.object_end and t not in aside]
            if found.predicate in ("in_history", "user_likes"):
                self._take(found, None, sentence, Modality(found.polarity, hedged=False, approximate=False))
                continue
            subject = given or self._subjects.of(sentence, found.said, aside, self._running)
            if subject is not None and subject.title.casefold() != plain(self._page[slice(*found.object)]).casefold():
                self._take(found, subject, sentence, modality(self._masked, sentence, found.said, found.object))

    def _worded(self, found: Found, sentence: tuple[int, int], aside: list[Title], given: Title | None) -> None:
        page, masked = self._page, self._masked
        if found.predicate != "series_of" and self._subjects.over(*found.object):
            return
        if not is_asserted(masked, sentence, found.said) or is_of_others(masked, sentence, found.start):
            return
        if found.predicate == "genre" and is_of_others(masked, sentence, found.object_start):
            return  # "a must for fans of horror"
        subject = given or self._subjects.of(sentence, found.said, aside, self._running)
        if subject is None:
            return
        slot = given is not None or self._subjects.owner(found.start) is not None
        if not slot and subject.end <= sentence[0] and _SEVERAL.search(page, sentence[0], found.start):
            return  # "Both were directed by …": of which two, only a reader of the whole can say
        self._take(found, subject, sentence, modality(masked, sentence, found.said, found.object))

    def _year_behind(self, title: Title, sentence: tuple[int, int]) -> None:
        found = _YEAR_BEHIND.match(self._page, title.end)
        if found is None and title.listed:
            found = _YEAR_NEXT.match(self._page, title.end)
        if found:
            start, end = found.span("year")
            closed = end + (self._page[end : end + 1] in (")", "]"))
            said = Found("year", title.start, closed, start, end, rank=-1)
            self._take(said, title, sentence, Modality(polarity=True, hedged=False, approximate=False))

    def _labelled(self, fact: Found, sentence: tuple[int, int], title: Title, label: str = "") -> None:
        meant = modality(self._masked, sentence, (fact.object_start, fact.object_start), fact.object)
        words = f"{label}: {plain(self._page[slice(*fact.object)])}" if label else ""
        self._take(fact, title, sentence, meant, words)

    def _take(
        self, found: Found, subject: Title | None, sentence: tuple[int, int], meant: Modality, words: str = ""
    ) -> None:
        said = plain(self._page[slice(*found.object)])
        start = found.start
        while start < found.object_start and not self._page[start].isalnum():
            start += 1
        if any(c.isalnum() for c in said):
            claim = Claim(
                found.predicate,
                said,
                "" if subject is None else subject.title,
                None if subject is None else subject.item_id,
                self._whole.raw(start),
                self._whole.raw(found.end),
                words or plain(self._page[slice(*sentence)]),
                meant.polarity,
                meant.hedged,
                meant.approximate,
                found.attribute,
            )
            self._taken.append((found, claim))


def _once(taken: list[tuple[Found, Claim]]) -> list[Claim]:
    """Every object once, however many wordings find it: the surest, then the longest object."""
    kept: list[tuple[int, int, Claim]] = []
    places: dict[str, list[tuple[int, int]]] = {}
    # What an answer gives under the name of a column is of that column: a battery's 30 hours are no running time.
    columns = {place for found, _ in taken if found.attribute for place in range(*found.object)}
    for found, claim in sorted(taken, key=lambda t: (t[0].rank, t[0].object_start - t[0].object_end, t[0].start)):
        spans = places.setdefault(found.predicate, [])
        at = bisect_left(spans, found.object)
        over = (at > 0 and spans[at - 1][1] > found.object_start) or (
            at < len(spans) and spans[at][0] < found.object_end
        )
        named = not found.attribute and found.object_start in columns
        if not over and not named:
            insort(spans, found.object)
            kept.append((found.start, found.object_start, claim))
    return [claim for _, _, claim in sorted(kept, key=lambda k: k[:2])]


def _forms(title: str) -> Iterator[str]:
    normal = normalise(title)
    yield from (normal.text, *normal.aliases, *normal.shorter)
