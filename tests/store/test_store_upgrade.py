"""A store of an older version is upgraded when somebody says so, and loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from audit.errors import StoreError
from audit.store import SCHEMA, Store, schema
from audit.store.upgrade import status, upgrade
from audit.types import Ranked

OLD = """
CREATE TABLE meta (schema INTEGER NOT NULL PRIMARY KEY);
INSERT INTO meta VALUES (1);
CREATE TABLE runs (id VARCHAR(40) NOT NULL PRIMARY KEY, name TEXT NOT NULL, created VARCHAR(32) NOT NULL,
  status VARCHAR(16) NOT NULL, verdict VARCHAR(16), body TEXT NOT NULL);
CREATE TABLE requests (digest VARCHAR(64) NOT NULL PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE answers (key VARCHAR(64) NOT NULL PRIMARY KEY, request VARCHAR(64) NOT NULL, repeat INTEGER NOT NULL,
  outcome VARCHAR(16) NOT NULL, body TEXT NOT NULL);
CREATE INDEX answers_request ON answers (request, repeat);
CREATE TABLE asked (run VARCHAR(40) NOT NULL, key VARCHAR(64) NOT NULL, fresh BOOLEAN NOT NULL,
  prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds FLOAT NOT NULL, PRIMARY KEY (run, key));
CREATE TABLE findings (run VARCHAR(40) NOT NULL, module VARCHAR(40) NOT NULL, ordinal INTEGER NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (run, module, ordinal));
CREATE TABLE evidence (run VARCHAR(40) NOT NULL, id VARCHAR(16) NOT NULL, module VARCHAR(40) NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (run, id));
INSERT INTO runs VALUES ('20260101-000000-abcdef', 'old', '2026-01-01T00:00:00+00:00', 'finished', 'pass',
  '{"config":{},"notes":["é"],"policy":{},"seed":7,"target":{"name":"t"},"versions":{}}');
INSERT INTO requests VALUES ('d1', '{}');
INSERT INTO answers VALUES ('k1', 'd1', 0, 'ok',
  '{"ranked":[{"item_id":"i1","title":"Amélie 🎬","score":0.5}],"outcome":"ok"}');
INSERT INTO asked VALUES ('20260101-000000-abcdef', 'k1', TRUE, 10, 5, 0.5);
INSERT INTO findings VALUES ('20260101-000000-abcdef', 'quality', 0,
  '{"module":"quality","metric":"hr","title":"Hit rate","params":{"k":5},"estimate":0.5,"ci":[0.4,0.6],"n":9}');
INSERT INTO evidence VALUES ('20260101-000000-abcdef', 'e1', 'quality', '{"case":"u1","title":"A case"}');
"""
"""The tables as the first version made them, in plain SQL, with a row in each."""
COLUMNS = {
    "runs": "id, name, created, status, verdict, body",
    "requests": "digest, body",
    "answers": "key, request, repeat, outcome, body",
    "asked": "run, key, fresh, prompt_tokens, completion_tokens, seconds",
    "findings": "run, module, ordinal, body",
    "evidence": "run, id, module, body",
}
"""What the first version kept, table by table."""


def connected(location: str) -> sa.Engine:
    url = sa.make_url(location) if "://" in location else sa.URL.create("sqlite", database=location)
    return sa.create_engine(url.set(drivername="postgresql+psycopg") if "://" in location else url)


def run_sql(location: str, script: str) -> None:
    engine = connected(location)
    with engine.begin() as db:
        for statement in filter(str.strip, script.split(";\n")):
            db.exec_driver_sql(statement)
    engine.dispose()


def content(location: str) -> dict[str, list[tuple[object, ...]]]:
    engine = connected(location)
    with engine.connect() as db:
        found = {t: [tuple(r) for r in db.exec_driver_sql(f"SELECT {c} FROM {t}")] for t, c in COLUMNS.items()}  # noqa: S608
    engine.dispose()
    return found


@pytest.fixture
def old(location: str) -> str:
    run_sql(location, OLD)
    return location


def test_an_older_store_says_how_it_is_upgraded_and_is_not_touched(old: str) -> None:
    before = content(old)
    for create in (True, False):
        with pytest.raises(StoreError) as caught:
            Store(old, create=create)
        said = str(caught.value)
        assert f"has schema 1, this version reads {SCHEMA}; upgrade it with `recaudit store upgrade --store " in said
        assert "never-shown" not in said
        assert "\n" not in said
    found = status(old)
    assert (found.schema, found.wanted, found.state, found.runs) == (1, SCHEMA, "older", 1)
    assert content(old) == before


def test_an_upgrade_loses_nothing_and_the_store_works(old: str) -> None:
    before = content(old)
    done = upgrade(old)
    assert (done.before, done.after) == (1, SCHEMA)
    assert content(old) == before
    assert status(old).state == "current"
    with Store(old) as store:
        run = store.run("latest").id
        assert store.run(run).notes == ("é",)
        assert store.answers(["k1"])["k1"].ranked == (Ranked("i1", "Amélie 🎬", 0.5),)
        assert store.usage(run).to_dict()["queries"] == 1
        assert store.outcomes(run) == {"ok": 1}
        assert [(head.id, head.target, head.status) for head in store.heads()] == [(run, "t", "finished")]
        assert [f.estimate for f in store.findings(run)] == [0.5]
        assert store.evidence(run)["e1"].title == "A case"
        assert store.values(run, "f1") == {}
        store.save_module(run, "robustness", [], [], {"f1": {"u1": 0.5}})
        store.save_search(run, "s", [1])
        assert store.values(run, "f1") == {"u1": 0.5}
        assert store.search(run, "s") == [1]
    again = upgrade(old)
    assert (again.before, again.after, again.copy) == (SCHEMA, SCHEMA, None)


def test_an_upgrade_counts_the_answers_of_runs_that_have_ended(old: str) -> None:
    run_sql(
        old,
        """INSERT INTO runs SELECT 'going-on', name, created, 'running', NULL, body FROM runs;
INSERT INTO runs SELECT 'damaged', name, created, 'stopped', NULL, '{' FROM runs WHERE id <> 'going-on';
INSERT INTO asked VALUES ('going-on', 'k1', FALSE, 0, 0, 0.0)""",
    )
    upgrade(old)
    engine = connected(old)
    with engine.connect() as db:
        kept = [tuple(row) for row in db.execute(sa.select(schema.totals).order_by(schema.totals.c.run))]
    engine.dispose()
    assert kept == [("20260101-000000-abcdef", 1, 0, 10, 5, 0.5, '{"ok": 1}'), ("damaged", 0, 0, 0, 0, 0.0, "{}")]
    with Store(old) as store:
        assert {head.id: head.target for head in store.heads()}["damaged"] == ""
        assert store.usage("going-on").reused == 1


def test_tables_that_an_old_store_was_given_since_keep_their_rows(old: str) -> None:
    """For a while, opening a store of version 1 added them."""
    later = (schema.values, schema.searches)
    engine = connected(old)
    schema.metadata.create_all(engine, tables=later)
    with engine.begin() as db:
        db.execute(sa.insert(schema.searches).values(run="r", name="s", body="[2]"))
    engine.dispose()
    upgrade(old)
    with Store(old) as store:
        assert store.search("r", "s") == [2]


def test_migrations_make_what_the_models_say(old: str) -> None:
    """Alembic's own comparison, of an upgraded store and of a new one."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences() -> list[object]:
        engine = connected(old)
        with engine.connect() as db:
            context = MigrationContext.configure(
                db, opts={"compare_type": True, "include_name": lambda name, *_: name != "alembic_version"}
            )
            found: list[object] = compare_metadata(context, schema.metadata)
        engine.dispose()
        return found

    assert differences()  # it sees the tables that are missing
    upgrade(old)
    assert differences() == []


def test_migrations_from_nothing_make_what_the_models_say(location: str) -> None:
    """The first revision too, which no store has to go through."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from audit.store.upgrade import _migrate

    engine = connected(location)
    with engine.begin() as db:
        _migrate(db, None)
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"include_name": lambda name, *_: name != "alembic_version"})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_a_newer_store_is_refused(location: str) -> None:
    Store(location).close()
    run_sql(location, "UPDATE meta SET schema = schema + 1")
    assert status(location).state == "newer"
    with pytest.raises(StoreError, match=f"has schema {SCHEMA + 1}.*upgrade RecAudit itself"):
        upgrade(location)
    with pytest.raises(StoreError, match="open it with a newer RecAudit"):
        Store(location)


def test_an_upgrade_that_fails_changes_nothing(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(old)

    def broken(db: sa.Connection, version: int) -> None:
        migrate(db, version)
        db.exec_driver_sql("CREATE TABLE runs (id INTEGER)")  # is there already

    from audit.store import upgrade as module

    migrate = module._migrate
    monkeypatch.setattr(module, "_migrate", broken)
    with pytest.raises(StoreError, match="cannot upgrade"):
        upgrade(old)
    assert content(old) == before
    engine = connected(old)
    assert not {"searches", "finding_values", "alembic_version"} & set(sa.inspect(engine).get_table_names())
    engine.dispose()
    assert status(old).schema == 1


def test_two_upgrades_at_once_are_one(old: str) -> None:
    code = "import sys; from audit.store.upgrade import upgrade; print(upgrade(sys.argv[1]).before)"
    both = [
        subprocess.Popen([sys.executable, "-c", code, old], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60) for process in both]
    assert sorted(out.strip() for out, _ in told) == ["1", str(SCHEMA)], told
    with Store(old) as store:
        assert len(store.runs()) == 1


def test_a_file_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    path = str(tmp_path / "runs.sqlite")
    run_sql(path, OLD)
    before = content(path)
    (tmp_path / "runs.sqlite.v1.bak").write_text("an earlier copy")
    copy = upgrade(path).copy
    assert copy == tmp_path / "runs.sqlite.v1-2.bak"
    assert content(str(copy)) == before
    assert status(copy).schema == 1
    assert (tmp_path / "runs.sqlite.v1.bak").read_text() == "an earlier copy"


def test_what_is_no_store_is_not_upgraded(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        upgrade(tmp_path / "nothing.sqlite")
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(StoreError, match="holds no runs"):
        upgrade(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.sqlite"]


def test_opening_a_store_imports_no_alembic(tmp_path: Path) -> None:
    code = "import sys; from audit.store import Store; Store(sys.argv[1]).runs(); print('alembic' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "runs.sqlite")],
        env={**os.environ}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\n"
