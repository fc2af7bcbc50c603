"""What an audit of this size could have seen, measured on targets with planted flaws."""

from __future__ import annotations

import streamlit as st

from audit.report.could_see import could_see
from dashboard import frame, tables
from dashboard.tables import Cell


def page() -> None:
    """Draw it."""
    view = frame.view()
    frame.head(view, "Controls", "What an audit of this size finds when a flaw of known size is planted.")
    found = could_see(view.users, [m.id for m in view.modules])
    if found is None:
        st.info(
            "No control was measured for the modules of this run; `recaudit controls` measures them.",
            icon=":material/info:",
        )
        return
    frame.show(frame.fragments(view).could_see(found), "could-see")
    cells: list[dict[str, Cell]] = [dict(zip(found.head, row, strict=True)) for row in found.rows]
    tables.download(cells, f"controls-{view.run.id}", key="controls")
