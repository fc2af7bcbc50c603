"""What the searches for counterfactual sets come to: rates with the placebo as their floor, sentences as evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from audit import stats
from audit.findings import Attributed, Bar, Param
from audit.modules.explanation.counterfactual_search import Found
from audit.modules.explanation.decisions import Decider
from audit.modules.explanation.players import Operator, removals
from audit.modules.explanation.values import Values
from audit.modules.report_card import mde_of
from audit.modules.sheet import Sheet
from audit.stats.differences import independent_difference
from audit.text import count, listed
from audit.types import Answer, Item

TITLES = {
    "counterfactual_success": "Recommendations that a found set of items decides ({operator})",
    "counterfactual_size": "Items that must go before the recommendation changes ({operator})",
    "counterfactual_verified": "Found sets that still change it when asked again ({operator})",
}
LIMITS = (
    "items were taken out of the request alone: what the target was trained on stays; a bar is the effect of one item "
    "on its own and no share of a whole"
)
_DOING = {"delete": "Removing", "placeholder": "Hiding", "swap": "Exchanging"}
_GONE = {"delete": "removed", "placeholder": "hidden", "swap": "exchanged"}


@dataclass(eq=False)
class Checked:
    """One case: what the search found, and what came of it.

    Attributes:
        values: through which it was asked.
        number: of the case there.
        decider: of the case.
        found: by the search.
        before: fresh answers to the clean request; none where no set was found.
        after: fresh answers without the set.
        first: number of the first repeat among them.
        placebo: share of random sets of the same size that change the recommendation.
        elsewhere: by other operator, whether the same set changes it there too.
    """

    values: Values
    number: int
    decider: Decider
    found: Found
    before: Sequence[Answer]
    after: Sequence[Answer]
    first: int
    placebo: float
    elsewhere: dict[Operator, bool] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Of the case."""
        return self.decider.case.id

    @property
    def runs(self) -> int:
        """Fresh answers without the set that decide otherwise; one that cannot be read does not."""
        return sum((name := self.decider.first(a)) is not None and name != self.decider.stands for a in self.after)

    def held(self, level: float) -> bool:
        """Whether the fresh answers confirm the change: the recommendation's share falls to half, beyond chance."""
        if self.found.removed is None:
            return False
        stood = sum(self.decider.first(a) == self.decider.stands for a in self.before)
        first = stats.wilson(stood, len(self.before), level)
        second = stats.wilson(len(self.after) - self.runs, len(self.after), level)
        return second.estimate <= first.estimate / 2 and independent_difference(first, second).low > 0

    def sentence(self, level: float) -> str:
        """What a person reads; a change is only spoken of as one where fresh answers confirm it."""
        tried = count(self.found.tried, "set") + " tried"
        if self.found.removed is None:
            if self.found.minimal:
                case = self.decider.case
                of = f"the latest {count(case.weighed, 'item')}" if case.first else "items"
                return f"no set of {of} changes this recommendation ({tried})"
            return f"no set was found within the budget that changes this recommendation ({tried})"
        shown = f"checked in {self.runs} of {count(len(self.after), 'run')}"
        what = self._what()
        if not self.held(level):
            return f"{what} seemed to change this recommendation, which did not hold when asked again ({shown})"
        small = ""
        if len(self.found.removed) > 1:
            small = "; no smaller set does" if self.found.minimal else "; not proven to be the smallest set"
        return f"{what} changes this recommendation {self._to()} ({shown}){small}"

    def _what(self) -> str:
        operator = self.values.operator
        theirs = [self.values.players[self.number][i] for i in sorted(self.found.removed or ())]
        if operator == "swap":
            swaps = self.values.swaps[self.number]
            pairs = []
            for player in theirs:
                other = swaps[player.field]
                pairs.append(f"“{player.label}” for “{other.title if isinstance(other, Item) else other}”")
            return f"Exchanging {listed(pairs)} in the history"
        times = Counter(player.label for player in theirs)
        titles = [f"“{label}”" + (f" ({n} times)" if n > 1 else "") for label, n in times.items()]
        return f"{_DOING[operator]} {listed(titles)} {'from' if operator == 'delete' else 'in'} the history"

    def _to(self) -> str:
        case, other = self.decider.case, self.decider.instead(self.after)
        if case.yes is not None:
            return f"from {self.decider.stands} to {other or 'none'} for “{case.item.title}”"
        return f"to “{self._title(other)}”"

    def _title(self, name: str) -> str:
        if name.startswith("\0"):
            return name[1:]
        item = self.values.context.dataset.catalog.get(name)
        offered = {one.id: one.title for one in self.decider.case.request.candidates or ()}
        return offered.get(name) or (item.title if item is not None else name)

    def attribution(self) -> Attributed:
        """What each item takes from the lead when it goes alone, over what came in its place or the nearest rival."""
        influence = self.found.influence
        rivals = self.decider.rivals
        other = self.decider.instead(self.after)
        column = rivals.index(other) if other in rivals else 0
        if self.decider.case.yes is not None:
            scale = f"log-odds of {self.decider.stands}"
        else:
            kind = "score" if self.decider.scored else "reciprocal rank"
            scale = f"lead in {kind}" + (f" over {self._title(rivals[column])}" if rivals else "")
        removed = self.found.removed or frozenset()
        gone = _GONE[self.values.operator]
        bars = tuple(
            Bar(
                player.label,
                float(influence[i, column]),
                note=f"{gone} here" if i in removed else "",
            )
            for i, player in enumerate(self.values.players[self.number])
            if influence.shape[1] and np.isfinite(influence[i, column])
        )
        return Attributed(bars, scale, method=f"one item {gone} at a time", limits=LIMITS)


def report(sheet: Sheet, operator: Operator, those: Sequence[Checked], left_out: str) -> None:
    """The findings under one operator.

    Args:
        sheet: receives them.
        operator: how items were taken away.
        those: the cases that were searched.
        left_out: which others were not, and why; may be empty.
    """
    card, context = sheet.card, sheet.context
    params: dict[str, Param] = {"part": "counterfactuals", "operator": operator}
    titles = {metric: title.format(operator=operator) for metric, title in TITLES.items()}
    if len(those) < 2:
        reason = f"{len(those)} of the answers can be explained, and 2 are needed"
        card.skip("counterfactual_success", titles["counterfactual_success"], _with(reason, left_out), **params)
        return
    rng = context.rng("explanation", "counterfactuals", operator, "findings")
    found = [one for one in those if one.found.removed is not None]
    good = [one for one in found if one.held(context.level)]
    success = np.array([one.held(context.level) for one in those], dtype=np.float64)
    placebo = np.array([one.placebo for one in those])
    card.add(
        "counterfactual_success",
        titles["counterfactual_success"],
        stats.wilson(len(good), len(those), context.level),
        n=len(those),
        direction="higher_is_better",
        params=params,
        floor=float(placebo.mean()),
        effect=stats.paired_difference(
            success, placebo, rng=rng, level=context.level, resamples=card.resamples, bounds=(-1.0, 1.0)
        ),
        test="paired permutation",
        p=stats.paired_permutation(success, placebo, rng=rng),
        mde=mde_of(success - placebo),
        note=_with(_counted(those, found, good), left_out),
        evidence=_evidence(sheet, operator, found, those),
        values={one.id: float(s - f) for one, s, f in zip(those, success, placebo, strict=True)},
    )
    if not found:
        reason = f"no set that changes a recommendation was found for any of {count(len(those), 'answer')}"
        for metric in ("counterfactual_size", "counterfactual_verified"):
            card.skip(metric, titles[metric], reason, **params)
        return
    card.add(
        "counterfactual_verified",
        titles["counterfactual_verified"],
        stats.wilson(len(good), len(found), context.level),
        n=len(found),
        direction="higher_is_better",
        params=params,
        note=f"{len(good)} of {count(len(found), 'set')}; each asked {count(len(found[0].after), 'time')} again",
    )
    if not good:
        card.skip("counterfactual_size", titles["counterfactual_size"], "no set held when asked again", **params)
        return
    sizes = {one.id: float(len(one.found.removed or ())) for one in good}
    most = max(len(one.values.players[one.number]) for one in good)
    spread = Counter(int(size) for size in sizes.values())
    card.add(
        "counterfactual_size",
        titles["counterfactual_size"],
        stats.mean_interval(
            list(sizes.values()), rng=rng, level=context.level, resamples=card.resamples, bounds=(1.0, float(most))
        ),
        n=len(good),
        direction="neither",
        params=params,
        note=", ".join(f"{count(size, 'item')}: {n}" for size, n in sorted(spread.items()))
        + f"; {sum(one.found.minimal for one in good)} of {len(good)} proven to be the smallest",
        values=sizes,
    )


def _counted(those: Sequence[Checked], found: Sequence[Checked], good: Sequence[Checked]) -> str:
    """The counts that a rate alone would hide."""
    nowhere = len(those) - len(found)
    none = [one for one in those if one.found.removed is None]
    parts = [f"{len(good)} of {count(len(those), 'answer')}"]
    if len(found) > len(good):
        parts.append(f"{len(found) - len(good)} found and not confirmed")
    if nowhere:
        proven = sum(one.found.minimal for one in none)
        parts.append(f"{nowhere} with none within the budget" + (f" ({proven} after all sets)" if proven else ""))
    if not found:
        parts.append("no item of a history that was taken away decides any answer")
    for other in sorted({name for one in good for name in one.elsewhere}):
        both = [one for one in good if other in one.elsewhere]
        parts.append(f"{sum(one.elsewhere[other] for one in both)} of {len(both)} change it by {other} too")
    tried = float(np.mean([one.found.tried for one in those]))
    parts.append(f"{tried:.0f} sets tried per answer")
    if unread := sum(one.found.unread for one in those):
        parts.append(f"{unread} answers could not be read")
    return "; ".join(parts)


def _evidence(sheet: Sheet, operator: Operator, found: Sequence[Checked], those: Sequence[Checked]) -> list[str]:
    """The smallest sets that held first, then what did not hold, then what was not found."""
    level = sheet.context.level
    first = sorted(found, key=lambda one: (not one.held(level), len(one.found.removed or ())))
    rest = [one for one in those if one.found.removed is None]
    shown = []
    for one in [*first, *rest][: sheet.examples]:
        request, note = one.decider.case.request, one.sentence(level)
        title = one.decider.case.said
        if one.found.removed is None:
            shown.append(sheet.show(one.id, title, request, note, attribution=one.attribution()))
            continue
        gone = [one.values.players[one.number][i] for i in sorted(one.found.removed)]
        edits = removals(request, gone, operator, one.values.swaps[one.number])
        shown.append(
            sheet.compare(one.id, title, request, edits, note, after_repeat=one.first, attribution=one.attribution())
        )
    return shown


def _with(said: str, more: str) -> str:
    return f"{said}; {more}" if more else said
