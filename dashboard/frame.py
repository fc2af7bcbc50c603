"""What every page has: the style of the report, the run on the left, a head line, and a fragment on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

import streamlit as st
from markupsafe import Markup

from audit.report import facts, words
from audit.report.fragments import CLASS, Fragments, stylesheet
from audit.report.view import RunView
from audit.store import RunHead
from audit.text import count, one_line
from dashboard import place, reading

_OWN = """
button[aria-label="Download as CSV"] { display: none; }
.block-container { max-width: 78rem; padding: 2.6rem 2rem 4rem; }
[data-testid="stMain"] h1 { font-size: 2rem; padding: 0 0 .3rem; }
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stDownloadButton"] { display: none; }
  .block-container { max-width: none; padding: 0; }
}
"""
_INSIDE = f"""
.{CLASS} {{ background: none; }}
.take {{ margin: .1rem 0 .6rem; }}
.take button {{ font: .75rem system-ui, sans-serif; color: inherit; background: none; cursor: pointer;
  border: 1px solid #8888; border-radius: 4px; padding: .1rem .5rem; margin-right: .4rem; }}
@media print {{ .take {{ display: none; }} }}
"""
MOST = 200
"""Runs in the list on the left; older ones are found by their address or on the page of runs."""


@cache
def style() -> str:
    """The style sheet of the pages around the fragments."""
    return f"<style>{_OWN}</style>"


@cache
def _mounted() -> Callable[..., Any]:
    script = files("dashboard").joinpath("fragment.js").read_text("utf-8")
    sheet = f"{stylesheet()}{_INSIDE}"
    mount: Callable[..., Any] = st.components.v2.component(
        "recaudit_fragment", html='<div class="place"></div>', css=sheet, js=script
    )
    return mount


def show(fragment: Markup, key: str) -> None:
    """Put a part of the report on the page; its links open pages of the dashboard.

    Args:
        fragment: of `audit.report.fragments`.
        key: unique on the page.
    """
    told = _mounted()(
        data={"html": str(fragment), "name": f"recaudit-{key}"}, key=f"fragment-{key}", on_link_change=lambda: None
    )
    if told.link:
        page, _, words_ = str(told.link).partition("?")
        place.go(page, dict(parse_qsl(words_)))


def pick() -> RunHead:
    """The list of runs on the left, and the run that is looked at."""
    current = place.current()
    newest = reading.heads()[:MOST]
    offered = newest if any(r.id == current.id for r in newest) else [current, *newest]
    ids = [r.id for r in offered]
    names = _names(offered)
    with st.sidebar:
        st.selectbox(
            "Run",
            ids,
            index=ids.index(current.id),
            format_func=lambda run: names[run],
            key=f"pick-{current.id}",
            on_change=_picked,
            args=(f"pick-{current.id}",),
        )
    return current


def _names(offered: Sequence[RunHead]) -> dict[str, str]:
    """What each run is called in a list; no two alike, since a browser sends back the words that were chosen."""
    # The time first: the list is narrow, and the name stands at the head of the page.
    names = {r.id: f"{r.created[:16].replace('T', ' ')} · {one_line(r.name)}" for r in offered}
    often = Counter(names.values())
    return {run: f"{name} · {run[-6:]}" if often[name] > 1 else name for run, name in names.items()}


def _picked(key: str) -> None:
    for word in (place.FINDING, place.EVIDENCE):
        st.query_params.pop(word, None)
    place.remember(st.session_state[key])


def view() -> RunView:
    """The run that is looked at."""
    return reading.view(pick())


def fragments(of: RunView) -> Fragments:
    """The parts of its report, with links to this dashboard."""
    return Fragments(of, partial(_where, of.run.id))


def _where(run: str, kind: str, key: str) -> str:
    return place.link(kind, run=run, **{kind: key})


def head(of: RunView, title: str, said: str = "") -> None:
    """The head of a page: its title, and of what run it speaks."""
    run = of.run
    st.title(reading.escaped(title), anchor=False)
    users = f" · {count(of.users, 'user')}" if of.users else ""
    told = f"{run.name} · target {facts.target(run)} · {of.dataset}{users} · {facts.date(run)}"
    st.caption(reading.escaped(told))
    if said:
        st.markdown(reading.escaped(said))


def module(of: RunView, name: str) -> None:
    """The page of a module: its charts, then its findings group by group."""
    title, question = words.module(name)
    head(of, title, question)
    found = next((m for m in of.modules if m.id == name), None)
    if found is None:
        st.info(f"This run has no findings of the module {name}.", icon=":material/info:")
        return
    parts = fragments(of)
    figures = parts.figures(found)
    if figures.striptags().strip():
        show(figures, "figures")
    for group in found.groups:
        st.subheader(reading.escaped(one_line(group.title)), anchor=False)
        if group.hint:
            st.caption(reading.escaped(group.hint))
        if group.pressing:
            show(parts.rows(group, group.pressing), f"{group.key}-pressing")
        if group.calm:
            with st.expander(f"{len(group.calm)} passed or only measured", expanded=not group.pressing):
                show(parts.rows(group, group.calm), f"{group.key}-calm")
    if found.untestable:
        st.subheader("Not testable", anchor=False)
        st.caption("None of these counts as passed.")
        for finding in found.untestable:
            st.markdown(f"- **{reading.escaped(finding.title)}**: {reading.escaped(finding.reason)}")
