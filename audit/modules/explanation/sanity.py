"""What an attribution must not do: add up wrong, credit an empty place, tell twins apart, stay whatever is explained.

Sources: Adebayo et al. 2018 for random weights and labels; the axioms of Shapley 1953 for the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.explanation import nulls
from audit.modules.explanation.explained import Case
from audit.modules.explanation.methods import Attribution
from audit.modules.explanation.players import PLACEHOLDER, Operator
from audit.modules.explanation.removal import Floats, Subset
from audit.modules.explanation.stability import leave_one_out
from audit.modules.explanation.trial_findings import NAMES, PART
from audit.modules.explanation.trials import Made
from audit.modules.explanation.values import Values
from audit.modules.explanation.variants import doubled, of_another, with_empty_place
from audit.modules.sheet import Sheet
from audit.stats import shapley
from audit.target import Input
from audit.text import count

DRAWS = 8
"""Sets per user on which an empty place, or twins, are looked at."""


def report(
    sheet: Sheet,
    cases: Sequence[Case],
    made: Sequence[Made],
    base: Sequence[Attribution],
    operator: Operator,
    evaluations: int,
) -> None:
    """Report every check as a `sanity` finding.

    Args:
        sheet: collects the findings.
        cases: what is explained.
        made: Shapley values of these cases, then leave-one-out, by one operator.
        base: leave-one-out by `operator`.
        operator: by which players are taken away in the other checks; one that does not hang on the place.
        evaluations: the most questions per attribution.
    """
    values = made[0]
    for one in made:
        _efficiency(sheet, cases, one, values)
    sizes = np.array([np.mean(np.abs(a.phi)) if a.usable else np.nan for a in values.attributions])
    _empty_place(sheet, cases, operator, sizes)
    _twins(sheet, cases, operator, sizes)
    _unrelated(sheet, cases, base, operator, evaluations)


def _efficiency(sheet: Sheet, cases: Sequence[Case], one: Made, values: Made) -> None:
    both = [
        (abs(float(a.phi.sum()) - s.total), abs(s.total), case.id)
        for a, s, case in zip(one.attributions, values.attributions, cases, strict=True)
        if a.usable and np.isfinite(s.total)
    ]
    title = f"How far {NAMES[one.method]} are from adding up to what the whole history does"
    note = (
        "|Σφ - (v(N) - v(∅))| over |v(N) - v(∅)|, both summed over users"
        if one.method == "shapley"
        else "leave-one-out need not add up, and where it does not it must not be read as shares"
    )
    _ratio(sheet, both, title.replace("leave-one-out are", "leave-one-out is"), note, check="efficiency", of=one)


def _empty_place(sheet: Sheet, cases: Sequence[Case], operator: Operator, sizes: Floats) -> None:
    """φ of an entry that names no item, from its gains over random sets that precede it.

    Of no item of a catalogue can it be known that a target does not depend on it. What the check rests on instead is an
    entry that is no item at all. Targets take it in their own ways, and the note says which: one that reads words reads
    those of the entry; one that looks items up by id passes over it, which gives it exactly 0, or has a token for what
    it does not know, or does not answer.
    """
    context = sheet.context
    variants, wanted = empty_places(context, cases)
    told = Values(context, variants, operator).of(wanted)
    lost = sum(not np.isfinite(v).all() for v in told)
    reads = Input.ITEM_TEXT in context.info.honours
    note = f"mean size over that of a real item; from {DRAWS} sets per user; the entry says “{PLACEHOLDER.title}”, "
    note += "which the target reads" if reads else "and the target looks items up by their ids, among which it is not"
    both = [
        (abs(float(np.mean(v[0::2] - v[1::2]))), float(size), case.id)
        for v, size, case in zip(told, sizes, cases, strict=True)
        if np.isfinite(v).all() and np.isfinite(size)
    ]
    _ratio(
        sheet, both, "What an entry of the history that names no item is credited with", note, check="dummy",
        operator=operator, lost=lost,
    )  # fmt: skip


def empty_places(context: Context, cases: Sequence[Case]) -> tuple[list[Case], list[list[Subset]]]:
    """Cases with one more, empty entry, and pairs of sets with and without it."""
    variants, wanted = [], []
    for case in cases:
        rng, n = context.rng("explanation", "dummy", case.id), case.weighed
        place = int(rng.integers(n + 1))
        variants.append(with_empty_place(case, place))
        before = [_before(order, place) for order in shapley.antithetic_orders(n + 1, DRAWS // 2, rng)]
        wanted.append([s for one in before for s in (one | {place}, one)])
    return variants, wanted


def _before(order: np.ndarray, player: int) -> Subset:
    """Those who stand before a player in an order."""
    return frozenset(int(i) for i in order[: int(np.flatnonzero(order == player)[0])])


def _twins(sheet: Sheet, cases: Sequence[Case], operator: Operator, sizes: Floats) -> None:
    """φ_i - φ_j of the same item at two places: over sets S without either, v(S ∪ i) - v(S ∪ j)."""
    context = sheet.context
    variants, wanted = twins(context, cases)
    told = Values(context, variants, operator).of(wanted)
    both = [
        (abs(float(np.mean(v[0::2] - v[1::2]))), float(size), case.id)
        for v, size, case in zip(told, sizes, cases, strict=True)
        if np.isfinite(v).all() and np.isfinite(size)
    ]
    _ratio(
        sheet, both, "How far the same item, standing at two places, is credited differently",
        f"mean size of the difference over that of an item; from {DRAWS} sets per user; what remains is position",
        check="symmetry", operator=operator,
    )  # fmt: skip


def twins(context: Context, cases: Sequence[Case]) -> tuple[list[Case], list[list[Subset]]]:
    """Cases in which one item stands twice, and pairs of sets that hold the one or the other."""
    variants, wanted = [], []
    for case in cases:
        rng, n = context.rng("explanation", "twins", case.id), case.weighed
        i, j = (int(x) for x in rng.permutation(n)[:2])
        variants.append(doubled(case, i, j))
        rest = np.array([p for p in range(n) if p not in (i, j)], dtype=np.int64)
        # Every size of set weighs the same, as in the Shapley value.
        sets = [frozenset(int(p) for p in rng.permutation(rest)[: int(rng.integers(n - 1))]) for _ in range(DRAWS)]
        wanted.append([s for one in sets for s in (one | {i}, one | {j})])
    return variants, wanted


def _unrelated(
    sheet: Sheet, cases: Sequence[Case], base: Sequence[Attribution], operator: Operator, evaluations: int
) -> None:
    params: dict[str, Param] = {
        "part": PART,
        "check": "unrelated title",
        "method": "leave-one-out",
        "operator": operator,
    }
    title = "How alike the attributions of the recommendation and of an unrelated title are"
    pairs = [(c, other) for c, case in enumerate(cases) if (other := of_another(case, cases)) is not None]
    told = leave_one_out(sheet.context, [other for _, other in pairs], operator, evaluations)
    alike = {cases[c].id: (base[c], one) for (c, _), one in zip(pairs, told, strict=True)}
    nulls.taus(sheet, alike, title, params, "1 would say that the attribution does not hang on what is explained")


def _ratio(
    sheet: Sheet,
    both: Sequence[tuple[float, float, str]],
    title: str,
    note: str,
    *,
    check: str,
    of: Made | None = None,
    operator: Operator | None = None,
    lost: int = 0,
) -> None:
    params: dict[str, Param] = {
        "part": PART,
        "check": check,
        "method": "shapley" if of is None else of.method,
        "operator": operator if of is None else of.operator,
    }
    unanswered = f"; of {count(lost, 'user')} not every question with that entry was answered" if lost else ""
    top, bottom = np.array([b[0] for b in both]), np.array([b[1] for b in both])
    if len(both) < 2 or bottom.sum() <= 0:
        reason = f"{len(both)} users could be read" if len(both) < 2 else "no item moves any recommendation"
        reason += unanswered
        sheet.card.skip("sanity", title, reason, **params)
        return
    rng = sheet.context.rng("explanation", "sanity", check, str(params["method"]))
    share = top / bottom.mean()
    sheet.card.add(
        "sanity", title,
        stats.ratio_interval(top, bottom, rng=rng, level=sheet.card.level, resamples=sheet.card.resamples),
        n=len(both), direction="higher_is_worse", params=params,
        note=note + unanswered,
        values={case: float(v) for (_, _, case), v in zip(both, share, strict=True)},
    )  # fmt: skip
