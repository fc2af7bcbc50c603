"""What plants of lists share: which answers are changed, and how a hit is taken out of a list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from audit.controls.wrapping import declared
from audit.data.dataset import Dataset
from audit.target import Input, Recommender
from audit.types import Answer, Ranked, Request, Task

Change = Callable[[Request, Answer], Answer]


class Changed:
    """The base's rankings, each handed to a function; everything else is the base's own.

    Args:
        base: that is wrapped.
        name: of the plant.
        change: gives the answer that is returned, from the request and the base's readable answer to it.
        honours: parts of the request that the change hangs on.
        instruction: wording that it publishes, where it reads one.
    """

    def __init__(
        self,
        base: Recommender,
        name: str,
        change: Change,
        *,
        honours: Collection[Input] = (),
        instruction: str = "",
    ) -> None:
        self.base, self.change = base, change
        wording: dict[Task, str] = {"rank": instruction} if instruction else {}
        self.info = declared(base, name, honours=honours, instructions=wording)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """The base's answers, changed where they can be read."""
        return [
            self.change(request, answer) if request.task == "rank" and answer.outcome == "ok" else answer
            for request, answer in zip(requests, self.base.recommend(requests), strict=True)
        ]


def next_of(dataset: Dataset) -> dict[str, str]:
    """By user, the item they chose last, which is what a list is asked to hold."""
    items = dataset.catalog.items_in_order
    return {user: items[int(seen[-1])].id for user, seen in dataset.sequences.items() if len(seen)}


def without(answer: Answer, item: str | None) -> Answer:
    """The list without an item, its other entries moved up."""
    return replace(answer, ranked=tuple(entry for entry in answer.ranked if entry.item_id != item))


def swapped(answer: Answer, item: str | None, request: Request) -> Answer:
    """The list with an item exchanged for one that was offered and not listed: as long as before, and no longer a hit.

    Where every candidate is listed already the list becomes one shorter.
    """
    listed = {entry.item_id for entry in answer.ranked}
    spare = next((one for one in request.candidates or () if one.id not in listed), None)
    if spare is None:
        return without(answer, item)
    other = Ranked(spare.id, spare.title)
    return replace(answer, ranked=tuple(other if entry.item_id == item else entry for entry in answer.ranked))
