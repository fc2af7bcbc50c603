"""From log-probabilities to answers, many requests at once: the part of the P5-style target that an attack pays for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from audit.types import Answer, Item, Ranked, Request, Usage

if TYPE_CHECKING:
    from audit.data.dataset import FloatArray, IntArray
    from audit.targets.zoo.p5_prompts import Prompt
    from audit.targets.zoo.p5_target import P5Target

NEVER = -100.0
"""Score of a candidate outside the catalogue: finite, because an infinite score is not valid JSON."""


class Asked(NamedTuple):
    """A request with its prompt."""

    request: Request
    prompt: Prompt


def answers(target: P5Target, asked: Sequence[Asked]) -> list[Answer]:
    """One answer per request. Equal prompts go through the network once."""
    found: list[Answer | None] = [_refused(target.info.name, a.request) for a in asked]
    work = [i for i, answer in enumerate(found) if answer is None]
    rows: dict[Prompt, list[int]] = {}
    for i in work:
        rows.setdefault(asked[i].prompt, []).append(i)
    ranked: list[tuple[int, FloatArray]] = []
    for request_numbers, values in _scored(target, asked, rows):
        for i in request_numbers:
            request = asked[i].request
            if request.candidates is None:
                ranked.append((i, values if isinstance(values, np.ndarray) else np.empty(0)))
            else:
                found[i] = _of_candidates(target, asked[i], values)
    for i, entries in _tops(target, asked, ranked):
        found[i] = Answer(entries, usage=_usage(target, asked[i].prompt))
    return [answer for answer in found if answer is not None]


def _refused(name: str, request: Request) -> Answer | None:
    if request.task == "answer":
        return Answer(outcome="error", detail=f"{name}: writes no text; ask it to rank or to score")
    if request.task == "score" and request.candidates is None:
        return Answer(outcome="error", detail=f"{name}: score needs candidates; the request has none")
    return None


def _usage(target: P5Target, prompt: Prompt) -> Usage:
    return Usage(prompt_tokens=target.prompts.length(prompt))


def _scored(
    target: P5Target, asked: Sequence[Asked], rows: Mapping[Prompt, list[int]]
) -> Iterator[tuple[list[int], FloatArray | Mapping[int, float]]]:
    """For each prompt the requests that share it, and log-probabilities by item index."""
    depth, index = target.vocabulary.indexing.depth, target.prompts.index
    whole: list[Prompt] = []
    some: list[tuple[Prompt, list[int]]] = []
    for prompt, numbers in rows.items():
        wanted = _wanted([asked[i].request for i in numbers], index)
        # With one token per item the softmax needs the whole catalogue anyway.
        if depth == 1 or wanted is None or len(wanted) > target.vocabulary.indexing.levels[0]:
            whole.append(prompt)
        else:
            some.append((prompt, wanted or [0]))
    for places, values in target.catalogue(whole):
        for place, row in zip(places, values, strict=True):
            yield rows[whole[place]], row
    for places, values in target.chosen(some):
        for place, row in zip(places, values.sum(-1).tolist(), strict=True):
            prompt, wanted = some[place]
            yield rows[prompt], dict(zip(wanted, row, strict=False))


def _wanted(requests: Sequence[Request], index: Mapping[str, int]) -> list[int] | None:
    """Indices of the candidates of all the requests; None where one asks for the whole catalogue."""
    if any(request.candidates is None for request in requests):
        return None
    ids = dict.fromkeys(item.id for request in requests for item in request.candidates or ())  # in a stable order
    return [index[item_id] for item_id in ids if item_id in index]


def _of_candidates(target: P5Target, asked: Asked, values: FloatArray | Mapping[int, float]) -> Answer:
    request, index = asked.request, target.prompts.index
    entries = [_entry(item, index.get(item.id), values) for item in request.candidates or ()]
    if request.task == "rank":
        # Ties go by catalogue order and not by position, so that the order of the candidates has no influence.
        entries.sort(key=lambda e: (-(e.score or 0.0), index.get(e.item_id or "", len(index)), e.item_id or ""))
        entries = entries[: max(request.k, 0)]
    return Answer(tuple(entries), usage=_usage(target, asked.prompt))


def _entry(item: Item, index: int | None, values: FloatArray | Mapping[int, float]) -> Ranked:
    return Ranked(item.id, item.title, NEVER if index is None else float(values[index]))


def _tops(
    target: P5Target, asked: Sequence[Asked], ranked: Sequence[tuple[int, FloatArray]]
) -> Iterator[tuple[int, tuple[Ranked, ...]]]:
    """The best entries of the catalogue for each request, without the items of its history."""
    if not ranked:
        return
    items, size = target.catalog.items_in_order, len(target.catalog)
    scores = np.empty((len(ranked), size + 1))  # the last column takes what the history holds and the model does not
    for row, (_, values) in enumerate(ranked):
        scores[row, :size] = values
    histories = [target.prompts.items(asked[i].request.user.history) for i, _ in ranked]
    owner = np.repeat(np.arange(len(ranked)), [len(history) for history in histories])
    scores[owner, np.array([item for history in histories for item in history], dtype=np.int64)] = -np.inf
    scores = scores[:, :size]
    most = min(size, max(1, *(asked[i].request.k for i, _ in ranked)))
    best = top(scores, most)
    values = np.take_along_axis(scores, best, axis=1)
    for row, (i, _) in enumerate(ranked):
        k = max(asked[i].request.k, 0)
        pairs = zip(best[row, :k].tolist(), values[row, :k].tolist(), strict=True)
        yield i, tuple(Ranked(items[n].id, items[n].title, value) for n, value in pairs if value > -np.inf)


def top(scores: FloatArray, k: int) -> IntArray:
    """(rows, k) columns of the k highest numbers of each row, the highest first; the lower column wins a tie."""
    size = scores.shape[1]
    if k >= size:
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.sort(np.argpartition(scores, size - k, axis=1)[:, size - k :], axis=1)
    values = np.take_along_axis(scores, best, axis=1)
    best = np.take_along_axis(best, np.argsort(-values, axis=1, kind="stable"), axis=1)
    # Where the last place is tied, the partition may have kept the wrong column.
    tied = np.flatnonzero((scores >= values.min(axis=1, keepdims=True)).sum(axis=1) > k)
    for row in tied:
        best[row] = np.argsort(-scores[row], kind="stable")[:k]
    return best.astype(np.int64)
