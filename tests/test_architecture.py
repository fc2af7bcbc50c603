"""The rules of the house, held by machine: arrows, rooms, and plugins that say who they are."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from helpers import catalog

from audit import registry
from audit.attack import Attack, AttackInfo
from audit.edits import Zone
from audit.target import Input
from audit.types import OUTCOMES, TASKS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(p for package in ("audit", "attacks", "defenses", "dashboard") for p in (ROOT / package).rglob("*.py"))
TAG = re.compile(r"[a-z0-9-]+:[\w.-]+:[\w.-]+")
"""A control with its edition, such as owasp-llm:2026:LLM05."""


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, anywhere in it."""

    def found() -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    return frozenset(found())


def users_of(*modules: str) -> set[str]:
    """Files that import one of these modules or a part of one, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(name == module or name.startswith(f"{module}.") for name in imports(path) for module in modules)
    }


def within(files: set[str], *rooms: str) -> bool:
    return all(file.startswith(rooms) for file in files)


def test_arrows_point_one_way() -> None:
    """The contracts of import-linter in pyproject.toml."""
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_unpickled() -> None:
    assert users_of("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve") == set()
    loose = re.compile(r"torch\.load\(|read_pickle|allow_pickle=True|weights_only=False|yaml\.load\(|\beval\(|\bexec\(")
    for path in SOURCES:
        code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
        assert not [m for m in loose.findall(code) if m != "eval("], path
        # `model.eval()` of PyTorch is a method; the builtin is not used.
        assert not re.search(r"(?<![\w.])eval\(", code), path


def test_sql_lives_in_the_store() -> None:
    assert within(users_of("sqlalchemy", "sqlite3", "psycopg"), "audit/store/")


def test_http_lives_with_the_targets() -> None:
    clients = users_of("httpx", "requests", "urllib.request", "http.client", "aiohttp", "openai")
    # Datasets are downloaded through the asset store.
    assert within(clients, "audit/targets/", "audit/data/assets.py"), clients
    assert users_of("pooch") <= {"audit/data/assets.py"}


def test_statistics_live_in_one_room() -> None:
    # A rank correlation is a metric of two lists; intervals and tests are the room's own.
    assert within(users_of("scipy.stats", "statsmodels"), "audit/stats/", "audit/metrics.py")


def test_randomness_comes_from_generators() -> None:
    # TextAttack draws from the global generators; that file gives each search states of its own there.
    assert users_of("random") == {"attacks/textattack/dice.py"}
    legacy = re.compile(r"np\.random\.(seed|rand|randn|randint|choice|shuffle|permutation|normal|uniform)\(")
    for path in SOURCES:
        assert not legacy.search(path.read_text(encoding="utf-8")), path


def test_failures_are_not_swallowed() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                silent = all(isinstance(s, ast.Pass) for s in node.body)
                broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
                assert not (silent and broad), f"{path}:{node.lineno}"


def test_importing_the_package_is_cheap() -> None:
    heavy = "{'torch', 'transformers', 'pandas', 'scipy', 'sqlalchemy'}"
    code = f"import sys, audit; print(*{heavy}.intersection(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_public_names_are_there() -> None:
    import audit

    for name in (
        "Recommender",
        "Request",
        "Answer",
        "Ranked",
        "User",
        "Event",
        "Item",
        "Catalog",
        "Finding",
        "run_audit",
    ):
        assert name in audit.__all__
        assert getattr(audit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = audit.nothing


# Plugins: a new one is checked with no new test -----------------------------------------------------------------------

KINDS: tuple[registry.Kind, ...] = ("attacks", "defenses", "targets", "modules")
PLUGINS = [(kind, name) for kind in KINDS for name in sorted(registry.available(kind))]


def told(text: str) -> bool:
    """Whether a text says something to a person."""
    return len(text.strip()) >= 3 and text == text.strip()


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_plugin_loads(kind: registry.Kind, name: str) -> None:
    plugin = registry.load(kind, name, where="test")
    assert callable(plugin)
    assert (plugin.__doc__ or "").strip()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_no_name_is_given_twice() -> None:
    for kind in KINDS:
        names = [point.name for point in entry_points(group=f"recaudit.{kind}")]
        assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", sorted(registry.available("attacks")))
def test_every_attack_says_who_it_is(name: str) -> None:
    attack: Any = registry.load("attacks", name, where="test")(catalog=catalog())
    assert isinstance(attack, Attack)
    info = attack.info
    assert isinstance(info, AttackInfo)
    assert info.id == name
    assert told(info.title)
    assert told(info.why)
    assert info.why.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b", info.reference), "a reference has a year"
    assert info.threat_model.zones
    assert info.threat_model.zones <= set(Zone)
    assert info.threat_model.max_edits >= 1
    assert info.needs <= set(Input)
    assert info.tasks
    assert set(info.tasks) <= set(TASKS)
    assert info.severity in {"low", "medium", "high", "critical"}
    assert info.queries_per_request >= 0
    limit = info.threat_model.max_queries
    assert limit is None or info.queries_per_request <= limit
    assert all(TAG.fullmatch(tag) for tag in info.controls)


@pytest.mark.parametrize("name", sorted(registry.available("modules")))
def test_every_module_says_who_it_is(name: str) -> None:
    info = registry.load("modules", name, where="test")().info
    assert info.id == name
    assert told(info.title)
    assert info.question.endswith("?")
    assert info.metrics
    assert len(info.metrics) == len(set(info.metrics))
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", metric) for metric in info.metrics)
    assert set(info.tasks) <= set(TASKS)
    assert info.tasks
    assert info.controls
    assert all(TAG.fullmatch(tag) for tag in info.controls)
    assert len(name) <= 40  # the width of the store's column


def test_outcomes_are_counted_by_these_names() -> None:
    assert OUTCOMES == ("ok", "refused", "unparsable", "error")
