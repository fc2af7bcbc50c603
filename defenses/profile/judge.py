"""Whether an item belongs to a history: its fit to the others, held against histories known to be clean.

What counts as a poor fit depends on how long the history is, so every length has its own norm: median and MAD of clean
fits, and the deviation τ that a share `fpr` of clean items exceeds. All of them come from users who are not under
audit, and of whom the graph knows nothing at that moment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from audit.data.dataset import FloatArray, IntArray
from audit.seeds import generator
from audit.stats.thresholds import threshold_at_fpr
from audit.types import Request, canonical_json
from defenses.profile.graph import ItemGraph

Fits = Callable[[ItemGraph, Sequence[IntArray], Sequence[str]], list[FloatArray]]
"""How well each item of each history fits the others: (graph, histories, users) to one number per item."""

ENOUGH = 20
"""Clean users behind a norm, where there are so many."""

_MOST = 500
"""Users of the log who stand in where there is no validation."""

_EXACT = 50
"""Histories up to this length have a norm of their own; longer ones share it with others of about their length."""

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
        fits: how well items fit.
        fpr: share of clean items that may be flagged, and of clean requests that may raise the alarm.
        least: people other than the one who asks who must have an item before it is judged.
    """

    def __init__(self, graph: ItemGraph, validation: Sequence[Request], fits: Fits, fpr: float, least: int) -> None:
        self.graph, self.fits, self.fpr, self.least = graph, fits, fpr, least
        given = [self._known(request) for request in validation]
        clean = [(user, items) for user, items in given if len(items) > 1]
        self.from_log = len({user for user, _ in clean}) < ENOUGH
        if self.from_log:
            clean = [entry for entry in self._of_the_log() if len(entry[1]) > 1]
        self.clean = clean
        self._norms: dict[int, Norm] = {}

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

        Clean histories that are longer lend their latest items. Where fewer than `ENOUGH` are as long, the longest
        there are stand in.
        """
        if length > _EXACT:
            length = int(_EXACT * 1.1 ** math.floor(math.log(length / _EXACT, 1.1)))
        if length not in self._norms:
            as_long = sum(len(items) >= length for _, items in self.clean)
            longest = sorted(self.clean, key=lambda entry: -len(entry[1]))[: max(as_long, ENOUGH)]
            fits = self.fits(self.graph, [items[-length:] for _, items in longest], [user for user, _ in longest])
            self._norms[length] = norm_of(np.concatenate([np.zeros(0), *fits]), self.fpr) if fits else Norm(0, 0, 0)
        return self._norms[length]

    def judge(self, requests: Sequence[Request]) -> list[Judgement]:
        """What is found in the history of each request."""
        users = [request.user.id for request in requests]
        indices = [
            np.array([self.graph.index.get(e.item.id, -1) for e in r.user.history], dtype=np.int64) for r in requests
        ]
        places = [self._warm(user, items) for user, items in zip(users, indices, strict=True)]
        fits = self.fits(self.graph, [items[at] for items, at in zip(indices, places, strict=True)], users)
        return [self._judgement(request, at, found) for request, at, found in zip(requests, places, fits, strict=True)]

    def _judgement(self, request: Request, places: IntArray, fits: FloatArray) -> Judgement:
        if len(places) < 2:
            return Judgement((), np.empty(0), ())
        norm = self.norm(len(places))
        z = norm.z(fits)
        worst_first = np.argsort(z, kind="stable")
        stands_out = worst_first[z[worst_first] < -norm.tau]
        flagged = places[stands_out][: len(request.user.history) // 3]
        return Judgement(tuple(places.tolist()), z, tuple(flagged.tolist()))

    @cached_property
    def threshold(self) -> float:
        """Suspicion that a share `fpr` of clean histories exceed; of the log's users the latest 50 events count."""
        shown = [items[-_EXACT:] if self.from_log else items for _, items in self.clean]
        fits = self.fits(self.graph, shown, [user for user, _ in self.clean])
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
