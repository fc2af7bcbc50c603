"""Whether an attribution stays when what should not matter changes: order, wording, draws; and what position does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit import stats
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.explanation.explained import Case
from audit.modules.explanation.methods import Attribution, attributions_of
from audit.modules.explanation.players import Operator
from audit.modules.explanation.trial_findings import PART
from audit.modules.explanation.trials import Made
from audit.modules.explanation.values import Values
from audit.modules.explanation.variants import Ints, orders_of, reordered, reworded
from audit.modules.report_card import mde_of
from audit.modules.sheet import Sheet
from audit.stats import attributions as likeness

TOP = 3
MOST_WORDINGS = 3
_TITLES = {
    "order": "Whether the attribution stays when the history stands in another order",
    "paraphrase": "Whether the attribution stays when the instruction is put in other words",
    "seeds": "Whether sampled Shapley values stay when other orders are drawn",
}
_POSITION = "How much more an item is credited for standing last instead of first"


def other_orders(context: Context, cases: Sequence[Case], count: int) -> list[Ints]:
    """Other orders of each history, fixed by the run's seed."""
    return [orders_of(case.weighed, count, context.rng("explanation", "stability", case.id)) for case in cases]


def wordings(context: Context, case: Case) -> list[str]:
    """Other wordings of the instruction, if it has one and they are known."""
    if not case.request.instruction:
        return []
    known = context.info.paraphrases.get(context.task, ())
    return [text for text in known if text != case.request.instruction][:MOST_WORDINGS]


def report(
    sheet: Sheet,
    cases: Sequence[Case],
    shapley: Made,
    base: Sequence[Attribution],
    operator: Operator,
    orders: int,
    evaluations: int,
) -> None:
    """Report `stability` of order, wording and draws, and `position_effect`.

    Args:
        sheet: collects the findings.
        cases: what is explained.
        shapley: Shapley values of these cases.
        base: leave-one-out of these cases.
        operator: by which that was made; one that does not hang on the place.
        orders: how many other orders of the history are tried.
        evaluations: the most questions per attribution.
    """
    _orders(sheet, cases, base, operator, orders, evaluations)
    _wordings(sheet, cases, base, operator, evaluations)
    _seeds(sheet, cases, shapley, evaluations)


def leave_one_out(context: Context, cases: Sequence[Case], operator: Operator, evaluations: int) -> list[Attribution]:
    """v(N) - v(N without i) of each case, all asked together."""
    rng = context.rng("explanation", "leave-one-out")
    return attributions_of("leave-one-out", Values(context, cases, operator), rng, evaluations)


def _orders(
    sheet: Sheet,
    cases: Sequence[Case],
    base: Sequence[Attribution],
    operator: Operator,
    count: int,
    evaluations: int,
) -> None:
    context = sheet.context
    shuffled = other_orders(context, cases, count)
    variants = [reordered(case, row) for case, rows in zip(cases, shuffled, strict=True) for row in rows]
    told = iter(leave_one_out(context, variants, operator, evaluations))
    params: dict[str, Param] = {"part": PART, "of": "order", "method": "leave-one-out", "operator": operator}
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    slopes: dict[str, float] = {}
    for case, rows, one in zip(cases, shuffled, base, strict=True):
        found = [next(told) for _ in rows]
        if not one.usable or not all(other.usable for other in found):
            continue
        n = len(one.phi)
        # Back to the items: row[p] is the item that stood at place p.
        back = [np.empty(n) for _ in rows]
        places = np.empty((len(rows) + 1, n))
        places[0] = np.arange(n)
        for r, (row, other) in enumerate(zip(rows, found, strict=True)):
            back[r][row] = other.phi
            places[r + 1][row] = np.arange(n)
        pairs[case.id] = [(one.phi, phi) for phi in back]
        slopes[case.id] = _slope(places, np.vstack([one.phi, *back]))
    _alike(sheet, "order", pairs, params, f"{count} other orders of each history, as many as it has")
    _position(sheet, slopes, {k: v for k, v in params.items() if k != "of"}, len(cases))


def _slope(places: np.ndarray, phi: np.ndarray) -> float:
    """From the first place to the last, in units of the mean size of an attribution; 0 where nothing is attributed."""
    size = float(np.mean(np.abs(phi)))
    slope = likeness.within_slope(places / (places.shape[1] - 1), phi)
    return slope / size if size > 0 else 0.0


def _position(sheet: Sheet, slopes: dict[str, float], params: dict[str, Param], asked: int) -> None:
    if len(slopes) < 2:
        sheet.card.skip("position_effect", _POSITION, f"{len(slopes)} of {asked} users could be read", **params)
        return
    rng = sheet.context.rng("explanation", "position effect")
    slope = np.array(list(slopes.values()))
    sheet.card.add(
        "position_effect", _POSITION,
        stats.mean_interval(slope, rng=rng, level=sheet.card.level, resamples=sheet.card.resamples),
        n=len(slope), direction="neither", params=params, test="paired permutation",
        p=stats.paired_permutation(slope, np.zeros(len(slope)), rng=rng), mde=mde_of(slope),
        note="slope within items that were moved through the places, from first (oldest) to last, in units of the mean "
        "size of an attribution; above 0 the latest place is credited whatever stands there, which is no preference",
        values=slopes,
    )  # fmt: skip


def _wordings(
    sheet: Sheet, cases: Sequence[Case], base: Sequence[Attribution], operator: Operator, evaluations: int
) -> None:
    context = sheet.context
    texts = [wordings(context, case) for case in cases]
    params: dict[str, Param] = {"part": PART, "of": "paraphrase", "method": "leave-one-out", "operator": operator}
    if not any(texts):
        reason = "the target publishes no other wording of its instruction, or takes none"
        sheet.card.skip("stability", _TITLES["paraphrase"], reason, **params)
        return
    variants = [reworded(case, text) for case, mine in zip(cases, texts, strict=True) for text in mine]
    told = iter(leave_one_out(context, variants, operator, evaluations))
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for case, mine, one in zip(cases, texts, base, strict=True):
        found = [next(told) for _ in mine]
        if mine and one.usable and all(other.usable for other in found):
            pairs[case.id] = [(one.phi, other.phi) for other in found]
    most = max(map(len, texts))
    _alike(sheet, "paraphrase", pairs, params, f"{most} other wording{'s' if most > 1 else ''} of the instruction")


def _seeds(sheet: Sheet, cases: Sequence[Case], shapley: Made, evaluations: int) -> None:
    params: dict[str, Param] = {"part": PART, "of": "seeds", "method": "shapley", "operator": shapley.operator}
    sampled = [c for c, one in enumerate(shapley.attributions) if one.usable and not one.exact]
    if not sampled:
        reason = "all sets of items were tried, so that no draw enters the values"
        sheet.card.skip("stability", _TITLES["seeds"], reason, **params)
        return
    values = Values(sheet.context, cases, shapley.operator)
    rng = sheet.context.rng("explanation", "shapley", "again")
    again = attributions_of("shapley", values, rng, evaluations, cases=sampled)
    pairs = {
        cases[c].id: [(shapley.attributions[c].phi, other.phi)]
        for c, other in zip(sampled, again, strict=True)
        if other.usable
    }
    _alike(sheet, "seeds", pairs, params, f"another draw of up to {evaluations} questions")


def _alike(
    sheet: Sheet,
    of: str,
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]],
    params: dict[str, Param],
    how: str,
) -> None:
    """Kendall's τ, averaged within users; the share of the top items that stay beside it."""
    taus: dict[str, float] = {}
    tops: list[tuple[float, float]] = []
    for case, both in pairs.items():
        each = [likeness.kendall_tau_b(a, b) for a, b in both]
        if np.isfinite(each).any():
            taus[case] = float(np.nanmean(each))
            n = len(both[0][0])
            k = min(TOP, n)
            tops.append((float(np.mean([_shared(a, b, k) for a, b in both])), likeness.expected_jaccard(n, k)))
    if len(taus) < 2:
        reason = f"{len(taus)} users have attributions that order their items and could be read both times"
        sheet.card.skip("stability", _TITLES[of], reason, **params)
        return
    tau = np.array(list(taus.values()))
    jaccard, chance = np.mean(tops, axis=0)
    sheet.card.add(
        "stability", _TITLES[of],
        stats.mean_interval(
            tau, rng=sheet.context.rng("explanation", "stability", of), level=sheet.card.level,
            resamples=sheet.card.resamples, bounds=(-1.0, 1.0),
        ),
        n=len(tau), direction="higher_is_better", params=params, floor=0.0,
        note=f"Kendall's τ, averaged within users: 1 is the same order, 0 what chance gives; {how}; of the {TOP} items "
        f"named first a share of {jaccard:.2f} stays (Jaccard; {chance:.2f} by chance); least τ of a user "
        f"{tau.min():.2f}",
        values=taus,
    )  # fmt: skip


def _shared(a: np.ndarray, b: np.ndarray, k: int) -> float:
    first, second = (set(np.argsort(-x, kind="stable")[:k].tolist()) for x in (a, b))
    return len(first & second) / len(first | second)
