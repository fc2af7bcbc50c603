"""What a target may have been trained on, put as questions: a history, and the item that came behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit.data.dataset import Dataset
from audit.modules.base import Context
from audit.modules.privacy.known import Split
from audit.target import Input
from audit.types import Event, Item, Request, Task, User

DECILES = 10


@dataclass(frozen=True)
class Question:
    """One request, and the items that the log has behind its history.

    Attributes:
        user: whose rows these are.
        member: whether the user was trained on.
        request: what is asked.
        items: behind the history; several only where one request judges several.
        labels: 1 (liked) or 0 per item, for yes/no targets; else empty.
    """

    user: str
    member: bool
    request: Request
    items: tuple[Item, ...]
    labels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shape:
    """How rows are drawn.

    Attributes:
        task: what the target is asked.
        rows: the most rows of one user, the latest.
        history: the most events in a history.
        users: the most users of each side, 0 for all.
        candidates: items that a ranked one stands among, for `rank`.
    """

    task: Task
    rows: int
    history: int
    users: int
    candidates: int


def draw_questions(context: Context, split: Split, shape: Shape, *, ranked: bool) -> list[Question]:
    """The rows of members and others, drawn and built alike: nothing but the coin tells them apart.

    For `score` they are the latest rows of the training part of the temporal split behind one shared history, as the
    trainings of yes/no targets take them. Else they are the latest next items but the last, which `rank` holds out.

    Args:
        context: what is audited.
        split: members and others.
        shape: how many.
        ranked: whether each item is to be put among candidates of its own popularity.
    """
    rng = context.rng("privacy", "membership", "users")
    instruction = context.info.instructions.get(shape.task, "") if Input.INSTRUCTION in context.info.honours else ""
    chosen = {user: True for user in _some(split.inside, shape.users, rng)}
    chosen |= {user: False for user in _some(split.outside, shape.users, rng)}
    if shape.task == "score":
        found = list(_judged(context.dataset, chosen, shape, instruction))
    else:
        found = list(_next(context.dataset, chosen, shape, instruction))
    if not ranked:
        return found
    peers = Peers(context.dataset)
    return [_among(context, question, shape, peers) for question in found]


class Peers:
    """Items of the same popularity decile.

    Args:
        dataset: whose popularity counts.
    """

    def __init__(self, dataset: Dataset) -> None:
        counts = np.array(list(dataset.popularity.values()))
        decile = np.empty(len(counts), dtype=np.int64)
        # Ties go by the order of the catalogue, so that the deciles are of equal size.
        decile[np.argsort(counts, kind="stable")] = np.arange(len(counts)) * DECILES // len(counts)
        self.dataset = dataset
        self.decile: Mapping[str, int] = dict(zip(dataset.popularity, decile.tolist(), strict=True))
        self._members = [np.flatnonzero(decile == d) for d in range(DECILES)]

    def alike(self, user: str, item: str, count: int, rng: np.random.Generator) -> list[Item]:
        """Items that the user never met, of the item's decile; of the whole catalogue where the decile has too few."""
        met = self.dataset.sequences[user]
        near = np.setdiff1d(self._members[self.decile[item]], met)
        if len(near) < count:
            near = np.setdiff1d(np.arange(len(self.decile)), met)
        items = self.dataset.catalog.items_in_order
        return [items[i] for i in rng.permutation(near)[:count].tolist()]

    def swapped(self, question: Question, rng: np.random.Generator) -> Question:
        """The question with one item of its history exchanged for another as popular, which the user never met.

        The neighbour of Mattern et al. 2023 for histories: as plausible, and surely not in the training.
        """
        history = question.request.user.history
        if not history:
            return question
        place = int(rng.integers(len(history)))
        items = self.alike(question.user, history[place].item.id, 1, rng)
        if not items:
            return question
        events = (*history[:place], replace(history[place], item=items[0]), *history[place + 1 :])
        user = replace(question.request.user, history=events)
        return replace(question, request=replace(question.request, user=user))


def _some(users: Sequence[str], most: int, rng: np.random.Generator) -> list[str]:
    if not most or len(users) <= most:
        return list(users)
    return [users[i] for i in sorted(rng.permutation(len(users))[:most].tolist())]


def _judged(dataset: Dataset, chosen: Mapping[str, bool], shape: Shape, instruction: str) -> Iterator[Question]:
    from audit.data.splits import windows

    frame = windows(dataset, history=shape.history)
    training = frame[(frame["part"] == "train") & frame["user"].isin(list(chosen))]
    positions = {str(user): np.sort(values.to_numpy()) for user, values in training.groupby("user")["position"]}
    for user, member in chosen.items():
        if user not in positions:
            continue
        rows = positions[user][-shape.rows :]
        events = dataset.events(user)
        shown = [events[i] for i in rows]
        request = Request(
            _user(dataset, user, events[rows[0] - shape.history : rows[0]]),
            task="score",
            instruction=instruction,
            candidates=tuple(event.item for event in shown),
        )
        labels = tuple(int(dataset.liked(event.rating)) for event in shown)
        yield Question(user, member, request, request.candidates or (), labels)


def _next(dataset: Dataset, chosen: Mapping[str, bool], shape: Shape, instruction: str) -> Iterator[Question]:
    for user, member in chosen.items():
        events = dataset.events(user)
        known = events[:-1] if len(events) >= 3 else events
        for place in range(max(1, len(known) - shape.rows), len(known)):
            request = Request(
                _user(dataset, user, known[max(0, place - shape.history) : place]),
                task=shape.task,
                instruction=instruction,
            )
            yield Question(user, member, request, (known[place].item,))


def _among(context: Context, question: Question, shape: Shape, peers: Peers) -> Question:
    """The item of the question among others of its popularity, in an order that says nothing."""
    (item,) = question.items
    rng = context.rng("privacy", "membership", "candidates", question.user, str(len(question.request.user.history)))
    offered = [item, *peers.alike(question.user, item.id, shape.candidates - 1, rng)]
    order = rng.permutation(len(offered))
    candidates = tuple(offered[i] for i in order)
    return replace(question, request=replace(question.request, candidates=candidates, k=len(candidates)))


def _user(dataset: Dataset, user: str, history: tuple[Event, ...]) -> User:
    return User(id=user, history=history, attributes=dataset.users.get(user, {}))
