"""Attacks on the answers of one user at a time: every cell, in planned looks, each against the floor of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit import stats
from audit.edits import Zone
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.cells import Cell
from audit.modules.robustness.comparison import Compared, Comparison
from audit.modules.robustness.costs import costs, curve
from audit.modules.robustness.judging import judge
from audit.stats import Look


@dataclass(frozen=True)
class UserAttacks:
    """The cells of a run.

    Attributes:
        cells: in the order in which they are reported.
        sequential: whether a cell stops at a planned look once the policy can judge it.
        examples: pieces of evidence kept per attack.
    """

    cells: Sequence[Cell]
    sequential: bool
    examples: int

    def search_queries(self, context: Context) -> int:
        """Most queries of the cells with a search, their answers before and after counted."""
        users = len(context.cases)
        return sum(cell.seeds * cell.size(users) * (cell.budget + 2) for cell in self.cells if not cell.planned)

    def run(
        self, comparison: Comparison, controls: Mapping[str, Compared], card: ReportCard, output: Output
    ) -> dict[str, Compared]:
        """Attack in planned looks; a cell that the policy can already judge is asked no further.

        Returns:
            By cell id, what each came to.
        """
        context = comparison.context
        done: dict[str, Compared] = {}
        cards: dict[str, ReportCard] = {}
        planned = {cell.id: self._looks(cell.size(len(context.cases)), context.level) for cell in self.cells}
        for round_ in range(max((len(p) for p in planned.values()), default=0)):
            open_ = [cell for cell in self.cells if cell.id not in cards]
            asks = [a for cell in open_ for a in cell.foreseen(context, planned[cell.id][round_].n)]
            context.gateway.fetch(asks, label="Attacks")
            for cell in open_:
                look = planned[cell.id][round_]
                once = look if len(planned[cell.id]) > 1 else None
                done[cell.id] = cell.attacked(context, look.n)
                found, shown = self._judged(cell, done[cell.id], comparison.head(look.n), controls, once, card)
                if not look.early or context.settled(found.findings):
                    cards[cell.id] = found
                    output.evidence += shown.evidence
        for cell in self.cells:
            card.take(cards[cell.id])
        return done

    def _looks(self, users: int, level: float) -> Sequence[Look]:
        return stats.looks(users, level=level, fractions=(0.5, 1.0) if self.sequential else (1.0,))

    def _judged(
        self,
        cell: Cell,
        compared: Compared,
        comparison: Comparison,
        controls: Mapping[str, Compared],
        look: Look | None,
        like: ReportCard,
    ) -> tuple[ReportCard, Output]:
        level = like.level if look is None else look.level
        card, shown = ReportCard(like.module, level, like.controls), Output()
        if not any(draw.arm.changed for draw in compared.draws):
            reason = f"{cell.name} found nothing to edit in any request"
            card.skip("flip_rate", cell.title, reason, attack=cell.name, **cell.params)
            return card, shown
        floor = floor_of(cell.attack.info.threat_model.zones, controls).head(len(comparison.clean))
        panel = judge(comparison, compared, floor, card, shown, examples=self.examples, look=look)
        costs(panel)
        if compared.found and (look is None or not look.early):
            curve(panel, cell, comparison.context)
        return card, shown


def floor_of(zones: frozenset[Zone], controls: Mapping[str, Compared]) -> Compared:
    """The benign control of the same kind as an attack that writes these zones.

    Exchanged neighbours for edits of the history, a paraphrase for edits of the wording, and the plain repeat where the
    target allows neither.
    """
    kind = "history_order" if Zone.PLATFORM in zones else "paraphrase"
    return controls.get(kind, controls["repeat"])
