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
from audit.report.view import Group, RunView
from audit.store import RunHead
from audit.text import count, one_line
from dashboard import place, reading, tables

_OWN = """
button[aria-label="Download as CSV"] { display: none; }
.block-container { max-width: 78rem; padding: 2.6rem 2rem 4rem; }
[data-testid="stMain"] h1 { font-size: 2rem; padding: 0 0 .3rem; overflow-wrap: anywhere; }
[data-testid="stMetricValue"] { font-size: 1.5rem; }
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stDownloadButton"] { display: none; }
  .block-container { max-width: none; padding: 0; }
}
"""
_INSIDE = f"""
.{CLASS} {{ background: none; font-family: var(--st-font, system-ui, sans-serif); }}
.{CLASS} svg text {{ font-family: inherit; }}
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
    drawn = _folded if len(found.groups) > OPEN else _open
    for group in found.groups:
        drawn(parts, group)
    if found.untestable:
        st.subheader("Not testable", anchor=False)
        st.caption("None of these counts as passed.")
        for finding in found.untestable:
            st.markdown(f"- **{reading.escaped(finding.title)}**: {reading.escaped(finding.reason)}")
    rows = [row for group in found.groups for row in group.rows]
    tables.download([tables.line(row) for row in rows], f"{name}-{of.run.id}", key="module")


OPEN = 10
"""Groups of findings that stand open on a page; where there are more, each is folded under its name."""


def _open(parts: Fragments, group: Group) -> None:
    st.subheader(reading.escaped(one_line(group.title)), anchor=False)
    if group.hint:
        st.caption(reading.escaped(group.hint))
    if group.pressing:
        show(parts.rows(group, group.pressing), f"{group.key}-pressing")
    if group.calm:
        with st.expander(f"{len(group.calm)} passed or only measured", expanded=not group.pressing):
            show(parts.rows(group, group.calm), f"{group.key}-calm")


def _folded(parts: Fragments, group: Group) -> None:
    often = Counter(row.finding.verdict for row in group.rows)
    told = " · ".join(
        f"{often[v]} {words.VERDICT_SHAPES[v]} {words.VERDICT_WORDS[v]}" for v in words.VERDICT_ORDER if often[v]
    )
    with st.expander(f"{reading.escaped(one_line(group.title))}: {told}"):
        if group.hint:
            st.caption(reading.escaped(group.hint))
        show(parts.rows(group, [*group.pressing, *group.calm]), group.key)
