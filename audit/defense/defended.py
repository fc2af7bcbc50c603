"""A target behind a defense is a target: what all of them share."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

from audit.defense.info import DefenseInfo
from audit.edits import Edit, apply
from audit.target import Insight, Randomised, Recommender, TargetInfo, describe
from audit.targets.wrap import check_answers
from audit.types import Answer, Request, canonical_json


class Defended(ABC):
    """A target behind a defense.

    Args:
        target: what is protected.
        defense: declaration of the defense.
        options: everything besides the target that the answers depend on, as JSON-compatible data: part of the
            fingerprint, so that stored answers are never taken for those of another setting.
    """

    keeps: ClassVar[frozenset[Insight]] = frozenset({Insight.SCORES})
    """What of the target still shows through. Gradients of the bare target say nothing about the defended one."""

    def __init__(self, target: Recommender, defense: DefenseInfo, options: Mapping[str, object]) -> None:
        self.target = target
        self.defense = defense
        self.defense_options = dict(options)

    @cached_property
    def info(self) -> TargetInfo:
        """The target's declaration, with the defense in its name and fingerprint."""
        inner = describe(self.target)
        fingerprint = None
        if inner.fingerprint is not None:
            parts = [self.defense.id, self.defense_options, inner.fingerprint]
            fingerprint = hashlib.sha256(canonical_json(parts).encode()).hexdigest()
        return replace(
            inner,
            name=f"{inner.name} + {self.defense.id}",
            fingerprint=fingerprint,
            reveals=inner.reveals & self.keeps,
            batch_size=None,
            randomised=inner.randomised or self.defense.randomised,
        )

    def recommend(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Answer each request, in order; see `audit.target.Recommender`."""
        return self.recommend_draws(requests, [0] * len(requests))

    @abstractmethod
    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Answer each request, in order; see `audit.target.Randomised`.

        A defense that draws nothing itself hands the draws on to `ask`, for what is behind it may draw.
        """

    def ask(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        """Ask the target behind the defense; equal questions are asked once, and every answer counts its calls."""
        random = describe(self.target).randomised
        keys = [(r.digest, draw if random else 0) for r, draw in zip(requests, draws, strict=True)]
        distinct = dict(zip(keys, requests, strict=True))
        answers = dict(zip(distinct, self._asked(list(distinct.values()), [d for _, d in distinct]), strict=True))
        return [answers[key] for key in keys]

    def _asked(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        inner = describe(self.target)
        size = inner.batch_size or max(len(requests), 1)
        answers: list[Answer] = []
        for start in range(0, len(requests), size):
            batch = requests[start : start + size]
            answered = (
                self.target.recommend_draws(batch, draws[start : start + size])
                if isinstance(self.target, Randomised)
                else self.target.recommend(batch)
            )
            answers += check_answers(batch, answered, name=inner.name)
        return [a if a.usage.calls else replace(a, usage=replace(a.usage, calls=1)) for a in answers]


class Rewriting(Defended):
    """A defense that edits each request before the target sees it.

    The edits are the log of what it did. Editing what has been edited already changes nothing, or the defense says why.
    """

    @abstractmethod
    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """Per request, the edits to make, in order; empty where nothing is to be done."""

    def rewrite(self, requests: Sequence[Request]) -> list[Request]:
        """The requests as the target will see them."""
        return [apply(edits, request) for edits, request in zip(self.edits(requests), requests, strict=True)]

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """Edit, then ask."""
        return self.ask(self.rewrite(requests), draws)
