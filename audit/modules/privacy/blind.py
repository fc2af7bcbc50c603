"""Whether members can be told from others without the target: then the split is no coin, and no attack proves a leak.

Most published sets for membership inference on language models fail this (Meeus et al., "SoK: Membership Inference
Attacks on LLMs are Rushing Nowhere (and How to Fix It)", 2024): their members and others are of different times.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from audit.modules.privacy.rows import Question
from audit.types import Item

Floats = npt.NDArray[np.float64]
_FOLDS = 5


def by_words(
    questions: Sequence[Question], popularity: Mapping[str, int], rng: np.random.Generator
) -> dict[str, float]:
    """Chance that a user is a member, by items, words of titles, popularity and length alone; of users not fitted on.

    A logistic regression in five folds over users, for everything that the target is asked about them.

    Args:
        questions: of all users; of each at least one.
        popularity: users per item.
        rng: draws the folds.

    Returns:
        By user; empty where a side has fewer users than folds.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    grouped: dict[str, list[Question]] = {}
    for question in questions:
        grouped.setdefault(question.user, []).append(question)
    members = np.array([group[0].member for group in grouped.values()], dtype=np.int64)
    if min(members.sum(), len(members) - members.sum()) < _FOLDS:
        return {}
    numbers = _standardised([_numbers(group, popularity) for group in grouped.values()])
    features = [one | _words(group) for one, group in zip(numbers, grouped.values(), strict=True)]
    model = make_pipeline(DictVectorizer(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    chances = cross_val_predict(model, features, members, cv=folds, method="predict_proba")[:, 1]
    return dict(zip(grouped, chances.tolist(), strict=True))


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
