"""What the training of the target promises: its card, with what the promise rests on and what voids it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit import stats
from audit.errors import TargetError
from audit.findings import Param
from audit.gateway import Ask
from audit.guarantee import Guarantee
from audit.modules.base import Context, Output
from audit.modules.privacy.known import check_members, guarantee_of, promising_target
from audit.modules.privacy.module import INFO
from audit.modules.report_card import ReportCard
from audit.text import count, listed


@dataclass(frozen=True)
class Promise:
    """The guarantee of the training, as its card tells it. Nothing is asked.

    Attributes:
        members: a file or folder beside which the card lies; None for the card of the target itself.
    """

    members: str | None = None

    def __post_init__(self) -> None:
        check_members(self.members)

    def lacking(self, context: Context) -> str | None:
        """There must be a card of a training with noise."""
        try:
            card = guarantee_of(context, self.members)
        except TargetError as error:
            return f"the card of the guarantee cannot be read ({error})"
        if card is None:
            return "no guarantee.json stands beside its weights; `recaudit train tallrec --epsilon 8` trains with one"
        if not card.epsilon >= 0 or not 0 <= card.delta < 1:
            return (
                f"its card says ε = {card.epsilon}, δ = {card.delta}, which cannot be; train again to have it written"
            )
        if not math.isfinite(card.epsilon):
            why = f" ({listed(card.void)})" if card.void else ""
            return f"its training promises nothing: ε is infinite{why}"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Nothing."""
        del context
        return []

    def run(self, context: Context, *, examples: int) -> Output:
        """Read the card."""
        del examples
        card = ReportCard(INFO.id, context.level, INFO.controls)
        told = guarantee_of(context, self.members)
        if told is not None:
            _tell(told, card, own=_own(context), place=self.members)
        return Output(card.corrected(), [], card.values)


def terms(card: Guarantee) -> dict[str, str]:
    """What a card says, the unit first: `hides`, `promise`, `training`, and what else there is to say.

    `spent` is ε of the steps that were run, `repeats` other trainings on the same people, `person` what is left for a
    person where single rows are protected, `outside` what is not covered.
    """
    whom = (
        f"one user with all their rows, at most {count(card.cap, 'row')} of them used"
        if card.unit == "user"
        else "one row; this is no promise to a person"
    )
    told = {
        "hides": whom,
        "promise": f"ε = {card.epsilon:.3g} at δ = {card.delta:.2g}, neighbours {card.adjacency}",
        "training": f"σ = {card.noise_multiplier:.3g}, C = {card.clip:.3g}, q = {card.sample_rate:.3g}, "
        f"{card.steps:,} steps, {card.units:,} units, {card.sampling} sampling, by "
        f"{card.accountant or 'an unnamed accountant'}",
    }
    if card.epsilon_by:
        by = sorted(card.epsilon_by.items())
        told["spent"] = ", ".join(f"{name} {'∞' if math.isinf(e) else f'{e:.3g}'}" for name, e in by)
    if card.trainings > 1:
        told["repeats"] = f"one of {card.trainings} trainings on the same people, whose ε add up"
    if card.unit == "example":
        epsilon, delta = user_level(card)
        for_user = f"ε = {epsilon:.3g}, δ = {delta:.2g}" if delta < 1 else "nothing, for δ would exceed 1"
        told["person"] = f"for a person with {count(card.cap, 'row')} group privacy leaves {for_user}"
    if card.outside:
        told["outside"] = listed(card.outside)
    return told


_LEAD = {"hides": "hides ", "spent": "of the steps that were run: ", "outside": "outside of it: "}
"""What a term begins with, where it stands in a sentence."""


def in_a_sentence(told: Mapping[str, str]) -> str:
    """The same as a note."""
    return "; ".join(f"{_LEAD.get(name, '')}{words}" for name, words in told.items())


def user_level(card: Guarantee) -> tuple[float, float]:
    """(ε, δ) for a user with all their rows: of the card itself, or by group privacy over the rows of one user.

    kε and k·e^((k-1)ε)·δ for k rows (Dwork and Roth 2014, theorem 2.2 and its remark for δ).
    """
    if card.unit == "user":
        return card.epsilon, card.delta
    k = max(card.cap, 1)
    if not math.isfinite(card.epsilon):
        return math.inf, 1.0
    exponent = math.log(k) + (k - 1) * card.epsilon + math.log(max(card.delta, 1e-300))
    return k * card.epsilon, math.exp(min(exponent, 0.0))


def _own(context: Context) -> bool:
    """Whether the card is the target's own."""
    promising = promising_target(context.gateway.target)
    return promising is not None and promising.guarantee is not None


def _tell(told: Guarantee, card: ReportCard, *, own: bool, place: str | None) -> None:
    whom = "each user" if told.unit == "user" else "each single row, not each user"
    title, said = f"ε that the training promises to {whom}", terms(told)
    if not own:
        name = Path(place or "").name
        said["whose"] = f"the card lies beside {name!r}, and whether the target has these weights is not known"
    params: dict[str, Param] = {"part": "guarantee", "unit": told.unit}
    flaws = list(told.void)
    if told.delta * told.units >= 1:
        flaws.append(f"δ = {told.delta:.2g} is not below 1 / {told.units:,}, so that a whole unit may be given away")
    _hold(flaws, said, card, n=told.units, params=params)
    if flaws:
        # Not a number that a limit could pass: what is void promises nothing.
        card.skip("epsilon_claimed", title, f"the guarantee is void: {listed(flaws)}", **params)
        return
    card.add(
        "epsilon_claimed",
        title,
        stats.Interval(told.epsilon, told.epsilon, told.epsilon, card.level, "card"),
        n=told.units,
        unit=told.unit,
        direction="higher_is_worse",
        params=params,
        note=in_a_sentence(said),
        facts=said,
    )


def _hold(
    flaws: Sequence[str], said: Mapping[str, str], card: ReportCard, *, n: int, params: Mapping[str, Param]
) -> None:
    """Whether the card may promise what it does: a promise that does not hold is worse than none."""
    void = float(bool(flaws))
    card.add(
        "guarantee_void",
        "Whether the training's promise is void",
        stats.Interval(void, void, void, card.level, "card"),
        n=n,
        unit=str(params["unit"]),
        direction="higher_is_worse",
        params=params,
        note=f"the guarantee is void: {listed(flaws)}; the card says: {in_a_sentence(said)}"
        if flaws
        else "nothing was found that voids the card; 1 would be void",
        facts={"flaws": listed(flaws), **said} if flaws else {},
    )
