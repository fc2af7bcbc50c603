"""How likely a target holds texts that are given to it: the questions that `recommend` does not answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from audit.errors import TargetError
from audit.gateway.records import Ask
from audit.target import CountsTokens, GivesLogprobs, GivesTokenMoments, Recommender
from audit.targets.wrap import shown_kind, unparsable
from audit.types import Answer, Likelihood, Usage

_T = TypeVar("_T")


def likelihoods(target: Recommender, asks: Sequence[Ask], *, name: str = "target") -> list[Answer]:
    """One Answer per question about a text, in order; texts with and without moments may be mixed.

    Numbers keep eight digits, which is more than single precision has, so that an answer is the same fresh and stored.
    A likelihood that cannot be read (no token, a number that is not finite) is `unparsable`.

    Args:
        target: what is asked.
        asks: each with a text.
        name: of the target, for messages.

    Raises:
        TargetError: the target gives none, or not one for each question.
    """
    found: dict[int, Likelihood] = {}
    for moments in (False, True):
        chosen = [i for i, ask in enumerate(asks) if ask.moments is moments]
        if chosen:
            found.update(zip(chosen, _asked(target, [asks[i] for i in chosen], moments, name), strict=True))
    return [_checked(found[i], usage) for i, usage in enumerate(_usage(target, asks, found))]


def _asked(target: Recommender, asks: Sequence[Ask], moments: bool, name: str) -> list[Likelihood]:
    requests, texts = [ask.request for ask in asks], [ask.text or "" for ask in asks]
    if moments:
        if not isinstance(target, GivesTokenMoments):
            raise TargetError(f"{name}: it does not say how sharp it is at each token of a text (token_moments)")
        given = _one_each(target.token_moments(requests, texts), asks, f"{name}: token_moments")
        return [Likelihood(_kept(one.logprobs), _kept(one.means), _kept(one.stds)) for one in given]
    if not isinstance(target, GivesLogprobs):
        raise TargetError(f"{name}: it gives no log-probabilities of a text (logprobs)")
    return [Likelihood(_kept(one)) for one in _one_each(target.logprobs(requests, texts), asks, f"{name}: logprobs")]


def _one_each(given: Sequence[_T], asks: Sequence[Ask], where: str) -> Sequence[_T]:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise TargetError(f"{where} returned {shown_kind(given)}; it must return a list with one entry per text")
    if len(given) != len(asks):
        raise TargetError(f"{where} returned {len(given)} entries for {len(asks)} texts; it must return one for each")
    return given


def _kept(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{float(value):.8g}") for value in values)


def _usage(target: Recommender, asks: Sequence[Ask], found: dict[int, Likelihood]) -> list[Usage]:
    """Every token is read, those of the text too."""
    if not isinstance(target, CountsTokens):
        return [Usage() for _ in asks]
    counts = target.count_tokens([ask.request for ask in asks])
    return [Usage(prompt_tokens=int(count) + len(found[i].logprobs)) for i, count in enumerate(counts)]


def _checked(one: Likelihood, usage: Usage) -> Answer:
    if not one.logprobs:
        return unparsable("the likelihood of a text without a token", usage=usage)
    if not all(map(math.isfinite, (*one.logprobs, *one.means, *one.stds))):
        return unparsable("log-probabilities that are not finite numbers", usage=usage)
    return Answer(likelihood=one, usage=usage)
