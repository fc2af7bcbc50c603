"""Ranking metrics and list comparisons, one list at a time.

Ids may be None: a title that matched no item. None is never relevant and never equals another None. An id that occurs
again in the same list counts where it stands first; the repeat keeps its place but counts as no item, so a target gains
nothing by naming an item twice. A list without items is a failed answer, and a failure is never read as agreement:
comparing with it gives 0, even when both are empty.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

ItemId = str | None


def _first_mentions(ids: Sequence[ItemId], k: int | None) -> list[ItemId]:
    """The first k entries with repeats replaced by None."""
    if k is not None and k < 1:
        raise ValueError(f"k: {k}; a list needs at least one place")
    seen: set[str] = set()
    places: list[ItemId] = []
    for item in ids[:k]:
        places.append(None if item in seen else item)
        if item is not None:
            seen.add(item)
    return places


def _relevant_ranks(ranked_ids: Sequence[ItemId], relevant: Collection[str], k: int | None) -> list[int]:
    """Ranks, from 1, of the relevant items among the first k."""
    if not relevant:
        raise ValueError("relevant: it is empty; a case without a relevant item has no ranking metric, leave it out")
    wanted = set(relevant)
    return [rank for rank, item in enumerate(_first_mentions(ranked_ids, k), 1) if item is not None and item in wanted]


def hit_rate(ranked_ids: Sequence[ItemId], relevant: Collection[str], k: int) -> float:
    """HR@k of one list: 1 if a relevant item is among the first k, else 0.

    Args:
        ranked_ids: ids, best first.
        relevant: ids of the relevant items, at least one.
        k: how many places count.

    Raises:
        ValueError: nothing is relevant, or k < 1.
    """
    return 1.0 if _relevant_ranks(ranked_ids, relevant, k) else 0.0


def ndcg(ranked_ids: Sequence[ItemId], relevant: Collection[str], k: int) -> float:
    """NDCG@k of one list with binary gains and the discount 1 / log2(rank + 1) (Järvelin & Kekäläinen 2002).

    The ideal list has the min(k, number of relevant) relevant items first.

    Args:
        ranked_ids: ids, best first.
        relevant: ids of the relevant items, at least one.
        k: how many places count.

    Raises:
        ValueError: nothing is relevant, or k < 1.
    """
    gain = math.fsum(1.0 / math.log2(rank + 1) for rank in _relevant_ranks(ranked_ids, relevant, k))
    ideal = math.fsum(1.0 / math.log2(rank + 1) for rank in range(1, min(k, len(set(relevant))) + 1))
    return gain / ideal


def reciprocal_rank(ranked_ids: Sequence[ItemId], relevant: Collection[str], k: int | None = None) -> float:
    """1 / rank of the first relevant item, 0 if there is none among the first k. Its mean over users is the MRR.

    Args:
        ranked_ids: ids, best first.
        relevant: ids of the relevant items, at least one.
        k: how many places count; None for all.

    Raises:
        ValueError: nothing is relevant, or k < 1.
    """
    ranks = _relevant_ranks(ranked_ids, relevant, k)
    return 1.0 / ranks[0] if ranks else 0.0


def jaccard(a: Sequence[ItemId], b: Sequence[ItemId], k: int | None = None) -> float:
    """Jaccard@k: items in both lists over items in either, order aside.

    An entry without an id counts as an item that only its own list has. 0 when both lists are empty.

    Args:
        a: ids, best first.
        b: ids, best first.
        k: how many places of each count; None for all.

    Raises:
        ValueError: k < 1.
    """
    if k is not None and k < 1:
        raise ValueError(f"k: {k}; a list needs at least one place")
    first, second = a[:k], b[:k]
    ids_a, ids_b = {i for i in first if i is not None}, {i for i in second if i is not None}
    unmatched = sum(i is None for i in first) + sum(i is None for i in second)
    either = len(ids_a | ids_b) + unmatched
    return len(ids_a & ids_b) / either if either else 0.0


def rbo(a: Sequence[ItemId], b: Sequence[ItemId], p: float = 0.9, k: int | None = None) -> float:
    """Rank-biased overlap, extrapolated: RBO_ext of Webber, Moffat & Zobel 2010, eq. 32, for lists of any two lengths.

    The agreement of the prefixes, averaged with geometrically falling weight; beyond what was seen, agreement is taken
    to go on as it stood. 1 for equal lists, 0 for lists without a common item or without items.

    Args:
        a: ids, best first.
        b: ids, best first.
        p: persistence in (0, 1); at .9 the first ten places carry 86% of the weight.
        k: how many places of each list count; None for all.

    Raises:
        ValueError: p is out of range, or k < 1.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"p: {p} is not between 0 and 1; .9 puts 86% of the weight on the first ten places")
    short, long = sorted((_first_mentions(a, k), _first_mentions(b, k)), key=len)
    s, n = len(short), len(long)
    if s == 0:
        return 0.0
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    overlap = overlap_at_s = 0
    total = 0.0
    for depth in range(1, n + 1):
        left = short[depth - 1] if depth <= s else None
        right = long[depth - 1]
        if left is not None:
            seen_short.add(left)
            overlap += left in seen_long
        if right is not None:
            seen_long.add(right)
            overlap += right in seen_short
        if depth == s:
            overlap_at_s = overlap
        # Below the end of the short list its missing entries are taken to agree as often as those above did.
        missing = overlap_at_s * (depth - s) / s if depth > s else 0.0
        total += (overlap + missing) / depth * p**depth
    tail = ((overlap - overlap_at_s) / n + overlap_at_s / s) * p**n
    # The bracket is an average of agreements, so only rounding can put it past 1.
    return min(1.0, (1.0 - p) / p * total + tail)


def kendall_tau(a: Sequence[ItemId], b: Sequence[ItemId]) -> float | None:
    """Kendall's τ between the orders that two lists give to the items they share, -1 to 1.

    It says nothing about items that only one list has: report it beside `jaccard`.

    Args:
        a: ids, best first.
        b: ids, best first.

    Returns:
        τ, or None when fewer than two items are shared and there is no order to compare.
    """
    # Imported here: scipy.stats takes most of a second, and few callers need it.
    from scipy.stats import kendalltau

    rank_b = {item: rank for rank, item in enumerate(_first_mentions(b, None)) if item is not None}
    ranks = [rank_b[item] for item in _first_mentions(a, None) if item is not None and item in rank_b]
    if len(ranks) < 2:
        return None
    return float(kendalltau(range(len(ranks)), ranks).statistic)
