"""GA: a genetic search over small sets of insertions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from attacks.places import Place, title_words
from attacks.positioning import Kinds, check_kinds, places
from attacks.rivals.insertions import (
    Draft,
    Insertion,
    Stock,
    check_counts,
    declared,
    distinct,
    draft_key,
    end_places,
    item_ids,
    written,
)
from audit.attack import AttackInfo, Probe, Search, Steps
from audit.errors import ConfigError

_GENERATIONS = 5
"""A small budget gets a smaller population rather than fewer generations than these."""
_TRIES = 20
"""Children bred for each that is needed, before the search ends for want of new ones."""


@dataclass(frozen=True)
class Genetic(Search):
    """Breed sets of insertions: the fitter parent is likelier, a child takes some of each, and a few genes mutate.

    A gene is a word or an item at a place. The population is kept by fitness (the best of parents and children), the
    parents are chosen by tournament, crossover draws the child's genes from the union of its parents' genes, and a
    mutation draws another word, item or place. What was asked once is not bred again.

    Attributes:
        edits: insert words, items, or both.
        delta: genes per individual (Δ of the paper, 3 there).
        places: `end`, as in the published baseline: words at the end of a text, items at the end of the history; or
            `any` word or event.
        population: most individuals; fewer where the budget affords less than five generations of so many.
        tournament: how many compete to be a parent.
        mutation: probability that a gene mutates.
    """

    edits: Kinds = "both"
    delta: int = 3
    places: Literal["end", "any"] = "end"
    population: int = 20
    tournament: int = 3
    mutation: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits, "paper")
        check_counts(delta=self.delta, population=self.population, tournament=self.tournament)
        if self.places not in ("end", "any"):
            raise ConfigError(f"places: {self.places!r} must be one of end, any")
        if not 0 <= self.mutation <= 1:
            raise ValueError(f"mutation: {self.mutation} must be between 0 and 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return declared(
            "genetic",
            "Genetic search of words and items (GA)",
            "It needs no model and no skill; only somebody who may ask often.",
            baseline="GA",
            more="; here with tournaments and crossover of sets",
            delta=self.delta,
        )

    @cached_property
    def _words(self) -> list[str]:
        return title_words(self.catalog.items_in_order)

    def search(self, probe: Probe) -> Steps:
        """Generation by generation, until the budget is spent or nothing new can be bred."""
        rng, request = probe.rng, probe.request
        stock = Stock.of(probe, self.catalog, self._words)
        kinds = stock.kinds(self.edits)
        if kinds is None:
            return ()
        where = (end_places if self.places == "end" else places)(request, probe.info, kinds)
        if not where:
            return ()
        size = min(self.population, max(2, probe.left // _GENERATIONS))
        brood = distinct(self._individual(where, stock, rng) for _ in range(min(size, max(probe.left, 1))))
        if probe.left < 1:
            return written(brood[0], request)
        seen = {draft_key(one) for one in brood}
        living: list[tuple[float, Draft]] = []
        while brood and probe.left:
            losses = yield [written(one, request) for one in brood]
            living = sorted([*living, *zip(losses, brood, strict=True)], key=lambda pair: -pair[0])[:size]
            brood = []
            for _ in range(_TRIES * size):
                child = self._child(living, where, stock, rng)
                if draft_key(child) not in seen:
                    seen.add(draft_key(child))
                    brood.append(child)
                if len(brood) == min(size, probe.left):
                    break
        return None

    def _individual(self, where: Sequence[Place], stock: Stock, rng: np.random.Generator) -> Draft:
        return stock.fill([_place(where, rng) for _ in range(self.delta)], rng)

    def _child(
        self, living: Sequence[tuple[float, Draft]], where: Sequence[Place], stock: Stock, rng: np.random.Generator
    ) -> Draft:
        """A child of two tournament winners."""
        genes: list[Insertion] = []
        pool = [gene for _ in range(2) for gene in self._parent(living, rng)]
        for index in rng.permutation(len(pool)):
            gene = pool[index]
            if len(genes) < self.delta and gene.key not in {g.key for g in genes}:
                if not item_ids([gene]) & item_ids(genes):
                    genes.append(gene)
        for index in range(len(genes)):
            if rng.random() < self.mutation:
                others = [*genes[:index], *genes[index + 1 :]]
                genes[index] = self._mutant(genes[index], others, where, stock, rng)
        return tuple(genes)

    def _parent(self, living: Sequence[tuple[float, Draft]], rng: np.random.Generator) -> Draft:
        """The fittest of a few; `living` is sorted, the fittest first."""
        return living[int(rng.integers(len(living), size=self.tournament).min())][1]

    def _mutant(
        self,
        gene: Insertion,
        others: Sequence[Insertion],
        where: Sequence[Place],
        stock: Stock,
        rng: np.random.Generator,
    ) -> Insertion:
        """The same at another place of its kind, or something else: at its place, or at any."""
        kin = [place for place in where if place.kind == gene.place.kind and place != gene.place]
        if kin and rng.random() < 0.5:
            return Insertion(kin[int(rng.integers(len(kin)))], gene.what)
        place = gene.place if rng.random() < 0.5 else _place(where, rng)
        return stock.draw(place, rng, item_ids([gene, *others])) or gene


def _place(where: Sequence[Place], rng: np.random.Generator) -> Place:
    """A random place, words and items equally likely where there are places for both."""
    kinds = sorted({place.kind for place in where})
    kind = kinds[int(rng.integers(len(kinds)))]
    some = [place for place in where if place.kind == kind]
    return some[int(rng.integers(len(some)))]
