"""One piece of evidence: the request field by field, the edit as a diff, the answers, and who else is affected."""

from __future__ import annotations

import streamlit as st

from audit.errors import StoreError
from audit.report.evidence import opened
from audit.report.view import RunView
from audit.text import one_line
from dashboard import frame, place, reading


def page() -> None:
    """Draw it."""
    view = frame.view()
    wanted = place.asked(place.EVIDENCE)
    if not wanted:
        frame.head(view, "Evidence", "Open a finding and choose a piece of its evidence.")
        return
    pieces = opened(view, [wanted])
    if wanted not in pieces:
        raise StoreError(f"there is no evidence {wanted!r} in this run; open a finding and choose another piece")
    piece = pieces[wanted]
    frame.head(view, one_line(piece.title) or "Evidence")
    parts = frame.fragments(view)
    frame.show(parts.exhibit(piece), wanted)
    evidence = view.run.evidence([wanted])[wanted]
    requests = view.run.store.requests([d for d in (evidence.before, evidence.after) if d])
    for digest, title in ((evidence.after or evidence.before, "The request that was asked"),):
        if digest and digest in requests:
            st.subheader(title, anchor=False)
            frame.show(parts.request(requests[digest]), digest)
    _others(view, wanted, evidence.case)


def _others(view: RunView, wanted: str, case: str) -> None:
    """The findings that rest on this piece: each has the other cases that are affected."""
    rows = [row for row in view.rows if wanted in row.finding.evidence]
    if not rows:
        return
    st.subheader("Who else is affected", anchor=False)
    st.caption(f"Findings that show this case ({reading.escaped(case)}); each has the other cases behind it.")
    frame.show(frame.fragments(view).resting_on(rows), "others")
