"""What items have in common, as far as their titles and attributes tell."""

from __future__ import annotations

import re
from functools import lru_cache

from audit.types import Item

_WORD = re.compile(r"[^\W\d_]{3,}")
_EVERYWHERE = frozenset(
    {"and", "das", "der", "des", "die", "for", "from", "las", "les", "los", "that", "the", "this", "with"}
)
"""Words that say nothing about an item."""


def features(item: Item) -> frozenset[str]:
    """The words of an item's title that say something, of three letters or more, and its attributes, value by value."""
    return _features(item.title, tuple(sorted((name, _flat(value)) for name, value in item.attributes.items())))


def _flat(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


@lru_cache(maxsize=1 << 15)
def _features(title: str, attributes: tuple[tuple[str, tuple[str, ...]], ...]) -> frozenset[str]:
    words = {word.casefold() for word in _WORD.findall(title)} - _EVERYWHERE
    return frozenset(words | {f"{name}={part}" for name, parts in attributes for part in parts if part})
