"""Which item a statement is about: the titles in an answer, and what “it” stands for."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from audit.claims.extraction.sentences import Page, plain
from audit.grounding import GroundedList, Matcher, Mention

_UP = r"[^\W\d_a-zß-öø-ÿ]"
_TITLE_WORD = rf"(?:{_UP}[\w'’:!-]*|\d{{1,4}}|of|the|and|in|a|an|to|for|on|at|&|de|la|le)"
_GUESSED = re.compile(
    rf"(?:\b(?:recommend|suggest|try|watch|check out|consider|go (?:for|with)|pick is|choice is|about|is"
    rf"|be)\s(?:the\s(?:film|movie|book)\s)?"
    rf"(?P<pick>{_UP}[\w'’:!-]*(?:\s{_TITLE_WORD}){{0,8}}))(?=\s?(?:[.,;:!(\u2014\u2013-]|which|by|from|a\b"
    rf"|an\b|directed|$))"
    rf"|(?:^|(?<=[.!?]\s)|(?<=\n))(?P<opening>{_UP}[\w'’:!-]*(?:\s{_TITLE_WORD}){{0,8}})"
    r"(?=\s(?:\((?:18|19|20)\d\d\)|(?:is|was) (?:directed|released|written|made|published|produced|set)\b"
    r"|came out\b|stars\b"
    r"|(?:is|was) (?:an?|the|one of)\s(?:[\w'’-]{1,20}\s){0,6}?(?:films?|movies?|books?|novels?|series|games?"
    r"|albums?|classics?)\b))"
    r"|\b(?:recommend|suggest|try|watch|consider|check out|enjoy|like|love|with|pick is|choice is|option is)\s"
    rf"(?:the\s(?:film|movie|book|novel|game|album)\s)?[\"“](?P<cited>{_UP}[^\"“”\n]{{0,100}})[\"”]"
    rf"|(?P<dated>{_UP}[\w'’:!-]*(?:\s{_TITLE_WORD}){{0,8}})(?=\s\((?:18|19|20)\d\d\))"
)
_HEAD = re.compile(
    rf"(?:^|(?<=[.!?]\s)|(?<=\n)|(?<=[-\u2013\u2014:]\s))(?:[\"“](?P<quoted>{_UP}[^\"“”\n]{{0,100}})[\"”]"
    rf"|(?P<bare>{_UP}[\w'’:!-]*(?:\s{_TITLE_WORD}){{0,8}}?))"
    r"(?=\s(?:is|was|has|stars|follows|came|comes|runs|tells|won|features|belongs|isn['’]t|wasn['’]t|lasts|costs)\b)"
)
_CLOSING = re.compile(r"(?=[^\"“”\n(]{0,80}[^\W_][^\"“”\n(]{0,80}[\"”])[^\"“”\n]{1,80}(?<![\s.,;!?])")
_SEQUEL = re.compile(
    r"\s(?:[2-9]|1\d|II|III|IV|VI{0,3}|Part (?:\d|Two|Three|II))\b"
    r"(?![-.,]?\d|\s(?:hours?|minutes?|stars?|times)\b|\s?/|\sout of\b)"
)
_YEAR_AT_END = re.compile(r"\s?[(\[](?:18|19|20)\d\d(?:[,;][^()\[\]\n]{0,60})?[)\]]\s?$")
_NUMBERED = re.compile(r"[ \t>#]{0,8}\d{1,3}[.)]\s?[\"“]?")
_MAX_AGAIN = 50
"""Titles of one word that are looked for again."""
_CREDIT = re.compile(
    r"\b(?:by|starring|stars|featuring|features|director|author|writer|actor|actress)\s$", re.IGNORECASE
)
_NO_TITLE = re.compile(
    r"(?:It|This|That|These|Those|He|She|They|We|I|You|His|Her|Its|Their|My|Your|Here|There|Both|All|One"
    r"|Another|If|Since|Because|As"
    r"|The (?:film|movie|book|novel|series|show|game|story|director|author|album|plot|cast|genre|runtime)"
    r"|Director|Author|Genre|Year"
    r"|In|With|Based|Set|For|But|And|So|Or|At|On|First|Next|Finally|Also)\b",
)
_LEADING = re.compile(
    r"(?:(?:In|With|For|And|But|Also|Next|Finally|First|Then|While|Although|Though|When|Since|Because|My"
    r"|The (?:film|movie|book))\s)+"
)
_ASIDE = re.compile(
    r"(?:\b(?:unlike|like|than|fans? of|lovers? of|similar to|akin to|reminiscent of|compared (?:to|with)"
    r"|alongside|vein (?:of|as)"
    r"|style (?:of|as)|spirit (?:of|as)|(?:sequel|prequel|follow-?up|successor|homage) to|remake of"
    r"|adaptation of|parody of|based on|inspired by|echoes(?: of)?"
    r"|from the (?:director|creator|author|writer|maker|studio|team|mind|producer)s? (?:of|behind)|director of"
    r"|who (?:also )?(?:made|directed|wrote)"
    r"|known for|famous for|as (?:good|funny|gripping|strong|great) as"
    r"|(?:if|when|once) you(?:['’]ve| have)? (?:also |really )?(?:liked?|enjoy(?:ed)?|loved?|watched|seen|saw"
    r"|appreciated?)"
    r"|not recommend|not suggest|avoid|skip|instead of|rather than)\s(?:the\s)?(?:(?:film|movie|book"
    r"|novel)s?\s)?(?:like\s)?)[\"“”'‘«*_\s]*$",
    re.IGNORECASE,
)
_LIKING = re.compile(
    r"(?:\b(?:might|may|will|would|could|should|to|surely|certainly|definitely|probably|also|really)"
    r"|['’]ll)\s(?:\w+\s)?$",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"[\"”’'»*_\s]{0,4}(?:[\(\[][^()\[\]\n]{0,60}[\)\]])?[\"”’'»*_\s]{0,4}(?:,?\s?(?:which|that|who|itself|also))?\s?"
    r"(?:\s(?:is|was|were|has been|are))?[\s,(\u2014\u2013:-]{0,4}$"
)
_SLOTTED = ("numbered", "bulleted", "table", "json")
"""Lists whose marks say where the slot of an entry ends. Bare lines do not: a line may go on about another item."""
_PARAGRAPH = re.compile(r"\n[ \t]*\n(?=\S)")


@dataclass(frozen=True)
class Title:
    """A title in the text.

    Attributes:
        start: where it begins.
        end: one past its end.
        title: as written.
        item_id: the item; None for a title that is nobody's, or of several.
        listed: whether it is an entry of the list.
    """

    start: int
    end: int
    title: str
    item_id: str | None
    listed: bool = False


def titles_of(page: Page, listed: GroundedList, mentions: Iterable[Mention], matcher: Matcher) -> list[Title]:
    """All titles of an answer, in order, none over another: entries of its list, then titles known to the catalogue.

    Also what stands where a title would and is nobody's, or else what is said of an invented item would be taken for a
    statement about the item before it; and known titles of common words at the head of a sentence.

    Args:
        page: the text.
        listed: its list.
        mentions: the titles in its running text.
        matcher: of the catalogue.
    """
    text = page.text
    found = [
        _entry(text, page.seen(entry.start), page.seen(entry.end), entry.title, match.item_id)
        for entry, match in zip(listed.entries, listed.matches, strict=True)
        if entry.end > entry.start
    ]
    found = sorted((title for title in found if title.title), key=lambda title: title.start)
    mentioned = [replace(m, start=page.seen(m.start), end=page.seen(m.end)) for m in mentions]
    found = _joined(found, (_whole(text, m) for m in mentioned if not _is_name(text, m)))
    if listed.style != "json":
        found = _joined(found, _heads(text, matcher, bare=listed.style not in _SLOTTED))
    if listed.style not in _SLOTTED:
        found = _joined(found, _again(text, found))
        found = _joined(found, _guessed(text))
    return found


def _again(page: str, titles: Sequence[Title]) -> Iterable[Title]:
    """Known titles of common words where they are named again without a mark: “While Heat is a drama, …”."""
    once = {t.title: t.item_id for t in titles if t.item_id and " " not in t.title and t.title[:1].isupper()}
    names = [name for name in once if not _NO_TITLE.match(name)][:_MAX_AGAIN]
    if names:
        for found in re.finditer(rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, names))})(?![\w-])(?!\s{_UP})", page):
            yield Title(*found.span(), found[0], once[found[0]])


def _entry(text: str, start: int, end: int, written: str, item_id: str | None) -> Title:
    """An entry without the year behind it, which is a claim of its own, and without signs around it."""
    if year := _YEAR_AT_END.search(text, start + 1, end):
        end = year.start()
        written = _YEAR_AT_END.sub("", written) or written
    while start < end and text[start] in ' {["“':
        start += 1
    return Title(start, end, written.strip(' {["“”-\u2013\u2014:'), item_id, listed=True)


def _is_name(page: str, mention: Mention) -> bool:
    """Whether a title is a part of a person's name here (Michael, in “directed by Michael Mann”)."""
    if mention.marked:
        return False
    before = page[max(0, mention.start - 24) : mention.start]
    if _CREDIT.search(before):
        return True
    after = page[mention.end : mention.end + 2]
    return " " not in mention.title and after[:1] == " " and after[1:].isupper()


def _whole(page: str, mention: Mention) -> Title:
    """The title that a mention is a part of: a known title may begin one that is made up (“Heat 2”)."""
    start, end = mention.start, mention.end
    if start and page[start - 1] in '"“' and (quote := _CLOSING.match(page, end)):
        return Title(start, quote.end(), plain(page[start : quote.end()]), None)
    if number := _SEQUEL.match(page, end):
        return Title(start, number.end(), plain(page[start : number.end()]), None)
    opens = _NUMBERED.fullmatch(page, page.rfind("\n", 0, start) + 1, start) is not None
    return Title(start, end, mention.title, mention.match.item_id, listed=opens)


def _joined(titles: list[Title], more: Iterable[Title]) -> list[Title]:
    begins = [title.start for title in titles]
    new = []
    for title in more:
        place = bisect_left(begins, title.end) - 1
        if place < 0 or titles[place].end <= title.start:
            new.append(title)
    return sorted([*titles, *new], key=lambda title: title.start)


def _heads(page: str, matcher: Matcher, *, bare: bool) -> Iterable[Title]:
    """Titles at the head of a sentence: whatever is quoted, and of what is not (if `bare`) what the catalogue knows."""
    for found in _HEAD.finditer(page):
        name = found.lastgroup or ""
        start, end = found.span(name)
        written = page[start:end]
        match = matcher.match(written) if name == "quoted" or (bare and not _NO_TITLE.match(written)) else None
        if match is not None and (name == "quoted" or (match.found and match.score == 100.0)):
            yield Title(start, end, plain(written), match.item_id)


def _guessed(page: str) -> Iterable[Title]:
    for found in _GUESSED.finditer(page):
        name = found.lastgroup or ""
        start, end = found.span(name)
        if lead := _LEADING.match(page, start, end):
            start = lead.end()
        written = page[start:end]
        if (name != "cited" and _NO_TITLE.match(written)) or not written or not written[0].isupper():
            continue
        if name == "pick" and " " not in written:
            continue  # one capital word may be anything
        yield Title(start, end, plain(written), None)


def masked(page: str, titles: Sequence[Title]) -> str:
    """The page with every title made one word: “If Lucy Fell” is no condition, “Not a Love Story” no denial."""
    pieces, at = [], 0
    for title in titles:
        if title.start >= at:
            pieces += [page[at : title.start], "T" * (title.end - title.start)]
            at = title.end
    return "".join([*pieces, page[at:]])


class Subjects:
    """What statements are about.

    Args:
        page: the text.
        titles: from `titles_of`.
        style: how the list was written.
    """

    def __init__(self, page: str, titles: Sequence[Title], style: str) -> None:
        self._page, self.titles = page, titles
        self._begins = [title.start for title in titles]
        self._owners = [title for title in titles if title.listed] if style in _SLOTTED else []
        self._owner_begins = [title.start for title in self._owners]
        self._last_end = self._end_of_list(style)
        self._table = style == "table"

    def within(self, start: int, end: int) -> list[Title]:
        """The titles that begin in a span."""
        return list(self.titles[bisect_left(self._begins, start) : bisect_left(self._begins, end)])

    def over(self, start: int, end: int) -> bool:
        """Whether a title covers a part of a span."""
        place = bisect_left(self._begins, end) - 1
        return place >= 0 and self.titles[place].end > start

    def owner(self, at: int) -> Title | None:
        """The entry of the list whose slot a place is in."""
        if self._table:
            line = self._page.rfind("\n", 0, at) + 1
            end = self._page.find("\n", at)
            place = bisect_left(self._owner_begins, line)
            inside = place < len(self._owners) and (end < 0 or self._owners[place].start < end)
            return self._owners[place] if inside else None
        place = bisect_right(self._owner_begins, at) - 1
        if place < 0 or (place == len(self._owners) - 1 and at >= self._last_end):
            return None
        return self._owners[place]

    def of(
        self, sentence: tuple[int, int], said: tuple[int, int], aside: Collection[Title], running: Title | None
    ) -> Title | None:
        """What a wording is about.

        Args:
            sentence: its sentence.
            said: its span.
            aside: titles in the sentence that something is compared with, or that are the user's past.
            running: the last item that was spoken of before the sentence.
        """
        inside = self.within(*sentence)
        before = [title for title in inside if title.end <= said[0]]
        # "Alien, which was released in 1979": the title right before it, whatever it is there for.
        if before and _LINK.fullmatch(self._page, before[-1].end, said[0]):
            return before[-1]
        # "the 1995 film Heat"
        behind = next((title for title in inside if title.start >= said[1]), None)
        if behind is not None and behind.start - said[1] <= 3 and not self._page[said[1] : behind.start].strip(" \"“'"):
            return behind
        owner = self.owner(said[0])
        subjects = [title for title in before if title not in aside]
        if owner is not None:
            # In the slot of an entry, another title is spoken of only where it heads the sentence.
            heads = [t for t in subjects if t is not owner and not self._page[sentence[0] : t.start].strip(" \"“'*-")]
            return heads[-1] if heads else owner
        if subjects:
            return subjects[-1]
        later = [title for title in inside if title.start >= said[1] and title not in aside]
        opening = len(self._page[sentence[0] : said[0]].split()) <= 2
        if later and (opening or running is None):
            return later[0]
        return running

    def is_aside(self, sentence: tuple[int, int], title: Title) -> bool:
        """Whether a title is only compared with."""
        found = _ASIDE.search(self._page, max(sentence[0], title.start - 80), title.start)
        if found is None:
            return False
        # "You might also like Heat" recommends it.
        liked = found[0][:4].lower() == "like"
        return not (liked and _LIKING.search(self._page, max(sentence[0], found.start() - 30), found.start()))

    def _end_of_list(self, style: str) -> int:
        """Where the slot of the last entry ends: at an empty line, unless the entries before had paragraphs too."""
        if not self._owners:
            return 0
        if style == "json":
            return self._owners[-1].end
        last = self._owners[-1]
        spread = [
            _PARAGRAPH.search(self._page, one.end, two.start)
            for one, two in zip(self._owners, self._owners[1:], strict=False)
        ]
        skip = sum(
            1
            for gap, two in zip(spread[:1], self._owners[1:2], strict=False)
            if gap is not None and len(self._page[gap.end() : two.start].split()) > 3
        )
        for found in _PARAGRAPH.finditer(self._page, last.end):
            if self._page[found.end()] in "-*+•|":
                continue
            if skip == 0:
                return found.start()
            skip -= 1
        return len(self._page)
