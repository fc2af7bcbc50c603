"""Where a visitor is: the run, the finding and the piece of evidence stand in the address, so that it can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

from audit.errors import StoreError
from audit.store import RunHead
from dashboard import reading

HOME = "overview"
"""The page that opens when an address names none."""
RUN, FINDING, EVIDENCE = "run", "finding", "evidence"


def asked(name: str) -> str:
    """A word of the address; empty where it says nothing."""
    return str(st.query_params.get(name, ""))


def current() -> RunHead:
    """The run that is looked at: of the address, else the last one that was, else the latest.

    Raises:
        StoreError: there is none, or the address names one that the store does not hold.
    """
    known = reading.heads()
    if not known:
        raise StoreError(
            f"the store {reading.store().shown} holds no runs yet; start one with `recaudit run audit.yaml`"
        )
    wanted = asked(RUN) or st.session_state.get(RUN)
    found = next((r for r in known if r.id == wanted), None)
    if wanted and found is None:
        raise StoreError(f"there is no run {wanted!r} in {reading.store().shown}; choose one on the left")
    head = found or known[0]
    remember(head.id)
    return head


def remember(run: str) -> None:
    """Make a run the current one, also in the address."""
    st.session_state[RUN] = run
    if asked(RUN) != run:
        st.query_params[RUN] = run


def link(page: str, **words: str) -> str:
    """The address of a page, relative to any other page. The first page has no name in it: Streamlit knows none."""
    path = "./" if page == HOME else page
    return f"{path}?{urlencode(words)}" if words else path


def go(page: str, words: Mapping[str, str]) -> None:
    """Open another page of this dashboard."""
    st.switch_page(st.session_state["pages"][HOME if page == "./" else page], query_params=dict(words))
