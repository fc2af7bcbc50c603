"""The four scores of He et al. 2025 (arXiv 2508.18665): each higher for those who stand in the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.data.dataset import Dataset
from audit.modules.hallucination.item_outcomes import ItemOutcome, Title
from audit.types import Answer, Item

Floats = npt.NDArray[np.float64]

_WORD = r"(?u)\b\w+\b"
_YES_NO = re.compile(r"\b(yes|no|yeah|yep|nope|not|cannot|can['’]t|unable)\b", re.IGNORECASE)


def inquiry_score(answer: Answer) -> float:
    """1 for a yes, 0 for a no, one half for what is neither."""
    found = _YES_NO.search(answer.text or "") if answer.outcome == "ok" else None
    if found is None or found[0].casefold() in {"not", "cannot", "can't", "can’t", "unable"}:
        return 0.5
    return float(found[0].casefold().startswith("y"))


def hallucination_score(outcome: ItemOutcome) -> float:
    """Less the share of titles that no item of the catalogue has; an answer without titles is no sign of a member."""
    return -outcome.not_listed / outcome.items if outcome.items else -1.0


class Likeness:
    """Cosine of lists, by the words of titles and the genres of their items (TF-IDF over the catalogue)."""

    def __init__(self, dataset: Dataset) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._catalog = dataset.catalog
        self._words: Any = TfidfVectorizer(token_pattern=_WORD, sublinear_tf=True)
        self._words.fit([_described(item) for item in dataset.catalog.items_in_order])

    def of_items(self, lists: Sequence[Sequence[Item]]) -> Floats:
        """The mean of what each list holds, (lists, words); zeros for an empty one."""
        return self._means([[_described(item) for item in items] for items in lists])

    def of_answers(self, outcomes: Sequence[ItemOutcome]) -> Floats:
        """As `of_items`; titles outside the catalogue count by their words."""
        return self._means([[self._told(title) for title in outcome.titles] for outcome in outcomes])

    def _told(self, title: Title) -> str:
        item = self._catalog.get(title.item_id) if title.item_id is not None else None
        return title.written if item is None else _described(item)

    def _means(self, lists: Sequence[Sequence[str]]) -> Floats:
        flat = [text for texts in lists for text in texts]
        means = np.zeros((len(lists), len(self._words.vocabulary_)))
        if flat:
            # All texts at once: a call per list costs far more than its words.
            rows = self._words.transform(flat)
            ends = np.cumsum([len(texts) for texts in lists])
            for i, (texts, end) in enumerate(zip(lists, ends.tolist(), strict=True)):
                if texts:
                    means[i] = rows[end - len(texts) : end].sum(axis=0) / len(texts)
        return means


def cosines(a: Floats, b: Floats) -> Floats:
    """Of two tables of lists, row by row; 0 where one of them is empty."""
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    result: Floats = (a * b).sum(axis=1) / np.where(size > 0, size, 1.0)
    return result


def _described(item: Item) -> str:
    genres = item.attributes.get("genres", ())
    return " ".join([item.title, *(genres if isinstance(genres, tuple) else (str(genres),))])
