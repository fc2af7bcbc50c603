"""The text of an answer as its reader sees it, with the place of every character, and the sentences in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.grounding.layout import visible_text, without_html

MAX_SENTENCE = 600
"""Characters of the longest sentence; what is longer is divided at white space, so that work stays in proportion."""

_NEXT_TURN = re.compile(
    r"\n[ \t>*#_]{0,8}(?:user|human|customer)[ \t*_]{0,4}:"
    r"|\n[ \t]*#{2,4}[ \t]*(?:instruction|user|human|input|question)\b"
    r"|<\|(?:user|human)\|>|\[INST\]",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"`+|(?<!\w)\*+|\*+(?!\w)|(?<!\w)_+|_+(?!\w)|~~+")
_GAP = "\u2060"
"""Fills the places that an escape such as `\\u00e9` takes and its letter does not."""
_UNSEEN = re.compile(rf"[ \t]{{2,}}|{_GAP}+")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_BREAK = re.compile(
    r"(?P<stop>[.!?…]['\"”’)\]]{0,3}(?:\s?\[\d{1,2}\]){0,4}\s+(?=\S))"
    r"|(?P<wide>[。！？])"
    r"|(?P<line>[ \t]*\n\s*)"
)
_CELL = re.compile(rf"{_BREAK.pattern}|(?P<bar>\|)")
_MARKED = re.compile(r"[-*+•|#>]|\(?\d{1,3}[.)]\s|[^\W\d_a-z][\w ]{0,24}:\s")
_ABBREVIATED = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|st|jr|sr|vs|vol|no|nos|inc|ltd|co|prof|approx|ca|c|dir|feat|ft|ed|eds|etc|e\.g|i\.e|a\.k\.a"
    r"|u\.s|u\.k)|(?<![\w.'’])[^\W\d_])\.\s*$",
    re.IGNORECASE,
)
_HARD_WRAP = 60


def spoken(text: str) -> str:
    """The answer without what its reader is not shown, at its full length or cut at its end.

    What stands behind an end-of-turn token, or behind a next turn that the model wrote itself (`User: …`), is no part
    of the answer: models with a wrong stop token run on.
    """
    visible = visible_text(text)
    for turn in _NEXT_TURN.finditer(visible):
        if visible[: turn.start()].strip():
            return visible[: turn.start()]
    return visible


@dataclass(frozen=True)
class Page:
    """An answer as its reader sees it: no tags, no marks of emphasis, escapes read, blanks squeezed to one.

    Attributes:
        text: what is seen.
        places: pairs of a place in `text` and its place in the raw answer, from each of which both run on in step.
    """

    text: str
    places: tuple[list[int], list[int]]

    def raw(self, at: int) -> int:
        """Where a character of the page stands in the raw answer."""
        here, there = self.places
        step = bisect_right(here, at) - 1
        return there[step] + at - here[step]

    def seen(self, at: int) -> int:
        """Where a character of the raw answer stands on the page; the next that is seen, if it is not."""
        here, there = self.places
        step = bisect_right(there, at) - 1
        limit = here[step + 1] if step + 1 < len(here) else len(self.text)
        return min(here[step] + at - there[step], limit)


def page_of(visible: str, *, escaped: bool) -> Page:
    """What of an answer is seen, and where.

    Args:
        visible: from `spoken`.
        escaped: whether it is JSON, whose escapes are read.
    """
    page = _ESCAPE.sub(_unescaped, visible) if escaped and "\\" in visible else visible
    page = _EMPHASIS.sub(lambda mark: " " * len(mark[0]), without_html(page))
    pieces, here, there, at = [], [0], [0], 0
    width = 0
    for run in _UNSEEN.finditer(page):
        cut = run.start() + (run[0][0] != _GAP)  # of several blanks the first is seen
        pieces.append(page[at:cut])
        width += cut - at
        at = run.end()
        here.append(width)
        there.append(at)
    return Page("".join([*pieces, page[at:]]), (here, there))


def plain(text: str) -> str:
    """A piece of a page in one line."""
    return " ".join(text.split())


def sentences(
    page: str, start: int, end: int, titles: Sequence[tuple[int, int]], *, cells: bool = False
) -> Iterator[tuple[int, int]]:
    """Spans of the sentences in `page[start:end]`, in order.

    Args:
        page: the text.
        start: where to begin.
        end: where to stop.
        titles: spans, sorted, that hold no end of a sentence ("Monsters, Inc.", "Dr. Strangelove").
        cells: whether the cells of a table are sentences.
    """
    begins = [title[0] for title in titles]
    line = begin = start
    for found in (_CELL if cells else _BREAK).finditer(page, start, end):
        if found.lastgroup != "bar" and not _ends(page, found, line, begins, titles):
            if found["line"]:
                line = found.end()
            continue
        yield from _divided(page, begin, found.end())
        begin = found.end()
        if found["line"]:
            line = begin
    yield from _divided(page, begin, end)


def _ends(page: str, found: re.Match[str], line: int, begins: Sequence[int], titles: Sequence[tuple[int, int]]) -> bool:
    if found["line"]:
        if found["line"].count("\n") > 1 or _MARKED.match(page, found.end(), found.end() + 40):
            return True
        # A line that was broken only because it was full goes on.
        return found.start() - line < _HARD_WRAP or page[found.start() - 1] in ".!?:…|"
    if found["wide"]:
        return True
    place = bisect_right(begins, found.start()) - 1
    if place >= 0 and titles[place][0] <= found.start() < titles[place][1] and found.end() <= titles[place][1] + 1:
        after = page[found.end()]
        if found.end() < titles[place][1] or not after.isupper():
            return False
    after = page[found.end()]
    if after.isalpha() and after.islower():
        return False
    return _ABBREVIATED.search(page, max(0, found.start() - 8), found.end()) is None


def _divided(page: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and page[start].isspace():
        start += 1
    while end > start and page[end - 1].isspace():
        end -= 1
    while end - start > MAX_SENTENCE:
        cut = page.rfind(" ", start + MAX_SENTENCE // 2, start + MAX_SENTENCE)
        cut = cut if cut > 0 else start + MAX_SENTENCE
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16)).ljust(6, _GAP)
    return {"n": " " + _GAP, "t": " " + _GAP, "r": " " + _GAP}.get(escape[2], escape[2] + _GAP)
