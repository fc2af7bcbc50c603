"""Denoisers that fill histories: who proposes what may have stood in the place of lost units.

A filler is given the copy and nothing else, so it cannot see what the copy lost; what it was fitted on must not hold
the user's own history. Then the certificate stands, because filling is a part of the function that is smoothed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audit.grounding import Grounder
from audit.text import clip, one_line
from audit.types import Catalog, Event, Request, Usage
from defenses.smoothing.writer import Writer

if TYPE_CHECKING:
    from audit.data.dataset import Dataset

_ITEMS = Template(
    "A person chose: $kept.\nName $count other titles that this person probably chose too. "
    "Write titles only, one per line."
)
_LEAD = "1. "
_TOKENS_PER_TITLE = 14
_SHOWN = 120


@dataclass(frozen=True)
class Proposal:
    """What a filler proposes for one copy.

    Attributes:
        events: events to add, best first, each with the position of the kept event it belongs to; -1 for none.
        usage: what proposing cost.
    """

    events: tuple[tuple[Event, int], ...] = ()
    usage: Usage = field(default_factory=Usage)


class Filler(ABC):
    """Proposes items that go with a history.

    Attributes:
        counts: what became of the proposals: `accepted`, `unknown` title, `repeated` item, `nothing` proposed.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @property
    @abstractmethod
    def identity(self) -> str:
        """What the proposals depend on, for the fingerprint."""

    @abstractmethod
    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """Items that go with each copy's history.

        Args:
            copies: with kept events only.
            counts: most items per copy.
        """

    def _noted(self, proposal: Proposal) -> Proposal:
        self.counts["accepted" if proposal.events else "nothing"] += max(len(proposal.events), 1)
        return proposal


def taken(copy: Request) -> set[str]:
    """Ids that must not be added: an item on offer that suddenly stands in the history would change the question."""
    return {e.item.id for e in copy.user.history} | {c.id for c in copy.candidates or ()}


class CooccurrenceFill(Filler):
    """The items that go most with the kept ones, by cosine of the sets of people who have them.

    Args:
        dataset: a log without the users under audit.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset = dataset

    @property
    def identity(self) -> str:
        """The log."""
        return f"cooccurrence {self._dataset.digest}"

    @cached_property
    def _people(self) -> Any:  # noqa: ANN401 - a sparse matrix, for which SciPy has no one public type
        """(items, people) with columns such that the product of two rows is their cosine."""
        from scipy.sparse import csr_array

        users = {user: i for i, user in enumerate(self._dataset.user_ids)}
        items = np.concatenate([np.unique(self._dataset.sequences[user]) for user in users])
        people = np.repeat(np.arange(len(users)), [len(np.unique(self._dataset.sequences[u])) for u in users])
        degree = np.bincount(items, minlength=len(self._dataset.catalog)).astype(np.float64)
        weights_ = 1.0 / np.sqrt(degree[items])
        return csr_array((weights_, (items, people)), shape=(len(self._dataset.catalog), len(users)))

    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """See `Filler.propose`. An added event has the rating and time of the kept one that it goes with most."""
        return [self._noted(self._one(copy, count)) for copy, count in zip(copies, counts, strict=True)]

    def _one(self, copy: Request, count: int) -> Proposal:
        started = time.perf_counter()
        index = self._dataset.index
        known = [(at, index[e.item.id]) for at, e in enumerate(copy.user.history) if e.item.id in index]
        if not known or count < 1:
            return Proposal()
        together: npt.NDArray[np.float64] = (self._people @ self._people[[i for _, i in known]].T).toarray()
        total = together.sum(axis=1)
        total[[index[i] for i in taken(copy) if i in index]] = 0.0
        found = []
        # The order of the catalogue decides a tie.
        for i in np.argsort(-total, kind="stable")[:count]:
            if total[i] <= 0:
                break
            at = known[int(together[i].argmax())][0]
            neighbour = copy.user.history[at]
            found.append((Event(self._dataset.catalog.items_in_order[i], neighbour.rating, neighbour.time), at))
        return Proposal(tuple(found), Usage(seconds=time.perf_counter() - started))


class LanguageFill(Filler):
    """A language model names titles that go with the kept ones; titles of no item in the catalogue are rejected.

    An added event has the rating that most kept events have.

    Args:
        writer: the model.
        catalog: the items it may name.
    """

    def __init__(self, writer: Writer, catalog: Catalog) -> None:
        super().__init__()
        self._writer = writer
        self._catalog = catalog

    @property
    def identity(self) -> str:
        """The model and the catalogue."""
        return f"language model {self._writer.identity} {self._catalog.digest}"

    @cached_property
    def _grounder(self) -> Grounder:
        return Grounder(self._catalog)

    def propose(self, copies: Sequence[Request], counts: Sequence[int]) -> list[Proposal]:
        """See `Filler.propose`."""
        asked = [i for i, count in enumerate(counts) if count > 0]
        questions = [(self._question(copies[i], counts[i]), _LEAD) for i in asked]
        tokens = [_TOKENS_PER_TITLE * counts[i] for i in asked]
        written = dict(zip(asked, self._writer.write(questions, tokens) if asked else (), strict=True))
        return [
            self._noted(self._read(copy, count, *written[i])) if i in written else Proposal()
            for i, (copy, count) in enumerate(zip(copies, counts, strict=True))
        ]

    @staticmethod
    def _question(copy: Request, count: int) -> str:
        kept = "; ".join(clip(one_line(e.item.title), _SHOWN) for e in copy.user.history)
        return _ITEMS.substitute(kept=kept or "nothing yet", count=count)

    def _read(self, copy: Request, count: int, text: str, usage: Usage) -> Proposal:
        closed = taken(copy)
        ratings = Counter(e.rating for e in copy.user.history)
        rating = ratings.most_common(1)[0][0] if ratings else None
        found: list[tuple[Event, int]] = []
        for entry in self._grounder.ground_list(text).ranked:
            if entry.item_id is None:
                self.counts["unknown"] += 1
            elif entry.item_id in closed:
                self.counts["repeated"] += 1
            elif len(found) < count:
                closed.add(entry.item_id)
                found.append((Event(self._catalog[entry.item_id], rating), -1))
        return Proposal(tuple(found), usage)
