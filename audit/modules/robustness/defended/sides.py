"""Sides: the bare target, and the target behind each defense, on the same users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from audit.attack import Perturbation
from audit.edits import Edit, apply
from audit.findings import Evidence
from audit.modules.arms import Arm
from audit.modules.base import Context, Output
from audit.modules.outcomes import Bools, Floats, rank_outcomes, score_outcomes
from audit.modules.protected import Protected
from audit.modules.robustness.cells import Cell
from audit.types import Answer, Case

FIRST_RERUN = 1
"""The first repeat on which found edits are judged: repeat 0 is the draw by which they were chosen."""


@dataclass(frozen=True)
class Side:
    """One target, bare or defended, asked about the users of the matrix.

    Attributes:
        context: of the run, with the door to this target.
        defense: registered name; None for the bare target.
        reruns: fresh draws on which edits are judged.
    """

    context: Context
    defense: str | None
    reruns: int = 1

    @cached_property
    def clean(self) -> list[Answer]:
        """Answers to the clean requests."""
        return self.context.ask(self.context.requests, label=f"Clean requests{self._behind}")

    @cached_property
    def utility(self) -> Floats:
        """(cases,) of the clean answers; see `utilities`."""
        return utilities(self.context.cases, self.clean)

    @cached_property
    def served(self) -> Bools:
        """(trials,) of the clean answers; see `served`."""
        return served(self.context.cases, self.clean)

    def show(self, case: int, edits: tuple[Edit, ...], title: str, note: str, output: Output) -> str:
        """Keep a piece of evidence: the answers of this target to one case, before and after edits; its id."""
        request, number = self.context.cases[case].request, self.context.gateway.stored_repeat
        evidence = Evidence(
            case=self.context.cases[case].id,
            title=title,
            before=request.digest,
            after=apply(edits, request).digest,
            after_repeat=number(FIRST_RERUN),
            edits=edits,
            note=note,
            before_repeat=number(0),
        )
        output.evidence.append(evidence)
        return evidence.id

    @property
    def _behind(self) -> str:
        return f" behind {self.defense}" if self.defense else ""

    def judged(self, arms: Sequence[Arm]) -> Judged:
        """What edits come to here, on fresh draws.

        Args:
            arms: one per seed of the attack.
        """
        runs = []
        for arm in arms:
            stage = self.context.head(len(arm.edits))
            for draw in range(self.reruns):
                again = replace(arm, repeat=FIRST_RERUN + draw, title=f"{arm.title}{self._behind}")
                runs.append(again.answers(stage))
        return Judged(tuple(arms), tuple(map(tuple, runs)), self.context.cases)


@dataclass(frozen=True)
class Judged:
    """Edits and what they came to.

    Attributes:
        arms: the edits, per seed.
        runs: the answers, per seed and draw.
        cases: of the matrix; an attack may have been run on the first of them only.
    """

    arms: tuple[Arm, ...]
    runs: tuple[tuple[Answer, ...], ...]
    cases: Sequence[Case]

    @property
    def n(self) -> int:
        """Cases that were attacked."""
        return len(self.arms[0].edits)

    @cached_property
    def utility(self) -> Floats:
        """(runs, n) per run and case; see `utilities`."""
        return np.array([utilities(self.cases[: self.n], answers) for answers in self.runs])

    @cached_property
    def served(self) -> Bools:
        """(runs, trials) per run; see `served`."""
        return np.array([served(self.cases[: self.n], answers) for answers in self.runs], dtype=bool)

    @property
    def invalid(self) -> float:
        """Share of answers that could not be read, refusals among them."""
        return float(np.mean([[a.outcome != "ok" for a in answers] for answers in self.runs]))


def utilities(cases: Sequence[Case], answers: Sequence[Answer]) -> Floats:
    """What each answer is worth to its user, 0 to 1: NDCG@k of a ranking, share of right decisions of scores.

    An answer that cannot be read, and a refusal, is worth nothing.

    Returns:
        (cases,)
    """
    if cases[0].request.task == "rank":
        return rank_outcomes(cases, answers).ndcg
    outcomes = score_outcomes(cases, answers)
    right = np.bincount(outcomes.case, weights=outcomes.right.astype(float), minlength=len(cases))
    rows = np.bincount(outcomes.case, minlength=len(cases))
    shares: Floats = right / np.maximum(rows, 1)
    return shares


def served(cases: Sequence[Case], answers: Sequence[Answer]) -> Bools:
    """Which trials went well: the list of a case holds a relevant item, or one decision of it is right.

    Returns:
        (trials,) in the order of `trial_case`.
    """
    if cases[0].request.task == "rank":
        return rank_outcomes(cases, answers).hit
    return score_outcomes(cases, answers).right


def trial_case(cases: Sequence[Case]) -> npt.NDArray[np.int64]:
    """(trials,) index of the case that each trial belongs to: one per ranking, one per candidate of scores."""
    if cases[0].request.task == "rank":
        return np.arange(len(cases))
    return np.repeat(np.arange(len(cases)), [len(case.labels) for case in cases])


def side_of(one: Protected, users: int, reruns: int) -> Side:
    """A defended target on the first so many cases; judged on several draws if it draws at random."""
    return Side(one.context.head(users), one.name, reruns if one.context.info.randomised else 1)


def searched_form(cell: Cell, queries: int) -> Cell:
    """The attack as somebody runs it who may ask: one that is otherwise drawn blind keeps the best of its own draws.

    Only so can it adapt to a defense; and the bare target must meet the same, or the defense would seem to do harm.
    """
    if isinstance(cell.attack, Perturbation) and not cell.budget:
        return replace(cell, budget=queries, labels="free")
    return cell
