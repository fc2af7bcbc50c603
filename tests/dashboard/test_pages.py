"""Every page over a made-up store: nothing fails, and what is missing or wrong is said in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
import streamlit as st
from dashboard_world import PIECE, World
from hostile import HTML, MARKDOWN
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from audit.policy import load
from audit.store import Store
from dashboard import reading
from dashboard.settings import PREFIX
from dashboard.views import MODULES, PAGES

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
EVERY = [entry.path for entries in (*PAGES.values(), MODULES) for entry in entries]
Visit = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    """Streamlit keeps what pages read for the whole process; each test has its own store."""
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def visit(world_of_runs: World, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Open a page by its address; of the made-up store, unless another is named."""

    def go(page: str = "overview", store: Path = world_of_runs.path, **words: str) -> AppTest:
        st.cache_resource.clear()
        st.cache_data.clear()
        monkeypatch.setenv(f"{PREFIX}STORE", str(store))
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.query_params.update(words)
        # The pages are functions, which AppTest cannot name; Streamlit knows each by a digest of its address.
        app._page_hash = calc_hash(page)
        return app.run()

    return go


def said(app: AppTest) -> list[str]:
    assert not app.exception
    return [e.value for e in (*app.error, *app.info)]


@pytest.mark.parametrize("page", EVERY)
def test_every_page_is_drawn(visit: Visit, world_of_runs: World, page: str) -> None:
    app = visit(page, run=world_of_runs.run, finding=world_of_runs.finding, evidence=world_of_runs.evidence)
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1
    if page != "runs":
        assert app.query_params["run"] == world_of_runs.run
        assert app.caption[0].value.startswith("film")


@pytest.mark.parametrize("page", EVERY)
def test_an_empty_store_says_how_to_begin(visit: Visit, empty: Path, page: str) -> None:
    (told,) = said(visit(page, store=empty))
    assert "holds no runs yet" in told
    assert "recaudit run" in told


@pytest.mark.parametrize("content", [b"", b"not a database " * 400])
def test_a_broken_store_is_one_sentence(visit: Visit, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(content)
    (told,) = said(visit(store=path))
    assert "broken" in told
    assert "Traceback" not in told


def test_a_damaged_record_is_one_sentence(visit: Visit, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "damaged.sqlite"
    with Store(path) as store:
        store.create_run("x", config={}, target={}, versions={}, seed=1)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET body = '{'")
    db.close()
    (told,) = said(visit(store=path))
    assert "\n" not in told


def test_an_absent_store_is_one_sentence(visit: Visit, tmp_path: Path) -> None:
    (told,) = said(visit(store=tmp_path / "absent.sqlite"))
    assert "does not exist" in told


@pytest.mark.parametrize(
    ("page", "words"),
    [("overview", {"run": "nope"}), ("finding", {"finding": "nope"}), ("evidence", {"evidence": "nope"}),
     ("finding", {"run": "nope", "finding": "x"}), ("evidence", {"evidence": "<script>alert(1)</script>"})],
)  # fmt: skip
def test_an_address_of_nothing_is_one_sentence(visit: Visit, page: str, words: dict[str, str]) -> None:
    app = visit(page, **words)
    (told,) = [e.value for e in app.error]
    assert not app.exception
    assert "there is no" in told
    assert "<script" not in told.replace(r"\<", ""), "what the address says is escaped"


def test_a_run_in_progress_says_how_far_it_is(visit: Visit, world_of_runs: World) -> None:
    (told,) = said(visit(run=world_of_runs.running))
    assert "going on" in told
    assert "5 queries asked" in told
    assert "3 findings settled (Quality)" in told


def test_filters_narrow_and_an_empty_choice_is_told(visit: Visit, world_of_runs: World) -> None:
    app = visit(run=world_of_runs.run)
    everything = _counted(app)
    app.multiselect(key="filter-Module").select("Fairness").run()
    fair = _counted(app)
    assert 0 < fair < everything
    app.multiselect(key="filter-User group").select("attribute age").run()
    assert _counted(app) == 2
    app.multiselect(key="filter-Module").set_value(["Quality"]).run()
    assert "No finding passes these filters." in said(app)


def _counted(app: AppTest) -> int:
    (line,) = [c.value for c in app.caption if "Open one for its figures" in c.value]
    return int(line.split()[0])


def test_the_list_on_the_left_changes_the_run_and_forgets_the_finding(visit: Visit, world_of_runs: World) -> None:
    app = visit("finding", run=world_of_runs.run, finding=world_of_runs.finding)
    runs = app.selectbox(key=f"pick-{world_of_runs.run}")
    assert len(set(runs.options)) == 3, "runs of one name and minute are told apart"
    runs.select_index(1).run()
    assert not app.exception
    assert not app.error
    assert app.query_params["run"] == world_of_runs.earlier
    assert "finding" not in app.query_params


def test_compare_names_the_earlier_run_of_the_same_name(visit: Visit, world_of_runs: World) -> None:
    app = visit("compare", run=world_of_runs.run)
    assert app.query_params["with"] == world_of_runs.earlier


def test_compare_proposes_a_finished_run_before_one_that_was_stopped(visit: Visit, tmp_path: Path) -> None:
    path, policy = tmp_path / "three.sqlite", load("default", tmp_path).model_dump(mode="json")
    with Store(path) as store:
        made = [store.create_run("x", config={}, target={}, versions={}, seed=1, policy=policy) for _ in range(3)]
        runs = [record.id for record in made]
        for run, status in zip(runs, ("finished", "stopped", "finished"), strict=True):
            store.set_status(run, status)  # type: ignore[arg-type]  # any of the states, as a plain word
    app = visit("compare", store=path, run=runs[2])
    assert not app.exception
    assert app.query_params["with"] == runs[0]


def test_a_module_with_many_groups_folds_them_and_one_with_few_does_not(visit: Visit, world_of_runs: World) -> None:
    many, few = (visit(page, run=world_of_runs.run) for page in ("privacy", "quality"))
    assert len(few.subheader) >= 2
    assert any("measured" in e.label and ": " in e.label for e in many.expander)
    assert not [s.value for s in many.subheader if s.value not in {"Not testable", "What the promise costs"}]


def test_runs_can_be_found_by_a_part_of_their_name(visit: Visit, world_of_runs: World) -> None:
    app = visit("runs")
    assert any(c.value.startswith("3 runs") for c in app.caption)
    app.text_input[0].input(world_of_runs.earlier).run()
    assert any(c.value.startswith("1 run,") for c in app.caption)


def test_a_piece_of_evidence_has_its_case_as_title(visit: Visit, world_of_runs: World) -> None:
    app = visit("evidence", run=world_of_runs.run, evidence=world_of_runs.evidence)
    assert app.title[0].value == PIECE.title


@pytest.mark.parametrize("text", [*MARKDOWN, *HTML, ":material/home: :bomb:", "$x$ jane@evil.invalid WWW.evil.invalid"])
def test_streamlit_finds_nothing_to_turn_into_a_link_or_a_picture(text: str) -> None:
    shown = unescape(reading.escaped(text))
    assert not re.search(r"https?://|(?i:www)\.|@\w|(?<!\\)\[|:\w+:|:material/", shown)
    assert "$" not in reading.escaped(text)
    assert "<" not in reading.escaped(text).replace(r"\<", "")
