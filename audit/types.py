"""User, Item, Catalog, Event, Request, Answer: plain frozen data, and nothing else.

A Request is structured and carries the items themselves (title, text, attributes), not only their ids, so that an edit
can reach every word a target may read. No type here knows a framework, a file format or a network.

Every type turns into JSON-compatible data with `to_dict` and back with `from_dict`; `Request.digest` is the content
address under which its answers are stored.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

Task = Literal["rank", "score", "answer"]
"""`rank`: top-k of the candidates or of the catalogue; `score`: a number for each candidate; `answer`: free text."""

Outcome = Literal["ok", "refused", "unparsable", "error"]
"""How an ask ended. Anything but `ok` is a counted outcome, never a dropped row."""

AttributeValue = str | int | float | tuple[str, ...]
Attributes = Mapping[str, AttributeValue]

TASKS: tuple[Task, ...] = ("rank", "score", "answer")
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "unparsable", "error")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Made once: `json.dumps` makes an encoder at each call, which digests of many requests feel."""


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal data gives equal text.

    Plain ASCII, because half an emoji, which truncated model output does hold, has no UTF-8 form.
    """
    return _ENCODER.encode(value)


def _plain_attributes(attributes: Attributes) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}


def _attributes(data: Mapping[str, Any]) -> dict[str, AttributeValue]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


@dataclass(frozen=True)
class Item:
    """Something that can be recommended.

    Attributes:
        id: the key by which the catalogue and the target know it.
        title: the name a person would use. It need not be unique; the id is.
        text: description written by the seller, if any.
        attributes: structured facts, such as `year` or `genres`.
        image: encoded picture (PNG, JPEG), if any.
    """

    id: str
    title: str
    text: str = ""
    attributes: Attributes = field(default_factory=dict)
    image: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"id": self.id, "title": self.title}
        if self.text:
            data["text"] = self.text
        if self.attributes:
            data["attributes"] = _plain_attributes(self.attributes)
        if self.image is not None:
            data["image"] = base64.b64encode(self.image).decode("ascii")
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Item:
        """Inverse of `to_dict`."""
        image = data.get("image")
        return cls(
            id=data["id"],
            title=data["title"],
            text=data.get("text", ""),
            attributes=_attributes(data.get("attributes", {})),
            image=base64.b64decode(image) if image is not None else None,
        )

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON, computed once per object: items are shared by many requests."""
        return canonical_json(self.to_dict())


@dataclass(frozen=True)
class Event:
    """One interaction of a user with an item.

    Attributes:
        item: the item, as the target may read it.
        rating: explicit feedback on the dataset's own scale, if any.
        time: seconds since the epoch, if known.
    """

    item: Item
    rating: float | None = None
    time: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"item": self.item.to_dict()}
        if self.rating is not None:
            data["rating"] = self.rating
        if self.time is not None:
            data["time"] = self.time
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Inverse of `to_dict`."""
        return cls(item=Item.from_dict(data["item"]), rating=data.get("rating"), time=data.get("time"))

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON, computed once per object."""
        # Floats throughout: the rating 4 is the rating 4.0.
        numbers = [None if number is None else float(number) for number in (self.rating, self.time)]
        return f"[{self.item.canonical},{_ENCODER.encode(numbers)}]"


@dataclass(frozen=True)
class User:
    """The person a recommendation is for.

    Attributes:
        id: pseudonymous key; targets that read the history from the Request do not need it.
        history: past events, oldest first.
        attributes: such as `age` or `gender`; whether a target reads them is declared (`Input.ATTRIBUTES`).
        note: preferences or intent in the user's own words.
    """

    id: str
    history: tuple[Event, ...] = ()
    attributes: Attributes = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"id": self.id, "history": [e.to_dict() for e in self.history]}
        if self.attributes:
            data["attributes"] = _plain_attributes(self.attributes)
        if self.note:
            data["note"] = self.note
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> User:
        """Inverse of `to_dict`."""
        return cls(
            id=data["id"],
            history=tuple(Event.from_dict(e) for e in data.get("history", ())),
            attributes=_attributes(data.get("attributes", {})),
            note=data.get("note", ""),
        )


@dataclass(frozen=True)
class Passage:
    """A retrieved text that is put before the target."""

    id: str
    text: str
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data = {"id": self.id, "text": self.text}
        if self.source:
            data["source"] = self.source
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Passage:
        """Inverse of `to_dict`."""
        return cls(id=data["id"], text=data["text"], source=data.get("source", ""))


@dataclass(frozen=True)
class Turn:
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    text: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {"role": self.role, "text": self.text}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Turn:
        """Inverse of `to_dict`."""
        return cls(role=data["role"], text=data["text"])


@dataclass(frozen=True)
class Request:
    """One question to a recommender.

    Attributes:
        user: who asks, with the history the target may use.
        task: what is asked for.
        instruction: the wording put before the model. A target that honours `Input.INSTRUCTION` publishes its own
            default, so that an edit can touch it.
        candidates: the items to choose from or to score; None means the whole catalogue.
        k: how many items a ranking should return.
        passages: retrieved texts, in the order given to the target.
        turns: earlier turns, oldest first.
    """

    user: User
    task: Task = "rank"
    instruction: str = ""
    candidates: tuple[Item, ...] | None = None
    k: int = 10
    passages: tuple[Passage, ...] = ()
    turns: tuple[Turn, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"user": self.user.to_dict(), "task": self.task, "k": self.k}
        if self.instruction:
            data["instruction"] = self.instruction
        if self.candidates is not None:
            data["candidates"] = [c.to_dict() for c in self.candidates]
        if self.passages:
            data["passages"] = [p.to_dict() for p in self.passages]
        if self.turns:
            data["turns"] = [t.to_dict() for t in self.turns]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """Inverse of `to_dict`."""
        candidates = data.get("candidates")
        return cls(
            user=User.from_dict(data["user"]),
            task=data.get("task", "rank"),
            instruction=data.get("instruction", ""),
            candidates=tuple(Item.from_dict(c) for c in candidates) if candidates is not None else None,
            k=data.get("k", 10),
            passages=tuple(Passage.from_dict(p) for p in data.get("passages", ())),
            turns=tuple(Turn.from_dict(t) for t in data.get("turns", ())),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal characters. Equal requests have equal digests."""
        head = canonical_json(
            [
                self.user.id,
                _plain_attributes(self.user.attributes),
                self.user.note,
                self.task,
                self.instruction,
                self.k,
                [p.to_dict() for p in self.passages],
                [t.to_dict() for t in self.turns],
                None if self.candidates is None else len(self.candidates),
            ]
        )
        digest = hashlib.sha256(head.encode())
        for event in self.user.history:
            digest.update(event.canonical.encode())
        digest.update(b"|")
        for item in self.candidates or ():
            digest.update(item.canonical.encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Ranked:
    """One entry of an answer, best first.

    Attributes:
        item_id: catalogue id, or None when the title matched no item.
        title: the title as the target wrote it.
        score: the target's own score, higher is better, if it gives one.
        reason: the target's stated reason, if any.
    """

    item_id: str | None
    title: str = ""
    score: float | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"item_id": self.item_id}
        if self.title:
            data["title"] = self.title
        if self.score is not None:
            data["score"] = self.score
        if self.reason:
            data["reason"] = self.reason
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ranked:
        """Inverse of `to_dict`."""
        return cls(data["item_id"], data.get("title", ""), data.get("score"), data.get("reason", ""))


@dataclass(frozen=True)
class Usage:
    """What an answer cost.

    Attributes:
        prompt_tokens: read; 0 where the target does not count them.
        completion_tokens: written; 0 where the target does not count them.
        seconds: wall time.
        calls: asks of a model behind the answer, for targets that ask another one; 0 where nobody counted.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
            self.calls + other.calls,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; calls are left out where nobody counted them."""
        data: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": self.seconds,
        }
        if self.calls:
            data["calls"] = self.calls
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Usage:
        """Inverse of `to_dict`."""
        return cls(
            data.get("prompt_tokens", 0),
            data.get("completion_tokens", 0),
            data.get("seconds", 0.0),
            data.get("calls", 0),
        )


@dataclass(frozen=True)
class ToolCall:
    """One tool call of an agent, as it was made."""

    name: str
    arguments: str = ""
    result: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {"name": self.name, "arguments": self.arguments, "result": self.result}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCall:
        """Inverse of `to_dict`."""
        return cls(data["name"], data.get("arguments", ""), data.get("result", ""))


@dataclass(frozen=True)
class Likelihood:
    """How likely a target holds each token of a text that was given to it.

    Attributes:
        logprobs: log-probability of each token, in nats.
        means: mean log-probability of a token drawn from the target at that place; empty where nobody asked.
        stds: standard deviation of the same; empty where nobody asked.
    """

    logprobs: tuple[float, ...]
    means: tuple[float, ...] = ()
    stds: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, list[float]]:
        """JSON-compatible form; what nobody asked for is left out."""
        named = {"logprobs": self.logprobs, "means": self.means, "stds": self.stds}
        return {name: list(values) for name, values in named.items() if values or name == "logprobs"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Likelihood:
        """Inverse of `to_dict`."""
        return cls(*(tuple(data.get(name, ())) for name in ("logprobs", "means", "stds")))


@dataclass(frozen=True)
class Answer:
    """What a target replied to one Request.

    Attributes:
        ranked: entries, best first. For `score`, one entry per candidate, in the candidates' order, each with a score.
        text: the raw text, if the target writes any.
        outcome: `ok`, or why there is nothing to read.
        detail: for any outcome but `ok`, what happened, in one sentence.
        usage: tokens and seconds.
        tool_calls: what an agent did, in order.
        likelihood: of a text that was given, where the question was how likely it is (`audit.gateway.Ask.text`).
    """

    ranked: tuple[Ranked, ...] = ()
    text: str | None = None
    outcome: Outcome = "ok"
    detail: str = ""
    usage: Usage = Usage()
    tool_calls: tuple[ToolCall, ...] = ()
    likelihood: Likelihood | None = None

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Catalogue ids of the entries, best first; None where a title matched no item."""
        return tuple(r.item_id for r in self.ranked)

    @property
    def scores(self) -> tuple[float | None, ...]:
        """Scores of the entries, in their order."""
        return tuple(r.score for r in self.ranked)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form; empty fields are left out."""
        data: dict[str, Any] = {"ranked": [r.to_dict() for r in self.ranked], "outcome": self.outcome}
        if self.text is not None:
            data["text"] = self.text
        if self.detail:
            data["detail"] = self.detail
        if self.usage != Usage():
            data["usage"] = self.usage.to_dict()
        if self.tool_calls:
            data["tool_calls"] = [c.to_dict() for c in self.tool_calls]
        if self.likelihood is not None:
            data["likelihood"] = self.likelihood.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """Inverse of `to_dict`."""
        return cls(
            ranked=tuple(Ranked.from_dict(r) for r in data.get("ranked", ())),
            text=data.get("text"),
            outcome=cast(Outcome, data.get("outcome", "ok")),
            detail=data.get("detail", ""),
            usage=Usage.from_dict(data.get("usage", {})),
            tool_calls=tuple(ToolCall.from_dict(c) for c in data.get("tool_calls", ())),
            likelihood=Likelihood.from_dict(data["likelihood"]) if data.get("likelihood") else None,
        )


class Catalog(Mapping[str, Item]):
    """The items that may be recommended, by id, in a fixed order."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items: dict[str, Item] = {}
        for item in items:
            if item.id in self._items:
                raise ValueError(f"catalog: item id {item.id!r} occurs twice; ids must be unique")
            self._items[item.id] = item

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @cached_property
    def items_in_order(self) -> tuple[Item, ...]:
        """All items, in catalogue order."""
        return tuple(self._items.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all items, as 64 hexadecimal characters."""
        digest = hashlib.sha256()
        for item in self._items.values():
            digest.update(item.canonical.encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Case:
    """A Request together with what a good answer would contain. The target sees only the Request.

    Attributes:
        id: stable name within a run, such as `u42` or `u42/3`.
        request: what is asked.
        relevant: ids of the items the user did choose next; for `rank` usually one.
        labels: for `score`, 1 (liked) or 0 per candidate, in the candidates' order.
    """

    id: str
    request: Request
    relevant: frozenset[str] = frozenset()
    labels: tuple[int, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of inference: the user."""
        return self.request.user.id
