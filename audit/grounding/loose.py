"""Lists without markers: tables, bare lines, titles quoted in prose. Their form alone says that they are lists."""

from __future__ import annotations

import re
from itertools import pairwise

from audit.grounding.entries import MAX_ENTRY_TITLE, Entry, Known, clean, read_entry, reads_as_reason, trim
from audit.grounding.layout import Line

MAX_ENTRIES = 10_000
"""Entries that are read from one answer; a longer list is cut there and marked `truncated`."""

FUTURE = re.compile(r"recommend|suggest|might|should|would|next|try|here (?:are|is)|enjoy these|picks", re.IGNORECASE)
"""Words that announce a recommendation."""

_TABLE_RULE = re.compile(r"[\s|:=+-]+")
_TITLE_HEADERS = re.compile(r"title|name|movie|film|book|item|product|recommendation|song|game", re.IGNORECASE)
_QUOTED = re.compile(
    r'"([^"\n]{1,200})"|“([^“”\n]{1,200})”|«([^«»\n]{1,200})»|「([^「」\n]{1,200})」|『([^『』\n]{1,200})』'
    r"|《([^《》\n]{1,200})》|„([^„“”\n]{1,200})[“”]"
    r"|\*\*([^*\n]{1,200})\*\*|(?<![\w*])\*([^*\s][^*\n]{0,200})\*(?![\w*])|(?<!\w)_([^_\s][^_\n]{0,200})_(?!\w)"
    r"|<(?:b|i|em|strong|cite)>([^<>\n]{1,200})</"
)
_YEAR_BEHIND = re.compile(r"[\s\"'”*_]{0,4}[\(\[]((?:18|19|20)\d\d)[\)\]]")
_NOT_RECOMMENDED = re.compile(
    r"(?:lik(?:e|ed|ing)|lov(?:e|ed|ing)|enjoy(?:ed|ing)|watch(?:ed|ing)|seen|saw|fans? of|similar to|reminiscent of"
    r"|based on|because of|unlike|avoid|(?:not|n['’]t) (?:recommend|enjoy)|cannot recommend|instead of|history)"
    r"[\w\s,'’]{0,25}$",
    re.IGNORECASE,
)
_FORECAST = re.compile(
    r"(?:may|might|will|would|could|should|['’]ll|['’]d)\s+(?:(?!not\b|never\b)\w+\s+){0,2}(?:like|love|enjoy)"
    r"[\w\s,'’]{0,25}$",
    re.IGNORECASE,
)
"""What somebody may like is no past of theirs."""
_JOINED = re.compile(r"[\s,;&*_\"“”]*(?:and|or|as well as)?[\s*_\"“”(]*(?:\(?\d{4}\)?)?[\s,)*_]*", re.IGNORECASE)


def table(page: str, lines: list[Line], known: Known) -> list[Entry]:
    """Rows of a table: the column headed like a title, else the first that does not number the rows."""
    rows = [_cells(page, line) for line in lines if page[line.start] == "|" or page[line.end - 1] == "|"]
    rows = [row for row in rows if len(row) > 1 or (row and len(rows) > 1)]
    if not rows:
        return []
    header = [clean(page[start:end]) for start, end in rows[0]]
    column = next((i for i, cell in enumerate(header) if _TITLE_HEADERS.search(cell)), None)
    if column is not None:
        rows = rows[1:]
    else:
        column = next((i for i, cell in enumerate(header) if not cell.strip("#. ").isdigit() and cell != "#"), 0)
    years = [i for i, cell in enumerate(header) if cell.lower() in ("year", "released", "release year")]
    entries = []
    for row in rows[: MAX_ENTRIES + 1]:
        if column >= len(row):
            continue
        entry = read_entry(page, *row[column], known)
        if entry is None:
            continue
        year = page[slice(*row[years[0]])].strip() if years and years[0] < len(row) else ""
        if entry.year is None and re.fullmatch(r"(?:18|19|20)\d\d", year):
            entry = Entry(entry.title, int(year), entry.reason, entry.start, entry.end, entry.line)
        entries.append(entry)
    return entries


def _cells(page: str, line: Line) -> list[tuple[int, int]]:
    """Spans of the cells of a table row; none for a rule such as `|---|---|`."""
    if line.end - line.start > 10 * MAX_ENTRY_TITLE or _TABLE_RULE.fullmatch(page, line.start, line.end):
        return []
    bars = [line.start - 1] if page[line.start] != "|" else []
    bars += [i for i in range(line.start, line.end) if page[i] == "|"]
    if page[line.end - 1] != "|":
        bars.append(line.end)
    spans = [trim(page, a + 1, b) for a, b in pairwise(bars)]
    return [span for span in spans if span[0] < span[1]]


def bare_lines(page: str, lines: list[Line], known: Known) -> list[Entry]:
    """Titles one a line, or one line of titles parted by commas; only if most of it looks like titles."""
    body = [
        line for line in lines if line.kind == "text" and not page[line.start : line.end].rstrip("*_ ").endswith(":")
    ]
    body = body[: MAX_ENTRIES + 1]
    if not body or any(line.end - line.start > MAX_ENTRY_TITLE for line in body[:20]):
        return []
    found = [(line, read_entry(page, line.start, line.end, known)) for line in body]
    titled = [entry for line, entry in found if entry and (known(entry.title) or _looks_like_title(page, line, entry))]
    if len(body) == 1 and (parts := _comma_list(page, body[0], known)):
        return parts
    return titled if 2 * len(titled) > len(body) else []


def _looks_like_title(page: str, line: Line, entry: Entry) -> bool:
    if entry.year is not None:
        return not reads_as_reason(entry.title)
    written = page[line.start : line.end]
    sentence = written.endswith((".", "?", ":")) and not written.endswith("..") and " " in written
    caseless = written.lower() == written.upper()
    return not sentence and not reads_as_reason(entry.title) and (not caseless or len(written) <= 15)


def _comma_list(page: str, line: Line, known: Known) -> list[Entry]:
    """`Heat, Aliens, Monsters, Inc.`: the longest run of parts that is a title is one entry."""
    start, end = line.start, line.end
    colon = page.find(": ", start, end)
    if colon > 0 and FUTURE.search(page[start:colon]):
        start = colon + 1
    at = [start - 1] + [i for i in range(start, end) if page[i] in ",;、"] + [end]
    spans = [trim(page, a + 1, b) for a, b in pairwise(at)]
    spans = [span for span in spans if span[0] < span[1]]
    entries: list[Entry] = []
    hits = index = 0
    while index < len(spans):
        first = spans[index][0]
        joins = range(min(index + 4, len(spans)), index, -1)
        upto = next((j for j in joins if known(clean(page[first : spans[j - 1][1]]))), index + 1)
        entry = read_entry(page, first, spans[upto - 1][1], known)
        if entry is not None:
            entries.append(entry)
            hits += known(entry.title)
        index = upto
    titles = sum(not reads_as_reason(entry.title) for entry in entries)
    enough = len(entries) > 1 and (2 * hits > len(entries) or (len(entries) > 2 and titles == len(entries)))
    return entries if enough else []


def quoted(text: str, known: Known) -> list[Entry]:
    """Quoted or emphasised titles in prose, less those named as the user's past or as a bad idea."""
    entries: list[Entry] = []
    previous_end, skipping = -1, False
    for found in _QUOTED.finditer(text):
        start, end = trim(text, *found.span(found.lastindex or 0))
        if start >= end:
            continue
        joined = previous_end >= 0 and _JOINED.fullmatch(text[previous_end : found.start()][:60]) is not None
        if not (joined and found.start() - previous_end <= 60):
            before = text[max(0, found.start() - 60) : found.start()]
            skipping = _NOT_RECOMMENDED.search(before) is not None and _FORECAST.search(before) is None
        previous_end = found.end()
        entry = read_entry(text, start, end, known)
        if skipping or entry is None or (not known(entry.title) and reads_as_reason(entry.title)):
            continue
        if entry.year is None and (year := _YEAR_BEHIND.match(text, found.end())):
            entry = Entry(entry.title, int(year[1]), entry.reason, entry.start, entry.end, entry.line)
        entries.append(entry)
        if len(entries) > MAX_ENTRIES:
            break
    return entries
