"""The conformance check itself: ask, ask again, ask alone, edit; then list what will run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np

from audit import registry
from audit.conformance.answers import MANY, contents, outcomes, scores
from audit.conformance.asking import SAME_SCORE, Door, differs, widest
from audit.conformance.inputs import inputs
from audit.conformance.report import Check, Observation, Report
from audit.errors import ConfigError, RecAuditError, TargetError, TargetUnavailable
from audit.target import CountsTokens, GivesGradients, GivesLogprobs, Input, Insight, Recommender, Retrains, describe
from audit.types import Answer, Case, Catalog, Request, Task

BATCH_SCORE = 1e-2
"""Largest relative score difference between a request alone and in a batch that half-precision arithmetic explains."""


def check(
    target: Recommender, cases: Sequence[Case], *, catalog: Catalog, rng: np.random.Generator, users: int = 12
) -> Report:
    """Send real requests and report what the target does with them.

    About ten requests per user are sent: a batch, the same batch again, each request alone, and one edit of each input.

    Args:
        target: what is looked at.
        cases: where the requests come from, at least one; the first `users` are used.
        catalog: tells foreign ids, and gives attacks what they may insert.
        rng: source of the draws for the edits.
        users: how many requests to base it on.

    Returns:
        The report. A target that fails on everything is reported, not raised.
    """
    requests = [case.request for case in cases[:users]]
    try:
        info = describe(target)
    except RecAuditError as error:
        seen = Observation(
            "reachable", "fail", f"The target cannot be described: {_sentence(error)}", "mend or start it"
        )
        return Report(type(target).__name__, requests[0].task, len(requests), 0, (seen,), ())
    door = Door(target, info.batch_size)
    task = requests[0].task
    observations: list[Observation] = []
    try:
        observations = [*_observe(door, requests, catalog, rng)]
    except (TargetError, TargetUnavailable) as error:
        observations = [
            *door.seen,
            Observation("answers", "fail", _sentence(error), _contract_mend(error)),
        ]
    return Report(info.name, task, len(requests), door.sent, tuple(observations), tuple(_checks(target, task, catalog)))


def _sentence(error: RecAuditError) -> str:
    return f"{' '.join(str(error).split()).rstrip('.')}."


def _contract_mend(error: RecAuditError) -> str:
    if isinstance(error, TargetUnavailable):
        return "start the target or check its address, then run this again; nothing more could be looked at"
    return "nothing more could be looked at before this is mended"


def _observe(door: Door, requests: Sequence[Request], catalog: Catalog, rng: np.random.Generator) -> list[Observation]:
    """All observations; those made before the target gave up stay in `door.seen`."""
    seen = door.seen
    try:
        first = door.ask(requests)
    except TargetError as error:
        # Perhaps it cannot batch: then the rest can still be looked at, one request at a time.
        door.raw.clear()
        first = door.ask(requests, size=1)
        door.batch_size = 1
        mend = "return one Answer per request, in order; or declare batch_size=1"
        seen.append(
            Observation("batch", "fail", f"It answers single requests, but not a batch: {_sentence(error)}", mend)
        )
    raw = list(door.raw)
    seen += outcomes(first)
    seen += contents(requests, first, catalog)
    seen += scores(door, requests, raw)
    again = door.ask(requests)
    batched = door.seconds  # of the second time: the first may have loaded a model
    noise = sum(differs(a, b) for a, b in zip(first, again, strict=True))
    seen.append(_repeat(noise, first, again))
    if door.batch_size != 1:
        alone = door.ask(requests, size=1)
        seen.append(_batch(noise, first, alone))
    alone_s = door.seconds
    seen += inputs(door, requests, first, noise, catalog, rng)
    seen += _declared(door)
    seen += _cost(door, requests, first, batched, alone_s)
    return seen


def _repeat(noise: int, first: Sequence[Answer], again: Sequence[Answer]) -> Observation:
    """The same question twice."""
    n = len(first)
    counts = {"changed": noise, "of": n, "largest_score_gap": widest(first, again)}
    if not noise:
        return Observation("repeat", "ok", f"The same question gets the same answer: {n} of {n}.", counts=counts)
    mend = "lower the temperature or set a seed; audits stay valid, with a higher noise floor"
    return Observation("repeat", "warn", f"{noise} of {n} answers change when the same is asked again.", mend, counts)


def _batch(noise: int, first: Sequence[Answer], alone: Sequence[Answer]) -> Observation:
    """Each request in a batch and alone."""
    n, gap = len(first), widest(first, alone)
    lists = sum(a.outcome != b.outcome or a.ids != b.ids for a, b in zip(first, alone, strict=True))
    counts = {"lists_changed": lists, "of": n, "largest_score_gap": gap}
    shift = f"; scores differ by up to {gap:.1g}" if gap > SAME_SCORE else ""
    if noise:
        text = f"{lists} of {n} answers differ alone and in a batch{shift}, which its instability may explain."
        return Observation("batch", "ok" if lists <= noise else "warn", text, counts=counts)
    if not lists and gap <= BATCH_SCORE:
        text = f"A request gets the same answer alone and in a batch{shift}."
        return Observation("batch", "ok", text, counts=counts)
    text = f"{lists} of {n} answers differ alone and in a batch{shift}: they depend on who else is asked about."
    mend = "keep requests apart (padding, shared state, normalisation over the batch); or declare batch_size=1"
    return Observation("batch", "fail" if lists > MANY * n or gap > BATCH_SCORE else "warn", text, mend, counts)


def _declared(door: Door) -> Iterator[Observation]:
    """Declarations that can be told from the target itself."""
    info = door.info
    methods: tuple[tuple[Insight, type, str], ...] = (
        (Insight.LOGPROBS, GivesLogprobs, "logprobs"),
        (Insight.GRADIENTS, GivesGradients, "gradients"),
        (Insight.TRAIN, Retrains, "retrain"),
    )
    for insight, protocol, method in methods:
        if insight in info.reveals and not isinstance(door.target, protocol):
            text = f"It declares {insight.value}, but has no method `{method}`."
            yield Observation(insight.value, "fail", text, f"add the method, or take `{insight.value}` out of reveals")
    for part in sorted(info.honours & {Input.TURNS, Input.IMAGES}):
        yield Observation(
            f"reads_{part.value}", "ok", f"It declares {part.value}, which no request here holds: not tested."
        )
    if info.fingerprint is None:
        text = "It has no fingerprint, so its answers are reused inside one run only."
        yield Observation("fingerprint", "ok", text, "set target.version to reuse answers between runs")


def _cost(
    door: Door, requests: Sequence[Request], first: Sequence[Answer], batched: float, alone: float
) -> Iterator[Observation]:
    """Time and tokens."""
    counts = {"seconds_in_batch": round(batched, 4), "seconds_alone": round(alone, 4)}
    text = f"A request takes {_time(batched)} in a batch and {_time(alone)} alone."
    yield Observation("latency", "ok", text, counts=counts)
    target = door.target
    prompt = fmean(
        target.count_tokens(requests) if isinstance(target, CountsTokens) else [a.usage.prompt_tokens for a in first]
    )
    completion = fmean(a.usage.completion_tokens for a in first)
    if prompt or completion:
        text = f"A request costs about {prompt:,.0f} prompt and {completion:,.0f} completion tokens."
        yield Observation("tokens", "ok", text, counts={"prompt": round(prompt, 1), "completion": round(completion, 1)})
    elif door.info.remote:
        text = "It reports no tokens, so a budget in tokens or money cannot hold it."
        yield Observation("tokens", "warn", text, "fill Answer.usage, or limit the budget in queries")


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _checks(target: Recommender, task: Task, catalog: Catalog) -> Iterator[Check]:
    """Which installed modules and attacks will run."""
    info = describe(target)
    for name in registry.available("modules"):
        try:
            tasks = registry.load("modules", name, where="modules")().info.tasks
        except (ConfigError, TypeError, ValueError) as error:
            yield Check("module", name, False, str(error))
            continue
        reason = "" if task in tasks else f"{name} does not audit the task {task!r}"
        yield Check("module", name, not reason, reason)
    for name in registry.available("attacks"):
        try:
            plugin = registry.load("attacks", name, where="attacks")
            # An audit gives what it has; here it only matters that it will.
            given = {"catalog": catalog, "popularity": dict.fromkeys(catalog, 1)}
            known = {k: v for k, v in given.items() if k in inspect.signature(plugin).parameters}
            lacking = plugin(**known).info.lacking(info, task)
        except (ConfigError, TypeError, ValueError) as error:
            yield Check("attack", name, False, str(error))
            continue
        yield Check("attack", name, lacking is None, lacking or "")
