"""Retrieval by words: BM25 as Lucene computes it (Kamphuis et al., ECIR 2020), by bm25s."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from audit.grounding.titles import fold, split_words

K1 = 1.5
B = 0.75

STOPWORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with".split()
)
"""Lucene's English list."""

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


def words(text: str) -> list[str]:
    """What is matched: folded words without stop words. The titles' folding, so that `Amelie` finds `Amélie`.

    Scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give overlapping pairs of characters.
    """
    return [word for word in _split(text) if word not in STOPWORDS]


def _split(text: str) -> Iterator[str]:
    for word in split_words(fold(text)):
        if word.isascii() or _UNSPACED.search(word) is None:
            yield word
            continue
        last = 0
        for run in _UNSPACED.finditer(word):
            if run.start() > last:
                yield word[last : run.start()]
            yield from [run[0][at : at + 2] for at in range(max(len(run[0]) - 1, 1))]
            last = run.end()
        if last < len(word):
            yield word[last:]


class Lexical:
    """A BM25 index in memory; a thousand items take hundredths of a second, so it is not kept on disk."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        corpus = [words(text) for text in texts]
        self._index = None
        if any(corpus):  # bm25s divides by the mean length
            self._index = bm25s.BM25(method="lucene", k1=K1, b=B)
            self._index.index(corpus, show_progress=False)

    def search(self, query: str, k: int) -> list[int]:
        """Positions of the best k texts, best first; equal ones in the order of the texts.

        A text that shares no word with the query scores 0 and is no hit, however few others there are: none at all for
        a query of stop words.
        """
        asked = words(query)
        if self._index is None or not asked:
            return []
        return best(np.asarray(self._index.get_scores(asked), dtype=np.float64), k)


def best(scores: np.ndarray, k: int) -> list[int]:
    """Positions of the k greatest positive scores, greatest first; equal ones by position."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > k:
        cut = np.partition(scores[positive], len(positive) - k)[len(positive) - k]
        positive = positive[scores[positive] >= cut]
    order = np.lexsort((positive, -scores[positive]))
    return [int(position) for position in positive[order][:k]]
