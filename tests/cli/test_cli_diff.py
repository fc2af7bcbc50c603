"""`diff --fail-on`: exit codes that a pipeline can rely on, and mistakes in one sentence."""

from __future__ import annotations

from cli_workspace import Cli, Workspace


def test_a_run_is_not_worse_than_itself(finished: Workspace, cli: Cli) -> None:
    same = cli("diff", "latest", "latest", "--fail-on", "any")
    assert same.code == 0
    assert "No evidence of change" in same.out


def test_a_baseline_that_is_not_there_is_one_sentence(finished: Workspace, cli: Cli) -> None:
    called = cli("diff", "previous", "latest", "--fail-on", "worse")
    assert called.code == 2
    assert "holds no finished run of 'tiny' before" in called.err
    assert len(called.err.strip().splitlines()) == 1


def test_what_is_worse_ends_with_1_and_a_file_holds_the_comparison(work: Workspace, cli: Cli) -> None:
    config = work.write(dataset={"sample": 40})
    assert cli("run", config, "--quiet").code == 0
    (work.folder / "invents.py").write_text(
        "def build():\n    return lambda history, candidates, k: ['Nothing of the kind'] * k\n"
    )
    config = work.write(dataset={"sample": 40}, target={"factory": "invents:build"})
    assert cli("run", config, "--quiet").code == 0
    judged = cli("diff", "tiny", "latest", "--fail-on", "worse", "--format", "md", "--output", "diff.md")
    assert judged.code == 1
    assert "worse: " in judged.err
    assert "worse" in (work.folder / "diff.md").read_text()
    assert cli("diff", "previous", "latest").code == 0
