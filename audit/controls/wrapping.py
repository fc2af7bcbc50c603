"""What plants share: draws that hang on names alone, the base recommender's own lists, and free text around them.

A plant wraps a recommender and changes one thing about its answers. Whether it does so for a user, a place or a row is
drawn by `chance` from a name and nothing else, so that the same question always gets the same answer, in any order and
after a resume. Names begin with the plant's salt, which is new in every repetition of a measurement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from audit.target import Input, Insight, Recommender, TargetInfo, describe
from audit.types import Answer, Catalog, Item, Request, Task

LISTED = 20
"""Items that a base recommender which needs candidates is offered, where a request has none."""

Text = Callable[[Request, Sequence[Item]], str]
"""What is written for a request, given the items that the base recommends for it, best first."""


def chance(*names: object) -> float:
    """A number of [0, 1) that is a function of names: as even as a hash, and independent from name to name."""
    words = "\0".join(map(str, names)).encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:6], "big") / 2.0**48


def salt_of(rng: np.random.Generator) -> str:
    """What the names of one plant begin with."""
    return f"{int(rng.integers(2**63)):016x}"


def declared(
    base: Recommender,
    name: str,
    *,
    tasks: tuple[Task, ...] = (),
    honours: Collection[Input] = (),
    reveals: Collection[Insight] | None = None,
    instructions: Mapping[Task, str] | None = None,
) -> TargetInfo:
    """What the base declares, and what the plant adds to it.

    Args:
        base: that is wrapped.
        name: of the plant.
        tasks: that the plant answers itself; those of the base stay.
        honours: parts of the request that it reads itself.
        reveals: what it shows; None for nothing, since what the base shows of itself is not the plant's.
        instructions: default wordings, beside those of the base.
    """
    own = describe(base)
    return replace(
        own,
        name=f"{name} in {own.name}",
        tasks=tuple(dict.fromkeys((*own.tasks, *tasks))),
        honours=own.honours | frozenset(honours),
        reveals=frozenset(reveals or ()),
        instructions={**own.instructions, **(instructions or {})},
        # Its answers hang on the salt, so they are never reused from run to run.
        fingerprint=None,
    )


def recommended(base: Recommender, requests: Sequence[Request], catalog: Catalog, k: int) -> list[list[Item]]:
    """The first k items that the base ranks for each request, whatever the request asks for.

    Args:
        base: that is asked to rank.
        requests: of any task.
        catalog: items that are known; a title that is no item is left out.
        k: items each, at most.
    """
    info = describe(base)
    asked = [
        replace(
            request,
            task="rank",
            k=k,
            instruction=info.instructions.get("rank", ""),
            candidates=_offered(request, catalog) if info.needs_candidates else request.candidates,
        )
        for request in requests
    ]
    found = []
    for request, answer in zip(asked, base.recommend(asked), strict=True):
        offered = {item.id: item for item in request.candidates or ()}
        items = [offered.get(i) or catalog.get(i) for i in answer.ids if i is not None]
        found.append([item for item in items if item is not None][:k])
    return found


def _offered(request: Request, catalog: Catalog) -> tuple[Item, ...]:
    """The candidates of the request, or some items by lot that the user has not had."""
    if request.candidates is not None:
        return request.candidates
    had = {event.item.id for event in request.user.history}
    pool = [item for item in catalog.items_in_order if item.id not in had]
    return tuple(sorted(pool, key=lambda item: chance("offered", request.user.id, item.id))[:LISTED])


class Writes:
    """Answers in free text around what the base recommends; every other task is the base's own.

    Args:
        base: that is wrapped; it must rank.
        catalog: the items that there are.
        name: of the plant.
        text: what it writes.
        honours: parts of the request that the text hangs on.
        instruction: the wording that it publishes for free text.
        k: items that it asks of the base.
    """

    def __init__(
        self,
        base: Recommender,
        catalog: Catalog,
        name: str,
        text: Text,
        *,
        honours: Collection[Input] = (),
        instruction: str = "",
        k: int = 5,
    ) -> None:
        self.base, self.catalog, self.text, self.k = base, catalog, text, k
        wording: dict[Task, str] = {"answer": instruction} if instruction else {}
        self.info = declared(base, name, tasks=("answer",), honours={Input.HISTORY, *honours}, instructions=wording)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Write the text of those that ask for it; pass on the others."""
        written = [request for request in requests if request.task == "answer"]
        others = [request for request in requests if request.task != "answer"]
        lists = recommended(self.base, written, self.catalog, self.k) if written else []
        texts = iter(Answer(text=self.text(r, items)) for r, items in zip(written, lists, strict=True))
        passed = iter(self.base.recommend(others) if others else ())
        return [next(texts if request.task == "answer" else passed) for request in requests]
