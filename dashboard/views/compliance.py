"""Frameworks, control by control: what of this run bears on each, and what was not tested."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from audit.policy import Policy, assess, load, packs
from audit.report.compliance import STATES, FrameworkView, gaps
from audit.report.view import RunView
from audit.text import one_line
from dashboard import frame, tables
from dashboard.tables import Cell

_OWN = "the run's own policy"


def page() -> None:
    """Draw it."""
    view = frame.view()
    frame.head(view, "Compliance")
    offered = [*([_OWN] if view.run.policy.frameworks else []), *_with_frameworks()]
    name = st.selectbox("Held to", offered, key="pack")
    policy = view.run.policy if name == _OWN else _pack(name)
    views = _assessed(view, policy)
    frame.show(frame.fragments(view).compliance(views), f"compliance-{name}")
    cells: list[dict[str, Cell]] = [
        {
            "Framework": one_line(v.framework.title),
            "Control": result.control.id,
            "Title": one_line(result.control.title),
            "State": STATES[result.state],
            "Findings": len(result.findings),
            "Not tested": one_line(gaps(result)),
        }
        for v in views
        for result in v.results
    ]
    tables.download(cells, f"compliance-{view.run.id}", key="compliance")


def _assessed(view: RunView, policy: Policy) -> list[FrameworkView]:
    results = assess(policy, policy.judge(view.run.measured))
    return [FrameworkView(f, [r for r in results if r.framework is f]) for f in policy.frameworks]


@st.cache_resource(show_spinner=False)
def _pack(name: str) -> Policy:
    return load(name, Path.cwd())


@st.cache_resource(show_spinner=False)
def _with_frameworks() -> list[str]:
    return [name for name in packs() if _pack(name).frameworks]
