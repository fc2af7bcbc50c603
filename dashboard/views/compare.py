"""Two runs side by side: what got better, what got worse, and what cannot be told apart from noise."""

from __future__ import annotations

import streamlit as st

from audit.diff import Diff, Outcome, compare
from audit.report import comparison
from audit.report.view import RunView
from audit.run import Run
from audit.seeds import generator
from audit.store import RunHead
from audit.text import count, interval, one_line
from dashboard import frame, place, reading, tables
from dashboard.tables import Cell

WITH = "with"
_OPEN: tuple[Outcome, ...] = ("worse", "better", "changed")


def page() -> None:
    """Draw it."""
    view = frame.view()
    frame.head(
        view, "Compare runs", "Findings of this run against those of another; paired within cases where both kept them."
    )
    other = _other(view)
    if other is None:
        st.info("The store holds no other run to compare with.", icon=":material/info:")
        return
    with st.spinner("Comparing…"):
        diff = _compared(reading.settings().store, other.id, view.run.id, other.status, view.run.record.status)
    st.subheader(comparison.headline(diff), anchor=False)
    st.markdown(reading.escaped(comparison.answers(diff)))
    _changes(view, diff)
    _alone(diff)


def _other(view: RunView) -> RunHead | None:
    """The run to compare with: of the address, else the latest earlier one of the same name, a finished one first."""
    known = [r for r in reading.heads() if r.id != view.run.id]
    if not known:
        return None
    earlier = [r for r in known if r.created < view.run.record.created] or known
    # What was stopped, or is going on, has not measured all that this run has.
    alike = [r for r in earlier if r.name == view.run.name] or earlier
    proposed = next((r for r in alike if r.status == "finished"), alike[0])
    wanted = place.asked(WITH)
    # A list of thousands is none to choose from: an older run is compared with by its address.
    offered = known[: frame.MOST]
    offered += [r for r in known[frame.MOST :] if r.id in (proposed.id, wanted)]
    ids = [r.id for r in offered]
    names = {r.id: f"{one_line(r.name)} · {r.created[:16].replace('T', ' ')} · {r.id}" for r in offered}
    chosen = st.selectbox(
        "Compare with",
        ids,
        index=ids.index(wanted if wanted in ids else proposed.id),
        format_func=lambda run: names[run],
        key=f"with-{view.run.id}",
    )
    st.query_params[WITH] = chosen
    return next(r for r in known if r.id == chosen)


@st.cache_resource(max_entries=8, show_spinner=False)
def _compared(location: str | None, old: str, new: str, *states: str) -> Diff:
    del location, states
    store = reading.store()
    one, two = (Run(store.run(name), store) for name in (old, new))
    return compare(one, two, generator(two.record.seed, "diff"))


def _changes(view: RunView, diff: Diff) -> None:
    parts = frame.fragments(view)
    moved = [c for c in diff.changes if c.outcome in _OPEN or c.old.verdict != c.new.verdict]
    still = [c for c in diff.changes if c not in moved]
    order = {
        outcome: place_
        for place_, outcome in enumerate(("worse", "changed", "better", "no evidence of change", "not compared"))
    }
    moved.sort(key=lambda c: (not c.newly_failing, order[c.outcome]))
    if moved:
        frame.show(parts.changes(moved), "moved")
    if still:
        with st.expander(f"{len(still)} without evidence of change, or not compared", expanded=not moved):
            frame.show(parts.changes(still[:_MOST]), "still")
            if len(still) > _MOST:
                st.caption(f"{count(len(still) - _MOST, 'more')} in the CSV.")
    cells: list[dict[str, Cell]] = [
        {
            "Change": c.outcome,
            "Finding": one_line(c.new.title),
            "Before": c.old.estimate if c.old.effect is None else c.old.effect,
            "Now": c.new.estimate if c.new.effect is None else c.new.effect,
            "Difference": None if c.difference is None else c.difference.estimate,
            "Interval": interval(None if c.difference is None else (c.difference.low, c.difference.high)),
            "p adjusted": c.p_adjusted,
            "Verdict before": c.old.verdict or "",
            "Verdict now": c.new.verdict or "",
            "Why not compared": one_line(c.reason),
        }
        for c in (*moved, *still)
    ]
    tables.download(cells, f"compare-{diff.old.id}-{diff.new.id}", key="changes")


_MOST = 200
"""Unchanged findings that are drawn; all stand in the CSV."""


def _alone(diff: Diff) -> None:
    if diff.only_old or diff.only_new:
        with st.expander(f"{count(len(diff.only_old) + len(diff.only_new), 'finding')} in one run only"):
            for label, found in (("Only before", diff.only_old), ("Only now", diff.only_new)):
                for finding in found:
                    st.markdown(f"- {label}: {reading.escaped(finding.title)}")
    if diff.settings:
        with st.expander(f"{count(len(diff.settings), 'setting differs', 'settings differ')}"):
            st.dataframe(
                [{"Setting": name, "Before": one_line(old), "Now": one_line(new)} for name, old, new in diff.settings],
                hide_index=True,
            )
