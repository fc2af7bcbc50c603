"""A universal trigger: a few words that spoil the answer whoever asks.

Wallace, Feng, Kandpal, Gardner and Singh, "Universal adversarial triggers for attacking and analyzing NLP", EMNLP 2019:
the trigger starts as neutral words; one word after the other is replaced by the candidate whose embedding raises the
loss most to first order, summed over a batch of users, and the best few are tried. Without gradients the candidates are
drawn at random. It should be sought on some users and judged on others (`audit.modules.robustness.universal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from attacks.places import title_words
from attacks.slopes import Candidates, Slope, sought, white_box, word_slope
from audit.attack import AttackInfo, Edits, Probe, Search, Steps, ThreatModel
from audit.edits import TextEdit, Zone, apply
from audit.target import GivesGradients, Input, Insight
from audit.types import Request


@dataclass(frozen=True)
class UniversalTrigger(Search):
    """Words before the instruction, or before the user's note, the same for all users.

    Attributes:
        words: length of the trigger.
        beam: candidates that are tried for a word before its gradient is taken anew.
    """

    words: int = 3
    beam: int = 5
    one_for_all: ClassVar[bool] = True
    _read: dict[int, tuple[GivesGradients, Candidates]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value in (("words", self.words), ("beam", self.beam)):
            if value < 1:
                raise ValueError(f"{option}: {value} must be at least 1")

    @property
    def info(self) -> AttackInfo:
        """The declaration."""
        return AttackInfo(
            id="universal-trigger",
            title="Universal trigger words",
            why="Words found once can be passed on and pasted by anybody, without a question to the target.",
            reference="Wallace et al., Universal Adversarial Triggers, EMNLP 2019",
            threat_model=ThreatModel(
                frozenset({Zone.OPERATOR, Zone.USER}), max_edits=1, max_queries=None, sees="scores"
            ),
            needs=frozenset({Input.INSTRUCTION, Input.NOTE}),
            tasks=("rank", "score"),
            queries_per_request=50,
            severity="high",
        )

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        return tuple(title_words(self.catalog.items_in_order))

    def search(self, probe: Probe) -> Steps:
        """See the module."""
        text = _field(probe)
        if text is None or not self._vocabulary or probe.left < 1:
            return ()
        rng, vocabulary = probe.rng, self._vocabulary
        guided = Insight.GRADIENTS in probe.info.reveals
        trigger = [vocabulary[i] for i in rng.integers(len(vocabulary), size=self.words)]
        (best,) = yield [_edits(text, trigger)]
        tried = {tuple(trigger)}
        estimates: dict[tuple[str, ...], list[str]] = {}
        slot = exhausted = 0
        while probe.left > 0 and exhausted < self.words:
            key = (*trigger, str(slot))
            if guided and key not in estimates:
                estimates[key] = self._ranked(probe, text, trigger, slot)
            ranked = estimates[key] if guided else rng.permutation(vocabulary).tolist()
            fresh = [[*trigger[:slot], word, *trigger[slot + 1 :]] for word in ranked]
            fresh = [words for words in fresh if tuple(words) not in tried][: min(self.beam, probe.left)]
            slot = (slot + 1) % self.words
            exhausted = 0 if fresh else exhausted + 1
            if not fresh:
                continue
            tried.update(map(tuple, fresh))
            losses = yield [_edits(text, words) for words in fresh]
            top = int(np.argmax(losses))
            if losses[top] > best:
                best, trigger = losses[top], fresh[top]
        return None

    def _ranked(self, probe: Probe, text: str, trigger: Sequence[str], slot: int) -> list[str]:
        """The vocabulary, the word with the highest estimated mean loss in this slot first."""
        target = white_box(probe.target)
        if id(target) not in self._read:  # the target is kept beside them, so that its number stays its own
            self._read[id(target)] = (target, Candidates.of(target, self._vocabulary, ()))
        known = self._read[id(target)][1]
        relevant, sign = sought(probe)
        requests: list[Request] = [apply(_edits(text, trigger), request) for request in probe.requests]
        start = len(" ".join(trigger[:slot])) + (slot > 0)
        end = start + len(trigger[slot])
        found: list[Slope] = []
        for read, request in zip(target.gradients(requests, relevant), requests, strict=True):
            slope = word_slope(read, request, text, start, end)
            if slope is not None:
                found.append(slope)
        if not found:
            return []
        joint = Slope(np.sum([s.slope for s in found], axis=0), 0.0)
        return [known.words[i] for i in np.argsort(-sign * joint.gains(known.word_table), kind="stable")]


def _field(probe: Probe) -> str | None:
    """The text that all requests have and the target reads."""
    if Input.INSTRUCTION in probe.info.honours and all(request.instruction for request in probe.requests):
        return "instruction"
    return "note" if Input.NOTE in probe.info.honours else None


def _edits(text: str, trigger: Sequence[str]) -> Edits:
    return (TextEdit(text, 0, 0, " ".join(trigger) + " "),)
