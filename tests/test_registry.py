"""Plugins by name: peers of ours, found without being imported, and named helpfully when they are missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from audit import registry
from audit.errors import ConfigError


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entry points of a third party, good and broken."""
    points = [
        EntryPoint("theirs", "collections:OrderedDict", "recaudit.attacks"),
        EntryPoint("gone", "no_such_package.attack:Attack", "recaudit.attacks"),
        EntryPoint("renamed", "collections:Attack", "recaudit.attacks"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])
    registry.available.cache_clear()
    yield
    registry.available.cache_clear()


@pytest.mark.usefixtures("foreign")
def test_a_third_partys_plugin_is_a_peer() -> None:
    from collections import OrderedDict

    assert list(registry.available("attacks")) == ["gone", "renamed", "theirs"]
    assert registry.load("attacks", "theirs", where="x") is OrderedDict
    assert registry.available("modules") == {}


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("name", ["gone", "renamed"])
def test_a_plugin_that_cannot_be_imported_is_one_sentence(name: str) -> None:
    with pytest.raises(ConfigError, match=f"modules.x: the attack '{name}' .* cannot be imported"):
        registry.load("attacks", name, where="modules.x")


@pytest.mark.usefixtures("foreign")
def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"modules\.x: 'their' is not a known attack; did you mean 'theirs'"):
        registry.load("attacks", "their", where="modules.x")
    with pytest.raises(ConfigError, match="None are known here"):
        registry.load("modules", "quality", where="modules")


def test_listing_imports_nothing() -> None:
    before = set(sys.modules)
    for kind in ("attacks", "defenses", "targets", "modules"):
        registry.available(kind)  # type: ignore[arg-type]
    assert not [m for m in set(sys.modules) - before if m.startswith(("attacks", "defenses"))]
