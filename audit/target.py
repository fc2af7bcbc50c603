"""The Recommender protocol, and what a target declares about itself.

A target needs one method, batch first: `recommend(requests) -> answers`. Everything else is declared in a `TargetInfo`
and tested by `audit.conformance`. What is not declared is not assumed: a check that needs it reads `not_applicable`
with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from audit.types import Answer, Item, Request, Task

if TYPE_CHECKING:
    from audit.data.dataset import Dataset


class Input(StrEnum):
    """A part of the Request that the target reads. Editing a part that it does not read cannot change an answer."""

    INSTRUCTION = "instruction"
    HISTORY = "history"
    ITEM_TEXT = "item_text"
    ATTRIBUTES = "attributes"
    NOTE = "note"
    PASSAGES = "passages"
    TURNS = "turns"
    IMAGES = "images"


class Insight(StrEnum):
    """What the target lets us see or do beyond its ranked answer."""

    SCORES = "scores"
    LOGPROBS = "logprobs"
    GRADIENTS = "gradients"
    EMBEDDINGS = "embeddings"
    TOOL_CALLS = "tool_calls"
    TRAIN = "train"


@dataclass(frozen=True)
class TargetInfo:
    """What a target declares about itself.

    Attributes:
        name: short name for reports.
        tasks: what it can be asked; the first is the one it is built for.
        honours: parts of the Request it reads.
        reveals: what it lets us see.
        instructions: its default wording by task, for targets that honour `Input.INSTRUCTION`.
        paraphrases: other wordings of the same instruction by task, known to its owner to mean the same; the benign
            paraphrase control uses them.
        fingerprint: content address of the model, weights, template and decoding. None when the target cannot tell;
            then its answers are reused inside one run only.
        needs_candidates: whether `rank` needs `Request.candidates`; False means that it can rank its whole catalogue.
        max_candidates: the most candidates one request may hold, if there is such a limit.
        batch_size: how many requests it takes at once; None for any number.
        concurrent: whether several calls may be in flight at once (remote endpoints).
        remote: whether a call leaves this machine.
        randomised: whether it draws its answers at random by design; then it is `Randomised`.
    """

    name: str
    tasks: tuple[Task, ...] = ("rank",)
    honours: frozenset[Input] = frozenset({Input.HISTORY})
    reveals: frozenset[Insight] = frozenset()
    instructions: Mapping[Task, str] = field(default_factory=dict)
    paraphrases: Mapping[Task, tuple[str, ...]] = field(default_factory=dict)
    fingerprint: str | None = None
    needs_candidates: bool = False
    max_candidates: int | None = None
    batch_size: int | None = None
    concurrent: bool = False
    remote: bool = False
    randomised: bool = False


@runtime_checkable
class Recommender(Protocol):
    """Anything that can be audited."""

    def recommend(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Answer each request, in order.

        Returns:
            One Answer per Request. A refusal or an answer that cannot be read is an Answer with that outcome.

        Raises:
            TargetUnavailable: the call failed in a way that asking again may mend.
            TargetError: the target is broken and asking further is pointless.
        """
        ...


@runtime_checkable
class Described(Protocol):
    """A Recommender that declares what it can do."""

    @property
    def info(self) -> TargetInfo:
        """The declaration."""
        ...


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a rendered prompt, and the field of the Request they came from.

    Field names are those of `audit.edits`: `instruction`, `note`, `history[3].title`, `candidates[0].text`, …
    """

    start: int
    end: int
    field: str


@dataclass(frozen=True)
class Rendered:
    """A prompt as the model reads it, with the origin of every part that came from the Request."""

    text: str
    spans: tuple[Span, ...] = ()


@runtime_checkable
class Renders(Protocol):
    """A target that shows the prompt it builds."""

    def render(self, request: Request) -> Rendered:
        """The prompt for one request, with its spans. An unedited request always renders the same text."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A target that can say how long a prompt is, without asking the model."""

    def count_tokens(self, requests: Sequence[Request]) -> Sequence[int]:
        """Prompt tokens of each request."""
        ...


@runtime_checkable
class GivesLogprobs(Protocol):
    """A target that scores given answers (`Insight.LOGPROBS`)."""

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> Sequence[Sequence[float]]:
        """Log-probability of each token of each continuation, given its request's prompt, in nats."""
        ...


@dataclass(frozen=True, eq=False)
class TokenMoments:
    """How likely each token of a continuation is, against everything that could have stood there.

    Attributes:
        logprobs: (n) log-probability in nats of each token.
        means: (n) mean log-probability of a token drawn from the model at that place: its negative entropy.
        stds: (n) standard deviation of the same.
    """

    logprobs: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    stds: npt.NDArray[np.float64]


@runtime_checkable
class GivesTokenMoments(Protocol):
    """A target that says how sharp its prediction was at each token of a given answer (`Insight.LOGPROBS`)."""

    def token_moments(self, requests: Sequence[Request], continuations: Sequence[str]) -> Sequence[TokenMoments]:
        """Of each continuation, given its request's prompt."""
        ...


@runtime_checkable
class Adapted(Protocol):
    """A target whose training lies in an adapter on a base model."""

    def with_adapter(self, adapter: Path | None) -> Recommender | None:
        """The same target with another adapter, or with none; it stays as it is itself.

        Args:
            adapter: folder; None for the base model as it was before the training.

        Returns:
            None where the target has no adapter, or cannot be built again.
        """
        ...


@dataclass(frozen=True, eq=False)
class TokenGradients:
    """How the loss of one request changes with the embedding of each token that came from the request.

    Attributes:
        spans: (n) origin of each token: the field of the request as in `Rendered`, and the characters *of that field's
            text* that the token stands for; 0 to 0 for the token of an item as such.
        embeddings: (n, dim) float32, as the model reads them.
        gradients: (n, dim) float32, of the loss in nats.
        loss: of the request.
    """

    spans: tuple[Span, ...]
    embeddings: npt.NDArray[np.float32]
    gradients: npt.NDArray[np.float32]
    loss: float = 0.0


@runtime_checkable
class GivesGradients(Protocol):
    """A target whose weights are at hand (`Insight.GRADIENTS`).

    The loss is the one that an adversary reads from its scores (`audit.attack.feedback`): for `rank`, the negative
    log-probability of the relevant items, among the candidates where there are any; for `score`, the mean negative
    log-likelihood of the right decisions.
    """

    def gradients(self, requests: Sequence[Request], relevant: Sequence[frozenset[str]]) -> Sequence[TokenGradients]:
        """Gradients of the loss.

        Args:
            requests: what is asked.
            relevant: per request, ids of the right items; for `score`, of the candidates to which yes is right.

        Returns:
            One entry per request. A request that has no such loss, such as one that gets no answer, has no tokens.
        """
        ...

    def word_embeddings(self, words: Sequence[str]) -> Sequence[npt.NDArray[np.float32]]:
        """Embeddings (tokens, dim) of each word, as it would stand inside a text."""
        ...

    def item_embeddings(self, items: Sequence[Item]) -> Sequence[npt.NDArray[np.float32]]:
        """Embeddings (tokens, dim) of each item, as it would stand in a history."""
        ...


@runtime_checkable
class Retrains(Protocol):
    """A target that can be fitted again on other interactions (`Insight.TRAIN`)."""

    def retrain(self, dataset: Dataset) -> Recommender:
        """A twin of the same kind and options, fitted on all interactions of `dataset`: nothing is held out.

        The target itself stays as it is. Equal datasets give equal twins.
        """
        ...


@runtime_checkable
class Forgets(Protocol):
    """A target that can be asked to forget people without being trained anew."""

    def forget(self, users: Collection[str]) -> Recommender:
        """A twin that should behave as if these users had never been in its training; the target stays as it is.

        Args:
            users: ids; those who were not in the training change nothing.
        """
        ...


@runtime_checkable
class Randomised(Protocol):
    """A target that draws its answers at random by design, such as a vote over random copies.

    Which draw is meant is part of the question, so that a run can be repeated: equal requests and draws give equal
    answers, and different draws are independent.
    """

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> Sequence[Answer]:
        """As `recommend`, which is draw 0.

        Args:
            requests: what is asked.
            draws: per request, which draw of its answer is wanted, from 0.
        """
        ...


def describe(target: Recommender) -> TargetInfo:
    """What the target declares; for one that declares nothing, that it ranks from the user's history."""
    if isinstance(target, Described):
        return target.info
    return TargetInfo(name=type(target).__name__, honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))
