"""Retrieval for a request: what is searched for, which documents are put before the target, and where they go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from audit.edits import AddPassage, Edit, TextEdit
from audit.knowledge.base import KnowledgeBase
from audit.knowledge.document import Document, value_in_words
from audit.target import Input, TargetInfo
from audit.types import Event, Item, Passage, Request

Channel = Literal["passages", "instruction", "note"]
"""Where the documents go. Passages are meant for them; a target that reads none finds them behind its instruction, or,
if it reads no instruction either, behind the user's note."""

CHANNELS: tuple[tuple[Channel, Input], ...] = (
    ("passages", Input.PASSAGES),
    ("instruction", Input.INSTRUCTION),
    ("note", Input.NOTE),
)
READS = frozenset(read for _, read in CHANNELS)
"""A target must read one of these, or no document reaches it."""

WORDING = (
    "Use the numbered passages. Name only items that exist, and write the number of the passage that you rely on "
    "behind what you took from it, such as [1]."
)
LATEST = 10
"""Events of a history that are searched with: the latest ones that were liked."""
_YEAR = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*\Z")
_DEEPEST = 5_000
"""Passages looked through for those that may be shown; more would only cost time."""


def channel_of(info: TargetInfo) -> Channel | None:
    """Where documents reach this target; None if nowhere."""
    return next((channel for channel, read in CHANNELS if read in info.honours), None)


def query_of(request: Request) -> str:
    """What is searched for: the note, and the titles and facts of the latest liked items of the history.

    Liked is what has no rating, or at least the user's own mean: the scale is not known here.
    """
    events = request.user.history
    ratings = [event.rating for event in events if event.rating is not None]
    mean = sum(ratings) / len(ratings) if ratings else 0.0
    liked = [event for event in events if event.rating is None or event.rating >= mean]
    return " ".join(part for part in (request.user.note.strip(), *map(_searched, liked[-LATEST:])) if part)


def _searched(event: Event) -> str:
    item = event.item
    # A year is the same word in every row of that year, and says little about taste.
    facts = [value_in_words(value) for name, value in item.attributes.items() if not isinstance(value, int | float)]
    return " ".join([_YEAR.sub("", item.title), *(fact for fact in facts if fact)])


def retrieved(kb: KnowledgeBase, requests: Sequence[Request], k: int = 5) -> list[tuple[Document, ...]]:
    """For each request at most k documents, best first.

    Without candidates nothing about what the user has had: it is not to be recommended again. With candidates only
    what is about them, all of them where they are no more than k. Documents about no item may always come.

    Args:
        kb: to search.
        requests: what is asked.
        k: documents each, at least 1.

    Raises:
        ValueError: k is under 1.
    """
    deep = min(len(kb.passages), _DEEPEST)
    # Of a whole catalogue only what the user has had is passed over, so a little more than k is enough.
    depths = [
        deep if request.candidates is not None else min(deep, 2 * k + 3 * len(request.user.history))
        for request in requests
    ]
    found: list[tuple[Document, ...]] = [()] * len(requests)
    for depth in sorted(set(depths)):
        at = [i for i, own in enumerate(depths) if own == depth]
        hits = kb.retrieve_many([query_of(requests[i]) for i in at], max(depth, k))
        for i, own in zip(at, hits, strict=True):
            found[i] = _chosen(kb, requests[i], [hit.document for hit in own], k)
    return found


def _chosen(kb: KnowledgeBase, request: Request, hits: Sequence[Document], k: int) -> tuple[Document, ...]:
    offered = None if request.candidates is None else {item.id for item in request.candidates}
    had = {event.item.id for event in request.user.history}
    keyed: list[Document] = []
    if request.candidates is not None and len(request.candidates) <= k:
        keyed = rows(kb, request.candidates)
    fitting = [
        document
        for document in hits
        if document.item_id is None
        or (document.item_id in offered if offered is not None else document.item_id not in had)
    ]
    return tuple({document.id: document for document in (*keyed, *fitting)}.values())[:k]


def rows(kb: KnowledgeBase, items: Iterable[Item]) -> list[Document]:
    """What the base holds on each of these items first: the catalogue's own row."""
    return [documents[0] for item in items if (documents := kb.of_item(item.id))]


def prompted(
    request: Request, info: TargetInfo, documents: Sequence[Document], wording: str = WORDING
) -> tuple[Edit, ...]:
    """The edits that put documents before a target, numbered on from the passages that are there already.

    Args:
        request: to edit.
        info: of the target.
        documents: best first; those whose id is among the request's passages are left out.
        wording: said behind the instruction, where the target reads one or has the documents there; may be empty.

    Returns:
        Edits in the order in which they apply; none without a document or a channel.
    """
    channel = channel_of(info)
    known = {passage.id for passage in request.passages}
    fresh = [document for document in documents if document.id not in known]
    if channel is None or not fresh:
        return ()
    first = len(request.passages)
    numbered = [f"[{number}] {document.text}" for number, document in enumerate(fresh, start=first + 1)]
    default = info.instructions.get(request.task, "")
    if channel == "passages":
        added: tuple[Edit, ...] = tuple(
            AddPassage(first + at, Passage(document.id, text, document.source))
            for at, (document, text) in enumerate(zip(fresh, numbered, strict=True))
        )
        if not wording or Input.INSTRUCTION not in info.honours:
            return added
        return (*added, _behind("instruction", request.instruction, default, wording, " "))
    text = "\n".join([*([wording] if wording else []), *numbered])
    if channel == "note":
        return (_behind("note", request.user.note, "", text, "\n\n"),)
    return (_behind("instruction", request.instruction, default, text, "\n\n"),)


def _behind(field: str, old: str, default: str, text: str, gap: str) -> TextEdit:
    """The text at the end of a field; where the field is empty, behind what the target would read instead."""
    if old:
        return TextEdit(field, len(old), len(old), gap + text)
    return TextEdit(field, 0, 0, default + gap + text if default else text)
