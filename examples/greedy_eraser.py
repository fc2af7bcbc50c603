"""An attack of your own in forty lines: erase the events of a history that matter most to the answer."""

from dataclasses import dataclass

from audit.attack import AttackInfo, Probe, Search, Steps, ThreatModel
from audit.edits import HistoryDrop, Zone
from audit.target import Input


@dataclass(frozen=True)
class GreedyEraser(Search):
    """Erase events one after the other, each time the one whose loss hurts the answer most."""

    events: int = 2

    @property
    def info(self) -> AttackInfo:
        """Who attacks, with what: the threat model is held by the driver, not by trust."""
        return AttackInfo(
            id="greedy-eraser",
            title="Erased events",
            why="A purged or lost event should not turn the whole list over.",
            reference="Greedy leave-one-out search; example of the RecAudit documentation, 2026",
            threat_model=ThreatModel(frozenset({Zone.PLATFORM}), max_edits=self.events, max_queries=None),
            needs=frozenset({Input.HISTORY}),
        )

    def search(self, probe: Probe) -> Steps:
        """Yield edits to try; their losses come back in the same order, higher for what hurts more."""
        erased = ()
        left = len(probe.request.user.history)
        for _ in range(min(self.events, left - 1)):
            tries = [(*erased, HistoryDrop(position)) for position in range(left)]
            losses = yield tries
            erased = tries[losses.index(max(losses))]
            left -= 1
        return erased
