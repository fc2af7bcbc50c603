"""Whether an item belongs to a history: its fit to the others, held against histories known to be clean.

What counts as a poor fit depends on how long the history is, so every length has its own norm: median and MAD of clean
fits, and the deviation τ that a share `fpr` of clean items exceeds. All of them come from users who are not under
audit, and of whom the graph knows nothing at that moment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from audit.data.dataset import FloatArray, IntArray
from audit.seeds import generator
from audit.stats.thresholds import threshold_at_fpr
from audit.types import Request, canonical_json
from defenses.profile.graph import ItemGraph

Support = Callable[[IntArray, Sequence[str]], FloatArray]
"""What the items of a history say for each other: from item numbers (n, length) and users (n) to (n, length, length),
what that of the row says for that of the column. See `ItemGraph.affinities`."""

ENOUGH = 20
"""Clean users behind a norm, where there are so many."""

_MOST = 500
"""Users of the log who stand in where there is no validation."""

_EXACT = 50
"""Histories up to this length have a norm of their own; longer ones share it with others of about their length."""

_CELLS = 1 << 22
"""Pairs looked at in one go: 32 MiB per array."""

_SOFT = 0.1
"""Temperature of the soft maximum, in robust standard deviations."""


class Norm(NamedTuple):
    """What is usual in clean histories of one length.

    Attributes:
        median: of the fits.
        scale: their robust standard deviation; 0 where clean items do not differ.
        tau: an item is flagged when its z lies below -tau.
    """

    median: float
    scale: float
    tau: float

    def z(self, fits: FloatArray) -> FloatArray:
        """Robust z-scores; 0 where there is no scale."""
        return (fits - self.median) / self.scale if self.scale > 0 else np.zeros(len(fits))


def norm_of(clean: FloatArray, fpr: float) -> Norm:
    """The norm of clean fits, shape (n,), at least one.

    The scale is 1.4826 · MAD, or 1.2533 times the mean absolute deviation where more than half are equal (Iglewicz and
    Hoaglin, "How to detect and handle outliers", 1993).
    """
    median = float(np.median(clean))
    away = np.abs(clean - median)
    scale = 1.4826 * float(np.median(away)) or math.sqrt(math.pi / 2) * float(np.mean(away))
    norm = Norm(median, scale, 0.0)
    return norm._replace(tau=threshold_at_fpr(-norm.z(clean), fpr).value)


@dataclass(frozen=True)
class Judgement:
    """What is found in one history.

    Attributes:
        positions: the items that could be judged; the others are cold, or outside the catalogue.
        z: robust z of each, in that order; the lower, the less it belongs.
        flagged: positions that stand out, the worst first: a third of the history at most.
    """

    positions: tuple[int, ...]
    z: FloatArray
    flagged: tuple[int, ...]

    @property
    def suspicion(self) -> float:
        """How far the worst items stand out: the soft maximum of -z, at least 0; 0 where nothing could be judged.

        A fit cannot fall below 0, so that many a worst item ties with others. T · log mean exp(-z / T) tells one such
        item from several.
        """
        return max(0.0, float(logsumexp(-self.z / _SOFT) - np.log(len(self.z))) * _SOFT) if len(self.z) else 0.0


class Judge:
    """Judges histories by one kind of fit.

    Args:
        graph: what is known of the items.
        validation: clean requests of users who are not under audit. With fewer than `ENOUGH` users among them who have
            two items to judge, the users of the log stand in, each with the latest events and left out of the graph.
        support: what items say for each other. An item fits as well as the mean of what the other items say for it.
        fpr: share of clean items that may be flagged, and of clean requests that may raise the alarm.
        least: people other than the one who asks who must have an item before it is judged.

    Attributes:
        threshold: suspicion above which a history raises the alarm.
    """

    def __init__(
        self, graph: ItemGraph, validation: Sequence[Request], support: Support, fpr: float, least: int
    ) -> None:
        self.graph, self.support, self.fpr, self.least = graph, support, fpr, least
        given = [self._known(request) for request in validation]
        clean = [(user, items) for user, items in given if len(items) > 1]
        self.from_log = len({user for user, _ in clean}) < ENOUGH
        if self.from_log:
            clean = [entry for entry in self._of_the_log() if len(entry[1]) > 1]
        self.clean = clean
        lengths = sorted((len(items) for _, items in clean), reverse=True)
        self._longest = lengths[min(ENOUGH, len(lengths)) - 1] if lengths else 0
        self._norms: dict[int, Norm] = {}
        # Now, so that no request waits for it.
        self.threshold = self._threshold()

    def _known(self, request: Request) -> tuple[str, IntArray]:
        items = np.array([self.graph.index.get(e.item.id, -1) for e in request.user.history], dtype=np.int64)
        return request.user.id, items[self._warm(request.user.id, items)]

    def _warm(self, user: str, items: IntArray) -> IntArray:
        """Places of the items that can be judged."""
        known = np.flatnonzero(items >= 0)
        return known[self.graph.support(items[known], user) >= self.least]

    def _of_the_log(self) -> list[tuple[str, IntArray]]:
        dataset = self.graph.dataset
        users = dataset.user_ids
        drawn = generator(0, "defenses.profile", "norms").permutation(len(users))[:_MOST]
        entries = [(users[i], dataset.sequences[users[i]]) for i in drawn]
        return [(user, items[self._warm(user, items)]) for user, items in entries]

    def norm(self, length: int) -> Norm:
        """What is usual in histories with so many items to judge.

        Clean histories that are longer lend their latest items. Where fewer than `ENOUGH` are as long, it is the norm
        of the greatest length that so many have.
        """
        length = min(length, self._longest)
        if length > _EXACT:
            length = int(_EXACT * 1.1 ** math.floor(math.log(length / _EXACT, 1.1)))
        if length not in self._norms:
            clean = [(user, items[-length:]) for user, items in self.clean if len(items) >= length]
            fits = self.fits([items for _, items in clean], [user for user, _ in clean])
            self._norms[length] = norm_of(np.concatenate(fits), self.fpr) if fits else Norm(0.0, 0.0, 0.0)
        return self._norms[length]

    def fits(self, histories: Sequence[IntArray], users: Sequence[str]) -> list[FloatArray]:
        """How well each item of each history fits: s, the mean of what the others say for it; 0 where there are none.

        An item that occurs twice does not vouch for itself.
        """
        found: list[FloatArray] = [np.empty(0)] * len(histories)
        for rows, square, others in self._stacks(histories, users):
            for row, values in zip(rows, _mean(square, others), strict=True):
                found[row] = values
        return found

    def _stacks(
        self, histories: Sequence[IntArray], users: Sequence[str]
    ) -> Iterator[tuple[list[int], FloatArray, npt.NDArray[np.bool_]]]:
        """Histories of one length together: their numbers, the support of each pair, and whether it is of two items."""
        for length in sorted({len(history) for history in histories} - {0}):
            rows = [row for row, history in enumerate(histories) if len(history) == length]
            step = max(1, _CELLS // length**2)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                stacked = np.stack([histories[row] for row in part])
                others = stacked[:, :, None] != stacked[:, None, :]
                yield part, self.support(stacked, [users[row] for row in part]), others

    def judge(self, requests: Sequence[Request]) -> list[Judgement]:
        """What is found in the history of each request.

        The worst item is taken out and the rest judged anew, with the norm of what is left: a foreign item also lowers
        the fit of those beside it. That ends when nothing stands out, or a third of the history is flagged.
        """
        users = [request.user.id for request in requests]
        indices = [
            np.array([self.graph.index.get(e.item.id, -1) for e in r.user.history], dtype=np.int64) for r in requests
        ]
        places = [self._warm(user, items) for user, items in zip(users, indices, strict=True)]
        found = [Judgement((), np.empty(0), ())] * len(requests)
        shown = [items[at] if len(at) > 1 else items[:0] for items, at in zip(indices, places, strict=True)]
        for rows, square, others in self._stacks(shown, users):
            most = np.array([len(requests[row].user.history) // 3 for row in rows])
            z, flagged = self._flag(square, others, most)
            for row, values, columns in zip(rows, z, flagged, strict=True):
                at = places[row]
                found[row] = Judgement(tuple(at.tolist()), values, tuple(at[columns].tolist()))
        return found

    def _flag(
        self, square: FloatArray, others: npt.NDArray[np.bool_], most: IntArray
    ) -> tuple[FloatArray, list[list[int]]]:
        """The z of each item as the history stands, and the columns of what is flagged, the worst first."""
        n, length, _ = square.shape
        left = np.ones((n, length), dtype=bool)
        flagged: list[list[int]] = [[] for _ in range(n)]
        active = np.arange(n)
        first = np.zeros((n, length))
        while len(active):
            norms = np.array([self.norm(size) for size in left[active].sum(axis=1).tolist()])
            median, scale, tau = (norms[:, [at]] for at in range(3))
            still = left[active][:, :, None]
            away = _mean(square[active] * still, others[active] & still) - median
            z = np.divide(away, scale, out=np.zeros_like(away), where=scale > 0)
            if left.all():
                first = z.copy()
            z[~left[active]] = np.inf
            worst = np.argmin(z, axis=1)
            out = (z[np.arange(len(active)), worst] < -tau[:, 0]) & (left[active].sum(axis=1) > 1)
            out &= np.array([len(flagged[row]) for row in active.tolist()]) < most[active]
            for row, column in zip(active[out].tolist(), worst[out].tolist(), strict=True):
                flagged[row].append(column)
                left[row, column] = False
            active = active[out]
        return first, flagged

    def _threshold(self) -> float:
        """Suspicion that a share `fpr` of clean histories exceed; of the log's users the latest 50 events count."""
        shown = [items[-_EXACT:] if self.from_log else items for _, items in self.clean]
        fits = self.fits(shown, [user for user, _ in self.clean])
        suspicion = [Judgement((), self.norm(len(found)).z(found), ()).suspicion for found in fits]
        return threshold_at_fpr(suspicion, self.fpr).value if suspicion else 0.0

    @cached_property
    def digest(self) -> str:
        """Content address of the log and of the clean histories."""
        shown = [[user, items.tolist()] for user, items in self.clean]
        return hashlib.sha256(canonical_json([self.graph.dataset.digest, shown]).encode()).hexdigest()


class RaisesAlarm:
    """What makes a defended target with a judge a detector; see `audit.defense.Detects`."""

    judge: Judge

    @property
    def threshold(self) -> float:
        """Suspicion above which the alarm is raised."""
        return self.judge.threshold

    def judgements(self, requests: Sequence[Request]) -> list[Judgement]:
        """What is found in each history."""
        return self.judge.judge(requests)

    def suspicion(self, requests: Sequence[Request]) -> list[float]:
        """How far the worst items of each history stand out."""
        return [found.suspicion for found in self.judgements(requests)]


def _mean(square: FloatArray, others: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean over the other items, (n, length, length) to (n, length)."""
    found: FloatArray = square.sum(axis=1) / np.maximum(others.sum(axis=1), 1)
    return found
