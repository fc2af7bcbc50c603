"""Insertions that are drawn rather than thought of: what RPGP, the genetic search and the learned policy share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from attacks.places import Place, in_order, insertable, insertion
from attacks.positioning import Kinds, places
from audit.attack import AttackInfo, Edits, Probe, ThreatModel, writable_text
from audit.edits import Edit, TextEdit, Zone, read_text
from audit.target import Input, TargetInfo
from audit.types import Catalog, Item, Request

ZONES = frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER, Zone.PLATFORM})
"""Where words and items are inserted: instruction, note, titles, history."""
NEEDS = frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT, Input.HISTORY})


def declared(name: str, title: str, why: str, *, baseline: str, delta: int, more: str = "") -> AttackInfo:
    """The declaration of a search that CheatAgent's paper compares itself with.

    Args:
        name: id of the attack.
        title: for a report.
        why: see `AttackInfo`.
        baseline: what the paper calls it.
        delta: most edits.
        more: what else it rests on; continues the reference.
    """
    return AttackInfo(
        id=name,
        title=title,
        why=why,
        reference=f"Baseline {baseline} of Ning et al., CheatAgent, KDD 2024 (arXiv 2504.13192), section 4.1.3{more}",
        threat_model=ThreatModel(ZONES, max_edits=delta, max_queries=None, sees="scores"),
        needs=NEEDS,
        severity="medium",
    )


@dataclass(frozen=True)
class Insertion:
    """A word or an item at its place."""

    place: Place
    what: str | Item

    @property
    def key(self) -> tuple[Place, str]:
        """Equal for equal insertions, and hashable, which an item is not."""
        return self.place, self.what if isinstance(self.what, str) else self.what.id


Draft = tuple[Insertion, ...]
"""What one attempt inserts."""


def end_places(request: Request, info: TargetInfo, edits: Kinds = "both") -> list[Place]:
    """The end of every text that can be reached, and the end of the history."""
    found = []
    if edits != "items":
        for field in writable_text(request, info):
            length = len(read_text(request, field))
            found.append(Place("word", field, length, length))
    return found + places(request, info, "items")[-1:] if edits != "words" else found


def written(draft: Iterable[Insertion], request: Request) -> Edits:
    """The edits of a draft."""
    return in_order((one.place, _edit(one, request)) for one in draft)


def _edit(one: Insertion, request: Request) -> Edit:
    place = one.place
    if isinstance(one.what, str) and place.start == place.end:
        return appended(place.field, one.what, request)
    return insertion(place, one.what, request)


def appended(field: str, what: str, request: Request) -> TextEdit:
    """The edit that puts words at the end of a text, behind a space where there is none."""
    text = read_text(request, field)
    gap = " " if text and not text[-1].isspace() else ""
    return TextEdit(field, len(text), len(text), f"{gap}{what}")


@dataclass(frozen=True)
class Stock:
    """What may be inserted into one request.

    Attributes:
        words: distinct words.
        items: items that are not part of the question.
    """

    words: Sequence[str]
    items: Sequence[Item]

    @classmethod
    def of(cls, probe: Probe, catalog: Catalog, words: Sequence[str]) -> Stock:
        """The words, and the items that this user's question does not hold."""
        return cls(words, insertable(catalog, probe.avoid, probe.request))

    def kinds(self, edits: Kinds) -> Kinds | None:
        """What of the wanted kinds there is; None for nothing."""
        words, items = bool(self.words) and edits != "items", bool(self.items) and edits != "words"
        if words and items:
            return "both"
        return "words" if words else "items" if items else None

    def draw(self, place: Place, rng: np.random.Generator, taken: Collection[str] = ()) -> Insertion | None:
        """A random word or item for this place; never an item in `taken`, None where no other is left."""
        if place.kind == "word":
            return Insertion(place, self.words[int(rng.integers(len(self.words)))])
        item = self.items[int(rng.integers(len(self.items)))]
        if item.id in taken:
            free = [item for item in self.items if item.id not in taken]
            if not free:
                return None
            item = free[int(rng.integers(len(free)))]
        return Insertion(place, item)

    def fill(self, chosen: Sequence[Place], rng: np.random.Generator) -> Draft:
        """Something random at each of these places, no item twice."""
        draft: list[Insertion] = []
        for place in chosen:
            one = self.draw(place, rng, item_ids(draft))
            if one is not None:
                draft.append(one)
        return tuple(draft)


def item_ids(draft: Iterable[Insertion]) -> set[str]:
    """Ids of the items that a draft inserts."""
    return {one.what.id for one in draft if isinstance(one.what, Item)}


def draft_key(draft: Draft) -> tuple[tuple[Place, str], ...]:
    """Equal for drafts that insert the same, in whatever order."""
    return tuple(sorted((one.key for one in draft), key=lambda k: (k[0].field, k[0].start, k[1])))


def distinct(drafts: Iterable[Draft]) -> list[Draft]:
    """The drafts that insert something, each once."""
    return list({draft_key(draft): draft for draft in drafts if draft}.values())


def check_counts(**counts: int) -> None:
    """Refuse options below 1.

    Raises:
        ValueError: naming the option and its value.
    """
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name}: {value} must be at least 1")
