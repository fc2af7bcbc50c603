"""What the passages of a request say of items, as rows: so that an answer can be held against what it was given.

A passage may be wrong. Held against these rows an answer is faithful or not; whether it is true is another question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from audit.claims import Claim
from audit.claims.columns import key, named, role
from audit.claims.extraction.extract import Extractor
from audit.grounding import Grounder
from audit.types import AttributeValue, Catalog, Item, Passage, Request, User

_NOBODY = Request(User(""), task="answer")

_YEAR = re.compile(r"^[^\n]{0,300}?\(((?:18|19|20)\d\d)\)")
_YEAR_BEHIND = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*$")
# Not behind an initial or a short form, which end no sentence.
_STOP = re.compile(r"(?<!\b[A-Z])(?<!\b(?:Mr|Dr|Ms|Jr|Sr|St))(?<!\bMrs)[.;](?=\s|$)|\n")


@dataclass(frozen=True)
class PassageReader:
    """Reads `Title (year). Label: value. Label: value and value.`, which is how a knowledge base writes its rows.

    What a passage says in prose is taken out of it as claims are taken out of answers.

    Attributes:
        grounder: finds the item that a passage is about.
        extractor: reads prose; None: only rows are read.
    """

    grounder: Grounder
    extractor: Extractor | None = None

    def rows(self, passages: Sequence[Passage]) -> Catalog:
        """One item per item that a passage is about, with the attributes that the passages state.

        Of several passages about one item the first to state an attribute is believed.
        """
        found: dict[str, dict[str, AttributeValue]] = {}
        for passage in passages:
            item_id = self.about(passage)
            if item_id is not None:
                row = found.setdefault(item_id, {})
                stated = self._told(passage.text, item_id) | self._stated(passage.text)
                row.update({name: value for name, value in stated.items() if name not in row})
        catalog = self.grounder.catalog
        # Without the year of its title, which is the catalogue's word and not the passage's.
        titles = {item_id: _YEAR_BEHIND.sub("", catalog[item_id].title) for item_id in found}
        return Catalog(Item(item_id, titles[item_id], "", row) for item_id, row in found.items())

    def about(self, passage: Passage) -> str | None:
        """The item that a passage is about: the one its id names, or else the first that it mentions."""
        named = passage.id.partition("~")[0].removeprefix("item:")
        if passage.id.startswith("item:") and named in self.grounder.catalog:
            return named
        mentions = self.grounder.ground_mentions(passage.text[:500])
        return next((m.match.item_id for m in mentions if m.match.item_id is not None), None)

    def _stated(self, text: str) -> dict[str, AttributeValue]:
        stated: dict[str, AttributeValue] = {}
        if year := _YEAR.match(text):
            stated["year"] = int(year[1])
        if self._labels is None:
            return stated
        labels = list(self._labels.finditer(text))
        for label, follows in zip_longest(labels, labels[1:]):
            name = self._names[label[1].casefold()]
            upto = len(text) if follows is None else follows.start()
            stop = _STOP.search(text, label.end(), upto)
            value = text[label.end() : stop.start() if stop else upto].strip()
            if value:
                stated[name] = self._value(name, value)
        return stated

    def _told(self, text: str, item_id: str) -> dict[str, AttributeValue]:
        told: dict[str, list[str]] = {}
        for claim in self.extractor.extract(text, _NOBODY) if self.extractor else ():
            sure = claim.polarity and not claim.hedged and not claim.approximate
            if sure and claim.item_id == item_id and (column := self._column(claim)):
                told.setdefault(column, []).append(claim.object)
        return {
            name: tuple(dict.fromkeys(values)) if self._kinds[name] is tuple else self._value(name, values[0])
            for name, values in told.items()
        }

    def _column(self, claim: Claim) -> str | None:
        """The column of the catalogue that holds what is claimed."""
        wanted = [claim.attribute] if claim.attribute else list(named(claim.predicate))
        if claim.predicate == "creator" and not claim.attribute:
            roles = role(claim.sentence, claim.object)
            wanted = [name for name in wanted if not roles or name in roles]
        present = {key(name): name for name in self._kinds}
        return next((present[key(name)] for name in wanted if key(name) in present), None)

    def _value(self, name: str, text: str) -> AttributeValue:
        kind = self._kinds[name]
        if kind is tuple:
            known = self._words.get(name, frozenset())
            return tuple(part for listed in text.split(", ") for part in _parts(listed, known))
        if kind is not str:
            try:
                return int(text) if kind is int else float(text)
            except ValueError:
                return text
        return text

    @cached_property
    def _kinds(self) -> Mapping[str, type]:
        return {name: type(v) for item in self.grounder.catalog.values() for name, v in item.attributes.items()}

    @cached_property
    def _words(self) -> Mapping[str, frozenset[str]]:
        words: dict[str, set[str]] = {}
        for item in self.grounder.catalog.values():
            for name, value in item.attributes.items():
                if isinstance(value, tuple):
                    words.setdefault(name, set()).update(value)
        return {name: frozenset(values) for name, values in words.items()}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {re.sub(r"[_\s]+", " ", name).strip().casefold(): name for name in self._kinds}

    @cached_property
    def _labels(self) -> re.Pattern[str] | None:
        if not self._names:
            return None
        names = "|".join(re.escape(name) for name in sorted(self._names, key=len, reverse=True))
        return re.compile(rf"(?<!\w)({names}):\s", re.IGNORECASE)


def _parts(listed: str, known: frozenset[str]) -> list[str]:
    """`Action and Sword and Sorcery` in its values: the longest that the catalogue knows, first."""
    words, found = listed.split(" and "), list[str]()
    while words:
        size = next((n for n in range(len(words), 1, -1) if " and ".join(words[:n]) in known), 1)
        if value := " and ".join(words[:size]).strip():
            found.append(value)
        words = words[size:]
    return found
