"""What the judges of this module share: where findings go, and what the history does."""

from __future__ import annotations

from dataclasses import dataclass

from audit import stats
from audit.modules.arms import Arm, ablations
from audit.modules.outcomes import Floats
from audit.modules.sheet import Sheet

_DONE = {
    "history_emptied": "emptied",
    "history_shuffled": "shuffled",
    "history_replaced": "replaced by a stranger's",
}


@dataclass(frozen=True)
class QualitySheet(Sheet):
    """Collects what one run of the module finds."""

    def ablations(self) -> list[Arm]:
        """The histories taken away; for a target that does not read them, the reason why nothing can be said."""
        arms = ablations(self.context)
        if not arms:
            reason = "the target does not read the history from the request, so it cannot be taken away"
            self.card.skip("history_use", "Does it use the history at all?", reason)
        return arms

    def moved(self, arm: Arm, losses: Floats) -> None:
        """How far the order of each case moved under an ablation, 0 (not at all) to 1."""
        rng = self.context.rng("quality", "moved", arm.id)
        self.card.add(
            "history_effect",
            f"How far the order moves when the history is {done(arm)} (1 − RBO)",
            stats.mean_interval(losses, rng=rng, level=self.card.level, bounds=(0.0, 1.0)),
            n=len(losses),
            direction="neither",
            params={"ablation": arm.id},
            note=f"the order changed for {int((losses > 0).sum())} of {len(losses)} users",
            values=self.by_case(losses),
        )


def done(arm: Arm) -> str:
    """What an ablation did to the history, as the end of a sentence."""
    return _DONE[arm.id]
