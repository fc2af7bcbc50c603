"""The recipes for GitHub Actions and GitLab CI: valid by the schemas of both, and what their steps run is run.

What runs on a service alone (`uses:`, the caches) is played by folders; `gh` and `curl` are stand-ins that write down
what they were asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "ci"
BIN = Path(sys.executable).parent
WORSE = "def build():\n    return lambda history, candidates, k: sorted(candidates or ['Nothing'])[:k]\n"


@pytest.mark.parametrize(
    ("recipe", "schema"), [("github-actions.yml", "github-workflows"), ("gitlab-ci.yml", "gitlab-ci")]
)
def test_a_recipe_is_valid_by_the_schema_of_its_service(recipe: str, schema: str) -> None:
    command = [BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", RECIPES / recipe]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Machine:
    """A checkout on a build machine, with what the service would have put there."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A step, by the shell that both services use, which stops at the first failure."""
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def sent(self) -> str:
        """What was sent away."""
        file = self.folder / "sent"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """The quickstart with the module quality, and stand-ins for what would reach out."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples" / "quickstart", folder)
    audit = yaml.safe_load((folder / "audit.yaml").read_text())
    rules = [{"metric": "quality.error_rate", "max": 0.5}]
    (folder / "policy.yaml").write_text(yaml.safe_dump({"name": "small", "rules": rules}))
    (folder / "audit.yaml").write_text(yaml.safe_dump(audit | {"modules": {"quality": {}}, "policy": "policy.yaml"}))
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("gh", "curl"):
        (tools / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >> sent\n')
        (tools / tool).chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECAUDIT", "PYTEST", "CI"))}
    return Machine(folder, kept | {"PATH": f"{tools}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"})


def github(machine: Machine, *, pull_request: bool, baseline: bool) -> dict[str, int]:
    """Run the steps that have a command: the exit code of each, by name."""
    workflow: dict[str, Any] = yaml.safe_load((RECIPES / "github-actions.yml").read_text())
    codes: dict[str, int] = {}
    for step in workflow["jobs"]["audit"]["steps"]:
        condition = str(step.get("if", ""))
        if "run" not in step or step["name"] == "Install":
            continue
        if "pull_request" in condition and not pull_request:
            continue
        if "cache-matched-key" in condition and not baseline:
            continue
        if "steps.compare.outcome" in condition and "Compare with main" not in codes:
            continue
        done = machine.run(step["run"], **workflow["env"], PULL_REQUEST="7", GH_TOKEN="x")
        codes[step["name"]] = done.returncode
        if step["name"] in {"Report", "Comment"}:
            assert done.returncode == 0, done.stdout + done.stderr
    return codes


def gitlab(machine: Machine, *, merge_request: bool) -> subprocess.CompletedProcess[str]:
    job = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text())["audit"]
    environment = {
        "RECAUDIT_STORE": job["variables"]["RECAUDIT_STORE"],
        "CI_MERGE_REQUEST_IID": "7" if merge_request else "",
        "RECAUDIT_TOKEN": "x",
        "CI_API_V4_URL": "https://gitlab.example/api/v4",
        "CI_PROJECT_ID": "1",
    }
    return machine.run("\n".join(job["script"]), **environment)


def test_github_finds_a_regression_and_says_so(machine: Machine) -> None:
    assert github(machine, pull_request=False, baseline=False) == {"Audit": 0, "Report": 0}
    for file in ("junit.xml", "report.html", "recaudit.sarif"):
        assert (machine.folder / file).stat().st_size > 500, file
    # The store of main is restored, and the pull request breaks the recommender.
    (machine.folder / "my_recommender.py").write_text(WORSE)
    codes = github(machine, pull_request=True, baseline=True)
    assert codes == {"Audit": 0, "Report": 0, "Compare with main": 1, "Comment": 0}
    assert "findings are worse" in (machine.folder / "diff.md").read_text()
    assert machine.sent == "gh pr comment 7 --body-file diff.md --edit-last --create-if-none\n"


def test_gitlab_finds_a_regression_and_says_so(machine: Machine) -> None:
    clean = gitlab(machine, merge_request=False)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    same = gitlab(machine, merge_request=True)
    assert same.returncode == 0, same.stdout + same.stderr
    assert "No evidence of change" in (machine.folder / "diff.md").read_text()
    (machine.folder / "my_recommender.py").write_text(WORSE)
    broken = gitlab(machine, merge_request=True)
    assert broken.returncode == 1
    assert "worse: " in broken.stderr
    assert machine.sent.splitlines()[-1].endswith("https://gitlab.example/api/v4/projects/1/merge_requests/7/notes")
