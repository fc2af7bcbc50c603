"""What exchanges of words by a table of synonyms can do to the votes of copies, and what is certified against them.

Theorem 1 of SAFER (Ye, Gong and Liu, ACL 2020), held in the tests against every exchange in small tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from audit.defense import Claim, EditKind, Statement
from audit.types import Request
from defenses.smoothing.certify import Claims
from defenses.smoothing.kernels import ONE, Kernel, Shift
from defenses.smoothing.radii import largest, radius
from defenses.smoothing.topk import kept_out, stays
from defenses.smoothing.votes import Counting, Votes


@dataclass(frozen=True)
class TableKernel(Kernel):
    """What synonyms in place of words can do to the distribution of copies.

    A copy draws each word from P_x, all equally likely. With x' in place of x it draws from P_x', which is as large and
    has at least q_x of it in common, so that the two distributions are the same on a mass of at least the product of
    q_x over the exchanged words, and no share of votes moves by more than the rest: theorem 1 of the paper, where the
    adversary exchanges the r words with the smallest q.

    Attributes:
        overlaps: q_x of each unit, ascending.
    """

    overlaps: tuple[Fraction, ...] = ()

    @property
    def kinds(self) -> tuple[EditKind, ...]:
        """Substitutions by the table."""
        return ("substitution",)

    @property
    def fewest(self) -> int:
        """Every word may be exchanged."""
        return 0

    def shift(self, units: int, kind: EditKind, edits: int, *, window: int | None = None) -> Shift | None:
        """See `Kernel.shift`."""
        if kind != "substitution" or edits > len(self.overlaps):
            return None
        moved = 1 - math.prod(self.overlaps[:edits], start=ONE)
        return Shift(ONE, moved, moved)


def claims_of_all(request: Request, votes: Votes, kernel: TableKernel, counting: Counting) -> Claims:
    """Claims where the votes of all copies are known, so that shares are exact. A tie counts against a claim.

    Args:
        request: what was asked.
        votes: of all copies, which are equally likely.
        kernel: with the overlaps of the request's words.
        counting: how votes become an answer.
    """
    if votes.failures == votes.n:
        return Claims(reason="no copy got a readable answer")
    units = len(kernel.overlaps)
    yes, no = ([Fraction(int(v), votes.n) for v in cast] for cast in (votes.yes, votes.no))
    if request.task == "score":
        threshold = counting.exact_threshold
        claims = []
        for i, decided in enumerate(counting.decisions(votes)):
            share = yes[i] if decided else no[i]
            bar = threshold if decided else 1 - threshold
            reached = radius(kernel, units, "substitution", share, threshold=bar)
            count = int((votes.yes if decided else votes.no)[i])
            statement: Statement = "yes" if decided else "no"
            claims.append(
                Claim(votes.items[i], statement, {"substitution": reached}, count, float(share), float(share))
            )
        return Claims(tuple(claims))
    chosen = counting.listed(request, votes)
    depth = counting.list_length(request)
    # Without candidates, others that no copy listed may come in.
    unlisted = [Fraction(0)] * (request.k if request.candidates is None else 0)
    best = sorted(yes, reverse=True)[: request.k]

    def reached_by(i: int, *, listed: bool) -> int:
        others = sorted([*yes[:i], *yes[i + 1 :], *unlisted], reverse=True)[: request.k]

        def holds(edits: int) -> bool:
            shift = kernel.shift(units, "substitution", edits)
            if shift is None:
                return False
            return (
                stays(yes[i], others, request.k, depth, shift) if listed else kept_out(yes[i], best, request.k, shift)
            )

        return largest(holds, units)

    return Claims(
        tuple(
            Claim(
                item,
                "in_top_k" if i in chosen else "not_in_top_k",
                {"substitution": reached_by(i, listed=i in chosen)},
                int(votes.yes[i]),
                float(yes[i]),
                float(yes[i]),
            )
            for i, item in enumerate(votes.items)
        )
    )
