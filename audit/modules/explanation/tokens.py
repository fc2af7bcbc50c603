"""Attributions of a local language model, held against Captum's: the part, its options and its findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Attributed, Bar, Param
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.explanation.captum_check import (
    MOST_STEPS,
    Integrated,
    feature_ablation,
    integrated_gradients,
    shapley_sampling,
)
from audit.modules.explanation.explained import REPEATS, Case, clean_asks, explained, unweighed, whole
from audit.modules.explanation.methods import attributions_of, most_sets
from audit.modules.explanation.module import INFO
from audit.modules.explanation.players import OPERATORS, Operator, check_items, kept, players, swaps_for
from audit.modules.explanation.values import Values
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.stats import shapley
from audit.target import Insight
from audit.targets.gradients import PromptGradients

Floats = npt.NDArray[np.float64]

PART = "tokens"
_TITLE = "Our attributions against Captum's"
_GAP_TITLE = "Whether integrated gradients add up to what they explain"
_FEWEST = 2


@dataclass(frozen=True)
class Tokens:
    """The same questions put to the model by Captum, and integrated gradients where they add up.

    Attributes:
        users: how many users' answers are explained.
        operators: how items are taken away.
        evaluations: the most questions that one answer's attribution may cost.
        items: how many of the latest items of a history are weighed, the older ones staying as they are; None for all.
        samples: orders of Captum's ShapleyValueSampling; 0 leaves it out, for it asks one set at a time.
        steps: of the first integral; they are doubled up to 512 until the gradients add up. 0 leaves them out.
        gap: the most that integrated gradients may miss what they explain by, as a share; those that miss it by more
            are counted and not shown.
    """

    users: int = 20
    operators: Sequence[Operator] = ("delete", "swap")
    evaluations: int = 256
    items: int | None = None
    samples: int = 10
    steps: int = 32
    gap: float = 0.05

    def __post_init__(self) -> None:
        for name, least in (("users", _FEWEST), ("evaluations", 2), ("samples", 0), ("steps", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        check_items(self.items, 1)
        if self.steps > MOST_STEPS:
            raise ValueError(f"steps: {self.steps} must be at most {MOST_STEPS}")
        if isinstance(self.operators, str) or not self.operators:
            raise ValueError(f"operators: {self.operators!r} must be a list of some of {', '.join(OPERATORS)}")
        for operator in self.operators:
            if operator not in OPERATORS:
                raise ValueError(f"operators: {operator!r} must be one of {', '.join(OPERATORS)}")
        if not 0 < self.gap < 1:
            raise ValueError(f"gap: {self.gap!r} must lie between 0 and 1, such as 0.05")

    def lacking(self, context: Context) -> str | None:
        """The weights of a causal language model must be at hand, and its answer read from single words."""
        target = context.gateway.target
        if not isinstance(target, PromptGradients):
            return "Captum needs the weights of a language model on this machine, and the target shows none"
        if Insight.GRADIENTS not in context.info.reveals:
            return "the target gives no gradients: its answers are not read from the first word of a causal model"
        return None if context.task in ("rank", "score") else "what is written in free text is no single word"

    def plan(self, context: Context) -> list[Ask]:
        """The clean questions and all sets of them; of a `score` case fewer are asked if one item can be asked alone.

        What Captum asks of the model is no question to the target: it goes past the gateway and is not counted.
        """
        asks = clean_asks(context, self.users)
        for case in context.cases[: self.users]:
            request = whole(case.request)
            theirs = players(request, items=self.items)
            sets = most_sets(len(theirs), self.evaluations, context.rng("explanation", PART, "plan", case.id))
            for operator in self.operators:
                rng = context.rng("explanation", "swap", case.id)
                swaps = swaps_for(request, theirs, context.dataset, rng) if operator == "swap" else {}
                if swaps is not None:
                    asks += [Ask(kept(request, theirs, one, operator, swaps)) for one in sets]
        # `explained` asks each item alone once more.
        return asks + [Ask(ask.request, REPEATS) for ask in clean_asks(context, self.users, 1)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask, let Captum ask, and compare."""
        card = ReportCard(INFO.id, context.level, INFO.controls)
        found = explained(context, self.users, items=self.items)
        said = f"{len(found.unstable)} of {len(context.cases[: self.users])} had no stable recommendation and are not "
        said += f"explained, {len(found.unanswered)} no readable answer{unweighed(found.cases)}"
        if len(found.cases) < _FEWEST:
            reason = f"{len(found.cases)} recommendations can be explained, and {_FEWEST} are needed: {said}"
            card.skip("attribution_agreement", _TITLE, reason, part=PART)
            card.skip("completeness_gap", _GAP_TITLE, reason, part=PART)
            return Output(card.findings)
        output = Output()
        sheet = Sheet(context, card, output, examples)
        check = _Check(self, sheet, cast(PromptGradients, context.gateway.target), said)
        for operator in self.operators:
            check.against_captum(Values(context, found.cases, operator))
        if self.steps:
            check.gradients(found.cases)
        return Output(card.corrected(), output.evidence, card.values)


@dataclass
class _Check:
    """Compares and reports.

    Attributes:
        part: its options.
        sheet: where findings and evidence go.
        target: the model.
        said: how many cases are left out.
        exact: Shapley values by operator and case.
    """

    part: Tokens
    sheet: Sheet
    target: PromptGradients
    said: str
    exact: dict[Operator, list[Floats]] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        """What is audited."""
        return self.sheet.context

    @property
    def card(self) -> ReportCard:
        """The findings."""
        return self.sheet.card

    def against_captum(self, values: Values) -> None:
        """Leave-one-out against FeatureAblation, Shapley values against ShapleyValueSampling."""
        part, numbers = self.part, range(len(values.cases))
        rng = self.context.rng("explanation", PART, values.operator)
        alone = attributions_of("leave-one-out", values, rng, part.evaluations)
        theirs = [feature_ablation(self.target, values, i) if alone[i].usable else None for i in numbers]
        self._agreement(values, "leave-one-out", "feature-ablation", [a.phi for a in alone], theirs, "equal sets")
        ours = attributions_of("shapley", values, rng, part.evaluations)
        self.exact[values.operator] = [a.phi for a in ours]
        if part.samples:
            seed = int(rng.integers(1 << 31))
            drawn = [
                shapley_sampling(self.target, values, i, samples=part.samples, seed=seed) if ours[i].usable else None
                for i in numbers
            ]
            how = f"Captum's are estimates from {part.samples} orders and err themselves"
            self._agreement(values, "shapley", "shapley-sampling", [a.phi for a in ours], drawn, how)

    def gradients(self, cases: Sequence[Case]) -> None:
        """Integrated gradients: whether they add up, and whether those that do say the same as Shapley values."""
        values = Values(self.context, cases, "placeholder")
        found = [
            integrated_gradients(self.target, values, i, steps=self.part.steps, gap=self.part.gap)
            for i in range(len(cases))
        ]
        gaps = {c.unit: g.gap for c, g in zip(cases, found, strict=True) if g is not None and np.isfinite(g.gap)}
        shown = [g if g is not None and g.gap <= self.part.gap else None for g in found]
        params: dict[str, Param] = {"part": PART, "steps": self.part.steps, "most_steps": MOST_STEPS}
        if len(gaps) < _FEWEST:
            self.card.skip(
                "completeness_gap", _GAP_TITLE, f"{len(gaps)} answers have gradients that explain a change", **params
            )
            return
        kept = sum(g is not None for g in shown)
        self.card.add(
            "completeness_gap",
            _GAP_TITLE,
            stats.mean_interval(
                list(gaps.values()),
                rng=self.context.rng("explanation", PART, "gap"),
                level=self.context.level,
                resamples=self.card.resamples,
            ),
            n=len(gaps),
            direction="higher_is_worse",
            params=params,
            note=f"{kept} of {len(cases)} add up to within {self.part.gap:.0%}, with {_steps(shown)}; "
            f"the others are not shown; {self.said}",
            evidence=[self._show(values, number, one) for number, one in self._best(shown)],
            values=gaps,
        )
        for operator, exact in self.exact.items():
            self._agreement(
                Values(self.context, cases, operator),
                "shapley",
                "integrated-gradients",
                exact,
                [None if g is None else g.phi for g in shown],
                "gradients lead from padding to the words and never leave a place empty",
                compared=("spearman",),
            )

    def _best(self, shown: Sequence[Integrated | None]) -> list[tuple[int, Integrated]]:
        """Those to show: the ones that explain most."""
        known = [(number, one) for number, one in enumerate(shown) if one is not None and len(one.phi)]
        return sorted(known, key=lambda pair: -abs(pair[1].total))[: self.sheet.examples]

    def _show(self, values: Values, number: int, one: Integrated) -> str:
        case = values.cases[number]
        bars = tuple(Bar(p.label, float(phi)) for p, phi in zip(values.players[number], one.phi, strict=True))
        return self.sheet.show(
            case.id,
            f"{case.said}: integrated gradients of its history",
            case.request,
            f"they sum to {one.phi.sum():.3g} where {one.total:.3g} is to explain, in {one.steps} steps",
            attribution=Attributed(
                bars,
                values.scale,
                method="integrated gradients, from padding in the place of each title",
                limits="covers the words of the prompt, not the training; nothing was taken away to check it",
            ),
        )

    def _agreement(
        self,
        values: Values,
        method: str,
        against: str,
        ours: Sequence[Floats],
        theirs: Sequence[Floats | None],
        how: str,
        compared: Sequence[str] = ("spearman", "max_difference"),
    ) -> None:
        measures: dict[str, Callable[[Floats, Floats], float]] = {
            "spearman": shapley.spearman,
            "max_difference": lambda a, b: float(np.max(np.abs(a - b), initial=0.0)),
        }
        for measure in compared:
            params: dict[str, Param] = {
                "part": PART,
                "method": method,
                "against": against,
                "operator": values.operator,
                "measure": measure,
            }
            title = f"{_TITLE}: {method} and {against}"
            each = {
                case.unit: measures[measure](a, b)
                for case, a, b in zip(values.cases, ours, theirs, strict=True)
                if b is not None and np.isfinite(a).all()
            }
            known = {unit: value for unit, value in each.items() if np.isfinite(value)}
            if len(known) < _FEWEST:
                reason = f"{len(known)} of {len(values.cases)} answers give two attributions that order their items"
                reason += f"; {values.unmet_said}" if values.unmet else ""
                self.card.skip("attribution_agreement", title, reason, **params)
                continue
            unit = "largest difference of any item" if measure == "max_difference" else "rank correlation"
            self.card.add(
                "attribution_agreement",
                title,
                stats.mean_interval(
                    list(known.values()),
                    rng=self.context.rng("explanation", PART, method, against, values.operator, measure),
                    level=self.context.level,
                    resamples=self.card.resamples,
                    bounds=(-1.0, 1.0) if measure == "spearman" else None,
                ),
                n=len(known),
                direction="higher_is_better" if measure == "spearman" else "higher_is_worse",
                params=params,
                note=f"{unit} per user, {values.scale}; {_extreme(known, measure)}; "
                f"{len(values.cases) - len(known)} order nothing or could not be had; {how}; {self.said}"
                + (f"; {values.unmet_said}" if values.unmet else ""),
                values=known,
            )


def _extreme(known: dict[str, float], measure: str) -> str:
    worst = min(known.values()) if measure == "spearman" else max(known.values())
    return f"worst {worst:.3g}"


def _steps(shown: Sequence[Integrated | None]) -> str:
    used = sorted({g.steps for g in shown if g is not None})
    return f"{used[0]} to {used[-1]} steps" if used else "no number of steps"
