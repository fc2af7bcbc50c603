"""Evidence, opened: the edit as a diff and the answers before and after, loaded in bulk and bounded.

A store may hold tens of thousands of pieces. A report shows a few per finding that fails or is open, and says how many
more there are; only what is shown is ever read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from audit.edits import Change, diff
from audit.findings import ClaimMark, Evidence
from audit.report.attributions import Chart, chart
from audit.report.claims import Claimed, claimed
from audit.report.view import Row, RunView
from audit.text import clip, clip_middle, count, number, one_line, visible
from audit.types import Answer, Item, Request

PER_FINDING = 3
IN_ALL = 300
_EQUAL, _CHANGED, _RAW, _HISTORY = 160, 600, 2000, 12
_ENTRIES = 20
"""Entries of one answer that are shown."""
_EXPLAINING = ("counterfactual_success", "comprehensiveness", "stated_matters")
_PER_PART = 2
"""Explanations of answers of each of these that every report shows."""


@dataclass(frozen=True)
class Line:
    """One entry of an answer.

    Attributes:
        rank: from 1.
        title: as shown to a person.
        id: catalogue id; empty where the title matched no item.
        score: the target's own, or empty.
        move: how its rank differs from the answer before: `+2`, `−1`, `new`, or empty where it stayed.
    """

    rank: int
    title: str
    id: str
    score: str
    move: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer, readable.

    Attributes:
        lines: the first entries.
        outcome: `ok`, or why there is nothing to read.
        detail: what happened, for any outcome but `ok`.
        text: the raw text, cut to a bounded length.
        more: entries that are not shown.
        free: whether free text was asked for, so that a list is not to be expected.
        claims: the raw text with its claims marked, if they were judged.
    """

    lines: tuple[Line, ...]
    outcome: str
    detail: str
    text: str
    more: int = 0
    free: bool = False
    claims: Claimed | None = None


@dataclass(frozen=True)
class Exhibit:
    """One piece of evidence, ready to be shown. All text is safe to print but not yet escaped for a markup."""

    id: str
    case: str
    title: str
    note: str
    changes: tuple[Change, ...] = ()
    history: str = ""
    before: Reply | None = None
    after: Reply | None = None
    attribution: Chart | None = None


@dataclass(frozen=True)
class Shown:
    """The exhibits of one finding.

    Attributes:
        exhibits: shown in full here.
        elsewhere: ids of pieces that another finding of this run already shows.
        more: pieces that only the store holds.
    """

    exhibits: tuple[Exhibit, ...] = ()
    elsewhere: tuple[str, ...] = ()
    more: int = 0


def collect(view: RunView, *, limit: int = IN_ALL) -> dict[str, Shown]:
    """Evidence of everything that fails or is open, by finding id; the most severe finding shows a shared piece.

    Args:
        view: the run.
        limit: most pieces in all.
    """
    own: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    taken: set[str] = set()
    for row in view.pressing:
        f = row.finding
        chosen = f.evidence[:PER_FINDING]
        own[f.id] = [key for key in chosen if key not in taken][: max(limit - len(taken), 0)]
        others[f.id] = [key for key in chosen if key in taken]
        taken.update(own[f.id])
    exhibits = opened(view, [key for keys in own.values() for key in keys])
    return {row.finding.id: _shown(row, own, others, exhibits) for row in view.pressing}


def explained(view: RunView, taken: Iterable[str] = ()) -> tuple[Exhibit, ...]:
    """A few explanations of answers, whatever their verdict: what they are cannot be seen from figures.

    Args:
        view: the run.
        taken: ids of pieces that are shown elsewhere.
    """
    ours = [row.finding for row in view.rows if row.finding.module == "explanation"]
    ids: dict[str, None] = {}
    for metric in _EXPLAINING:
        found = dict.fromkeys(key for f in ours if f.metric == metric for key in f.evidence)
        ids |= dict.fromkeys(list(found)[:_PER_PART])
    left = [key for key in ids if key not in set(taken)]
    exhibits = opened(view, left) if left else {}
    return tuple(exhibits[key] for key in left if key in exhibits)


def _shown(
    row: Row, own: Mapping[str, list[str]], others: Mapping[str, list[str]], exhibits: Mapping[str, Exhibit]
) -> Shown:
    f = row.finding
    here = tuple(exhibits[key] for key in own[f.id] if key in exhibits)
    return Shown(here, tuple(others[f.id]), len(f.evidence) - len(here) - len(others[f.id]))


def opened(view: RunView, ids: Sequence[str]) -> dict[str, Exhibit]:
    """Pieces of evidence by id; three bulk reads, however many there are."""
    store, run = view.run.store, view.run.id
    pieces = store.evidence(run, ids)
    digests = {d for e in pieces.values() for d in (e.before, e.after) if d is not None}
    requests = store.requests(digests)
    repeats = {r for e in pieces.values() for r in (e.before_repeat, e.after_repeat)}
    answers = store.answers_to(run, digests, repeats=repeats)
    # A run keeps no catalogue, so an answer that gives ids alone is named from the items of the requests shown.
    names: dict[str, str] = {}
    for request in requests.values():
        names.update((item.id, item.title) for item in _items(request))
    return {key: _exhibit(key, piece, requests, answers, names) for key, piece in pieces.items()}


def reply(request: Request, answer: Answer) -> Reply:
    """An answer by itself, ready to be shown."""
    names = {item.id: item.title for item in _items(request)}
    return _reply(answer, min(request.k, _ENTRIES), names, None, free=request.task == "answer", marks=())


def _items(request: Request) -> list[Item]:
    return [*(e.item for e in request.user.history), *(request.candidates or ())]


def _exhibit(
    key: str,
    piece: Evidence,
    requests: Mapping[str, Request],
    answers: Mapping[tuple[str, int], Answer],
    names: Mapping[str, str],
) -> Exhibit:
    first = requests.get(piece.before or "")
    second = requests.get(piece.after or "")
    before = answers.get((piece.before, piece.before_repeat)) if piece.before else None
    after = answers.get((piece.after, piece.after_repeat)) if piece.after else None
    k = min(first.k, _ENTRIES) if first is not None else 10
    free = first is not None and first.task == "answer"
    # The claims are those of the answer that is shown last.
    marks = piece.claims
    return Exhibit(
        id=key,
        case=one_line(piece.case),
        title=one_line(piece.title),
        note=one_line(piece.note),
        changes=tuple(_trimmed(c) for c in diff(first, second)) if first and second else (),
        history=_history(first) if first and not second else "",
        before=None if before is None else _reply(before, k, names, None, free=free, marks=() if after else marks),
        after=None if after is None else _reply(after, k, names, before, free=free, marks=marks),
        attribution=None if piece.attribution is None else chart(piece.attribution),
    )


def _history(request: Request) -> str:
    """The end of what the target was told of the user, for evidence without an edit."""
    events = request.user.history
    titles = " · ".join(clip(one_line(e.item.title), 60) for e in events[-_HISTORY:])
    return f"… {count(len(events) - _HISTORY, 'earlier item')} · {titles}" if len(events) > _HISTORY else titles


def _trimmed(change: Change) -> Change:
    return Change(
        one_line(change.field),
        tuple(
            (how, clip_middle(visible(text), _EQUAL) if how == "equal" else clip_middle(visible(text), _CHANGED))
            for how, text in change.pieces
        ),
    )


def _reply(
    answer: Answer,
    k: int,
    names: Mapping[str, str],
    before: Answer | None,
    *,
    free: bool,
    marks: Sequence[ClaimMark],
) -> Reply:
    old = {entry: rank for rank, entry in reversed(list(enumerate((before.ids if before else ())[:k], 1)))}
    lines = []
    for rank, entry in enumerate(answer.ranked[:k], 1):
        known = entry.item_id is not None
        title = entry.title or names.get(entry.item_id or "", "")
        lines.append(
            Line(
                rank=rank,
                title=clip(one_line(title), 120) or "(no title)",
                id=clip(one_line(entry.item_id), 40) if known else "",
                score="" if entry.score is None else number(entry.score),
                move=_move(old.get(entry.item_id), rank) if known and before is not None and before.ids else "",
            )
        )
    return Reply(
        tuple(lines),
        answer.outcome,
        clip(one_line(answer.detail), 400),
        # Cut first: every character takes time to make visible, and an answer may be megabytes long.
        clip(visible((answer.text or "")[: _RAW + 1]), _RAW),
        max(len(answer.ranked) - k, 0),
        free,
        claimed(answer.text or "", marks) if marks else None,
    )


def _move(old: int | None, new: int) -> str:
    if old is None:
        return "new"
    return "" if old == new else f"▲{old - new}" if old > new else f"▼{new - old}"
