"""What the judges of this module share: where findings go, and what the history does."""

from __future__ import annotations

from dataclasses import dataclass

from audit import stats
from audit.modules.arms import Arm, ablations
from audit.modules.outcomes import Bools, Floats
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
            for metric in ("history_use", "history_change_rate"):
                self.card.skip(metric, "Does it use the history at all?", reason)
        return arms

    def moved(self, arm: Arm, losses: Floats) -> None:
        """How far the order of each case moved under an ablation, 0 (not at all) to 1.

        Args:
            arm: the ablation.
            losses: (cases,) 1 - RBO between the two orders.
        """
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

    def changed(self, arm: Arm, answers: Bools, readable: Bools) -> None:
        """For how many users the answer became another one under an ablation.

        What a target loses without the history can be told from 0 only where it loses something: where every answer
        stays as it was the loss is 0 without any spread, and no interval of it ever excludes 0. A share of users has
        no such hole: that not one of n answers changed says that hardly more than 3/n would.

        Args:
            arm: the ablation.
            answers: (cases,) whether the answer became another one.
            readable: (cases,) whether one of the two could be read at all; the others say nothing.
        """
        title = f"Users whose answer changes when the history is {done(arm)}"
        n, hits = int(readable.sum()), int((answers & readable).sum())
        if not n:
            reason = "no answer could be read, with the history or without"
            self.card.skip("history_change_rate", title, reason, ablation=arm.id)
            return
        lost = len(readable) - n
        ids = [case.id for case in self.context.cases]
        self.card.add(
            "history_change_rate",
            title,
            stats.wilson(hits, n, self.card.level),
            n=n,
            # An order of events may well be nothing to a good recommender; whose events they are may not.
            direction="neither" if arm.id == "history_shuffled" else "higher_is_better",
            params={"ablation": arm.id},
            note=f"{hits} of {n} users; a target that draws its answers changes them without any cause"
            + (f"; of {lost} more neither answer could be read" if lost else ""),
            values={ids[i]: float(answers[i]) for i in range(len(ids)) if readable[i]},
        )


def done(arm: Arm) -> str:
    """What an ablation did to the history, as the end of a sentence."""
    return _DONE[arm.id]
