"""The audits of the main job are valid, and name targets that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import registry
from audit.config import load

AUDITS = sorted((Path(__file__).parents[2] / "examples" / "audits").glob("*.yaml"))


@pytest.mark.parametrize("path", AUDITS, ids=lambda p: p.stem)
def test_it_is_a_valid_audit_of_a_known_target(path: Path) -> None:
    config, _ = load(path)
    assert config.target is not None
    assert config.target.name in registry.available("targets")
    assert config.name == path.stem


def test_the_main_job_runs_them_all() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert len(AUDITS) == 2
    for path in AUDITS:
        assert f"examples/audits/{path.name}" in makefile
