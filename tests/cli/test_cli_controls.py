"""`recaudit controls`: a table per module, a file that can be read again, and exit codes that mean something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli_workspace import Cli

from audit.controls import controls as chosen
from audit.controls import measure
from audit.controls.control import Control
from audit.controls.measured import Measured

SIZES = (0.0, 0.6)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two repetitions, in this process, on a control with few users."""
    control = replace(chosen(control="refusals")[0], users=20, sizes=SIZES, claimed=0.6, history=5)
    monkeypatch.setattr("audit.controls.registry.available", lambda: {"refusals": control})
    monkeypatch.setattr(measure, "EFFORTS", {"quick": measure.Effort(claim=2, other=0, users=())})
    monkeypatch.setattr("audit.cli.controls._PROCESSES", 1)
    monkeypatch.setattr(measure, "kept_file", lambda seed: tmp_path / f"{seed}.jsonl")


def test_a_line_for_each_control_and_a_file_to_keep(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "controls.json"
    called = cli("controls", "--output", str(file))
    assert called.code == 0
    assert "Refusals" in called.out
    assert "2/2" in called.out
    assert "0/2" in called.out
    assert "a share of users is refused" in called.out
    assert "4 of 4 repetitions" in called.err
    kept = Measured.from_dict(json.loads(file.read_text()))
    assert [cell.size for cell in kept.cells] == list(SIZES)
    assert kept.versions["recaudit"]
    again = cli("controls", "--format", "json", "-q")
    assert json.loads(again.out)["cells"] == json.loads(file.read_text())["cells"]
    assert again.err == ""


def test_a_claim_that_is_shown_not_to_hold_ends_with_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Control, "sees", lambda *_: False)
    called = cli("controls", "-q")
    assert called.code == 1
    assert "misses" in called.out


def test_an_unknown_control_is_bad_input(cli: Cli) -> None:
    called = cli("controls", "--control", "refusal")
    assert called.code == 2
    assert "refusals" in called.err
