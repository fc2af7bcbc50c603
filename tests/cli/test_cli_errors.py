"""Bad input: one sentence on standard error that names the mend, exit code 2, and no traceback."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from cli_workspace import Cli, Workspace

from audit.data import assets
from audit.store import Store


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nmae": "x"}, ["nmae", "'name'"]),
        ({"dataset": {"candidats": 3}}, ["dataset.candidats", "'candidates'"]),
        ({"dataset": {"interactions": "absent.csv"}}, ["absent.csv", "no such file"]),
        ({"target": {"kind": "pyton"}}, ["target.kind", "pyton"]),
        ({"target": {"factory": "rce:build"}}, ["rce", "'rec'"]),
        ({"target": {"factory": "rec:biuld"}}, ["biuld", "'build'"]),
        ({"target": None}, ["target is missing"]),
        ({"modules": {"qualty": {}}}, ["qualty", "'quality'"]),
        ({"modules": {"robustness": {"attacks": ["typso"]}}}, ["typso", "'typos'"]),
        ({"modules": {"robustness": {"atacks": []}}}, ["atacks", "'attacks'"]),
        ({"policy": "defualt"}, ["defualt", "'default'"]),
        ({"policy": "absent.yaml"}, ["absent.yaml", "no such file"]),
        ({"seed": "seven"}, ["seed", "seven"]),
        ({"budget": {"querys": 3}}, ["budget.querys", "'queries'"]),
    ],
)
def test_mistake_in_the_configuration(work: Workspace, cli: Cli, changes: dict[str, Any], words: list[str]) -> None:
    called = cli("run", work.write(**changes))
    assert called.code == 2
    assert called.out == ""
    assert called.err.startswith("error: ")
    assert called.err.count("\n") == 1
    for word in words:
        assert word in called.err


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"kind": "zoo", "name": "eese"}, ["target.name", "'ease'"]),
        ({"kind": "http", "url": "localhost:8000"}, ["target.url", "localhost:8000"]),
        ({"kind": "http", "url": "http//host"}, ["target.url", "http//host"]),
        ({"kind": "openai", "modl": "x"}, ["target.modl", "'model'"]),
    ],
)
def test_mistake_in_another_kind_of_target(work: Workspace, cli: Cli, target: dict[str, Any], words: list[str]) -> None:
    path = work.folder / "audit.yaml"
    work.write(target=None)
    path.write_text(path.read_text() + f"target: {target}\n")
    called = cli("run", path)
    assert called.code == 2
    for word in words:
        assert word in called.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], ["rnu", "run"]),
        (["run"], ["CONFIG"]),
        (["run", "absent.yaml"], ["absent.yaml", "recaudit init"]),
        (["run", "audit.yaml", "--profile", "fast"], ["fast", "quick"]),
        (["run", "audit.yaml", "--report", "out.pdf"], ["out.pdf", ".html"]),
        (["run", "audit.yaml", "--stoer", "x"], ["--stoer"]),
        (["run", "audit.yaml", "--store", "mysql://host/db"], ["mysql"]),
        (["run", "audit.yaml", "--store", "."], ["folder"]),
        (["show", "latest", "--store", "absent.sqlite"], ["absent.sqlite", "does not exist"]),
        (["list", "--store", "absent.sqlite"], ["absent.sqlite", "does not exist"]),
        (["list", "--store", "audit.yaml"], ["not a SQLite database"]),
        (["resume", "latest", "--budget", "queris=3"], ["queris", "'queries'"]),
        (["plugins", "atacks"], ["atacks", "attacks"]),
        (["targets", "chekc"], ["chekc"]),
        (["targets", "check", "absent.yaml"], ["absent.yaml"]),
        (["targets", "check", "audit.yaml", "--users", "1"], ["--users"]),
        (["assets", "fetch", "smollm"], ["smollm", "'smollm2'"]),
        (["assets", "verify", "smollm"], ["smollm", "'smollm2'"]),
        (["train", "sasrek"], ["sasrek", "'sasrec'"]),
        (["train", "popularity"], ["nothing to train"]),
        (["train", "sasrec", "--option", "epochs"], ["epochs", "name=value"]),
        (["init", "--target", "htpp"], ["htpp", "http"]),
        (["init"], ["audit.yaml", "--force"]),
    ],
)
def test_mistake_on_the_command_line(work: Workspace, cli: Cli, arguments: list[str], words: list[str]) -> None:
    if arguments[0] == "resume":
        Store(work.store).create_run("x", config={"base": "."}, target={}, versions={}, seed=1)
    called = cli(*arguments)
    assert called.code == 2
    assert called.err.startswith("error: ")
    assert called.err.count("\n") == 1
    for word in words:
        assert word in called.err


@pytest.mark.parametrize("command", ["show", "resume", "gate", "report"])
def test_unknown_run(finished: Workspace, cli: Cli, command: str) -> None:
    name = Store(finished.store).run("latest").id
    called = cli(command, name[:-1] + "_")
    assert called.code == 2
    assert name in called.err


@pytest.mark.parametrize("command", ["show", "resume", "gate", "report"])
def test_empty_store(work: Workspace, cli: Cli, command: str) -> None:
    Store(work.store).close()
    called = cli(command, "latest")
    assert called.code == 2
    assert "recaudit run" in called.err


def test_read_only_store(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(work.store).close()
    # Removing permissions does not stop root, so SQLite itself is told to refuse.
    real = Store._prepare

    def refuse(self: Store) -> None:
        @sa.event.listens_for(self.engine, "connect")
        def only_read(connection: Any, _: object) -> None:
            connection.execute("PRAGMA query_only = ON")

        real(self)

    monkeypatch.setattr(Store, "_prepare", refuse)
    assert cli("list").code == 0
    called = cli("run", work.config)
    assert called.code == 2
    assert "read-only" in called.err
    assert "--store" in called.err


def test_asset_that_cannot_be_fetched(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAUDIT_CACHE", str(work.folder / "cache"))
    called = cli("assets", "fetch", "ml-100k", "--from-dir", work.folder)
    assert called.code == 2
    assert assets.ASSETS["ml-100k"].package in called.err
