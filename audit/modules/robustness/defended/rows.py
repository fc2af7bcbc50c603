"""The three rows of each pair of attack and defense, and what is left under all attacks together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audit import stats
from audit.defense import Defense
from audit.findings import Param
from audit.modules.base import Output
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.robustness.cells import Cell
from audit.modules.robustness.defended.sides import Judged, Side, trial_case

ROW_METRICS = ("attacked_utility", "broken_rate", "defense_gain", "robust_utility")


@dataclass(frozen=True)
class Pair:
    """One attack against one defense.

    Attributes:
        cell: the attack.
        undefended: against the bare target.
        replay: the same edits, sent to the defended target.
        adaptive: the attack run against the defended target; None where it cannot be.
        reason: why it cannot.
    """

    cell: Cell
    undefended: Judged
    replay: Judged
    adaptive: Judged | None
    reason: str = ""

    @property
    def rows(self) -> dict[str, Judged]:
        """The rows of the defended target, by name."""
        rows = {"replay": self.replay}
        if self.adaptive is not None:
            rows["adaptive"] = self.adaptive
        return rows

    @cached_property
    def worst(self) -> Floats:
        """(n,) utility left to each user by whichever row is worse for them, as a mean over draws."""
        worst: Floats = np.min([row.utility.mean(axis=0) for row in self.rows.values()], axis=0)
        return worst


def report_undefended(cell: Cell, judged: Judged, bare: Side, card: ReportCard) -> None:
    """Report the first row: the bare target under attack."""
    _utility(card, bare, cell, judged.utility.mean(axis=0), "undefended", f"{cell.title}: utility left", {})


def report_pair(
    pair: Pair, side: Side, bare: Side, defense: Defense, card: ReportCard, output: Output, *, examples: int
) -> None:
    """Report the rows behind the defense, the worst of them for each user, and the gain over no defense.

    Args:
        pair: attack and defense.
        side: the defended target.
        bare: the bare one.
        defense: for titles.
        card: collects the findings.
        output: collects the evidence.
        examples: most pieces of evidence.
    """
    title = f"{pair.cell.title} against {defense.info.title}"
    who: dict[str, Param] = {"defense": side.defense}
    if pair.adaptive is None:
        params = _params(pair.cell, side, "adaptive", who)
        card.skip("attacked_utility", f"{title}: adaptive", pair.reason, **params)
    means = {name: row.utility.mean(axis=0) for name, row in pair.rows.items()}
    for name, values in means.items():
        note = f"{pair.rows[name].invalid:.0%} of the answers could not be read or were refused"
        if name == "adaptive" and values.mean() > means["replay"].mean() + 1e-12:
            note += "; the replay did more harm: read this adaptive attack as too weak"
        _utility(card, side, pair.cell, values, name, f"{title}: utility left, {name}", who, note=note)
    shown = _evidence(pair, side, title, output, examples)
    _utility(card, side, pair.cell, pair.worst, "worst", f"{title}: utility left, worse row", who, evidence=shown)
    _broken(pair, side, title, who, card)
    _gain(pair, side, title, who, card)


def report_robust(
    defense: Defense | None,
    left: Sequence[Floats],
    before: Floats | None,
    side: Side,
    card: ReportCard,
    *,
    name: str | None = None,
) -> None:
    """Report what is left to each user under the attack that is worst for them: the line to compare defenses by.

    Args:
        defense: None for the bare target.
        left: (n,) per attack.
        before: (n,) the same of the bare target.
        side: the target.
        card: collects the findings.
        name: of the defense.
    """
    title = defense.info.title if defense else "No defense"
    if not left:
        card.skip("robust_utility", title, "no attack found anything to edit", defense=name)
        return
    n = min(len(values) for values in left)
    worst = np.min([values[:n] for values in left], axis=0)
    rng = side.context.rng("robustness", "matrix", "robust", str(name))
    gain = p = mde = None
    if before is not None:
        gain = stats.paired_difference(
            worst, before[:n], rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0)
        )
        p = stats.paired_permutation(worst, before[:n], rng=rng)
        mde = mde_of(worst - before[:n])
    card.add(
        "robust_utility",
        f"{title}: utility left under the worst of {len(left)} attacks",
        stats.mean_interval(worst, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)),
        n=n,
        direction="higher_is_better",
        params={"defense": name, "attacks": len(left), **_k(side)},
        floor=None if before is None else float(before[:n].mean()),
        effect=gain,
        test="" if p is None else "paired permutation, two-sided",
        p=p,
        mde=mde,
        note="floor: the same without the defense" if before is not None else "",
    )


def _k(side: Side) -> dict[str, Param]:
    request = side.context.cases[0].request
    return {"k": request.k} if request.task == "rank" else {}


def _params(cell: Cell, side: Side, row: str, who: Mapping[str, Param]) -> dict[str, Param]:
    return {"attack": cell.name, "defense": None, **who, "row": row, **_k(side), **cell.params}


def _utility(
    card: ReportCard,
    side: Side,
    cell: Cell,
    values: Floats,
    row: str,
    title: str,
    who: Mapping[str, Param],
    *,
    note: str = "",
    evidence: Sequence[str] = (),
) -> None:
    rng = side.context.rng("robustness", "matrix", str(side.defense), cell.id, row)
    card.add(
        "attacked_utility",
        title,
        stats.mean_interval(values, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)),
        n=len(values),
        direction="higher_is_better",
        params=_params(cell, side, row, who),
        note=note,
        evidence=evidence,
        values=_by_case(side, values),
    )


def _broken(pair: Pair, side: Side, title: str, who: Mapping[str, Param], card: ReportCard) -> None:
    """Of what the clean defended target got right, the share that any row and any fresh draw turned wrong."""
    cases = side.context.cases[: pair.replay.n]
    case = trial_case(cases)
    right = side.served[: len(case)]
    broken = ~np.all([row.served.all(axis=0) for row in pair.rows.values()], axis=0)
    trials = np.bincount(case[right], minlength=len(cases)).astype(float)
    params = {**_params(pair.cell, side, "worst", who), "draws": side.reruns}
    what = f"{title}: right answers broken at least once"
    if not trials.any():
        card.skip("broken_rate", what, "the defended target got nothing right to begin with", **params)
        return
    events = np.bincount(case[right & broken], minlength=len(cases)).astype(float)
    rng = side.context.rng("robustness", "matrix", str(side.defense), pair.cell.id, "broken")
    runs = sum(len(row.runs) for row in pair.rows.values())
    card.add(
        "broken_rate",
        what,
        stats.cluster_rate(events, trials, rng=rng, level=card.level, resamples=card.resamples),
        n=int((trials > 0).sum()),
        direction="higher_is_worse",
        params=params,
        note=f"{int(events.sum())} of {int(trials.sum())}, by any of {runs} runs",
    )


def _gain(pair: Pair, side: Side, title: str, who: Mapping[str, Param], card: ReportCard) -> None:
    undefended = pair.undefended.utility.mean(axis=0)
    if len(undefended) < 2:
        return
    rng = side.context.rng("robustness", "matrix", str(side.defense), pair.cell.id, "gain")
    params = _params(pair.cell, side, "worst", who)
    card.add(
        "defense_gain",
        f"{title}: utility saved over no defense",
        stats.paired_difference(
            pair.worst, undefended, rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0)
        ),
        n=len(undefended),
        direction="higher_is_better",
        params=params,
        test="paired permutation, two-sided",
        p=stats.paired_permutation(pair.worst, undefended, rng=rng),
        mde=mde_of(pair.worst - undefended),
        note=f"{undefended.mean():.3f} → {pair.worst.mean():.3f}",
        values=_by_case(side, pair.worst - undefended),
    )


def _by_case(side: Side, values: Floats) -> dict[str, float]:
    return dict(zip([case.id for case in side.context.cases[: len(values)]], values.tolist(), strict=True))


def _evidence(pair: Pair, side: Side, title: str, output: Output, examples: int) -> list[str]:
    """The users who lost most behind the defense, with the edits of the worse row."""
    lost = side.utility[: len(pair.worst)] - pair.worst
    shown = []
    for i in sorted(np.flatnonzero(lost > 0).tolist(), key=lambda i: (-lost[i], i))[:examples]:
        row = min(pair.rows, key=lambda name: pair.rows[name].utility.mean(axis=0)[i])
        note = f"utility {side.utility[i]:.2f} → {pair.worst[i]:.2f} behind the defense"
        shown.append(side.show(i, pair.rows[row].arms[0].edits[i], f"{title}, {row}", note, output))
    return shown
