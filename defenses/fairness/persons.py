"""What a text says of a person, and the text without it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from audit.text import article

Change = tuple[int, int, str]
"""Start, end, and what stands there instead."""

_WITHHELD = "withheld"
_WORD_ENDS = r"(?![\w-])"
_WORD_STARTS = r"(?<![\w-])"
_AGE = r"\d{1,3}[- ]?(?:years?|yrs?)[- ]old|\d{1,3} ?y/?o|aged? \d{1,3}"
_LED = re.compile(
    r"\b(?:my name(?: is|['’]s)|name *[:=]|(?:I am|I['’]m) called|call me|this is|signed,?"
    r"|(?:(?:best|kind|warm) )?(?:regards|wishes),?|sincerely,?|yours(?: truly)?,)\s+",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?:[^\W\d_][\w'’-]*|[^\W\d_]\.)(?=\W|$)")
_ARTICLE = re.compile(r"\b(?P<article>an?)\s+$", re.IGNORECASE)
_NO_ARTICLE = re.compile(r"\b(?:the|are)\s+$", re.IGNORECASE)
_NEXT = re.compile(r"\s*([^\W\d_]+)")
_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")
_MOVED = re.compile(r"^(?P<rest>.+), (?P<article>The|A|An)$")
_NEAR = 60
_NO_NOUN = frozenset(
    "a about and as at because but by for from i if in is of on or so than that the to too very was were when who "
    "with".split()
)
"""Words before which `her` is nobody's, and a value has no noun of its own."""


@cache
def _words() -> Mapping[str, Any]:
    held: Mapping[str, Any] = yaml.safe_load(files("defenses.fairness").joinpath("words.yaml").read_text("utf-8"))
    return held


def forms(title: str) -> tuple[str, ...]:
    """A title as people write it: as it is, without the year, and with its article in front."""
    plain = _YEAR.sub("", title).strip()
    moved = _MOVED.match(plain)
    found = [title, plain, *([f"{moved['article']} {moved['rest']}"] if moved else [])]
    return tuple(dict.fromkeys(form for form in found if form))


class Persons:
    """Finds what texts say of persons.

    Args:
        words: further words or phrases that go wherever they stand.
        everywhere: whether values go wherever they stand, too.
    """

    def __init__(self, words: Sequence[str] = (), *, everywhere: bool = False) -> None:
        listed = _words()
        self._neutral = {str(k).casefold(): str(v) for k, v in {**listed["pronouns"], **listed["persons"]}.items()}
        values = [value for group in listed["values"].values() for value in group]
        persons = [*listed["persons"]]
        one = _any([*values, *persons], _AGE)
        people = _any(listed["people"])
        # What becomes neutral counts as its neutral form does, or a second look would find more than the first.
        subjects = _any([*listed["subjects"], *persons, *listed["persons"].values()])
        lead = rf"\b(?:I\s+am|I['’]m|we\s+are|as|being|{subjects}\s+(?:is|are|was))\s+(?:(?:an?|the)\s+)?"  # “I am a ”
        ends = r"\s*(?:[,.;!?]|$|(?:who|and|from|with)\b)"
        # Runs are found first, in one pass, and looked at in their surroundings then: patterns that hold both would
        # take time that grows with the square of what a user may write.
        self._run = re.compile(rf"{one}(?:(?:\s*,\s*|\s+and\s+(?:an?\s+)?|\s+){one})*", re.IGNORECASE)
        self._lead = re.compile(rf"{lead}$", re.IGNORECASE)
        self._address = re.compile(r"\b(?:this\s+is|for|helping)\s+(?:an?|the)\s+$", re.IGNORECASE)
        self._ends = re.compile(ends, re.IGNORECASE)
        self._number = re.compile(r"(?<![\w-])\d{1,3}(?=\s*(?:[,.;!?]|and\b|$))", re.IGNORECASE)
        self._labelled = re.compile(
            rf"{_any(listed['labels'])}\s*(?:[:=]|\s+is\b)\s*(?P<value>[\w'’-]+(?: {one})?)", re.IGNORECASE
        )
        self._people = re.compile(rf"\s+{people}", re.IGNORECASE)
        self._gendered = re.compile(_any(persons), re.IGNORECASE)
        self._alone = re.compile(_any([*self._neutral, "her"]), re.IGNORECASE)
        gone = [*words, *(values if everywhere else [])]
        self._gone = re.compile(_any(gone, _AGE), re.IGNORECASE)

    def mangles(self, title: str) -> bool:
        """Whether a title holds words that would change; a title that is one such word and no more protects nothing."""
        return len(title.split()) > 1 and bool(self._found(title))

    def changes(self, text: str, kept: Collection[str] = ()) -> list[Change]:
        """What to do to a text so that it says nothing of a person, in order, none inside another.

        Args:
            text: to look at.
            kept: phrases that stay as they are wherever they stand, such as titles.
        """
        held = [span for phrase in kept for span in (m.span() for m in re.finditer(re.escape(phrase), text)) if phrase]
        found = [c for c in self._found(text) if not any(c[0] < end and c[1] > start for start, end in held)]
        # Where two overlap, the one that begins first wins, then the longer.
        found.sort(key=lambda c: (c[0], -c[1]))
        apart: list[Change] = []
        for change in found:
            if not apart or change[0] >= apart[-1][1]:
                apart.append(change)
        return apart

    def _found(self, text: str) -> list[Change]:
        found = [change for m in self._run.finditer(text) for change in self._of_run(text, *m.span())]
        found += [
            self._without(text, *m.span(), said=True)
            for m in self._number.finditer(text)
            if self._lead.search(_near(text, m.start()))
        ]
        found += [_taken_out(text, *m.span()) for m in self._gone.finditer(text)]
        found += [
            (*m.span("value"), _WITHHELD) for m in self._labelled.finditer(text) if m["value"].casefold() != _WITHHELD
        ]
        for match in self._alone.finditer(text):
            found.append((*match.span(), _cased(self._neutral_of(text, match), match[0])))
        return found + _names(text)

    def _of_run(self, text: str, start: int, end: int) -> list[Change]:
        """What to do to a longest run of values and gendered nouns; nothing where it is not said of a person."""
        before = _near(text, start)
        if self._lead.search(before):
            return [self._without(text, start, end, said=True)]
        if self._people.match(text, end) or (self._address.search(before) and self._ends.match(text, end)):
            return [self._without(text, start, end)]
        nouns = [m.span() for m in self._gendered.finditer(text, start, end)]
        return [self._without(text, start, nouns[-1][1])] if nouns and nouns[-1][0] > start else []

    def _without(self, text: str, start: int, end: int, *, said: bool = False) -> Change:
        """Values said of a person: before a noun they go; where they are the noun, a neutral one takes their place.

        After “I am” (`said`) that noun gets an article, if there was none.
        """
        if self._people.match(text, end):
            return _taken_out(text, start, end)
        gendered = self._gendered.findall(text[start:end])
        follows = _NEXT.match(text, end)
        if not gendered and follows and text[end : end + 1] != "," and follows[1].casefold() not in _NO_NOUN:
            return _taken_out(text, start, end)
        noun = self._neutral[gendered[-1].casefold()] if gendered else "person"
        before = _article_before(text, start)
        if before is None:
            bare = not said or noun in {"people", "children"} or _NO_ARTICLE.search(_near(text, start))
            return start, end, noun if bare else f"{article(noun)} {noun}"
        return before[0], end, f"{_cased(article(noun), before[1])} {noun}"

    def _neutral_of(self, text: str, match: re.Match[str]) -> str:
        word = match[0].casefold().replace("’", "'")
        if word != "her":
            return self._neutral[word]
        follows = _NEXT.match(text, match.end())
        return "their" if follows and text[match.end()].isspace() and follows[1].casefold() not in _NO_NOUN else "them"


def _near(text: str, at: int) -> str:
    """What stands just before a place: a lead is never longer."""
    return text[max(at - _NEAR, 0) : at]


def _article_before(text: str, at: int) -> tuple[int, str] | None:
    """Where the article just before a place begins, and the article."""
    found = _ARTICLE.search(near := _near(text, at))
    return None if found is None else (at - len(near) + found.start("article"), found["article"])


def _any(words: Sequence[str], more: str = "") -> str:
    """A pattern for any of these whole words, the longest first; apostrophes of both kinds."""
    listed = sorted(set(words), key=len, reverse=True)
    choices = [re.escape(word).replace("'", "['’]") for word in listed]
    return rf"{_WORD_STARTS}(?:{'|'.join([more, *choices] if more else choices)}){_WORD_ENDS}"


def _names(text: str) -> list[Change]:
    found = []
    for led in _LED.finditer(text):
        at, end = led.end(), led.end()
        # Up to four capitalised words; after “my name is” the first may be small.
        for count in range(4):
            word = _NAME.match(text, at)
            small = word is not None and not word[0][0].isupper()
            if word is None or word[0] == _WITHHELD or (small and (count or "name is" not in led[0].casefold())):
                break
            if small and word[0].casefold() in _NO_NOUN | {"not", "no"}:
                break
            end = word.end()
            at = end + (len(text[end:]) - len(text[end:].lstrip(" ")))
        if end > led.end():
            found.append((led.end(), end, _WITHHELD))
    return found


def _taken_out(text: str, start: int, end: int) -> Change:
    """A phrase and the blank behind it; an article before it comes to fit the next word."""
    while end < len(text) and text[end] == " ":
        end += 1
    before = _article_before(text, start)
    if before is None or end >= len(text):
        return start, end, ""
    return before[0], end, f"{_cased(article(text[end : end + _NEAR]), before[1])} "


def _cased(new: str, old: str) -> str:
    return new[:1].upper() + new[1:] if old[:1].isupper() else new
