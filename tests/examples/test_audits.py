"""The audits of the main job are valid, and name targets that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import registry
from audit.config import load
from audit.modules.base import build
from benchmarks.attack_table import TABLES
from benchmarks.defense_table import TABLES as DEFENSE_TABLES

AUDITS = sorted((Path(__file__).parents[2] / "examples" / "audits").glob("*.yaml"))


@pytest.mark.parametrize("path", AUDITS, ids=lambda p: p.stem)
def test_it_is_a_valid_audit_of_a_known_target(path: Path) -> None:
    config, _ = load(path)
    assert config.target is not None
    assert config.target.name in registry.available("targets")
    assert config.name == path.stem


@pytest.mark.parametrize("path", AUDITS, ids=lambda p: p.stem)
def test_every_module_takes_its_options(path: Path) -> None:
    config, _ = load(path)
    for name, options in (config.modules or {}).items():
        module = build(registry.load("modules", name, where="test"), options, where=name)
        assert module.info.id == name


def test_the_commands_run_them_all() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    tabled = {name for names in TABLES.values() for name in names} | set(DEFENSE_TABLES.values())
    assert tabled <= {path.stem for path in AUDITS}
    for path in AUDITS:
        assert path.stem in tabled or f"examples/audits/{path.name}" in makefile
