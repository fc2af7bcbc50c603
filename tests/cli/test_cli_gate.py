"""`run --no-gate`: a failing audit ends with 0, and `gate` afterwards says what the run deserved."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cli import main

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "audit.yaml"


def test_no_gate_ends_with_0_and_gate_says_what_the_run_deserved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "runs.sqlite")
    assert main(["run", str(QUICKSTART), "--store", store, "--quiet", "--no-gate"]) == 0
    run = capsys.readouterr().out.strip()
    assert main(["gate", run, "--store", store]) == 1
