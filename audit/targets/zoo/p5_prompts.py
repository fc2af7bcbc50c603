"""The prompt of a P5-style recommender: from a request to words and items, to tokens, and to text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.target import Rendered, Span
from audit.targets.zoo.p5_vocabulary import Vocabulary, pieces
from audit.types import Catalog, Event, Request

_LONGEST = 512
"""Words of an instruction that are read, as many tokens as T5 reads."""

Words = tuple[int, ...]
Prompt = tuple[Words, tuple[int, ...], tuple[int, ...]]
"""Instruction tokens, item indices in the encoder, item indices in the decoder's prefix."""


@dataclass(frozen=True)
class Token:
    """One token of a prompt and where it came from.

    Attributes:
        number: in the vocabulary.
        field: `instruction`, `history[i]`, or nothing for a mark of the model's own.
        start: first character in the instruction, for a word.
        end: one past its last character.
    """

    number: int
    field: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Encoded:
    """A prompt as the network reads it: encoder tokens, and the decoder's prefix."""

    encoder: tuple[Token, ...]
    decoder: tuple[Token, ...]


@dataclass(frozen=True)
class Layout:
    """A prompt by its parts, each item with the field of the request that it came from.

    Attributes:
        instruction: as it is read.
        far: items of the encoder.
        near: items of the decoder's prefix.
        soft: tokens of a continuous prompt, before the instruction.
        marks: how these are written for people.
    """

    instruction: str
    far: tuple[tuple[str, int], ...]
    near: tuple[tuple[str, int], ...]
    soft: tuple[int, ...] = ()
    marks: tuple[str, ...] = ()


class Prompter:
    """Builds prompts.

    Args:
        catalog: the items, in the order of the network's indices.
        vocabulary: tokens of words and items.
        far: history items in the encoder.
        near: most recent history items, in the decoder's prefix.
    """

    def __init__(self, catalog: Catalog, vocabulary: Vocabulary, far: int, near: int) -> None:
        self.vocabulary, self.far, self.near = vocabulary, far, near
        self.index = {item_id: i for i, item_id in enumerate(catalog)}
        self._words: dict[str, Words] = {}

    def prompt(self, request: Request) -> Prompt:
        """The prompt of a request."""
        events = request.user.history[-(self.far + self.near) :]
        return self.after(self.items(events), request.instruction)

    def after(self, history: list[int], instruction: str) -> Prompt:
        """The prompt that asks what comes after a history of item indices."""
        return (self.words(instruction), *self.window(history))

    def items(self, events: Sequence[Event]) -> list[int]:
        """Item indices of some events; what the catalogue lacks has the index after its last."""
        unknown, index = len(self.index), self.index
        return [index.get(event.item.id, unknown) for event in events]

    def window(self, history: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The items that the encoder reads, and those in the decoder's prefix."""
        at = max(0, len(history) - self.near)
        return tuple(history[max(0, at - self.far) : at]), tuple(history[at:])

    def words(self, instruction: str) -> Words:
        """The tokens of an instruction."""
        found = self._words.get(instruction)
        if found is None:
            if len(self._words) >= 1 << 14:  # an attack may send any number of wordings
                self._words.clear()
            found = tuple(self.vocabulary.word(word) for word, _ in pieces(instruction)[:_LONGEST])
            self._words[instruction] = found
        return found

    def length(self, prompt: Prompt) -> int:
        """Tokens of a prompt."""
        words, far, near = prompt
        return len(words) + (len(far) + len(near)) * self.vocabulary.indexing.depth + 2

    def encode(self, request: Request) -> Encoded:
        """The tokens of a request's prompt, each with the field that it came from."""
        layout, table = self.layout(request), self.vocabulary.item_tokens.tolist()
        words = [
            Token(self.vocabulary.word(word), "instruction", at, at + len(word))
            for word, at in pieces(layout.instruction)[:_LONGEST]
        ]
        older, recent = (
            [Token(number, field) for field, item in part for number in table[item]]
            for part in (layout.far, layout.near)
        )
        return Encoded(
            (*map(Token, layout.soft), *words, *older, Token(self.vocabulary.END)),
            (Token(self.vocabulary.START), *recent),
        )

    def render(self, request: Request) -> Rendered:
        """The prompt: instruction, the encoder's items, and after `</s>` what the decoder has been given already."""
        layout = self.layout(request)
        marks = " ".join(f"<{name}>" for name in layout.marks)
        text = f"{marks} {layout.instruction}" if marks and layout.instruction else marks + layout.instruction
        at = len(text) - len(layout.instruction)
        spans = [Span(at, len(text), "instruction")] if layout.instruction else []
        for place, (field, item) in enumerate((*layout.far, *layout.near)):
            if place == len(layout.far):
                text += " </s>"
            shown = self.item_text(item)
            spans.append(Span(len(text) + 1, len(text) + 1 + len(shown), field))
            text += f" {shown}"
        return Rendered(text if layout.near else f"{text} </s>", tuple(spans))

    def layout(self, request: Request) -> Layout:
        """What stands where in the prompt of a request."""
        _, far, near = self.prompt(request)
        first = len(request.user.history) - len(far) - len(near)
        placed = [(f"history[{first + place}]", item) for place, item in enumerate((*far, *near))]
        return Layout(request.instruction, tuple(placed[: len(far)]), tuple(placed[len(far) :]))

    def item_text(self, item: int) -> str:
        """How an item, by its index, is written in a prompt."""
        indexing = self.vocabulary.indexing
        if item >= len(indexing.codes):
            return "<unknown>"
        return "".join(indexing.token(level, int(code)) for level, code in enumerate(indexing.codes[item]))
