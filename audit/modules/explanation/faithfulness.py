"""Whether attributions over history items are faithful: the part, its options, and the order in which it asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit import stats
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.explanation import nulls, sanity, stability
from audit.modules.explanation.explained import Case, Explained, explained, unweighed
from audit.modules.explanation.foreseen import foreseen
from audit.modules.explanation.methods import Attribution
from audit.modules.explanation.module import INFO
from audit.modules.explanation.players import OPERATORS, Operator, check_items
from audit.modules.explanation.trial_findings import PART, curves, gains
from audit.modules.explanation.trials import trials
from audit.modules.explanation.values import Values
from audit.modules.explanation.variants import steady_operator
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

_TITLE = "Whether attributions are faithful"
_UNSTABLE = "Recommendations that do not stand when the same is asked again"


@dataclass(frozen=True)
class Faithfulness:
    """Shapley values and leave-one-out are made by one way of taking items away, and judged by another.

    Attributes:
        users: how many users' answers are explained.
        operators: ways of taking items away: `delete`, `placeholder`, `swap`. What is made by one is judged by the
            next, and by the first after the last; with a single one nothing can be called faithful.
        evaluations: the most questions that one answer's attribution may cost.
        items: how many of the latest items of a history are weighed, the older ones staying as they are; None for all.
        sanity: whether to look at what attributions must not do: rest on what is not explained, on an empty place, or
            tell the same item twice apart.
        stability: whether to look at other orders of the history, other wordings, and other draws of the method.
        orders: other orders of the history that are tried.
    """

    users: int = 20
    operators: Sequence[Operator] = ("delete", "swap")
    evaluations: int = 256
    items: int | None = None
    sanity: bool = True
    stability: bool = True
    orders: int = 10

    def __post_init__(self) -> None:
        for name, least in (("users", 2), ("evaluations", 4), ("orders", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        check_items(self.items, 2)
        if isinstance(self.operators, str) or not self.operators:
            raise ValueError(f"operators: {self.operators!r} must be a list of some of {', '.join(OPERATORS)}")
        if wrong := [o for o in self.operators if o not in OPERATORS]:
            raise ValueError(f"operators: {wrong[0]!r} must be one of {', '.join(OPERATORS)}")
        if len(set(self.operators)) < len(self.operators):
            raise ValueError(f"operators: {list(self.operators)} names one twice; name each once")

    def lacking(self, context: Context) -> str | None:
        """The target must rank or score, for users with two past items at least."""
        if context.task == "answer":
            return "the target answers in free text, and what is explained here is the first item of a list, or a score"
        longer = sum(len(case.request.user.history) > 1 for case in self._first(context).cases)
        if longer < 2:
            return (
                f"{longer} users have two past items or more, and 2 are needed: one item has nothing to be ranked among"
            )
        return None

    def plan(self, context: Context) -> list[Ask]:
        """As many questions as it may ask; which ones they are can hang on the answers."""
        return foreseen(
            self._first(context), self.users, self.operators, self.evaluations,
            items=self.items, orders=self.orders if self.stability else 0, sanity_checks=self.sanity,
        )  # fmt: skip

    def run(self, context: Context, *, examples: int) -> Output:
        """Explain, judge and conclude."""
        context = self._first(context)
        found = explained(context, self.users, items=self.items)
        cases = [case for case in found.cases if len(case.request.user.history) > 1]
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        self._unstable(card, found)
        if len(cases) < 2:
            reason = f"{len(cases)} recommendations can be explained, and 2 are needed; {self._left_out(found, cases)}"
            card.skip("comprehensiveness", _TITLE, reason, part=PART)
            return Output(card.findings)
        tried = trials(context, cases, self.operators, ("shapley", "leave-one-out"), self.evaluations)
        inner = Sheet(context, ReportCard(INFO.id, context.level, INFO.controls), output, examples)
        # A way of taking away that does not hang on the place.
        steady = steady_operator(self.operators)
        null = nulls.nulls(context, cases, steady, self.evaluations)
        rulings = gains(inner, tried, cases, null.against(context))
        rest = Sheet(context, ReportCard(INFO.id, context.level, INFO.controls, correction="bh"), output, examples)
        for trial, ruling in zip(tried, rulings, strict=True):
            values = Values(context, cases, trial.made.operator)
            note = f"; {self._left_out(found, cases)}{self._flips(trial.cases, trial.made.attributions, values)}"
            note += unweighed(cases)
            curves(rest, trial, ruling, cases, values, note)
        nulls.report(rest, cases, null, steady)
        made = [trial.made for trial in tried[:2]]  # the two methods by the first operator
        if self.sanity:
            sanity.report(rest, cases, made, null.base, steady, self.evaluations)
        if self.stability:
            stability.report(rest, cases, made[0], null.base, steady, self.orders, self.evaluations)
        findings = [*card.findings, *inner.card.findings, *rest.card.corrected()]
        return Output(findings, output.evidence, card.values | inner.card.values | rest.card.values)

    @staticmethod
    def _first(context: Context) -> Context:
        """With the first request of each user alone: the user is the unit."""
        firsts = {case.unit: case for case in reversed(context.cases)}
        return replace(context, cases=[case for case in context.cases if firsts[case.unit] is case])

    def _unstable(self, card: ReportCard, found: Explained) -> None:
        answered = len(found.cases) + len(found.unstable)
        if not answered:
            card.skip(
                "unstable_rate", _UNSTABLE, "no clean question was answered by an item of the catalogue", part=PART
            )
            return
        card.add(
            "unstable_rate", _UNSTABLE, stats.wilson(len(found.unstable), answered, card.level), n=answered,
            direction="higher_is_worse", params={"part": PART},
            note="no stable recommendation, not explained: the first item changes, or its lead is within the noise of "
            f"repeats, or there is none; {len(found.unanswered)} answers could not be read",
            values={one.id: 0.0 for one in found.cases} | dict.fromkeys(found.unstable, 1.0),
        )  # fmt: skip

    @staticmethod
    def _left_out(found: Explained, cases: Sequence[Case]) -> str:
        short = len(found.cases) - len(cases)
        return (
            f"{len(cases)} explained, {len(found.unstable)} without a stable recommendation, {len(found.unanswered)} "
            f"not answered, {short} with fewer than two past items"
        )

    @staticmethod
    def _flips(judged: Sequence[int], made: Sequence[Attribution], values: Values) -> str:
        """How often the recommendation falls without the item named first, and without any one item on average."""
        if not judged:
            return ""
        everyone = [frozenset(range(len(theirs))) for theirs in values.players]
        singles = [[one - {i} for i in sorted(one)] if c in judged else [] for c, one in enumerate(everyone)]
        stands = values.decisions(singles)
        first = float(np.mean([not stands[c][int(made[c].order[0])] for c in judged]))
        chance = float(np.mean([np.mean(~stands[c]) for c in judged]))
        return (
            f"; without the item named first the recommendation falls for {first:.0%} of users, without a random one "
            f"for {chance:.0%}"
        )
