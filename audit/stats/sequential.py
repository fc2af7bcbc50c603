"""Looking at the data before all of them are in, without paying for it in false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtr

from audit.stats.intervals import check_level, normal_quantile


@dataclass(frozen=True)
class Look:
    """One look at the data.

    Attributes:
        n: units seen by then.
        alpha: the part of the error that is spent on this look.
        penalty: factor on a p-value found at this look, so that all looks together keep the size: α / alpha.
        early: whether further looks could follow.
    """

    n: int
    alpha: float
    penalty: float = 1.0
    early: bool = False

    @property
    def level(self) -> float:
        """Level of the intervals at this look."""
        return 1.0 - self.alpha


def looks(
    n: int, *, level: float = 0.95, fractions: Sequence[float] = (0.5, 1.0), smallest: int = 30
) -> tuple[Look, ...]:
    """When to look, and at which level, so that all looks together keep `level`.

    The error is spent as by Lan and DeMets 1983 with the O'Brien–Fleming-like function α(t) = 2 - 2 Φ(z_{1-α/2} / √t):
    little on early looks, almost all on the last. A look is judged at the error spent since the one before. By the
    union bound the chance that any interval misses is at most α, whatever the dependence between looks, so stopping at
    the first look that settles a question is valid. The price is the last interval's level: with one look at half the
    units, .956 instead of .95.

    Args:
        n: units in all.
        level: confidence level over all looks together.
        fractions: shares of the units at which to look, increasing, the last 1.
        smallest: a look with fewer units is left out; its share of the error goes to the next one.

    Returns:
        The looks in order; the last one sees all n units.

    Raises:
        ValueError: the fractions do not increase to 1, or n < 1.
    """
    check_level(level)
    if n < 1:
        raise ValueError(f"n: {n}; at least one unit is needed")
    if not fractions or fractions[-1] != 1.0 or any(b <= a for a, b in zip([0.0, *fractions], fractions, strict=False)):
        raise ValueError(f"fractions: {list(fractions)} must increase from above 0 to 1")
    z = normal_quantile(level)
    spent = 0.0
    made = []
    for fraction in fractions:
        units = math.ceil(fraction * n)
        if units < smallest and fraction < 1.0:
            continue
        total = 1.0 - level if fraction == 1.0 else 2.0 - 2.0 * float(ndtr(z / math.sqrt(fraction)))
        made.append(Look(units, total - spent, (1.0 - level) / (total - spent), early=fraction < 1.0))
        spent = total
    return tuple(made)
