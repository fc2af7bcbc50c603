"""What must be excluded before a reason is believed: that nothing was learnt, or that the answer is one of position.

A network of random weights is a function too, and a method can be faithful to it. So where the weights are at hand,
the network must have learnt something: an item moves it more than it moves a copy with shuffled weights, or it predicts
the prompts that it is asked with. Either is enough: a deep model with shuffled weights is thrown about by everything,
and so moves more than any that has learnt. And a recommendation that falls when the candidates are shuffled is no
recommendation that a history could explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit import stats
from audit.edits import CandidateReorder
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.explanation.explained import Case
from audit.modules.explanation.methods import Attribution
from audit.modules.explanation.players import Operator
from audit.modules.explanation.removal import Floats
from audit.modules.explanation.stability import leave_one_out
from audit.modules.explanation.trial_findings import PART
from audit.modules.explanation.values import Values
from audit.modules.explanation.variants import edited
from audit.modules.sheet import Sheet
from audit.stats import attributions as likeness
from audit.target import Insight

SHUFFLES = 2
_DOOR = 900
"""Number of the first door to a copy with shuffled weights; those of defenses count from 1."""
_STANDS = 0.5
_PROMPTS = 16
"""Prompts that a model must predict: one plain pass each."""
_WEIGHTS = "How alike the attributions of the target and of a copy with shuffled weights are"
_CANDIDATES = "Whether the recommendation stands when the candidates are shuffled"


@dataclass(frozen=True)
class Nulls:
    """What was found of both.

    Attributes:
        base: leave-one-out of every case.
        twin: the same of the copy with shuffled weights; None where the weights are not at hand.
        stands: per case, the share of shuffled candidate lists from which the same item comes first; None where there
            is nothing to shuffle.
        surprise: nats per token of the prompts, under the model and under mere frequencies; None where the target is
            no causal language model at hand.
    """

    base: Sequence[Attribution]
    twin: Sequence[Attribution] | None
    stands: Floats | None
    surprise: tuple[Floats, Floats] | None = None

    def against(self, context: Context) -> tuple[str, ...]:
        """What speaks against every method, each the end of a sentence."""
        found = []
        if self.stands is not None and self.stands.mean() < _STANDS:
            found.append(f"the recommendation stands in only {self.stands.mean():.0%} of shuffled candidate lists")
        if self.twin is not None:
            found += self._unlearnt(context, self.twin)
        return tuple(found)

    def _unlearnt(self, context: Context, twin: Sequence[Attribution]) -> list[str]:
        """What speaks for a network that has learnt nothing; empty where one of two tests shows the contrary."""
        alpha = (1 - context.level) / 2  # for it has two chances to be shown to have learnt
        own, other = self._sizes(twin)
        p = 1.0
        if len(own):
            p = stats.paired_permutation(own, other, rng=context.rng("explanation", "nulls"), alternative="greater")
        if p < alpha:
            return []
        sizes = f"{own.mean():.2g} against {other.mean():.2g}, p {p:.2g}" if len(own) else "none could be read"
        said = f"items move it no more than a copy with shuffled weights ({sizes})"
        if self.surprise is None:
            return [said]
        model, counted = self.surprise
        rng = context.rng("explanation", "nulls", "prompts")
        p = stats.paired_permutation(counted, model, rng=rng, alternative="greater")
        if p < alpha:
            return []
        nats = f"{model.mean():.2g} nats per token against {counted.mean():.2g}, p {p:.2g}"
        return [f"{said}, and it predicts its prompts no better than frequencies of words do ({nats})"]

    def _sizes(self, twin: Sequence[Attribution]) -> tuple[Floats, Floats]:
        """Mean size of an attribution per user, of both."""
        both = [(a.phi, b.phi) for a, b in zip(self.base, twin, strict=True) if a.usable and b.usable]
        sizes = np.array([[np.mean(np.abs(x)), np.mean(np.abs(y))] for x, y in both]).reshape(len(both), 2)
        return sizes[:, 0], sizes[:, 1]


def nulls(context: Context, cases: Sequence[Case], operator: Operator, evaluations: int) -> Nulls:
    """Ask for both.

    Args:
        context: what is audited.
        cases: what is explained.
        operator: by which leave-one-out is made.
        evaluations: the most questions per attribution.
    """
    base = leave_one_out(context, cases, operator, evaluations)
    twin, read = None, None
    if may_have_weights(context):
        # Loaded only for a target that may have weights: it brings torch along.
        from audit.targets.learnt import surprise
        from audit.targets.shuffled import shuffled

        other = shuffled(context.gateway.target, context.rng("explanation", "shuffled"))
        if other is not None:
            # Behind a defense that is a model too, its copy is another one, and needs a door of its own.
            own = context.gateway.stored_repeat(0) // context.gateway.behind(other, 1).stored_repeat(0)
            inner = replace(context, gateway=context.gateway.behind(other, _DOOR + own))
            twin = leave_one_out(inner, cases, operator, evaluations)
            read = surprise(context.gateway.target, [case.request for case in cases[:_PROMPTS]])
    variants = shuffled_candidates(context, cases)
    stands = None
    if all(variants):
        values = Values(context, [one for mine in variants for one in mine], operator)
        everyone = [[frozenset(range(len(theirs)))] for theirs in values.players]
        told = np.array([bool(one[0]) for one in values.decisions(everyone)], dtype=np.float64)
        stands = told.reshape(len(cases), SHUFFLES).mean(axis=1)
    return Nulls(base, twin, stands, read)


def may_have_weights(context: Context) -> bool:
    """Whether a copy with shuffled weights may be made and asked."""
    return bool(context.info.reveals & {Insight.LOGPROBS, Insight.GRADIENTS}) and not context.info.remote


def shuffled_candidates(context: Context, cases: Sequence[Case]) -> list[list[Case]]:
    """Every case with its candidates in other orders; empty lists where there are none to reorder."""
    found = []
    for case in cases:
        rng, count = context.rng("explanation", "candidates", case.id), len(case.request.candidates or ())
        orders = [rng.permutation(count) for _ in range(SHUFFLES)] if count > 1 else []
        found.append([edited(case, [CandidateReorder(tuple(int(i) for i in order))]) for order in orders])
    return found


def report(sheet: Sheet, cases: Sequence[Case], found: Nulls, operator: Operator) -> None:
    """Report the likeness to the shuffled copy as `sanity`, and the shuffled candidates as `stability`."""
    params: dict[str, Param] = {"part": PART, "method": "leave-one-out", "operator": operator}
    if found.twin is None:
        reason = (
            "the target's weights are not at hand, or too many to be copied; the check with an unrelated title stands "
            "for it"
        )
        sheet.card.skip("sanity", _WEIGHTS, reason, **params, check="random weights")
    else:
        alike = {case.id: pair for case, pair in zip(cases, zip(found.base, found.twin, strict=True), strict=True)}
        note = "a copy that has learnt nothing; 0 says that the attribution rests on what was learnt"
        taus(sheet, alike, _WEIGHTS, params | {"check": "random weights"}, note)
    if found.stands is None:
        reason = "the requests hold no candidates that could be shuffled"
        sheet.card.skip("stability", _CANDIDATES, reason, part=PART, of="candidates")
        return
    sheet.card.add(
        "stability", _CANDIDATES,
        stats.mean_interval(
            found.stands, rng=sheet.context.rng("explanation", "stands"), level=sheet.card.level,
            resamples=sheet.card.resamples, bounds=(0.0, 1.0),
        ),
        n=len(cases), direction="higher_is_better", params={"part": PART, "of": "candidates"},
        note=f"share of {SHUFFLES} shuffled candidate lists per user from which the same item comes first; below one "
        "half no method is called faithful",
        values={case.id: float(v) for case, v in zip(cases, found.stands, strict=True)},
    )  # fmt: skip


def taus(
    sheet: Sheet,
    alike: dict[str, tuple[Attribution, Attribution]],
    title: str,
    params: dict[str, Param],
    note: str,
) -> None:
    """Report how alike two attributions are, over users, as a `sanity` finding."""
    found = {case: likeness.kendall_tau_b(a.phi, b.phi) for case, (a, b) in alike.items() if a.usable and b.usable}
    each = {case: tau for case, tau in found.items() if np.isfinite(tau)}
    if len(each) < 2:
        reason = f"{len(each)} users have two attributions that order their items"
        sheet.card.skip("sanity", title, reason, **params)
        return
    sheet.card.add(
        "sanity", title,
        stats.mean_interval(
            list(each.values()), rng=sheet.context.rng("explanation", "sanity", str(params["check"])),
            level=sheet.card.level, resamples=sheet.card.resamples, bounds=(-1.0, 1.0),
        ),
        n=len(each), direction="higher_is_worse", params=params,
        note=f"Kendall's τ, averaged over users; {note}", values=each,
    )  # fmt: skip
