"""The text that TextAttack sees, and the edits that turn the clean text into a perturbed one.

All writable fields are joined into one text by a character that occurs in none of them and is part of no word, so that
white space, braces, quotes and scripts of any kind stay what they are and every field can be cut out again exactly.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from audit.attack import writable_text
from audit.edits import TextEdit, read_text
from audit.target import TargetInfo
from audit.types import Request

_PRIVATE = range(0xE000, 0xF900)
_SPLIT = "<SPLIT>"
"""TextAttack's own mark between columns; in a text it would cut it in two."""
_TOKEN = re.compile(r"\s+|\S+")
_PROTECTED = re.compile(
    r"\{[^{}\n]*\}"  # fields of a template
    r"|<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]"  # markers of a chat or prompt format
    r'|"[^"\n]{1,40}"\s*:'  # keys of a JSON format
    r"|\b(?:yes|no)\b",  # the words an answer is read by
    re.I,
)
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Fields:
    """The writable text of one request.

    Attributes:
        names: the fields, in reading order.
        text: all of them, joined.
        most: most edits that may be made of a perturbed text.
    """

    names: tuple[str, ...]
    text: str
    most: int
    _joint: str
    _mark: str
    _known: dict[str, tuple[TextEdit, ...]] = field(default_factory=dict, compare=False, repr=False)

    def edits(self, perturbed: str) -> tuple[TextEdit, ...]:
        """Edits that turn the clean text into `perturbed`, in the order in which they apply; none when it is equal.

        One edit per changed word or run of words; where that would be more than `most`, near ones are joined.

        Raises:
            ValueError: `perturbed` does not have the same fields.
        """
        if perturbed not in self._known:
            self._known[perturbed] = tuple(_fewer(list(self._changes(perturbed)), self._clean(), self.most))
        return self._known[perturbed]

    def changes(self, perturbed: str) -> int:
        """Words, or runs of words, that differ."""
        return sum(1 for _ in self._changes(perturbed))

    def _changes(self, perturbed: str) -> Iterator[TextEdit]:
        clean, parts = self._clean(), self._parts(perturbed)
        if len(parts) != len(clean):
            raise ValueError(f"the perturbed text has {len(parts)} fields instead of {len(clean)}")
        for name, part in zip(self.names, parts, strict=True):
            # From the end of each field to its start, so that earlier positions stay true.
            for start, end, text in reversed(list(_differences(clean[name], part))):
                yield TextEdit(name, start, end, text)

    def _parts(self, text: str) -> list[str]:
        return [part.replace(self._mark, _SPLIT) for part in text.split(self._joint)]

    def _clean(self) -> dict[str, str]:
        return dict(zip(self.names, self._parts(self.text), strict=True))


def fields_of(request: Request, info: TargetInfo, most: int) -> Fields | None:
    """The writable text of a request; None when there is no word in it."""
    names = tuple(writable_text(request, info))
    texts = [read_text(request, name) for name in names]
    if not any(_WORD.search(text) for text in texts):
        return None
    used = set().union(*texts)
    free = (chr(code) for code in _PRIVATE if chr(code) not in used)
    joint, mark = next(free), next(free)
    return Fields(names, joint.join(text.replace(_SPLIT, mark) for text in texts), most, joint, mark)


def protected(text: str) -> list[tuple[int, int]]:
    """Where a text must stay: fields and markers of a template, and the words that an answer is read by.

    Without them the request would not be worded differently, it would be another request.

    Returns:
        Start and end of each part, in order.
    """
    return [match.span() for match in _PROTECTED.finditer(text)]


def _differences(old: str, new: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and replacement of each changed run of words, as short as possible."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    starts = [0]
    for token in before:
        starts.append(starts[-1] + len(token))
    for what, i, j, k, m in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if what != "equal":
            gone, come = "".join(before[i:j]), "".join(after[k:m])
            head = _common(gone, come)
            tail = _common(gone[head:][::-1], come[head:][::-1])
            yield starts[i] + head, starts[j] - tail, come[head : len(come) - tail]


def _common(first: str, second: str) -> int:
    """Length of the common beginning."""
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length


def _fewer(edits: list[TextEdit], clean: dict[str, str], most: int) -> Iterable[TextEdit]:
    """Join the nearest neighbours until there are no more than `most`; edits of different fields cannot be joined."""
    while len(edits) > most:
        gaps = [
            (first.start - second.end, at)
            for at, (first, second) in enumerate(itertools.pairwise(edits))
            if first.field == second.field
        ]
        if not gaps:
            break
        _, at = min(gaps)
        later, earlier = edits[at], edits[at + 1]
        between = clean[later.field][earlier.end : later.start]
        edits[at : at + 2] = [TextEdit(later.field, earlier.start, later.end, earlier.text + between + later.text)]
    return edits
