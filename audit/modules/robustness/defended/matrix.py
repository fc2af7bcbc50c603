"""Every defense against every attack of one user's answers, and what each defense costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audit.defense import Certifies, Detects
from audit.modules.base import Context, Output
from audit.modules.outcomes import Floats
from audit.modules.protected import Protected
from audit.modules.report_card import ReportCard
from audit.modules.robustness.cells import Cell
from audit.modules.robustness.defended.certified import CERTIFIED_METRICS, certified
from audit.modules.robustness.defended.detectors import DETECTOR_METRICS, detection
from audit.modules.robustness.defended.promotions import PROMOTED_METRICS
from audit.modules.robustness.defended.rows import ROW_METRICS, Pair, report_pair, report_robust, report_undefended
from audit.modules.robustness.defended.sides import Judged, Side, searched_form, side_of
from audit.modules.robustness.defended.terms import MatrixTerms
from audit.modules.robustness.defended.upkeep import UPKEEP_METRICS, clean_utility, upkeep

MATRIX_METRICS = (*ROW_METRICS, *UPKEEP_METRICS, *DETECTOR_METRICS, *CERTIFIED_METRICS, *PROMOTED_METRICS)


def matrix(
    defenses: Sequence[Protected],
    cells: Sequence[Cell],
    terms: MatrixTerms,
    context: Context,
    card: ReportCard,
    output: Output,
    *,
    examples: int,
) -> None:
    """Judge every defense against every cell.

    Args:
        defenses: in place.
        cells: attacks under their budgets, each in one mode.
        terms: see `MatrixTerms`.
        context: of the bare target.
        card: collects the findings.
        output: collects the evidence.
        examples: pieces of evidence kept per pair.
    """
    users = len(context.cases) if terms.users is None else min(terms.users, len(context.cases))
    stage = context.head(users)
    bare = Side(stage, None)
    cells = [searched_form(cell, terms.queries) for cell in cells]
    undefended = {cell.id: _attack(cell, bare, bare) for cell in cells}
    tried = [cell for cell in cells if any(arm.changed for arm in undefended[cell.id].arms)]
    clean_utility(bare, "No defense", card)
    for cell in tried:
        report_undefended(cell, undefended[cell.id], bare, card)
    report_robust(None, [undefended[cell.id].utility.mean(axis=0) for cell in tried], None, bare, card)
    before = _worst([undefended[cell.id].utility.mean(axis=0) for cell in tried])
    for one in defenses:
        defense, side = one.defense, side_of(one, users, terms.reruns)
        upkeep(side, bare, defense, card)
        pairs = [_pair(cell, undefended[cell.id], side, terms) for cell in tried]
        for pair in pairs:
            report_pair(pair, side, bare, defense, card, output, examples=examples)
        report_robust(defense, [pair.worst for pair in pairs], before, side, card, name=one.name)
        if isinstance(one.target, Detects):
            detection(one.target, pairs, side, defense, card)
        if isinstance(one.target, Certifies):
            certified(one.target, pairs, side, defense, terms, card, output)


def search_queries(defenses: int, cells: Sequence[Cell], terms: MatrixTerms, users: int) -> int:
    """Most questions that `matrix` may ask, for a plan; each answer of a defended target counts once.

    Args:
        defenses: how many.
        cells: attacks under their budgets.
        terms: see `MatrixTerms`.
        users: cases of the run.
    """
    users = users if terms.users is None else min(terms.users, users)
    total = users * len(cells)
    for cell in cells:
        budget = cell.budget or terms.queries
        # A defense that draws at random is asked for every draw; that is not known before it is built.
        total += defenses * cell.seeds * cell.size(users) * (budget + 2 + 2 * terms.reruns)
    return total + defenses * users


def _attack(cell: Cell, searched: Side, judge: Side) -> Judged:
    """Run an attack against one side and judge what it found on another, or the same."""
    n = cell.size(len(searched.context.cases))
    return judge.judged([arm for arm, _ in cell.crafted(searched.context, n)])


def _pair(cell: Cell, undefended: Judged, side: Side, terms: MatrixTerms) -> Pair:
    replay = side.judged(undefended.arms)
    if reason := cell.attack.info.lacking(side.context.info, side.context.task):
        return Pair(cell, undefended, replay, None, reason)
    # Against a defense that draws at random the loss is a mean over draws.
    draws = terms.draws if side.context.info.randomised else 1
    adapted = replace(cell, users=undefended.n, draws=draws)
    return Pair(cell, undefended, replay, _attack(adapted, side, side))


def _worst(utilities: Sequence[Floats]) -> Floats:
    """(n,) what is left to each user under the attack that is worst for them, among users that met all attacks."""
    n = min(len(u) for u in utilities)
    worst: Floats = np.min([u[:n] for u in utilities], axis=0)
    return worst
