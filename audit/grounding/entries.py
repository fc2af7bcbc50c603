"""One slot of a list: where the title ends and the reason begins.

Titles contain colons, dashes, commas and "by". So a slot is first tried whole, then cut at the last place that leaves
a known title, and only then at the first place that reads like a separator.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from audit.grounding.titles import numbers

Known = Callable[[str], bool]

MAX_ENTRY_TITLE = 300
"""Characters of the longest title that a list slot may hold; what is longer is prose."""

_SCAN = 2000
_MAX_CUTS = 8
_MAX_DEPTH = 4
_YEAR = r"(?:18|19|20)\d\d"
_YEAR_BEHIND = re.compile(rf"\s{{0,9}}[\(\[]({_YEAR})[^()\[\]\n]{{0,60}}[\)\]]")
_YEAR_AT_END = re.compile(rf"[\(\[]({_YEAR})[^()\[\]\n]{{0,60}}[\)\]][\s*_\"'”.,;:]{{0,9}}$")
_CUT = re.compile(
    rf"(?P<year>[\(\[](?P<when>{_YEAR})[^()\[\]\n]{{0,60}}[\)\]])"
    r"|(?P<dash>(?<=\s)(?:[-–—−|~]{1,3}|=>|->|→)(?=\s)|—)"
    r"|(?P<colon>:(?=\s)|：)"
    r"|(?P<comma>,(?=\s)|;(?=\s))"
    r"|(?P<by>(?<=\s)(?:directed by|written by|by|starring)(?=\s))"
    r"|(?P<bracket>(?<=\s)[\(\[])"
)
_CITATION = re.compile(r"(?:\[\d{1,3}\]\s*)+(?=\S)")
_LABEL = re.compile(
    r"(?:recommendations?|movies?|films?|books?|songs?|games?|products?|items?|titles?|names?|options?|picks?|choices?)"
    r"\s{0,3}#?\d{0,3}\s{0,3}(?::|\s[-–—](?=\s))\s*",
    re.IGNORECASE,
)
_PAIRS = {
    '"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "「": "」", "『": "』", "《": "》", "‘": "’", "'": "'", "`": "`",
}  # fmt: skip
_EMPHASIS = ("***", "**", "__", "*", "_")
_SMALL_WORDS = frozenset(
    "a an the of and in to for on at with from by or nor but as is it its vs de la le les el il der die das und et y "
    "del di da du en van von".split()
)


@dataclass(frozen=True)
class Entry:
    """One entry of a written list.

    Attributes:
        title: the title as written, without its year, marks and reason.
        year: the year in brackets behind it.
        reason: what the target says about it, if anything.
        start: where the title begins in the raw text.
        end: one past where it ends; `text[start:end]` holds the title.
        line: the whole slot before it was cut, for titles whose separator was mistaken.
    """

    title: str
    year: int | None = None
    reason: str = ""
    start: int = 0
    end: int = 0
    line: str = ""


def clean(text: str) -> str:
    """A piece of raw text as a reader sees it: entities decoded, white space squeezed, list marks off the ends."""
    text = " ".join(html.unescape(text).split()) if "&" in text else " ".join(text.split())
    return text.strip("*_`|~ ").rstrip(",;:").strip("*_` ")


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def read_entry(text: str, start: int, end: int, known: Known, *, closing: str = "", depth: int = 0) -> Entry | None:
    """Read the title, year and reason in `text[start:end]`.

    Args:
        text: the text; positions of the Entry refer to it.
        start: first character of the slot, behind its list marker.
        end: one past its last character.
        known: whether a string is a title of the catalogue.
        closing: the emphasis that was opened before the list marker (`**1. Title**`), or empty.
        depth: how many marks were taken off already; at `_MAX_DEPTH` the rest is read as it stands.

    Returns:
        The Entry, or None when the slot holds no title.
    """
    start, end = trim(text, start, end)
    if cited := _CITATION.match(text, start, end):  # [1] Heat: the passage it comes from, no part of the title
        start, end = trim(text, cited.end(), end)
    line = clean(text[start : min(end, start + MAX_ENTRY_TITLE)])
    if not closing and (label := _LABEL.match(text, start, min(end, start + 60))) and not known(line):
        start = label.end()
    # `**Movie:** Heat` and `**"Heat"**` need the marks taken off more than once.
    wrapped = None
    if depth < _MAX_DEPTH:
        wrapped = _closed_by(text, start, end, closing) if closing else _unwrap(text, start, end)
    if wrapped is None:
        return _plain(text, start, end, known, line)
    inner_start, inner_end, after = wrapped
    if _LABEL.fullmatch(text[inner_start:inner_end].rstrip(":") + ": ") and trim(text, after, end)[0] < end:
        return read_entry(text, after + (text[after : after + 1] == ":"), end, known, depth=depth + 1)
    inner = read_entry(text, inner_start, inner_end, known, depth=depth + 1)
    if inner is None:
        return None
    if not known(inner.title) and (plain := _plain(text, start, end, known, line)) and known(plain.title):
        return plain  # "Crocodile" Dundee: the quotation marks belong to the title
    year = inner.year
    if found := _YEAR_BEHIND.match(text, after, end):
        year = year if year is not None else int(found[1])
        after = found.end()
    reason = " ".join(part for part in (inner.reason, _reason(text, after, end)) if part)
    return Entry(inner.title, year, reason, inner.start, inner.end, line if line != inner.title else "")


def reads_as_reason(text: str) -> bool:
    """Whether text behind a separator is a remark rather than a subtitle: subtitles are short and in title case."""
    text = text[:300].strip()
    words = text.split()
    if len(words) > 12 or (len(words) > 3 and text.endswith((".", "!", "…"))):
        return True
    bare = [word.strip("\"'“”‘’()[].,;:!?*_") for word in words]
    if text.lower() == text.upper():
        return len(text) > 15
    return any(word[:1].islower() and word not in _SMALL_WORDS for word in bare)


def _unwrap(text: str, start: int, end: int) -> tuple[int, int, int] | None:
    """The inside of the quotes, emphasis or link that the slot begins with, and where it goes on."""
    limit = min(end, start + MAX_ENTRY_TITLE)
    for mark in _EMPHASIS:
        if text.startswith(mark, start):
            return _closed_by(text, start + len(mark), end, mark)
    first = text[start : start + 1]
    if first == "[":
        close = text.find("](", start, limit)
        url_end = text.find(")", close, close + 2000) if close > 0 else -1
        return (start + 1, close, url_end + 1) if close > start + 1 and 0 < url_end < end else None
    for at in range(start + 1, limit if first in _PAIRS else start):
        apostrophe = first in "'‘" and text[at + 1 : at + 2].isalnum()
        if text[at] in _PAIRS[first] and not apostrophe:
            return (start + 1, at, at + 1) if at > start + 1 else None
    return None


def _closed_by(text: str, start: int, end: int, mark: str) -> tuple[int, int, int] | None:
    close = text.find(mark, start, min(end, start + MAX_ENTRY_TITLE))
    return (start, close, close + len(mark)) if close > start else None


def _plain(text: str, start: int, end: int, known: Known, line: str) -> Entry | None:
    """A slot without marks around its title."""
    body = text[start : min(end, start + _SCAN)]
    if end - start <= MAX_ENTRY_TITLE and known(line):
        found = _YEAR_AT_END.search(body, max(0, len(body) - 80))
        title_end, year = (found.start(), int(found[1])) if found else (len(body), None)
        return _entry(text, start, start + title_end, year, end, end, line)
    cuts = [cut for cut in islice(_CUT.finditer(body), _MAX_CUTS) if cut.start() > 0]
    chosen = next((c for c in reversed(cuts) if _may_cut(c, body) and known(clean(body[: c.start()]))), None)
    if chosen is None:
        chosen = _default_cut(cuts, body)
    if chosen is None:
        return _entry(text, start, end, None, end, end, line) if end - start <= MAX_ENTRY_TITLE else None
    cut_at, rest = chosen.start(), chosen.end() if chosen["bracket"] is None else chosen.start()
    year = int(chosen["when"]) if chosen["year"] else None
    if year is None and (found := _YEAR_AT_END.search(body, max(0, cut_at - 80), cut_at)):
        cut_at, year = found.start(), int(found[1])
    return _entry(text, start, start + cut_at, year, start + rest, end, line)


def _may_cut(cut: re.Match[str], body: str) -> bool:
    """Whether a known title may end here: an invented subtitle or sequel must not shrink to the title it builds on."""
    rest = body[cut.end() :]
    if cut["colon"]:
        return reads_as_reason(_upto_separator(rest))
    if cut["comma"]:
        return reads_as_reason(rest)
    if cut["bracket"]:
        return not numbers(rest.partition(")")[0].casefold())
    return True


def _default_cut(cuts: list[re.Match[str]], body: str) -> re.Match[str] | None:
    """Where a title that nobody knows most likely ends."""
    for index, cut in enumerate(cuts):
        rest = body[cut.end() :]
        if cut["dash"]:
            later = next((c for c in cuts[index + 1 :] if c["year"]), None)
            between = body[cut.end() : later.start()] if later else ""
            return later if later and not reads_as_reason(between) else cut
        if cut["year"]:
            return cut
        if cut["colon"]:
            rest = _upto_separator(rest)
        if (cut["colon"] or cut["comma"] or cut["bracket"]) and reads_as_reason(rest):
            return cut
    return None


def _upto_separator(rest: str) -> str:
    """What stands behind a colon, before a dash or a year: "Alien: A New Dawn - slow" has a subtitle and a reason."""
    return next((rest[: c.start()] for c in islice(_CUT.finditer(rest), _MAX_CUTS) if c["dash"] or c["year"]), rest)


def _entry(text: str, start: int, end: int, year: int | None, rest: int, stop: int, line: str) -> Entry | None:
    start, end = trim(text, start, end)
    if end - start > MAX_ENTRY_TITLE:
        return None
    title = clean(text[start:end])
    if not title or (not any(c.isalnum() for c in title) and len(title) > 10):
        return None
    return Entry(title, year, _reason(text, rest, stop), start, end, line if line != title else "")


def _reason(text: str, start: int, end: int) -> str:
    return clean(text[start : min(end, start + _SCAN)]).lstrip("-–—−:|,;.~ ")
