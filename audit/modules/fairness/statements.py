"""How a user says something about themselves, and where a target reads it.

A probe compares requests that differ in one phrase only: “I am a user of this service.” and “I am a *female* user of
this service.” The first is the neutral form. What is put in place of nothing may be the value of a sensitive attribute,
a placebo, or a misspelt value; everything else stays the same to the letter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from audit.edits import Edit, SetAttribute, TextEdit, apply, read_text
from audit.errors import ConfigError, nearest
from audit.target import Input, TargetInfo
from audit.text import article
from audit.types import Request


class Channel(StrEnum):
    """The part of a request that carries a statement."""

    NOTE = "note"
    INSTRUCTION = "instruction"
    ATTRIBUTES = "attributes"


_READ_BY = {
    Channel.NOTE: Input.NOTE,
    Channel.INSTRUCTION: Input.INSTRUCTION,
    Channel.ATTRIBUTES: Input.ATTRIBUTES,
}


def channel_of(info: TargetInfo, wanted: str | None = None) -> Channel | None:
    """Where this target would read a statement: the note, else the instruction, else the attributes.

    Args:
        info: of the target.
        wanted: a channel by name; None for the first that the target reads.

    Returns:
        None if the target reads none of them, or not the one that is wanted.

    Raises:
        ConfigError: no channel has that name.
    """
    if wanted is not None and wanted not in list(Channel):
        raise ConfigError(f"modules.fairness: channel: {wanted!r} is unknown; {nearest(wanted, list(Channel))}")
    return next((c for c in Channel if _READ_BY[c] in info.honours and wanted in (None, c)), None)


@dataclass(frozen=True)
class Statement:
    """A sentence with a place for one phrase, between an article and a noun.

    Attributes:
        before: up to the article.
        after: from the noun on.
    """

    before: str = "I am"
    after: str = "user of this service."

    def says(self, phrase: str = "") -> str:
        """The sentence with a phrase, or without one: the neutral form. The article fits the word behind it."""
        words = f"{phrase} {self.after}" if phrase else self.after
        return f"{self.before} {article(words)} {words}"


def place(request: Request, channel: Channel, sentence: str) -> Request:
    """The request with a sentence in front of what the channel holds; for attributes, the request itself."""
    if channel is Channel.ATTRIBUTES:
        return request
    text = read_text(request, channel.value)
    return apply([TextEdit(channel.value, 0, 0, f"{sentence} " if text else sentence)], request)


def without(request: Request, attributes: Collection[str]) -> Request:
    """The request without these attributes of its user: a neutral request says nothing of them."""
    known = [name for name in attributes if name in request.user.attributes]
    return apply([SetAttribute(name, None) for name in known], request)


def disclose(request: Request, channel: Channel, neutral: str, sentence: str, attribute: str, value: str) -> list[Edit]:
    """The edits from a neutral request to one that says something.

    Args:
        request: as `place` made it with the neutral sentence.
        channel: where the statement stands.
        neutral: the sentence that stands there.
        sentence: the sentence to stand there instead.
        attribute: name of the attribute, for the channel of attributes.
        value: its value there.

    Raises:
        EditError: the request does not begin with the neutral sentence.
    """
    if channel is Channel.ATTRIBUTES:
        return [SetAttribute(attribute, value)]
    # Only what differs is edited, so that a reader of the diff sees the phrase and nothing else.
    start = 0
    while start < min(len(neutral), len(sentence)) and neutral[start] == sentence[start]:
        start += 1
    end = 0
    while end < min(len(neutral), len(sentence)) - start and neutral[-1 - end] == sentence[-1 - end]:
        end += 1
    return [TextEdit(channel.value, start, len(neutral) - end, sentence[start : len(sentence) - end])]
