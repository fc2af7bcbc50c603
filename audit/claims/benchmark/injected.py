"""Answers of known truth, made from rows of a catalogue: half clean, half with one injected error of known kind."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from audit.claims.benchmark.drafts import Draft, Part, Slot, Statement, World, bare_title, pick, wordings
from audit.claims.benchmark.injectors import Injector, injectors, wish
from audit.claims.benchmark.planted import Benchmark
from audit.claims.benchmark.writer import STYLES, Writer
from audit.claims.claim import Predicate
from audit.seeds import generator
from audit.types import Catalog

RECOMMENDED = 3
HISTORY = 5
LEAST_ITEMS = 40
"""Usable items that one half of a catalogue must have."""

_TRIES = 60


def generate(
    catalog: Catalog,
    *,
    seed: int,
    size: int = 600,
    part: Part = "test",
    complete: Collection[str] = (),
    noun: str = "film",
    strict_years: bool = False,
) -> Benchmark:
    """Make answers of known truth.

    Items and sentences are split: those of `tune` are for thresholds and patterns, those of `test` for reporting.

    Args:
        catalog: rows to make them of.
        seed: of everything; equal arguments give equal answers.
        size: how many answers.
        part: which half.
        complete: columns of the catalogue that list all there is.
        noun: what an item is, as the sentences call it.
        strict_years: whether a year that is off by one is an error.

    Raises:
        ValueError: the size is odd or not positive, or the catalogue has too few items that can be used.
    """
    if size < 2 or size % 2:
        raise ValueError(f"size: {size} must be an even number of at least 2, for half of the answers are clean")
    world = World(catalog, part, generator(seed, "injected", "halves"), complete=complete, noun=noun)
    if len(world.open) < LEAST_ITEMS:
        raise ValueError(
            f"catalog: {len(world.open)} items of this half have a title of their own and a fact (a year, genres, a "
            f"creator), and answers of known truth need {LEAST_ITEMS}"
        )
    rng = generator(seed, "injected", part)
    kinds = injectors(strict_years=strict_years)
    skipped = {kind: reason for kind in kinds if (reason := _lacking(world, kind))}
    usable = [kind for kind in kinds if kind not in skipped]
    answers = []
    for number in range(size):
        # Each kind, and no error, in each style.
        style = (
            STYLES[(number // 2) % len(STYLES)] if number % 2 == 0 else STYLES[(number // 2 // max(1, len(usable))) % 3]
        )
        draft = _clean(world, rng) if number % 2 == 0 else None
        while draft is None and usable:
            kind = usable[(number // 2) % len(usable)]
            draft = _with_error(world, rng, kind, kinds[kind])
            if draft is None:
                usable.remove(kind)
                skipped[kind] = "too few rows of this catalogue offer a place for it"
        answers.append(Writer(world, rng).write(draft or _clean(world, rng), style, number))
    return Benchmark(tuple(answers), world.knowledge(), frozenset(complete), part, skipped)


def _lacking(world: World, kind: str) -> str:
    """Why a catalogue cannot give a kind of error; empty if it can."""
    needs = dict.fromkeys(("genre", "hidden-fact"), "genre") | {"creator": "creator"}
    needs |= dict.fromkeys(("year-1", "year-2-5", "year-20", "hedged", "wrong-item", "self-contradiction"), "year")
    needs |= dict.fromkeys(("constraint-near", "constraint-far"), "year")
    predicate = needs.get(kind)
    if predicate is not None and predicate not in world.columns:
        known = ", ".join(wordings()["predicates"][predicate][:3])
        return f"the catalogue has no column for it ({known}, …)"
    return ""


def _clean(world: World, rng: np.random.Generator, *, wishes: bool = True) -> Draft:
    """A draft in which everything is true; a sixth of them holds a wish that is met."""
    chosen = [world.open[i] for i in rng.choice(len(world.open), RECOMMENDED + HISTORY, replace=False)]
    draft = Draft(chosen[RECOMMENDED:], [Slot(item, bare_title(item.title)) for item in chosen[:RECOMMENDED]])
    for slot, item in zip(draft.slots, chosen, strict=False):
        able = [predicate for predicate in world.columns if world.values(item, predicate)]
        count = min(len(able), int(rng.integers(1, 3)))
        for predicate in rng.permutation(able)[:count]:
            said = pick(rng, world.values(item, str(predicate)))
            hedged = predicate == "year" and bool(rng.random() < 0.1)
            bracket = predicate == "year" and not hedged and bool(rng.random() < 0.5)
            slot.statements.append(
                Statement(_predicate(str(predicate)), said, "supported", hedged=hedged, bracket=bracket)
            )
    if rng.random() < 0.5:
        draft.past = [Statement("in_history", bare_title(pick(rng, draft.history).title), "supported")]
    if wishes and "year" in world.columns and rng.random() < 1 / 6:
        wish(world, draft, rng, least=1, most=25)
    return draft


def _with_error(world: World, rng: np.random.Generator, kind: str, inject: Injector) -> Draft | None:
    """A draft with one error; None where no draft of this catalogue offers a place for it."""
    for _ in range(_TRIES):
        draft = _clean(world, rng, wishes=not kind.startswith("constraint"))
        if inject(world, draft, rng):
            draft.kind = kind
            return draft
    return None


def _predicate(name: str) -> Predicate:
    found: dict[str, Predicate] = {"year": "year", "genre": "genre", "creator": "creator"}
    return found[name]
