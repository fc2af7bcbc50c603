"""One finding: its figures, what each case gave, and its evidence, a page at a time."""

from __future__ import annotations

import streamlit as st

from audit.errors import StoreError
from audit.report.view import Row, RunView
from audit.text import count, one_line
from dashboard import frame, place, reading, tables
from dashboard.tables import Cell

A_PAGE = 50
"""Pieces of evidence that are listed at once."""


def page() -> None:
    """Draw it."""
    view = frame.view()
    row = _asked(view)
    if row is None:
        return
    f = row.finding
    frame.head(view, one_line(f.title))
    frame.show(frame.fragments(view).finding(row), f.id)
    tables.download([tables.line(row)], f"finding-{f.id}", key="finding")
    _evidence(view, row)
    _values(view, row)


def _asked(view: RunView) -> Row | None:
    """The finding of the address; without one, a list to choose from."""
    wanted = place.asked(place.FINDING)
    row = next((r for r in view.rows if r.finding.id == wanted), None)
    if wanted and row is None:
        raise StoreError(f"there is no finding {wanted!r} in this run; choose one on the overview")
    if row is not None:
        return row
    frame.head(view, "Finding", "Choose a finding on the overview; or open the gravest of each module.")
    frame.show(frame.fragments(view).findings(row for _, row in view.gravest if row is not None), "gravest")
    return None


def _evidence(view: RunView, row: Row) -> None:
    f = row.finding
    st.subheader("Evidence", anchor=False)
    if not f.evidence:
        st.caption("No single case was kept for this check; the figure is over all of them.")
        return
    pages = -(-len(f.evidence) // A_PAGE)
    number = st.pagination(pages, key=f"evidence-{f.id}") if pages > 1 else 1
    ids = f.evidence[(number - 1) * A_PAGE : number * A_PAGE]
    pieces = view.run.evidence(ids)
    kept = {i: pieces[i] for i in ids if i in pieces}
    st.caption(f"{count(len(f.evidence), 'piece')} of evidence. Open one for the request and the answers.")
    frame.show(frame.fragments(view).pieces(kept), f"pieces-{f.id}")
    cells: list[dict[str, Cell]] = [
        {"Evidence": i, "Case": one_line(e.case), "What there is to see": one_line(e.title), "Note": one_line(e.note)}
        for i, e in kept.items()
    ]
    tables.download(cells, f"evidence-{f.id}", key="pieces")


def _values(view: RunView, row: Row) -> None:
    """What each case gave to the figure, as a table that can be taken away."""
    values = reading.store().values(view.run.id, row.finding.id)
    if not values:
        return
    with st.expander(f"What each of {count(len(values), 'case')} gave"):
        ordered: list[dict[str, Cell]] = [
            {"Case": one_line(case), "Value": value}
            for case, value in sorted(values.items(), key=lambda kv: -abs(kv[1]))
        ]
        st.dataframe(ordered, hide_index=True, height=320)
        tables.download(ordered, f"cases-{row.finding.id}", key="values")
