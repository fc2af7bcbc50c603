"""Attributions: how much each player moved the recommendation, by each of the methods that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from audit.modules.explanation.explained import Case
from audit.modules.explanation.values import Values
from audit.stats import shapley

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Method = Literal["shapley", "leave-one-out", "random", "reverse", "popularity", "recency", "position"]
METHODS: tuple[Method, ...] = (
    "shapley",
    "leave-one-out",
    "random",
    "reverse",
    "popularity",
    "recency",
    "position",
)
BASELINES: tuple[Method, ...] = ("random", "popularity", "recency", "position")
"""Orders that know nothing of the target."""

EXACT = 8
"""Players up to which every set is tried: 256 questions."""
_PRECISE = 0.1
"""Standard error of every φ, as a share of |v(N) - v(∅)|, below which no further order is drawn."""
_FEWEST = 8
"""Pairs of orders before the errors are believed."""
_LEAST_PAIRS = 2
"""Pairs without which there is no standard error."""
_ROUND = 4
"""Pairs of orders asked at once."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each player is worth.

    Attributes:
        phi: (n,) in the unit of v; higher for what speaks for the recommendation. NaN where it could not be had.
        se: (n,) standard errors of sampling orders; 0 where every set was tried, and for orders that measure nothing.
        exact: whether every set was tried.
        evaluations: how many v(S) it rests on.
        total: v(N) - v(∅), which Shapley values sum to; NaN where these were not asked.
        unmet: why there is no attribution, as the end of a sentence; "" where there is one.
        pairs: of orders that were drawn; 0 where none were.
    """

    phi: Floats
    se: Floats
    exact: bool
    evaluations: int
    total: float = float("nan")
    unmet: str = ""
    pairs: int = 0

    @property
    def usable(self) -> bool:
        """Whether there is one."""
        return not self.unmet and bool(np.isfinite(self.phi).all())

    @property
    def order(self) -> Ints:
        """Players, the most important first; equal ones in the order of the request."""
        return np.argsort(-self.phi, kind="stable").astype(np.int64)

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """(low, high) of each φ: what another draw of orders would give."""
        half = shapley.half_width(self.se, self.pairs, level)
        return self.phi - half, self.phi + half

    def tied(self, level: float = 0.95) -> Ints:
        """(n,) groups of players that cannot be told apart, 0 for the highest; see `shapley.tied_groups`."""
        low, high = self.interval(level)
        return shapley.tied_groups(low, high)


def evaluations_needed(method: Method, players: int, evaluations: int) -> int:
    """The most v(S) that an attribution of so many players asks."""
    if method in ("shapley", "reverse"):
        if _is_exact(players, evaluations):
            return 1 << players
        return evaluations if _pairs(players, evaluations) >= _LEAST_PAIRS else 0
    return players + 1 if method == "leave-one-out" else 0


def most_sets(players: int, evaluations: int, rng: np.random.Generator) -> list[frozenset[int]]:
    """As many sets as Shapley values and leave-one-out may ask of so many players, for a price beforehand.

    Of up to 8 players they are the sets themselves; of more, others of the same number, for the orders are yet to draw.
    """
    if _is_exact(players, evaluations):
        return shapley.subsets(players)
    everyone = frozenset(range(players))
    found = [everyone, *(everyone - {i} for i in range(players))] if players < evaluations else []
    pairs = _pairs(players, evaluations)
    walks = shapley.antithetic_orders(players, pairs if pairs >= _LEAST_PAIRS else 0, rng)
    return list(dict.fromkeys([*found, *(one for order in walks for one in _nested(order))]))


def attributions(method: Method, values: Values, case: Case, rng: np.random.Generator, evaluations: int) -> Attribution:
    """The attribution of one case; see `attributions_of`, which asks for many at once."""
    return attributions_of(method, values, rng, evaluations, cases=[values.cases.index(case)])[0]


def attributions_of(
    method: Method,
    values: Values,
    rng: np.random.Generator,
    evaluations: int,
    *,
    cases: Sequence[int] | None = None,
) -> list[Attribution]:
    """The attributions of several cases, all their sets asked together.

    - `shapley`: exact from all sets of up to 8 players, else estimated along antithetic pairs of orders until every
      standard error is at most a tenth of |v(N) - v(∅)| or the evaluations are spent.
    - `leave-one-out`: v(N) - v(N without i). No shares of anything: redundant items all get nothing.
    - `reverse`: Shapley values with the sign turned: the worst order that the method knows.
    - `random`, `popularity` (of items), `recency` (the latest first), `position` (the first first): orders that ask
      nothing of the target; their values are ranks.

    Args:
        method: one of `METHODS`.
        values: what is asked.
        rng: source of the orders; every case has a stream of its own.
        evaluations: the most v(S) per case.
        cases: numbers of the cases; None for all.
    """
    wanted = list(range(len(values.cases))) if cases is None else list(cases)
    streams = dict(zip(wanted, rng.spawn(len(wanted)), strict=True))
    if method not in ("shapley", "reverse", "leave-one-out"):
        return [_blind(method, values, c, streams[c]) for c in wanted]
    found = {c: _none(len(values.players[c]), values.unmet[c]) for c in wanted if c in values.unmet}
    chosen = [c for c in wanted if c not in found]
    if method == "leave-one-out":
        told = _leave_one_out(values, chosen, evaluations)
    else:
        told = _shapley(values, chosen, [streams[c] for c in chosen], evaluations)
    found |= zip(chosen, [_turned(one) for one in told] if method == "reverse" else told, strict=True)
    return [found[c] for c in wanted]


def _is_exact(n: int, evaluations: int) -> bool:
    return n <= EXACT and 1 << n <= evaluations


def _pairs(n: int, evaluations: int) -> int:
    """Pairs of orders that fit: each asks 2 (n - 1) sets, beside the empty one and the whole."""
    return max(0, (evaluations - 2) // (2 * max(n - 1, 1)))


def _asked(values: Values, wanted: dict[int, list[frozenset[int]]]) -> dict[int, Floats]:
    found = values.of([wanted.get(c, []) for c in range(len(values.cases))])
    return {c: found[c] for c in wanted}


def _shapley(
    values: Values, chosen: Sequence[int], streams: Sequence[np.random.Generator], evaluations: int
) -> list[Attribution]:
    exact = [c for c in chosen if _is_exact(len(values.players[c]), evaluations)]
    known = _asked(values, {c: shapley.subsets(len(values.players[c])) for c in exact})
    found: dict[int, Attribution] = {}
    for c in exact:
        v = known[c]
        found[c] = Attribution(
            shapley.exact_shapley(v), np.zeros(len(values.players[c])), True, len(v), float(v[-1] - v[0]), _unread(v)
        )
    rest = {c: stream for c, stream in zip(chosen, streams, strict=True) if c not in found}
    found |= _sampled(values, rest, evaluations)
    return [found[c] for c in chosen]


def _sampled(values: Values, streams: dict[int, np.random.Generator], evaluations: int) -> dict[int, Attribution]:
    found: dict[int, Attribution] = {}
    orders: dict[int, list[Ints]] = {}
    walks: dict[int, list[Floats]] = {}
    for c in streams:
        n = len(values.players[c])
        if _pairs(n, evaluations) < _LEAST_PAIRS:
            found[c] = _none(n, f"{evaluations} evaluations do not hold two pairs of orders of {n}: allow {4 * n - 2}")
    open_ = [c for c in streams if c not in found]
    while open_:
        drawn: dict[int, Ints] = {}
        for c in open_:
            n, done = len(values.players[c]), sum(len(o) for o in orders.get(c, [])) // 2
            drawn[c] = shapley.antithetic_orders(n, min(_ROUND, _pairs(n, evaluations) - done), streams[c])
        told = _asked(values, {c: [s for order in drawn[c] for s in _nested(order)] for c in open_})
        still = []
        for c in open_:
            n = len(values.players[c])
            orders.setdefault(c, []).append(drawn[c])
            walks.setdefault(c, []).append(told[c].reshape(len(drawn[c]), n + 1))
            taken, seen = np.concatenate(orders[c]), np.concatenate(walks[c])
            estimate = shapley.permutation_shapley(taken, seen)
            total = float(seen[0, -1] - seen[0, 0])
            spent = 2 + 2 * (n - 1) * estimate.pairs
            found[c] = Attribution(estimate.phi, estimate.se, False, spent, total, _unread(seen), estimate.pairs)
            # A standard error from a few pairs is itself uncertain: one small by luck must not end the draws.
            precise = estimate.pairs >= _FEWEST and bool(np.all(estimate.se <= _PRECISE * abs(total)))
            readable = bool(np.isfinite(estimate.phi).all())
            if readable and not precise and estimate.pairs < _pairs(n, evaluations):
                still.append(c)
        open_ = still
    return found


def _nested(order: Ints) -> list[frozenset[int]]:
    return [frozenset(int(i) for i in order[:k]) for k in range(len(order) + 1)]


def _leave_one_out(values: Values, chosen: Sequence[int], evaluations: int) -> list[Attribution]:
    wanted: dict[int, list[frozenset[int]]] = {}
    for c in chosen:
        n = len(values.players[c])
        if n + 1 <= evaluations:
            everyone = frozenset(range(n))
            wanted[c] = [everyone, *(everyone - {i} for i in range(n))]
    told = _asked(values, wanted)
    found = []
    for c in chosen:
        n = len(values.players[c])
        if c not in told:
            found.append(_none(n, f"{evaluations} evaluations do not hold {n + 1} sets: allow {n + 1}"))
        else:
            v = told[c]
            found.append(Attribution(v[0] - v[1:], np.zeros(n), False, n + 1, unmet=_unread(v)))
    return found


def _blind(method: Method, values: Values, c: int, rng: np.random.Generator) -> Attribution:
    theirs = values.players[c]
    n = len(theirs)
    phi = np.arange(n, dtype=np.float64)
    if method == "random":
        phi = rng.permutation(n).astype(np.float64)
    elif method == "position":
        phi = phi[::-1].copy()
    elif method == "popularity":
        known, history = values.context.dataset.popularity, values.cases[c].request.user.history
        ids = ["" if p.position is None else history[p.position].item.id for p in theirs]
        phi = np.array([known.get(i, 0) for i in ids], dtype=np.float64)
    elif method != "recency":
        raise ValueError(f"method: {method!r} must be one of {', '.join(METHODS)}")
    return Attribution(phi, np.zeros(n), False, 0)


def _turned(one: Attribution) -> Attribution:
    return replace(one, phi=-one.phi, total=-one.total)


def _unread(v: Floats) -> str:
    lost = int(np.count_nonzero(~np.isfinite(v)))
    return f"{lost} of the {v.size} answers about it could not be read" if lost else ""


def _none(n: int, reason: str) -> Attribution:
    return Attribution(np.full(n, np.nan), np.full(n, np.nan), False, 0, unmet=reason)
