"""The dashboard: which pages there are. Streamlit runs this file from its top at each click of a visitor."""

from __future__ import annotations

import streamlit as st
from streamlit import Page

from dashboard import frame, place, reading
from dashboard.views import LIVE, MODULES, PAGES, Entry

st.set_page_config(page_title="RecAudit", page_icon="⚖️", layout="wide", initial_sidebar_state="auto")
st.html(frame.style())


def _page(entry: Entry) -> Page:
    return st.Page(
        reading.guarded(entry.page),
        title=entry.title,
        icon=entry.icon,
        url_path=entry.path,
        default=entry.path == place.HOME,
    )


_MENU = {**PAGES, "Modules": MODULES, **({"Target": LIVE} if reading.settings().live else {})}
_SECTIONS = {section: [_page(e) for e in entries] for section, entries in _MENU.items()}
st.session_state["pages"] = {
    entry.path: page
    for section, entries in _MENU.items()
    for entry, page in zip(entries, _SECTIONS[section], strict=True)
}
st.navigation(_SECTIONS, expanded=True).run()
