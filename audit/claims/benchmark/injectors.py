"""One known error put into an answer, or a change that is no error and must pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from audit.claims.benchmark.drafts import (
    Draft,
    Slot,
    Statement,
    World,
    bare_title,
    main_title,
    pick,
    second_title,
    wordings,
)
from audit.claims.claim import Predicate

Injector = Callable[[World, Draft, np.random.Generator], bool]
"""Changes a draft; False where this draft offers no place for it, and then it is as it was."""

MIN_TYPO = 8
"""Letters of the shortest title that is misspelled: in shorter ones one letter makes another title (Heat, Heart)."""


def _slot_with(world: World, draft: Draft, rng: np.random.Generator, predicate: str) -> Slot | None:
    able = [s for s in draft.slots if s.item is not None and world.values(s.item, predicate)]
    return pick(rng, able) if able else None


def _say(slot: Slot, statement: Statement) -> None:
    """Put a statement in the place of those of its predicate, so that no error stands beside its denial."""
    kept = [s for s in slot.statements if s.predicate != statement.predicate]
    slot.statements = [statement, *kept]


def _year(
    world: World, draft: Draft, rng: np.random.Generator, *, kind: str, least: int, most: int, hedged: bool = False,
    strict: bool = False,
) -> bool:  # fmt: skip
    slot = _slot_with(world, draft, rng, "year")
    if slot is None or slot.item is None:
        return False
    wrong = _other_year(int(world.values(slot.item, "year")[0]), rng, least, most)
    tolerated = most == 1 and not strict
    bracket = not hedged and bool(rng.random() < 0.3)
    _say(slot, Statement("year", str(wrong), "contradicted", kind, hedged, bracket, tolerated))
    return True


def _other_year(year: int, rng: np.random.Generator, least: int, most: int) -> int:
    gap = int(rng.integers(least, most + 1)) * int(pick(rng, (-1, 1)))
    return year + gap if 1880 <= year + gap <= 2030 else year - gap


def _outside_value(world: World, draft: Draft, rng: np.random.Generator, *, kind: str) -> bool:
    slot = _slot_with(world, draft, rng, kind)
    if slot is None or slot.item is None:
        return False
    own = {v.casefold() for v in world.values(slot.item, kind)}
    surnames = {v.split()[-1] for v in own} if kind == "creator" else set()
    others = [v for v in world.vocabulary[kind] if v.casefold() not in own and v.casefold().split()[-1] not in surnames]
    if not others:
        return False
    predicate: Predicate = "genre" if kind == "genre" else "creator"
    _say(slot, Statement(predicate, pick(rng, others), world.false(kind), kind))
    return True


def _wrong_item(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    """A year that is another recommended item's."""
    dated = [s for s in draft.slots if s.item is not None and world.values(s.item, "year")]
    years = [int(world.values(s.item, "year")[0]) for s in dated if s.item is not None]
    pairs = [(a, b) for a in range(len(dated)) for b in range(len(dated)) if abs(years[a] - years[b]) >= 2]
    if not pairs:
        return False
    here, there = pick(rng, pairs)
    _say(dated[here], Statement("year", str(years[there]), "contradicted", "wrong-item"))
    _say(dated[there], Statement("year", str(years[there]), "supported"))
    return True


def _invent(draft: Draft, rng: np.random.Generator, title: str, kind: str) -> bool:
    """A title that does not exist in the place of one that does; what is said of it nobody can check."""
    slot = pick(rng, draft.slots)
    slot.item, slot.shown, slot.kind = None, title, kind
    for statement in slot.statements:
        statement.truth = "unverifiable"
    return True


def _merged(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    for _ in range(20):
        first, second = (main_title(pick(rng, world.open).title).split() for _ in range(2))
        title = " ".join([*first[: (len(first) + 1) // 2], *second[len(second) // 2 :]])
        if len(first) > 1 and len(second) > 1 and world.names_nothing(title):
            return _invent(draft, rng, title, "merged-title")
    return False


def _sequel(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    for _ in range(20):
        words = main_title(pick(rng, world.open).title).split()
        number = int(words[-1]) if words[-1].isdecimal() and len(words[-1]) < 3 and len(words) > 1 else None
        title = " ".join([*words, "2"]) if number is None else " ".join([*words[:-1], str(number + 1)])
        if world.names_nothing(title):
            return _invent(draft, rng, title, "sequel")
    return False


def _subtitle(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    for _ in range(20):
        title = f"{main_title(pick(rng, world.open).title)}: {pick(rng, wordings()['subtitles'])}"
        if world.names_nothing(title):
            return _invent(draft, rng, title, "subtitle")
    return False


def _typo(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    slot = pick(rng, draft.slots)
    places = [i for i, c in enumerate(slot.shown) if c.isalpha() and i > 0 and slot.shown[i - 1].isalpha()]
    if sum(c.isalpha() for c in slot.shown) < MIN_TYPO or not places:
        return False
    at, letters = int(pick(rng, places)), slot.shown
    before, here, after = letters[: at - 1], letters[at - 1 : at + 1], letters[at + 1 :]
    changed = pick(rng, [here[::-1].lower(), here[0], here[0] + here[1] * 2, here[0] + pick(rng, "aeiourstln")])
    title = before + (changed.capitalize() if here[0].isupper() else changed) + after
    if title == slot.shown or not world.names_nothing(title):
        return False
    slot.shown, slot.kind = title, "typo"
    return True


def _alias(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    """Another name of the item: without or from its brackets, its article behind a comma, `&` for and."""
    names: list[tuple[Slot, str]] = []
    for slot in draft.slots:
        if slot.item is None:
            continue
        title, second = main_title(slot.item.title), second_title(slot.item.title)
        first, _, rest = title.partition(" ")
        names += [(slot, name) for name in ((title, second) if second else ())]
        names += [(slot, f"{rest}, {first}")] if first in ("The", "A", "An") and rest else []
        names += [(slot, title.replace(" and ", " & "))] if " and " in title else []
    if not names:
        return False
    slot, shown = pick(rng, names)
    slot.shown, slot.kind = shown, "alias"
    return True


def _consumed(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    slot = pick(rng, draft.slots)
    item = pick(rng, draft.history)
    slot.item, slot.shown, slot.kind, slot.statements = item, bare_title(item.title), "consumed", []
    return True


def _invented_history(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    had = {item.id for item in draft.history} | {slot.item.id for slot in draft.slots if slot.item is not None}
    item = pick(rng, [item for item in world.open if item.id not in had])
    draft.past = [Statement("in_history", bare_title(item.title), "contradicted", "invented-history")]
    return True


def _self_contradiction(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    slot = _slot_with(world, draft, rng, "year")
    if slot is None or slot.item is None:
        return False
    year = world.values(slot.item, "year")[0]
    wrong = _other_year(int(year), rng, 3, 15)
    _say(slot, Statement("year", year, "supported"))
    slot.statements.append(Statement("year", str(wrong), "contradicted", "self-contradiction"))
    draft.conflict = True
    return True


def wish(world: World, draft: Draft, rng: np.random.Generator, *, kind: str = "", least: int, most: int) -> bool:
    """A wish for years, and the remark that an item meets it: broken by so many years, or kept if there is no kind."""
    slot = _slot_with(world, draft, rng, "year")
    if slot is None or slot.item is None or draft.wish:
        return False
    year, gap = int(world.values(slot.item, "year")[0]), int(rng.integers(least, most + 1))
    late = bool(rng.random() < 0.5)
    bound = year + gap if late == bool(kind) else year - gap
    draft.wish = f"{'after' if late else 'before'} {bound}"
    _say(slot, Statement("constraint_ok", draft.wish, "contradicted" if kind else "supported", kind))
    return True


def _hidden_fact(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    """A true genre of an item whose genres were taken out of the knowledge base."""
    known = [item for item in world.hidden if world.values(item, "genre")]
    if not known:
        return False
    item, slot = pick(rng, known), pick(rng, draft.slots)
    genre = pick(rng, world.values(item, "genre"))
    slot.item, slot.shown, slot.kind = item, bare_title(item.title), "hidden-fact"
    slot.statements = [Statement("genre", genre, "unverifiable", "hidden-fact")]
    return True


def _outside_fact(world: World, draft: Draft, rng: np.random.Generator) -> bool:
    """Something of a kind that the catalogue has no column for."""
    free = [name for name, entry in wordings()["outside"].items() if not world.present & set(entry["columns"])]
    if not free:
        return False
    predicate, slot = pick(rng, free), pick(rng, draft.slots)
    said = pick(rng, wordings()["outside"][predicate]["objects"])
    slot.statements.append(Statement(predicate, said, "unverifiable", "outside-fact"))
    return True


def injectors(*, strict_years: bool = False) -> Mapping[str, Injector]:
    """All kinds, by name, in the order in which they are reported."""
    return {
        "year-1": partial(_year, kind="year-1", least=1, most=1, strict=strict_years),
        "year-2-5": partial(_year, kind="year-2-5", least=2, most=5),
        "year-20": partial(_year, kind="year-20", least=20, most=20),
        "genre": partial(_outside_value, kind="genre"),
        "creator": partial(_outside_value, kind="creator"),
        "wrong-item": _wrong_item,
        "hedged": partial(_year, kind="hedged", least=3, most=15, hedged=True),
        "self-contradiction": _self_contradiction,
        "invented-history": _invented_history,
        "merged-title": _merged,
        "sequel": _sequel,
        "subtitle": _subtitle,
        "typo": _typo,
        "alias": _alias,
        "consumed": _consumed,
        "constraint-near": partial(wish, kind="constraint-near", least=1, most=3),
        "constraint-far": partial(wish, kind="constraint-far", least=10, most=25),
        "hidden-fact": _hidden_fact,
        "outside-fact": _outside_fact,
    }
