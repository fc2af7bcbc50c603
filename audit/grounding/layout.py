"""What of an answer a reader sees, and its lines with their list markers. Every character keeps its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from audit.grounding.entries import trim

_END_OF_ANSWER = re.compile(r"<\|(?:im_end|im_start|endoftext|eot_id|end|end_of_text)\|>|</s>|<end_of_turn>")
_ROLE_HEADER = re.compile(r"\s*(?:<\|im_start\|>|<\|start_header_id\|>)\s*assistant(?:<\|end_header_id\|>)?\s*")
_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL)
_HTML_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]{0,15})(?:\s[^<>\n]{0,300})?/?>")
_BLOCK_TAGS = frozenset({"br", "p", "tr", "ul", "ol", "div", "h1", "h2", "h3", "h4", "table", "tbody", "thead"})

_MARKER = re.compile(
    r"(?P<indent>[ \t>]*+)(?:\#{1,6}[ \t]+)?(?P<bold>\*\*|__)?(?:"
    r"(?P<number>\#\d{1,3}[.):]?(?=\s)|\(?\d{1,3}(?:[.)]{1,2}|[、．）])(?!\d)|\d️?⃣"
    r"|(?:recommendation|rank|movie|film|book|item|option|choice|pick|no\.?|number)[ ]?\#?\d{1,3}[ ]?[:.)-])"
    r"|(?P<bullet>[-*+•‣▪◦–—·●○➤►→✓✔★☆◆■](?=[ \t]))"
    r")(?P<closed>\*\*|__)?[ \t]*+",
    re.IGNORECASE,
)


def visible_text(text: str) -> str:
    """The text at its full length, with what the reader is not shown made blank."""
    if "<" in text:
        if header := _ROLE_HEADER.match(text):
            text = " " * header.end() + text[header.end() :]
        for end in _END_OF_ANSWER.finditer(text):
            if text[: end.start()].strip():
                text = text[: end.start()]
                break
        text = _THOUGHT.sub(lambda m: " " * len(m[0]), text)
    return text.replace("\r\n", " \n").replace("\r", "\n").replace("\u2028", "\n")


def without_html(text: str) -> str:
    """HTML as the lines and bullets it shows, every character in its old place."""
    if "<" not in text:
        return text

    def shown(tag: re.Match[str]) -> str:
        name, width = tag[1].lower(), len(tag[0])
        if name == "li" and not tag[0].startswith("</"):
            return "\n- ".ljust(width)
        if name in ("td", "th"):
            return "|".ljust(width)
        if name in ("b", "strong") and width >= 3:
            return "**".rjust(width) if tag[0].startswith("</") else "**".ljust(width)
        return ("\n" if name in _BLOCK_TAGS or name == "li" else " ").ljust(width)

    return _HTML_TAG.sub(shown, text)


@dataclass(frozen=True)
class Line:
    """A line that is not blank.

    Attributes:
        start: its first character that is not white space.
        end: one past its last.
        marker: the list marker it begins with, if any; groups `indent`, `bold`, `number`, `bullet`, `closed`.
        heading: where the last line before it begins that belongs to no list, or -1.
    """

    start: int
    end: int
    marker: re.Match[str] | None
    heading: int

    @property
    def kind(self) -> str:
        """`text`, `bullet` or `number`."""
        if self.marker is None:
            return "text"
        return "bullet" if self.marker["bullet"] else "number"

    @property
    def indent(self) -> int:
        """Columns before the list marker."""
        return len(self.marker["indent"].expandtabs(4)) if self.marker else 0


def lines_of(page: str) -> Iterator[Line]:
    """The lines that are not blank and no code fence, with their list markers."""
    position, heading = 0, -1
    while position < len(page):
        end = page.find("\n", position)
        end = len(page) if end < 0 else end
        start, stop = trim(page, position, end)
        if start < stop and not page.startswith("```", start):
            marker = _MARKER.match(page, position, end)
            yield Line(start, stop, marker, heading)
            if marker is None and start == position:
                heading = start
        position = end + 1
