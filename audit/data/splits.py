"""Splits: what a target may have learned from, and what it is asked.

Two protocols. *Leave-one-out*: each user's events in the order (time, file order); the last is the test item, the last
but one the validation item. *Temporal*: all events in time order, the first 80 % for training, then 10 % and 10 %; it
never lets the future of one user inform the past of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.data.dataset import Dataset, IntArray
from audit.errors import DataError
from audit.types import Event, Item

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class LeaveOneOut:
    """The leave-one-out split, in item indices of the dataset's catalogue.

    Attributes:
        train: all but the last two items of each user, oldest first.
        valid: the last but one item of each user.
        test: the last item of each user.
        skipped: users with fewer than three events, who are in no part.
    """

    train: Mapping[str, IntArray]
    valid: Mapping[str, int]
    test: Mapping[str, int]
    skipped: tuple[str, ...] = ()

    def context(self, user: str, part: Literal["valid", "test"]) -> IntArray:
        """What is known of the user when the item of `part` is to be predicted, oldest first."""
        seen = self.train[user]
        return seen if part == "valid" else np.append(seen, self.valid[user])


def leave_one_out(dataset: Dataset) -> LeaveOneOut:
    """Hold out the last item of each user for test and the one before for validation.

    Raises:
        DataError: no user has three events.
    """
    long = {user: items for user, items in dataset.sequences.items() if len(items) >= 3}
    if not long:
        raise DataError(f"dataset {dataset.name}: leave-one-out needs a user with at least 3 events; there is none")
    return LeaveOneOut(
        train={user: items[:-2] for user, items in long.items()},
        valid={user: int(items[-2]) for user, items in long.items()},
        test={user: int(items[-1]) for user, items in long.items()},
        skipped=tuple(user for user in dataset.user_ids if user not in long),
    )


def temporal(
    times: npt.NDArray[np.float64], fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> npt.NDArray[np.int8]:
    """Which part each event belongs to: 0 train, 1 valid, 2 test.

    Args:
        times: (n,) seconds; equal times keep their order, so the parts have exactly the sizes asked for.
        fractions: shares of the three parts, summing to 1.

    Returns:
        (n,) part numbers, indices into `PARTS`.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"temporal split: fractions {fractions} must be at least 0 and sum to 1")
    n = len(times)
    # Rounding absorbs the error of sums such as 0.8 + 0.1 before the cut is made.
    first, second = (int(round(n * share, 6)) for share in (fractions[0], fractions[0] + fractions[1]))
    parts = np.full(n, 2, dtype=np.int8)
    order = np.argsort(times, kind="stable")
    parts[order[:first]] = 0
    parts[order[first:second]] = 1
    return parts


def windows(dataset: Dataset, *, history: int = 10) -> pd.DataFrame:
    """Every event that has `history` events of its user before it, as a yes/no example.

    The protocol of TALLRec (Bao et al., RecSys 2023), but split 80/10/10 by time instead of by blocks of users: the
    windows are sorted by the target's time, stable, and cut.

    Returns:
        One row per window in time order, with the columns `user` (id), `position` (of the target in the user's
        events), `item` (index in the catalogue), `label` (1 when liked), `time`, and `part`.

    Raises:
        DataError: the dataset has no ratings, no like threshold, or no user with more than `history` events.
    """
    if history < 1:
        raise DataError(f"windows: history {history} must be at least 1")
    if dataset.like_above is None or dataset.interactions["rating"].isna().any():
        raise DataError(f"dataset {dataset.name}: yes/no windows need a rating on every event and like_above set")
    if dataset.interactions["time"].isna().any():
        raise DataError(f"dataset {dataset.name}: a temporal split needs a time on every event")
    long = [user for user in dataset.user_ids if len(dataset.rows(user)) > history]
    if not long:
        raise DataError(f"dataset {dataset.name}: no user has more than {history} events, so there is no window")
    rows = np.concatenate([dataset.rows(user)[history:] for user in long])
    counts = [len(dataset.rows(user)) - history for user in long]
    source = dataset.interactions.iloc[rows]
    frame = pd.DataFrame(
        {
            "user": source["user"].to_numpy(),
            "position": np.concatenate([np.arange(history, history + n) for n in counts]),
            "item": source["item"].map(dataset.index).to_numpy(dtype=np.int64),
            "label": (source["rating"].to_numpy() > dataset.like_above).astype(np.int8),
            "time": source["time"].to_numpy(),
        }
    )
    frame["part"] = np.asarray(PARTS)[temporal(frame["time"].to_numpy())]
    return frame.sort_values("time", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class WindowGroup:
    """One history and the later events of the same user that are judged from it.

    Attributes:
        user: id.
        history: the events just before the first target, oldest first.
        targets: the items to judge, in the order in which the user met them; all later than the history.
        labels: 1 (liked) or 0 per target.
        part: the part of the temporal split to which every target belongs.
    """

    user: str
    history: tuple[Event, ...]
    targets: tuple[Item, ...]
    labels: tuple[int, ...]
    part: Part


def window_groups(dataset: Dataset, part: Part, *, history: int = 10, targets: int = 16) -> list[WindowGroup]:
    """The windows of one part, packed: up to `targets` consecutive events of a user behind one shared history.

    Packing lets a model read the history once for many targets. Every window of the part is the target of exactly one
    group; only the first target of a group directly follows the history, the others come up to `targets` - 1 events
    later.

    Returns:
        Groups by user, in order of the user's first row, then by time.

    Raises:
        DataError: as `windows`, or `part` or `targets` is not usable.
    """
    if part not in PARTS:
        raise DataError(f"window_groups: part {part!r} must be one of {', '.join(PARTS)}")
    if targets < 1:
        raise DataError(f"window_groups: targets {targets} must be at least 1")
    frame = windows(dataset, history=history)
    positions = frame[frame["part"] == part].groupby("user", sort=False)["position"]
    by_user = {str(user): np.sort(values.to_numpy()) for user, values in positions}
    return [
        _group(dataset, user, chunk, history, part)
        for user in dataset.user_ids
        if user in by_user
        for chunk in _chunks(by_user[user], targets)
    ]


def _group(dataset: Dataset, user: str, chunk: Sequence[int], history: int, part: Part) -> WindowGroup:
    events = dataset.events(user)
    shown = [events[position] for position in chunk]
    return WindowGroup(
        user=user,
        history=events[chunk[0] - history : chunk[0]],
        targets=tuple(event.item for event in shown),
        labels=tuple(int(dataset.liked(event.rating)) for event in shown),
        part=part,
    )


def _chunks(positions: IntArray, size: int) -> Iterator[list[int]]:
    # The times of one user never decrease, so the positions of one part are consecutive.
    for start in range(0, len(positions), size):
        yield [int(p) for p in positions[start : start + size]]
