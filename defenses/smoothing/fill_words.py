"""A denoiser that fills lost words of an item's text.

Like `defenses.smoothing.denoise` it is given a copy and nothing else, so it cannot see what the copy lost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from string import Template

from audit.types import Usage
from defenses.smoothing.writer import Writer

MARK = "###"
"""Stands in the place of a lost unit, as in the released code."""

_MARKED = Template(
    "Replace each $mark in this text by one fitting word and keep all other words as they are.\nText: $text\n"
    "Answer with the text alone."
)
_LOOSE = Template("Write one natural title that holds these words in this order: $text\nAnswer with the title alone.")
_TOKENS_PER_WORD = 4


class WordFill:
    """A language model completes an item's text of which some words are lost.

    Rejected, so that the kept words stand alone: an answer that is empty, lacks a kept word or changes their order, or
    is longer than the text that was lost can have been. Marks that are left over are taken out.

    Attributes:
        counts: what became of the texts: `accepted`, `rejected`, `nothing` written, `marks` left over.

    Args:
        writer: the model.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.counts: Counter[str] = Counter()

    @property
    def identity(self) -> str:
        """The model."""
        return f"language model {self._writer.identity}"

    def complete(self, texts: Sequence[str], more: Sequence[int]) -> list[tuple[str, Usage]]:
        """Complete texts.

        Args:
            texts: kept words, with `MARK` for lost ones or without.
            more: most words to add to each.
        """
        questions = [
            (_MARKED.substitute(mark=MARK, text=text) if MARK in text else _LOOSE.substitute(text=text), "")
            for text in texts
        ]
        tokens = [_TOKENS_PER_WORD * (len(text.split()) + extra) for text, extra in zip(texts, more, strict=True)]
        written = self._writer.write(questions, tokens)
        return [
            (self._read(text, extra, answer), usage)
            for text, extra, (answer, usage) in zip(texts, more, written, strict=True)
        ]

    def _read(self, text: str, more: int, answer: str) -> str:
        kept = without_marks(text)
        line = next((line for line in answer.splitlines() if line.strip()), "").strip().strip("\"'“”")
        if MARK in line:
            self.counts["marks"] += 1
            line = without_marks(line)
        words = line.split()
        if not words:
            self.counts["nothing"] += 1
            return kept
        rest = iter(word.casefold() for word in words)
        holds = all(word.casefold() in rest for word in kept.split())
        if not holds or len(words) > len(kept.split()) + more:
            self.counts["rejected"] += 1
            return kept
        self.counts["accepted"] += 1
        return " ".join(words)


def without_marks(text: str) -> str:
    """The text without marks, its words one space apart."""
    return " ".join(re.sub(re.escape(MARK), " ", text).split())
