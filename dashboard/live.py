"""The target that visitors may ask, where one was named at the start. Nothing that is asked here is stored."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import streamlit as st

from audit.edits import HistoryDrop
from audit.grounding import Matcher
from audit.store import Store
from audit.target import Input, TargetInfo, describe
from audit.types import Answer, Event, Request, User
from dashboard import reading

if TYPE_CHECKING:
    from audit.runner import Prepared

MOST = 50
"""Titles of a history that are read, so that one visitor does not hold up the others."""


@dataclass(frozen=True)
class Typed:
    """A history as somebody typed it.

    Attributes:
        events: the titles that are items, in order.
        unknown: the others, each with the reason.
    """

    events: tuple[Event, ...]
    unknown: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Without:
    """What the list becomes when one title of the history is left out.

    Attributes:
        title: that was left out.
        first: title that then stands first; empty where there is no answer.
        moved: whether another title stood first before.
        new: how many of the list were not in the list before.
    """

    title: str
    first: str
    moved: bool
    new: int


class Live:
    """A target with its catalogue. One visitor asks at a time."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.info: TargetInfo = describe(prepared.target)
        self.matcher = Matcher(prepared.dataset.catalog)
        self._turn = threading.Lock()

    @property
    def example(self) -> Request:
        """A request of the audit, to begin with."""
        return self.prepared.cases[0].request

    @property
    def hears_notes(self) -> bool:
        """Whether it declares to read what users say in their own words."""
        return Input.NOTE in self.info.honours

    def typed(self, text: str) -> Typed:
        """Titles, one a line, held against the catalogue by the matcher that also judges what targets recommend."""
        events: list[Event] = []
        unknown: list[tuple[str, str]] = []
        catalog = self.prepared.dataset.catalog
        for title in [line.strip() for line in text.splitlines() if line.strip()][:MOST]:
            match = self.matcher.match(title)
            if match.item_id is not None and not match.year_conflict:
                events.append(Event(catalog[match.item_id]))
            elif match.item_id is not None:
                unknown.append((title, f"another year than {catalog[match.item_id].title}"))
            elif match.candidates:
                near = " or ".join(catalog[i].title for i in match.candidates[:3])
                unknown.append((title, f"not clear: {near}?"))
            else:
                unknown.append((title, "no item of the catalogue"))
        return Typed(tuple(events), tuple(unknown))

    def request(self, events: Sequence[Event], note: str, k: int) -> Request:
        """What to ask for somebody with this history; all else is as in the audit."""
        return replace(self.example, user=User("visitor", tuple(events), note=note if self.hears_notes else ""), k=k)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Ask through the audit's gateway, with its retries and counted failures, on a store that is thrown away."""
        from audit.gateway import Ask, Gateway

        with self._turn, TemporaryDirectory() as folder, Store(Path(folder) / "asked.sqlite") as store:
            run = store.create_run("try", config={}, target={}, versions={}, seed=0)
            return Gateway(self.prepared.target, store, run.id).ask([Ask(request) for request in requests])

    def without_each(self, request: Request, before: Answer) -> list[Without]:
        """Leave out each title of the history once, and see what becomes of the list."""
        answers = self.ask([HistoryDrop(i).apply(request) for i in range(len(request.user.history))])
        had = _named(before)
        found = []
        for event, answer in zip(request.user.history, answers, strict=True):
            now = _named(answer)
            first = now[0] if now else ""
            found.append(Without(event.item.title, first, now[:1] != had[:1], len(set(now) - set(had))))
        return found


def _named(answer: Answer) -> list[str]:
    return [entry.title or entry.item_id or "" for entry in answer.ranked]


@st.cache_resource(show_spinner="Loading the target…")
def _opened(path: str) -> Live:
    from audit import runner

    return Live(runner.prepare(path))


def live() -> Live | None:
    """The target of the configuration that the dashboard was started with; None without one.

    Raises:
        RecAuditError: it cannot be built.
    """
    path = reading.settings().live
    return None if path is None else _opened(path)
