"""Ask the target as somebody with a history of your own: what it is told, what it says, and what moved that."""

from __future__ import annotations

import streamlit as st

from audit.report import fragments
from audit.text import count, one_line
from audit.types import Answer, Request
from dashboard import frame, reading, tables
from dashboard.live import MOST, Live, live
from dashboard.tables import Cell


def page() -> None:
    """Draw it."""
    st.title("Try it", anchor=False)
    target = live()
    if target is None:
        st.info("No target was named for this; start with `recaudit dashboard --live audit.yaml`.")
        return
    named = f"target {target.info.name} · {target.prepared.dataset.name} · task {target.prepared.task}"
    st.caption(reading.escaped(f"{named} · nothing that is asked here is stored"))
    asked = _form(target)
    if asked is None:
        return
    request, explain = asked
    with st.spinner("Asking…"):
        (answer,) = target.ask([request])
    st.subheader("What it says", anchor=False)
    frame.show(fragments.replied(request, answer), "try-answer")
    if explain and answer.outcome == "ok":
        _what_moved_it(target, request, answer)
    with st.expander("What it was told, and who writes it"):
        frame.show(fragments.asked(request), "try-request")


def _form(target: Live) -> tuple[Request, bool] | None:
    """What a visitor wants to ask; None until they do."""
    example = target.example
    with st.form("try"):
        text = st.text_area(
            f"History: one title a line, the latest last; {MOST} at most",
            "\n".join(one_line(event.item.title) for event in example.user.history[-8:]),
            height=220,
        )
        note = st.text_input(
            "Wishes, in the user's own words",
            disabled=not target.hears_notes,
            placeholder="" if target.hears_notes else "this target does not read them",
        )
        k = st.number_input("Titles wanted", 1, 50, min(example.k, 50))
        listed = target.prepared.task == "rank"
        explain = st.checkbox("Ask again without each title, to see what moves the list", disabled=not listed)
        if not st.form_submit_button("Ask", type="primary"):
            return None
    typed = target.typed(text)
    for title, why in typed.unknown:
        st.warning(reading.escaped(f"“{one_line(title)}” is left out: {one_line(why)}"), icon=":material/help:")
    if not typed.events and not note:
        st.error("The history is empty; type at least one title of the catalogue.", icon=":material/error:")
        return None
    return target.request(typed.events, note, int(k)), explain and listed


def _what_moved_it(target: Live, request: Request, answer: Answer) -> None:
    with st.spinner("Asking again without each title…"):
        found = target.without_each(request, answer)
    st.subheader("What moved it", anchor=False)
    firm = sum(not w.moved for w in found)
    st.caption(
        f"Each title left out alone, once. Without any one of {count(firm, 'title')} the first place stays as it is. "
        "One answer each, so a target that draws at random moves by itself; an audit measures that floor."
    )
    cells: list[dict[str, Cell]] = [
        {"Without": one_line(w.title), "First then": one_line(w.first), "First changed": "yes" if w.moved else "",
         "New in the list": w.new}
        for w in sorted(found, key=lambda w: (-w.moved, -w.new))
    ]  # fmt: skip
    st.dataframe(cells, hide_index=True)
    tables.download(cells, "what-moved-it", key="moved")
