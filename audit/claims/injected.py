"""Answers of known truth, made from rows of a catalogue: half clean, half with one injected error of known kind."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from audit.claims.claim import Facts, Predicate, Verdict
from audit.claims.drafts import Draft, Part, Slot, Statement, World, bare_title, pick, wordings
from audit.claims.injectors import injectors, wish
from audit.seeds import generator
from audit.types import Catalog, Event, Request, User

STYLES = ("list", "prose", "json")
RECOMMENDED = 3
HISTORY = 5
LEAST_ITEMS = 40
"""Usable items that one half of a catalogue must have."""

_TRIES = 60


@dataclass(frozen=True)
class PlantedClaim:
    """A claim whose truth is known.

    Attributes:
        predicate: what is asserted.
        object: of what.
        start: where the object stands in the text.
        end: one past it.
        item_id: of the item it is about; None for one that was made up, and for claims about the user.
        truth: what a perfect checker with this knowledge would rule.
        kind: of the injected error it is, or empty.
        hedged: whether it is softened.
        tolerated: false by less than the checker's convention minds.
    """

    predicate: Predicate
    object: str
    start: int
    end: int
    item_id: str | None
    truth: Verdict
    kind: str = ""
    hedged: bool = False
    tolerated: bool = False


@dataclass(frozen=True)
class PlantedTitle:
    """A recommended title; `item_id` is None for one that was made up, `kind` that of its injection."""

    title: str
    start: int
    end: int
    item_id: str | None
    kind: str = ""


@dataclass(frozen=True)
class PlantedAnswer:
    """An answer of known truth.

    Attributes:
        text: the answer.
        request: what it answers.
        style: `list`, `prose` or `json`.
        kind: of the injected error; empty for a clean answer.
        claims: what it asserts.
        titles: what it recommends.
        conflict: whether it contradicts itself.
    """

    text: str
    request: Request
    style: str
    kind: str
    claims: tuple[PlantedClaim, ...]
    titles: tuple[PlantedTitle, ...]
    conflict: bool = False


@dataclass(frozen=True)
class Benchmark:
    """Answers of known truth, and what they are to be checked against.

    Attributes:
        answers: half of them clean.
        catalog: the knowledge: the catalogue without the facts that were taken out for `hidden-fact`.
        complete: its columns that list all there is.
        part: which half of the items and of the sentences was used.
        skipped: kinds that this catalogue cannot give, with the reason.
    """

    answers: tuple[PlantedAnswer, ...]
    catalog: Catalog
    complete: frozenset[str]
    part: Part
    skipped: Mapping[str, str] = field(default_factory=dict)

    def facts(self, answer: PlantedAnswer) -> Facts:
        """What claims of an answer are checked against."""
        return Facts(self.catalog, answer.request, self.complete)


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
        style = STYLES[(number // 2) % len(STYLES)] if number % 2 == 0 else STYLES[(number // 2 // len(usable)) % 3]
        kind = "" if number % 2 == 0 else usable[(number // 2) % len(usable)]
        for _ in range(_TRIES):
            draft = _clean(world, rng)
            if not kind.startswith("constraint"):
                _with_wish(world, draft, rng)
            if not kind or kinds[kind](world, draft, rng):
                draft.kind = kind
                break
            draft.kind = ""
        if kind and not draft.kind:
            skipped.setdefault(kind, "too few rows of this catalogue offer a place for it")
        answers.append(_Writer(world, rng).write(draft, style, number))
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


def _clean(world: World, rng: np.random.Generator) -> Draft:
    """A draft in which everything is true."""
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
    return draft


def _with_wish(world: World, draft: Draft, rng: np.random.Generator) -> Draft:
    """A sixth of what is not about wishes holds one that is met."""
    if "year" in world.columns and rng.random() < 1 / 6:
        wish(world, draft, rng, least=1, most=25)
    return draft


def _predicate(name: str) -> Predicate:
    found: dict[str, Predicate] = {"year": "year", "genre": "genre", "creator": "creator"}
    return found[name]


class _Writer:
    """Writes one draft down, and remembers where everything stands."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        self.text = ""
        self.claims: list[PlantedClaim] = []
        self.titles: list[PlantedTitle] = []

    def write(self, draft: Draft, style: str, number: int) -> PlantedAnswer:
        """The answer in one of the styles."""
        words = wordings()
        self.text = pick(self.rng, words["openings"][style])
        {"list": self._list, "prose": self._prose, "json": self._json}[style](draft)
        events = tuple(Event(item, 5.0, float(n)) for n, item in enumerate(draft.history))
        note = f"I would like a {self.world.noun} released {draft.wish}." if draft.wish else ""
        request = Request(User(f"planted-{number}", events, note=note), task="answer", k=len(draft.slots))
        return PlantedAnswer(
            self.text, request, style, draft.kind, tuple(self.claims), tuple(self.titles), draft.conflict
        )

    def _list(self, draft: Draft) -> None:
        for statement in draft.past:
            self.text += " "
            self._sentence(statement, None)
        self.text += "\n\n"
        for place, slot in enumerate(draft.slots, start=1):
            mark = "**" if self.rng.random() < 0.3 else ""
            self.text += f"{place}. {mark}"
            self._title(slot)
            self.text += mark
            self._behind_title(slot)
            said = [s for s in slot.statements if not s.bracket]
            self.text += " - " if said or self.rng.random() < 0.5 else ""
            self._sentences(said, slot, opinion=self.text.endswith(" - "))
            self.text = self.text.rstrip() + "\n"

    def _prose(self, draft: Draft) -> None:
        for statement in draft.past:
            self.text += " "
            self._sentence(statement, None)
        for place, slot in enumerate(draft.slots):
            before, after = wordings()["prose"][place % len(wordings()["prose"])].split("{title}")
            self.text += (" " if self.text else "") + before
            self._title(slot)
            quote, dot = after[0], after[1:]
            self.text += quote
            self._behind_title(slot)
            self.text += f"{dot} "
            self._sentences([s for s in slot.statements if not s.bracket], slot, opinion=self.rng.random() < 0.5)
            self.text = self.text.rstrip()

    def _json(self, draft: Draft) -> None:
        self.text += "["
        for place, slot in enumerate(draft.slots):
            self.text += ("" if place == 0 else ",") + '\n  {"title": "'
            self._title(slot, escape=True)
            self.text += '"'
            rest = list(slot.statements)
            for statement in list(rest):
                is_field = statement.predicate in ("year", "genre", "creator") and not statement.hedged
                if is_field and (statement.bracket or self.rng.random() < 0.6):
                    rest.remove(statement)
                    column = self.world.columns["creator"] if statement.predicate == "creator" else ""
                    name = column.removesuffix("s") or statement.predicate
                    quote = "" if statement.predicate == "year" else '"'
                    self.text += f', "{name}": {quote}'
                    self._object(statement, slot, escape=True)
                    self.text += quote
            self.text += ', "reason": "'
            for statement in draft.past if place == 0 else ():
                self._sentence(statement, None, escape=True)
                self.text += " "
            self._sentences(rest, slot, opinion=True, escape=True)
            self.text = self.text.rstrip() + '"}'
        self.text += "\n]"
        self.text += "\n```" if self.text.startswith("```") else ""

    def _title(self, slot: Slot, *, escape: bool = False) -> None:
        start = len(self.text)
        self.text += _escaped(slot.shown) if escape else slot.shown
        item_id = None if slot.item is None else slot.item.id
        self.titles.append(PlantedTitle(slot.shown, start, len(self.text), item_id, slot.kind))

    def _behind_title(self, slot: Slot) -> None:
        for statement in slot.statements:
            if statement.bracket:
                self.text += " ("
                self._object(statement, slot)
                self.text += ")"

    def _sentences(self, said: list[Statement], slot: Slot, *, opinion: bool, escape: bool = False) -> None:
        for statement in said:
            self._sentence(statement, slot, escape=escape)
            self.text += " "
        if opinion:
            self.text += pick(self.rng, wordings()["opinions"])

    def _sentence(self, statement: Statement, slot: Slot | None, *, escape: bool = False) -> None:
        words, part = wordings(), self.world.part
        if statement.predicate in words["outside"]:
            options = words["outside"][statement.predicate][part]
        else:
            options = words["hedged" if statement.hedged else "said"][statement.predicate][part]
        made = words["made"].get(self.world.columns.get("creator", ""), "made")
        sentence = pick(self.rng, options).replace("{noun}", self.world.noun)
        before, after = sentence.replace("{made}", made).replace("{Made}", made.capitalize()).split("{object}")
        if re.search(r"\ba $", before) and statement.object[:1].lower() in "aeiou":
            before = f"{before[:-1]}n "
        self.text += before
        self._object(statement, slot, escape=escape)
        self.text += after

    def _object(self, statement: Statement, slot: Slot | None, *, escape: bool = False) -> None:
        said = statement.object
        if statement.predicate == "genre" and not statement.bracket and self.rng.random() < 0.7:
            said = said.lower()
        written = _escaped(said) if escape else said
        start = len(self.text)
        self.text += written
        item_id = None if slot is None or slot.item is None else slot.item.id
        self.claims.append(
            PlantedClaim(
                statement.predicate,
                said,
                start,
                len(self.text),
                item_id,
                statement.truth,
                statement.kind,
                statement.hedged,
                statement.tolerated,
            )
        )


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
