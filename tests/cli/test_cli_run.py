"""`run` and `resume`: exit codes, what is printed where, and going on after a stop."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cli_workspace import Cli, Workspace

from audit import runner
from audit.store import Store


@pytest.mark.parametrize(("policy", "code"), [("lenient", 0), ("strict", 1), ("unsure", 4)])
def test_exit_code_follows_the_policy_of_the_run(work: Workspace, cli: Cli, policy: str, code: int) -> None:
    assert cli("run", work.write(policy=f"{policy}.yaml")).code == code


def test_run_prints_only_its_id_on_standard_output(work: Workspace, cli: Cli) -> None:
    called = cli("run", work.config)
    assert called.out == f"{Store(work.store).run('latest').id}\n"
    assert "8 users" in called.err
    assert "recaudit show" in called.err


def test_quiet_run_says_nothing_else(work: Workspace, cli: Cli) -> None:
    called = cli("run", work.config, "--quiet")
    assert called.err == ""
    assert len(called.out.splitlines()) == 1


def test_dry_run_prices_and_asks_nothing(work: Workspace, cli: Cli) -> None:
    config = work.write(
        target={"args": {"calls": "calls"}, "price": {"prompt": 1000.0}},
        modules={"robustness": {}},
        budget={"queries": 9},
    )
    called = cli("run", config, "--dry-run")
    assert called.code == 0
    assert not (work.folder / "calls").exists()
    assert Store(work.store).runs() == []
    for word in ("quality", "robustness", "queries", "prompt tokens", "minutes", "US $", "would stop early"):
        assert word in called.out


def test_dry_run_counts_what_the_run_then_asks(work: Workspace, cli: Cli) -> None:
    total = next(line for line in cli("run", work.config, "--dry-run").out.splitlines() if line.startswith("all"))
    cli("run", work.config)
    assert int(total.split()[1]) == Store(work.store).usage(Store(work.store).run("latest").id).queries


def test_several_configs_print_their_ids_last_and_exit_with_the_worst(work: Workspace, cli: Cli) -> None:
    other = work.write("other.yaml", name="other", policy="strict.yaml")
    called = cli("run", work.config, other)
    assert called.code == 1
    assert called.out.split() == [r.id for r in reversed(Store(work.store).runs())]


def test_one_audit_that_cannot_start_does_not_cost_the_other(work: Workspace, cli: Cli) -> None:
    broken = work.write("broken.yaml", target={"factory": "absent:build"})
    called = cli("run", broken, work.config)
    assert called.code == 2
    assert "absent" in called.err
    assert [r.status for r in Store(work.store).runs()] == ["finished"]


def test_mistake_in_the_last_file_shows_before_the_first_audit(work: Workspace, cli: Cli) -> None:
    assert cli("run", work.config, "absent.yaml").code == 2
    assert not Path(work.store).exists()


def test_interrupted_run_goes_on_with_the_command_it_printed(work: Workspace, cli: Cli) -> None:
    config = work.write(target={"args": {"calls": "calls", "stop_after": 20, "mended": "mended"}, "concurrency": 1})
    stopped = cli("run", config, "--store", work.store)
    assert stopped.code == 3
    command = stopped.err.rsplit("`", 2)[1]
    assert command == f"recaudit resume {stopped.last} --store {work.store}"
    (work.folder / "mended").touch()
    resumed = cli(*shlex.split(command)[1:])
    assert resumed.code == 0
    assert resumed.last == stopped.last
    unbroken = cli("run", work.write(target={"args": {}}), "--quiet").last
    findings = [json.loads(cli("show", name, "--format", "json").out)["findings"] for name in (stopped.last, unbroken)]
    assert findings[0] == findings[1]


def test_exhausted_budget_stops_with_3_and_a_higher_one_goes_on(work: Workspace, cli: Cli) -> None:
    stopped = cli("run", work.write(budget={"queries": 10}))
    assert stopped.code == 3
    assert f"recaudit resume {stopped.last} --budget queries=N" in stopped.err
    assert Store(work.store).run("latest").status == "stopped"
    assert cli("resume", "latest").code == 3
    assert cli("resume", "latest", "--budget", "queries=none").code == 0


def test_resumed_run_writes_the_report_and_leaves_the_gate_for_later(work: Workspace, cli: Cli) -> None:
    cli("run", work.write(budget={"queries": 10}, policy="strict.yaml"))
    page = work.folder / "audit.html"
    goes_on = ("resume", "latest", "--budget", "queries=none", "--report", str(page))
    assert cli(*goes_on, "--no-gate").code == 0
    assert "Not ready to ship" in page.read_text(encoding="utf-8")
    assert cli(*goes_on).code == 1
    assert cli("resume", "latest", "--report", "audit.docx").code == 2


def test_target_that_never_answered_is_bad_input(work: Workspace, cli: Cli) -> None:
    (work.folder / "wrong.py").write_text(
        "class Wrong:\n    def recommend(self, requests):\n        return []\n\ndef build():\n    return Wrong()\n"
    )
    called = cli("run", work.write(target={"factory": "wrong:build"}))
    assert called.code == 2
    assert "returned 0 answers" in called.err


def test_target_that_ends_the_process_is_an_error_of_the_run(work: Workspace, cli: Cli) -> None:
    (work.folder / "exits.py").write_text(
        "import sys\ndef build():\n    def f(history, candidates, k):\n        sys.exit(0)\n    return f\n"
    )
    called = cli("run", work.write(target={"factory": "exits:build"}))
    assert called.code == 2
    assert "ended the process" in called.err


def test_finished_run_can_be_resumed_without_asking(work: Workspace, cli: Cli) -> None:
    cli("run", work.write(target={"args": {"calls": "calls"}}))
    asked = (work.folder / "calls").stat().st_size
    assert cli("resume", "latest").code == 0
    assert (work.folder / "calls").stat().st_size == asked


def test_unexpected_exception_is_one_line_and_a_file(
    work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug\x1b[31m")

    monkeypatch.setattr(runner, "execute", explode)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    called = cli("run", work.config)
    assert called.code == 2
    assert "ZeroDivisionError: a bug\\x1b[31m" in called.err
    assert "recaudit resume" in called.err
    trace = Path(called.err.strip().rsplit(" ", 1)[1])
    assert "explode" in trace.read_text()
    monkeypatch.setenv("RECAUDIT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli("run", work.config)


def test_sigterm_handler_is_put_back(work: Workspace, cli: Cli) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    cli("run", work.config, "--quiet")
    assert signal.getsignal(signal.SIGTERM) is before
