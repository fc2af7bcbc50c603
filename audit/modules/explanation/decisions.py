"""What an answer decides: whether the explained recommendation still stands, and what stands in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from audit.modules.explanation.counterfactual_search import Seen
from audit.types import Answer, Ranked

if TYPE_CHECKING:
    from audit.modules.explanation.explained import Case

Floats = npt.NDArray[np.float64]
RIVALS = 5
"""Items that are watched as what might take the place of the recommendation."""
YES, NO = "yes", "no"
CUT = 0.5
"""Score above which a `score` target says yes."""


@dataclass(frozen=True)
class Decider:
    """Reads the answers about one case.

    An item that was taken out of the history may come back as a recommendation, for many targets leave out only what
    they were told the user has had. It is passed over: what changes then is what is left out, not what is preferred.

    Attributes:
        case: what is explained.
        rivals: names of what might take its place.
        scored: whether leads are differences of scores; else of reciprocal ranks.
        clean: (rivals,) leads of the clean answers.
        share: of the clean answers that name the recommendation first.
    """

    case: Case
    rivals: tuple[str, ...]
    scored: bool
    clean: Floats
    share: float

    @classmethod
    def of(cls, case: Case, answers: Sequence[Answer]) -> Decider:
        """From the clean answers of one case."""
        order: list[str] = [] if case.yes is not None else _names(answers[0], case)
        rivals = tuple(name for name in order if name != case.item.id)[:RIVALS]
        scored = all(entry.score is not None for answer in answers for entry in answer.ranked)
        bare = cls(case, rivals, scored, np.zeros(0), 1.0)
        share = float(np.mean([bare.first(answer) == bare.stands for answer in answers]))
        return cls(case, rivals, scored, bare.leads(answers), share)

    @property
    def stands(self) -> str:
        """The decision that is explained: the item, or yes or no to it."""
        if self.case.yes is None:
            return self.case.item.id
        return YES if self.case.yes else NO

    def first(self, answer: Answer) -> str | None:
        """What an answer decides; None where it cannot be read."""
        if answer.outcome != "ok":
            return None
        if self.case.yes is not None:
            score = next((r.score for r in answer.ranked if r.item_id == self.case.item.id), None)
            return None if score is None else YES if score > CUT else NO
        return next(iter(_names(answer, self.case)), None)

    def seen(self, answers: Sequence[Answer]) -> Seen:
        """What the draws of one set come to: changed where the recommendation's share falls below half of before."""
        decided = [self.first(answer) for answer in answers]
        read = [name for name in decided if name is not None]
        if 2 * len(read) < len(decided):
            return Seen(None, np.full(len(self.clean), np.nan))
        return Seen(read.count(self.stands) < self.share / 2 * len(read), self.leads(answers))

    def instead(self, answers: Sequence[Answer]) -> str:
        """What most of the answers decide that decide otherwise; "" where none does."""
        others = Counter(name for a in answers if (name := self.first(a)) is not None and name != self.stands)
        return max(others, key=lambda name: (others[name], name)) if others else ""

    def leads(self, answers: Sequence[Answer]) -> Floats:
        """(rivals,) mean lead over each rival, or over the cut of a yes or no; NaN where no answer can be read."""
        rows = [self._leads(answer) for answer in answers if self.first(answer) is not None]
        width = 1 if self.case.yes is not None else len(self.rivals)
        return np.mean(rows, axis=0) if rows else np.full(width, np.nan)

    def _leads(self, answer: Answer) -> Floats:
        if self.case.yes is not None:
            score = next(r.score or 0.0 for r in answer.ranked if r.item_id == self.case.item.id)
            lead = _log_odds(score)
            return np.array([lead if self.case.yes else -lead])
        if not self.scored:
            place = {name: 1.0 / rank for rank, name in enumerate(_names(answer, self.case), 1)}
            mine = place.get(self.case.item.id, 0.0)
            return np.array([mine - place.get(rival, 0.0) for rival in self.rivals])
        scores = {name_of(entry): float(entry.score or 0.0) for entry in answer.ranked}
        # What the list leaves out scored no more than its last entry.
        least = min(scores.values(), default=0.0)
        mine = scores.get(self.case.item.id, least)
        return np.array([mine - scores.get(rival, least) for rival in self.rivals])


def name_of(entry: Ranked) -> str:
    """The id of an entry, or the title of what is in no catalogue, marked so that it equals no id."""
    return entry.item_id if entry.item_id is not None else f"\0{entry.title}"


def _names(answer: Answer, case: Case) -> list[str]:
    """What the answer recommends, best first, without what the user has had, unless that is what is explained."""
    had = {event.item.id for event in case.request.user.history} - {case.item.id}
    entries = answer.ranked
    if case.request.task == "score":
        entries = tuple(sorted((r for r in entries if r.score is not None), key=lambda r: -(r.score or 0.0)))
        had = set()  # whatever is asked about is judged, had or not
    return [name for entry in entries if (name := name_of(entry)) not in had]


def _log_odds(score: float) -> float:
    clipped = min(max(score, 1e-12), 1.0 - 1e-12)
    return float(np.log(clipped) - np.log1p(-clipped))
