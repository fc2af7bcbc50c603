"""A dataset: a catalogue, who interacted with what, and what is known of the users.

Interactions keep the order of their file, because many logs hold several events per second and the file order is then
the only order there is. Every sort in `audit.data` is stable for that reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.errors import DataError
from audit.types import Attributes, Catalog, Event, canonical_json

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

COLUMNS = ("user", "item", "rating", "time")


@dataclass(frozen=True, eq=False)
class Dataset:
    """What an audit draws its requests from.

    Attributes:
        name: short name for reports.
        catalog: every item that may be recommended. Its order defines the item indices 0 … len(catalog) - 1.
        interactions: one row per event in file order, with the columns `user` and `item` (string ids), `rating` and
            `time` (float64; seconds since the epoch; NaN where unknown). Every item is in the catalogue.
        users: attributes by user id; a user without attributes may be absent.
        rating_scale: lowest and highest possible rating; None for implicit feedback.
        like_above: a rating above this number counts as liked; None for implicit feedback.
        description: where the data come from, in one sentence.
        licence: what may be done with them, in one sentence.
        notes: what was dropped or changed while reading, one sentence each.
    """

    name: str
    catalog: Catalog
    interactions: pd.DataFrame
    users: Mapping[str, Attributes] = field(default_factory=dict)
    rating_scale: tuple[float, float] | None = None
    like_above: float | None = None
    description: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if tuple(self.interactions.columns) != COLUMNS:
            found = ", ".join(map(str, self.interactions.columns))
            raise DataError(f"dataset {self.name}: interactions need the columns {', '.join(COLUMNS)}; found {found}")
        if len(self.interactions) == 0:
            raise DataError(f"dataset {self.name}: there are no interactions")
        unknown = set(pd.unique(self.interactions["item"])) - set(self.catalog)
        if unknown:
            raise DataError(
                f"dataset {self.name}: {len(unknown)} items of the interactions are not in the catalogue, "
                f"such as {min(unknown)!r}"
            )

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of each item in the catalogue's order, by item id."""
        return {item_id: i for i, item_id in enumerate(self.catalog)}

    @cached_property
    def popularity(self) -> Mapping[str, int]:
        """How many users have each item, by item id; 0 for items that nobody has."""
        counts = self.interactions.groupby("item")["user"].nunique()
        return {item_id: int(counts.get(item_id, 0)) for item_id in self.catalog}

    @cached_property
    def user_ids(self) -> tuple[str, ...]:
        """The users who have interactions, in order of their first row."""
        return tuple(map(str, pd.unique(self.interactions["user"])))

    @cached_property
    def _rows(self) -> Mapping[str, IntArray]:
        """Row numbers of each user, sorted by (time, file order)."""
        codes, _ = pd.factorize(self.interactions["user"])
        time = np.nan_to_num(self.interactions["time"].to_numpy(dtype=np.float64), nan=-np.inf)
        order = np.lexsort((time, codes))  # stable, so ties keep the file order
        bounds = np.flatnonzero(np.diff(codes[order])) + 1
        pieces: list[IntArray] = np.split(order.astype(np.int64), bounds)
        return dict(zip(self.user_ids, pieces, strict=True))

    def rows(self, user: str) -> IntArray:
        """Row numbers of a user's interactions in time order; ties keep the file order.

        Raises:
            DataError: the user has no interactions.
        """
        try:
            return self._rows[user]
        except KeyError:
            raise DataError(f"dataset {self.name}: user {user!r} has no interactions") from None

    @cached_property
    def sequences(self) -> Mapping[str, IntArray]:
        """Item indices of each user in time order, by user id."""
        items: IntArray = np.asarray(self.interactions["item"].map(self.index), dtype=np.int64)
        return {user: items[rows] for user, rows in self._rows.items()}

    @cached_property
    def _events(self) -> tuple[Event, ...]:
        frame = self.interactions
        columns = (frame[name].tolist() for name in COLUMNS[1:])
        return tuple(
            Event(self.catalog[item], None if rating != rating else rating, None if time != time else time)
            for item, rating, time in zip(*columns, strict=True)
        )

    def events(self, user: str) -> tuple[Event, ...]:
        """A user's events, oldest first.

        Raises:
            DataError: the user has no interactions.
        """
        return tuple(self._events[row] for row in self.rows(user))

    def liked(self, rating: float | None) -> bool:
        """Whether a rating counts as liked.

        Raises:
            DataError: the rating is unknown or the dataset has no threshold.
        """
        if self.like_above is None:
            raise DataError(f"dataset {self.name}: like_above is not set; name the rating above which an item is liked")
        if rating is None or rating != rating:
            raise DataError(f"dataset {self.name}: an event without a rating is neither liked nor disliked")
        return rating > self.like_above

    def k_core(self, k: int) -> Dataset:
        """The largest part in which every user and every item has at least `k` interactions.

        Users and items are dropped in turn until nothing changes. The catalogue shrinks with it.

        Raises:
            DataError: nothing is left.
        """
        frame = self.interactions
        while len(frame):
            keep = np.ones(len(frame), dtype=bool)
            for column in ("user", "item"):
                codes, _ = pd.factorize(frame[column])
                keep &= np.bincount(codes)[codes] >= k
            if keep.all():
                break
            frame = frame[keep]
        if len(frame) == 0:
            raise DataError(f"dataset {self.name}: no part of it has {k} interactions for every user and every item")
        items, users = set(frame["item"]), set(frame["user"])
        return replace(
            self,
            catalog=Catalog(item for item in self.catalog.items_in_order if item.id in items),
            interactions=frame.reset_index(drop=True),
            users={user: attributes for user, attributes in self.users.items() if user in users},
            notes=(*self.notes, f"Iterative {k}-core: {len(users)} users, {len(items)} items, {len(frame)} events."),
        )

    def with_users(self, events: Mapping[str, Sequence[Event]]) -> Dataset:
        """The same with further users, whose events follow all others in the file order.

        Raises:
            DataError: a user of that name has interactions already, or an item is not in the catalogue.
        """
        known = sorted(set(events) & set(self.user_ids))
        if known:
            raise DataError(f"dataset {self.name}: user {known[0]!r} has interactions already; give new users new ids")
        rows = [
            (user, e.item.id, np.nan if e.rating is None else e.rating, np.nan if e.time is None else e.time)
            for user, past in events.items()
            for e in past
        ]
        if not rows:
            return self
        more = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"rating": "float64", "time": "float64"})
        return replace(self, interactions=pd.concat([self.interactions, more], ignore_index=True))

    def without_users(self, users: Collection[str]) -> Dataset:
        """The same without these users' interactions and attributes.

        Raises:
            DataError: nothing would be left.
        """
        kept = self.interactions[~self.interactions["user"].isin(users)].reset_index(drop=True)
        if kept.empty:
            raise DataError(
                f"dataset {self.name}: all {len(self.user_ids)} users are under audit and no other user is left to "
                "learn from; lower dataset.users"
            )
        return replace(
            self, interactions=kept, users={user: known for user, known in self.users.items() if user not in users}
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of catalogue, interactions, user attributes and like threshold, as 64 hexadecimal characters."""
        digest = hashlib.sha256(self.catalog.digest.encode())
        digest.update(canonical_json([{u: dict(a) for u, a in self.users.items()}, self.like_above]).encode())
        for column in ("user", "item"):
            digest.update(canonical_json(self.interactions[column].tolist()).encode())
        for column in ("rating", "time"):
            digest.update(self.interactions[column].to_numpy(dtype="<f8").tobytes())
        return digest.hexdigest()
