"""Whether histories can be drawn out: the beginning of one is given, and the rest is asked for.

A good recommender names some next items of people whom it never saw. So a rate by itself is no leak: it is held against
the guesses of popularity and of similar items, and where it is known who was trained on, against the rate of those who
were left out by a coin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audit.gateway import Ask
from audit.grounding import Grounder
from audit.modules.base import Context, Output
from audit.modules.privacy.extraction_findings import GUESSES, Judge, Read
from audit.modules.privacy.histories import Beginning, Form, Guesses, beginnings, form_of, shares
from audit.modules.privacy.known import check_members, split_of
from audit.modules.privacy.module import INFO
from audit.modules.report_card import ReportCard
from audit.target import Input
from audit.types import Answer, Task


@dataclass(frozen=True)
class Extraction:
    """Whether histories can be drawn out.

    Attributes:
        members: who was trained on: a file or a folder with `members.json`; None for what the target itself says. Where
            nobody says, everybody is asked about, and nothing is concluded about the training.
        prefixes: how many events are given away; one experiment each.
        ahead: how many further items are asked for.
        users: the most users of each side, 0 for all.
        samples: how often each is asked; the mean counts. More than one only tells something of targets that draw.
        candidates: how many items are offered, for targets that must be given some.
        instruction: what a target that writes text is asked; None for `histories.INSTRUCTION`.
    """

    members: str | None = None
    prefixes: tuple[int, ...] = (5,)
    ahead: int = 5
    users: int = 100
    samples: int = 1
    candidates: int = 20
    instruction: str | None = None

    def __post_init__(self) -> None:
        check_members(self.members)
        for name, least in (("ahead", 1), ("users", 0), ("samples", 1), ("candidates", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        whole = isinstance(self.prefixes, list | tuple) and all(
            isinstance(k, int) and not isinstance(k, bool) and k >= 1 for k in self.prefixes
        )
        if not whole or not self.prefixes or len(set(self.prefixes)) < len(self.prefixes):
            raise ValueError(f"prefixes: {self.prefixes!r} must be a list of different whole numbers of at least 1")
        if self.candidates <= self.ahead:
            raise ValueError(f"candidates: {self.candidates!r} must be more than ahead, which is {self.ahead}")
        if self.instruction is not None and (not isinstance(self.instruction, str) or not self.instruction.strip()):
            raise ValueError(f"instruction: {self.instruction!r} must be a text; leave it out for that of the audit")

    def lacking(self, context: Context) -> str | None:
        """The target must continue a history, and the log must have some that are long enough."""
        if Input.HISTORY not in context.info.honours:
            return "the target does not read the history of a request, so that nothing can be continued"
        if not _tasks(context):
            return "the target gives no lists and writes no text"
        most = context.info.max_candidates
        if "answer" not in context.info.tasks and most is not None and most <= self.ahead:
            return (
                f"the target takes {most} candidates, and {self.ahead} items are to be found among others; lower ahead"
            )
        if not any(questions for _, questions in self._experiments(context)):
            return f"no user has new events behind the first {min(self.prefixes)}; lower extraction.prefixes"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every beginning, as often as it is asked."""
        return [
            Ask(question.request, repeat)
            for _, questions in self._experiments(context)
            for question in questions
            for repeat in range(self.samples)
        ]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask for the rest of each history and compare."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        guesses = Guesses(context.dataset, context.rng("privacy", "extraction", "halves"))
        reader = _Reader(context)
        for form, questions in self._experiments(context):
            if not questions:
                reason = f"no user has new events behind the first {form.prefix}"
                card.skip("extraction_rate", "Histories", reason, task=form.task, prefix=form.prefix)
                continue
            asks = [Ask(q.request, repeat) for q in questions for repeat in range(self.samples)]
            # Stored without their requests: these hold what members did.
            answers = context.gateway.ask(asks, label=f"privacy: extraction, {form.task}", lean=True)
            found = [
                reader.read(question, answers[n * self.samples : (n + 1) * self.samples])
                for n, question in enumerate(questions)
            ]
            lists = [guesses.lists(question) for question in questions]
            null = {
                name: np.array([shares(one[name], q.ahead) for one, q in zip(lists, questions, strict=True)])
                for name in GUESSES
            }
            Judge(context, card, output, examples, form, questions, found, null).all()
        return Output(card.corrected(), output.evidence, card.values)

    def _experiments(self, context: Context) -> list[tuple[Form, list[Beginning]]]:
        users = self._users(context)
        return [
            (form, beginnings(context, users, form))
            for task in _tasks(context)
            for prefix in self.prefixes
            for form in [form_of(context, task, prefix, self.ahead, self.candidates, self.instruction)]
        ]

    def _users(self, context: Context) -> dict[str, str]:
        """Side by user; drawn alike from both sides."""
        split = split_of(context, self.members)
        sides: Mapping[str, Sequence[str]] = {"everyone": context.dataset.user_ids}
        if split is not None and split.inside and split.outside:
            sides = {"members": split.inside, "others": split.outside}
        found: dict[str, str] = {}
        for side, users in sides.items():
            order = context.rng("privacy", "extraction", side).permutation(len(users)).tolist()
            found |= {users[i]: side for i in sorted(order[: self.users or None])}
        return found


def _tasks(context: Context) -> list[Task]:
    """Lists and free text alike, whichever the target gives."""
    return [task for task in ("rank", "answer") if task in context.info.tasks]


@dataclass(frozen=True)
class _Reader:
    context: Context

    @cached_property
    def _grounder(self) -> Grounder:
        return Grounder(self.context.dataset.catalog)

    def read(self, question: Beginning, answers: Sequence[Answer]) -> Read:
        """Of an answer that cannot be read nothing was drawn out; it is counted."""
        values, unread = [], 0
        for answer in answers:
            listed = self._listed(question, answer)
            unread += listed is None
            values.append(shares(listed or (), question.ahead))
        items, exact = np.mean(values, axis=0).tolist()
        return Read((items, exact), unread)

    def _listed(self, question: Beginning, answer: Answer) -> list[str | None] | None:
        if answer.outcome != "ok":
            return None
        given = {event.item.id for event in question.request.user.history}
        if question.request.task == "answer" and answer.text is not None:
            grounded = self._grounder.ground_list(
                answer.text, history=[event.item for event in question.request.user.history]
            )
            if grounded.outcome != "ok":
                return None
            listed = [entry.item_id for entry in grounded.ranked]
        else:
            listed = [entry.item_id for entry in answer.ranked]
        # What was told to it is no extraction.
        return [item for item in listed if item not in given][: question.request.k]
