"""What the faithfulness part may ask, for a price: the questions of every user, as if each had an answer to explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.explanation import nulls, sanity, stability
from audit.modules.explanation.explained import DRAWS, REPEATS, Case, clean_asks
from audit.modules.explanation.methods import EXACT
from audit.modules.explanation.players import Operator, kept, players, swaps_for
from audit.modules.explanation.removal import FEW, SHARES, Subset, sets_of
from audit.modules.explanation.variants import reordered, reworded, steady_operator
from audit.stats import shapley

_PAIRS = 10
_SEARCHES = 2


def foreseen(
    context: Context,
    users: int,
    operators: Sequence[Operator],
    evaluations: int,
    *,
    items: int | None,
    orders: int,
    sanity_checks: bool,
) -> list[Ask]:
    """At least as many questions as will be asked; which orders are drawn, and for which item, hangs on the answers."""
    requests = [ask.request for ask in clean_asks(context, users, 1)]
    pool = context.dataset.catalog.items_in_order
    cases = [
        Case(case.id, case.unit, request, (request.candidates or pool)[0], None, 0.0, "", items=items)
        for case, request in zip(context.cases[:users], requests, strict=True)
        if len(request.user.history) > 1
    ]
    asks = clean_asks(context, users, REPEATS)
    wide = context.info.randomised
    asks += [Ask(c.request, draw) for c in cases for draw in range(DRAWS if wide else 0)]
    for operator in operators:
        for case in cases:
            asks += _asked(context, case, operator, _sets(context, case, operator, evaluations), wide)
    steady = steady_operator(operators)
    for variant in (one for mine in nulls.shuffled_candidates(context, cases) for one in mine):
        asks += _asked(context, variant, steady, _without_one(variant)[:1], wide)
    if nulls.may_have_weights(context):
        # In place of the questions to the copy with shuffled weights, which is behind a door of its own: as many.
        clean = [Ask(case.request, REPEATS) for case in cases]
        copied = [ask for case in cases for ask in _asked(context, case, steady, _without_one(case), wide)]
        asks += clean + [Ask(ask.request, ask.repeat + REPEATS) for ask in copied]
    if orders:
        for case, rows in zip(cases, stability.other_orders(context, cases, orders), strict=True):
            variants = [reordered(case, row) for row in rows]
            variants += [reworded(case, text) for text in stability.wordings(context, case)]
            for variant in (case, *variants):
                asks += _asked(context, variant, steady, _without_one(variant), wide)
    if sanity_checks:
        for make in (sanity.empty_places, sanity.twins):
            for variant, sets in zip(*make(context, cases), strict=True):
                asks += _asked(context, variant, steady, sets, wide)
    return asks


def _sets(context: Context, case: Case, operator: Operator, evaluations: int) -> Iterator[Subset]:
    """All sets of few items; of more, as many walks as the attribution, the random orders and the search may ask."""
    n = case.weighed
    if n <= EXACT and 1 << n <= evaluations:
        yield from shapley.subsets(n)
        return
    yield from _without_one(case)
    rng = context.rng("explanation", "foreseen", case.id, operator)
    # Once for the attribution and once for its repetition by another seed, then what the search may spend.
    for order in shapley.antithetic_orders(n, max(1, (2 + 1) * evaluations // (2 * n)), rng):
        yield from (frozenset(int(i) for i in order[:k]) for k in range(n + 1))
    steps = n if n <= FEW else len(SHARES)
    for order in shapley.antithetic_orders(n, _PAIRS + _SEARCHES * steps, rng):
        yield from sets_of(order)


def _without_one(case: Case) -> list[Subset]:
    everyone = frozenset(range(case.weighed))
    return [everyone, *(everyone - {i} for i in sorted(everyone))]


def _asked(
    context: Context, case: Case, operator: Operator, sets: Iterator[Subset] | list[Subset], wide: bool
) -> list[Ask]:
    theirs = players(case.request, items=case.items)
    rng = context.rng("explanation", "swap", case.id)
    swaps = swaps_for(case.request, theirs, context.dataset, rng) if operator == "swap" else {}
    if swaps is None:
        return []
    requests = [kept(case.request, theirs, one, operator, swaps) for one in dict.fromkeys(sets)]
    return [Ask(request, draw) for request in requests for draw in range(DRAWS if wide else 1)]
