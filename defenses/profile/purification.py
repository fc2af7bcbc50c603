"""RETURN-style purification: several differently purified profiles of one user, and a vote of their answers.

After Ning, Fan and Li, "Retrieval-Augmented Purifier for Robust LLM-Empowered Recommendation", TOIS 2025 (arXiv
2504.02458), of which the abstract and summaries were read, not the full text. Theirs: a graph of items that occur
together in a log, from which a sub-graph is retrieved for the items of a history; items with little support in it are
suspects; suspects are deleted, or replaced by retrieved items; an ensemble over purified profiles answers. Ours,
because the text was not at hand: support is the PMI⁺ of the edges that were retrieved, its threshold comes from clean
histories of the same length, each profile purifies a random part of the suspects, and the answers are counted as in
`defenses.smoothing.votes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from scipy.sparse import csr_array

from audit.data.dataset import FloatArray, IntArray
from audit.defense import DefenseInfo
from audit.edits import Edit, HistoryDrop, HistoryReplace, Zone, apply
from audit.errors import ConfigError
from audit.seeds import generator
from audit.target import Input, Recommender
from audit.types import Answer, Event, Item, Request
from defenses.profile.graph import ItemGraph
from defenses.profile.judge import Judge, RaisesAlarm
from defenses.profile.options import ProfileDefense
from defenses.smoothing.smoothed import Smoothed
from defenses.smoothing.votes import Counting, Places, Rule, mean_scores

How = Literal["delete", "replace"]
"""What becomes of a suspect."""

_BEST = 20
"""Retrieved items among which a replacement is drawn."""


class Retriever:
    """The nearest items of each item, and what they say about a history.

    Args:
        graph: of the log.
        neighbours: how many are retrieved per item.
    """

    def __init__(self, graph: ItemGraph, neighbours: int) -> None:
        self.graph = graph
        edges = graph.edges
        self.cut = np.full(edges.shape[0], np.inf)
        for item in range(edges.shape[0]):
            row = edges.data[edges.indptr[item] : edges.indptr[item + 1]]
            if len(row):
                self.cut[item] = np.partition(row, max(len(row) - neighbours, 0))[max(len(row) - neighbours, 0)]
        rows = np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr))
        keep = edges.data >= self.cut[rows]
        self.nearest = csr_array((edges.data[keep], (rows[keep], edges.indices[keep])), shape=edges.shape)

    def support(self, histories: IntArray, users: Sequence[str]) -> FloatArray:
        """The edges by which the items of a history retrieve each other; 0 for those they do not retrieve.

        The one who asks is left out of the edges, as everywhere. See `defenses.profile.judge.Support`.
        """
        square = self.graph.affinities(histories, users)
        kept: FloatArray = np.where(square >= self.cut[histories][:, :, None], square, 0.0)
        return kept

    def replacements(self, kept: Sequence[int], taken: frozenset[int]) -> tuple[IntArray, FloatArray]:
        """The items that the kept ones retrieve most, without those that are taken, and how likely each is drawn.

        Returns:
            Item numbers, the best first, and probabilities in proportion to the edges; both empty where there are none.
        """
        weights = np.asarray(self.nearest[list(kept)].sum(axis=0), dtype=np.float64)
        weights[list(taken)] = 0.0
        best = np.argsort(-weights, kind="stable")[:_BEST]
        best = best[weights[best] > 0]
        return best.astype(np.int64), weights[best] / max(weights[best].sum(), np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class ReturnPurification(ProfileDefense):
    """Suspects are the items to which the sub-graph retrieved for the history gives least support.

    Attributes:
        profiles: purified profiles behind one answer (E).
        how: see `How`. A replacement is never an item of the history or on offer. Where the target leaves the history
            out of its lists, an item that is put in cannot be recommended.
        neighbours: items retrieved for each item of the history.
        rate: chance that a profile purifies a suspect; at 1 all profiles are the same unless suspects are replaced.
        rule: see `defenses.smoothing.votes.Rule`.
        places: see `defenses.smoothing.votes.Places`.
        seed: of the draws; keep it to yourself in a service.
    """

    fpr: float = field(default=0.1, kw_only=True)
    profiles: int = field(default=5, kw_only=True)
    how: How = field(default="delete", kw_only=True)
    neighbours: int = field(default=100, kw_only=True)
    rate: float = field(default=0.8, kw_only=True)
    rule: Rule = field(default="share", kw_only=True)
    places: Places = field(default="borda", kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        self.check("return")
        for name in ("profiles", "neighbours"):
            if getattr(self, name) < 1:
                raise ConfigError(f"defenses.return.{name}: {getattr(self, name)} must be at least 1")
        if self.how not in get_args(How):
            raise ConfigError(f"defenses.return.how: {self.how!r} must be one of {', '.join(get_args(How))}")
        if not 0 < self.rate <= 1:
            raise ConfigError(f"defenses.return.rate: {self.rate} must be above 0 and at most 1")
        if self.seed < 0:
            raise ConfigError(f"defenses.return.seed: {self.seed} must be at least 0")
        self.counting.check("return")

    @property
    def counting(self) -> Counting:
        """How the answers to the profiles become one."""
        return Counting(self.rule, self.places)

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="return",
            title=f"Purified profiles, a vote of {self.profiles} (RETURN-style)",
            why="Items that the log does not support are taken out in several ways, and what the answers share counts.",
            reference="After Ning, Fan and Li, RETURN, TOIS 2025 (arXiv 2504.02458); what is ours the docs say",
            family="profile",
            guards=frozenset({Zone.PLATFORM}),
            calls=float(self.profiles),
            randomised=True,
            needs=frozenset({Input.HISTORY}),
            tasks=("rank", "score"),
            limits="Items that occur together with the history pass; cold items go unjudged; a poisoned log vouches.",
            missing=self.lacking,
        )

    def protect(self, target: Recommender) -> PurifiedProfiles:
        """The target behind the purifier.

        Raises:
            ConfigError: there is no log to learn from.
        """
        retriever = Retriever(self.graph, self.neighbours)
        return PurifiedProfiles(target, self, self.judge(retriever.support), retriever)


class PurifiedProfiles(RaisesAlarm, Smoothed):
    """A target that answers by the vote of several purified profiles.

    Where all profiles are the same, as they are of a history without a suspect, one is asked about. A `score` is the
    mean of the target's own, on whatever scale that is: a vote would flatten log-probabilities, and an adversary who
    reads them would be stopped by nothing but that.

    Args:
        target: what is protected.
        options: of the defense.
        judge: says which items are suspects.
        retriever: offers replacements.
    """

    def __init__(self, target: Recommender, options: ReturnPurification, judge: Judge, retriever: Retriever) -> None:
        shown = {name: getattr(options, name) for name in ("how", "neighbours", "rate", "seed")}
        settings = {**options.settings(judge), **shown}
        super().__init__(target, options.info, settings, samples=options.profiles, counting=options.counting)
        self.options, self.judge, self.retriever = options, judge, retriever

    def copies(self, request: Request, draw: int, n: int) -> list[Request]:
        """The purified profiles; see `profiles`."""
        return [apply(edits, request) for edits in self.profiles(request, draw, n)]

    def profiles(self, request: Request, draw: int, n: int) -> list[tuple[Edit, ...]]:
        """The edits that make each profile.

        Args:
            request: what is asked.
            draw: which independent draw.
            n: how many profiles; one where all are the same.
        """
        (found,) = self.judgements([request])
        if not found.flagged:
            return [()]
        offered: tuple[IntArray, FloatArray] = (np.empty(0, dtype=np.int64), np.empty(0))
        if self.options.how == "replace":
            offered = self._offered(request, frozenset(found.positions) - frozenset(found.flagged))
        rng = generator(self.options.seed, "return", request.digest, str(draw))
        drawn = [self._profile(request, found.flagged, offered, rng) for _ in range(n)]
        # Votes that are all the same decide as one does, which costs one call.
        return drawn if any(edits != drawn[0] for edits in drawn) else drawn[:1]

    def vote(self, request: Request, answers: Sequence[Answer | None]) -> Answer:
        """The counted lists, or the mean scores; see the class."""
        if request.task == "score":
            return mean_scores(request, answers)
        return super().vote(request, answers)

    def _profile(
        self,
        request: Request,
        suspects: tuple[int, ...],
        offered: tuple[IntArray, FloatArray],
        rng: np.random.Generator,
    ) -> tuple[Edit, ...]:
        chosen = [position for position in suspects if rng.random() < self.options.rate]
        items, weights = offered
        drawn = rng.choice(items, size=min(len(chosen), len(items)), replace=False, p=weights) if len(items) else items
        replaced: list[Edit] = []
        for position, number in zip(chosen, drawn, strict=False):
            old = request.user.history[position]
            replaced.append(HistoryReplace(position, Event(self._items[int(number)], old.rating, old.time)))
        # Where there is no replacement left, a suspect is deleted.
        return (*replaced, *(HistoryDrop(position) for position in sorted(chosen[len(replaced) :], reverse=True)))

    @cached_property
    def _items(self) -> Mapping[int, Item]:
        return dict(enumerate(self.retriever.graph.dataset.catalog.items_in_order))

    def _offered(self, request: Request, kept: frozenset[int]) -> tuple[IntArray, FloatArray]:
        index = self.retriever.graph.index
        history = [event.item.id for event in request.user.history]
        taken = {*history, *(item.id for item in request.candidates or ())}
        numbers = [index[history[position]] for position in sorted(kept)]
        return self.retriever.replacements(numbers, frozenset(index[i] for i in taken if i in index))
