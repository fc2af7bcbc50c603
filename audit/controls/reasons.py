"""Plants of explanation: recommendations whose reasons are known, and stated reasons that are or are not the true ones.

What moves these targets is a rule over the history of the request. The base recommender chooses what is ranked: it is
asked without any history, so that nothing but the rule hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from audit.controls.false_statements import because
from audit.controls.wrapping import chance, declared, recommended
from audit.data.dataset import Dataset
from audit.modules.explanation.players import PLACEHOLDER
from audit.target import Input, Insight, Recommender
from audit.types import Answer, Event, Item, Ranked, Request

Rule = Callable[[Request, Item], float]
"""What an item is worth for a request."""

POOL = 20
"""Items of the base that are ranked, where a request has no candidates."""
_LATEST = 5
"""The deciding item is among so many of the latest."""
_TIE = 1e-3


class ByRule:
    """Ranks what the base ranks without a history by a rule; between equals the base decides.

    Args:
        base: that is wrapped.
        dataset: whose items it ranks.
        name: of the plant.
        rule: what an item is worth.
        honours: parts of the request that the rule reads beside the history.
    """

    def __init__(
        self, base: Recommender, dataset: Dataset, name: str, rule: Rule, *, honours: frozenset[Input] = frozenset()
    ) -> None:
        self.base, self.dataset, self.rule = base, dataset, rule
        self.info = replace(
            declared(base, name, honours={Input.HISTORY, *honours}, reveals={Insight.SCORES}), tasks=("rank",)
        )
        self._pools: dict[str, list[Item]] = {}

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Scores by the rule."""
        bare = [without_history(request) for request in requests]
        new = list({one.digest: one for one in bare if one.digest not in self._pools}.values())
        if new:
            for one, items in zip(new, recommended(self.base, new, self.dataset.catalog, POOL), strict=True):
                self._pools[one.digest] = items
        return [self._ranked(r, self._pools[one.digest]) for r, one in zip(requests, bare, strict=True)]

    def _ranked(self, request: Request, pool: Sequence[Item]) -> Answer:
        worth = [self.rule(request, item) + _TIE * (1 - place / len(pool)) for place, item in enumerate(pool)]
        order = sorted(range(len(pool)), key=lambda place: -worth[place])
        return Answer(tuple(Ranked(pool[n].id, pool[n].title, worth[n]) for n in order[: request.k]))


def without_history(request: Request) -> Request:
    """The question as somebody without a past, who says nothing of themselves, would ask it."""
    return replace(request, user=replace(request.user, history=(), attributes={}))


def weighed(size: float, salt: str) -> Rule:
    """Each item of the history adds a known weight to each candidate: for a share `size` of the users, others nothing.

    The lead v of the first over the second is then a sum over items, so that their Shapley values are its terms, and by
    those the order is the best that there is: at 1 between the worst order (0) and the best (1) on each user's scale.
    For a sum the comprehensiveness of the worst and of the best order lie symmetrically about that of a random one,
    which is thus at 1/2 exactly. A user whose history moves nothing has every order at 1/2. So the expected gain of
    Shapley values over a random order is `size` / 2.
    """

    def rule(request: Request, item: Item) -> float:
        moved = chance(salt, "moved", request.user.id) < size
        return sum(weight(salt, event, item) for event in request.user.history) if moved else 0.0

    return rule


def weight(salt: str, event: Event, item: Item) -> float:
    """What an event adds to an item, wherever it stands."""
    return 0.0 if event.item == PLACEHOLDER else chance(salt, "weight", event.item.id, item.id)


def placed(size: float, salt: str) -> Rule:
    """Adds to `weighed`, in proportion `size`, what an item gets for the places of the history that are filled.

    With `size` 1 the items themselves say nothing: whatever order an attribution finds, the order of the places is as
    good, so nothing may be called faithful. With 0 it is `weighed` for everybody.
    """

    def rule(request: Request, item: Item) -> float:
        history = request.user.history
        filled = [(n + 1) / len(history) for n, event in enumerate(history) if event.item != PLACEHOLDER]
        own = weighed(1.0, salt)(request, item)
        return (1 - size) * own + size * sum(filled) * chance(salt, "item", item.id)

    return rule


def erratic(size: float, salt: str) -> Rule:
    """Adds to `weighed`, in proportion `size`, a number that is drawn anew for every set of items.

    A network of random weights behaves so: it is a function of the history, but nothing that one removal shows holds
    for another. With `size` 1 nothing may be called faithful.
    """

    def rule(request: Request, item: Item) -> float:
        known = [event.item.id for event in request.user.history]
        drawn = 3.0 * chance(salt, "set", request.user.id, *known, "item", item.id)
        return (1 - size) * weighed(1.0, salt)(request, item) + size * drawn

    return rule


def one_cause(dataset: Dataset, size: float, salt: str) -> Rule:
    """One item of the history decides the order of everything, for a share `size` of the users; for others nothing.

    Where it is there the order is one, and where it is not the reverse. So exactly for those users there is a set whose
    removal changes the recommendation, the smallest has one item, and it is that one: the expected success of the
    search is `size` and every smallest set has size 1.
    """
    causes: dict[str, str | None] = {}

    def rule(request: Request, item: Item) -> float:
        user = request.user.id
        if user not in causes:
            causes[user] = cause_of(dataset, salt, user) if chance(salt, "moved", user) < size else None
        worth, cause = chance(salt, "worth", user, item.id), causes[user]
        return worth if cause is None or _there(request, cause) else -worth

    return rule


def cause_of(dataset: Dataset, salt: str, user: str) -> str | None:
    """Id of the item that decides: by lot one of the latest before the held-out one that the user has had once."""
    rows = dataset.sequences[user][:-1].tolist() if user in dataset.sequences else []
    items = dataset.catalog.items_in_order
    once = [items[row].id for row in rows[-_LATEST:] if rows.count(row) == 1]
    return min(once, key=lambda item: chance(salt, "cause", user, item), default=None)


def _there(request: Request, cause: str | None) -> bool:
    return any(event.item.id == cause for event in request.user.history)


def heard(size: float, salt: str, attribute: str) -> Rule:
    """Turns the base's list round for whoever states an attribute, for a share `size` of the users.

    The first k of a list of at least 2k and those of its reverse have no item in common, so their distance 1 - RBO is
    1; for the other users it is 0. So the expected influence of the attribute, when it is taken away, is `size`.
    """

    def rule(request: Request, item: Item) -> float:
        hears = attribute in request.user.attributes and chance(salt, "heard", request.user.id) < size
        worth = chance(salt, "worth", item.id)
        return -worth if hears else worth

    return rule


class GivesReasons:
    """Recommends one item in a sentence that names another of the history as its reason.

    What is recommended hangs on one item of the history, as in `one_cause`. The reason named is that item; with chance
    `unfaithful`, by user, it is another one of the history, which moves nothing; with chance `invented` it is an item
    that the user has not had. Of the users whose reason is in their history the share whose reason matters is hence
    1 - `unfaithful`, and of all reasons the share that is invented is `invented`.

    Args:
        base: that is wrapped; other tasks are its own.
        dataset: where the histories are read from.
        salt: of the draws.
        unfaithful: chance of a reason that does not matter.
        invented: chance of a reason that is not there.
    """

    def __init__(
        self, base: Recommender, dataset: Dataset, salt: str, *, unfaithful: float = 0.0, invented: float = 0.0
    ) -> None:
        self.base, self.dataset, self.salt = base, dataset, salt
        self.unfaithful, self.invented = unfaithful, invented
        self.info = declared(base, "stated reasons", tasks=("answer",), honours={Input.HISTORY})
        self._strange: dict[str, list[Item]] = {}

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """A sentence where free text is asked for; the base's answer else."""
        written = [request for request in requests if request.task == "answer"]
        others = [request for request in requests if request.task != "answer"]
        self._look_up(written)
        passed = iter(self.base.recommend(others) if others else ())
        return [Answer(text=self._text(r)) if r.task == "answer" else next(passed) for r in requests]

    def _look_up(self, requests: Sequence[Request]) -> None:
        """Three items that each user has never had, of those that the base ranks without a history."""
        new: Mapping[str, Request] = {r.user.id: without_history(r) for r in requests if r.user.id not in self._strange}
        if not new:
            return
        catalog = self.dataset.catalog
        for user, items in zip(new, recommended(self.base, list(new.values()), catalog, len(catalog)), strict=True):
            had = {event.item.id for event in self.dataset.events(user)}
            self._strange[user] = [item for item in items if item.id not in had][:3]

    def _text(self, request: Request) -> str:
        user, past = request.user.id, [event.item for event in request.user.history]
        one, other, never = self._strange[user]
        cause = cause_of(self.dataset, self.salt, user)
        there = _there(request, cause)
        said = [item for item in past if item.id == cause]
        rest = sorted({item.id: item for item in past if item.id != cause}.values(), key=self._lot(user))
        if chance(self.salt, "invented", user) < self.invented or not past:
            said = [never]
        elif rest and (not there or chance(self.salt, "unfaithful", user) < self.unfaithful):
            said = rest
        return because(said[0], one if there else other)

    def _lot(self, user: str) -> Callable[[Item], float]:
        return lambda item: chance(self.salt, "said", user, item.id)
