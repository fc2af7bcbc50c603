"""Privacy: as every module, and then what the promise costs, over the runs of the store that can be compared."""

from __future__ import annotations

import streamlit as st

from audit.report.privacy_price import Prices, prices
from audit.report.view import RunView
from audit.store import RunHead
from audit.text import interval, listed, one_line
from dashboard import frame, reading, tables
from dashboard.tables import Cell

_MOST = 8
"""Runs that are proposed; more can be chosen."""


def page() -> None:
    """Draw it."""
    view = frame.view()
    frame.module(view, "privacy")
    if _promises(view):
        _price(view)


def _promises(view: RunView) -> bool:
    return any(f.metric == "epsilon_claimed" and f.estimate is not None for f in view.run.findings)


def _price(view: RunView) -> None:
    st.subheader("What the promise costs", anchor=False)
    st.caption(
        "Quality of several runs against the ε that their trainings promise. It is the price of privacy only where "
        "nothing but the training with noise differs between them."
    )
    ended = {head.id: head for head in reading.heads() if head.status != "running" and head.id != view.run.id}
    alike = [head.id for head in ended.values() if head.name == view.run.name][:_MOST]
    chosen = st.multiselect(
        "Beside this run",
        list(ended),
        default=alike,
        format_func=lambda run: _named(ended[run]),
        key=f"priced-{view.run.id}",
        placeholder="choose runs",
    )
    found = prices([view, *(reading.view(ended[run]) for run in chosen)])
    if found is None:
        st.info(
            "Choose at least one run with the same measure of quality as this one; a run needs the module quality.",
            icon=":material/info:",
        )
        return
    frame.show(frame.fragments(view).prices(found), f"prices-{'-'.join(chosen)}")
    if found.left_out:
        st.caption(reading.escaped(f"Without this measure: {listed(sorted(map(one_line, found.left_out)))}."))
    tables.download(_cells(found), f"prices-{view.run.id}", key="prices")


def _named(head: RunHead) -> str:
    return f"{one_line(head.name)} · {head.created[:16].replace('T', ' ')} · {head.id[-6:]}"


def _cells(found: Prices) -> list[dict[str, Cell]]:
    return [
        {
            "Run": point.run,
            "Name": one_line(point.name),
            "ε promised": "none" if point.epsilon is None else point.epsilon,
            "Measure": one_line(found.measure),
            "Quality": point.quality.estimate,
            "Interval": interval(point.quality.ci),
            "n": point.quality.n,
        }
        for point in found.points
    ]
