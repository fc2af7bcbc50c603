"""Whether attributions are faithful: gains over orders that know nothing, and the verdict that follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Attributed, Bar, Finding, Param
from audit.modules.explanation.explained import Case
from audit.modules.explanation.module import INFO
from audit.modules.explanation.removal import Floats
from audit.modules.explanation.trials import ALSO, NEEDED, Trial
from audit.modules.explanation.values import Values
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.text import count

PART = "faithfulness"
AGAINST = {
    "random": "a random order",
    "recency": "the latest first",
    "position": "the first first",
    "profile": "the mean attribution of each place over the other users",
    "popularity": "the most popular first",
    "reverse": "its own order reversed",
}
NAMES = {"shapley": "Shapley values", "leave-one-out": "leave-one-out"}
LIMITS = "covers the history in the request, not the training; what was taken away is said with the method"
_FEWEST = 5
"""Users below which no method is called faithful: with four, no test by signs can reach .05."""


@dataclass(frozen=True)
class Ruling:
    """Whether a method was shown to be faithful on this target.

    Attributes:
        faithful: whether it was.
        says: why, in one sentence.
    """

    faithful: bool
    says: str


def params_of(trial: Trial) -> dict[str, Param]:
    """What a finding of a trial was measured under."""
    return {
        "part": PART,
        "method": trial.made.method,
        "made_by": trial.made.operator,
        "operator": trial.judge,
    }


def gains(
    sheet: Sheet, trials: Sequence[Trial], cases: Sequence[Case], against_all: Sequence[str] = ()
) -> list[Ruling]:
    """Report every method's gain over the orders that it must beat, and rule on it.

    Args:
        sheet: collects the findings; its p-values are corrected here, over all gains that a ruling hangs on.
        trials: to be reported.
        cases: what was explained.
        against_all: what speaks against every method, each the end of a sentence.
    """
    card, context = sheet.card, sheet.context
    inner = ReportCard(INFO.id, context.level, INFO.controls)
    also = ReportCard(INFO.id, context.level, INFO.controls, correction="bh")
    for trial in trials:
        for against in (*NEEDED, *ALSO):
            _gain(inner if against in NEEDED else also, sheet, trial, against, cases)
    found = inner.corrected()
    card.findings += [*found, *also.corrected()]
    card.values |= inner.values | also.values
    rulings = [_rule(trial, found, context.level) for trial in trials]
    if against_all:
        rulings = [Ruling(False, f"not shown: {'; '.join(against_all)}; by orders: {one.says}") for one in rulings]
    return rulings


def _gain(card: ReportCard, sheet: Sheet, trial: Trial, against: str, cases: Sequence[Case]) -> None:
    params = params_of(trial) | {"against": against}
    title = f"How much more faithful {NAMES[trial.made.method]} are than {AGAINST[against]}"
    title = title.replace("leave-one-out are", "leave-one-out is")
    if len(trial.cases) < 2:
        card.skip("faithfulness_gain", title, _too_few(trial), **params)
        return
    rng = sheet.context.rng("explanation", "gain", *map(str, params.values()))
    gain = trial.gains(against)
    card.add(
        "faithfulness_gain", title,
        stats.mean_interval(gain, rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0)),
        n=len(gain), direction="higher_is_better", params=params, test="paired permutation, one-sided",
        p=stats.paired_permutation(gain, np.zeros(len(gain)), rng=rng, alternative="greater"), mde=mde_of(gain),
        note=f"comprehensiveness from the worst order (0) to the best (1); {_spread(gain)}; {_spans(trial)}",
        values={cases[c].id: float(g) for c, g in zip(trial.cases, gain, strict=True)},
    )  # fmt: skip


def _rule(trial: Trial, found: Sequence[Finding], level: float) -> Ruling:
    mine = {
        str(f.params["against"]): f
        for f in found
        if f.estimate is not None and {k: v for k, v in f.params.items() if k != "against"} == params_of(trial)
    }
    if trial.circular:
        return Ruling(False, "not shown: it was judged only by the operator that made it, which is circular")
    if len(trial.cases) < _FEWEST:
        return Ruling(False, f"not shown: {_too_few(trial)}, and fewer than {_FEWEST} can show nothing")
    missed = [a for a in NEEDED if not _beats(mine[a], 1 - level)]
    if not missed:
        weakest = min(mine.values(), key=lambda f: f.estimate or 0.0)
        return Ruling(True, f"better than {_against(weakest)} and than the other orders it must beat")
    return Ruling(False, f"not shown: not better than {'; nor than '.join(_against(mine[a]) for a in missed)}")


def _beats(finding: Finding, alpha: float) -> bool:
    return (finding.estimate or 0.0) > 0 and finding.p_adjusted is not None and finding.p_adjusted < alpha


def _against(finding: Finding) -> str:
    assert finding.ci is not None  # noqa: S101 - gains that were measured
    low, high = finding.ci
    return (
        f"{AGAINST[str(finding.params['against'])]} (gain {finding.estimate:.2f} [{low:.2f}, {high:.2f}], "
        f"corrected p {finding.p_adjusted:.2g})"
    )


def curves(sheet: Sheet, trial: Trial, ruling: Ruling, cases: Sequence[Case], values: Values, note: str) -> None:
    """Report comprehensiveness, sufficiency and the areas under the removal curves, against random orders."""
    shown = _evidence(sheet, trial, ruling, cases, values)
    for metric in ("comprehensiveness", "sufficiency"):
        better = metric == "comprehensiveness"
        title = f"{NAMES[trial.made.method]}: what is lost {'without' if better else 'with only'} the items named first"
        if len(trial.cases) < 2:
            sheet.card.skip(metric, title, _too_few(trial), **params_of(trial))
            continue
        rng = sheet.context.rng("explanation", metric, trial.made.method, trial.made.operator)
        own, chance = trial.mark(metric), trial.mark(metric, "random")
        level, resamples = sheet.card.level, sheet.card.resamples
        sheet.card.add(
            metric, title, stats.mean_interval(own, rng=rng, level=level, resamples=resamples), n=len(own),
            # Falls on one scale do not compare with falls on another, such as behind a defense that votes.
            params=params_of(trial) | {"scale": values.scale},
            direction="higher_is_better" if better else "higher_is_worse", floor=float(chance.mean()),
            effect=stats.paired_difference(own, chance, rng=rng, level=level, resamples=resamples),
            mde=mde_of(own - chance),
            note=f"{'faithful' if ruling.faithful else 'not called faithful'}: {ruling.says}; in units of the "
            f"{values.scale}; the floor is {AGAINST['random']}; {_spread(own - chance)} above it"
            f"{_left_out(trial)}{note}",
            unmet=() if ruling.faithful else (f"the method was {ruling.says}",), evidence=shown,
            values={cases[c].id: float(v) for c, v in zip(trial.cases, own - chance, strict=True)},
        )  # fmt: skip
    for metric, name in (("deletion_auc", "deletion"), ("insertion_auc", "insertion")):
        _area(sheet, trial, metric, name)


def _area(sheet: Sheet, trial: Trial, metric: str, name: str) -> None:
    """The mean height of a curve, as a share of the way from no items to all, over all users together.

    A sum over users in both numerator and denominator: one user whose history as a whole moves nothing would make a
    mean of shares meaningless.
    """
    deleting = name == "deletion"
    title = (
        f"{NAMES[trial.made.method]}: area under the curve when items are {'taken away' if deleting else 'put back'}"
    )
    own, chance = trial.mark(name), trial.mark(name, "random")
    whole = trial.mark("total")
    fit = np.isfinite(own) & np.isfinite(whole)
    params = params_of(trial)
    if np.count_nonzero(fit) < 2:
        sheet.card.skip(metric, title, "the target gives no readable answer without any history", **params)
        return
    rng = sheet.context.rng("explanation", metric, trial.made.method, trial.made.operator)
    level, resamples = sheet.card.level, sheet.card.resamples
    total = stats.mean_interval(whole[fit], rng=rng, level=level, resamples=resamples)
    if total.low <= 0:
        reason = (
            f"the histories as a whole do not speak for the recommendations: v falls by {total.estimate:.3g} "
            f"[{total.low:.3g}, {total.high:.3g}] without them, and there are no shares of that"
        )
        sheet.card.skip(metric, title, reason, **params)
        return
    try:
        interval = stats.ratio_interval(own[fit], whole[fit], rng=rng, level=level, resamples=resamples)
    except ValueError as error:
        sheet.card.skip(metric, title, f"it has no interval: {error}", **params)
        return
    sheet.card.add(
        metric, title, interval, n=int(np.count_nonzero(fit)), params=params,
        direction="higher_is_worse" if deleting else "higher_is_better",
        floor=float(chance[fit].sum() / whole[fit].sum()),
        note="0 is what no history gives, 1 what the whole gives; the floor is a random order",
    )  # fmt: skip


def _evidence(sheet: Sheet, trial: Trial, ruling: Ruling, cases: Sequence[Case], values: Values) -> list[str]:
    """Attributions of the users with the least gain and of those with the most, in turn: an average hides failures."""
    if len(trial.cases) < 2:
        return []
    order = [trial.cases[i] for i in np.argsort(trial.gains("random"), kind="stable")]
    turns = [order[i // 2] if i % 2 == 0 else order[-1 - i // 2] for i in range(len(order))]
    return [
        sheet.show(
            cases[c].id, cases[c].said, cases[c].request, "what moved it, item by item",
            attribution=attributed(trial, c, ruling, values, sheet.card.level),
        )
        for c in turns[: sheet.examples]
    ]  # fmt: skip


def attributed(trial: Trial, case: int, ruling: Ruling, values: Values, level: float) -> Attributed:
    """One attribution as evidence shows it: bars with intervals and ties, and the badge."""
    one = trial.made.attributions[case]
    low, high = one.interval(level)
    groups = one.tied(level)
    shared = {int(g) for g in groups if np.count_nonzero(groups == g) > 1} if not one.exact else set()
    names = {g: place for place, g in enumerate(sorted(shared), 1)}
    timed = bool(np.isfinite(one.se).all() and one.se.any())
    bars = tuple(
        Bar(
            player.label,
            float(one.phi[i]),
            float(low[i]) if timed else None,
            float(high[i]) if timed else None,
            names.get(int(groups[i]), 0),
        )
        for i, player in enumerate(values.players[case])
    )
    how = "exact" if one.exact else "sampled" if trial.made.method == "shapley" else "plain"
    badge = f"{'faithful' if ruling.faithful else 'not called faithful'}: {ruling.says}"
    return Attributed(
        bars,
        values.scale,
        f"{how} {NAMES[trial.made.method]}, by {trial.made.operator}",
        ruling.faithful,
        badge,
        f"{one.evaluations} questions; {LIMITS}",
    )


def _too_few(trial: Trial) -> str:
    return f"{len(trial.cases)} users have an attribution that could be judged{_left_out(trial)}"


def _left_out(trial: Trial) -> str:
    """Users whose attribution could not be made or judged, counted, with the reason that most of them share."""
    if not trial.left_out:
        return ""
    ((reason, times),) = Counter(trial.left_out.values()).most_common(1)
    most = "" if times == len(trial.left_out) else f" (so {times} of them)"
    return f"; {count(len(trial.left_out), 'user')} left out here because {reason}{most}"


def _spread(values: Floats) -> str:
    """The distribution over users, which an average hides."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return (
        f"users: 10 % below {low:.2g}, half below {middle:.2g}, 10 % above {high:.2g}, {np.mean(values > 0):.0%} gain"
    )


def _spans(trial: Trial) -> str:
    exact, flat = sum(s.exact for s in trial.spans), sum(s.flat for s in trial.spans)
    said = f"best and worst order exact for {exact} of {len(trial.spans)} users"
    said += ", the best and worst that were found for the others" if exact < len(trial.spans) else ""
    return said + (f"; for {flat} users no removal moves anything" if flat else "")
