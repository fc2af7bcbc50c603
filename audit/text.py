"""Words and numbers as a reader sees them. Whatever a target or a data file wrote passes through here first."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from audit.redaction import redact

# Characters that change how *other* characters are shown: they could hide or reverse what a target really wrote.
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_KEPT = {"\n", "\t", "\u200c", "\u200d"}
_MARKDOWN = re.compile(r"([\\`*_\[\]#|~$])")
_LINKED = re.compile(r":(?=//)|@(?=[A-Za-z])|(?<=www)\.")


def visible(text: object) -> str:
    r"""The text with every control and direction character written out, so that nothing in it can act; no secret.

    A terminal escape becomes `\x1b[31m`, a right-to-left override `\u202e`. Line breaks, tabs and the joiners that
    some scripts need stay.
    """
    told = redact(str(text))
    # Most texts hold nothing to be written out, and a report shows tens of thousands of them.
    return told if told.isascii() and told.isprintable() else "".join(map(_shown, told))


def _shown(character: str) -> str:
    code = ord(character)
    if character in _KEPT or (0x20 <= code < 0x7F):
        return character
    if code in _DIRECTION or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


_VOWEL_SOUND = re.compile(r"^(?:[aeio]|u(?!ni(?!n|m)|s[aeu]|r[aeiou]|k|t[aeiou])|hon[eo]|hour|heir)", re.IGNORECASE)
_CONSONANT_SOUND = re.compile(r"^(?:eu|ew|one\b|once\b|ouija)", re.IGNORECASE)


def article(word: str) -> str:
    """`a` or `an`, by the sound that a word begins with."""
    return "an" if _VOWEL_SOUND.match(word) and not _CONSONANT_SOUND.match(word) else "a"


def one_line(text: object) -> str:
    """As `visible`, with all white space folded into single spaces."""
    return " ".join(visible(text).split())


def markdown(text: object) -> str:
    """Text that Markdown shows as it is: no table cell, link, mention, HTML tag or code span can come out of it."""
    # `&`, `<` and `>` become entities, because an escaped `<` is still a tag to renderers that pass HTML through; the
    # other entities break what is made into a link or a mention without any brackets.
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text).replace("&", "&amp;"))
    escaped = escaped.replace("<", "&lt;").replace(">", "&gt;")
    return _LINKED.sub(lambda found: f"&#{ord(found[0])};", escaped)


def json_safe(text: str) -> str:
    """JSON without control and direction characters: each becomes the escape that means the same."""
    return "".join(c if c == "\n" or _shown(c) == c else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def clip(text: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where something was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)].rstrip() + "…"


def clip_middle(text: str, length: int) -> str:
    """At most about `length` characters: the beginning and the end, which is where the neighbouring changes are."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half].rstrip()} … {text[-half:].lstrip()}"


def number(value: float | None, *, signed: bool = False) -> str:
    """Three decimals, a true minus sign, and no `-0.000`; an em dash where there is no number."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return visible(value)
    size = abs(value)
    if size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 10:
        text = f"{size:.1f}"
    else:
        text = f"{size:.3f}"
    if 0 < size < 0.0005:
        return "<0.001" if value > 0 else ">−0.001"
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{text}"


def interval(bounds: Sequence[float] | None) -> str:
    """`[low, high]`, or nothing."""
    return "" if bounds is None else f"[{number(bounds[0])}, {number(bounds[1])}]"


def percent(value: float) -> str:
    """A share as people say it: `6.3%`, `32%`, and never `0%` or `100%` for what is only close to it."""
    share = 100 * value
    if 0 < abs(share) < 0.1:
        return "under 0.1%"
    if 99.9 < abs(share) < 100:
        return "over 99.9%"
    digits = 0 if abs(share) >= 10 or share == int(share) else 1
    text = f"{abs(share):.{digits}f}"
    return f"{'−' if share < 0 else ''}{text}%"


def p_value(p: float | None) -> str:
    """Two significant digits; very small ones as a bound."""
    if p is None:
        return "—"
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}" if p < 0.995 else "1.0"


def threshold(value: float | None, *, at_most: bool) -> str:
    """A limit with its side: `≤ 0.05`, `> 0`."""
    return "—" if value is None else f"{'≤' if at_most else '>'} {value:g}".replace("-", "−")


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 check`, `2 checks`, `1,200 queries`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def rounded_up(n: float) -> int:
    """A sample size to two significant digits, never smaller than asked: 1,542 becomes 1,600."""
    if n <= 10:
        return math.ceil(n)
    step = 10 ** (math.floor(math.log10(n)) - 1)
    return int(math.ceil(n / step) * step)


def duration(seconds: float) -> str:
    """`0.1 s`, `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"
