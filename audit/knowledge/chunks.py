"""Long documents in parts that a sentence encoder reads whole. Short ones, which most are, stay as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from audit.knowledge.document import Document, piece_of

MAX_PIECES = 200
"""Word-pieces of a document above which it is divided. Encoders of 256 read such a part with its title."""

Count = Callable[[Sequence[str]], list[int]]
"""Word-pieces of each text."""

_WORD = re.compile(r"\w+|[^\w\s]")
_LEVELS = (
    (re.compile(r"\n\s*\n"), "\n\n"),
    (re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n"), " "),
    (re.compile(r"\s+"), " "),
)
"""Where a text may be divided, the best places first: paragraphs, sentences and lines, words; and what joins them."""


def estimated_pieces(texts: Sequence[str]) -> list[int]:
    """Word-pieces of texts where no encoder is there to count: 6 characters of a word are about one piece.

    Signs count one each, and so does every character of a script that is written without spaces.
    """
    return [sum(_pieces_of_word(word) for word in _WORD.findall(text)) for text in texts]


def _pieces_of_word(word: str) -> int:
    return -(-len(word) // 6) if word.isascii() or word[0] < "\u2e80" else len(word)


def chunked(documents: Sequence[Document], count: Count, most: int = MAX_PIECES) -> Iterator[Document]:
    """The documents, each of more than `most` word-pieces replaced by its parts.

    Parts end at paragraphs where these are short enough, else at sentences, at words, or after a number of characters.
    No word is lost and none occurs twice. Ids of parts are `id~1`, `id~2`, …

    Args:
        documents: to divide; none is empty.
        count: counts word-pieces.
        most: word-pieces of a part.
    """
    for document, pieces in zip(documents, count([document.text for document in documents]), strict=True):
        if pieces <= most:
            yield document
            continue
        for number, part in enumerate(_parts(document.text, count, most), start=1):
            yield piece_of(document, number, part)


def _parts(text: str, count: Count, most: int) -> list[str]:
    """Parts of at most `most` word-pieces each, as long as can be."""
    return _packed(list(_atoms(text, count, most, 0)), most)


def _atoms(text: str, count: Count, most: int, level: int) -> Iterator[tuple[str, str, int]]:
    """Units that fit: what joins each to the one before it, its text, its word-pieces."""
    if level == len(_LEVELS):
        # A "word" that is too long: base64, or a script without spaces. Two characters make at most two pieces.
        step = max(most // 2, 1)
        parts = [text[at : at + step] for at in range(0, len(text), step)]
        yield from zip([""] * len(parts), parts, count(parts), strict=True)
        return
    separator, glue = _LEVELS[level]
    units = [unit.strip() for unit in separator.split(text) if unit.strip()]
    for unit, pieces in zip(units, count(units), strict=True):
        if pieces <= most:
            yield glue, unit, pieces
        else:
            for number, (inner, part, size) in enumerate(_atoms(unit, count, most, level + 1)):
                yield (inner if number else glue), part, size


def _packed(atoms: Sequence[tuple[str, str, int]], most: int) -> list[str]:
    parts: list[list[str]] = []
    room = 0
    for glue, unit, pieces in atoms:
        if not parts or pieces > room:
            parts.append([unit])
            room = most - pieces
        else:
            parts[-1] += [glue, unit]
            room -= pieces
    return ["".join(part) for part in parts]
