"""The list in a free-text answer.

One parser for every way in which models write lists: JSON, numbers, bullets, tables, bare lines, quoted titles in
prose. It never raises, reads a text once, and reports positions in the raw text. An answer without a list is its own
outcome (`prose-none`), not an empty list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from audit.grounding.entries import Entry, Known, clean, read_entry
from audit.grounding.json_list import read_json
from audit.grounding.layout import Line, lines_of, visible_text, without_html
from audit.grounding.loose import FUTURE, MAX_ENTRIES, bare_lines, quoted, table

__all__ = ["Entry", "ParsedList", "Style", "is_refusal", "parse_list"]

Style = Literal["json", "numbered", "bulleted", "table", "lines", "quoted", "prose-none"]

_REFUSAL_CHARS = 1500

_ATTRIBUTE = re.compile(
    r"[\s*_+•-]{0,12}(?:genres?|years?|released?|release (?:date|year)|director|directed by|cast|starring|stars|author"
    r"|reasons?|because|explanation|rating|plot|synopsis|summary|description|price|runtime|duration|language"
    r"|confidence|score|note|platform|brand|category|why[^:\n]{0,40})[\s*_]{0,4}:[\s*_]{0,6}",
    re.IGNORECASE,
)
_PAST = re.compile(r"histor|watched|liked|you(?:'ve| have)|previous|already|based on|your (?:taste|profile)", re.I)

_REFUSAL = re.compile(
    r"\bI(?:'m| am) (?:sorry|afraid)\b.{0,80}?\b(?:can(?:'t|not)|unable|not able|won't|don't|do not)\b"
    r"|\bI (?:can(?:'t|not)|won't|will not|am not able to|am unable to|must decline|have to decline|decline to)\b"
    r".{0,60}?\b(?:recommend|suggest|help|assist|provide|fulfil|fulfill|comply|answer|give|offer|do that|share)"
    r"|\bI'm (?:unable|not able|not comfortable)\b"
    r"|\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b"
    r".{0,120}?\b(?:can(?:'t|not)|unable|don't|do not|not able)\b"
    r"|\bI (?:don't|do not) (?:have (?:access|enough information|the ability)|feel comfortable)\b"
    r"|\b(?:against|violates?) (?:my|our|the) (?:\w+ )?(?:guidelines|policy|policies|programming)\b"
    r"|\b(?:je suis désolé|lo siento|es tut mir leid)\b.{0,80}?\b(?:ne peux pas|no puedo|kann (?:ich )?\w* ?nicht)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class ParsedList:
    """The list in an answer.

    Attributes:
        entries: in the order written.
        style: how the list was written; `prose-none` when there is none.
        truncated: whether it was broken off (JSON without its end) or cut at `MAX_ENTRIES`.
    """

    entries: tuple[Entry, ...]
    style: Style
    truncated: bool = False


def parse_list(text: str, known: Known | None = None) -> ParsedList:
    """Read the list in a text.

    Tried in order: JSON, numbered lines, bullets, a table, bare lines, quoted or emphasised titles in prose. Left out:
    what stands in `<think>` blocks, everything behind an end-of-turn token, sub-bullets (they give the reason), and a
    list under a heading about the user's past when there is another list.

    Args:
        text: the raw answer, of any length and content.
        known: whether a string is a title of the catalogue. It decides where a title ends that holds a separator, and
            whether bare lines are titles. Without it only the form decides.

    Returns:
        The entries, with positions in `text`. Time grows linearly with the length of the text.
    """
    knows: Known = known if known is not None else _nothing
    visible = visible_text(text)
    if (found := read_json(visible, knows)) is not None:
        return _parsed(list(found.entries), "json", truncated=found.truncated)
    page = without_html(visible)
    lines = list(lines_of(page))
    if (listed := _marked_lines(page, lines, knows)) is not None:
        return listed
    # "Director: …" below a title is no title.
    bare = [x for x in lines if not _ATTRIBUTE.match(page, x.start, x.end) or knows(clean(page[x.start : x.end]))]
    for style, entries in (("table", table(page, lines, knows)), ("lines", bare_lines(page, bare, knows))):
        if entries:
            return _parsed(entries, "table" if style == "table" else "lines")
    entries = quoted(visible, knows)
    return _parsed(entries, "quoted" if entries else "prose-none")


def is_refusal(text: str) -> bool:
    """Whether a text declines to answer, by common phrases near its start.

    Only meaningful for a text without a list: many answers apologise first and recommend then.
    """
    head = text.lstrip()[:_REFUSAL_CHARS].replace("’", "'")
    return _REFUSAL.search(head) is not None


def _nothing(_: str) -> bool:
    return False


def _parsed(entries: list[Entry], style: Style, *, truncated: bool = False) -> ParsedList:
    return ParsedList(tuple(entries[:MAX_ENTRIES]), style, truncated or len(entries) > MAX_ENTRIES)


def _marked_lines(page: str, lines: list[Line], known: Known) -> ParsedList | None:
    numbered = [line for line in lines if line.kind == "number"]
    bullets = [line for line in lines if line.kind == "bullet"]
    # "1. Comedies:" above bullets is a heading of a section.
    sections = numbered and bullets and all(page[n.start : n.end].rstrip("* _").endswith(":") for n in numbered)
    for kind, chosen in (("number", [] if sections else numbered), ("bullet", bullets)):
        if not chosen:
            continue
        top = min(line.indent for line in chosen)
        slots = [line for line in chosen if line.indent < top + (3 if kind == "number" else 2)]
        slots = [s for s in slots if not _ATTRIBUTE.match(page, s.marker.end() if s.marker else s.start, s.end)]
        slots = _about_the_future(page, slots)[: MAX_ENTRIES + 1]
        entries = _slots(page, lines, slots, known)
        if entries:
            return _parsed(entries, "numbered" if kind == "number" else "bulleted")
    return None


def _about_the_future(page: str, slots: list[Line]) -> list[Line]:
    """Without the slots under a heading such as "You liked:", if others are left."""
    past: dict[int, bool] = {-1: False}
    for slot in slots:
        if slot.heading not in past:
            heading = page[slot.heading : slot.heading + 200].partition("\n")[0]
            # "Why: you liked Toy Story." is the reason of the entry above, no heading.
            reason = heading.rstrip("*_ \t\r").endswith((".", "!")) and not heading.startswith("#")
            past[slot.heading] = not reason and bool(_PAST.search(heading)) and not FUTURE.search(heading)
    return [slot for slot in slots if not past[slot.heading]] or slots


def _slots(page: str, lines: list[Line], slots: list[Line], known: Known) -> list[Entry]:
    following = {line.start: nxt for line, nxt in pairwise(lines)}
    starts = {slot.start for slot in slots}
    entries = []
    for slot in slots:
        if slot.marker is None:
            continue
        opened = slot.marker["bold"] if not slot.marker["closed"] else None
        entry = read_entry(page, slot.marker.end(), slot.end, known, closing=opened or "")
        if entry is None:
            continue
        below = following.get(slot.start)
        if not entry.reason and below is not None and below.start not in starts and below.start - slot.end < 40:
            entry = _with_reason(entry, page, below)
        entries.append(entry)
    return entries


def _with_reason(entry: Entry, page: str, below: Line) -> Entry:
    start = below.marker.end() if below.marker else below.start
    if attribute := _ATTRIBUTE.match(page, start, below.end):
        if not re.match(r"[\s*_]*(?:reason|why|because|expl)", page[start : start + 20], re.IGNORECASE):
            return entry
        start = attribute.end()
    reason = clean(page[start : min(below.end, start + 2000)])
    return Entry(entry.title, entry.year, reason, entry.start, entry.end, entry.line)
