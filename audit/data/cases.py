"""From a dataset to Cases: a seeded sample of Requests, each with what a good answer would contain.

The label never enters the Request. Users are drawn by one permutation and served in its order, so the first 50 cases of
a sample of 100 are the sample of 50 with the same seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from audit.data.dataset import Dataset
from audit.data.splits import Part, WindowGroup, temporal, window_groups
from audit.errors import DataError, nearest
from audit.types import Case, Event, Item, Request, User

Split = Literal["leave-one-out", "temporal"]


def ranking_cases(
    dataset: Dataset,
    *,
    users: int | None,
    k: int,
    candidates: int | None,
    rng: np.random.Generator,
    history: int | None = None,
    split: Split = "leave-one-out",
) -> list[Case]:
    """One `rank` request per sampled user: everything before the held-out item is the history.

    Args:
        dataset: where users and items come from.
        users: how many to draw; None, or more than there are, means all.
        k: how many items to ask for.
        candidates: None ranks the whole catalogue. A number offers the held-out item among that many, the others drawn
            uniformly from the items the user never met, in random order.
        rng: source of the draws.
        history: how many of the latest events to show; None shows all.
        split: `leave-one-out` holds out the last event of each user. `temporal` holds out the first event after nine
            tenths of all events have happened, for the users who have events before and after.

    Returns:
        Cases in the order drawn, with ids `u<user>` and the held-out item in `relevant`.

    Raises:
        DataError: no user can be asked about, the split is unknown, or a user leaves too few items to draw from.
    """
    if k < 1:
        raise DataError(f"cases: k {k} must be at least 1")
    if history is not None and history < 1:
        raise DataError(f"cases: history {history} must be at least 1; leave it out to show all")
    if candidates is not None and candidates < 2:
        raise DataError(f"cases: candidates {candidates} must be at least 2; leave it out to rank the whole catalogue")
    held_out = dict(_held_out(dataset, split))
    if not held_out:
        raise DataError(f"dataset {dataset.name}: no user has events on both sides of the {split} split")
    cases = []
    for user in _draw(list(held_out), users, rng):
        past, target = held_out[user]
        shown = past if history is None else past[-history:]
        offered = None if candidates is None else _candidates(dataset, user, target, candidates, rng)
        request = Request(user=_user(dataset, user, shown), task="rank", candidates=offered, k=k)
        cases.append(Case(id=f"u{user}", request=request, relevant=frozenset({target.id})))
    return cases


def scoring_cases(
    dataset: Dataset,
    *,
    users: int | None,
    targets: int,
    rng: np.random.Generator,
    history: int = 10,
    part: Part = "test",
) -> list[Case]:
    """One `score` request per sampled user: up to `targets` later items to judge from `history` events.

    A user with several groups of targets gives one of them, drawn uniformly. Users whose targets are all liked, or all
    disliked, are kept, because dropping them would bias the pooled AUC; `both_classes` counts those who enter UAUC.

    Args:
        dataset: must have ratings, times and a like threshold.
        users: how many to draw; None, or more than there are, means all.
        targets: items per request, at most.
        rng: source of the draws.
        history: events shown.
        part: of the temporal split.

    Returns:
        Cases in the order drawn, with ids `u<user>/<number of the group>` and labels 1 (liked) or 0 per candidate.

    Raises:
        DataError: the dataset cannot be split that way (see `audit.data.splits.windows`), or the part is empty.
    """
    groups: dict[str, list[WindowGroup]] = {}
    for group in window_groups(dataset, part, history=history, targets=targets):
        groups.setdefault(group.user, []).append(group)
    if not groups:
        raise DataError(f"dataset {dataset.name}: the {part} part of the temporal split holds no user with a history")
    cases = []
    for user in _draw(list(groups), users, rng):
        number = int(rng.integers(len(groups[user])))
        group = groups[user][number]
        request = Request(user=_user(dataset, user, group.history), task="score", candidates=group.targets)
        cases.append(Case(id=f"u{user}/{number}", request=request, labels=group.labels))
    return cases


def both_classes(cases: Iterable[Case]) -> int:
    """How many users have a liked and a disliked candidate: the users over whom UAUC is a mean."""
    labels: dict[str, set[int]] = {}
    for case in cases:
        labels.setdefault(case.unit, set()).update(case.labels)
    return sum(len(seen) == 2 for seen in labels.values())


def _held_out(dataset: Dataset, split: Split) -> Iterator[tuple[str, tuple[tuple[Event, ...], Item]]]:
    """Per user the events before the held-out one, and the held-out item."""
    if split == "leave-one-out":
        for user in dataset.user_ids:
            events = dataset.events(user)
            if len(events) >= 3:  # the same users as `splits.leave_one_out`
                yield user, (events[:-1], events[-1].item)
    elif split == "temporal":
        times = dataset.interactions["time"].to_numpy(dtype=np.float64)
        if np.isnan(times).any():
            raise DataError(f"dataset {dataset.name}: a temporal split needs a time on every event")
        parts = temporal(times)
        for user in dataset.user_ids:
            events = dataset.events(user)
            first = int(np.count_nonzero(parts[dataset.rows(user)] < 2))
            if 0 < first < len(events):
                yield user, (events[:first], events[first].item)
    else:
        raise DataError(f"cases: split {split!r} is unknown; {nearest(split, ('leave-one-out', 'temporal'))}")


def _draw(names: Sequence[str], count: int | None, rng: np.random.Generator) -> list[str]:
    if count is not None and count < 1:
        raise DataError(f"cases: users {count} must be at least 1; leave it out for all")
    return [names[i] for i in rng.permutation(len(names))[:count]]


def _candidates(dataset: Dataset, user: str, target: Item, count: int, rng: np.random.Generator) -> tuple[Item, ...]:
    items = dataset.catalog.items_in_order
    unseen = np.setdiff1d(np.arange(len(items)), dataset.sequences[user])
    if len(unseen) < count - 1:
        raise DataError(
            f"cases: candidates {count} needs {count - 1} items that user {user!r} never met; there are {len(unseen)}"
        )
    offered = [target, *(items[i] for i in rng.choice(unseen, size=count - 1, replace=False))]
    return tuple(offered[i] for i in rng.permutation(count))


def _user(dataset: Dataset, user: str, history: tuple[Event, ...]) -> User:
    return User(id=user, history=history, attributes=dataset.users.get(user, {}))
