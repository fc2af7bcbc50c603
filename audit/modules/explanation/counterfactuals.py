"""The smallest set of items without which a recommendation would be another one, and whether that holds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice

import numpy as np

from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.explanation.counterfactual_findings import Checked, report
from audit.modules.explanation.counterfactual_search import Found, Search, Seen, Set, search
from audit.modules.explanation.decisions import Decider
from audit.modules.explanation.explained import DRAWS, Case, clean_asks, explained, unweighed
from audit.modules.explanation.module import INFO
from audit.modules.explanation.players import OPERATORS, Operator, check_items, kept, players, swaps_for
from audit.modules.explanation.values import Values
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.types import Answer, Request


@dataclass(frozen=True)
class Counterfactuals:
    """Items of the history are taken away until the recommendation changes; what is found is asked again.

    Attributes:
        users: how many users' answers are explained.
        operators: how items are taken away; the search is run under each.
        evaluations: the most sets that the search may try per answer and operator.
        items: how many of the latest items of a history may be taken away; None for all.
        repeats: how often a set that was found is asked again, and the clean request with it.
        placebos: random sets of the same size that each set is held against.
    """

    users: int = 20
    operators: Sequence[str] = ("delete", "swap")
    evaluations: int = 256
    items: int | None = None
    repeats: int = 10
    placebos: int = 5

    def __post_init__(self) -> None:
        for name, least, why in (
            ("users", 2, "; an interval needs two users"),
            ("evaluations", 1, "; without a question nothing can be found"),
            ("repeats", 2, "; with one, chance cannot be told from a change"),
            ("placebos", 1, ""),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}{why}")
        check_items(self.items, 1)
        if isinstance(self.operators, str) or not self.operators:
            raise ValueError(f"operators: {self.operators!r} must be a list, such as [delete, swap]")
        if unknown := [o for o in self.operators if o not in OPERATORS]:
            raise ValueError(f"operators: {unknown[0]!r} must be one of {', '.join(OPERATORS)}")

    def lacking(self, context: Context) -> str | None:
        """The target must rank or score what it reads from a history."""
        if context.task == "answer":
            return "the target answers in free text, where a change of words is no change of the recommendation"
        if not any(case.request.user.history for case in context.cases[: self.users]):
            return "no request under audit holds a history"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """As many questions as the search may ask; which sets it tries hangs on the answers."""
        clean = clean_asks(context, self.users)
        requests = list({ask.request.digest: ask.request for ask in clean}.values())
        asks = [*clean, *(Ask(request, repeat) for request in requests for repeat in range(1, self.repeats + 1))]
        draws = DRAWS if context.info.randomised else 1
        tried = [sets for request in requests for sets in self._sets(context, request)]
        asks += [Ask(sets[0], draws + repeat) for sets in tried for repeat in range(self.repeats)]
        return asks + [Ask(one, draw) for sets in tried for one in sets for draw in range(draws)]

    def stand_ins(self, context: Context) -> list[Ask]:
        """See `audit.modules.parts.Part`: as many sets as the search may try, the smallest ones."""
        draws = DRAWS if context.info.randomised else 1
        requests = {ask.request.digest: ask.request for ask in clean_asks(context, self.users)}.values()
        tried = [one for request in requests for sets in self._sets(context, request) for one in sets]
        return [Ask(one, draw) for one in tried for draw in range(draws)]

    def _sets(self, context: Context, request: Request) -> list[list[Request]]:
        """Per operator, requests with a set of items taken away: none first."""
        theirs = players(request, items=self.items)
        found: list[list[Request]] = []
        for operator in self._operators if theirs else ():
            rng = context.rng("explanation", "swap", request.digest)
            swaps = swaps_for(request, theirs, context.dataset, rng) if operator == "swap" else {}
            if swaps is None:
                continue
            every = chain.from_iterable(combinations(range(len(theirs)), k) for k in range(len(theirs)))
            most = self.evaluations + self.placebos + len(self._operators) - 1
            found.append([kept(request, theirs, frozenset(one), operator, swaps) for one in islice(every, most)])
        return found

    def run(self, context: Context, *, examples: int) -> Output:
        """Search, ask again, and conclude."""
        stable = explained(context, self.users, items=self.items)
        whole = {case.id: case.request for case in context.cases}
        cases = [_with_decision(case, whole) for case in stable.cases]
        empty = sum(not case.request.user.history for case in cases)
        cases = [case for case in cases if case.request.user.history]
        card = ReportCard(INFO.id, context.level, INFO.controls)
        sheet = Sheet(context, card, Output(), examples)
        said = _left_out(len(stable.unstable), len(stable.unanswered), empty)
        said = (said + unweighed(cases)).removeprefix("; ")
        checked = {operator: self._checked(context, cases, operator) for operator in self._operators}
        self._elsewhere({operator: those for operator, (those, _) in checked.items()})
        for operator, (those, unmet) in checked.items():
            report(sheet, operator, those, "; ".join(part for part in (said, unmet) if part))
        card.findings = card.corrected()
        return Output(card.findings, sheet.output.evidence, card.values)

    @property
    def _operators(self) -> tuple[Operator, ...]:
        return tuple(operator for operator in OPERATORS if operator in self.operators)

    def _checked(self, context: Context, cases: Sequence[Case], operator: Operator) -> tuple[list[Checked], str]:
        """What was searched under one operator, and how many could not be, and why."""
        if not cases:
            return [], ""
        values = Values(context, cases, operator)
        unmet = values.unmet_said
        if values.unmet:
            cases = [case for number, case in enumerate(cases) if number not in values.unmet]
            if not cases:
                return [], unmet
            values = Values(context, cases, operator)
        clean = values.answers([[frozenset(range(len(theirs)))] for theirs in values.players])
        deciders = [Decider.of(case, answers[0]) for case, answers in zip(cases, clean, strict=True)]
        ends = self._searched(values, deciders)
        again = self._asked_again(context, values, ends)
        placebos = self._placebos(context, values, deciders, ends)
        those = [
            Checked(values, number, decider, found, *again[number], placebos[number])
            for number, (decider, found) in enumerate(zip(deciders, ends, strict=True))
        ]
        return those, unmet

    def _searched(self, values: Values, deciders: Sequence[Decider]) -> list[Found]:
        """All searches in step, so that their questions reach the target together."""
        searches: dict[int, Search] = {
            number: search(len(values.players[number]), decider.clean, self.evaluations)
            for number, decider in enumerate(deciders)
        }
        wanted = {number: next(going) for number, going in searches.items()}
        ends: dict[int, Found] = {}
        while wanted:
            seen = _taken(values, deciders, wanted)
            still = {}
            for number, came in seen.items():
                try:
                    still[number] = searches[number].send(came)
                except StopIteration as end:
                    ends[number] = end.value
            wanted = still
        return [ends[number] for number in range(len(deciders))]

    def _asked_again(
        self, context: Context, values: Values, ends: Sequence[Found]
    ) -> list[tuple[list[Answer], list[Answer], int]]:
        """Fresh answers before and after, of every set that was found, and the first repeat among them."""
        # The answers that the search itself has seen would confirm what they were chosen for.
        fresh = range(values.draws, values.draws + self.repeats)
        asks = []
        for number, found in enumerate(ends):
            if found.removed is not None:
                clean, edited = (
                    values.cases[number].request,
                    values.request(number, _rest(values, number, found.removed)),
                )
                asks += [Ask(request, repeat) for request in (clean, edited) for repeat in fresh]
        told = iter(context.gateway.ask(asks, label="counterfactuals, asked again"))
        return [
            ([], [], fresh.start)
            if found.removed is None
            else ([next(told) for _ in fresh], [next(told) for _ in fresh], fresh.start)
            for found in ends
        ]

    def _placebos(
        self, context: Context, values: Values, deciders: Sequence[Decider], ends: Sequence[Found]
    ) -> list[float]:
        """Share of random sets of the same size that change the recommendation too; 0 where no set was found to."""
        wanted: dict[int, list[Set]] = {}
        for number, found in enumerate(ends):
            if found.removed is not None:
                n, size = len(values.players[number]), len(found.removed)
                rng = context.rng("explanation", "counterfactuals", values.operator, values.cases[number].id)
                draws = [rng.choice(n, size=size, replace=False) for _ in range(self.placebos)]
                wanted[number] = [frozenset(int(i) for i in draw) for draw in draws]
        seen = _taken(values, deciders, wanted)
        return [
            float(np.mean([bool(came.changed) for came in seen[number]])) if number in seen else 0.0
            for number in range(len(ends))
        ]

    def _elsewhere(self, checked: Mapping[Operator, Sequence[Checked]]) -> None:
        """Whether what was found under one operator changes the recommendation under another too."""
        for operator, mine in checked.items():
            for other, those in checked.items():
                if other == operator or not those:
                    continue
                # Not every case can be asked under every operator.
                number = {one.id: one.number for one in those}
                both = [one for one in mine if one.found.removed is not None and one.id in number]
                wanted = {number[one.id]: [one.found.removed or frozenset()] for one in both}
                seen = _taken(those[0].values, [one.decider for one in those], wanted)
                for one in both:
                    one.elsewhere[other] = bool(seen[number[one.id]][0].changed)


def _taken(values: Values, deciders: Sequence[Decider], wanted: Mapping[int, Sequence[Set]]) -> dict[int, list[Seen]]:
    """What comes of taking sets away, by case."""
    sets = [[_rest(values, number, one) for one in wanted.get(number, ())] for number in range(len(values.cases))]
    told = values.answers(sets)
    return {number: [deciders[number].seen(draws) for draws in told[number]] for number in wanted}


def _rest(values: Values, number: int, removed: Set) -> Set:
    return frozenset(range(len(values.players[number]))) - removed


def _with_decision(case: Case, whole: Mapping[str, object]) -> Case:
    """A `score` case without yes or no is asked about all its items again: of one alone the best is no decision."""
    request = whole[case.id]
    lone = case.request.task == "score" and case.yes is None and len(case.request.candidates or ()) == 1
    return replace(case, request=request) if lone else case  # type: ignore[arg-type]


def _left_out(unstable: int, unanswered: int, empty: int) -> str:
    parts = [f"{unstable} with no stable recommendation, not explained"] if unstable else []
    parts += [f"{unanswered} whose answer could not be read"] if unanswered else []
    parts += [f"{empty} with no history to take from"] if empty else []
    return "; ".join(parts)
