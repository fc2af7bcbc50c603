"""What the pages ask the store: by an index each time, so that no page is slower for what the store holds besides."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import streamlit as st
from dashboard_world import World, fill
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from audit.run import Run
from audit.store import Store
from benchmarks.dashboard import make
from dashboard.settings import PREFIX
from dashboard.views import MODULES, PAGES

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
EVERY = [entry.path for entries in (*PAGES.values(), MODULES) for entry in entries]
LARGE = {"answers", "asked", "evidence", "findings", "finding_values", "requests", "searches"}
"""Tables that grow with what audits ask and find. The others have a row for each run."""
WHOLE = "compare"
"""The page that goes through all that two runs asked, because it tells which of it both did."""
Statement = tuple[str, Any]


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def world(location: str, tmp_path: Path) -> World:
    """The made-up store, on each database."""
    with Store(location) as store:
        return fill(store, tmp_path / "runs.sqlite")


def open_page(monkeypatch: pytest.MonkeyPatch, store: str, page: str, **words: str) -> None:
    """A first visit: nothing is remembered."""
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setenv(f"{PREFIX}STORE", store)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update(words)
    app._page_hash = calc_hash(page)
    app.run()
    assert not app.exception
    assert not app.error


@contextmanager
def heard() -> Iterator[list[Statement]]:
    """Every statement that any connection sends in between."""
    found: list[Statement] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", hear)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", hear)


def asked_by(monkeypatch: pytest.MonkeyPatch, location: str, world: World, page: str, run: str) -> list[Statement]:
    words = {"finding": world.finding, "evidence": world.evidence} if run == world.run else {}
    with heard() as found:
        open_page(monkeypatch, location, page, run=run, **words)
    # What is about tables of a store; each database is also asked about itself when it is opened.
    told = [(statement, parameters) for statement, parameters in found if re.search(r"\bFROM (?!pg_)\w", statement)]
    return [s for s in told if not re.search(r"FROM (meta|sqlite_master)|pg_catalog", s[0])]


@contextmanager
def database(location: str) -> Iterator[sa.Connection]:
    with Store(location, create=False) as store, store.engine.connect() as db:
        yield db


def plan(db: sa.Connection, statement: Statement) -> list[str]:
    """How the database goes about it: on which table, by which index, by which columns of it; a line for each table."""
    text, parameters = statement
    if db.dialect.name == "sqlite":
        return [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)]
    # A server reads a table of ten rows whole, whatever the indexes: is there any other way?
    db.exec_driver_sql("SET enable_seqscan = off")
    (told,) = db.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", parameters).one()
    return list(_nodes((json.loads(told) if isinstance(told, str) else told)[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in node:
        whole = node["Node Type"] == "Seq Scan"
        yield f"{'SCAN' if whole else 'SEARCH'} {node['Relation Name']} {node.get('Index Cond', '')}"
    for part in node.get("Plans", ()):
        yield from _nodes(part)


@pytest.mark.parametrize("page", EVERY)
def test_no_page_reads_a_large_table_through(
    monkeypatch: pytest.MonkeyPatch, location: str, world: World, page: str
) -> None:
    statements = asked_by(monkeypatch, location, world, page, world.run)
    assert statements
    with database(location) as db:
        for statement in statements:
            for line in plan(db, statement):
                how, _, of = line.partition(" ")
                table = of.partition(" ")[0]
                assert how != "SCAN" or table not in LARGE, f"{line}\n{statement[0]}"
                if db.dialect.name == "sqlite" and page != WHOLE:
                    # By the first column of its index alone, it would be read through for the run.
                    assert table != "asked" or "key=?" in line, f"{line}\n{statement[0]}"
                    assert table != "evidence" or "id=?" in line, f"{line}\n{statement[0]}"


def test_the_pages_together_read_every_large_table_but_two(
    monkeypatch: pytest.MonkeyPatch, location: str, world: World
) -> None:
    """So that the test above sees what it is about."""
    seen: Counter[str] = Counter()
    for page in EVERY:
        for statement, _ in asked_by(monkeypatch, location, world, page, world.run):
            seen.update(set(re.findall(r"(?:FROM|JOIN) (\w+)", statement)))
    assert set(seen) >= LARGE - {"searches"}


def test_the_answers_of_a_run_are_counted_only_while_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, location: str, world: World
) -> None:
    def counted(run: str) -> bool:
        told = [s for s, _ in asked_by(monkeypatch, location, world, "overview", run)]
        return any("sum(" in s for s in told)

    assert counted(world.running)
    assert not counted(world.run)


STEP = 50
"""Instructions of SQLite's own machine between two counts."""


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores of as many runs and findings: the second with 20 times the evidence and the answers."""
    folder = tmp_path_factory.mktemp("sizes")
    paths = [folder / "small.sqlite", folder / "large.sqlite"]
    for path, pieces in zip(paths, (300, 6_000), strict=True):
        make(path, runs=2, pieces=pieces)
    return paths


@pytest.mark.parametrize("page", [page for page in EVERY if page != WHOLE])
def test_a_page_costs_as_much_whatever_the_store_holds_besides(
    monkeypatch: pytest.MonkeyPatch, sizes: list[Path], page: str
) -> None:
    def steps(path: Path) -> int:
        with Store(path, create=False) as store:
            run = Run(store.run("latest"), store)
            shown = next(f for f in run.findings if f.module == "robustness" and f.evidence)
        counted = [0]

        def count() -> int:
            counted[0] += 1
            return 0

        def connected(connection: Any, _: object) -> None:
            connection.set_progress_handler(count, STEP)

        sa.event.listen(sa.pool.Pool, "connect", connected)
        try:
            open_page(monkeypatch, str(path), page, run=run.id, finding=shown.id, evidence=shown.evidence[0])
        finally:
            sa.event.remove(sa.pool.Pool, "connect", connected)
        return counted[0]

    small, large = map(steps, sizes)
    assert small > 0
    assert large <= small * 1.5 + 10, f"{small * STEP:,} instructions for 600 pieces, {large * STEP:,} for 12,000"
