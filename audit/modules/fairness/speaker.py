"""Saying a phrase in a request, and slips of the pen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.edits import Edit
from audit.modules.fairness.statements import Channel, disclose
from audit.modules.fairness.vocabulary import fill
from audit.text import article
from audit.types import Request

SLIPS = ("insertion", "deletion", "swap")


@dataclass(frozen=True)
class Speaker:
    """Says a phrase through one channel in one wording.

    Attributes:
        channel: where it is said.
        wording: with the places to fill.
        words: by English phrase, the phrase of the language.
        nothing: what stands in the phrase's place in the neutral form.
        translating: whether a value without a word in this language is left out; else it is said as it is.
        names: by user id, the name that the request is built around.
    """

    channel: Channel
    wording: str
    words: Mapping[str, str]
    nothing: str
    translating: bool
    names: Mapping[str, str]

    def phrase(self, value: str) -> str | None:
        """The value in this language; None if there is no word for it."""
        return self.words.get(value, None if self.translating else value)

    def sentence(self, name: str, phrase: str = "", *, articled: bool = False) -> str:
        """The statement of the anchor of this name."""
        if articled:
            phrase = f"{article(phrase)} {phrase}"
        return fill(self.wording, phrase or self.nothing, anchor=name)

    def edits(self, attribute: str, phrase: str, *, articled: bool) -> Callable[[Request], Sequence[Edit]]:
        """From an anchor's request to one that says the phrase."""

        def edit(request: Request) -> Sequence[Edit]:
            name = self.names.get(request.user.id, "")
            before, after = self.sentence(name), self.sentence(name, phrase, articled=articled)
            return disclose(request, self.channel, before, after, attribute, phrase)

        return edit


def misspelt(phrase: str, slip: str, rng: np.random.Generator) -> str:
    """A phrase with one slip of the pen in its longest word, never at the word's first letter.

    Args:
        phrase: one or more words.
        slip: `insertion` doubles a letter, `deletion` leaves one out, `swap` exchanges two neighbours that differ.
        rng: chooses the place.
    """
    word = max(phrase.split(), key=len)
    if len(word) < 3:
        return phrase + phrase[-1]
    places = list(range(1, len(word) - 1))
    if slip == "swap":
        places = [i for i in places if word[i] != word[i + 1]] or places
    at = places[int(rng.integers(len(places)))]
    changed = {
        "insertion": word[: at + 1] + word[at:],
        "deletion": word[:at] + word[at + 1 :],
        "swap": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    }[slip]
    return phrase.replace(word, changed, 1)
