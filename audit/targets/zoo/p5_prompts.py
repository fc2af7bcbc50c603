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
        return (self.words(request.instruction), *self.window(self.items(events)))

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
        words = [
            Token(self.vocabulary.word(word), "instruction", at, at + len(word))
            for word, at in pieces(request.instruction)[:_LONGEST]
        ]
        _, far, near = self.prompt(request)
        first = len(request.user.history) - len(far) - len(near)
        table = self.vocabulary.item_tokens.tolist()
        items = [
            [Token(number, f"history[{first + place}]") for number in table[item]]
            for place, item in enumerate((*far, *near))
        ]
        older, recent = items[: len(far)], items[len(far) :]
        return Encoded(
            (*words, *(token for item in older for token in item), Token(self.vocabulary.END)),
            (Token(self.vocabulary.START), *(token for item in recent for token in item)),
        )

    def render(self, request: Request) -> Rendered:
        """The prompt: instruction, older items, and after `</s>` what the decoder has been given already."""
        _, far, near = self.prompt(request)
        first = len(request.user.history) - len(far) - len(near)
        text = request.instruction
        spans = [Span(0, len(text), "instruction")] if text else []
        for place, item in enumerate((*far, *near)):
            if place == len(far):
                text += " </s>"
            shown = self.item_text(item)
            spans.append(Span(len(text) + 1, len(text) + 1 + len(shown), f"history[{first + place}]"))
            text += f" {shown}"
        return Rendered(text if near else f"{text} </s>", tuple(spans))

    def item_text(self, item: int) -> str:
        """How an item, by its index, is written in a prompt."""
        indexing = self.vocabulary.indexing
        if item >= len(indexing.codes):
            return "<unknown>"
        return "".join(indexing.token(level, int(code)) for level, code in enumerate(indexing.codes[item]))
