"""Every block of code in the README and in docs/ does what it says: Python runs, shell runs, YAML is a valid audit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from audit.config import AuditConfig, TargetConfig

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    language: str
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(found[1], found[2], text[: found.start()].count("\n") + 2)


def pages(*languages: str) -> list[pytest.param]:
    chosen = [p for p in PAGES if any(b.language in languages for b in blocks(p))]
    return [pytest.param(p, id=str(p.relative_to(ROOT))) for p in chosen]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, from which the examples are seen as from the checkout."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECAUDIT_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.mark.parametrize("page", pages("python"))
def test_python_runs(page: Path, workplace: Path) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python":
            # Line numbers of a failure are those of the page.
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec", dont_inherit=True)
            exec(code, namespace)  # noqa: S102 - our own pages


@pytest.mark.parametrize("page", pages("bash"))
def test_shell_runs(page: Path, workplace: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks(page):
        if block.language == "bash" and "make " not in block.code:
            done = subprocess.run(
                ["bash", "-euc", block.code],
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{page.name}, line {block.line}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", pages("yaml"))
def test_yaml_is_a_valid_audit(page: Path) -> None:
    for block in blocks(page):
        if block.language != "yaml":
            continue
        data = yaml.safe_load(block.code)
        if "dataset" in data:
            AuditConfig.model_validate(data)
        elif "target" in data:
            TargetConfig.model_validate(data["target"])
        else:
            pytest.fail(f"{page.name}, line {block.line}: a YAML block that is neither an audit nor a target")


def test_every_page_is_linked_and_every_link_leads_somewhere() -> None:
    linked: set[Path] = set()
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                path = (page.parent / target).resolve()
                assert path.exists(), f"{page.name} links to {target}, which does not exist"
                linked.add(path)
    for page in PAGES[1:]:
        covered = page in linked or any(folder in linked for folder in page.parents)
        assert covered or page == ROOT / "docs" / "README.md", f"no page links to {page.name}"
