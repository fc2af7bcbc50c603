"""The words and the item tokens that a P5-style recommender reads, and the instructions it was trained with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from audit.data.dataset import IntArray
from audit.targets.zoo.p5_indexing import Indexing

SEEN = (
    "predict the next movie this user will watch",
    "which movie should we recommend to them next",
    "given these movies choose what to watch next",
    "recommend one more movie for this viewing history",
    "after the movies here name the following one",
)
"""Instructions used in training, eight words each."""

UNSEEN = "which one should this user choose to watch"
"""An instruction that training never showed, of words it did show."""

WISHES = ("{text} in the mood for {genre}", "{genre} only {text}", "{text} and make it {genre}")
"""How an instruction of the training asks for a genre."""

REFUSALS = ("{text} but no {genre}", "not {genre} {text}", "{text} without any {genre}")
"""How it rules one out."""

_PIECE = re.compile(r"\w+|[^\w\s]")


def pieces(text: str) -> list[tuple[str, int]]:
    """Words and punctuation signs of a text, each with the position of its first character."""
    return [(found[0], found.start()) for found in _PIECE.finditer(text)]


def trained_words(genres: Sequence[str] = ()) -> tuple[str, ...]:
    """The words of all instructions of a training, in the order of their first use, without case.

    Args:
        genres: that it asks for or rules out; without any it uses the plain instructions alone.
    """
    frames = [frame.format(text="", genre="") for frame in (*WISHES, *REFUSALS)] if genres else []
    texts = [*SEEN, *frames, *genres]
    return tuple(dict.fromkeys(word.casefold() for text in texts for word, _ in pieces(text)))


class Vocabulary:
    """Token numbers: pad and decoder start, end, unknown item; words; word buckets; soft tokens; a block per level.

    Args:
        indexing: the tokens of each item.
        buckets: how many tokens the words outside `words` share.
        words: words with a token of their own.
        soft: tokens that stand for no word: their embeddings are the vectors of a continuous prompt.
    """

    START, END, UNKNOWN = 0, 1, 2

    def __init__(self, indexing: Indexing, buckets: int, words: Sequence[str] = (), soft: int = 0) -> None:
        self.indexing = indexing
        self.buckets = buckets
        self.words = tuple(words) or trained_words()
        self._own = {word: 3 + i for i, word in enumerate(self.words)}
        self.first_bucket = 3 + len(self.words)
        self.first_soft = self.first_bucket + buckets
        bounds = np.cumsum([self.first_soft + soft, *indexing.levels])
        self.blocks = tuple((int(a), int(b)) for a, b in pairwise(bounds))
        self.size = int(bounds[-1])

    def word(self, word: str) -> int:
        """The token of a word: its own, or the bucket of its BLAKE2s hash. Case is ignored."""
        word = word.casefold()
        own = self._own.get(word)
        if own is not None:
            return own
        digest = hashlib.blake2s(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return self.first_bucket + int.from_bytes(digest) % self.buckets

    @cached_property
    def item_tokens(self) -> IntArray:
        """(items + 1, depth) tokens of each item; the last row is the unknown item."""
        starts = np.array([start for start, _ in self.blocks])
        unknown = np.full((1, self.indexing.depth), self.UNKNOWN)
        return np.concatenate([self.indexing.codes + starts, unknown]).astype(np.int64)
