"""One attack on one request: what was edited, what it cost, how visible it is.

Stealth is measured on the edited fields alone: similarity over a whole prompt is diluted by the text both sides share.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.edits import Edit, SetAttribute, TextEdit, apply, from_dict, read_text, to_dict
from audit.errors import EditError
from audit.target import Input, TargetInfo
from audit.types import Answer, Request


@dataclass(frozen=True)
class Stealth:
    """How visible an attempt is, measured on the edited fields only.

    Attributes:
        edits: number of edits.
        similarity: character similarity of the edited text fields before and after, 0 to 1 (Ratcliff and Obershelp);
            1 when no text was edited.
        odd_characters: characters added that a person cannot see or would not type: format and control characters,
            private use, unassigned.
        perplexity: of the edited field, where a language model was asked.
    """

    edits: int
    similarity: float = 1.0
    odd_characters: int = 0
    perplexity: float | None = None


@dataclass(frozen=True)
class Step:
    """The best an attack had found after so many true queries.

    Attributes:
        queries: true queries spent by then.
        loss: of these edits, in the unit of the attack's feedback.
        edits: the edits.
    """

    queries: int
    loss: float
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Found:
    """What a search came to, without the answers: what is stored so that a resumed run need not search again.

    Attributes:
        edits: what it settled on.
        queries: true queries spent.
        trace: improvements on the way.
    """

    edits: tuple[Edit, ...]
    queries: int = 0
    trace: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "edits": [to_dict(e) for e in self.edits],
            "queries": self.queries,
            "trace": [[s.queries, s.loss, [to_dict(e) for e in s.edits]] for s in self.trace],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Found:
        """Inverse of `to_dict`."""
        return cls(
            tuple(from_dict(e) for e in data["edits"]),
            data["queries"],
            tuple(Step(q, loss, tuple(from_dict(e) for e in edits)) for q, loss, edits in data["trace"]),
        )

    def after(self, queries: int) -> tuple[Edit, ...]:
        """The best edits seen within so many true queries; none before the first that could be read."""
        return next((s.edits for s in reversed(self.trace) if s.queries <= queries), ())


@dataclass(frozen=True)
class Attempt:
    """One attack on one request.

    Attributes:
        request: the clean request.
        edits: what was done to it.
        before: the answer to the clean request.
        after: the answer to the edited request.
        queries: true queries the search spent, `before` and `after` not counted.
        stealth: how visible the edits are.
        trace: improvements on the way, each better than the one before; empty for an attack without search.
    """

    request: Request
    edits: tuple[Edit, ...]
    before: Answer
    after: Answer
    queries: int
    stealth: Stealth
    trace: tuple[Step, ...] = ()

    @property
    def found(self) -> Found:
        """The attempt without its answers."""
        return Found(self.edits, self.queries, self.trace)


def writable_text(request: Request, target: TargetInfo) -> list[str]:
    """The text fields that an edit of the wording can reach and the target reads.

    The instruction and the user's note where the target honours them and they are not empty; for a service with a
    fixed prompt, the titles of the items it is given.

    Returns:
        Field names, each once.
    """
    fields = []
    if Input.INSTRUCTION in target.honours and request.instruction:
        fields.append("instruction")
    if Input.NOTE in target.honours and request.user.note:
        fields.append("note")
    if not fields and Input.ITEM_TEXT in target.honours:
        items = [*(event.item for event in request.user.history), *(request.candidates or ())]
        fields = [f"item:{item_id}.title" for item_id in dict.fromkeys(item.id for item in items)]
    return fields


def stealth(request: Request, edits: Sequence[Edit]) -> Stealth:
    """Measure how visible edits are on the fields they touch."""
    fields = list(dict.fromkeys(e.field for e in edits if isinstance(e, TextEdit)))
    after = apply(edits, request)
    old = [_read(request, name) for name in fields]
    new = [_read(after, name) for name in fields]
    similarity = 1.0
    if fields:
        matcher = difflib.SequenceMatcher(a="\n".join(old), b="\n".join(new), autojunk=False)
        similarity = matcher.ratio()
    values = [str(e.value) for e in edits if isinstance(e, SetAttribute) and e.value is not None]
    odd = sum(_odd(text) for text in new) - sum(_odd(text) for text in old) + sum(_odd(v) for v in values)
    return Stealth(edits=len(edits), similarity=similarity, odd_characters=max(odd, 0))


def _read(request: Request, name: str) -> str:
    try:
        return read_text(request, name)
    except EditError:
        return ""


def _odd(text: str) -> int:
    return sum(unicodedata.category(c) in {"Cf", "Cc", "Co", "Cn"} and c not in "\n\t" for c in text)
