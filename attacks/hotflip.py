"""HotFlip on words and history items: the upper reference that only an adversary with the weights can reach.

Ebrahimi, Rao, Lowd and Dou, "HotFlip: white-box adversarial examples for text classification", ACL 2018: one gradient
estimates every replacement at once; the best are tried. For history items that is the substitution attack of Yue et
al., RecSys 2022 (arXiv 2207.11237). An insertion has no gradient of its own, so a random placeholder is put in and
flipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Literal, get_args

import numpy as np

from attacks.places import Place, insertion, title_words
from attacks.positioning import Kinds, check_kinds, places
from attacks.slopes import Candidates, Floats, Slope, event_slope, sought, white_box, word_slope
from audit.attack import AttackInfo, Edits, Probe, Search, Steps, ThreatModel
from audit.edits import Edit, HistoryReplace, TextEdit, Zone, apply, read_text
from audit.target import GivesGradients, Input, Insight, TokenGradients
from audit.types import Event, Item, Request

Move = Literal["insert", "replace"]
"""Whether words and items are put beside those there are, as CheatAgent does, or in their place, as HotFlip does."""


@dataclass(frozen=True)
class HotFlip(Search):
    """Greedy: estimate, try the best estimates, keep the best that was tried, and estimate again.

    Gradient passes are no queries: they are run on weights that the adversary has.

    Attributes:
        size: how many words and items are changed (Δ).
        how: see `Move`.
        edits: whether words, items or both are changed.
        places: places at which an insertion is estimated, in each step: those with the steepest loss, words and
            events in turn. Each costs a gradient pass.
    """

    size: int = 3
    how: Move = "insert"
    edits: Kinds = "both"
    places: int = 4
    _read: dict[int, tuple[GivesGradients, Candidates]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kinds(self.edits, "paper")
        if self.how not in get_args(Move):
            raise ValueError(f"how: {self.how!r} must be one of {', '.join(get_args(Move))}")
        for option, value in (("size", self.size), ("places", self.places)):
            if value < 1:
                raise ValueError(f"{option}: {value} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="hotflip",
            title="HotFlip, with the target's gradients",
            why="What an insider, or anybody with open weights, can do bounds what other attacks may still find.",
            reference="Ebrahimi et al., HotFlip, ACL 2018; for items Yue et al., RecSys 2022 (arXiv 2207.11237)",
            threat_model=ThreatModel(
                frozenset({Zone.OPERATOR, Zone.USER, Zone.SELLER, Zone.PLATFORM}),
                max_edits=self.size,
                max_queries=None,
                sees="gradients",
            ),
            needs=frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT, Input.HISTORY}),
            sees=frozenset({Insight.GRADIENTS}),
            tasks=("rank", "score"),
            queries_per_request=50,
            severity="medium",
        )

    @cached_property
    def _words(self) -> tuple[str, ...]:
        return tuple(title_words(self.catalog.items_in_order))

    def _candidates(self, target: GivesGradients) -> Candidates:
        """Embeddings of all words and items, looked up once per target."""
        if id(target) not in self._read:  # the target is kept beside them, so that its number stays its own
            self._read[id(target)] = (target, Candidates.of(target, self._words, self.catalog.items_in_order))
        return self._read[id(target)][1]

    def search(self, probe: Probe) -> Steps:
        """See the class."""
        target = white_box(probe.target)
        (relevant,), sign = sought(probe)
        done: Edits = ()
        best = -np.inf
        for step in range(self.size):
            if probe.left < 1:
                break
            tried = self._ranked(probe, target, done, relevant, sign)[: -(-probe.left // (self.size - step))]
            if not tried:
                break
            losses = yield [(*done, edit) for edit in tried]
            top = int(np.argmax(losses))
            if losses[top] <= best:
                break
            best, done = losses[top], (*done, tried[top])
        return None

    def _ranked(
        self, probe: Probe, target: GivesGradients, done: Edits, relevant: frozenset[str], sign: float
    ) -> list[Edit]:
        """Edits of the request as it stands, the one with the highest estimated loss first."""
        request = apply(done, probe.request)
        taken = probe.avoid | {event.item.id for event in request.user.history}
        known = self._candidates(target)
        free = np.array([item.id not in taken for item in known.items], dtype=bool)
        spots = self._spots(probe, target, request, relevant)
        if self.how == "replace":  # a second flip of the same unit would undo the first
            spots = [spot for spot in spots if not _flipped(spot[0], request, done)]
        found: list[tuple[float, Edit]] = []
        if self.how == "replace":
            for place, slope, loss in spots:
                found += self._flips(place, request, slope, known, free, sign, sign * loss, probe.left)
        else:
            held = [(p, self._held(p, request, known, free, probe.rng)) for p, _, _ in spots[: self.places]]
            pairs = [(place, edit) for place, edit in held if edit is not None]
            variants = [apply((edit,), request) for _, edit in pairs]
            reads = target.gradients(variants, [relevant] * len(variants))
            for (place, edit), variant, read in zip(pairs, variants, reads, strict=True):
                slope = _slope_at(read, variant, _where(place, edit))
                found += self._flips(place, request, slope, known, free, sign, sign * read.loss, probe.left)
        found.sort(key=lambda pair: -pair[0])
        return [edit for _, edit in found[: probe.left]]

    def _spots(
        self, probe: Probe, target: GivesGradients, request: Request, relevant: frozenset[str]
    ) -> list[tuple[Place, Slope | None, float]]:
        """Places with their slopes and the loss, those first to which the loss is most sensitive."""
        (read,) = target.gradients([request], [relevant])
        everywhere = [p for p in places(request, probe.info, self.edits) if self.how == "insert" or p.end > p.start]
        found = [(place, _slope_at(read, request, place), read.loss) for place in everywhere]
        found.sort(key=lambda spot: -float(np.linalg.norm(spot[1].slope)) if spot[1] else 0.0)
        # Slopes of words and of events differ in scale, so that the one kind would hide the other: they take turns.
        kinds = [[spot for spot in found if spot[0].kind == kind] for kind in ("word", "item")]
        return [spot for pair in zip_longest(*kinds) for spot in pair if spot is not None]

    def _held(
        self, place: Place, request: Request, known: Candidates, free: np.ndarray, rng: np.random.Generator
    ) -> Edit | None:
        """The placeholder that is put at a place."""
        if place.kind == "word":
            return insertion(place, known.words[int(rng.integers(len(known.words)))], request) if known.words else None
        open_ = np.flatnonzero(free)
        return insertion(place, known.items[int(rng.choice(open_))], request) if len(open_) else None

    def _flips(
        self,
        place: Place,
        request: Request,
        slope: Slope | None,
        known: Candidates,
        free: np.ndarray,
        sign: float,
        base: float,
        limit: int,
    ) -> Iterator[tuple[float, Edit]]:
        """The best candidates for one place, with their estimated losses."""
        if slope is None:
            return
        gains = sign * slope.gains(known.word_table if place.kind == "word" else known.item_table)
        if place.kind == "item":
            gains = np.where(free, gains, -np.inf)
        for i in _best(gains, limit):
            what = known.words[i] if place.kind == "word" else known.items[i]
            yield base + float(gains[i]), self._edit(place, what, request)

    def _edit(self, place: Place, what: str | Item, request: Request) -> Edit:
        if self.how == "insert":
            return insertion(place, what, request)
        if isinstance(what, str):
            return TextEdit(place.field, place.start, place.end, what)
        old = request.user.history[place.start]
        return HistoryReplace(place.start, Event(what, old.rating, old.time))


def _slope_at(read: TokenGradients, request: Request, place: Place) -> Slope | None:
    if place.kind == "item":
        return event_slope(read, place.start)
    return word_slope(read, request, place.field, place.start, place.end)


def _flipped(place: Place, request: Request, done: Edits) -> bool:
    """Whether what stands at a place was put there by one of these edits."""
    if place.kind == "item":
        new = request.user.history[place.start].item.id
        return any(isinstance(edit, HistoryReplace) and edit.event.item.id == new for edit in done)
    word = read_text(request, place.field)[place.start : place.end]
    return any(isinstance(edit, TextEdit) and (edit.field, edit.text) == (place.field, word) for edit in done)


def _where(place: Place, edit: Edit) -> Place:
    """The place of what an insertion has put in."""
    if isinstance(edit, TextEdit):
        return Place("word", place.field, place.start, place.start + len(edit.text.rstrip()))
    return Place("item", "history", place.end, place.end + 1)


def _best(gains: Floats, limit: int) -> Sequence[int]:
    """Indices of the highest finite gains, the highest first; the lower index wins a tie."""
    order = np.argsort(-gains, kind="stable")[:limit]
    return [int(i) for i in order if np.isfinite(gains[i])]
