"""A draft in words, in one of three styles, and where everything stands in them."""

from __future__ import annotations

import json
import re

import numpy as np

from audit.claims.benchmark.drafts import Draft, Slot, Statement, World, pick, wordings
from audit.claims.benchmark.planted import PlantedAnswer, PlantedClaim, PlantedTitle
from audit.types import Event, Request, User

STYLES = ("list", "prose", "json")


class Writer:
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
