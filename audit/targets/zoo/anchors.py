"""What the reference recommenders share: from scores of the whole catalogue to answers.

An anchor knows nothing but item ids: it reads the history and the candidates of a Request and ignores every word in it.
A recommender that reads words should beat it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.errors import TargetError
from audit.target import Input, Insight, TargetInfo
from audit.types import Answer, Catalog, Item, Ranked, Request


class Anchor(ABC):
    """A recommender that scores every item of its catalogue given a history of item indices.

    `rank` without candidates ranks the catalogue without the items of the history; with candidates it ranks exactly
    those. `score` gives each candidate the same number that ranks it: higher is better, but it is not a probability.
    Items that the anchor does not know are left out of the history and score below every known item.
    """

    def __init__(self, name: str, catalog: Catalog, fingerprint: str, *, trains: bool = False) -> None:
        self.catalog = catalog
        self._info = TargetInfo(
            name=name,
            tasks=("rank", "score"),
            honours=frozenset({Input.HISTORY}),
            reveals=frozenset({Insight.SCORES} | ({Insight.TRAIN} if trains else set())),
            fingerprint=fingerprint,
        )

    @property
    def info(self) -> TargetInfo:
        """What the target declares about itself."""
        return self._info

    @abstractmethod
    def score(self, histories: Sequence[IntArray]) -> FloatArray:
        """Scores (histories, items) of every item after each history of item indices, oldest first."""

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request. A task other than `rank` and `score` is an answer with the outcome `error`."""
        histories = [self._history(request) for request in requests]
        if not requests:
            return []
        scores = self.score(histories)
        return [
            self._answer(request, row, history)
            for request, row, history in zip(requests, scores, histories, strict=True)
        ]

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {item_id: i for i, item_id in enumerate(self.catalog)}

    def _history(self, request: Request) -> IntArray:
        ids = (event.item.id for event in request.user.history)
        return np.array([self._index[i] for i in ids if i in self._index], dtype=np.int64)

    def _answer(self, request: Request, row: FloatArray, history: IntArray) -> Answer:
        if request.task == "answer":
            return Answer(outcome="error", detail=f"{self.info.name}: writes no text; ask it to rank or to score")
        if request.candidates is None:
            if request.task == "score":
                return Answer(outcome="error", detail=f"{self.info.name}: score needs candidates; the request has none")
            return Answer(self._top(row, history, request.k))
        entries = [_entry(item, score) for item, score in self._scored(request.candidates, row)]
        if request.task == "score":
            return Answer(tuple(entries))
        # Ties go by catalogue order and not by position, so that the order of the candidates has no influence.
        entries.sort(key=lambda e: (-(e.score or 0.0), self._index.get(e.item_id or "", len(row)), e.item_id or ""))
        return Answer(tuple(entries[: request.k]))

    def _top(self, row: FloatArray, history: IntArray, k: int) -> tuple[Ranked, ...]:
        row = row.copy()
        row[history] = -np.inf
        best = np.argsort(-row, kind="stable")[: min(k, len(row) - len(np.unique(history)))]
        items = self.catalog.items_in_order
        return tuple(_entry(items[i], row[i]) for i in best)

    def _scored(self, candidates: Iterable[Item], row: FloatArray) -> Iterable[tuple[Item, float]]:
        # One below the lowest: finite, because an answer with an infinite score is not valid JSON.
        unknown = float(row.min()) - 1.0
        for item in candidates:
            index = self._index.get(item.id)
            yield item, unknown if index is None else float(row[index])


def _entry(item: Item, score: float) -> Ranked:
    return Ranked(item.id, item.title, float(score))


def learned(dataset: Dataset, hold_out: Literal["valid", "test"] | None) -> list[IntArray]:
    """Item indices that each user lets an anchor learn, oldest first.

    Args:
        dataset: where they come from.
        hold_out: the item of the leave-one-out split that is not seen, nor what follows it; None for all events.
    """
    if hold_out is None:
        return list(dataset.sequences.values())
    split = leave_one_out(dataset)
    return [split.context(user, hold_out) for user in split.train]


def ml100k_core() -> Dataset:
    """The dataset the anchors are fitted on when none is given: the 5-core of MovieLens-100K."""
    from audit.data.movielens import load_ml100k  # here, because it may start a download

    return load_ml100k().k_core(5)


def known_part(name: str, folder: Path, ids: Sequence[str], catalog: Catalog) -> Catalog:
    """The items that weights were trained on, in the weights' order, with the titles of `catalog`.

    Raises:
        TargetError: the weights know an item that `catalog` lacks.
    """
    missing = [item_id for item_id in ids if item_id not in catalog]
    if missing:
        raise TargetError(
            f"{name}: {folder} was trained on {len(missing)} items that this catalogue lacks, such as "
            f"{missing[0]!r}; run `recaudit train {name}` on this dataset"
        )
    return Catalog(catalog[item_id] for item_id in ids)


def fingerprint(name: str, catalog: Catalog, *arrays: npt.NDArray[np.generic]) -> str:
    """Content address of a fitted anchor: its name, its item order, and its numbers."""
    digest = hashlib.sha256(f"{name}\n{catalog.digest}\n".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
