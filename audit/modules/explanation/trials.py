"""Attributions put to the test: made by taking items away in one way, judged by taking them away in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from audit.modules.base import Context
from audit.modules.explanation.explained import Case
from audit.modules.explanation.methods import EXACT, Attribution, Method, attributions_of
from audit.modules.explanation.players import Operator
from audit.modules.explanation.removal import (
    Book,
    Floats,
    Ints,
    Marks,
    Span,
    marks,
    random_marks,
    ranked,
    sets_of,
    spans,
)
from audit.modules.explanation.values import Values
from audit.stats import shapley

NEEDED = ("random", "recency", "position", "profile")
"""Orders that a method must beat to be called faithful."""
ALSO = ("popularity", "reverse")
_PAIRS = 10
"""Pairs of random orders per user, where not all sets are known."""


@dataclass(frozen=True)
class Made:
    """The attributions of every case by one method and one operator."""

    method: Method
    operator: Operator
    attributions: Sequence[Attribution]

    @cached_property
    def scaled(self) -> list[Floats]:
        """Per case, φ in units of its mean size: users' margins differ by far more than their reasons do."""
        return [
            one.phi / size if one.usable and (size := float(np.mean(np.abs(one.phi)))) > 0 else np.zeros(len(one.phi))
            for one in self.attributions
        ]

    def profile(self, case: int) -> Floats:
        """What the other users' attributions say of each place, counted from the latest: all that is no preference."""
        n = len(self.attributions[case].phi)
        sums, counts = np.zeros(n), np.zeros(n)
        for other, phi in enumerate(self.scaled):
            if other != case and self.attributions[other].usable:
                reach = min(n, len(phi))
                sums[n - reach :] += phi[len(phi) - reach :]
                counts[n - reach :] += 1
        profile: Floats = np.divide(sums, counts, out=np.full(n, -np.inf), where=counts > 0)
        return np.where(np.isfinite(profile), profile, 0.0)


@dataclass(frozen=True)
class Trial:
    """One method, made with one operator and judged with another, over the cases where both could be read.

    Attributes:
        made: the attributions.
        judge: how items are taken away to judge them.
        cases: numbers of the cases.
        method: what the order of the attribution came to, per case.
        others: the same of the other orders, by name.
        spans: between the worst and the best order, per case.
        left_out: by number of the other cases, why they could not be judged, as the end of a sentence.
    """

    made: Made
    judge: Operator
    cases: tuple[int, ...]
    method: tuple[Marks, ...]
    others: Mapping[str, tuple[Marks, ...]]
    spans: tuple[Span, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)

    @property
    def circular(self) -> bool:
        """Whether it was judged by the operator that made it."""
        return self.judge == self.made.operator

    def mark(self, name: str, of: str | None = None) -> Floats:
        """One mark of the method, or of another order, per case."""
        return np.array([getattr(one, name) for one in (self.method if of is None else self.others[of])])

    def gains(self, against: str) -> Floats:
        """Per case, how much nearer to the best order the attribution comes than another order does."""
        pairs = zip(self.method, self.others[against], self.spans, strict=True)
        return np.array(
            [span.place(a.comprehensiveness) - span.place(b.comprehensiveness) for a, b, span in pairs], dtype=float
        )


def trials(
    context: Context, cases: Sequence[Case], operators: Sequence[Operator], methods: Sequence[Method], evaluations: int
) -> list[Trial]:
    """Make every attribution with every operator, and judge it with the next.

    With a single operator nothing else is left than to judge by the same one (`Trial.circular`).
    """
    values = {operator: Values(context, cases, operator) for operator in operators}
    books = {operator: Book(values[operator]) for operator in operators}
    found = []
    for place, operator in enumerate(operators):
        judge = operators[(place + 1) % len(operators)]
        made = [
            Made(
                method,
                operator,
                attributions_of(method, values[operator], context.rng("explanation", method, operator), evaluations),
            )
            for method in methods
        ]
        found += _judged(context, made, books[judge], evaluations)
    return found


def _judged(context: Context, made: Sequence[Made], book: Book, evaluations: int) -> list[Trial]:
    cases = book.values.cases
    blind, orders, random = [], [], []
    for c, case in enumerate(cases):
        n = len(book.values.players[c])
        rng = context.rng("explanation", "orders", case.id)
        blind.append(_blind(book, c, rng))
        random.append([] if _listed(n, evaluations) else list(shapley.antithetic_orders(n, _PAIRS, rng)))
        orders.append([_own(one, c, rng) for one in made])
    wanted = {}
    for c in range(len(cases)):
        n = len(book.values.players[c])
        mine = [order for own in orders[c] if own for order in own.values()]
        wanted[c] = (
            shapley.subsets(n)
            if _listed(n, evaluations)
            else [s for order in [*blind[c].values(), *random[c], *mine] for s in sets_of(order)]
        )
    book.fetch(wanted)
    chance = [random_marks(book, c, random[c]) for c in range(len(cases))]
    table = [
        [
            None
            if own is None
            else {name: marks(book, c, order) for name, order in {**blind[c], **own}.items()} | {"random": chance[c]}
            for own in orders[c]
        ]
        for c in range(len(cases))
    ]
    seen = {
        c: [m.comprehensiveness for one in row if one is not None for m in one.values()] for c, row in enumerate(table)
    }
    readable = {c: values for c, values in seen.items() if values and np.isfinite(values).all()}
    span = spans(book, readable, evaluations)
    return [
        _trial(one, book.values, {c: row for c in readable if (row := table[c][m]) is not None}, span)
        for m, one in enumerate(made)
    ]


def _trial(made: Made, judge: Values, rows: Mapping[int, Mapping[str, Marks]], span: Mapping[int, Span]) -> Trial:
    cases = tuple(c for c in rows if np.isfinite([m.sufficiency for m in rows[c].values()]).all())
    unread = f"not every answer with items taken away by {judge.operator} could be read"
    return Trial(
        made,
        judge.operator,
        cases,
        tuple(rows[c]["method"] for c in cases),
        {name: tuple(rows[c][name] for c in cases) for name in (*NEEDED, *ALSO)},
        tuple(span[c] for c in cases),
        {c: one.unmet or judge.unmet.get(c, unread) for c, one in enumerate(made.attributions) if c not in cases},
    )


def _listed(n: int, evaluations: int) -> bool:
    """Whether every set of so many items is asked."""
    return n <= EXACT and 1 << n <= evaluations


def _blind(book: Book, c: int, rng: np.random.Generator) -> dict[str, Ints]:
    case = book.values.cases[c]
    history = case.request.user.history[case.first :]
    known = book.values.context.dataset.popularity
    popular = np.array([known.get(event.item.id, 0) for event in history], dtype=np.float64)
    forward = np.arange(len(history), dtype=np.int64)
    return {"recency": forward[::-1], "position": forward, "popularity": ranked(popular, rng.random(len(history)))}


def _own(made: Made, c: int, rng: np.random.Generator) -> dict[str, Ints] | None:
    one = made.attributions[c]
    if not one.usable:
        return None
    # One lot for both, so that where the attribution is the profile, the two orders are one.
    lot = rng.random(len(one.phi))
    own, profile = ranked(one.phi, lot), ranked(made.profile(c), lot)
    return {"method": own, "profile": profile, "reverse": own[::-1]}
