"""Which columns of a row hold what a claim asserts, and what stands there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import yaml

from audit.claims.claim import Claim, Facts
from audit.grounding.titles import fold, split_words
from audit.types import AttributeValue, Item

_PARTS = re.compile(r"\s*[|;]\s*")
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = frozenset("a an the of for in on and or its several two three four five many".split())
NEAR = 6
"""Words before a name among which the deed is looked for (“directed by the great Italian master …”)."""


@dataclass(frozen=True)
class Cell:
    """What one column of a row holds.

    Attributes:
        column: its name, as in the catalogue.
        values: each as text; a list in one text (`a|b`) is divided.
        complete: whether these are all there are.
    """

    column: str
    values: tuple[str, ...]
    complete: bool


def cells(claim: Claim, item: Item, facts: Facts, more: Mapping[str, Sequence[str]]) -> list[Cell]:
    """The columns that may decide a claim, those that hold something, the likeliest first.

    Args:
        claim: the column it names itself, else those of its predicate.
        item: the row.
        facts: which columns are complete.
        more: further columns by predicate; they come first.
    """
    present = {key(name): name for name in item.attributes}
    complete = {key(name) for name in facts.complete}
    if claim.attribute:
        wanted: Sequence[str] = (claim.attribute,)
    else:
        wanted = (*more.get(claim.predicate, ()), *named(claim.predicate))
    if claim.predicate == "creator" and not claim.attribute:
        roles = role(claim.sentence, claim.object)
        wanted = [name for name in wanted if not roles or key(name) in roles or name in more.get("creator", ())]
    found = []
    for name in dict.fromkeys(key(name) for name in wanted):
        if name in present and (values := parts(item.attributes[present[name]])):
            found.append(Cell(present[name], values, name in complete))
    return found


def parts(value: AttributeValue) -> tuple[str, ...]:
    """The values of a cell as texts without blanks."""
    if isinstance(value, tuple):
        return tuple(text for part in value if (text := str(part).strip()))
    if isinstance(value, float):
        return () if value != value else (str(int(value)) if value.is_integer() else str(value),)
    return tuple(part for part in _PARTS.split(str(value).strip()) if part)


@lru_cache(maxsize=1 << 12)
def key(name: str) -> str:
    """The name of a column without what its spellings differ in."""
    return re.sub(r"[\s_\-]+", "_", fold(name).strip())


def named(predicate: str) -> tuple[str, ...]:
    """The columns that may hold a predicate; none for those that no column holds."""
    return _table().columns.get(predicate, ())


def role(sentence: str, said: str) -> frozenset[str]:
    """The columns that a creator's deed leads to: the nearest word for it just before the name, else just behind it.

    Empty where there is none: then any creator may be meant.
    """
    place = sentence.casefold().find(said.casefold())
    before = _WORD.findall(sentence[: max(place, 0)].casefold())[: -NEAR - 1 : -1]
    behind = _WORD.findall(sentence[place + len(said) :].casefold())[:1] if place >= 0 else []
    for word in (*before, *behind):
        for start, columns in _table().roles.items():
            if word.startswith(start):
                return frozenset(columns)
    return frozenset()


@lru_cache(maxsize=1 << 13)
def words_of(value: str) -> frozenset[str]:
    """The words of a value without the small ones; `en` is English, an Oscar is an Academy Award."""
    words = " ".join(split_words(fold(value[:300])))
    for name, same in _table().values.items():
        if re.search(rf"\b{name}\b", words):
            words = words if len(name) < 4 and words != name else re.sub(rf"\b{name}\b", same, words)
    return frozenset(words.split()) - _SMALL


@dataclass(frozen=True)
class _Table:
    columns: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, tuple[str, ...]]
    values: Mapping[str, str]


@cache
def _table() -> _Table:
    read = resources.files("audit.claims").joinpath("columns.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(read)
    columns, roles = ({name: tuple(those) for name, those in loaded[part].items()} for part in ("columns", "roles"))
    return _Table(columns, roles, {str(name): str(same) for name, same in loaded["values"].items()})
