"""`recaudit dashboard`: what it refuses, in one sentence, before anything is served."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.cli import main


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Nothing is started: what would have been is noted."""
    started: list[dict[str, Any]] = []

    class Server:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            started.append({"command": command, "env": env})

        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def poll(self) -> int:
            return 0

        wait = poll

    monkeypatch.setattr(subprocess, "Popen", Server)
    return started


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return int(holder.getsockname()[1])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["dashboard", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5"])  # noqa: S104 - what is refused
def test_an_address_that_others_reach_needs_a_door(
    address: str, empty: Path, capsys: pytest.CaptureFixture[str], served: list[Any]
) -> None:
    said = refused(capsys, "--store", empty, "--address", address)
    assert address in said
    assert "--password-env" in said
    assert "--user-header" in said
    assert served == []


def test_a_taken_port(empty: Path, taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--store", empty, "--port", taken)
    assert f"127.0.0.1:{taken}" in said
    assert "choose another --port" in said


def test_a_store_that_is_not_there(tmp_path: Path, free: int, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "--store", tmp_path / "absent.sqlite", "--port", free)
    assert "absent.sqlite does not exist" in said


def test_a_store_that_is_none(tmp_path: Path, free: int, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at " * 40)
    assert "not a SQLite database" in refused(capsys, "--store", tmp_path / "notes.txt", "--port", free)


@pytest.mark.parametrize("value", [None, ""])
def test_a_password_that_is_empty(
    value: str | None, empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASH_WORD", raising=False)
    if value is not None:
        monkeypatch.setenv("DASH_WORD", value)
    assert "'DASH_WORD'" in refused(capsys, "--store", empty, "--password-env", "DASH_WORD")


def test_a_configuration_for_live_use_is_checked(tmp_path: Path, empty: Path, capsys: Any) -> None:
    assert "absent.yaml" in refused(capsys, "--store", empty, "--live", tmp_path / "absent.yaml")


def test_the_password_goes_in_the_environment_and_not_in_the_arguments(
    empty: Path, free: int, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASH_WORD", "correct horse")
    monkeypatch.setenv("RECAUDIT_DASHBOARD_LIVE", "left over from an earlier one")
    options = ["--store", str(empty), "--port", str(free), "--password-env", "DASH_WORD"]
    assert main(["dashboard", "--headless", *options]) == 0
    (started,) = served
    assert started["command"][-4:] == ["--address", "127.0.0.1", "--port", str(free)], "loopback is the default"
    assert not [word for word in started["command"] if "correct" in word]
    assert started["env"]["RECAUDIT_DASHBOARD_PASSWORD"] == "correct horse"
    assert started["env"]["RECAUDIT_DASHBOARD_STORE"] == str(empty)
    assert "RECAUDIT_DASHBOARD_LIVE" not in started["env"]
    assert "DASH_WORD" in os.environ
