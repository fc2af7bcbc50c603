"""Lists written as JSON: whole, fenced, line by line, with Python quotes, or broken off in the middle.

The standard decoder gives neither positions nor what was complete before an error, so this is a small scanner. It reads
each character once, whatever the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from audit.grounding.entries import MAX_ENTRY_TITLE, Entry, Known, clean

TITLE_KEYS = (
    "title", "name", "movie_title", "item_title", "movie", "film", "book", "product", "song", "game", "show", "item",
    "recommendation",
)  # fmt: skip
ID_KEYS = ("item_id", "id", "itemid", "movie_id", "asin", "isbn")
YEAR_KEYS = ("year", "release_year", "released")
REASON_KEYS = ("reason", "explanation", "why", "rationale", "justification", "description", "because")

_START = re.compile(r"\[(?=\s*[\"'{\[\]\d-])|\{(?=\s*[\"'}])")
_TOKEN = re.compile(
    r"\s*+(?:"
    r'(?P<string>"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+")'
    r"|(?P<single>'[^\n]{0,400}?'(?=\s{0,40}[,\]}:]))"
    r"|(?P<punct>[\[\]{},:])"
    r"|(?P<scalar>-?\d{1,30}(?:\.\d{1,30})?|true|false|null|True|False|None))"
)
_ANSWER_KEY = re.compile(
    r"recommend|rank|suggest|answer|result|output|items|movies|films|books|titles|list|products|picks|songs|games", re.I
)
_OTHER_KEY = re.compile(r"genre|tag|cast|actor|director|histor|watched|liked|input|reason|keyword|author", re.I)
_YEAR = re.compile(r"(?:18|19|20)\d\d")
_FENCE = re.compile(r"```(?:json)?")
_MAX_DEPTH = 32
"""No list of titles is nested deeper; what is nested deeper is not read, which also bounds the work."""


@dataclass
class _Value:
    text: str
    start: int
    end: int
    number: bool = False


@dataclass
class _Frame:
    is_object: bool
    parent_key: str = ""
    key: str = ""
    expects_key: bool = True
    fields: dict[str, _Value] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    children: list[tuple[str, list[Entry]]] = field(default_factory=list)
    scalars: list[_Value] = field(default_factory=list)


@dataclass(frozen=True)
class JsonList:
    """Entries found in JSON, and whether the JSON was broken off."""

    entries: tuple[Entry, ...]
    truncated: bool


def read_json(text: str, known: Known) -> JsonList | None:
    """Find the list in a text that holds JSON.

    Of several pieces of JSON, those parted only by white space or commas (JSON lines) are one list, and the longest
    list is the answer, the first of equals. From JSON that was broken off, every element whose title is complete stays.

    Returns:
        None when the text holds no JSON with titles. An explicit empty list gives no entries.
    """
    pieces: list[list[Entry]] = []
    broken: list[bool] = []
    position, previous_end, empty_list = 0, -1, False
    while start := _START.search(text, position):
        entries, position, complete, empty = _scan(text, start.start(), known)
        if not entries:
            empty_list = empty_list or (empty and not _FENCE.sub("", text[: start.start()]).strip())
            continue
        if previous_end < 0 or text[previous_end : start.start()].strip(" \t\r\n,"):
            pieces.append([])
            broken.append(False)
        pieces[-1].extend(entries)
        broken[-1] = not complete
        previous_end = position
    if not pieces:
        return JsonList((), truncated=False) if empty_list else None
    longest = max(range(len(pieces)), key=lambda i: (len(pieces[i]), -i))
    return JsonList(tuple(pieces[longest]), broken[longest])


def _scan(text: str, start: int, known: Known) -> tuple[list[Entry], int, bool, bool]:
    """Read one piece of JSON: its entries, where it ends, whether it was complete, whether it is an empty list."""
    stack: list[_Frame] = []
    position = start
    while token := _TOKEN.match(text, position):
        position = token.end()
        mark = token["punct"]
        if mark in ("[", "{"):
            if len(stack) == _MAX_DEPTH:
                return [], len(text), False, False
            key = stack[-1].key if stack and stack[-1].is_object else ""
            stack.append(_Frame(mark == "{", key))
        elif mark in ("]", "}"):
            frame = stack.pop()
            entries = _close(frame, known)
            if not stack:
                empty = not frame.scalars and not frame.fields and (bool(frame.children) or not frame.is_object)
                return entries, position, True, empty
            _hand_up(stack[-1], frame, entries)
        elif mark == ":":
            stack[-1].expects_key = False
        elif mark == ",":
            stack[-1].expects_key = True
        else:
            _put(stack[-1], token)
    entries = []
    while stack:
        frame = stack.pop()
        entries = _close(frame, known)
        if stack:
            _hand_up(stack[-1], frame, entries)
    return entries, max(position, start + 1), False, False


def _put(frame: _Frame, token: re.Match[str]) -> None:
    start, end = token.span(token.lastgroup or 0)
    value = _Value(token[token.lastgroup or 0], start, end, number=token.lastgroup == "scalar")
    if not value.number:
        value = _Value(_decode(value.text), start + 1, end - 1)
    if not frame.is_object:
        frame.scalars.append(value)
        if not value.number and (entry := _entry(value)):
            frame.entries.append(entry)
    elif frame.expects_key:
        frame.key = value.text
    else:
        frame.fields[frame.key] = value


def _decode(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1].replace("\\'", "'").replace('\\"', '"')


def _entry(value: _Value, year: int | None = None, reason: str = "") -> Entry | None:
    if len(value.text) > MAX_ENTRY_TITLE or not (title := clean(value.text)):
        return None
    return Entry(title, year, reason, value.start, value.end)


def _hand_up(parent: _Frame, frame: _Frame, entries: list[Entry]) -> None:
    if parent.is_object:
        parent.children.append((frame.parent_key, entries))
    else:
        parent.entries.extend(entries)


def _close(frame: _Frame, known: Known) -> list[Entry]:
    """The entries that an array or object stands for."""
    if not frame.is_object:
        ids = [v for v in frame.scalars if v.number]
        # A bracketed number in prose is a citation; a list of known numbers is a list of ids.
        if len(ids) > 1 and not frame.entries and all(known(v.text) for v in ids):
            return [entry for v in ids if (entry := _entry(v))]
        return frame.entries
    answers = [entries for key, entries in frame.children if entries and _ANSWER_KEY.search(key)]
    if answers:
        return [entry for entries in answers for entry in entries]
    fields = {key.strip().lower().replace(" ", "_"): value for key, value in frame.fields.items()}
    value = _first(fields, TITLE_KEYS) or _first(fields, ID_KEYS)
    if value is not None:
        year = _first(fields, YEAR_KEYS)
        found = _YEAR.search(year.text) if year else None
        reason = _first(fields, REASON_KEYS)
        entry = _entry(value, int(found[0]) if found else None, clean(reason.text) if reason else "")
        return [entry] if entry else []
    rest = [entry for key, entries in frame.children if not _OTHER_KEY.search(key) for entry in entries]
    if rest:
        return rest
    return _mapping(frame)


def _mapping(frame: _Frame) -> list[Entry]:
    """`{"1": "Heat", "2": "Alien"}` and `{"recommendation_1": "Heat"}`: the values are the titles."""
    values = [
        value
        for key, value in frame.fields.items()
        if not value.number and (key.strip().isdigit() or (_ANSWER_KEY.search(key) and not _OTHER_KEY.search(key)))
    ]
    return [entry for value in values if (entry := _entry(value))]


def _first(fields: dict[str, _Value], keys: tuple[str, ...]) -> _Value | None:
    return next((fields[key] for key in keys if key in fields and fields[key].text.strip()), None)
