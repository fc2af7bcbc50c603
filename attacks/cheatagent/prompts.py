"""What the agent is told: short, because every token of it is paid for in every step.

As in the paper, the word prompt quotes the text under attack and calls the target's item "the prediction", and the item
prompt shows the history and asks for what does not interest the user.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from string import Template

from attacks.places import Place
from audit.edits import read_text
from audit.text import clip, one_line
from audit.types import Catalog, Request

SYSTEM = "Be brief."
"""In place of the model's own system message, which is longer."""

WORD = Template(
    'Text: "$text"\nPrediction: $prediction\n'
    "Which word or letters, inserted as word number $number, would change the prediction?"
)
ITEM = Template("History: $history\nPrediction: $prediction\nWhich title is this user $interest?")

_HISTORY = 5
"""Last events shown: a longer history costs more and tells a small model no more."""
_WORDS = 24
"""Words of a text shown on either side of the place."""
_TITLE = 40
"""Characters of a title."""
_NAMED = 2
"""Items called the prediction, where the loss is about several."""
_YEAR = re.compile(r"\s*\(\d{4}\)$")


def for_place(place: Place, request: Request, about: Collection[str], catalog: Catalog) -> str:
    """The prompt for one place.

    An item prompt is the same for all places of a user, except where the task is to judge items: there the place is in
    the list of liked or of disliked ones, and what is asked for is what does not belong into it.

    Args:
        place: where something will be inserted.
        request: the clean request.
        about: ids that the loss is about.
        catalog: the items.
    """
    known = {item.id: item for item in request.candidates or ()}
    titles = [(known.get(i) or catalog[i]).title for i in sorted(about) if i in known or i in catalog]
    prediction = "; ".join(_short(title) for title in titles[:_NAMED]) or "unknown"
    if place.kind == "word":
        text = read_text(request, place.field)
        before, behind = text[: place.start].split()[-_WORDS:], text[place.start :].split()[:_WORDS]
        shown = " ".join([*before, *behind])
        return WORD.substitute(text=one_line(shown), prediction=prediction, number=len(before) + 1)
    history = request.user.history
    rating = history[min(place.start, len(history) - 1)].rating if history else None
    disliked = request.task == "score" and rating is not None and rating <= 3
    shown = "; ".join(_short(event.item.title) for event in history[-_HISTORY:]) or "none"
    interest = "interested in" if disliked else "not interested in"
    return ITEM.substitute(history=shown, prediction=prediction, interest=interest)


def _short(title: str) -> str:
    # A year costs small models as many tokens as the title itself.
    return clip(_YEAR.sub("", one_line(title)), _TITLE)


# For a chat API, which reads and writes lists -------------------------------------------------------------------------

CHAT_SYSTEM = (
    "You test how robust a recommender is. Answer with a list, one entry a line, and nothing else: no numbers, no "
    "explanations."
)
_CHAT_WORD = Template("$prompt\nGive $count different single words.")
_CHAT_ITEM = Template("$prompt\nGive $count different titles, all of them well known to the recommender.")
_HINT = Template("\nTake your inspiration from: $hint")
_FEEDBACK = Template("\nTried before:\n$tried\nGive what is like the good ones and unlike the bad ones.")


def for_chat(prompt: str, kind: str, count: int, hint: str, tried: Collection[tuple[str, float]]) -> str:
    """A prompt with what takes the place of a soft prefix: a random hint, and what came of earlier answers.

    Args:
        prompt: from `for_place`.
        kind: `word` or `item`.
        count: how many answers.
        hint: a random title.
        tried: earlier answers and their labels.
    """
    text = (_CHAT_WORD if kind == "word" else _CHAT_ITEM).substitute(prompt=prompt, count=count)
    if not tried:
        return text + _HINT.substitute(hint=_short(hint)) if hint else text
    lines = [f"{'+1 good' if label > 0 else '-1 bad'}: {_short(said)}" for said, label in tried]
    return text + _FEEDBACK.substitute(tried="\n".join(lines))
