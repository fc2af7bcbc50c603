"""What the stated reasons come to: precision, whether they matter, and what was invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Attributed, Bar, Param
from audit.modules.explanation.players import Operator, Player
from audit.modules.explanation.stated_reading import Stated
from audit.modules.report_card import mde_of
from audit.modules.sheet import Sheet
from audit.text import count
from audit.types import Case

Floats = npt.NDArray[np.float64]
TOP = 3
"""Items that count as the most important."""
TITLES = {
    "stated_precision": f"Items named as reasons that are among the {TOP} that move the recommendation most",
    "stated_matters": "Items named as reasons without which the recommendation is another one",
    "reason": "Recommendations that stay without the item named as reason, with another reason",
    "stated_invented_rate": "Items named as reasons that the user has never had",
}


@dataclass(eq=False)
class Told:
    """One user's answer, and the answers without one item of the history at a time.

    Attributes:
        case: what was asked.
        own: the answer to the whole question.
        stable: whether every repeat recommends the same first.
        players: the items of the history.
        without: by number of the item that was taken away.
        unmet: why none can be taken away, as the end of a sentence; empty where they can.
    """

    case: Case
    own: Stated
    stable: bool
    players: tuple[Player, ...] = ()
    without: dict[int, Stated] = field(default_factory=dict)
    unmet: str = ""

    @property
    def explained(self) -> bool:
        """Whether there is one recommendation to be explained."""
        return self.own.first is not None and self.stable

    def names(self, i: int) -> bool:
        """Whether item `i` is named as a reason."""
        return self.case.request.user.history[i].item.id in self.own.cited

    @property
    def asked(self) -> list[int]:
        """Items that were taken away with an answer that can be read."""
        return sorted(i for i, one in self.without.items() if one.first is not None)

    def changes(self, i: int) -> bool:
        """Whether the first recommendation is another one without item `i`."""
        return self.without[i].first != self.own.first

    def drop(self, i: int) -> float:
        """By how much 1 / place of the recommendation falls without item `i`."""
        return 1.0 - self.without[i].worth(self.own.first or "")

    def important(self) -> dict[int, float]:
        """By item, the chance that it is among the most important, ties broken by chance; 0 for what moves nothing."""
        drops = {i: self.drop(i) for i in self.asked}
        chances = {}
        for i, mine in drops.items():
            above = sum(other > mine for other in drops.values())
            equal = sum(other == mine for other in drops.values())
            chances[i] = min(max((TOP - above) / equal, 0.0), 1.0) if mine > 0 else 0.0
        return chances


def report(sheet: Sheet, operator: Operator, told: Sequence[Told]) -> None:
    """The findings of the part; p-values are corrected by the caller.

    Args:
        sheet: receives them.
        operator: how items were taken away.
        told: every user's answers.
    """
    params: dict[str, Param] = {"part": "stated", "operator": operator}
    said = _left_out(told)
    _invented(sheet, told)
    tested = [
        one for one in told
        if one.explained and any(one.names(i) for i in one.asked) and not all(one.names(i) for i in one.asked)
    ]  # fmt: skip
    if len(tested) < 2:
        reason = (
            f"{len(tested)} of {count(len(told), 'answer')} name some items of the history as reasons and leave others "
            f"out, and 2 are needed{said}"
        )
        for metric in ("stated_precision", "stated_matters"):
            sheet.card.skip(metric, TITLES[metric], reason, **params)
        return
    named = sum(one.names(i) for one in tested for i in one.asked)
    moved = sum(one.names(i) and one.changes(i) for one in tested for i in one.asked)
    nothing = sum(not any(one.changes(i) for i in one.asked) for one in tested)
    counted = f"{moved} of {named} named items change it, in {count(len(tested), 'answer')}"
    counted += f"; in {nothing} no single item does, named or not" if nothing else ""
    evidence = _evidence(sheet, tested)
    precise, chance, matters, others = [], [], [], []
    for one in tested:
        important, changes = one.important(), {i: float(one.changes(i)) for i in one.asked}
        precise.append(_mean(important, one, named=True))
        chance.append(float(np.mean(list(important.values()))))
        matters.append(_mean(changes, one, named=True))
        others.append(_mean(changes, one, named=False))
    chosen, unnamed = "the floor names items of the history by chance", "the floor is the items that are not named"
    top, of = params | {"top": TOP}, params | {"of": "recommendation"}
    _add(sheet, "stated_precision", tested, precise, chance, top, f"{counted}; {chosen}{said}", evidence)
    _add(sheet, "stated_matters", tested, matters, others, of, f"{counted}; {unnamed}{said}", evidence)
    _reasons(sheet, tested, params)


def _mean(values: dict[int, float], one: Told, *, named: bool) -> float:
    return float(np.mean([value for i, value in values.items() if one.names(i) == named]))


def _add(
    sheet: Sheet,
    metric: str,
    tested: Sequence[Told],
    values: Sequence[float],
    floor: Sequence[float],
    params: dict[str, Param],
    note: str,
    evidence: Sequence[str],
) -> None:
    card, context = sheet.card, sheet.context
    rng = context.rng("explanation", "stated", metric)
    ours, chance = np.array(values), np.array(floor)
    card.add(
        metric,
        TITLES[metric],
        stats.mean_interval(ours, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)),
        n=len(ours),
        direction="higher_is_better",
        params=params,
        floor=float(chance.mean()),
        effect=stats.paired_difference(
            ours, chance, rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0)
        ),
        test="paired permutation",
        p=stats.paired_permutation(ours, chance, rng=rng),
        mde=mde_of(ours - chance),
        note=note,
        evidence=evidence,
        values={one.case.id: float(a - b) for one, a, b in zip(tested, ours, chance, strict=True)},
    )


def _reasons(sheet: Sheet, tested: Sequence[Told], params: dict[str, Param]) -> None:
    """Where the recommendation stays without its reason: whether another reason takes its place."""
    shares: dict[str, float] = {}
    kept = other = 0
    for one in tested:
        stays = [i for i in one.asked if one.names(i) and not one.changes(i)]
        if stays:
            new = [bool(one.without[i].cited - one.own.cited) for i in stays]
            shares[one.case.id] = float(np.mean(new))
            kept, other = kept + len(stays), other + sum(new)
    own: dict[str, Param] = params | {"of": "reason"}
    if len(shares) < 2:
        reason = f"{count(len(shares), 'recommendation')} stay without an item named as reason, and 2 are needed"
        sheet.card.skip("stated_matters", TITLES["reason"], reason, **own)
        return
    rng = sheet.context.rng("explanation", "stated", "reason")
    sheet.card.add(
        "stated_matters", TITLES["reason"],
        stats.mean_interval(
            list(shares.values()), rng=rng, level=sheet.card.level, resamples=sheet.card.resamples, bounds=(0.0, 1.0)
        ),
        n=len(shares), direction="neither", params=own, values=shares,
        note=f"{other} of {kept} times another item of the history is named instead: a reason that was not needed",
    )  # fmt: skip


def _invented(sheet: Sheet, told: Sequence[Told]) -> None:
    params: dict[str, Param] = {"part": "stated"}
    readable = [one for one in told if one.own.outcome == "ok"]
    hits = np.array([len(one.own.invented) for one in readable])
    trials = hits + np.array([len(one.own.cited) for one in readable], dtype=np.int64)
    if np.count_nonzero(trials) < 2:
        reason = (
            f"{int(np.count_nonzero(trials))} of {count(len(told), 'answer')} name items that the user is said to "
            f"have had, and 2 are needed{_left_out(told)}"
        )
        sheet.card.skip("stated_invented_rate", TITLES["stated_invented_rate"], reason, **params)
        return
    rng = sheet.context.rng("explanation", "stated", "invented")
    rate = stats.cluster_rate(hits, trials, rng=rng, level=sheet.card.level, resamples=sheet.card.resamples)
    open_ = sum(len(one.own.undecided) for one in readable)
    shown = [
        sheet.show(
            one.case.id, "A reason from a history that the user does not have", one.case.request,
            "the user has not had: " + ", ".join(f"“{title}”" for title in one.own.invented), claims=one.own.marks,
        )
        for one in sorted(readable, key=lambda one: -len(one.own.invented))[: sheet.examples]
        if one.own.invented
    ]  # fmt: skip
    # Linearised: one number per answer whose mean is the rate, and that spreads as the rate does.
    each = rate.estimate + (hits - rate.estimate * trials) / trials.mean()
    sheet.card.add(
        "stated_invented_rate", TITLES["stated_invented_rate"], rate, n=int(np.count_nonzero(trials)), unit="answer",
        direction="higher_is_worse", params=params, evidence=shown,
        note=f"{int(hits.sum())} of {count(int(trials.sum()), 'named item')}"
        + (f"; {count(open_, 'further title')} cannot be decided" if open_ else ""),
        values=dict(zip([one.case.id for one in readable], each.tolist(), strict=True)),
    )  # fmt: skip


def _evidence(sheet: Sheet, tested: Sequence[Told]) -> list[str]:
    """The answers whose reasons matter least first."""
    least = sorted(tested, key=lambda one: np.mean([one.changes(i) for i in one.asked if one.names(i)]))
    shown = []
    for one in least[: sheet.examples]:
        named = [i for i in one.asked if one.names(i)]
        moved = sum(one.changes(i) for i in named)
        bars = tuple(
            Bar(
                one.players[i].label,
                one.drop(i),
                note="; ".join(
                    [*(["named as a reason"] if one.names(i) else []),
                     *(["without it the recommendation is another one"] if one.changes(i) else [])]
                ),
            )
            for i in one.asked
        )  # fmt: skip
        note = f"its own words name {count(len(named), 'item')} of the history as reasons; {moved} of them mattered"
        shown.append(
            sheet.show(
                one.case.id, "Its own reasons, and what moves its recommendation", one.case.request, note,
                claims=one.own.marks,
                attribution=Attributed(
                    bars, "fall of 1 / place of its first recommendation", method="one item taken away at a time",
                    limits="items were taken out of the request alone: what the target was trained on stays",
                ),
            )
        )  # fmt: skip
    return shown


def _left_out(told: Sequence[Told]) -> str:
    """Answers that could not be used, each kind counted."""
    kinds: Counter[str] = Counter()
    for one in told:
        if one.own.outcome != "ok":
            kinds[f"{one.own.outcome}"] += 1
        elif one.own.first is None:
            kinds["without a recommendation"] += 1
        elif not one.stable:
            kinds["with no stable recommendation, not explained"] += 1
        elif not one.own.cited:
            kinds["without a reason from the history"] += 1
        elif one.unmet:
            kinds[f"left out because {one.unmet}"] += 1
    unread = sum(len(one.without) - len(one.asked) for one in told)
    parts = [f"{n} {kind}" for kind, n in sorted(kinds.items())]
    parts += [f"{unread} without an item could not be read"] if unread else []
    return f"; of {count(len(told), 'answer')} " + ", ".join(parts) if parts else ""
