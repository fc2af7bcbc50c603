"""Tables that can be sorted, clicked and taken away, and nothing in them acts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import streamlit as st

from audit.report import words
from audit.report.view import Row
from audit.text import interval, one_line, threshold, visible

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


def line(row: Row) -> dict[str, Cell]:
    """A finding as one line of a table."""
    f = row.finding
    return {
        "Verdict": f"{words.VERDICT_SHAPES[f.verdict]} {words.VERDICT_WORDS[f.verdict]}",
        "Severity": f.severity if f.threshold is not None else "",
        "Module": words.module(f.module)[0],
        "Finding": one_line(f.title),
        "Estimate": f.estimate,
        "Interval": interval(f.ci),
        "Floor": f.floor,
        "Effect": f.effect,
        "Effect interval": interval(f.effect_ci),
        "Limit": threshold(f.threshold, at_most=row.at_most)
        + (" on effect" if row.on_effect and f.threshold is not None else ""),
        "n": f.n,
        "Unit": one_line(f.unit),
        "p adjusted": f.p_adjusted,
        "Smallest effect seen": f.mde,
        "Name": f.name,
        "Settings": "; ".join(f"{name}={one_line(value)}" for name, value in f.params.items() if value is not None),
    }


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
        type="tertiary",
    )
