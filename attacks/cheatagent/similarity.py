"""Sim(X̂, X), the similarity term of CheatAgent's final choice.

The paper takes the cosine of bge-large-en embeddings of the two prompts. Here it is the cosine of counts of three
letters over the text that insertions reach: it needs no second model, is the same on every machine, and the term it
enters is multiplied by λ = 0.01, so that it decides between candidates of the same loss and little else.
"""

from __future__ import annotations

import math
from collections import Counter

from audit.types import Request


def similarity(before: Request, after: Request) -> float:
    """Cosine of three-letter counts of instruction, note and the history's titles, 0 to 1."""
    one, two = _counts(before), _counts(after)
    product = sum(count * two[gram] for gram, count in one.items())
    size = math.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in two.values()))
    return product / size if size else 1.0


def _counts(request: Request) -> Counter[str]:
    titles = [event.item.title for event in request.user.history]
    text = "\n".join([request.instruction, request.user.note, *titles])
    return Counter(text[i : i + 3] for i in range(len(text) - 2))
