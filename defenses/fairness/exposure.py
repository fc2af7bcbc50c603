"""Exposure-aware ranking: every group of items gets its share of attention, by lot where one list cannot give it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.errors import ConfigError
from audit.seeds import generator
from audit.target import Recommender
from audit.types import Catalog, Ranked, Request
from defenses.fairness.rerank import MISSING, Order, Reranked, check_depth, column_of, groups_of

Goal = Literal["parity", "merit"]
_WHERE = "defenses.exposure-aware"
_MOST = 60
"""Entries that the linear programme is solved for; the rest of the longer list stays behind them."""


class ExposureAware:
    """Draws each list from the distribution over lists with most relevance at the wanted exposure of groups.

    The distribution is a doubly stochastic matrix, the solution of a linear programme, taken apart into orders by
    Birkhoff and von Neumann (Singh & Joachims, KDD 2018). A draw is part of the question: the same request and draw
    give the same list, and what others ask has no part in it.

    Args:
        catalog: the items.
        column: of the items; None for the catalogue's genres.
        goal: `parity`: each group's exposure per item is the same. `merit`: it is as its mean relevance.
        slack: how far, relative to the wanted exposure, a group may be below it.
        depth: how many times as long a list the target is asked for.
        seed: of the lots.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        column: str | None = None,
        goal: Goal = "parity",
        slack: float = 0.1,
        depth: int = 3,
        seed: int = 0,
    ) -> None:
        if goal not in get_args(Goal):
            raise ConfigError(f"{_WHERE}.goal: {goal!r} must be one of {', '.join(get_args(Goal))}")
        if not 0.0 <= slack < 1.0:
            raise ConfigError(f"{_WHERE}.slack: {slack} must be at least 0 and below 1")
        check_depth(depth, _WHERE)
        self.catalog = catalog
        self.column = column_of(catalog, column, _WHERE)
        self.goal: Goal = goal
        self.slack = slack
        self.depth = depth
        self.seed = seed

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="exposure-aware",
            title=f"Exposure by lot ({self.goal})",
            why="No group of items is kept at the bottom of every list.",
            reference="Singh & Joachims, KDD 2018 (arXiv 1802.07281)",
            family="output",
            guards=frozenset({Zone.PLATFORM}),
            randomised=True,
            tasks=("rank",),
            missing="" if self.column else MISSING,
            limits="Items that the longer list does not hold; single lists, which are fair on average only.",
        )

    def protect(self, target: Recommender) -> ExposedByLot:
        """The target, with its lists drawn."""
        return ExposedByLot(target, self)


class ExposedByLot(Reranked):
    """A target whose lists are drawn so that groups are exposed as wanted."""

    def __init__(self, target: Recommender, defense: ExposureAware) -> None:
        options = {
            "column": defense.column,
            "goal": defense.goal,
            "slack": defense.slack,
            "seed": defense.seed,
        }
        super().__init__(target, defense.info, options, defense.catalog, defense.depth)
        self._defense = defense

    def order(self, request: Request, entries: Sequence[Ranked], relevance: Sequence[float], draw: int) -> Order:
        """One order, drawn from the distribution."""
        d, k = self._defense, request.k
        shown = entries[:_MOST]
        groups = [groups_of(self.item(request, entry), d.column) for entry in shown]
        matrix = exposure_matrix(np.array(relevance[:_MOST]), groups, k, d.goal, d.slack)
        if matrix is None:  # no distribution gives what is wanted: the target's own order is the honest answer
            return list(range(min(k, len(entries)))), "no order of these entries has the exposure that is wanted"
        drawn = lot(matrix, generator(d.seed, "exposure-aware", request.digest, str(draw)))
        return [*drawn, *range(len(shown), len(entries))][:k], ""


def exposure_matrix(
    relevance: npt.NDArray[np.float64], groups: Sequence[Sequence[str]], k: int, goal: Goal, slack: float
) -> npt.NDArray[np.float64] | None:
    """P(entry at place), the most relevant with the wanted exposure of every group.

    Args:
        relevance: (n,) above 0.
        groups: of each entry; an entry without a group is bound by nothing.
        k: places that are seen; those behind have no exposure.
        goal: see `ExposureAware`.
        slack: see `ExposureAware`.

    Returns:
        (n, n) rows and columns that sum to one; None if no distribution has that exposure.
    """
    from scipy.optimize import linprog
    from scipy.sparse import identity, kron, vstack

    n = len(relevance)
    seen = np.array([1.0 / math.log2(place + 2) if place < k else 0.0 for place in range(n)])
    names = sorted({name for entry in groups for name in entry})
    rows, floors = [], []
    member = {g: np.array([1.0 / len(entry) if g in entry else 0.0 for entry in groups]) for g in names}
    weights = {g: float(m.sum() if goal == "parity" else (m * relevance).sum()) for g, m in member.items()}
    total = sum(weights.values())
    bound = float(sum(1.0 for entry in groups if entry)) / n * seen.sum()
    for g in names:
        # Each group is to get its share of the exposure that entries with a group get, less the slack.
        rows.append(-np.outer(member[g], seen).ravel())
        floors.append(-(1.0 - slack) * bound * weights[g] / total)
    ones = np.ones((1, n))
    equal = vstack([kron(identity(n), ones), kron(ones, identity(n))]).toarray()
    found = linprog(
        -np.outer(relevance, seen).ravel(),
        A_ub=np.array(rows) if rows else None,
        b_ub=np.array(floors) if rows else None,
        A_eq=equal,
        b_eq=np.ones(2 * n),
        bounds=(0.0, 1.0),
        method="highs",
    )
    return None if found.x is None or found.status != 0 else np.clip(found.x.reshape(n, n), 0.0, 1.0)


def lot(matrix: npt.NDArray[np.float64], rng: np.random.Generator) -> list[int]:
    """One order from a doubly stochastic matrix, each entry at each place as often as the matrix says.

    Birkhoff's decomposition: orders inside the support are taken out one by one with the least of their entries.
    """
    from scipy.optimize import linear_sum_assignment

    left, at, reached = matrix.copy(), float(rng.random()), 0.0
    order: list[int] = []
    while reached < 1.0 - 1e-9:
        cost = np.where(left > 1e-9, -left, 1e3)
        entries, places = linear_sum_assignment(cost)
        share = float(left[entries, places].min())
        if share <= 1e-9:  # what is left is rounding
            break
        order = [0] * len(left)
        for entry, place in zip(entries.tolist(), places.tolist(), strict=True):
            order[place] = entry
        reached += share
        if at < reached:
            return order
        left[entries, places] -= share
    return order
