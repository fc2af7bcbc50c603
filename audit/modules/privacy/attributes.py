"""Guessing an attribute of users from bags of items: one logistic regression, judged on users it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from audit.data.dataset import Dataset
from audit.types import AttributeValue, Item

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 5


@dataclass(frozen=True)
class Labels:
    """An attribute of some users.

    Attributes:
        name: of the attribute.
        values: its values, as they are told; in order.
        users: (n,) places of the users who have one of them.
        classes: (n,) index of each one's value.
        left_out: users whose value is unknown or too rare.
    """

    name: str
    values: tuple[str, ...]
    users: Ints
    classes: Ints
    left_out: int

    @property
    def majority(self) -> float:
        """Share of the commonest value: how often a guess without looking is right."""
        return float(np.bincount(self.classes).max() / len(self.classes))


def labels_of(name: str, values: Sequence[AttributeValue | None], *, bands: int, fewest: int) -> Labels | None:
    """An attribute in classes, figures in bands of equal size.

    Args:
        name: of the attribute.
        values: one per user; None where it is not known.
        bands: into how many a figure is cut.
        fewest: users of a value, below which it is left out.

    Returns:
        None where fewer than two values have so many users.
    """
    known = [i for i, v in enumerate(values) if v is not None and v != "" and not isinstance(v, tuple)]
    figures = [v for i in known if isinstance(v := values[i], (int, float)) and not isinstance(v, bool)]
    told: dict[int, str] = {}
    order: list[str] = []
    if known and len(figures) == len(known) and len(set(figures)) > bands:
        cuts = np.unique(np.quantile(figures, np.linspace(0, 1, bands + 1)[1:-1]))
        order = _named(cuts)
        told = {
            i: order[int(np.searchsorted(cuts, float(v), side="right"))] for i, v in zip(known, figures, strict=True)
        }
    else:
        told = {i: str(values[i]) for i in known}
        order = sorted(set(told.values()))
    kept = [value for value in order if sum(v == value for v in told.values()) >= fewest]
    users = [i for i in known if told[i] in kept]
    if len(kept) < 2:
        return None
    classes = np.array([kept.index(told[i]) for i in users], dtype=np.int64)
    return Labels(name, tuple(kept), np.array(users, dtype=np.int64), classes, len(values) - len(users))


def _named(cuts: Floats) -> list[str]:
    ends = [f"{cut:g}" for cut in cuts]
    middle = [f"{low} to below {high}" for low, high in pairwise(ends)]
    return [f"below {ends[0]}", *middle, f"from {ends[-1]}"]


def bags(lists: Sequence[Sequence[Item]], dataset: Dataset) -> Floats:
    """Lists of items as what they hold: each item, and the share of each genre.

    Args:
        lists: one per user.
        dataset: whose catalogue the items are of; others are left out.

    Returns:
        (users, items that occur + genres).
    """
    index = dataset.index
    genres = sorted({genre for item in dataset.catalog.items_in_order for genre in _genres(item)})
    place = {genre: i for i, genre in enumerate(genres)}
    used = sorted({index[item.id] for items in lists for item in items if item.id in index})
    column = {item: i for i, item in enumerate(used)}
    table = np.zeros((len(lists), len(used) + len(genres)))
    for row, items in enumerate(lists):
        held = [item for item in items if item.id in index]
        for item in held:
            table[row, column[index[item.id]]] = 1.0
            for genre in _genres(dataset.catalog[item.id]):
                table[row, len(used) + place[genre]] += 1.0 / len(held)
    return table


def _genres(item: Item) -> tuple[str, ...]:
    value = item.attributes.get("genres", ())
    return value if isinstance(value, tuple) else (str(value),)


def guesses(table: Floats, classes: Ints, folds: Ints) -> Floats:
    """How much likelier each value is of each user than it is of anybody, by a model fitted on the other folds.

    The share of the value among those the model was fitted on is taken off, so that a guess without looking is 0 for
    everybody and has an AUC of one half, also where some values are common.

    Args:
        table: (n, features).
        classes: (n,) index of each one's value.
        folds: (n,) in which fold each is judged.

    Returns:
        (n, values).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    values = int(classes.max()) + 1
    result = np.zeros((len(classes), values))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        scaler = StandardScaler().fit(table[~out])
        # Few users and many items: a strong pull to 0.
        model = LogisticRegression(C=0.01, max_iter=500, tol=1e-7).fit(scaler.transform(table[~out]), classes[~out])
        share = np.bincount(classes[~out], minlength=values) / (~out).sum()
        result[np.ix_(out, model.classes_)] = model.predict_proba(scaler.transform(table[out]))
        result[out] -= share
    # What is left of a fit that found nothing is rounding, and must not rank anybody.
    return result.round(4)


def folds_of(classes: Ints, rng: np.random.Generator, folds: int = FOLDS) -> Ints:
    """A fold for each user, the values spread evenly over them."""
    result = np.zeros(len(classes), dtype=np.int64)
    start = 0
    for value in range(int(classes.max()) + 1):
        of = rng.permutation(np.flatnonzero(classes == value))
        result[of] = (start + np.arange(len(of))) % folds
        start += len(of)
    return result


def rows_of(scores: Floats, classes: Ints) -> tuple[Floats, Ints, Ints]:
    """Scores (users, values) as rows for an AUC: one of each user and value, 1 where the value is the user's.

    Returns:
        (rows,) scores, labels and users.
    """
    n, values = scores.shape
    labels = (classes[:, None] == np.arange(values)[None, :]).astype(np.int64)
    return scores.ravel(), labels.ravel(), np.repeat(np.arange(n), values)


@dataclass(frozen=True)
class Areas:
    """AUCs of lists, of histories and of both, in every fold of every repeat.

    Attributes:
        lists: (repeats x folds,).
        histories: the same.
        both: the same.
        gains: (n,) what lists add to the histories for each user; their mean is that of `lists` less `histories`.
    """

    lists: Floats
    histories: Floats
    both: Floats
    gains: Floats


def areas(lists: Floats, histories: Floats, classes: Ints, *, rng: np.random.Generator, repeats: int) -> Areas:
    """Cross-validate the three guesses on the same folds.

    Args:
        lists: (n, features).
        histories: (n, features).
        classes: (n,).
        rng: draws the folds.
        repeats: how often they are drawn.
    """
    tables = (lists, histories, np.hstack([histories, lists]))
    found: list[list[float]] = [[], [], []]
    gains = np.zeros(len(classes))
    for _ in range(repeats):
        folds = folds_of(classes, rng)
        scores = [guesses(table, classes, folds) for table in tables]
        for fold in range(FOLDS):
            own = np.flatnonzero(folds == fold)
            placed = [placements_of(of[own], classes[own]) for of in scores]
            for kept, values in zip(found, placed, strict=True):
                kept.append(float(values.mean()))
            # Folds differ in size by a user or so, and count alike in the mean over folds.
            gains[own] += (placed[0] - placed[1]) * len(classes) / (FOLDS * len(own) * repeats)
    of_lists, of_histories, of_both = (np.array(kept) for kept in found)
    return Areas(of_lists, of_histories, of_both, gains)


def placements_of(scores: Floats, classes: Ints) -> Floats:
    """For each user the share of wrong pairs of a user and a value that score below the right one, (n,)."""
    from audit import stats

    rows, labels, _ = rows_of(scores, classes)
    return stats.row_placements(rows, labels)


def shuffled_null(
    table: Floats, labels: Labels, folds: Ints, observed: float, *, rng: np.random.Generator, permutations: int
) -> tuple[float, float]:
    """How well an attribute is guessed that has nothing to do with the lists: users' values exchanged at random.

    Args:
        table: (n, features).
        labels: the attribute.
        folds: (n,).
        observed: the AUC that was reached with the true values.
        rng: source of the permutations.
        permutations: how many.

    Returns:
        The mean AUC of the exchanged values, and the share of them that reach `observed`, as a p-value.
    """
    from audit import stats

    reached: list[float] = []
    for _ in range(permutations):
        # Within folds, so that each keeps its share of the values.
        classes = labels.classes.copy()
        for fold in range(int(folds.max()) + 1):
            own = np.flatnonzero(folds == fold)
            classes[own] = classes[rng.permutation(own)]
        scores, truth, _ = rows_of(guesses(table, classes, folds), classes)
        reached.append(stats.auc(scores, truth))
    above = sum(value >= observed - 1e-12 for value in reached)
    return float(np.mean(reached)), (above + 1) / (permutations + 1)
