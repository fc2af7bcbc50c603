"""The prompts of the POD-style target: three vectors for the task, then words, then items.

A task is said by its vectors; the words that say the same are there in training, and may be left out when the target is
asked. That is what the method calls prompt distillation.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from audit.targets.zoo.p5_prompts import Layout, Prompt, Prompter
from audit.targets.zoo.p5_vocabulary import Vocabulary
from audit.types import Request

VECTORS = 3
"""Vectors of a task's prompt, as in the released code."""

LIST = 20
"""The longest list of candidates that is read."""

RECOMMEND = (
    "predict the next possible item for the user",
    "what to recommend next for the user?",
    "choose the best item to recommend to the user",
    "can you decide the next item likely to be chosen by the user?",
    "pick the most suitable item and recommend it to the user",
)
"""Wordings of the released templates without their slots, in forms that fit a list of candidates and none."""

RECOMMEND_UNSEEN = "which item to recommend to the user next?"
"""A wording that training never showed, of which it showed all words but the first."""

EXPLAIN = (
    "write an explanation for the user about this item",
    "generate an explanation for the user about this item",
    "can you help generate an explanation for this item?",
    "help the user generate an explanation about this item",
)
"""The same for explanations."""

EXPLAIN_UNSEEN = "can you write an explanation about this item for the user?"


class Job(IntEnum):
    """The three tasks, in the order in which their vectors are numbered."""

    NEXT = 0
    PICK = 1
    EXPLAIN = 2


class PODPrompter(Prompter):
    """Builds prompts.

    * What comes next (`Job.NEXT`): the older items are in the encoder, the most recent ones in the decoder's prefix.
    * Which of some candidates (`Job.PICK`): the candidates are in the encoder, the most recent items in the prefix. A
      list longer than `LIST` is not read: its items are ranked by what comes next.
    * Why an item (`Job.EXPLAIN`): the item comes first in the encoder, then the most recent items.
    """

    def prompt(self, request: Request) -> Prompt:
        """The prompt of a request; for free text, the prompt that finds what is to be explained."""
        if not _picks(request):
            # Words that ask for an explanation say nothing about what to recommend.
            words = "" if request.task == "answer" else request.instruction
            return self.after(self.items(request.user.history[-(self.far + self.near) :]), words)
        recent = self.items(request.user.history[-self.near :] if self.near else ())
        return self.pick([self._index(item.id) for item in request.candidates or ()], recent, request.instruction)

    def after(self, history: list[int], instruction: str) -> Prompt:
        """The prompt that asks what comes after a history of item indices."""
        return (self.soft(Job.NEXT) + self.words(instruction), *self.window(history))

    def pick(self, candidates: Sequence[int], recent: Sequence[int], instruction: str) -> Prompt:
        """The prompt that asks which of some items comes after the most recent ones."""
        return self.soft(Job.PICK) + self.words(instruction), tuple(candidates), tuple(recent)

    def explain(self, item: int, history: Sequence[int], instruction: str) -> Prompt:
        """The prompt that asks why a user with a history might want an item."""
        recent = history[len(history) - min(self.far, len(history)) :]
        return self.soft(Job.EXPLAIN) + self.words(instruction), (item, *recent), ()

    def soft(self, job: Job) -> tuple[int, ...]:
        """The tokens that stand for a task's vectors."""
        return soft_tokens(self.vocabulary, job)

    def layout(self, request: Request) -> Layout:
        """What stands where in the prompt of a request; in free text with candidates, in that of the first of them."""
        events = request.user.history
        if request.task == "answer" and request.candidates:
            job, words, far, near = Job.EXPLAIN, request.instruction, self.far, 0
            first = [("candidates", self._index(request.candidates[0].id))]
        elif _picks(request):
            job, words, far, near = Job.PICK, request.instruction, 0, self.near
            first = [("candidates", self._index(item.id)) for item in request.candidates or ()]
        else:
            job, far, near, first = Job.NEXT, self.far, self.near, []
            words = "" if request.task == "answer" else request.instruction
        start = max(0, len(events) - far - near)
        placed = [(f"history[{start + i}]", item) for i, item in enumerate(self.items(events[start:]))]
        cut = max(0, len(placed) - near)
        marks = tuple(f"{job.name.lower()}_{number}" for number in range(1, VECTORS + 1))
        return Layout(words, (*first, *placed[:cut]), tuple(placed[cut:]), self.soft(job), marks)

    def _index(self, item_id: str) -> int:
        return self.index.get(item_id, len(self.index))


def soft_tokens(vocabulary: Vocabulary, job: Job) -> tuple[int, ...]:
    """The tokens that stand for a task's vectors."""
    first = vocabulary.first_soft + VECTORS * job
    return tuple(range(first, first + VECTORS))


def _picks(request: Request) -> bool:
    return request.task == "rank" and request.candidates is not None and len(request.candidates) <= LIST
