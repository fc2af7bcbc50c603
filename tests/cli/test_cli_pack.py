"""`pack`, `verify-pack`, and a pack in the place of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_workspace import Cli, Workspace


@pytest.fixture
def packed(finished: Workspace, cli: Cli, tmp_path: Path) -> tuple[Path, str]:
    file = tmp_path / "run.zip"
    called = cli("pack", "latest", "-o", file)
    assert called.code == 0
    assert "Keep the digest" in called.err
    return file, called.last


def test_the_digest_is_printed_and_shows_that_nothing_was_changed(packed: tuple[Path, str], cli: Cli) -> None:
    file, digest = packed
    bare = cli("verify-pack", file)
    assert bare.code == 0
    assert f"digest: {digest}" in bare.out
    assert "only a digest kept elsewhere" in bare.out
    assert "This is the pack that was made: the digest fit" in cli("verify-pack", file, "--digest", digest).out
    other = cli("verify-pack", file, "--digest", "0" * 64)
    assert other.code == 1
    assert "not the pack that was vouched for" in other.out


def test_what_is_no_pack_ends_with_2(finished: Workspace, cli: Cli, tmp_path: Path) -> None:
    for name in ("none.zip", "audit.yaml"):
        called = cli("verify-pack", finished.folder / name)
        assert called.code == 2
        assert called.err.count("\n") == 1
    assert cli("show", tmp_path / "none.zip").code == 2


def test_commands_take_a_pack_for_a_run_without_any_store(
    packed: tuple[Path, str], cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, _ = packed
    stored = json.loads(cli("show", "latest", "--format", "json").out)
    assert cli("diff", file, "latest").code == 0
    assert cli("diff", "latest", file).code == 0
    monkeypatch.setenv("RECAUDIT_STORE", str(tmp_path / "none.sqlite"))
    assert json.loads(cli("show", file, "--format", "json").out) == stored
    assert json.loads(cli("report", file, "--format", "json").out) == stored
    assert cli("gate", file).code == 1
    assert "No evidence of change" in cli("diff", file, file).out
    evidence = next(key for f in stored["findings"] for key in f["evidence"])
    assert cli("show", file, "--evidence", evidence).code == 0
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize(("form", "start"), [("sarif", "{"), ("junit", "<?xml"), ("model-card", "---")])
def test_reports_for_programs(finished: Workspace, cli: Cli, form: str, start: str) -> None:
    called = cli("report", "latest", "--format", form)
    assert called.code == 0
    assert called.out.startswith(start)


def test_sarif_stands_at_the_configuration(finished: Workspace, cli: Cli) -> None:
    log = json.loads(cli("report", "latest", "--format", "sarif", "--only-failures", "--source", "audit.yaml").out)
    results = log["runs"][0]["results"]
    assert results
    lines = Path(finished.config).read_text().splitlines()
    for result in results:
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "audit.yaml"
        assert lines[place["region"]["startLine"] - 1].strip().split(":")[0] in {
            result["properties"]["module"],
            "modules",
        }
