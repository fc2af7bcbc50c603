"""`recaudit controls`: a table per module, a file that can be read again, and exit codes that mean something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_workspace import Cli, Workspace

from audit.controls import controls as chosen
from audit.controls import measure, registry
from audit.controls.control import Control
from audit.controls.measured import Measured

SIZES = (0.0, 0.6)
ALL = chosen()


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


# Into one's own target ------------------------------------------------------------------------------------------------


def test_flaws_are_planted_into_the_target_of_a_configuration(cli: Cli, work: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    called = cli("controls", "--config", work.config, "--output", str(file))
    assert called.code == 0, called.err
    assert "2/2" in called.out
    kept = Measured.from_dict(json.loads(file.read_text()))
    # Its own data, its own number of users; and what is true of the invented world is held against nothing.
    assert kept.data == "files, recommend"
    assert {(cell.users, cell.truth, cell.judged) for cell in kept.cells} == {(8, None, 0)}
    assert not list(tmp_path.glob("*.jsonl"))
    more = cli("controls", "--config", work.config, "--users", "20", "--format", "json", "-q")
    assert {cell["users"] for cell in json.loads(more.out)["cells"]} == {20}
    assert more.err == ""


def test_what_the_data_do_not_hold_is_left_out_and_said(
    cli: Cli, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    [fitting] = registry.available().values()
    [gender] = [one for one in ALL if one.id == "served-worse"]
    monkeypatch.setattr(registry, "available", lambda: {one.id: one for one in (fitting, gender)})
    called = cli("controls", "--config", work.config)
    assert called.code == 0
    assert "served-worse is left out: no user of the data has gender 'F'" in called.err
    assert "A group is served worse" not in called.out
    alone = cli("controls", "--config", work.config, "--control", "served-worse")
    assert alone.code == 2
    assert "'served-worse' cannot be planted into this target: no user of the data has gender 'F'" in alone.err
    assert alone.out == ""


def test_a_target_that_is_asked_for_other_things_is_bad_input(
    cli: Cli, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    [control] = registry.available().values()
    monkeypatch.setattr(registry, "available", lambda: {"refusals": replace(control, task="score")})
    called = cli("controls", "--config", work.config)
    assert called.code == 2
    assert "it needs a target with the task score, and this one has rank" in called.err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": {"usd": 5}}, ["budget.usd", "leaving --config out"]),
        ({"dataset": {"candidats": 10}}, ["dataset.candidats", "candidates"]),
        ({"target": {"factory": "rec:built"}}, ["rec", "built"]),
    ],
)
def test_a_configuration_with_a_mistake_is_bad_input(
    cli: Cli, work: Workspace, changes: dict[str, Any], words: list[str]
) -> None:
    called = cli("controls", "--config", work.write("wrong.yaml", **changes))
    assert called.code == 2
    assert called.out == ""
    assert [word for word in words if word not in called.err] == []


def test_a_configuration_that_is_not_there_is_bad_input(cli: Cli, work: Workspace) -> None:
    called = cli("controls", "--config", "nowhere.yaml")
    assert called.code == 2
    assert "nowhere.yaml" in called.err
