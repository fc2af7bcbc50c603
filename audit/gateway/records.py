"""What is asked, what it may cost, and how far it has come: plain records."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from audit.store import RunUsage
from audit.types import Request, canonical_json


@dataclass(frozen=True)
class Ask:
    """One question: a request, and which repeat of it is meant.

    Repeats are true repeats: repeat 1 of a request is asked again, never answered from repeat 0. For a target that
    draws at random the repeat is the draw.

    Attributes:
        request: what the target is told.
        repeat: see above.
        text: asks how likely this text is behind the request's prompt, instead of asking for an answer. The target must
            be `audit.target.GivesLogprobs`; the `Answer` has a `likelihood` and nothing else.
        moments: with `text`, asks how sharp the target was at each token as well (`audit.target.GivesTokenMoments`).
    """

    request: Request
    repeat: int = 0
    text: str | None = None
    moments: bool = False

    def __post_init__(self) -> None:
        if self.moments and self.text is None:
            raise ValueError("moments: they are of a text; give one")

    @property
    def digest(self) -> str:
        """Content address of the question. That of a text is no request's: no evidence opens it as an answer."""
        if self.text is None:
            return self.request.digest
        told = canonical_json([self.request.digest, self.text, self.moments])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Budget:
    """What a run may spend. None means no limit. Checked before asking, over the whole run, resumed parts included."""

    queries: int | None = None
    tokens: int | None = None
    minutes: float | None = None
    usd: float | None = None


@dataclass(frozen=True)
class Price:
    """Price of a remote target, in US dollars per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost in US dollars."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True)
class Estimate:
    """What a plan would cost, before anything is asked.

    Attributes:
        queries: distinct questions not yet stored.
        reused: distinct questions already stored.
        prompt_tokens: counted by the target, or by a rule of four characters a token (`counted` False).
        counted: whether the target counted.
        sampled: whether the tokens of some questions, drawn at random, stand for those of all.
    """

    queries: int
    reused: int
    prompt_tokens: int
    counted: bool
    sampled: bool = False


@dataclass
class Progress:
    """Where the current plan stands; given to the progress callback after every batch."""

    label: str = ""
    done: int = 0
    total: int = 0
    usage: RunUsage = field(default_factory=RunUsage)


@dataclass
class Retry:
    """How unavailable endpoints are asked again.

    Attributes:
        attempts: calls per batch before its failure is recorded.
        wait_s: first wait; doubled with jitter each time.
        max_wait_s: longest wait.
        give_up_after: batches failing in a row after which the target counts as gone and the run stops.
    """

    attempts: int = 4
    wait_s: float = 1.0
    max_wait_s: float = 60.0
    give_up_after: int = 5
