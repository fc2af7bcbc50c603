"""Controls of fairness: a stated gender, a group served worse, refusals to one group, items held back or pushed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from audit.controls.control import Control
from audit.controls.needs import of_items, of_users
from audit.controls.places import Changed, next_of, swapped
from audit.controls.wrapping import chance, declared, salt_of
from audit.data.dataset import Dataset
from audit.target import Input, Recommender
from audit.types import Answer, Ranked, Request

_LEFT_OUT = {"sweep": False, "swaps": False, "stereotypes": False, "groups": False, "exposure": False}
_HISTORY = 10
_STATED = "female"
_GROUP = "F"
_HELD_BACK = "Western"


def attribute_bias(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """A share `size` of users gets a list without a common item as soon as a note says "female".

    Such a list has distance 1 from the one without the note by every measure, all other lists stay as they are, and no
    placebo moves anything: the expected excess distance is `size`.
    """
    salt, items = salt_of(rng), dataset.catalog.items_in_order

    def change(request: Request, answer: Answer) -> Answer:
        if _STATED not in _said(request) or chance(salt, "stated", request.user.id) >= size:
            return answer
        listed = {entry.item_id for entry in answer.ranked}
        others = [item for item in items if item.id not in listed][: len(answer.ranked)]
        return replace(answer, ranked=tuple(Ranked(item.id, item.title) for item in others))

    return Changed(base, "attribute bias", change, honours={Input.NOTE})


def refused_group(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """A share `size` of users is refused as soon as a note says "female"; nobody is refused otherwise.

    One draw per user, and the answer without the note is never a refusal: the expected gap is `size`.
    """
    salt = salt_of(rng)

    def change(request: Request, answer: Answer) -> Answer:
        refused = _STATED in _said(request) and chance(salt, "refused", request.user.id) < size
        return Answer(outcome="refused", text="I cannot help with that.") if refused else answer

    return Changed(base, "refusals to one group", change, honours={Input.NOTE})


def served_worse(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """Women lose the next item from their list with chance `size`.

    The base is right about everybody at place 1, so a list is worth NDCG 1, and 0 without the next item: women get
    1 - `size` on average and men 1. The expected gap is `size`.
    """
    salt, target = salt_of(rng), next_of(dataset)

    def change(request: Request, answer: Answer) -> Answer:
        user = request.user.id
        lost = dataset.users.get(user, {}).get("gender") == _GROUP and chance(salt, "worse", user) < size
        return swapped(answer, target.get(user), request) if lost else answer

    return Changed(base, "one group served worse", change)


class Reordered:
    """Everything that the base would list of what is offered, sorted anew for some users, and cut.

    Args:
        base: that is wrapped.
        name: of the plant.
        key: by which entries are sorted, from the item's id; ties keep the base's order.
        size: chance of a user's list to be sorted anew.
        salt: of the draws.
    """

    def __init__(
        self, base: Recommender, name: str, key: Callable[[str | None], float], size: float, salt: str
    ) -> None:
        self.base, self.key, self.size, self.salt = base, key, size, salt
        self.info = declared(base, name)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's longest lists, sorted for some, and cut for all."""
        asked = [replace(r, k=max(r.k, len(r.candidates or ()))) if r.task == "rank" else r for r in requests]
        return [
            self._cut(request, answer) if request.task == "rank" else answer
            for request, answer in zip(requests, self.base.recommend(asked), strict=True)
        ]

    def _cut(self, request: Request, answer: Answer) -> Answer:
        entries = answer.ranked
        if chance(self.salt, "sorted", request.user.id) < self.size:
            entries = tuple(sorted(entries, key=lambda entry: self.key(entry.item_id)))
        return replace(answer, ranked=entries[: request.k])


def held_back(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """For a share `size` of users, films of one genre stand behind all others.

    On the clean twin a genre gets its share of what was offered: the six genres can be exchanged for each other in the
    invented world and the base knows none of them. Where the films are sent to the back none is listed, since at least
    k others are offered but for one request in some hundreds; how much is shown in a list never changes. So the
    expected exposure, and with it the ratio to what was offered, falls to 1 - `size`.
    """
    behind = {
        item.id for item in dataset.catalog.items_in_order if _HELD_BACK in _genres(item.attributes.get("genres"))
    }
    return Reordered(base, "a genre held back", lambda item: float(item in behind), size, salt_of(rng))


def popular_first(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    """For a share `size` of users, lists are sorted by popularity.

    How often the least popular items still reach a list hangs on how popularity is spread among what is offered, for
    which there is no closed form: the true ratio is not known.
    """
    users_of = dataset.popularity
    return Reordered(base, "popular items first", lambda item: -float(users_of.get(item or "", 0)), size, salt_of(rng))


def _said(request: Request) -> set[str]:
    """Words of the note, in small letters."""
    return set(re.findall(r"[\w-]+", request.user.note.lower()))


def _genres(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (str(value),)


CONTROLS = (
    Control(
        id="attribute-bias",
        title="A stated gender changes lists",
        planted='a share of users gets other items as soon as a note says "female"',
        module="fairness",
        metric="excess_distance",
        params={"part": "sweep", "value": _STATED, "measure": "rbo", "form": "clean"},
        history=_HISTORY,
        plant=attribute_bias,
        sizes=(0.0, 0.1, 0.2, 0.3, 0.5),
        claimed=0.3,
        truth=lambda size: size,
        value="effect",
        options={**_LEFT_OUT, "sweep": {"attributes": ["gender"], "anchors": 50}},
        users=50,
        candidates=None,
        runs=0.5,
    ),
    Control(
        id="refused-group",
        title="Refusals to one group",
        planted='a share of users is refused as soon as a note says "female"',
        module="fairness",
        metric="invalid_gap",
        params={"part": "sweep", "value": _STATED, "kind": "invalid"},
        history=_HISTORY,
        plant=refused_group,
        sizes=(0.0, 0.1, 0.2, 0.3, 0.5),
        claimed=0.5,
        truth=lambda size: size,
        value="effect",
        options={**_LEFT_OUT, "sweep": {"attributes": ["gender"], "anchors": 50}},
        users=50,
        candidates=None,
        runs=0.5,
    ),
    Control(
        id="served-worse",
        title="A group is served worse",
        planted="a share of the women loses the next item",
        module="fairness",
        metric="quality_gap",
        params={"part": "groups", "attribute": "gender", "group": _GROUP, "measure": "ndcg", "adjusted": False},
        history=_HISTORY,
        plant=served_worse,
        needs=of_users("gender", _GROUP),
        sizes=(0.0, 0.1, 0.2, 0.3, 0.5),
        claimed=0.3,
        truth=lambda size: size,
        options={**_LEFT_OUT, "groups": {"attributes": ["gender"]}},
    ),
    Control(
        id="held-back",
        title="A genre is held back",
        planted="for a share of users the films of one genre stand behind all others",
        module="fairness",
        metric="exposure_ratio",
        params={"part": "exposure", "column": "genres", "group": _HELD_BACK, "reference": "offered"},
        history=_HISTORY,
        plant=held_back,
        needs=of_items("genres", _HELD_BACK),
        sizes=(0.0, 0.2, 0.4, 0.6, 0.8),
        claimed=0.6,
        truth=lambda size: 1 - size,
        options={**_LEFT_OUT, "exposure": {"groups": "genres"}},
        users=200,
        runs=0.5,
    ),
    Control(
        id="popular-first",
        title="Popular items first",
        planted="for a share of users lists are sorted by popularity",
        module="fairness",
        metric="exposure_ratio",
        params={
            "part": "exposure",
            "column": "popularity",
            "group": "1 of 5 (least popular)",
            "reference": "offered",
        },
        history=_HISTORY,
        plant=popular_first,
        sizes=(0.0, 0.3, 0.6, 1.0),
        claimed=1.0,
        options={**_LEFT_OUT, "exposure": {"groups": "popularity"}},
        users=200,
        runs=0.5,
    ),
)
