"""How unlikely a language model finds a text, token by token and in windows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM

_KEPT = 1 << 16
"""Texts whose reading is remembered: a catalogue is read once."""
_BATCH = 64
_CHUNK, _CONTEXT = 512, 64
"""A long text is read in pieces of so many tokens, each behind the last tokens of the one before."""


@dataclass(frozen=True, eq=False)
class Reading:
    """A text as a model reads it.

    Attributes:
        nll: (tokens) negative log-likelihood of each token given those before it, in nats.
        spans: (tokens) the characters that each token stands for.
    """

    nll: npt.NDArray[np.float64]
    spans: tuple[tuple[int, int], ...]

    def windows(self, window: int | None) -> npt.NDArray[np.float64]:
        """Mean surprise of every window of so many tokens, or of the whole text.

        A text shorter than the window is one window that is not full, and its sum is divided by the window all the
        same, as if the rest went without surprise: two rare words are a name, ten are an alarm.

        Args:
            window: tokens; None for one window as long as the text.

        Returns:
            Shape (windows); empty for an empty text.
        """
        if not len(self.nll):
            return np.zeros(0)
        if window is None:
            return np.array([self.nll.mean()])
        sums = np.concatenate(([0.0], np.cumsum(self.nll)))
        width = min(window, len(self.nll))
        means: npt.NDArray[np.float64] = (sums[width:] - sums[:-width]) / window
        return means

    def flagged(self, window: int | None, threshold: float) -> list[tuple[int, int]]:
        """The characters covered by windows above the threshold, window by window."""
        width = len(self.nll) if window is None else min(window, len(self.nll))
        starts = np.flatnonzero(self.windows(window) > threshold)
        return [(self.spans[i][0], self.spans[i + width - 1][1]) for i in starts.tolist()]


class Surprise:
    """Reads texts with a causal language model, each behind a line break, and remembers them."""

    def __init__(self, lm: CausalLM) -> None:
        self.lm = lm
        self._known: OrderedDict[str, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """One reading per text, in order."""
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._known]
            for start in range(0, len(new), _BATCH):
                batch = new[start : start + _BATCH]
                self._known.update(zip(batch, self._read(batch), strict=True))
            readings = [self._known[text] for text in texts]
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return readings

    def _read(self, texts: list[str]) -> list[Reading]:
        encoded = self.lm.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        lead = self.lm.encode(["\n"])[0] or [self.lm.pad]
        # Beginnings share their prompt and are read as one tree.
        groups: dict[tuple[int, ...], list[tuple[tuple[int, int], list[int]]]] = {}
        for number, tokens in enumerate(encoded["input_ids"]):
            for start in range(0, len(tokens), _CHUNK):
                prompt = tokens[max(start - _CONTEXT, 0) : start] or lead
                groups.setdefault(tuple(prompt), []).append(((number, start), tokens[start : start + _CHUNK]))
        scores = self.lm.score_continuations(list(groups), [[chunk for _, chunk in group] for group in groups.values()])
        pieces = {
            place: [-logprob for logprob in score.tokens]
            for group, told in zip(groups.values(), scores, strict=True)
            for (place, _), score in zip(group, told, strict=True)
        }
        found: list[list[float]] = [[] for _ in texts]
        for number, start in sorted(pieces):
            found[number] += pieces[number, start]
        return [
            Reading(np.array(nll, dtype=float), tuple((int(a), int(b)) for a, b in spans))
            for nll, spans in zip(found, encoded["offset_mapping"], strict=True)
        ]


@lru_cache(maxsize=2)
def shared_surprise(lm: CausalLM) -> Surprise:
    """One reader per model, so that two filters read a catalogue once."""
    return Surprise(lm)
