"""How a P5-style recommender spells an item: one or two tokens, by five schemes.

Source: Hua et al., "How to Index Item IDs for Recommendation Foundation Models", SIGIR-AP 2023. All numbering and
clustering sees the training part of the sequences alone. Numbers given over whole sequences would leak: a held-out item
that is the neighbour of the last training item would carry the next number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from audit.data.dataset import FloatArray, IntArray
from audit.errors import ConfigError

Scheme = Literal["iid", "sid", "rid", "cid", "hid"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

FIRST_NUMBER = 1001
"""Sequential and random numbers start here, as in the released code of OpenP5."""

CLUSTERS = {"cid": 100, "hid": 20}
"""Groups of co-consumed items; never more than a quarter of the catalogue."""


@dataclass(frozen=True, eq=False)
class Indexing:
    """The tokens of each item.

    Attributes:
        scheme: its name, one of `SCHEMES`.
        codes: (items, depth) number of the token at each level; rows are unique.
        levels: how many tokens each level has; levels share no token.
    """

    scheme: Scheme
    codes: IntArray
    levels: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Tokens per item."""
        return len(self.levels)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {"scheme": self.scheme, "levels": list(self.levels), "codes": self.codes.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Indexing:
        """Inverse of `to_dict`."""
        return cls(data["scheme"], np.array(data["codes"], dtype=np.int64), tuple(data["levels"]))

    def token(self, level: int, code: int) -> str:
        """How the token `code` of `level` is written in a prompt."""
        names = {
            "iid": ("item_",),
            "sid": ("tens_", "ones_"),
            "rid": ("tens_", "ones_"),
            "cid": ("group_", "place_"),
            "hid": ("group_", "item_"),
        }
        return f"<{names[self.scheme][level]}{code}>"


def make(scheme: str, sequences: Sequence[IntArray], items: int, rng: np.random.Generator) -> Indexing:
    """Give every item its tokens.

    * `iid`: one token of its own.
    * `sid`: numbers in the order in which items first appear, user after user, those that never appear last; a number
      is written as two tokens, all but its last digit and its last digit.
    * `rid`: the same with shuffled numbers.
    * `cid`: a cluster of items chosen together, then the popularity rank within the cluster; both tokens are shared.
    * `hid`: a larger cluster, then a token of the item's own (collaborative + independent).

    Args:
        scheme: one of `SCHEMES`.
        sequences: item indices of each user, training part only, oldest first.
        items: size of the catalogue.
        rng: source of the permutation (`rid`) and of the clustering's start vector (`cid`, `hid`).

    Raises:
        ConfigError: no such scheme.
    """
    own = np.arange(items, dtype=np.int64)
    if scheme == "iid":
        return Indexing("iid", own[:, None], (items,))
    if scheme == "sid":
        return _numbered("sid", first_appearance(sequences, items))
    if scheme == "rid":
        return _numbered("rid", rng.permutation(items))
    if scheme == "cid":
        group = clusters(sequences, items, CLUSTERS["cid"], rng)
        place = _place(group, sequences, items)
        return Indexing("cid", np.stack([group, place], axis=1), (int(group.max()) + 1, int(place.max()) + 1))
    if scheme == "hid":
        group = clusters(sequences, items, CLUSTERS["hid"], rng)
        return Indexing("hid", np.stack([group, own], axis=1), (int(group.max()) + 1, items))
    raise ConfigError(f"indexing: {scheme!r} is not one of {', '.join(SCHEMES)}")


def first_appearance(sequences: Sequence[IntArray], items: int) -> IntArray:
    """(items,) rank of each item by first appearance in the sequences read one after the other; the rest by index."""
    seen = dict.fromkeys(int(item) for sequence in sequences for item in sequence)
    order = [*seen, *(item for item in range(items) if item not in seen)]
    numbers = np.empty(items, dtype=np.int64)
    numbers[order] = np.arange(items)
    return numbers


def _numbered(scheme: Scheme, numbers: IntArray) -> Indexing:
    tens, ones = np.divmod(numbers + FIRST_NUMBER, 10)
    tens -= FIRST_NUMBER // 10
    return Indexing(scheme, np.stack([tens, ones], axis=1), (int(tens.max()) + 1, 10))


def co_occurrence(sequences: Sequence[IntArray], items: int) -> FloatArray:
    """(items, items) how many users have both items; 0 on the diagonal."""
    has = np.zeros((len(sequences), items))
    for row, sequence in enumerate(sequences):
        has[row, sequence] = 1
    counts = has.T @ has
    np.fill_diagonal(counts, 0)
    return counts


def clusters(sequences: Sequence[IntArray], items: int, count: int, rng: np.random.Generator) -> IntArray:
    """(items,) cluster of each item: spectral clustering of the co-occurrence, without recursion.

    Args:
        sequences: training part of the users' sequences.
        items: size of the catalogue.
        count: the most clusters; at most a quarter of the catalogue is used.
        rng: start vector of the eigensolver.
    """
    from sklearn.cluster import SpectralClustering  # here: it takes a second to import

    count = max(1, min(count, items // 4))
    # A small constant joins items that never occur together: the graph must be connected.
    affinity = co_occurrence(sequences, items) + 1e-3
    model = SpectralClustering(
        count, affinity="precomputed", assign_labels="cluster_qr", random_state=int(rng.integers(2**31))
    )
    labels = model.fit_predict(affinity)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)  # numbered without gaps


def _place(group: IntArray, sequences: Sequence[IntArray], items: int) -> IntArray:
    """Rank of each item in its cluster, the most popular first."""
    popularity = np.bincount(np.concatenate(list(sequences)), minlength=items)
    place = np.empty(items, dtype=np.int64)
    for number in range(int(group.max()) + 1):
        members = np.flatnonzero(group == number)
        place[members[np.argsort(-popularity[members], kind="stable")]] = np.arange(len(members))
    return place
