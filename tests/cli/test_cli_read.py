"""`list`, `show`, `gate`."""

from __future__ import annotations

import json

import pytest
from cli_workspace import Cli, Workspace

from audit.findings import Finding
from audit.run import Run
from audit.store import Store


def test_list_without_a_store_is_empty_and_no_mistake(work: Workspace, cli: Cli) -> None:
    called = cli("list")
    assert (called.code, called.out) == (0, "")
    assert "recaudit run" in called.err
    assert json.loads(cli("list", "--format", "json").out) == []


def test_list_names_the_runs(finished: Workspace, cli: Cli) -> None:
    record = Store(finished.store).run("latest")
    text = cli("list").out
    assert record.id in text
    assert "finished" in text
    listed = json.loads(cli("list", "--format", "json").out)
    assert [(r["id"], r["status"], r["verdict"]) for r in listed] == [(record.id, "finished", "fail")]


def test_show_json_is_the_run(finished: Workspace, cli: Cli) -> None:
    store = Store(finished.store)
    assert json.loads(cli("show", "latest", "--format", "json").out) == Run(store.run("latest"), store).to_json()


def test_show_text_puts_failures_first(finished: Workspace, cli: Cli) -> None:
    called = cli("show", "latest")
    assert called.code == 0
    rows = [line for line in called.out.splitlines() if line.startswith(("fail", "pass", "measured", "untested"))]
    assert rows[0].startswith("fail")
    assert rows[-1].startswith("untested")
    assert "Nobody can reach it." in called.out


def test_show_opens_one_piece_of_evidence(finished: Workspace, cli: Cli) -> None:
    run = json.loads(cli("show", "latest", "--format", "json").out)
    key = next(key for finding in run["findings"] for key in finding["evidence"])
    called = cli("show", "latest", "--evidence", key)
    assert called.code == 0
    assert "Answer" in called.out
    piece = json.loads(cli("show", "latest", "--evidence", key, "--format", "json").out)
    assert piece["case"] in called.out
    wrong = cli("show", "latest", "--evidence", "nothing")
    assert wrong.code == 2
    assert "'nothing' is no evidence of this run" in wrong.err


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_show_fits_the_terminal(finished: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert max(map(len, cli("show", "latest").out.splitlines())) <= int(width)


@pytest.mark.parametrize(("policy", "code"), [("lenient.yaml", 0), ("strict.yaml", 1), ("unsure.yaml", 4)])
def test_gate_exits_by_the_policy_given(finished: Workspace, cli: Cli, policy: str, code: int) -> None:
    assert cli("gate", "latest", "--policy", policy).code == code


def test_gate_says_which_rule_failed(finished: Workspace, cli: Cli) -> None:
    called = cli("gate", "latest")
    assert called.code == 1
    assert called.out.startswith("fail: critical: quality.hr")
    assert "1.5" in called.out


def test_gate_names_a_required_module_that_was_not_run(work: Workspace, cli: Cli) -> None:
    (work.folder / "more.yaml").write_text(
        "name: more\nrequire: [robustness]\nrules: [{metric: quality.error_rate, max: 1.0}]\n"
    )
    cli("run", work.config, "--quiet")
    called = cli("gate", "latest", "--policy", "more.yaml")
    assert called.code == 1
    assert "robustness" in called.out


def test_gate_refuses_a_run_that_has_not_ended(work: Workspace, cli: Cli) -> None:
    cli("run", work.write(budget={"queries": 10}), "--quiet")
    called = cli("gate", "latest")
    assert called.code == 3
    assert "recaudit resume" in called.err


@pytest.fixture
def hostile(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finding whose title holds a terminal escape, rich markup and a right-to-left override."""
    title = "\x1b]0;owned\x07 [bold red]x[/] \u202egnp.exe \x9b31m"
    monkeypatch.setattr(Store, "findings", lambda self, run: [Finding("quality", "hr", title)])
    return title


def test_text_of_targets_cannot_act_on_the_terminal(hostile: str, cli: Cli) -> None:
    for form in ("text", "json"):
        out = cli("show", "latest", "--format", form).out
        assert "[bold red]x[/]" in out
        assert not any(c in out for c in "\x1b\x07\x9b\u202e")
    assert json.loads(out)["findings"][0]["title"] == hostile
