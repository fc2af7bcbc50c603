"""One call of a target: with retries, and so that a request that fails is the only one lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from audit.errors import RecAuditError, TargetError, TargetUnavailable
from audit.gateway.concurrency import Adaptive
from audit.gateway.likelihoods import likelihoods
from audit.gateway.records import Ask, Retry
from audit.redaction import redact, redact_values
from audit.target import Randomised, Recommender
from audit.targets.wrap import check_answers, failed
from audit.types import Answer


@dataclass
class Caller:
    """Asks a target.

    Attributes:
        target: what is asked.
        name: of it, for messages.
        retry: how failures are asked again.
    """

    target: Recommender
    name: str
    retry: Retry
    _failed_in_a_row: int = field(init=False, default=0)

    def _recommend(self, asks: Sequence[Ask]) -> object:
        """Ask; where foreign code raises, find the request it fails on, so that only that one is lost."""
        requests = [a.request for a in asks]
        try:
            if any(a.text is not None for a in asks):
                return self._mixed(asks)
            if isinstance(self.target, Randomised):
                return self.target.recommend_draws(requests, [a.repeat for a in asks])
            return self.target.recommend(requests)
        except RecAuditError:
            raise
        except Exception as error:  # whatever foreign code raises is the outcome of the request that caused it
            if len(asks) == 1:
                return [failed(error)]
            found: list[Answer] = []
            for half in (asks[: len(asks) // 2], asks[len(asks) // 2 :]):
                found += self._checked(half, self._recommend(half))
            return found

    def _mixed(self, asks: Sequence[Ask]) -> list[Answer]:
        """Answers and likelihoods of one batch."""
        texts = [i for i, ask in enumerate(asks) if ask.text is not None]
        plain = [i for i, ask in enumerate(asks) if ask.text is None]
        found = dict(zip(texts, likelihoods(self.target, [asks[i] for i in texts], name=self.name), strict=True))
        if plain:
            rest = [asks[i] for i in plain]
            answers = check_answers([a.request for a in rest], self._recommend(rest), name=self.name)
            found.update(zip(plain, answers, strict=True))
        return [found[i] for i in range(len(asks))]

    def _checked(self, asks: Sequence[Ask], answers: object) -> list[Answer]:
        """As `check_answers`; a likelihood was made here and is well formed."""
        if isinstance(answers, list) and any(a.text is not None for a in asks):
            return answers
        return check_answers([a.request for a in asks], answers, name=self.name)

    def call(self, asks: Sequence[Ask], limiter: Adaptive) -> list[Answer]:
        """Ask the target once, with retries; a batch that fails for good becomes counted errors."""
        requests = [a.request for a in asks]

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked_for = error.retry_after if isinstance(error, TargetUnavailable) else None
            jittered = wait_random_exponential(multiplier=self.retry.wait_s, max=self.retry.max_wait_s)(state)
            return min(asked_for, self.retry.max_wait_s) if asked_for is not None else jittered

        def complained(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, TargetUnavailable) and error.throttled:
                limiter.throttled()

        retrying = Retrying(
            retry=retry_if_exception_type(TargetUnavailable),
            wait=pause,
            stop=stop_after_attempt(self.retry.attempts),
            after=complained,
            reraise=True,
        )
        started = time.perf_counter()
        try:
            answers = self._checked(asks, retrying(self._recommend, asks))
        except TargetUnavailable as error:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self.retry.give_up_after:
                raise TargetError(
                    f"target: {self._failed_in_a_row} batches failed in a row, each {self.retry.attempts} times; the "
                    f"last error was: {error}. What was answered is stored: mend the target and resume the run"
                ) from error
            return [Answer(outcome="error", detail=redact(str(error))) for _ in requests]
        self._failed_in_a_row = 0
        limiter.succeeded()
        seconds = (time.perf_counter() - started) / len(requests)
        timed = [a if a.usage.seconds else replace(a, usage=replace(a.usage, seconds=seconds)) for a in answers]
        return [_without_secrets(a) for a in timed]


def _without_secrets(answer: Answer) -> Answer:
    """The answer of a target that repeats a key it was given, such as in a message of its own library.

    Here and not only in the store, so that nothing that is made of an answer holds it.
    """
    told = answer.to_dict()
    clean = redact_values(told)
    return answer if clean == told else Answer.from_dict(clean)
