"""What the command line says of a store: its version, its upgrade, and a server that went away."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import postgres
import pytest
from cli_workspace import Cli, Workspace

from audit.store import SCHEMA, Store, database


@pytest.fixture
def older(work: Workspace) -> Workspace:
    """A folder whose store has version 1: without the tables that came later."""
    Store(work.store).close()
    with sqlite3.connect(work.store) as db:
        db.executescript(
            "DROP TABLE searches; DROP TABLE finding_values; DROP TABLE run_totals; DROP INDEX runs_created; "
            "ALTER TABLE runs DROP COLUMN target; ALTER TABLE runs DROP COLUMN changed; UPDATE meta SET schema = 1;"
        )
    db.close()
    return work


def test_an_older_store_is_upgraded_by_a_command(older: Workspace, cli: Cli) -> None:
    refused = cli("list", "--store", older.store)
    assert refused.code == 2
    assert "has schema 1" in refused.err
    assert "upgrade it with `recaudit store upgrade`" in refused.err  # of the default store, which needs no --store
    said = cli("store", "status", "--store", older.store)
    assert said.code == 0
    assert "sqlite, schema 1, 0 runs" in said.out.replace("\n", " ")
    assert json.loads(cli("store", "status", "--format", "json").out)["state"] == "older"
    done = cli("store", "upgrade", "--store", older.store)
    assert done.code == 0
    assert f"from schema 1 to {SCHEMA}" in done.out
    assert f"{older.store}.v1.bak" in done.out.replace("\n", "")
    assert "nothing was changed" in cli("store", "upgrade").out
    assert "can be used as it is" in cli("store", "status").out
    assert cli("run", older.config, "--quiet").code == 0


def test_a_newer_store_is_named(older: Workspace, cli: Cli) -> None:
    with sqlite3.connect(older.store) as db:
        db.execute("UPDATE meta SET schema = 99")
    db.close()
    assert "upgrade RecAudit" in cli("store", "status").out
    refused = cli("store", "upgrade")
    assert refused.code == 2
    assert "has schema 99" in refused.err


def test_no_store_is_one_sentence(work: Workspace, cli: Cli) -> None:
    for command in ("status", "upgrade"):
        called = cli("store", command)
        assert called.code == 2
        assert "does not exist; run an audit first" in called.err
    assert "status" in cli("store").out


@pytest.mark.postgres
def test_the_command_says_how_to_go_on(
    postgres_again: postgres.Server,
    work: Workspace,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.5)
    written = Store.save_module

    def stopped(self: Store, *arguments: Any) -> None:
        postgres_again.stop()
        written(self, *arguments)

    monkeypatch.setattr(Store, "save_module", stopped)
    told = cli("run", work.config, "--store", postgres_again.url, "--quiet")
    assert told.code == 3
    assert "recaudit resume " in told.err
    assert "the connection was lost" in told.err
    assert "never-shown" not in told.err
    monkeypatch.setattr(Store, "save_module", written)
    postgres_again.start()
    assert cli("resume", told.last, "--store", postgres_again.url, "--quiet").code == 0
