"""Small data, scripted targets and Hypothesis strategies for the tests of the harness itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from audit.data.dataset import Dataset
from audit.gateway import Gateway, Retry
from audit.store import Store
from audit.target import Input, TargetInfo
from audit.types import Answer, Catalog, Event, Item, Passage, Ranked, Request, Turn, User

ODD_TITLES = (
    "Braces {title} {{x}} {0} %s",
    "Quotes \" ' ` « »",
    "Two\nlines\tand a tab",
    "مرحبا بالعالم",
    "\u202eright to left\u202c",
    "Emoji 👩‍👩‍👧‍👦 film",
    "Amélie (Le fabuleux destin)",
    "",
)


def items(count: int, *, start: int = 0) -> tuple[Item, ...]:
    """Items `i0`, `i1`, … with two-word titles."""
    return tuple(Item(f"i{n}", f"Winter Garden Number {n}") for n in range(start, start + count))


def catalog(count: int = 40) -> Catalog:
    return Catalog(items(count))


def request(user: str = "u", history: int = 4, candidates: int | None = 5, **fields: Any) -> Request:
    """A request whose history is the first items and whose candidates are the next ones."""
    events = tuple(Event(item, float(1 + n % 5), float(n)) for n, item in enumerate(items(history)))
    offered = None if candidates is None else items(candidates, start=history)
    return Request(User(user, events), candidates=offered, **fields)


def requests(count: int, **fields: Any) -> list[Request]:
    return [request(f"u{n}", **fields) for n in range(count)]


def first_candidates(asked: Request) -> Answer:
    """The first k candidates, as they stand."""
    return Answer(tuple(Ranked(item.id, item.title) for item in (asked.candidates or ())[: asked.k]))


class Scripted:
    """A target that does what a function says, and keeps the requests it was asked, batch by batch."""

    def __init__(self, answer: Callable[[Request], Answer] = first_candidates, **info: Any) -> None:
        self.answer = answer
        self.batches: list[list[Request]] = []
        self._lock = threading.Lock()
        declared = {"name": "scripted", "honours": frozenset({Input.HISTORY, Input.ITEM_TEXT}), **info}
        self.info = TargetInfo(**declared)

    @property
    def asked(self) -> list[Request]:
        return [asked for batch in self.batches for asked in batch]

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        with self._lock:
            self.batches.append(list(requests))
        return [self.answer(asked) for asked in requests]


def new_run(store: Store, name: str = "test", **fields: Any) -> str:
    """The id of a new run."""
    given: dict[str, Any] = {"config": {}, "target": {"name": "scripted"}, "versions": {}, "seed": 7, **fields}
    return store.create_run(name, **given).id


def gateway(target: Any, store: Store, run: str | None = None, **options: Any) -> Gateway:
    """A gateway that never sleeps between retries."""
    options.setdefault("retry", Retry(attempts=2, wait_s=0.0))
    return Gateway(target, store, run or new_run(store), **options)


def write_world(world: Dataset, folder: Path) -> dict[str, Any]:
    """Write a dataset as the user's own files.

    Returns:
        The `dataset:` block that reads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world.interactions.to_csv(folder / "interactions.csv", index=False)
    shown = [{"item_id": item.id, "title": item.title} for item in world.catalog.items_in_order]
    pd.DataFrame(shown).to_csv(folder / "items.csv", index=False)
    return {
        "interactions": str(folder / "interactions.csv"),
        "items": str(folder / "items.csv"),
        "liked": 3,
        "min_core": 2,
        "sample": 16,
        "k": 5,
    }


# Strategies -----------------------------------------------------------------------------------------------------------

texts = st.one_of(st.text(max_size=12), st.sampled_from(ODD_TITLES))
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.one_of(texts, st.integers(-99, 99), numbers, st.lists(texts, max_size=2).map(tuple))
attributes = st.dictionaries(st.text(max_size=4), values, max_size=2)
any_item = st.builds(Item, texts, texts, texts, attributes, st.one_of(st.none(), st.binary(max_size=4)))
any_event = st.builds(Event, any_item, st.one_of(st.none(), numbers), st.one_of(st.none(), numbers))
any_user = st.builds(User, texts, st.lists(any_event, max_size=3).map(tuple), attributes, texts)
any_passage = st.builds(Passage, texts, texts, texts)
any_turn = st.builds(Turn, st.sampled_from(("user", "assistant", "system")), texts)
any_request = st.builds(
    Request,
    any_user,
    st.sampled_from(("rank", "score", "answer")),
    texts,
    st.one_of(st.none(), st.lists(any_item, max_size=3).map(tuple)),
    st.integers(1, 20),
    st.lists(any_passage, max_size=2).map(tuple),
    st.lists(any_turn, max_size=2).map(tuple),
)
