"""Asking a target from the dashboard: only where one was named, titles by the catalogue's matcher, nothing stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
import yaml
from dashboard_world import SCRIPT
from helpers import write_world
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from audit import runner
from audit.data.dataset import Dataset
from dashboard.live import Live, Typed
from dashboard.settings import PREFIX

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
TARGET = f"""
def build(catalog):
    titles = [item.title for item in catalog.items_in_order]
    def recommend(history, candidates, k):
        last = titles.index(history[-1]) if history else 0
        return ([{SCRIPT!r}] + titles[last + 1:] + titles)[:k]
    return recommend
"""
"""It goes on in the catalogue from the last title of the history, behind a title that is none."""


@pytest.fixture(scope="module")
def config(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    (folder / "tryrec.py").write_text(TARGET)
    audit = {
        "name": "live",
        "dataset": write_world(world, folder),
        "target": {"kind": "python", "factory": "tryrec:build"},
        "modules": {"quality": {}},
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit))
    return folder / "audit.yaml"


@pytest.fixture(scope="module")
def live(config: Path) -> Live:
    return Live(runner.prepare(config))


@pytest.fixture
def page(config: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    st.cache_resource.clear()
    monkeypatch.setenv(f"{PREFIX}STORE", str(empty))
    monkeypatch.setenv(f"{PREFIX}LIVE", str(config))
    app = AppTest.from_file(str(APP), default_timeout=60)
    app._page_hash = calc_hash("try")
    yield app.run()
    st.cache_resource.clear()
    st.cache_data.clear()


def titles(typed: Typed) -> list[str]:
    return [event.item.title for event in typed.events]


def test_titles_are_held_against_the_catalogue(live: Live, world: Dataset) -> None:
    known = [item.title for item in world.catalog.items_in_order[:2]]
    typed = live.typed(f"{known[1].upper()}\n\n  {known[0]}  \nNo Such Thing At All (1901)")
    assert titles(typed) == [known[1], known[0]]
    assert typed.unknown == (("No Such Thing At All (1901)", "no item of the catalogue"),)


def test_a_very_long_history_is_cut(live: Live, world: Dataset) -> None:
    many = [item.title for item in world.catalog.items_in_order]
    assert len(many) > 50
    assert titles(live.typed("\n".join(many))) == many[:50]


def test_a_title_that_moves_the_list_is_told_from_one_that_does_not(live: Live, world: Dataset) -> None:
    items = [item.title for item in world.catalog.items_in_order]
    request = live.request(live.typed("\n".join(items[:3])).events, "", 4)
    (answer,) = live.ask([request])
    assert [entry.title for entry in answer.ranked] == [SCRIPT, *items[3:6]]
    found = live.without_each(request, answer)
    assert [w.title for w in found] == items[:3]
    assert [w.new for w in found] == [0, 0, 1], "only the last title counts for this target"
    assert not any(w.moved for w in found)


def test_the_page_is_not_in_the_menu_by_default(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    st.cache_resource.clear()
    monkeypatch.setenv(f"{PREFIX}STORE", str(empty))
    monkeypatch.delenv(f"{PREFIX}LIVE", raising=False)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert "try" not in {p["url_pathname"] for p in app._registered_pages.values()}
    st.cache_resource.clear()
    st.cache_data.clear()


def test_a_visitor_asks_and_nothing_is_stored(page: AppTest, empty: Path) -> None:
    before = empty.read_bytes()
    assert not page.exception
    page.checkbox[0].check()
    page.button[0].click().run()
    assert not page.exception
    assert [s.value for s in page.subheader] == ["What it says", "What moved it"]
    assert len(page.dataframe[0].value) == len(page.text_area[0].value.splitlines())
    assert empty.read_bytes() == before


def test_an_unknown_title_is_named_and_an_empty_history_refused(page: AppTest) -> None:
    page.text_area[0].input(SCRIPT)
    page.button[0].click().run()
    assert not page.exception
    (warned,) = page.warning
    assert "no item of the catalogue" in warned.value
    assert "<script" not in warned.value.replace(r"\<", "")
    assert "type at least one title" in page.error[0].value
    assert not page.subheader
