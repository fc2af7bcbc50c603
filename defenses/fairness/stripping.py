"""Attribute stripping: the model never learns what it should not use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import yaml

from audit.defense import DefenseInfo, Rewriting
from audit.edits import Edit, SetAttribute, TextEdit, Zone
from audit.errors import ConfigError
from audit.target import Input, Recommender, describe
from audit.text import article
from audit.types import Request

DEFAULT = ("gender", "sex", "age", "race", "ethnicity", "religion", "country", "continent", "nationality", "occupation")
"""Attributes that are taken out of the user's data unless others are named."""

_NAME = re.compile(
    r"(?P<before>\b(?:[Mm]y name is|[Ii] am called|[Tt]his is|[Ss]igned,?)\s+)"
    r"(?P<name>[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+){0,3})"
)
_ARTICLE = re.compile(r"\b(?P<article>[Aa]n?)\s+$")


@cache
def _words() -> Mapping[str, Any]:
    held: Mapping[str, Any] = yaml.safe_load(files("defenses.fairness").joinpath("words.yaml").read_text("utf-8"))
    return held


class AttributeStripping:
    """Takes sensitive attributes out of a request before the target sees it, and keeps the profile.

    Out go the named attributes of the user; in the note, the instruction and earlier turns of the user, words that
    state such a value (“a female fan” becomes “a fan”), names after “my name is”, and gendered pronouns and nouns,
    which become neutral ones. Ages in numbers (“34-year-old”, “aged 34”) go too. What was done is a list of edits.

    The explicit channel is closed by this, and no other: a history can tell a group as well as a word does.

    Args:
        attributes: of the user's data that are taken out.
        words: further words or phrases to take out of texts.
        texts: whether texts are touched at all.

    Raises:
        ConfigError: an option that cannot be used.
    """

    def __init__(self, *, attributes: Sequence[str] = DEFAULT, words: Sequence[str] = (), texts: bool = True) -> None:
        if isinstance(attributes, str) or isinstance(words, str):
            raise ConfigError("defenses.attribute-stripping: attributes and words are lists")
        if not all(word.strip() for word in words):
            raise ConfigError("defenses.attribute-stripping.words: one of them is empty")
        self.attributes = tuple(attributes)
        self.words = tuple(words)
        self.texts = texts

    @property
    def info(self) -> DefenseInfo:
        """The declaration."""
        return DefenseInfo(
            id="attribute-stripping",
            title="Attributes stripped",
            why="What the model is not told it cannot use.",
            reference="Fairness through unawareness; Dwork et al., ITCS 2012 (arXiv 1104.3913), on what it cannot do",
            family="input",
            guards=frozenset({Zone.USER}),
            needs=frozenset({Input.ATTRIBUTES, Input.NOTE, Input.INSTRUCTION, Input.TURNS}),
            limits="Whatever else tells the group: histories, names in another form, other languages, misspelt words.",
            controls=("eu-ai-act:2024:art10",),
        )

    def protect(self, target: Recommender) -> Stripped:
        """The target, told less."""
        return Stripped(target, self)


class Stripped(Rewriting):
    """A target that is not told who asks."""

    def __init__(self, target: Recommender, defense: AttributeStripping) -> None:
        options = {"attributes": defense.attributes, "words": defense.words, "texts": defense.texts}
        super().__init__(target, defense.info, {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()})
        self._defense = defense
        self._own = describe(target).instructions

    def edits(self, requests: Sequence[Request]) -> Sequence[Sequence[Edit]]:
        """What is taken out, last places first, so that each edit finds its text as it was."""
        return [self._edits(request) for request in requests]

    def _edits(self, request: Request) -> list[Edit]:
        edits: list[Edit] = [
            SetAttribute(name, None) for name in self._defense.attributes if name in request.user.attributes
        ]
        if not self._defense.texts:
            return edits
        texts = {"note": request.user.note, "instruction": request.instruction}
        texts |= {f"turns[{i}]": turn.text for i, turn in enumerate(request.turns) if turn.role == "user"}
        for field, text in texts.items():
            # The owner's own wording is not somebody's statement about themselves.
            kept = self._own.get(request.task, "") if field == "instruction" else ""
            edits += [
                TextEdit(field, start, end, new) for start, end, new in sorted(self._changes(text, kept), reverse=True)
            ]
        return edits

    def _changes(self, text: str, kept: str) -> list[tuple[int, int, str]]:
        at = text.find(kept) if kept else -1
        own = range(at, at + len(kept)) if at >= 0 else range(0)
        found: list[tuple[int, int, str]] = []
        for match in self._pattern.finditer(text):
            if match.start() in own:
                continue
            word = match[0]
            new = self._neutral.get(word.casefold())
            if new is not None:
                found.append((*match.span(), new.capitalize() if word[0].isupper() else new))
                continue
            found.append(_taken_out(text, *match.span()))
        for match in _NAME.finditer(text):
            if match.start() not in own:
                found.append((*match.span("name"), "withheld"))
        # A name may hold a word of the list: the longer change wins.
        found.sort(key=lambda c: (c[0], -c[1]))
        apart: list[tuple[int, int, str]] = []
        for change in found:
            if not apart or change[0] >= apart[-1][1]:
                apart.append(change)
        return apart

    @cached_property
    def _neutral(self) -> Mapping[str, str]:
        return {**_words()["pronouns"], **_words()["persons"]}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        values = [word for words in _words()["values"].values() for word in words]
        listed = sorted({*values, *self._neutral, *self._defense.words}, key=len, reverse=True)
        ages = r"\d{1,3}[- ]years?[- ]old|aged \d{1,3}"
        return re.compile(rf"(?<![\w-])(?:{ages}|{'|'.join(map(re.escape, listed))})(?![\w-])", re.IGNORECASE)


def _taken_out(text: str, start: int, end: int) -> tuple[int, int, str]:
    """A phrase and the blank behind it; an article before it comes to fit the next word."""
    while end < len(text) and text[end] == " ":
        end += 1
    before = _ARTICLE.search(text, 0, start)
    if before is None or end >= len(text):
        return start, end, ""
    fits = article(text[end:])
    new = fits.capitalize() if before["article"][0].isupper() else fits
    return before.start("article"), end, f"{new} "
