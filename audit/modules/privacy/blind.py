"""Whether members can be told from others without the target: then the split is no coin, and no attack proves a leak.

Most published sets for membership inference on language models fail this (Meeus et al., "SoK: Membership Inference
Attacks on LLMs are Rushing Nowhere (and How to Fix It)", 2024): their members and others are of different times.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from audit import stats
from audit.modules.privacy.rows import Question
from audit.types import Item

FEWEST = 5
"""Users of each side, one per fold."""
_MOST = 1500
"""Users that the classifier is given; its matrix grows with their square."""


def by_words(
    questions: Sequence[Question], popularity: Mapping[str, int], rng: np.random.Generator, *, level: float = 0.95
) -> stats.CrossValidated | None:
    """How well users are told to be members by items, words of titles, popularity and length alone.

    A regularised linear classifier of everything that the target is asked about a user, in five folds over users.

    Args:
        questions: of all users; of each at least one.
        popularity: users per item.
        rng: draws the folds.
        level: confidence level.

    Returns:
        None where a side has fewer users than folds.
    """
    from sklearn.feature_extraction import DictVectorizer

    grouped: dict[str, list[Question]] = {}
    for question in questions:
        grouped.setdefault(question.user, []).append(question)
    groups = [list(grouped.values())[i] for i in sorted(rng.permutation(len(grouped))[:_MOST].tolist())]
    members = np.array([group[0].member for group in groups], dtype=np.float64)
    if min(members.sum(), len(members) - members.sum()) < FEWEST:
        return None
    numbers = _standardised([_numbers(group, popularity) for group in groups])
    kernel = np.zeros((len(groups), len(groups)))
    for features in (numbers, [_words(group) for group in groups]):
        columns = np.asarray(DictVectorizer(sparse=False).fit_transform(features), dtype=np.float64)
        columns -= columns.mean(0)
        # Both kinds weigh the same, however many words there are.
        kernel += columns @ columns.T / max(float((columns**2).sum()) / len(groups), 1e-12)
    return stats.cross_validated_auc(kernel, members, rng=rng, level=level)


def _items(group: Sequence[Question]) -> dict[str, Item]:
    shown = [event.item for question in group for event in question.request.user.history]
    return {item.id: item for item in [*shown, *(item for question in group for item in question.items)]}


def _words(group: Sequence[Question]) -> dict[str, float]:
    items = _items(group)
    words = {word.lower() for item in items.values() for word in re.findall(r"\w+", item.title)}
    return {f"item {item}": 1.0 for item in items} | {f"word {word}": 1.0 for word in words}


def _numbers(group: Sequence[Question], popularity: Mapping[str, int]) -> dict[str, float]:
    events = [event for question in group for event in question.request.user.history]
    counts = [math.log1p(popularity.get(item, 0)) for item in _items(group)]
    found = {
        "rows": [float(sum(len(q.items) for q in group))],
        "items": [float(len(counts))],
        "popularity": counts,
        "least popular": [min(counts)],
        "liked": [float(label) for question in group for label in question.labels],
        "rating": [event.rating for event in events if event.rating is not None],
        "time": [event.time for event in events if event.time is not None],
    }
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def _standardised(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Each number less its mean and over its spread: a time in seconds would drown all else."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    scale = {name: (float(np.mean(v)), float(np.std(v)) or 1.0) for name, v in columns.items()}
    return [{n: (value - scale[n][0]) / scale[n][1] for n, value in row.items()} for row in rows]
