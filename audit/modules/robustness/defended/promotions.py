"""Promotions against defenses: does planted text still lift its item, when the target is behind a defense?

Text that is written down is the same on both sides, so its row is a replay; text that is searched for is searched again
against the defended target, and its row is adaptive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audit.attack import Promotion
from audit.modules.base import Output
from audit.modules.outcomes import Bools, Floats
from audit.modules.protected import Protected
from audit.modules.report_card import ReportCard
from audit.modules.robustness.board import Board
from audit.modules.robustness.promotion import Lifted, fire, searched
from audit.modules.robustness.promotion_findings import Shot

PROMOTED_METRICS = ("defended_lift", "defended_psr", "lift_blocked")


def promotions_behind(
    lifted: Sequence[Lifted], defenses: Sequence[Protected], card: ReportCard, output: Output, *, examples: int
) -> None:
    """Report exposure gained and promotion success behind each defense, and how much of the lift it blocks.

    Args:
        lifted: what each attack came to on the bare target.
        defenses: the defended targets.
        card: collects the findings.
        output: collects the evidence.
        examples: most pieces of evidence per pair.
    """
    for one in defenses:
        for attack in lifted:
            _judge(attack, one, card, output, examples)


def _judge(lifted: Lifted, one: Protected, card: ReportCard, output: Output, examples: int) -> None:
    context = one.context
    title = f"{lifted.attack.info.title} against {one.defense.info.title}"
    fixed = isinstance(lifted.attack, Promotion)
    extra = {"defense": one.name, "row": "replay" if fixed else "adaptive"}

    def rng(*parts: str) -> np.random.Generator:
        return context.rng("promotion", lifted.name, "behind", one.name, *parts)

    board = Board(lifted.name, title, card, output, rng, examples, extra)
    planned = lifted.planned
    if not fixed:
        stage = replace(lifted.stage, context=context)
        planned = searched(lifted.name, lifted.attack, stage, board, lifted.budget)
        board.extra = {**board.extra, **extra}
    if not planned:
        return
    shots = fire(planned, context, title)
    seen = [shot for shot in shots if shot.readable]
    units = [shot.trial.case.unit for shot in seen]
    k = seen[0].trial.depth if seen else 0
    board.note = f"{len(shots) - len(seen)} of {len(shots)} trials without three readable answers"
    board.mean(
        "defended_lift", f"exposure@{k} gained", units, _gained(seen), _gained(seen, benign=True), (-1.0, 1.0), k=k
    )
    low = [shot for shot in seen if not shot.exposed(shot.clean)]
    board.rate(
        "defended_psr",
        f"items that came among the first {k}",
        [shot.trial.case.unit for shot in low],
        _shown([shot.exposed(shot.after) for shot in low]),
        _shown([shot.exposed(shot.benign) for shot in low]),
        nothing="no item stood outside the first places of a list that could be read",
        params={"k": k},
    )
    _blocked(lifted.shots, shots, board, k)


def _gained(shots: Sequence[Shot], *, benign: bool = False) -> Floats:
    return np.array([s.exposed(s.benign if benign else s.after) - s.exposed(s.clean) for s in shots])


def _shown(values: Sequence[float]) -> Bools:
    return np.array(values, dtype=float) > 0


def _blocked(bare: Sequence[Shot], behind: Sequence[Shot], board: Board, k: int) -> None:
    """The lift on the bare target less that behind the defense, over the trials that both sides answered readably."""
    place = {_trial(shot): shot for shot in bare if shot.readable}
    pairs = [(place[_trial(s)], s) for s in behind if s.readable and _trial(s) in place]
    board.mean(
        "lift_blocked",
        f"exposure@{k} gained without the defense that it takes away",
        [shot.trial.case.unit for shot, _ in pairs],
        _gained([before for before, _ in pairs]) - _gained([after for _, after in pairs]),
        np.zeros(len(pairs)),
        (-2.0, 2.0),
        k=k,
    )


def _trial(shot: Shot) -> tuple[str, str, str]:
    return shot.trial.case.id, shot.trial.item.id, shot.variant.id
