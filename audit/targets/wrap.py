"""What all wrappers share: reading strings as items, and checking what a target returned.

Two outcomes are kept apart here. `error`: the target failed on that request. `unparsable`: it did answer, with
something that cannot be read as an answer. Both are counted; neither stops the audit of the other requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, TypedDict

from audit.errors import RecAuditError, TargetError
from audit.target import Recommender
from audit.types import OUTCOMES, Answer, Catalog, Item, Ranked, Request, Task, Usage

if TYPE_CHECKING:
    from audit.grounding import Grounder


def failed(error: BaseException, *, where: str = "", usage: Usage | None = None) -> Answer:
    """The answer to a request on which the target raised."""
    said = " ".join(str(error).split())
    detail = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return Answer(outcome="error", detail=detail + (f" ({where})" if where else ""), usage=usage or Usage())


def unparsable(detail: str, *, text: str | None = None, usage: Usage | None = None) -> Answer:
    """The answer that cannot be read, with what is wrong about it."""
    return Answer(outcome="unparsable", detail=detail, text=text, usage=usage or Usage())


def unsupported(task: Task, tasks: Sequence[Task]) -> Answer:
    """The answer of a target that was asked for something it does not do."""
    return Answer(outcome="error", detail=f"the target does not do {task!r}; it does: {', '.join(tasks)}")


def check_answers(requests: Sequence[Request], answers: object, *, name: str = "target") -> list[Answer]:
    """Whatever a target returned, as one well-formed Answer per request.

    A ranking that is too short or too long, repeats itself or holds foreign ids is kept: `audit.grounding.tally` counts
    that.

    Args:
        requests: what was asked.
        answers: what `recommend` returned.
        name: of the target, for messages.

    Returns:
        The answers, in order. One with contents of a wrong type, with a score that is not finite, or (task `score`)
        without a score for every candidate in the candidates' order is `unparsable`, with the reason in `detail`.

    Raises:
        TargetError: it is not a sequence of Answers, or not of the requests' length: then no answer can be
            matched with its request.
    """
    if isinstance(answers, str | bytes | Mapping) or not isinstance(answers, Sequence):
        raise TargetError(
            f"{name}: recommend returned {shown_kind(answers)}; it must return a list with one Answer per request"
        )
    if len(answers) != len(requests):
        raise TargetError(
            f"{name}: recommend returned {len(answers)} answers to {len(requests)} requests; it must return one for "
            "each, in order (an Answer with outcome 'error' where it has none)"
        )
    for position, answer in enumerate(answers):
        if not isinstance(answer, Answer):
            raise TargetError(
                f"{name}: recommend returned {shown_kind(answer)} for request {position}; it must be an audit.Answer"
            )
    return [_checked(request, answer) for request, answer in zip(requests, answers, strict=True)]


def _checked(request: Request, answer: Answer) -> Answer:
    flaw = _flaw(answer)
    if flaw:
        usage = answer.usage if isinstance(answer.usage, Usage) else None
        return unparsable(flaw, text=answer.text if isinstance(answer.text, str) else None, usage=usage)
    answer = _encodable(answer)
    if answer.outcome != "ok":
        return answer
    ranked = tuple(_plain(entry) for entry in answer.ranked)
    if request.task == "score":
        flaw = _score_flaw(request, ranked)
        if flaw:
            return replace(answer, ranked=(), outcome="unparsable", detail=flaw)
    unchanged = isinstance(answer.ranked, tuple) and all(a is b for a, b in zip(ranked, answer.ranked, strict=True))
    return answer if unchanged else replace(answer, ranked=ranked)


def _encodable(answer: Answer) -> Answer:
    """The answer without lone surrogates, which JSON can carry and no file or database can hold."""
    texts = (answer.text or "", *(f"{e.item_id or ''}{e.title}{e.reason}" for e in answer.ranked), answer.detail)
    if "".join(texts).isascii() or not any("\ud800" <= c <= "\udfff" for text in texts for c in text):
        return answer

    def mend(text: str) -> str:
        return text.encode("utf-8", errors="replace").decode()

    return replace(
        answer,
        text=None if answer.text is None else mend(answer.text),
        detail=mend(answer.detail),
        ranked=tuple(
            replace(
                e, item_id=None if e.item_id is None else mend(e.item_id), title=mend(e.title), reason=mend(e.reason)
            )
            for e in answer.ranked
        ),
    )


def _flaw(answer: Answer) -> str:
    """What is wrong with the types inside an Answer: nothing checks them when a target builds one."""
    if answer.outcome not in OUTCOMES:
        return f"outcome {answer.outcome!r} is none of {', '.join(OUTCOMES)}"
    if not isinstance(answer.detail, str):
        return f"detail is {shown_kind(answer.detail)}, not a string"
    if answer.text is not None and not isinstance(answer.text, str):
        return f"text is {shown_kind(answer.text)}, not a string"
    if not isinstance(answer.ranked, tuple | list):
        return f"ranked is {shown_kind(answer.ranked)}, not a tuple of Ranked"
    for place, entry in enumerate(answer.ranked, 1):
        if not isinstance(entry, Ranked):
            return f"entry {place} is {shown_kind(entry)}, not a Ranked"
        if entry.item_id is not None and not isinstance(entry.item_id, str):
            return f"entry {place} has {shown_kind(entry.item_id)} as item_id; ids are strings"
        if not isinstance(entry.title, str) or not isinstance(entry.reason, str):
            return f"entry {place} has a title or reason that is not a string"
        if entry.score is None:
            continue
        if isinstance(entry.score, bool) or not isinstance(entry.score, Real):
            return f"entry {place} has {shown_kind(entry.score)} as score; scores are numbers"
        try:
            score = float(entry.score)
        except OverflowError:  # whole numbers and fractions have no largest
            return f"entry {place} has a score that no float holds; scores must be finite"
        if not math.isfinite(score):
            return f"entry {place} has the score {score}; scores must be finite"
    return ""


def _plain(entry: Ranked) -> Ranked:
    """The entry with a float as score: a NumPy scalar would not survive the store."""
    if entry.score is None or type(entry.score) is float:
        return entry
    return replace(entry, score=float(entry.score))


def _score_flaw(request: Request, ranked: Sequence[Ranked]) -> str:
    candidates = request.candidates or ()
    if len(ranked) != len(candidates):
        return f"{len(ranked)} scores for {len(candidates)} candidates"
    for place, (entry, candidate) in enumerate(zip(ranked, candidates, strict=True), 1):
        if entry.item_id != candidate.id:
            return f"entry {place} is {entry.item_id!r} where the candidate is {candidate.id!r}; keep their order"
        if entry.score is None:
            return f"entry {place} ({candidate.id!r}) has no score"
    return ""


def shown_kind(value: object) -> str:
    """A short name for a wrong value."""
    if value is None:
        return "None"
    if isinstance(value, str | int | float):
        shown = repr(value)
        return f"the {type(value).__name__} {shown if len(shown) <= 40 else shown[:39] + '…'}"
    return f"a {type(value).__name__}"


class ItemReader:
    """Reads what a target wrote as items, through `audit.grounding`.

    Args:
        catalog: where titles are looked up; None for the items of the request alone.
    """

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog if catalog is not None else Catalog(())

    @cached_property
    def _grounder(self) -> Grounder:
        # Here, because the index of a large catalogue takes seconds, and a target may answer with ids alone.
        from audit.grounding import Grounder

        return Grounder(self._catalog)

    def titles(self, texts: Sequence[str], request: Request) -> tuple[Ranked, ...]:
        """One entry per string, a title or an id; `item_id` is None where it names no item."""
        if not texts:
            return ()
        return self._grounder.ground_titles(texts, **_scope(request)).ranked

    def ids(self, texts: Sequence[str], request: Request) -> tuple[Ranked, ...]:
        """One entry per string, an id wherever it is one: a list of one id may look like the film of that name."""
        shown = _scope(request)
        known = {item.id for item in (*(shown["candidates"] or ()), *shown["history"])}
        is_id = [text in self._catalog or text in known for text in texts]
        others = iter(self.titles([text for text, found in zip(texts, is_id, strict=True) if not found], request))
        return tuple(Ranked(text, text) if found else next(others) for text, found in zip(texts, is_id, strict=True))

    def text(self, text: str, request: Request) -> Answer:
        """The list in a text; `refused` or `unparsable` where there is none."""
        grounded = self._grounder.ground_list(text, **_scope(request))
        return Answer(grounded.ranked, text, grounded.outcome, grounded.detail)


class _Shown(TypedDict):
    candidates: tuple[Item, ...] | None
    history: tuple[Item, ...]


def _scope(request: Request) -> _Shown:
    """The items that the request itself carries."""
    return {"candidates": request.candidates, "history": tuple(event.item for event in request.user.history)}


def ask(target: Recommender, requests: Sequence[Request], *, name: str = "target") -> list[Answer]:
    """Ask a target, and turn whatever happens into one well-formed Answer per request.

    When a target raises on a batch, each of its requests is asked alone once more: only those that fail alone are
    counted as errors.

    Raises:
        TargetUnavailable, TargetError: as the target raised them, or from `check_answers`.
    """
    try:
        answers = target.recommend(requests)
    except RecAuditError:
        raise
    except Exception as error:  # whatever foreign code raises is an outcome
        if len(requests) == 1:
            return [failed(error)]
        return [answer for request in requests for answer in ask(target, [request], name=name)]
    return check_answers(requests, answers, name=name)
