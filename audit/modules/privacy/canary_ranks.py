"""Where the target ranks the secret of a canary among all that the secret could have been."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from audit.data.canaries import Canaries, Canary, canary_request, check_items
from audit.errors import DataError
from audit.gateway import Ask
from audit.modules.base import Context
from audit.modules.privacy.known import members_of
from audit.stats.exposure import exposures
from audit.target import GivesLogprobs, Input, Insight
from audit.types import Answer, Request

Floats = npt.NDArray[np.float64]
Signal = Literal["ranks", "scores", "logprobs"]
"""Places in a list, scores of yes/no targets, or log-probabilities of the secret as text."""
SIGNALS = get_args(Signal)


@dataclass(frozen=True)
class Reading:
    """The canaries of a training, and how the target is asked about them.

    Attributes:
        canaries: planted and not.
        signal: see `Signal`.
    """

    canaries: Canaries
    signal: Signal


@dataclass(frozen=True)
class Placed:
    """One canary, and what the target made of its secret.

    Attributes:
        name: `canary 17`, its number in the list; its id stays private.
        canary: it.
        possible: exposure in bits of every candidate, if it were the secret, (candidates,).
        exposure: of the secret, in bits.
        rank: of the secret, 1 for the first; the mean rank of those it is tied with.
        readable: whether the answer could be read; one that could not ranks all candidates alike.
    """

    name: str
    canary: Canary
    possible: Floats
    exposure: float
    rank: float
    readable: bool


def reading(context: Context, members: str | None) -> Reading | str:
    """The canaries and how they can be read, or why they cannot, as the end of a sentence.

    Args:
        context: what is audited.
        members: the option: a file or folder with `members.json`; None for what the target itself says.
    """
    canaries = _planted(context, members)
    if isinstance(canaries, str):
        return canaries
    signal = _signal(context, canaries)
    return Reading(canaries, cast(Signal, signal)) if signal in SIGNALS else signal


def _planted(context: Context, members: str | None) -> Canaries | str:
    found = members_of(context, members)
    if found is None or not found.canaries:
        who = "nobody says what was planted in its training" if found is None else "its list of members has no canaries"
        return (
            f"{who}; draw secrets with audit.data.canaries.plan_canaries, train on them, and keep them in members.json"
        )
    try:
        canaries = Canaries.from_dict(found.canaries)
        if canaries.form == "history":
            check_items(canaries, context.dataset)
    except DataError as error:
        return str(error)
    if not canaries.inside or not canaries.outside:
        side = "planted" if not canaries.inside else "left out as a control"
        return f"none of its {len(canaries.members)} canaries was {side}; draw more, each with a fair coin"
    return canaries


def _signal(context: Context, canaries: Canaries) -> Signal | str:
    info = context.info
    texts = Insight.LOGPROBS in info.reveals and isinstance(context.gateway.target, GivesLogprobs)
    if canaries.form == "note":
        if not texts:
            return "its canaries are notes, and the target gives no log-probabilities of a text"
        if Input.NOTE not in info.honours:
            return "its canaries are notes, and the target does not read the note of a user"
        return "logprobs"
    if Input.HISTORY not in info.honours:
        return "its canaries are histories, and the target does not read the history of a request"
    if context.task == "score" and Insight.SCORES in info.reveals:
        return "scores"
    if "rank" in info.tasks:
        return "ranks"
    return "logprobs" if texts else "the target neither ranks candidates nor gives log-probabilities of a title"


def asks(context: Context, read: Reading, sample: int) -> list[Ask]:
    """The questions about each canary: one, or where it is read as text one per secret."""
    asked = _questions(context, read, sample)
    if read.signal == "logprobs":
        return [ask for one in asked for ask in _texts(context, *one)]
    return [Ask(request) for request, _ in asked]


def places(context: Context, read: Reading, sample: int) -> list[Placed]:
    """Ask about every canary, planted or not, in the same way.

    Args:
        context: what is audited.
        read: the canaries.
        sample: how many other secrets, at most, each is ranked among.
    """
    canaries = read.canaries
    asked = _questions(context, read, sample)
    if read.signal == "logprobs":
        told = iter(context.gateway.ask(asks(context, read, sample), label="privacy: canaries", lean=True))
        rows = [_by_text([next(told) for _ in candidates]) for _, candidates in asked]
    else:
        requests = [request for request, _ in asked]
        # Stored without their requests: these hold the secrets.
        answers = context.gateway.ask([Ask(r) for r in requests], label="privacy: canaries", lean=True)
        rows = [_by_place(candidates, answer) for (_, candidates), answer in zip(asked, answers, strict=True)]
    found = []
    for n, (canary, (_, candidates), row) in enumerate(zip(canaries.members, asked, rows, strict=True)):
        scores = np.zeros(len(candidates)) if row is None else row
        bits, secret = exposures(scores), candidates.index(canary.secret)
        rank = 1 + np.count_nonzero(scores > scores[secret]) + (np.count_nonzero(scores == scores[secret]) - 1) / 2
        found.append(Placed(f"canary {n}", canary, bits, float(bits[secret]), float(rank), row is not None))
    return found


def _questions(context: Context, read: Reading, sample: int) -> list[tuple[Request, tuple[str, ...]]]:
    """For each canary the request, and the secrets among which its own is ranked, in an order that says nothing."""
    canaries, signal = read.canaries, read.signal
    task = context.task
    if signal != "logprobs":
        task = "score" if signal == "scores" else "rank"
    elif canaries.form == "note" and "answer" in context.info.tasks:
        task = "answer"
    honoured = Input.INSTRUCTION in context.info.honours
    instruction = context.info.instructions.get(task, "") if honoured else ""
    most = sample + 1
    if signal != "logprobs" and context.info.max_candidates is not None:
        most = min(most, context.info.max_candidates)
    found = []
    for canary in canaries.members:
        rng = context.rng("privacy", "canaries", canary.id)
        candidates = _candidates(canaries, canary, most, rng)
        request = canary_request(canary, context.dataset, task=task, instruction=instruction)
        if signal != "logprobs":
            items = tuple(context.dataset.catalog[item] for item in candidates)
            request = replace(request, candidates=items, k=len(items))
        found.append((request, candidates))
    return found


def _candidates(canaries: Canaries, canary: Canary, most: int, rng: np.random.Generator) -> tuple[str, ...]:
    if canaries.form == "history":
        others = [item for item in canaries.space if item != canary.secret]
        chosen = [others[i] for i in rng.permutation(len(others))[: most - 1].tolist()]
    else:
        count = min(most, canaries.size)
        numbers = rng.choice(canaries.size, count, replace=False) if canaries.size < 10**7 else ()
        told = [f"{int(n):0{canaries.digits}d}" for n in numbers]
        while len(told) < count:
            told = list(dict.fromkeys([*told, f"{int(rng.integers(canaries.size)):0{canaries.digits}d}"]))
        chosen = [secret for secret in told if secret != canary.secret][: count - 1]
    mixed = [canary.secret, *chosen]
    return tuple(mixed[i] for i in rng.permutation(len(mixed)).tolist())


def _by_place(candidates: Sequence[str], answer: Answer) -> Floats | None:
    """Scores of the candidates; where not all of them have one, minus their place, and behind all what is left out."""
    if answer.outcome != "ok":
        return None
    scores = {entry.item_id: entry.score for entry in answer.ranked}
    given = [scores.get(item) for item in candidates]
    if all(score is not None and math.isfinite(score) for score in given):
        return np.array(given, dtype=np.float64)
    order: dict[str | None, int] = {}
    for item in answer.ids:
        order.setdefault(item, len(order))
    return np.array([-float(order.get(item, len(candidates))) for item in candidates])


def _texts(context: Context, request: Request, candidates: Sequence[str]) -> list[Ask]:
    """How likely each candidate is as text behind the request's prompt."""
    titles = [context.dataset.catalog[c].title if request.user.history else c for c in candidates]
    return [Ask(request, text=f" {title}") for title in titles]


def _by_text(answers: Sequence[Answer]) -> Floats | None:
    """Log-probability of each candidate, in nats; None where one of them has none."""
    told = [answer.likelihood for answer in answers]
    found = [float(np.sum(one.logprobs)) for one in told if one is not None]
    return np.array(found) if len(found) == len(told) else None
