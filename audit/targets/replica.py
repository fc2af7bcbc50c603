"""One replica of a target, as it lives in a worker process, and the form in which it talks to the driver.

Everything that crosses between the processes is JSON text in the form of the store (`to_dict`, `from_dict`): the
configuration and the requests on the way in, answers or the name and sentence of an error on the way out. No object of
the user's code and no exception travels, so nothing needs to be unpickled that we did not write ourselves.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from audit import errors
from audit.errors import RecAuditError, TargetError, TargetUnavailable
from audit.target import (
    CountsTokens,
    GivesLogprobs,
    Input,
    Insight,
    Recommender,
    Rendered,
    Renders,
    Span,
    TargetInfo,
    describe,
)
from audit.targets.wrap import check_answers
from audit.types import Answer, Request

CAPABILITIES: Mapping[str, type] = {"count_tokens": CountsTokens, "render": Renders, "logprobs": GivesLogprobs}
"""What a replica can be asked beside `recommend`, by the name of the method."""

_REACHABLE = frozenset({Insight.SCORES, Insight.LOGPROBS, Insight.TOOL_CALLS})
"""Gradients, embeddings and training need the model in the driver's own process."""


class Replica:
    """A target in a worker process. Every method takes and returns JSON text; none raises."""

    def __init__(self, config: str, base: str, threads: int) -> None:
        """Note what to build; `build` builds it, so that a mistake in it is an answer and not a dead process.

        Args:
            config: the audit's configuration.
            base: folder that relative paths and modules start from, on this machine.
            threads: threads this replica may use.
        """
        self._config = config
        self._base = Path(base)
        self._threads = threads
        self._target: Recommender | None = None
        self._name = "target"

    def build(self) -> str:
        """Build the target.

        Returns:
            What it declares (`info`) and which of `CAPABILITIES` it has (`offers`).
        """

        def work() -> dict[str, Any]:
            # Before the target's libraries are loaded: they read these once.
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                os.environ[name] = str(self._threads)
            from audit.config import AuditConfig
            from audit.data.load import load_dataset
            from audit.targets.build import build

            config = AuditConfig.model_validate_json(self._config)
            if config.target is None:
                raise TargetError("target is missing; a replica is built from the `target:` block")
            target = build(config.target, load_dataset(config.dataset, self._base), self._base)
            if torch := sys.modules.get("torch"):
                torch.set_num_threads(self._threads)
            info = describe(target)
            self._target, self._name = target, info.name
            offers = [name for name, kind in CAPABILITIES.items() if isinstance(target, kind)]
            return {"info": info_to_dict(info), "offers": offers}

        return _told(work)

    def recommend(self, requests: str) -> str:
        """Answer a batch. The seconds of an answer are those of the work here, without the wait for a free replica."""

        def work() -> list[dict[str, Any]]:
            asked = _requests(requests)
            started = time.perf_counter()
            answers = check_answers(asked, self._built().recommend(asked), name=self._name)
            seconds = (time.perf_counter() - started) / max(len(asked), 1)
            timed = (a if a.usage.seconds else replace(a, usage=replace(a.usage, seconds=seconds)) for a in answers)
            return [answer.to_dict() for answer in timed]

        return _told(work)

    def count_tokens(self, requests: str) -> str:
        """Prompt tokens of each request."""
        return _told(lambda: [int(n) for n in self._with(CountsTokens).count_tokens(_requests(requests))])

    def render(self, requests: str) -> str:
        """The prompt of each request."""
        return _told(lambda: [asdict(self._with(Renders).render(request)) for request in _requests(requests)])

    def logprobs(self, requests: str, continuations: Sequence[str]) -> str:
        """Log-probability of each token of each continuation, in nats."""

        def work() -> list[list[float]]:
            given = self._with(GivesLogprobs).logprobs(_requests(requests), list(continuations))
            return [[float(value) for value in tokens] for tokens in given]

        return _told(work)

    def process(self) -> int:
        """Id of this process, for those who watch it."""
        return os.getpid()

    def _built(self) -> Recommender:
        if self._target is None:
            raise TargetError("target: this replica was asked before it was built")
        return self._target

    def _with(self, capability: Any) -> Any:  # noqa: ANN401 - a protocol, and an object that follows it
        target = self._built()
        if not isinstance(target, capability):
            raise TargetError(f"{self._name}: it has no {capability.__name__}")
        return target


def batch_to_text(requests: Sequence[Request]) -> str:
    """Requests as a replica reads them. Keys keep their order: a template may print attributes as they come."""
    return json.dumps([request.to_dict() for request in requests])


def read(reply: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What a replica told.

    Raises:
        RecAuditError: the error of the replica, of its own class.
        Exception: what foreign code raised there, as an error of the same class name, so that the answer recorded for
            it reads as if it had been raised here.
    """
    told = json.loads(reply)
    if "raised" not in told:
        return told["result"]
    kind, said = str(told["raised"]), str(told["said"])
    known = getattr(errors, kind, None) if told["ours"] else None
    if known is TargetUnavailable:
        raise TargetUnavailable(said, retry_after=told["retry_after"], throttled=told["throttled"])
    if isinstance(known, type) and issubclass(known, RecAuditError):
        raise known(said)
    raise TargetError(said) if told["ours"] else type(kind, (Exception,), {})(said)


def answers_of(data: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Answers as `recommend` told them."""
    return [Answer.from_dict(answer) for answer in data]


def rendered_of(data: Mapping[str, Any]) -> Rendered:
    """A prompt as `render` told it."""
    return Rendered(data["text"], tuple(Span(**span) for span in data["spans"]))


def info_to_dict(info: TargetInfo) -> dict[str, Any]:
    """A declaration in plain types, in an order that does not depend on the process."""
    data = {field.name: getattr(info, field.name) for field in fields(info)}
    return {
        **data,
        "honours": sorted(map(str, info.honours)),
        "reveals": sorted(map(str, info.reveals)),
        "tasks": list(info.tasks),
        "instructions": dict(info.instructions),
        "paraphrases": {task: list(texts) for task, texts in info.paraphrases.items()},
    }


def info_from_dict(data: Mapping[str, Any]) -> TargetInfo:
    """The declaration of a replicated target: several calls may be in flight, and only what travels is revealed."""
    return TargetInfo(
        **{
            **data,
            "tasks": tuple(data["tasks"]),
            "honours": frozenset(map(Input, data["honours"])),
            "reveals": frozenset(map(Insight, data["reveals"])) & _REACHABLE,
            "paraphrases": {task: tuple(texts) for task, texts in data["paraphrases"].items()},
            "concurrent": True,
        }
    )


def _requests(text: str) -> list[Request]:
    return [Request.from_dict(data) for data in json.loads(text)]


def _told(work: Callable[[], Any]) -> str:
    try:
        return json.dumps({"result": work()})
    except RecAuditError as error:
        # The nearest class of ours: a subclass that a plug-in defines is unknown to the driver.
        kind = next(c.__name__ for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
        told: dict[str, Any] = {"raised": kind, "said": str(error), "ours": True}
        if isinstance(error, TargetUnavailable):
            told |= {"retry_after": error.retry_after, "throttled": error.throttled}
        return json.dumps(told)
    except Exception as error:  # whatever foreign code raises is told, and raised again where the audit runs
        return json.dumps({"raised": type(error).__name__, "said": str(error), "ours": False})
