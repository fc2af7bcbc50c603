"""Before the server listens it reads the run that opens first; what it cannot read does not keep it from serving."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from dashboard_world import World

from audit.store import Store
from dashboard import reading, warm
from dashboard.settings import PREFIX


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def test_the_run_that_opens_first_is_read(world_of_runs: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}STORE", str(world_of_runs.path))
    warm.up()
    (head,) = reading.heads()[:1]
    monkeypatch.setattr(Store, "findings", lambda *_: pytest.fail("they were read before"))
    assert reading.view(head).run.id == world_of_runs.run
    assert reading.view(head).rows


def test_what_cannot_be_read_is_left_to_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "damaged.sqlite"
    monkeypatch.setenv(f"{PREFIX}STORE", str(path))
    warm.up()  # there is no store at all
    with Store(path) as store:
        store.create_run("x", config={}, target={}, versions={}, seed=1)
    for body in ("{", '{"config":{},"target":{},"versions":{},"seed":1,"notes":[],"policy":{"rules":7}}'):
        with sqlite3.connect(path) as db:
            db.execute("UPDATE runs SET body = ?", (body,))
        db.close()
        st.cache_resource.clear()
        warm.up()
