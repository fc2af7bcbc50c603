"""What the pages read, and how long it is kept. They read the run store and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps

import streamlit as st

from audit.errors import RecAuditError
from audit.report.view import RunView
from audit.run import Run
from audit.store import RunHead, Store
from dashboard.settings import Settings

KEPT = 24
"""Runs whose findings stay in memory."""
FRESH = 2.0
"""Seconds for which the list of runs, and what a run in progress has found, are taken for true."""


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    """How the dashboard was started."""
    return Settings.of_environment()


@st.cache_resource(show_spinner=False)
def _store(location: str | None) -> Store:
    return Store(location, create=False)


def store() -> Store:
    """The run store.

    Raises:
        StoreError: it cannot be opened.
    """
    return _store(settings().store)


@st.cache_resource(ttl=FRESH, show_spinner=False)
def _heads(location: str | None) -> list[RunHead]:
    del location
    return store().heads()


def heads() -> list[RunHead]:
    """All runs, newest first. Shared by all visitors: only read it."""
    return _heads(settings().store)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _ended(location: str | None, run: str, *state: str) -> RunView:
    del location, state
    return _read(run)


@st.cache_resource(ttl=FRESH, max_entries=KEPT, show_spinner=False)
def _going_on(location: str | None, run: str) -> RunView:
    del location
    return _read(run)


def _read(run: str) -> RunView:
    return RunView(Run(store().run(run), store()))


def view(head: RunHead) -> RunView:
    """A run, arranged for reading. One that has ended is read once, and once more after it was resumed."""
    if head.status == "running":
        return _going_on(settings().store, head.id)
    return _ended(settings().store, head.id, head.status, head.changed)


def guarded(page: Callable[[], None]) -> Callable[[], None]:
    """A page that shows an error of ours in one sentence, where a traceback would stand."""

    @wraps(page)
    def shown() -> None:
        try:
            page()
        except RecAuditError as error:
            st.error(escaped(str(error)), icon=":material/error:")

    return shown


def escaped(words: str) -> str:
    """Plain text for an element of Streamlit that reads Markdown."""
    from audit.text import markdown

    # Streamlit looks for addresses, emoji and formulas after it has taken the escapes away.
    return _ACTS.sub(lambda found: f"{found[0]}\u2060", markdown(words)).replace("$", "&#36;")


_ACTS = re.compile(r"/(?=/)|@|&#64;|www|:(?=\w)", re.IGNORECASE)
"""Behind these an invisible joiner keeps what follows from becoming a link or a picture."""
