"""Every run of the store."""

from __future__ import annotations

import streamlit as st

from audit.report.fragments import runs
from audit.text import count, one_line
from dashboard import frame, place, reading, tables
from dashboard.tables import Cell

A_PAGE = 50
"""Runs that are shown at once."""


def page() -> None:
    """Draw it."""
    frame.pick()
    st.title("Runs", anchor=False)
    wanted = st.text_input("Find", placeholder="part of a name, a target or an id").strip().casefold()
    known = [r for r in reading.heads() if wanted in f"{r.id} {r.name} {r.target} {r.status} {r.verdict}".casefold()]
    pages = -(-len(known) // A_PAGE)
    number = st.pagination(pages, key=f"runs-{wanted}") if pages > 1 else 1
    st.caption(f"{count(len(known), 'run')}, newest first.")
    shown = known[(number - 1) * A_PAGE : number * A_PAGE]
    frame.show(runs(shown, lambda _, run: place.link(place.HOME, run=run)), f"runs-{number}")
    cells: list[dict[str, Cell]] = [
        {
            "Run": r.id,
            "Name": one_line(r.name),
            "Target": one_line(r.target),
            "Started": r.created,
            "Status": r.status,
            "Verdict": r.verdict or "",
        }
        for r in known
    ]
    tables.download(cells, "runs", key="runs")
