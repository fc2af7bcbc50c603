"""v(S): what a recommendation is worth to the target when only the players of S are left in its request."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.explanation.explained import DRAWS, Case, reading_of
from audit.modules.explanation.players import NO_SWAP, Operator, Player, Swap, kept, players, swaps_for
from audit.modules.explanation.reading import Scale
from audit.types import Answer, Request

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_BODIES = 3
"""Players taken away up to which the request is stored too, so that evidence can show it."""


class Values:
    """Answers v(S) for many cases and sets at once; equal questions are asked once.

    Attributes:
        context: what is audited.
        cases: what is explained.
        operator: how players are taken away.
        fields: whose parts are players.
        scale: how v is read.
        players: of each case.
        swaps: of each case, what stands in the places of its players where one is needed.
        unmet: by number, why the players of a case cannot be taken away in this way, as the end of a sentence. Its
            clean request can be asked, every other set has an answer that is an error, and nothing is sent for it.
    """

    def __init__(
        self,
        context: Context,
        cases: Sequence[Case],
        operator: Operator,
        fields: Sequence[str] = ("history",),
        *,
        draws: int = DRAWS,
    ) -> None:
        """Ask nothing yet.

        Args:
            context: what is audited.
            cases: as `explained` gives them.
            operator: how players are taken away.
            fields: whose parts are players.
            draws: answers per set of a target that draws at random.
        """
        self.context = context
        self.cases = tuple(cases)
        self.operator: Operator = operator
        self.fields = tuple(fields)
        self._reading = reading_of(context, self.cases)
        self.draws = draws if self._reading.random else 1
        self.players: tuple[tuple[Player, ...], ...] = tuple(
            players(case.request, self.fields, case.items) for case in self.cases
        )
        drawn = [self._swaps(case, theirs) for case, theirs in zip(self.cases, self.players, strict=True)]
        self.swaps: tuple[dict[str, Swap], ...] = tuple(one or {} for one in drawn)
        self.unmet: dict[int, str] = {number: NO_SWAP for number, one in enumerate(drawn) if one is None}

    @property
    def unmet_said(self) -> str:
        """Cases whose players cannot be taken away in this way, counted, with the reason; empty where all can."""
        reasons = Counter(self.unmet.values())
        return "; ".join(f"{n} of {len(self.cases)} left out because {reason}" for reason, n in reasons.items())

    @property
    def scale(self) -> Scale:
        """How v is read."""
        return self._reading.scale

    def request(self, number: int, subset: frozenset[int]) -> Request:
        """The request of case `number` in which only the players of `subset` are left."""
        return kept(self.cases[number].request, self.players[number], subset, self.operator, self.swaps[number])

    def of(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Floats]:
        """v(S) of every set.

        Args:
            subsets: per case, the sets of players that stay.

        Returns:
            Per case, one value per set; NaN where an answer could not be read.
        """
        return [means for means, _ in self._measured(subsets)]

    def errors(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Floats]:
        """Standard errors of v(S): 0 for a target that does not draw."""
        return [errors for _, errors in self._measured(subsets)]

    def decisions(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[Bools]:
        """Whether the recommendation still stands: the item is first, or the answer to it is still the same.

        For a target that draws at random: whether half of the draws say so. An answer that cannot be read says no.
        """
        found = []
        for case, answers in zip(self.cases, self.answers(subsets), strict=True):
            stands = [[self._reading.stands(a, case) for a in group] for group in answers]
            found.append(np.array([np.mean(group) >= 0.5 for group in stands], dtype=np.bool_))
        return found

    def answers(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[list[list[Answer]]]:
        """The answers themselves: per case, per set, per draw."""
        questions = [
            (number, one, Ask(self.request(number, one), draw))
            for number, theirs in enumerate(subsets)
            for one in theirs
            if not self._unasked(number, one)
            for draw in range(self.draws)
        ]
        # Neighbours in a batch share the beginning of their prompts, which a language model here then reads once.
        order = sorted(
            range(len(questions)),
            key=lambda q: (
                questions[q][0],
                [i not in questions[q][1] for i in range(len(self.players[questions[q][0]]))],
            ),
        )
        replies = [Answer()] * len(questions)
        for lean in (False, True):
            part = [q for q in order if lean == (len(self.players[questions[q][0]]) - len(questions[q][1]) > _BODIES)]
            asked = self.context.gateway.ask([questions[q][2] for q in part], label="attribution", lean=lean)
            for q, answer in zip(part, asked, strict=True):
                replies[q] = answer
        stream = iter(replies)
        return [
            [
                [Answer(outcome="error", detail=self.unmet[number])] * self.draws
                if self._unasked(number, one)
                else [next(stream) for _ in range(self.draws)]
                for one in theirs
            ]
            for number, theirs in enumerate(subsets)
        ]

    def _unasked(self, number: int, subset: frozenset[int]) -> bool:
        return number in self.unmet and len(subset) < len(self.players[number])

    def _measured(self, subsets: Sequence[Sequence[frozenset[int]]]) -> list[tuple[Floats, Floats]]:
        found = []
        for case, answers in zip(self.cases, self.answers(subsets), strict=True):
            each = np.array([[self._reading.value(a, case) for a in group] for group in answers], dtype=np.float64)
            each = each.reshape(len(answers), self.draws)
            spread = each.std(axis=1, ddof=1) / math.sqrt(self.draws) if self.draws > 1 else np.zeros(len(each))
            found.append((each.mean(axis=1), spread))
        return found

    def _swaps(self, case: Case, theirs: Sequence[Player]) -> dict[str, Swap] | None:
        if self.operator != "swap" and not any(p.field == "candidates" for p in theirs):
            return {}
        rng = self.context.rng("explanation", "swap", case.id)
        return swaps_for(case.request, theirs, self.context.dataset, rng, explained=case.item.id)
