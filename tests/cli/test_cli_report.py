"""`report`, `diff`, and `run --report`."""

from __future__ import annotations

import json

import pytest
from cli_workspace import Cli, Workspace

from audit.run import Run
from audit.store import Store


@pytest.mark.parametrize(("form", "start"), [("html", "<!doctype html"), ("md", "#"), ("json", "{")])
def test_report_goes_to_standard_output_or_a_file(finished: Workspace, cli: Cli, form: str, start: str) -> None:
    printed = cli("report", "latest", "--format", form)
    assert printed.code == 0
    assert printed.out.lower().startswith(start)
    file = finished.folder / "reports" / f"out.{form}"
    written = cli("report", "latest", "--format", form, "--output", file)
    assert written.out == ""
    assert file.read_text().lower().startswith(start)


def test_report_in_json_is_the_run(finished: Workspace, cli: Cli) -> None:
    store = Store(finished.store)
    assert json.loads(cli("report", "latest", "--format", "json").out) == Run(store.run("latest"), store).to_json()


def test_report_of_several_runs(work: Workspace, cli: Cli) -> None:
    names = [cli("run", work.config, "-q").last for _ in range(2)]
    found = json.loads(cli("report", *names, "--format", "json").out)
    assert [run["id"] for run in found] == names


def test_report_that_cannot_be_written(finished: Workspace, cli: Cli) -> None:
    called = cli("report", "latest", "--output", finished.folder / "audit.yaml" / "x.html")
    assert called.code == 2
    assert "cannot write" in called.err


def test_run_writes_the_reports_it_was_asked_for(work: Workspace, cli: Cli) -> None:
    called = cli("run", work.config, "--report", "a.html", "--report", "b.json", "-q")
    assert called.code == 0
    assert called.err == "report: a.html\nreport: b.json\n"
    assert json.loads((work.folder / "b.json").read_text())["id"] == called.last


def test_diff_of_equal_runs_shows_no_change(work: Workspace, cli: Cli) -> None:
    names = [cli("run", work.config, "-q").last for _ in range(2)]
    for form in ("text", "md"):
        called = cli("diff", *names, "--format", form)
        assert called.code == 0
        assert "No evidence of change" in called.out
    data = json.loads(cli("diff", *names, "--format", "json").out)
    assert [data["old"]["id"], data["new"]["id"]] == names
    assert not [c for c in data["changes"] if c["outcome"] in {"better", "worse"}]
