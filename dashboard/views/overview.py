"""A run at a glance: the verdict, a row for each module, and every finding, to be filtered and opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import streamlit as st

from audit.report import words
from audit.report.view import Row, RunView
from audit.text import count, duration, one_line
from dashboard import frame, place, reading, tables
from dashboard.tables import Cell


def page() -> None:
    """Draw it."""
    view = frame.view()
    parts = frame.fragments(view)
    frame.head(view, "Overview")
    if view.run.record.status == "running":
        _progress()
    frame.show(parts.verdict(), "verdict")
    _cost(view)
    frame.show(parts.modules(), "modules")
    with st.expander("In plain words", expanded=True):
        frame.show(parts.summary(), "summary")
    _findings(view)
    _untestable(view)
    with st.expander("How this run was made"):
        frame.show(parts.facts(), "facts")


def _cost(view: RunView) -> None:
    usage = view.run.usage
    told = [
        ("Findings", f"{len(view.run.findings):,}"),
        ("Queries", f"{usage.queries:,}"),
        ("Reused answers", f"{usage.reused:,}"),
        ("Tokens", f"{usage.tokens:,}" if usage.tokens else "not counted"),
        ("Time in the target", duration(usage.seconds)),
    ]
    for column, (name, value) in zip(st.columns(len(told)), told, strict=True):
        column.metric(name, value)


@st.fragment(run_every=reading.FRESH)
def _progress() -> None:
    """What a run in progress has done so far; drawn again every few seconds until it ends."""
    record = place.current()
    if record.status != "running":
        st.rerun()
    view = reading.view(record)
    usage = view.run.usage
    done = [m.title for m in view.modules]
    st.info(
        f"This run is going on: {count(usage.queries, 'query', 'queries')} asked, {duration(usage.seconds)} in the "
        f"target, {count(len(view.run.findings), 'finding')} settled"
        + (f" ({', '.join(done)})." if done else "; the first module is not done yet."),
        icon=":material/hourglass_top:",
    )


def _findings(view: RunView) -> None:
    st.subheader("Findings", anchor=False)
    rows = [row for row in view.rows if row.finding.verdict != "not_applicable"]
    if not rows:
        st.info("Nothing was measured yet.", icon=":material/info:")
        return
    rows = _filtered(rows)
    if not rows:
        st.info("No finding passes these filters.", icon=":material/filter_alt_off:")
        return
    ordered = ORDERS[st.selectbox("Order", list(ORDERS), key="order")](rows)
    pages = -(-len(ordered) // A_PAGE)
    told = f", {A_PAGE} a page" if pages > 1 else ""
    st.caption(f"{count(len(ordered), 'finding')}{told}. Open one for its figures and its evidence.")
    number_ = st.pagination(pages, key=f"page-{view.run.id}") if pages > 1 else 1
    shown = ordered[(number_ - 1) * A_PAGE : number_ * A_PAGE]
    frame.show(frame.fragments(view).findings(shown), "findings")
    tables.download([tables.line(row) for row in ordered], f"findings-{view.run.id}", key="findings")


A_PAGE = 50
"""Findings that are shown at once."""

ORDERS: dict[str, Callable[[Sequence[Row]], list[Row]]] = {
    "Most severe first": list,
    "By module": lambda rows: sorted(rows, key=lambda r: r.finding.module),
    "By name": lambda rows: sorted(rows, key=lambda r: one_line(r.finding.title).casefold()),
    "Largest value first": lambda rows: sorted(rows, key=lambda r: -(r.finding.estimate or 0.0)),
    "Smallest p first": lambda rows: sorted(rows, key=_p),
}


def _p(row: Row) -> float:
    return 2.0 if row.finding.p_adjusted is None else row.finding.p_adjusted


def _filtered(rows: Sequence[Row]) -> list[Row]:
    """The rows that pass the filters, which stand beside each other above the table."""
    filters: list[tuple[str, Callable[[Row], Iterable[str]]]] = [
        ("Verdict", lambda r: (words.VERDICT_WORDS[r.finding.verdict],)),
        ("Severity", lambda r: (r.finding.severity,) if r.finding.threshold is not None else ()),
        ("Module", lambda r: (words.module(r.finding.module)[0],)),
        ("Control", lambda r: map(words.control, r.finding.controls)),
        ("User group", _groups),
    ]
    left = list(rows)
    for column, (name, of) in zip(st.columns(len(filters)), filters, strict=True):
        offered = list(dict.fromkeys(value for row in rows for value in of(row)))
        wanted = set(column.multiselect(name, offered, key=f"filter-{name}", placeholder="all")) if offered else set()
        if wanted:
            left = [row for row in left if wanted & set(of(row))]
    return left


def _groups(row: Row) -> Iterable[str]:
    p = row.finding.params
    for name in ("attribute", "group"):
        if p.get(name) is not None:
            yield f"{name} {one_line(p[name])}"


def _untestable(view: RunView) -> None:
    missing = view.run.gate().missing
    found = [f for m in view.modules for f in m.untestable]
    if not found and not missing:
        return
    st.subheader("Could not be tested", anchor=False)
    st.caption("None of these counts as passed.")
    cells: list[dict[str, Cell]] = [
        {"Check": words.module(m)[0], "Why": "The policy requires this module; the run did not test it."}
        for m in missing
    ]
    cells += [{"Check": one_line(f.title), "Why": one_line(f.reason)} for f in found]
    st.dataframe(cells, hide_index=True, column_config={"Why": st.column_config.TextColumn(width="large")})
    tables.download(cells, f"not-tested-{view.run.id}", key="untestable")
