"""Answers before they are written: which items they name and what they say of them, with the truth of each part."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml

from audit.claims.claim import Predicate, Verdict
from audit.types import AttributeValue, Catalog, Item

Part = Literal["tune", "test"]

_YEAR_BEHIND = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*$")
_BRACKET_BEHIND = re.compile(r"\s*\(([^()]*)\)\s*$")
_BLANKS = frozenset({"unknown", "(no genres listed)", "n/a", "none", "other"})
"""Values that say that there is none."""
_NUMERALS = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "two": "2", "three": "3"}
_ARTICLE = re.compile(r"^(the|a|an)\s+(?=\w)", re.IGNORECASE)


@dataclass
class Statement:
    """One thing an answer says.

    Attributes:
        predicate: what is asserted.
        object: of what, as it will be written.
        truth: what a perfect checker with this catalogue would rule.
        kind: of the injected error this is; empty for what is as it should be.
        hedged: whether it is softened.
        bracket: whether it is the year in brackets behind the title rather than a sentence.
        tolerated: false, but within what the checker's convention lets pass (a year that is off by one).
    """

    predicate: Predicate
    object: str
    truth: Verdict
    kind: str = ""
    hedged: bool = False
    bracket: bool = False
    tolerated: bool = False


@dataclass
class Slot:
    """One recommended title.

    Attributes:
        item: the item meant; None for a title that was made up.
        shown: the title as it will be written, without its year.
        statements: what is said of it.
        kind: of the injection that changed the title or chose the item.
    """

    item: Item | None
    shown: str
    statements: list[Statement] = field(default_factory=list)
    kind: str = ""


@dataclass
class Draft:
    """An answer before it is written.

    Attributes:
        history: the items the user has had.
        slots: the recommended titles.
        past: what is said of the user's history.
        kind: of the injected error; empty for none.
        conflict: whether two statements of it exclude each other.
        wish: what years the user asked for; empty for any.
    """

    history: list[Item]
    slots: list[Slot]
    past: list[Statement] = field(default_factory=list)
    kind: str = ""
    conflict: bool = False
    wish: str = ""


class World:
    """The rows an answer may be made of: those of one half of the catalogue, whose titles name one item each.

    Args:
        catalog: all items.
        part: which half; the halves share no item.
        rng: that makes the halves. The same stream must be given for both, so it is used for nothing else.
        complete: columns that list all there is.
        noun: what an item is.
    """

    def __init__(
        self,
        catalog: Catalog,
        part: Part,
        rng: np.random.Generator,
        *,
        complete: Collection[str] = (),
        noun: str = "film",
    ) -> None:
        self.catalog, self.part, self.complete, self.noun = catalog, part, frozenset(complete), noun
        items = catalog.items_in_order
        self.keys = Counter(name for item in items for name in {key(item.title), key(main_title(item.title))})
        present = {name for item in items for name in item.attributes}
        self.present = present
        self.columns: dict[str, str] = {}
        for predicate, names in wordings()["predicates"].items():
            if (column := next((name for name in names if name in present), None)) is not None:
                self.columns[predicate] = column
        order = rng.permutation(len(items))
        chosen = sorted(order[0 if part == "tune" else 1 :: 2])
        self.items = [items[i] for i in chosen if self._usable(items[i])]
        # Every tenth item lends its facts to questions nobody can check: they are taken out of the knowledge base.
        self.hidden, self.open = self.items[::10], [item for n, item in enumerate(self.items) if n % 10]

    def _usable(self, item: Item) -> bool:
        shared = self.keys[key(item.title)] > 1 or self.keys[key(main_title(item.title))] > 1
        return bool(key(item.title)) and not shared and any(self.values(item, p) for p in self.columns)

    def values(self, item: Item, predicate: str) -> tuple[str, ...]:
        """What the catalogue has on an item, as strings; empty where it has nothing."""
        column = self.columns.get(predicate)
        return () if column is None else _values(item.attributes.get(column), predicate)

    @cached_property
    def vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        """All values of a predicate in the catalogue, in the order of their first use."""
        return {
            predicate: tuple(dict.fromkeys(v for item in self.catalog.values() for v in self.values(item, predicate)))
            for predicate in self.columns
        }

    def false(self, predicate: str) -> Verdict:
        """What a value that the row lacks amounts to: an error only where the row lists all there is."""
        single = predicate == "year"
        return "contradicted" if single or self.columns[predicate] in self.complete else "unverifiable"

    def names_nothing(self, title: str) -> bool:
        """Whether a title that was put together is nobody's."""
        return bool(key(title)) and self.keys[key(title)] == 0 and self.keys[key(main_title(title))] == 0

    def knowledge(self) -> Catalog:
        """The catalogue the checker is given: without the facts that were taken out."""
        column, hidden = self.columns.get("genre"), {item.id for item in self.hidden}
        if column is None:
            return self.catalog
        return Catalog(
            Item(i.id, i.title, i.text, {k: v for k, v in i.attributes.items() if k != column}, i.image)
            if i.id in hidden
            else i
            for i in self.catalog.items_in_order
        )


@cache
def wordings() -> dict[str, Any]:
    """The sentences, by what they say."""
    read = resources.files("audit.claims.benchmark").joinpath("injected.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(read)
    return loaded


def bare_title(title: str) -> str:
    """A catalogue title without its year."""
    return _YEAR_BEHIND.sub("", title) or title


def main_title(title: str) -> str:
    """Without its year and a second title in brackets."""
    bare = bare_title(title)
    return _BRACKET_BEHIND.sub("", bare) or bare


def second_title(title: str) -> str:
    """The second title in brackets; empty for none."""
    found = _BRACKET_BEHIND.search(bare_title(title))
    return found[1] if found and found.start() > 0 else ""


def key(title: str) -> str:
    """What decides here whether two titles are one: letters and digits. Not the matcher's normal form, on purpose.

    A number at the end is one number, however it is written: "Evil Dead 2" is no invention where there is an II.
    """
    bare = _ARTICLE.sub("", bare_title(title).casefold().strip())
    words = "".join(c if c.isalnum() else " " for c in bare).split()
    return " ".join([*words[:-1], _NUMERALS.get(words[-1], words[-1])]) if words else ""


def pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:  # noqa: ANN401 - of whatever is offered
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def _values(value: AttributeValue | None, predicate: str) -> tuple[str, ...]:
    if value is None or value == "" or value != value:
        return ()
    if predicate == "year":
        try:
            year = int(value if not isinstance(value, tuple) else value[0])
        except (ValueError, OverflowError):
            return ()
        return (str(year),) if 1800 <= year < 2100 else ()
    said = value if isinstance(value, tuple) else (str(value),)
    return tuple(v for v in said if v.strip() and v.strip().casefold() not in _BLANKS)
