"""Carriers: Unicode that holds a text which a person does not see, or reads differently than a model does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_ZERO, _ONE = "\u200b", "\u200c"  # zero width space, zero width non-joiner
_TAGS = 0xE0000
_OVERRIDE, _POP = "\u202e", "\u202c"


def zero_width(text: str) -> str:
    """The bytes of the text, as bits of two characters without width."""
    bits = "".join(f"{byte:08b}" for byte in text.encode("utf-8", "replace"))
    return bits.translate({ord("0"): _ZERO, ord("1"): _ONE})


def tags(text: str) -> str:
    """The ASCII of the text as tag characters (U+E0020 to U+E007E), which most fonts do not draw; the rest is lost."""
    return "".join(chr(_TAGS + ord(letter)) for letter in text if 0x20 <= ord(letter) < 0x7F)


def bidi(text: str) -> str:
    """The text backwards under a right-to-left override: a person reads it forwards, a model backwards."""
    return f"{_OVERRIDE}{text[::-1]}{_POP}"


CARRIERS: Mapping[str, Callable[[str], str]] = {"zero-width": zero_width, "tags": tags, "bidi": bidi}
