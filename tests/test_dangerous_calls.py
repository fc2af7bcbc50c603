"""Nothing that RecAudit reads can become code: read from the syntax trees of every file that is ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("audit", "attacks", "defenses", "dashboard", "benchmarks", "examples")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "yaml.SafeLoader", "yaml.CSafeLoader"}

ALLOWED: dict[tuple[str, str], str] = {}
"""(file, what) that is allowed all the same, with the reason."""


def faults(source: str) -> Iterator[str]:
    """What in a Python source reads pickles, or runs text as code."""
    tree = ast.parse(source)
    yaml_names = {"yaml"} | {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "yaml"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name.split(".")[0] in PICKLES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module.split(".")[0] in PICKLES:
                yield f"import {node.module}"
            if node.module == "yaml":
                yield from (f"yaml.{a.name}" for a in node.names if a.name in {"load", "load_all", "unsafe_load"})
        elif isinstance(node, ast.Call):
            yield from _call(node, yaml_names)


def _call(node: ast.Call, yaml_names: set[str]) -> Iterator[str]:
    called = ast.unparse(node.func)
    owner, _, name = called.rpartition(".")
    options = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
    if called in {"eval", "exec", "builtins.eval", "builtins.exec", "compile", "builtins.compile"}:
        yield called
    if called == "__import__" or (name == "import_module" and node.args and "pickle" in ast.unparse(node.args[0])):
        yield called
    if owner in yaml_names:
        loader = options.get("Loader") or (ast.unparse(node.args[1]) if len(node.args) > 1 else "")
        if name.startswith(("unsafe_", "full_")) or (name in {"load", "load_all"} and loader not in SAFE_LOADERS):
            yield f"yaml.{name}"
    if owner == "torch" and name == "load" and options.get("weights_only") != "True":
        yield "torch.load"
    if options.get("weights_only") == "False":
        yield f"{called}(weights_only=False)"
    if "allow_pickle" in options and options["allow_pickle"] != "False":
        yield f"{called}(allow_pickle)"
    if name in {"read_pickle", "to_pickle"}:
        yield name
    if options.get("trust_remote_code", "False") != "False":
        yield f"{called}(trust_remote_code)"
    if options.get("shell", "False") != "False" or called in {"os.system", "os.popen"}:
        yield f"{called}(shell)"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_reads_pickles_or_runs_text(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = [what for what in faults(path.read_text(encoding="utf-8")) if (name, what) not in ALLOWED]
    assert found == []


def test_every_exception_is_still_needed() -> None:
    for (name, what), reason in ALLOWED.items():
        assert len(reason) > 20
        assert what in set(faults((ROOT / name).read_text(encoding="utf-8"))), f"{name} does not do {what} any more"


def test_every_room_was_looked_into() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pickle", "import pickle"),
        ("def f():\n    from cloudpickle import loads", "import cloudpickle"),
        ("import sklearn, joblib.memory as m", "import joblib.memory"),
        ("import torch\ntorch.load(p)", "torch.load"),
        ("torch.load(p, weights_only=flag)", "torch.load"),
        ("np.load(p, allow_pickle=True)", "np.load(allow_pickle)"),
        ("import yaml as y\ny.load(t)", "yaml.load"),
        ("yaml.load(t, Loader=yaml.Loader)", "yaml.load"),
        ("yaml.unsafe_load(t)", "yaml.unsafe_load"),
        ("yaml.load(t, yaml.UnsafeLoader)", "yaml.load"),
        ("from yaml import load", "yaml.load"),
        ("eval('1')", "eval"),
        ("exec(code, {})", "exec"),
        ("pd.read_pickle(p)", "read_pickle"),
        ("AutoModel.from_pretrained(n, trust_remote_code=True)", "AutoModel.from_pretrained(trust_remote_code)"),
        ("subprocess.run(c, shell=True)", "subprocess.run(shell)"),
    ],
)
def test_the_search_finds(source: str, fault: str) -> None:
    assert list(faults(source)) == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "torch.load(p, weights_only=True)",
        "np.load(p, allow_pickle=False)",
        "yaml.safe_load(t)",
        "yaml.load(t, Loader=yaml.CSafeLoader)",
        "json.load(f)",
        "re.compile('x')",
        "'import pickle'",
    ],
)
def test_the_search_lets_pass(source: str) -> None:
    assert list(faults(source)) == []
