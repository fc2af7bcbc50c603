"""Scores as other tools compute them from the same rulings, for comparison. None of them tells silence from truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

from audit.claims import Ruling
from audit.modules.hallucination.claim_outcomes import OF_THE_REQUEST, CheckedAnswer, distinct


def factscore(supported: int, facts: int, gamma: float) -> float | None:
    """FActScore of one answer: the share of its facts that are supported, times exp(1 - γ/n) where n < γ.

    Args:
        supported: facts that are.
        facts: all of them, n.
        gamma: facts below which an answer is penalised for being short; 0: never.

    Returns:
        The score; None for an answer without facts, which FActScore leaves out and tells in its respond ratio
        (Min et al., EMNLP 2023; the penalty is in the authors' code).
    """
    if not facts:
        return None
    return supported / facts * (math.exp(1 - gamma / facts) if facts < gamma else 1.0)


def ragas_faithfulness(one: CheckedAnswer) -> float | None:
    """Statements that can be inferred from the context, among all: what is true and not in it counts as unfaithful.

    Claims that are softened count, because RAGAS does not tell them. None for an answer without a statement.
    """
    rulings = distinct(_about_items(one))
    return sum(r.verdict == "supported" for r in rulings) / len(rulings) if rulings else None


def deepeval_hallucination(one: CheckedAnswer) -> float:
    """Contexts that the answer contradicts, among all. It counts contexts and not claims, so more of them dilute it.

    The contexts are the passages of the request or, where it has none, the rows of the items that claims are about.
    An answer without a context scores 0, the best there is, as it does there.
    """
    wrong = [r for r in _about_items(one) if r.verdict == "contradicted"]
    items, sources = {r.claim.item_id for r in wrong} - {None}, {r.source for r in wrong} - {""}
    contexts: Sequence[tuple[str, str | None]] = one.contexts or [
        ("", item_id) for item_id in dict.fromkeys(r.claim.item_id for r in one.rulings) if item_id is not None
    ]
    hit = sum(name in sources or item_id in items for name, item_id in contexts)
    return hit / len(contexts) if contexts else 0.0


def _about_items(one: CheckedAnswer) -> Sequence[Ruling]:
    if one.contexts:
        return one.faithful
    return [ruling for ruling in one.rulings if ruling.claim.predicate not in OF_THE_REQUEST]
