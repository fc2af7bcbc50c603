"""`Smoothed`: a target that answers by the votes of many copies of the request.

How to build on it:

- A defense that is only a way of making copies (SmoothLLM: random characters; SAFER: words from a fixed table of
  synonyms) subclasses `Smoothed` and writes `copies`. Everything else is here.
- A defense whose copies keep some *units* of the request and lose the others (Self-Denoise; RanMASK: words behind mask
  marks) subclasses `defenses.smoothing.ablation.Ablation`, which writes `copies` from a kernel and certifies.
- What rewrites copies with the help of a model, such as a denoiser, overrides `refine`: it gets the copies of all
  requests at once.
- A task whose answers cannot be counted (`answer`) needs its own `vote`.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from audit.defense import Defended, DefenseInfo
from audit.target import Recommender, describe
from audit.types import Answer, Request, Usage
from defenses.smoothing.votes import Counting, mean_scores

Copy = Request | None
"""One copy to ask about; None where nothing is left to ask, which is a vote for nobody."""

MEMO = 200_000
"""Entries of answers that are remembered: some 100 MB."""


class Smoothed(Defended):
    """Asks about many copies of each request at once, and counts the votes.

    While the inner target is deterministic and says what it is (`TargetInfo.fingerprint`), its answers to copies are
    remembered: the candidates of an adaptive attack share nearly all their copies. A remembered answer still counts
    its calls, tokens and seconds, so that the cost of an answer does not depend on what was asked before.

    Args:
        target: what is protected.
        defense: declaration of the defense.
        options: see `Defended`. What `counting` holds is added.
        samples: copies per answer.
        counting: how votes become an answer.
        memo: entries of answers remembered, at most: a long list costs more than a short one.
    """

    def __init__(
        self,
        target: Recommender,
        defense: DefenseInfo,
        options: Mapping[str, object],
        *,
        samples: int,
        counting: Counting | None = None,
        memo: int = MEMO,
    ) -> None:
        self.counting = Counting() if counting is None else counting
        super().__init__(target, defense, {**options, "samples": samples, "counting": vars(self.counting)})
        self.samples = samples
        self._memo: OrderedDict[str, Answer] = OrderedDict()
        self._memo_size = memo
        self._memo_held = 0
        # A gateway may have several calls to a remote target in flight.
        self._lock = threading.Lock()

    @cached_property
    def decides(self) -> bool:
        """Whether scores are probabilities of a yes, as those of a target are that is built for the task `score`."""
        return describe(self.target).tasks[0] == "score"

    @abstractmethod
    def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
        """Copies of one request, before `refine`.

        Args:
            request: what is asked.
            draw: which independent draw; equal draws give equal copies.
            n: how many are wanted. A defense that enumerates its copies may return another number.
        """

    def refine(self, copies: Sequence[Copy], draws: Sequence[int]) -> Sequence[tuple[Copy, Usage]]:
        """Rewrite the copies of all requests, each from itself alone; by default nothing is done.

        Args:
            copies: of all requests, one after the other.
            draws: per copy, a number that tells apart what is to be drawn independently.

        Returns:
            Per copy what is to be asked, and what making it cost.
        """
        return [(copy, Usage()) for copy in copies]

    def vote(self, request: Request, answers: Sequence[Answer | None]) -> Answer:
        """The smoothed answer from the answers to the copies, without usage; None stands for a copy not asked.

        The scores of a target that is built to rank, such as log-probabilities, are no probabilities of a yes: their
        mean is taken. Counted as decisions they would be flat, and hide from an adversary what the target shows.
        """
        if request.task == "score" and not self.decides:
            return mean_scores(request, answers)
        return self.counting.answer(request, self.counting.votes(request, answers))

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Make copies, ask about them all together, and count."""
        sets = [self.copies(request, draw, self.samples) for request, draw in zip(requests, draws, strict=True)]
        asked, spent = self.ask_copies(requests, sets, draws)
        return [
            replace(self.vote(request, answers), usage=usage)
            for request, answers, usage in zip(requests, asked, spent, strict=True)
        ]

    def ask_copies(
        self, requests: Sequence[Request], sets: Sequence[Sequence[Copy]], draws: Sequence[int]
    ) -> tuple[list[list[Answer | None]], list[Usage]]:
        """Refine and ask about the copies of all requests together.

        Returns:
            Per request the answers to its copies, in their order, and what all of them cost.
        """
        flat = [self._asked_as(r, copy) for r, copies in zip(requests, sets, strict=True) for copy in copies]
        # Draws of different copies, and of different requests' draws, never coincide.
        numbers = [
            draw * max(len(copies), self.samples) + i
            for draw, copies in zip(draws, sets, strict=True)
            for i in range(len(copies))
        ]
        refined = self.refine(flat, numbers)
        answered = iter(self._remembered([copy for copy, _ in refined], numbers))
        cost = iter([usage for _, usage in refined])
        found, spent = [], []
        for copies in sets:
            answers = [next(answered) for _ in copies]
            found.append(answers)
            asked = sum((a.usage for a in answers if a is not None), Usage())
            spent.append(sum((next(cost) for _ in copies), asked))
        return found, spent

    def _asked_as(self, request: Request, copy: Copy) -> Copy:
        """The copy with the list length that votes are counted to."""
        depth = self.counting.depth
        if copy is None or depth is None or request.task != "rank" or copy.k == depth:
            return copy
        return replace(copy, k=depth)

    def _remembered(self, copies: Sequence[Copy], draws: Sequence[int]) -> list[Answer | None]:
        """Answers to copies, from memory where they are there."""
        if not self._deterministic:
            return self._ask_present(copies, draws)
        known: dict[str, Answer] = {}
        with self._lock:
            for copy in copies:
                if copy is not None and copy.digest in self._memo:
                    self._memo.move_to_end(copy.digest)
                    known[copy.digest] = self._memo[copy.digest]
        missing = [None if copy is None or copy.digest in known else copy for copy in copies]
        answers = self._ask_present(missing, draws)
        with self._lock:
            for copy, answer in zip(missing, answers, strict=True):
                if copy is not None and answer is not None:
                    known[copy.digest] = answer
                    # A failure may be a passing one, so it is not remembered.
                    if answer.outcome == "ok" and copy.digest not in self._memo:
                        self._memo[copy.digest] = answer
                        self._memo_held += _weight(answer)
            while self._memo and self._memo_held > self._memo_size:
                self._memo_held -= _weight(self._memo.popitem(last=False)[1])
        return [None if copy is None else known[copy.digest] for copy in copies]

    def _ask_present(self, copies: Sequence[Copy], draws: Sequence[int]) -> list[Answer | None]:
        present = [(copy, draw) for copy, draw in zip(copies, draws, strict=True) if copy is not None]
        answers = iter(self.ask([copy for copy, _ in present], [draw for _, draw in present]) if present else [])
        return [None if copy is None else next(answers) for copy in copies]

    @cached_property
    def _deterministic(self) -> bool:
        inner = describe(self.target)
        return inner.fingerprint is not None and not inner.randomised


def _weight(answer: Answer) -> int:
    return 1 + len(answer.ranked) + len(answer.tool_calls)
