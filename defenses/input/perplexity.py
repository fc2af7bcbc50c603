"""Perplexity filter: text that a language model finds unlike any text raises an alarm."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from audit import stats
from audit.defense import Defended, DefenseInfo
from audit.edits import Zone, apply
from audit.errors import ConfigError, nearest
from audit.target import Recommender, describe
from audit.types import Answer, Request
from defenses.fields import READS, Text, untrusted
from defenses.input import models
from defenses.input.surprise import Reading, Surprise, shared_surprise

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM

OnFlag = Literal["refuse", "strip"]
WITHHELD = "(withheld)"
"""Stands for a title of which nothing is left."""
_ROUNDS = 4
"""How often a text is looked at again after words were taken out of it."""
_WORD = re.compile(r"\S+")


class PerplexityFilter:
    """Refuses a request, or strips the words, that a language model finds too unlikely.

    The suspicion of a request is the highest mean surprise of any window of any text in it that the target reads and
    the operator did not write: titles, descriptions, note, passages, turns. The threshold is the quantile of the
    suspicion of clean requests of other users that keeps the false alarm rate (split conformal;
    `audit.stats.threshold_at_fpr`).

    Args:
        validation: clean requests of users who are not under audit, on which the threshold is set.
        fpr: share of clean requests that may raise an alarm. n requests can keep a rate of 1 / (n + 1) at best.
        window: tokens of a window; None for whole texts, which hides a few strange words in a long text.
        on_flag: `refuse` the request, or `strip` the words in alarming windows and ask.
        model: folder of a causal language model, or one of your own; None for SmolLM2.

    Raises:
        ConfigError: an option that cannot be used, or too few clean requests for that rate.
    """

    def __init__(
        self,
        validation: Sequence[Request] = (),
        *,
        fpr: float = 0.05,
        window: int | None = 10,
        on_flag: OnFlag = "refuse",
        model: CausalLM | str | Path | None = None,
    ) -> None:
        if not 0 < fpr < 1:
            raise ConfigError(f"defenses.perplexity-filter.fpr: {fpr} must lie between 0 and 1")
        if window is not None and window < 1:
            raise ConfigError(
                f"defenses.perplexity-filter.window: {window} must be at least 1; leave it empty for whole texts"
            )
        if on_flag not in get_args(OnFlag):
            known = nearest(str(on_flag), get_args(OnFlag))
            raise ConfigError(f"defenses.perplexity-filter.on_flag: {on_flag!r} is no choice; {known}")
        models.check("defenses.perplexity-filter.model", model)
        needed = math.ceil(1 / fpr - 1 - 1e-9)
        n = len(validation)
        if n < needed:
            best = f"give {needed}, or ask for {1 / (n + 1):.3g}, the best they can do" if n else f"give {needed}"
            raise ConfigError(
                f"defenses.perplexity-filter.fpr: {n} clean requests of users who are not under audit cannot keep a "
                f"false alarm rate of {fpr:g}; {best}"
            )
        self.validation = tuple(validation)
        self.fpr = fpr
        self.window = window
        self.on_flag = on_flag
        self._model = model

    @cached_property
    def surprise(self) -> Surprise:
        """The reader of texts; loads the model."""
        return shared_surprise(models.load("defenses.perplexity-filter.model", self._model))

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="perplexity-filter",
            title="Perplexity filter",
            why="Strings that an optimiser found look like no text that a person writes.",
            reference="Jain et al. 2023, Baseline Defenses (arXiv 2309.00614); Alon & Kamfonas 2023 (arXiv 2308.14132)",
            family="input",
            guards=frozenset({Zone.USER, Zone.SELLER, Zone.RETRIEVED}),
            needs=READS,
            limits="Fluent text: an order or a claim in good English is less surprising than many a title; names, "
            "model numbers and other languages raise alarms instead.",
        )

    def protect(self, target: Recommender) -> Filtered:
        """The target behind the filter.

        Raises:
            ConfigError: the model is no causal one.
        """
        return Filtered(target, self)


class Filtered(Defended):
    """A target that is not asked about strange text; it says how strange a request is (`audit.defense.Detects`)."""

    def __init__(self, target: Recommender, defense: PerplexityFilter) -> None:
        clean = hashlib.sha256("".join(r.digest for r in defense.validation).encode()).hexdigest()
        lm = defense.surprise.lm
        options = {
            "fpr": defense.fpr,
            "window": defense.window,
            "on_flag": defense.on_flag,
            "model": lm.identity,
            "dtype": str(lm.dtype),
            "validation": clean,
        }
        super().__init__(target, defense.info, options)
        self._filter = defense
        self._reads = describe(target)

    @cached_property
    def calibration(self) -> stats.Threshold:
        """The threshold, and the false alarm rate that it keeps."""
        return stats.threshold_at_fpr(self.suspicion(self._filter.validation), self._filter.fpr)

    @property
    def threshold(self) -> float:
        """Suspicion above which the alarm is raised, in nats per token."""
        return self.calibration.value

    def suspicion(self, requests: Sequence[Request]) -> list[float]:
        """The most surprising window of each request, in nats per token; 0 for one without text."""
        return [max((score for _, score in scores), default=0.0) for scores in self._scores(requests)]

    def flags(self, request: Request) -> list[str]:
        """The fields that raise the alarm."""
        return [text.field for text, score in self._scores([request])[0] if score > self.threshold]

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Refuse or strip what raises the alarm, and ask about the rest."""
        flagged = [[t for t, score in scores if score > self.threshold] for scores in self._scores(requests)]
        if self._filter.on_flag == "strip":
            return self.ask([self._stripped(r, texts) for r, texts in zip(requests, flagged, strict=True)], draws)
        asked = [i for i, texts in enumerate(flagged) if not texts]
        answers = dict(
            zip(asked, self.ask([requests[i] for i in asked], [draws[i] for i in asked]), strict=True),
        )
        return [
            answers[i] if i in answers else Answer(outcome="refused", detail=f"perplexity-filter: {texts[0].field}")
            for i, texts in enumerate(flagged)
        ]

    def _scores(self, requests: Sequence[Request]) -> list[list[tuple[Text, float]]]:
        texts = [untrusted(request, self._reads) for request in requests]
        readings = iter(self._filter.surprise.read([t.text for group in texts for t in group]))
        return [[(t, self._score(next(readings))) for t in group] for group in texts]

    def _score(self, reading: Reading) -> float:
        return float(reading.windows(self._filter.window).max(initial=0.0))

    def _stripped(self, request: Request, texts: Sequence[Text]) -> Request:
        return apply([edit for text in texts for edit in text.becomes(self._strip(text))], request)

    def _strip(self, text: Text) -> str:
        left = text.text
        for _ in range(_ROUNDS):
            (reading,) = self._filter.surprise.read([left])
            bad = reading.flagged(self._filter.window, self.threshold)
            if not bad:
                break
            kept = [w for w in _WORD.finditer(left) if not any(w.start() < b and w.end() > a for a, b in bad)]
            left = " ".join(w[0] for w in kept)
        else:
            left = ""
        return left or (WITHHELD if text.kind == "title" else "")
