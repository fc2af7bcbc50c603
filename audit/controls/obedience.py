"""Plants that take orders: what stands in one field of a request moves an item, as if it had been said to the model.

An order is read as a model reads it, by its words and not by its origin: a verb such as "rank" or "recommend" right
before the title of an item that is offered. So whoever writes such words into the field is obeyed, harmless text moves
nothing, and payloads that give no order in plain words (praise, false quotes, hidden characters) are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from audit.attack.promotion import READ_AS, Field
from audit.controls.control import Plant
from audit.controls.places import Changed
from audit.controls.wrapping import chance, salt_of
from audit.data.dataset import Dataset
from audit.target import Recommender
from audit.types import Answer, Catalog, Item, Ranked, Request

_VERB = r"\b(?:rank|put|place|list|output|recommend|starts with)\b"
_ORDER, _ORDER_TO = re.compile(_VERB, re.IGNORECASE), re.compile(_VERB + r"\W{0,3}\Z", re.IGNORECASE)


def obeying(place: Field) -> Plant:
    """A share `size` of users gets first what an order in this field names; all others get what they got.

    Whether a user is served by a model that obeys is one draw, so the user's trials all succeed or all fail, whichever
    item is named. Without an order nothing moves: a clean list and one with harmless words are the base's. So of the
    items outside the first places a share `size` comes among them, in expectation over users, and none by harmless
    text: the success rate of a promotion whose every payload is an order is `size`, and so is its effect.

    Args:
        place: the field in which orders are obeyed, and in no other; a description and a review are one text.
    """

    def plant(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
        salt, catalog = salt_of(rng), dataset.catalog

        def change(request: Request, answer: Answer) -> Answer:
            if chance(salt, "obeys", request.user.id) >= size:
                return answer
            item = ordered(words(request, place), _offered(request, catalog), catalog)
            return answer if item is None else _first(item, answer, request.k)

        return Changed(base, f"orders in the {place}", change, honours={READ_AS[place]})

    return plant


def words(request: Request, place: Field) -> list[str]:
    """What stands in a field of the request, one text for each note, item or passage."""
    if place == "note":
        return [request.user.note]
    if place == "passage":
        return [passage.text for passage in request.passages]
    items = request.candidates or ()
    return [item.title if place == "title" else item.text for item in items]


def ordered(texts: Iterable[str], offered: Sequence[Item], catalog: Catalog) -> Item | None:
    """The offered item that one of the texts orders to be shown; None where none does.

    Args:
        texts: the words of a field.
        offered: items that may be shown; an order to show another one is in vain.
        catalog: where an item has its own title, whatever was written into it.
    """
    for text in texts:
        if not _ORDER.search(text):
            continue
        named = [(item, known.title if (known := catalog.get(item.id)) is not None else item.title) for item in offered]
        # The longest title first, so that "It" is not read out of "It Happened One Night".
        for item, title in sorted(named, key=lambda pair: -len(pair[1])):
            if any(_ORDER_TO.search(text[: at.start()]) for at in re.finditer(re.escape(title), text)):
                return item
    return None


def _offered(request: Request, catalog: Catalog) -> Sequence[Item]:
    return request.candidates if request.candidates is not None else catalog.items_in_order


def _first(item: Item, answer: Answer, k: int) -> Answer:
    """The list with the item at its head, the others behind it in their order."""
    others = [entry for entry in answer.ranked if entry.item_id != item.id]
    return replace(answer, ranked=(Ranked(item.id, item.title), *others)[:k])
