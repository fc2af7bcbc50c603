"""Prompt templates: a Request becomes text, and every part of it keeps the name of the field it came from.

A template is plain text with tags, a subset of Mustache:

| tag | renders |
|---|---|
| `{{instruction}}`, `{{note}}`, `{{attributes.NAME}}` | that field of the request |
| `{{k}}`, `{{count}}` | `Request.k`, the number of candidates |
| `{{#history}}…{{/history}}` | the body once per event, oldest first; see below for the other lists |
| `{{#history|, }}…{{/history}}` | the same, with `, ` between the entries |
| `{{?note}}…{{/note}}` | the body once, if the field or list is not empty |
| `{{^history}}…{{/history}}` | the body once, if the field or list is empty |

The lists are `history`, `liked` and `disliked` (its parts), `candidates`, `candidate` (the one that a yes/no prompt
asks about), `passages`, `turns` and `attributes`. Inside a list: `{{title}}` and `{{text}}`; `{{number}}` (from 1) and
`{{label}}` (A, B, …); `{{rating}}` for events; `{{role}}` for turns; `{{name}}` and `{{value}}` for attributes. An
event is liked when its rating lies above the template's threshold; events without a rating are liked.

In a chat, a last message of the role `assistant` is the beginning of the answer: it stands behind the frame, open.

Rendering is one pass over the parsed template: text from a request is copied and never read as a tag, so braces,
quotes and line breaks in a title stay what they are. What a template reads is what the target honours
(`Template.honours`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from audit.errors import ConfigError
from audit.target import Input, Rendered, Span
from audit.types import AttributeValue, Item, Request

Role = Literal["system", "user", "assistant", "turns"]
"""Who speaks a message of a chat template; `turns` stands for the request's earlier turns, each with its own role."""

ChatFrame = Callable[[Sequence[str]], Sequence[str]]
"""For the roles of n messages, the n + 1 texts that a chat template puts before, between and after their contents."""

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_TAG = re.compile(r"\{\{([#^?/]?)([a-z_]+(?:\.[^{}|]+)?)(?:\|((?:(?!\}\}).)*))?\}\}", re.DOTALL)
_LISTS: dict[str, tuple[str, ...]] = {
    "history": ("title", "text", "rating"),
    "liked": ("title", "text", "rating"),
    "disliked": ("title", "text", "rating"),
    "candidates": ("title", "text"),
    "candidate": ("title", "text"),
    "passages": ("text",),
    "turns": ("role", "text"),
    "attributes": ("name", "value"),
}
_SCALARS = ("instruction", "note", "k", "count")


def label(index: int) -> str:
    """The label of the candidate at `index`: A to Z, then AA, AB and so on."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = LABELS[rest] + name
    return name


@dataclass(frozen=True)
class Piece:
    """A stretch of a prompt, and the field of the request it came from (None: from the template)."""

    text: str
    field: str | None = None


@dataclass(frozen=True)
class _Tag:
    name: str


@dataclass(frozen=True)
class _Section:
    kind: str
    name: str
    glue: str
    body: tuple[_Node, ...]


_Node = str | _Tag | _Section


@dataclass(frozen=True)
class Template:
    """A prompt with tags (see the module's text).

    Attributes:
        messages: (role, text with tags) in order; a template that is not a chat has one message.
        chat: whether the model's own chat template goes around the messages.
        like_above: ratings above this are likes.
    """

    messages: tuple[tuple[Role, str], ...]
    chat: bool = False
    like_above: float = 3.0
    _parsed: tuple[tuple[_Node, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.messages:
            raise ConfigError("template: it has no message; give at least one text")
        object.__setattr__(self, "_parsed", tuple(_parse(text) for _, text in self.messages))

    @classmethod
    def plain(cls, text: str, *, like_above: float = 3.0) -> Template:
        """A template without a chat frame, for base models and tuned adapters."""
        return cls((("user", text),), chat=False, like_above=like_above)

    @classmethod
    def of_messages(cls, *messages: tuple[Role, str], like_above: float = 3.0) -> Template:
        """A chat template's messages."""
        return cls(tuple(messages), chat=True, like_above=like_above)

    @cached_property
    def honours(self) -> frozenset[Input]:
        """The parts of a request that this template reads."""
        found: set[Input] = set()
        for nodes in self._parsed:
            _collect(nodes, "", found)
        if any(role == "turns" for role, _ in self.messages):
            found.add(Input.TURNS)
        return frozenset(found)

    @cached_property
    def source(self) -> str:
        """Canonical text of the template, for fingerprints."""
        return repr((self.messages, self.chat, self.like_above))

    def pieces(self, request: Request, *, candidate: int | None = None, frame: ChatFrame | None = None) -> list[Piece]:
        """The prompt in pieces.

        Args:
            request: what to render.
            candidate: index of the candidate that `{{#candidate}}` stands for.
            frame: gives the text around the messages of a chat; required when `chat` is set.

        Returns:
            Pieces in reading order, none of them empty.
        """
        contents: list[tuple[str, list[Piece]]] = []
        for (role, _), nodes in zip(self.messages, self._parsed, strict=True):
            if role == "turns":
                contents += [(t.role, [Piece(t.text, f"turns[{i}]")]) for i, t in enumerate(request.turns)]
            else:
                contents.append((role, list(_Renderer(request, candidate, self.like_above).nodes(nodes, {}))))
        if not self.chat:
            return [p for _, pieces in contents for p in pieces if p.text]
        if frame is None:
            raise ConfigError("template: a chat template needs the model's chat frame; use Template.plain without one")
        begun = contents.pop()[1] if self.messages[-1][0] == "assistant" else []
        between = frame([role for role, _ in contents])
        framed = [Piece(between[0])]
        for (_, pieces), after in zip(contents, between[1:], strict=True):
            framed += [*pieces, Piece(after)]
        framed += begun
        return [p for p in framed if p.text]

    def opening(self, request: Request) -> str:
        """The beginning of the answer that the template itself writes; "" without one."""
        if not self.chat or self.messages[-1][0] != "assistant":
            return ""
        return join(_Renderer(request, None, self.like_above).nodes(self._parsed[-1], {})).text

    def render(self, request: Request, *, candidate: int | None = None, frame: ChatFrame | None = None) -> Rendered:
        """The prompt and its spans. Equal requests give equal prompts."""
        return join(self.pieces(request, candidate=candidate, frame=frame))


def join(pieces: Iterable[Piece]) -> Rendered:
    """Pieces as one text; spans are counted while joining, so repeated words cannot be confused."""
    texts: list[str] = []
    spans: list[Span] = []
    at = 0
    for piece in pieces:
        if piece.field is not None:
            spans.append(Span(at, at + len(piece.text), piece.field))
        texts.append(piece.text)
        at += len(piece.text)
    return Rendered("".join(texts), tuple(spans))


def _parse(text: str) -> tuple[_Node, ...]:
    stack: list[tuple[re.Match[str] | None, list[_Node]]] = [(None, [])]
    at = 0
    for tag in _TAG.finditer(text):
        if tag.start() > at:
            stack[-1][1].append(text[at : tag.start()])
        at = tag.end()
        kind, name = tag[1], tag[2]
        inside = next((o[2] for o, _ in reversed(stack) if o is not None and o[1] == "#"), "")
        if kind == "/":
            opened, body = stack.pop()
            if opened is None or opened[2] != name:
                raise ConfigError(f"template: {tag[0]} closes nothing; open it with {{{{#{name}}}}}")
            stack[-1][1].append(_Section(opened[1], name, opened[3] or "", tuple(body)))
        elif kind:
            _check_known(tag[0], name, inside, section=True)
            if kind == "#" and name not in _LISTS:
                raise ConfigError(f"template: {tag[0]} is not a list; use {{{{?{name}}}}} to ask whether it is empty")
            stack.append((tag, []))
        else:
            _check_known(tag[0], name, inside, section=False)
            stack[-1][1].append(_Tag(name))
    if at < len(text):
        stack[-1][1].append(text[at:])
    left_open, nodes = stack[-1]
    if left_open is not None:
        raise ConfigError(f"template: {left_open[0]} is never closed; end it with {{{{/{left_open[2]}}}}}")
    return tuple(nodes)


def _check_known(shown: str, name: str, inside: str, *, section: bool) -> None:
    local = (*_LISTS.get(inside, ()), "number", "label") if inside else ()
    known = (*_SCALARS, *local, *(_LISTS if section else ()))
    if name not in known and not name.startswith("attributes."):
        raise ConfigError(f"template: {shown} is unknown here; known: {', '.join(known)}, attributes.NAME")


def _collect(nodes: Iterable[_Node], inside: str, found: set[Input]) -> None:
    for node in nodes:
        if isinstance(node, str):
            continue
        name = node.name
        if name.startswith("attributes"):
            found.add(Input.ATTRIBUTES)
        elif name in {"history", "liked", "disliked"}:
            found.add(Input.HISTORY)
        elif name in {"instruction", "note", "passages", "turns"}:
            found.add(Input(name))
        elif name in {"title", "text"} and inside in {"history", "liked", "disliked", "candidates", "candidate"}:
            found.add(Input.ITEM_TEXT)
        if isinstance(node, _Section):
            _collect(node.body, name if node.kind == "#" else inside, found)


class _Renderer:
    """One rendering of one request."""

    def __init__(self, request: Request, candidate: int | None, like_above: float) -> None:
        self._request = request
        self._candidate = candidate
        self._like_above = like_above

    def nodes(self, nodes: Iterable[_Node], local: Mapping[str, Piece]) -> Iterable[Piece]:
        for node in nodes:
            if isinstance(node, str):
                yield Piece(node)
            elif isinstance(node, _Tag):
                yield local[node.name] if node.name in local else self._scalar(node.name)
            elif node.kind == "#":
                for i, entry in enumerate(self._entries(node.name)):
                    if i and node.glue:
                        yield Piece(node.glue)
                    yield from self.nodes(node.body, entry)
            else:
                held = local[node.name].text if node.name in local else self._holds(node.name)
                if bool(held) == (node.kind == "?"):
                    yield from self.nodes(node.body, local)

    def _holds(self, name: str) -> bool:
        return bool(self._entries(name)) if name in _LISTS else bool(self._scalar(name).text)

    def _scalar(self, name: str) -> Piece:
        request = self._request
        if name == "instruction":
            return Piece(request.instruction, "instruction")
        if name == "note":
            return Piece(request.user.note, "note")
        if name == "k":
            return Piece(str(request.k))
        if name == "count":
            return Piece(str(len(request.candidates or ())))
        return Piece(_shown(request.user.attributes.get(name.removeprefix("attributes."), "")), name)

    def _entries(self, name: str) -> list[dict[str, Piece]]:
        request = self._request
        if name in {"history", "liked", "disliked"}:
            entries = []
            for i, event in enumerate(request.user.history):
                liked = event.rating is None or event.rating > self._like_above
                if name == "history" or liked == (name == "liked"):
                    rating = "" if event.rating is None else f"{event.rating:g}"
                    entries.append(_item(event.item, f"history[{i}]") | {"rating": Piece(rating, "history")})
        elif name == "candidates":
            entries = [_item(item, f"candidates[{i}]") for i, item in enumerate(request.candidates or ())]
        elif name == "candidate":
            at = self._candidate
            if at is None or request.candidates is None:
                return []
            entries = [_item(request.candidates[at], f"candidates[{at}]")]
        elif name == "passages":
            entries = [{"text": Piece(p.text, f"passages[{i}]")} for i, p in enumerate(request.passages)]
        elif name == "turns":
            entries = [
                {"role": Piece(t.role), "text": Piece(t.text, f"turns[{i}]")} for i, t in enumerate(request.turns)
            ]
        else:
            entries = [
                {"name": Piece(key), "value": Piece(_shown(value), f"attributes.{key}")}
                for key, value in request.user.attributes.items()
            ]
        return [e | {"number": Piece(str(i + 1)), "label": Piece(label(i))} for i, e in enumerate(entries)]


def _item(item: Item, field: str) -> dict[str, Piece]:
    return {"title": Piece(item.title, f"{field}.title"), "text": Piece(item.text, f"{field}.text")}


def _shown(value: AttributeValue) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
