"""How well the knowledge base finds what it holds: recall@5 and MRR of queries whose answers are known.

A claim whose document was not retrieved cannot be checked, however good the checker is. So the retriever is measured
apart, on queries made of the base's own facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audit.errors import DataError
from audit.grounding.titles import normalise, split_words
from audit.knowledge.base import KnowledgeBase
from audit.knowledge.document import value_in_words
from audit.knowledge.fusion import DEPTH, Hit
from audit.stats import Interval, mean_interval
from audit.text import count, number
from audit.types import Catalog, Item

Kind = Literal["title", "slip", "facts", "question"]
"""`title`: as in the catalogue; `slip`: in a question, with one letter wrong and no year; `facts`: up to three facts
without the title; `question`: the same facts in other words around them."""

Way = Literal["lexical", "dense", "hybrid"]

KINDS: tuple[Kind, ...] = ("title", "slip", "facts", "question")
WAYS: Mapping[Way, tuple[bool, bool]] = {"lexical": (True, False), "dense": (False, True), "hybrid": (True, True)}
MAX_FACTS = 3
RECALL_AT = 5


@dataclass(frozen=True)
class RetrievalScore:
    """One line of the table.

    Attributes:
        kind: of the queries.
        way: of searching.
        n: queries, each about an item of its own.
        recall: share of the relevant items among the first five passages; of five where there are more.
        mrr: mean reciprocal rank of the first relevant passage; 0 where none is among the first 20.
    """

    kind: Kind
    way: Way
    n: int
    recall: Interval
    mrr: Interval


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.

    Attributes:
        scores: by kind of query, then by way of searching.
        notes: kinds that could not be asked, and why.
    """

    scores: tuple[RetrievalScore, ...]
    notes: tuple[str, ...] = ()

    def of(self, kind: Kind, way: Way) -> RetrievalScore | None:
        """One line; None where it was not measured."""
        return next((score for score in self.scores if (score.kind, score.way) == (kind, way)), None)

    def __str__(self) -> str:
        """The table, as it is printed."""
        lines = [f"{'queries':<10}{'search':<10}{'n':>5}  {'recall@5':<22}MRR@20"]
        for score in self.scores:
            recall, mrr = (
                f"{number(i.estimate)} [{number(i.low)}, {number(i.high)}]" for i in (score.recall, score.mrr)
            )
            lines.append(f"{score.kind:<10}{score.way:<10}{score.n:>5}  {recall:<22}{mrr}")
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "scores": [
                {
                    "kind": score.kind,
                    "way": score.way,
                    "n": score.n,
                    "recall@5": [score.recall.estimate, score.recall.low, score.recall.high],
                    "mrr@20": [score.mrr.estimate, score.mrr.low, score.mrr.high],
                }
                for score in self.scores
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Query:
    text: str
    relevant: frozenset[str]


def evaluate(kb: KnowledgeBase, rng: np.random.Generator, n: int = 200, *, level: float = 0.95) -> Evaluation:
    """Measure the retriever on queries made of the base's own facts.

    Relevant to a title are all items of this title; relevant to facts are all items for which all of them hold.

    Args:
        kb: built from a catalogue.
        rng: draws the items, the facts and the slips.
        n: queries of each kind, each about another item; a smaller catalogue gives fewer.
        level: confidence of the intervals (bootstrap over queries).

    Raises:
        DataError: the catalogue is empty.
        ValueError: n is under 1.
    """
    if n < 1:
        raise ValueError(f"n: value must be at least 1, not {n}")
    if not len(kb.catalog):
        raise DataError("knowledge: its catalogue is empty, so there are no facts to ask for; give it a catalogue")
    items = kb.catalog.items_in_order
    drawn = [items[int(at)] for at in rng.permutation(len(items))[:n]]
    queries = _queries(kb.catalog, drawn, rng)
    scores: list[RetrievalScore] = []
    notes = []
    for kind in KINDS:
        asked = queries[kind]
        if len(asked) < len(drawn):
            why = "has no word of five letters" if kind == "slip" else "has no fact besides its title"
            notes.append(f"{kind}: not asked for {count(len(drawn) - len(asked), 'item')} whose row {why}")
        if asked:
            scores += [_score(kb, kind, way, asked, rng, level) for way in WAYS if kb.has_dense or way == "lexical"]
    return Evaluation(tuple(scores), tuple(notes))


def _score(
    kb: KnowledgeBase, kind: Kind, way: Way, asked: Sequence[_Query], rng: np.random.Generator, level: float
) -> RetrievalScore:
    lexical, dense = WAYS[way]
    found = kb.retrieve_many([query.text for query in asked], DEPTH, lexical=lexical, dense=dense)
    pairs = list(zip(found, asked, strict=True))
    recall = [recall_at(hits, query.relevant) for hits, query in pairs]
    ranks = [reciprocal_rank(hits, query.relevant) for hits, query in pairs]
    intervals = [mean_interval(values, rng=rng, level=level, bounds=(0.0, 1.0)) for values in (recall, ranks)]
    return RetrievalScore(kind, way, len(asked), *intervals)


def recall_at(hits: Sequence[Hit], relevant: frozenset[str], k: int = RECALL_AT) -> float:
    """Share of the relevant items in the first k hits; of k where there are more relevant ones."""
    found = {hit.document.item_id for hit in hits[:k]} & relevant
    return len(found) / min(k, len(relevant))


def reciprocal_rank(hits: Sequence[Hit], relevant: frozenset[str]) -> float:
    """1 / rank of the first hit about a relevant item; 0 where there is none."""
    return next((1 / hit.rank for hit in hits if hit.document.item_id in relevant), 0.0)


def _queries(catalog: Catalog, drawn: Sequence[Item], rng: np.random.Generator) -> dict[Kind, list[_Query]]:
    by_title: dict[str, set[str]] = {}
    by_fact: dict[tuple[str, str], set[str]] = {}
    for item in catalog.items_in_order:
        by_title.setdefault(normalise(item.title).text, set()).add(item.id)
        for fact in _facts(item):
            by_fact.setdefault(fact, set()).add(item.id)
    queries: dict[Kind, list[_Query]] = {kind: [] for kind in KINDS}
    for item in drawn:
        name = normalise(item.title).text
        same = frozenset(by_title[name])
        queries["title"].append(_Query(item.title, same))
        if (slip := _slip(name, rng)) is not None:
            queries["slip"].append(_Query(f"do you know anything about {slip}?", same))
        facts = _facts(item)
        if not facts:
            continue
        chosen = [facts[int(at)] for at in sorted(rng.permutation(len(facts))[:MAX_FACTS])]
        values = [value for _, value in chosen]
        meant = frozenset(set.intersection(*(by_fact[fact] for fact in chosen)))
        queries["facts"].append(_Query(" ".join(values), meant))
        wish = ", ".join(values)
        queries["question"].append(_Query(f"I am looking for something like this: {wish}. Which would fit?", meant))
    return queries


def _facts(item: Item) -> list[tuple[str, str]]:
    """Single values by attribute, without those that give the title away."""
    title = set(split_words(normalise(item.title).text))
    facts = []
    for name, value in item.attributes.items():
        for part in value if isinstance(value, tuple) else (value,):
            words = value_in_words(part)
            if words and not title.issuperset(split_words(words.casefold())):
                facts.append((name, words))
    return list(dict.fromkeys(facts))


def _slip(name: str, rng: np.random.Generator) -> str | None:
    """The name with two neighbouring letters of one word exchanged; None where no word is long enough."""
    places = [
        at
        for found in re.finditer(r"[^\W\d_]{5,}", name)
        for at in range(found.start() + 1, found.end() - 2)
        if name[at] != name[at + 1]
    ]
    if not places:
        return None
    at = places[int(rng.integers(len(places)))]
    return f"{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}"
