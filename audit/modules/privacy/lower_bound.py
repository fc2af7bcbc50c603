"""The least ε that leaks prove, held against the ε that was promised.

A bound above the promise is a contradiction: the training did not do what its card says. A bound below it proves
nothing: another attack may see more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Param
from audit.guarantee import Guarantee
from audit.modules.base import Context, Output
from audit.modules.privacy.known import guarantee_of
from audit.modules.privacy.measure import PLAIN, Asking, Floats, Table
from audit.modules.privacy.membership import bias
from audit.modules.privacy.module import INFO
from audit.modules.privacy.promise import user_level
from audit.modules.report_card import ReportCard

_DELTA = 1e-5
_UNFAIR = 1e-3
"""Chance of so uneven a split by fair coins below which it was not made by them."""
_METHODS = 2
SHARES = (1.0, 0.2)
_TITLES = {
    "two-hypothesis": "Least ε that one threshold proves",
    "one-run": "Least ε that guesses about one training prove",
}


@dataclass(frozen=True)
class LowerBound(Asking):
    """Lower bounds of ε; further options as in `Asking`.

    Attributes:
        score: which score the guesses of the one-run bound go by, chosen before looking; `auto` for the most telling
            that there is: `lira`, else `reference`, else the plain one. The two-hypothesis bound chooses among all on
            a half of its own.
        delta: δ where no card says one.
    """

    score: str = "auto"
    delta: float = _DELTA

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.delta, bool) or not 0 <= self.delta < 1:
            raise ValueError(f"delta: {self.delta!r} must be at least 0 and below 1, such as 1e-5")

    def run(self, context: Context, *, examples: int) -> Output:
        """Bound ε from below, and compare."""
        del examples
        table = self.table(context)
        card = ReportCard(INFO.id, context.level, INFO.controls)
        claim = Claim.of(guarantee_of(context, self.members), self.delta)
        _judge(table, claim, card, context.rng("privacy", "lower_bound"), self.score)
        return Output(card.corrected(), [], card.values)


@dataclass(frozen=True)
class Claim:
    """What a bound is held against.

    Attributes:
        epsilon: for a user with all their rows, since the coin of the split was thrown for users; None without claim.
        delta: δ that the bound is for.
        note: where they come from.
    """

    epsilon: float | None
    delta: float
    note: str

    @classmethod
    def of(cls, card: Guarantee | None, delta: float) -> Claim:
        """What a card promises a user."""
        if card is None:
            return cls(None, delta, "there is no card whose ε this could contradict")
        if not card.holds:
            return cls(None, card.delta, "the card's guarantee is void, so there is nothing to contradict")
        epsilon, group = user_level(card)
        if group >= 1:
            return cls(
                None, delta, f"the card's ε is for single rows, and promises nothing to users of {card.cap} rows"
            )
        where = "the card's ε"
        if card.unit == "example":
            where = f"the card's ε of {card.epsilon:.3g} for a single row, which is {epsilon:.3g} for users' {card.cap}"
        return cls(epsilon, group, where)


def _judge(table: Table, claim: Claim, card: ReportCard, rng: np.random.Generator, wanted: str) -> None:
    flaws = bias(table, card.level)
    # Two bounds are tried, and either may contradict the card: each has half of the error.
    level = 1.0 - (1.0 - card.level) / _METHODS
    inside, outside = _sides(table)
    if min(inside.shape[1], outside.shape[1]) < 4:
        reason = f"{inside.shape[1]} members and {outside.shape[1]} others have every score, and 4 of each are needed"
        card.skip("epsilon_lower_bound", _TITLES["two-hypothesis"], reason, **_params("two-hypothesis"))
    else:
        bound = stats.held_out_epsilon(inside, outside, delta=claim.delta, level=level, rng=rng)
        _tell(bound, claim, card, flaws, n=inside.shape[1] + outside.shape[1])
    name = _score(table, wanted)
    if name is None:
        reason = f"the score {wanted!r} was not computed; there are {', '.join(table.found)}"
        card.skip("epsilon_lower_bound", _TITLES["one-run"], reason, **_params("one-run"))
        return
    users = table.by_user(table.found[name])
    members, values = (np.array(column) for column in zip(*users.values(), strict=True))
    counts = int(members.sum()), int((1 - members).sum())
    if stats.fair_coin_p(*counts) < _UNFAIR:
        reason = (
            f"it needs a fair coin per user, and {counts[0]:,} members against {counts[1]:,} others were not drawn by "
            "one; train with half of the users (share: 0.5)"
        )
        card.skip("epsilon_lower_bound", _TITLES["one-run"], reason, **_params("one-run"))
        return
    # Ties are settled by the order of the units: shuffled, so that no order can know the coin.
    order = rng.permutation(len(values))
    values, members = values[order], members[order]
    bound = stats.one_run_bound(values, members, delta=claim.delta, level=level, shares=SHARES)
    p = None
    if claim.epsilon is not None:
        p = stats.one_run_test(values, members, claim.epsilon, delta=claim.delta, shares=SHARES)
    _tell(bound, claim, card, flaws, n=len(values), p=p, score=name)


def _tell(
    bound: stats.EpsilonBound,
    claim: Claim,
    card: ReportCard,
    flaws: list[str],
    *,
    n: int,
    p: float | None = None,
    score: str | None = None,
) -> None:
    at = stats.Interval(bound.epsilon, bound.epsilon, bound.epsilon, card.level, "lower bound")
    said, effect = [], None
    if claim.epsilon is None:
        said.append(f"ε is at least {bound.epsilon:.3g} at δ = {claim.delta:.2g}; {claim.note}")
    else:
        over = bound.epsilon - claim.epsilon
        effect = stats.Interval(over, over, over, card.level, "lower bound less claim")
        if over > 0:
            said.append(
                f"the DP pipeline is broken: ε is at least {bound.epsilon:.3g}, and {claim.note} is {claim.epsilon:.3g}"
            )
        else:
            said.append(f"no violation seen, which does not prove {claim.note}, {claim.epsilon:.3g}")
    said.append(bound.detail + (f" by {score}" if score else ""))
    so_far = f"a perfect attack on so many users would prove {bound.ceiling:.3g}"
    if claim.epsilon is not None and bound.ceiling <= claim.epsilon:
        so_far += ", so that this many could not contradict the claim"
    said.append(so_far)
    if bound.method == "two-hypothesis":
        said.append("users of one training are taken as independent, which is a heuristic")
    card.add(
        "epsilon_lower_bound",
        _TITLES[bound.method],
        at,
        n=n,
        direction="higher_is_worse",
        params=_params(bound.method),
        floor=claim.epsilon,
        effect=effect,
        test="" if p is None else "one-run guesses at the claimed ε",
        p=p,
        note="; ".join(said),
        unmet=flaws,
        facts={"ceiling": bound.ceiling},
    )


def _params(method: str) -> dict[str, Param]:
    return {"part": "lower_bound", "method": method}


def _score(table: Table, wanted: str) -> str | None:
    ranked = ("lira", "reference", PLAIN[table.signal]) if wanted == "auto" else (wanted,)
    return next((name for name in ranked if name in table.found), None)


def _sides(table: Table) -> tuple[Floats, Floats]:
    """Scores (scores, users) of members and of others, for the users that have every score."""
    by = [table.by_user(values) for values in table.found.values()]
    shared = [unit for unit in by[0] if all(unit in one for one in by)] if by else []
    scores = np.array([[one[unit][1] for unit in shared] for one in by]).reshape(len(by), len(shared))
    members = np.array([by[0][unit][0] for unit in shared], dtype=bool) if by else np.zeros(0, dtype=bool)
    return scores[:, members], scores[:, ~members]
