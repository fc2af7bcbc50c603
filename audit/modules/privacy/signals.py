"""What a target lets us see of a row: log-probabilities of its text, the chance of its label, or the place of its item.

All three are read as log-likelihoods of tokens, one token where there is no text: the higher, the more at home the
target is with the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt

from audit.gateway import Ask, likelihoods
from audit.modules.base import Context
from audit.modules.privacy.rows import Question
from audit.target import GivesLogprobs, GivesTokenMoments, Insight, Recommender, Renders, TokenMoments
from audit.types import Answer

Floats = npt.NDArray[np.float64]
Kind = Literal["logprobs", "scores", "ranks"]
KINDS: tuple[Kind, ...] = ("logprobs", "scores", "ranks")
_T = TypeVar("_T")
_BATCH = 32
_LEAST = 1e-12
"""Below this a chance is as good as none; its logarithm stays finite."""


@dataclass(frozen=True)
class Source:
    """Something that is asked about rows.

    Attributes:
        target: it.
        ask: how its answers are got.
    """

    target: Recommender
    ask: Callable[[Sequence[Ask]], Sequence[Answer]]

    @classmethod
    def audited(cls, context: Context, label: str) -> Source:
        """The target under audit, through the gateway; what members were asked about is stored without their rows."""
        gateway = context.gateway
        return cls(gateway.target, lambda asks: gateway.ask(asks, label=label, lean=True))

    @classmethod
    def beside(cls, target: Recommender) -> Source:
        """Another model, such as the base: it is not the target, and not charged to the run's budget."""

        def ask(asks: Sequence[Ask]) -> list[Answer]:
            if asks and asks[0].text is not None:
                return [a for part in _parts(asks) for a in likelihoods(target, part)]
            return [a for part in _parts(asks) for a in target.recommend([one.request for one in part])]

        return cls(target, ask)


def kind_of(context: Context, wanted: str) -> Kind | None:
    """What the target is read by: as wanted, or the most telling that it has for the task; None where there is nothing.

    A yes/no target was trained on its yes and no, so that its score tells more than the words of a title.
    """
    able: dict[Kind, bool] = {
        "scores": context.task == "score" and Insight.SCORES in context.info.reveals,
        "logprobs": context.task != "score"
        and Insight.LOGPROBS in context.info.reveals
        and isinstance(context.gateway.target, GivesLogprobs),
        "ranks": context.task == "rank",
    }
    if wanted == "auto":
        return next((kind for kind, can in able.items() if can), None)
    return cast(Kind, wanted) if able[cast(Kind, wanted)] else None


def asks(source: Source, kind: Kind, questions: Sequence[Question], *, sharp: bool = False) -> list[Ask]:
    """What is asked about each question: an answer, or how likely the title of its item is.

    Args:
        source: what is asked.
        kind: of signal.
        questions: the rows.
        sharp: whether it is also asked how sharp the target was at each token of a title, if it says.
    """
    if kind != "logprobs":
        return [Ask(question.request) for question in questions]
    moments = sharp and isinstance(source.target, GivesTokenMoments)
    texts = continuations(source.target, questions)
    return [Ask(q.request, text=text, moments=moments) for q, text in zip(questions, texts, strict=True)]


def read(source: Source, kind: Kind, questions: Sequence[Question]) -> list[list[Floats | None]]:
    """Log-likelihoods (tokens,) of each item of each question; None where the answer could not be read."""
    answers = source.ask(asks(source, kind, questions))
    if kind == "logprobs":
        return [[_tokens(answer)] for answer in answers]
    by = _by_label if kind == "scores" else _by_place
    return [by(question, answer) for question, answer in zip(questions, answers, strict=True)]


def read_sharply(
    source: Source, kind: Kind, questions: Sequence[Question]
) -> tuple[list[list[Floats | None]], list[TokenMoments | None] | None]:
    """As `read`, and from the same questions how sharp the target was at each token; None for those that do not say."""
    if kind != "logprobs" or not isinstance(source.target, GivesTokenMoments):
        return read(source, kind, questions), None
    answers = source.ask(asks(source, kind, questions, sharp=True))
    return [[_tokens(answer)] for answer in answers], [_moments(answer) for answer in answers]


def _tokens(answer: Answer) -> Floats | None:
    return None if answer.likelihood is None else np.array(answer.likelihood.logprobs)


def _moments(answer: Answer) -> TokenMoments | None:
    told = answer.likelihood
    return None if told is None else TokenMoments(*map(np.array, (told.logprobs, told.means, told.stds)))


def continuations(target: Recommender, questions: Sequence[Question]) -> list[str]:
    """The title of each question's item as it would stand behind the prompt."""
    told = []
    for question in questions:
        title = question.items[0].title
        prompt = target.render(question.request).text if isinstance(target, Renders) else ""
        told.append(f" {title}" if prompt and not prompt[-1].isspace() else title)
    return told


def _by_label(question: Question, answer: Answer) -> list[Floats | None]:
    """Log-probability of what the user truly said of each item."""
    scores = {entry.item_id: entry.score for entry in answer.ranked} if answer.outcome == "ok" else {}
    found: list[Floats | None] = []
    for item, label in zip(question.items, question.labels, strict=True):
        score = scores.get(item.id)
        if score is None or not 0.0 <= score <= 1.0:
            found.append(None)
        else:
            found.append(np.array([math.log(max(score if label else 1.0 - score, _LEAST))]))
    return found


def _by_place(question: Question, answer: Answer) -> list[Floats | None]:
    """How far the item stands above the other candidates: in standard deviations of their scores, or by its rank."""
    (item,) = question.items
    if answer.outcome != "ok" or not question.request.candidates:
        return [None]
    scores = {entry.item_id: entry.score for entry in answer.ranked}
    others = [s for c in question.request.candidates if c.id != item.id and (s := scores.get(c.id)) is not None]
    mine = scores.get(item.id)
    if mine is not None and len(others) >= 2 and math.isfinite(mine) and np.isfinite(others).all():
        return [np.array([(mine - np.mean(others)) / (np.std(others) + _LEAST)])]
    ids = list(answer.ids)
    # An item that a list leaves out stands behind all that it holds.
    place = ids.index(item.id) + 1 if item.id in ids else len(question.request.candidates)
    return [np.array([-math.log(place)])]


def _parts(values: Sequence[_T]) -> list[Sequence[_T]]:
    return [values[start : start + _BATCH] for start in range(0, len(values), _BATCH)]
