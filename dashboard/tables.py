"""Tables that can be sorted, clicked and taken away, and nothing in them acts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from audit.text import visible

Cell = str | float | int | None
_ACTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet would take for a formula (OWASP, CSV injection)."""


def as_csv(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Rows as CSV that is text to a spreadsheet, whatever a target wrote; numbers stay numbers."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow({name: inert(name) for name in rows[0]})
        writer.writerows({name: inert(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def inert(value: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    told = visible(value)
    return f"'{told}" if told.lstrip(" ").startswith(_ACTS) else told


def chosen(rows: Sequence[Mapping[str, Cell]], *, key: str, columns: Mapping[str, Any] | None = None) -> int | None:
    """A table of which one row can be chosen.

    Args:
        rows: the cells, in order; every row has the same columns.
        key: unique on the page.
        columns: how columns are shown, as of `st.column_config`.

    Returns:
        Index of the row that was just chosen. The choice is forgotten at once, so that whoever comes back is not sent
        away again.
    """
    import pandas as pd

    turn = st.session_state.setdefault(f"{key}-turn", 0)
    state: Any = st.dataframe(
        pd.DataFrame([{name: visible(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows]),
        hide_index=True,
        column_config=dict(columns or {}),
        on_select="rerun",
        selection_mode="single-row",
        key=f"{key}-{turn}",
        height=min(36 * (len(rows) + 1) + 2, 560),
    )
    picked: list[int] = list(state.selection.rows) if rows else []
    if picked:
        st.session_state[f"{key}-turn"] = turn + 1
    return picked[0] if picked else None


def download(rows: Sequence[Mapping[str, Cell]], name: str, *, key: str) -> None:
    """A button that gives the rows as CSV."""
    st.download_button(
        "CSV",
        as_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        key=f"{key}-csv",
        icon=":material/download:",
        on_click="ignore",
    )
