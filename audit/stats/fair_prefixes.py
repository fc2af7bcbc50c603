"""FA*IR's test of a ranking: how many items of a group every prefix of a fair list holds."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def prefix_minimums(k: int, p: float, alpha: float) -> tuple[int, ...]:
    """How many protected items every prefix of length 1 to k must hold: the α-quantile of Binomial(length, p).

    Zehlike et al., CIKM 2017 (arXiv 1706.06368), definition 3.
    """
    from scipy.stats import binom

    return tuple(int(binom.ppf(alpha, length, p)) for length in range(1, k + 1))


@lru_cache(maxsize=256)
def prefix_failure(k: int, p: float, alpha: float) -> float:
    """The chance that a fair list of length k, drawn by coins of p, fails the test in some prefix (their section 4.2).

    Counted exactly: the distribution of protected items over those lists that passed every prefix so far.
    """
    needed = prefix_minimums(k, p, alpha)
    alive = {0: 1.0}
    for minimum in needed:
        after: dict[int, float] = {}
        for count, chance in alive.items():
            for more, share in ((1, p), (0, 1.0 - p)):
                if count + more >= minimum:
                    after[count + more] = after.get(count + more, 0.0) + chance * share
        alive = after
    return 1.0 - sum(alive.values())


@lru_cache(maxsize=256)
def prefix_alpha(k: int, p: float, alpha: float) -> float:
    """The α per prefix at which a fair list fails with chance α at most, over all prefixes together."""
    if prefix_failure(k, p, alpha) <= alpha:
        return alpha
    low, high = 0.0, alpha
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if prefix_failure(k, p, middle) <= alpha else (low, middle)
    return low
