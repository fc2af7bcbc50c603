"""Profile pollution: a few items in one user's history that the user never chose.

Source: Yue et al., "Defending substitution-based profile pollution attacks on sequential recommenders", RecSys 2022
(arXiv 2207.11237): an adversary who can act in a user's name, by a hijacked session or a page that sends clicks, puts m
items into the history. RETURN (arXiv 2504.02458) defends by finding items that do not belong with the others: the
unrelated items are what it looks for. Gradient-guided substitution, the attack of that paper, is `attacks.hotflip`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal, get_args

import numpy as np

from attacks.places import Place, draw_items, in_order, insertable, insertion, item_places
from attacks.positioning import SHARE
from attacks.profile.likeness import features
from audit.attack import AttackInfo, Edits, Perturbation, Probe, Scouting, Search, Steps, ThreatModel
from audit.edits import Edit, HistoryDrop, HistoryReplace, Zone
from audit.errors import ConfigError
from audit.target import Input, TargetInfo
from audit.types import Event, Item, Request

How = Literal["insert", "substitute"]
"""Whether polluting items come beside the user's own or in their place."""

REFERENCE = "Profile pollution: Yue et al., RecSys 2022 (arXiv 2207.11237); defended by RETURN, 2025 (arXiv 2504.02458)"


def check_options(items: int, how: str) -> None:
    """Refuse options that do not exist.

    Raises:
        ValueError: naming the option, its value and what it can be.
    """
    if items < 1:
        raise ValueError(f"items: {items} must be at least 1")
    if how not in get_args(How):
        raise ValueError(f"how: {how!r} must be one of {', '.join(get_args(How))}")


def pollute(place: Place, item: Item, request: Request, how: How) -> Edit:
    """The edit that puts an item behind an event, or in its place with the event's rating and time."""
    if how == "insert":
        return insertion(place, item, request)
    old = request.user.history[place.start]
    return HistoryReplace(place.start, Event(item, old.rating, old.time))


def spots(request: Request, info: TargetInfo, how: How, count: int, rng: np.random.Generator) -> list[Place]:
    """Random places for `count` items: distinct events to replace, or events to follow, even several one event."""
    places = item_places(request, info)
    if not places or (how == "substitute" and not request.user.history):
        return []
    if how == "substitute":
        return [places[i] for i in rng.permutation(len(places))[:count]]
    return [places[i] for i in rng.integers(len(places), size=count)]


@dataclass(frozen=True)
class Pollution(Perturbation):
    """Items chosen without a question to the target, at random places of the history.

    Never an item of the history, of the candidates, or the true next item.

    Attributes:
        items: how many (m: 1, 3 or 5).
        how: see `How`.
    """

    items: int = 3
    how: How = "insert"

    id: ClassVar[str]
    title: ClassVar[str]
    why: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self.items, self.how)

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id=self.id,
            title=self.title,
            why=self.why,
            reference=REFERENCE,
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=self.items),
            needs=frozenset({Input.HISTORY}),
            severity="medium",
            missing=self.lacking,
        )

    @property
    def lacking(self) -> str:
        """What the attack itself still needs; empty when it is ready."""
        return ""

    @abstractmethod
    def choose(self, request: Request, avoid: frozenset[str], count: int, rng: np.random.Generator) -> list[Item]:
        """Up to `count` different items to put in."""

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        """Pollute with up to `items` items; fewer where the catalogue or the history has no more to offer."""
        places = spots(request, target, self.how, self.items, rng)
        chosen = self.choose(request, avoid, len(places), rng)
        pairs = zip(places, chosen, strict=False)
        return in_order((place, pollute(place, item, request, self.how)) for place, item in pairs)


@dataclass(frozen=True)
class RandomPollution(Pollution):
    """Random items of the catalogue, in place of the user's own: `random-items` puts them beside these."""

    how: How = "substitute"

    id = "profile-random"
    title = "Random items in place of history items"
    why = "Shared accounts and hijacked sessions put items into a history that its owner never chose."

    def choose(self, request: Request, avoid: frozenset[str], count: int, rng: np.random.Generator) -> list[Item]:
        """Items at random."""
        return draw_items(self.catalog, avoid, request, count, rng)


@dataclass(frozen=True)
class PopularPollution(Pollution):
    """The most popular items, which pull a history towards what everybody has.

    Attributes:
        popularity: how many people have each item, by id. Without it the attack is not ready and says so: catalogue
            order is no popularity.
    """

    popularity: Mapping[str, int] | None = field(default=None, repr=False)

    id = "profile-popular"
    title = "Popular items in the history"
    why = "Fake clicks on best-sellers look harmless and blur what is special about a user."

    @property
    def lacking(self) -> str:
        """A popularity."""
        return "" if self.popularity is not None else "give it `popularity`, how many people have each item"

    @cached_property
    def _ranked(self) -> tuple[Item, ...]:
        if self.popularity is None:
            raise ConfigError(f"{self.id}: {self.lacking}")
        counts = self.popularity
        return tuple(sorted(self.catalog.items_in_order, key=lambda item: -counts.get(item.id, 0)))

    def choose(self, request: Request, avoid: frozenset[str], count: int, rng: np.random.Generator) -> list[Item]:
        """The most popular that may be inserted; the order of the catalogue decides a tie.

        Raises:
            ConfigError: the popularity is not known.
        """
        taken = {*avoid, *(e.item.id for e in request.user.history), *(c.id for c in request.candidates or ())}
        found: list[Item] = []
        for item in self._ranked:
            if len(found) == count:
                break
            if item.id not in taken:
                found.append(item)
        return found


@dataclass(frozen=True)
class UnrelatedPollution(Pollution):
    """Items that share least with the history: fewest words of titles, and fewest attributes."""

    id = "profile-unrelated"
    title = "Unrelated items in the history"
    why = "Items from another world are what a hijacked or shared account leaves in a history."

    def _kinship(self, request: Request, free: Sequence[Item]) -> list[int]:
        shared = Counter(feature for event in request.user.history for feature in features(event.item))
        return [sum(shared[feature] for feature in features(item)) for item in free]

    def choose(self, request: Request, avoid: frozenset[str], count: int, rng: np.random.Generator) -> list[Item]:
        """The least related that may be inserted; chance decides a tie."""
        free = insertable(self.catalog, avoid, request)
        if not free:
            return []
        kinship = np.array(self._kinship(request, free))
        order = np.lexsort((rng.random(len(free)), kinship))
        return [free[i] for i in order[:count]]


@dataclass(frozen=True)
class SearchedPollution(Search):
    """Items found by asking: leave-one-out sensitivity picks the places, coordinate search the items.

    At most a third of the budget goes into the places: each event is left out in turn, the latest first, because many
    targets read no more than those. Then m random items stand at the places on which the answer rests most, and one
    after the other is exchanged for the best of some random ones, round by round, while the budget lasts.

    Attributes:
        items: how many (m: 1, 3 or 5).
        how: see `How`.
        rounds: how often each place has its turn.
    """

    items: int = 3
    how: How = "insert"
    rounds: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self.items, self.how)
        if self.rounds < 1:
            raise ValueError(f"rounds: {self.rounds} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="profile-searched",
            title="Searched items in the history",
            why="An adversary who can try clicks and watch the answer finds the few items that spoil a list.",
            reference=REFERENCE,
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=self.items, max_queries=None, sees="scores"),
            needs=frozenset({Input.HISTORY}),
            queries_per_request=50,
            severity="high",
        )

    def search(self, probe: Probe) -> Steps:
        """Places, then items, as the class says."""
        request = probe.request
        free = draw_items(self.catalog, probe.avoid, request, len(self.catalog), probe.rng)
        if not free or probe.left < 1 or (self.how == "substitute" and not request.user.history):
            return ()
        places = yield from self._places(probe)
        if not places:
            return ()
        # A short history has few places; several items may then follow one event, but replace it only once.
        wanted = min(self.items, len(free))
        if self.how == "insert":
            places = [places[i % len(places)] for i in range(wanted)]
        chosen = dict(enumerate(free[: min(len(places), wanted)]))
        turn = max(1, (probe.left - 1) // (self.rounds * len(chosen)))
        pool = [item for item in free if item not in chosen.values()]

        def edits(items: Mapping[int, Item]) -> Edits:
            return in_order((places[i], pollute(places[i], item, request, self.how)) for i, item in items.items())

        if probe.left < 1:
            return edits(chosen)
        (best,) = yield [edits(chosen)]
        at = 0
        while pool and probe.left > 0:
            slot = at % len(chosen)
            at += 1
            tried, pool = pool[: min(turn, probe.left)], pool[min(turn, probe.left) :]
            losses = yield [edits({**chosen, slot: item}) for item in tried]
            top = max(range(len(tried)), key=lambda i: losses[i])
            if losses[top] > best:
                best = losses[top]
                chosen[slot] = tried[top]
        return None

    def _places(self, probe: Probe) -> Generator[Scouting, list[float], list[Place]]:
        """The events on which the answer rests most, most first, as far as they could be measured."""
        latest_first = item_places(probe.request, probe.info)[::-1]
        measured = [place for place in latest_first if place.end > place.start][: probe.left // SHARE]
        if not measured:
            return latest_first[: self.items]
        losses = yield Scouting((HistoryDrop(place.start),) for place in measured)
        order = sorted(range(len(measured)), key=lambda i: -losses[i])
        return [*(measured[i] for i in order), *latest_first[len(measured) :]][: self.items]
