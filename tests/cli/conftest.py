"""A tiny data set as CSV files, a recommender in Python, and the command line called in this process."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml
from cli_workspace import POLICIES, RECOMMENDER, Called, Cli, Workspace

from audit.cli import main
from audit.data.dataset import Dataset


@pytest.fixture(scope="session")
def data(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with (folder / "inter.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "rating", "time"])
        out.writerows(world.interactions.itertuples(index=False, name=None))
    with (folder / "items.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["item_id", "title", "genres"])
        out.writerows([i.id, i.title, "|".join(i.attributes["genres"])] for i in world.catalog.values())
    (folder / "rec.py").write_text(RECOMMENDER)
    for name, policy in POLICIES.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **policy}))
    Workspace(folder).write()
    return folder


@pytest.fixture
def work(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A fresh copy, with a store of its own that no test shares."""
    shutil.copytree(data, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("RECAUDIT_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.delenv("RECAUDIT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the command line; no output of any command may hold a traceback."""

    def call(*arguments: object) -> Called:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Called(code, out, err)

    return call


@pytest.fixture(scope="session")
def finished_folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(data, folder, dirs_exist_ok=True)
    config = Workspace(folder).write(policy="strict.yaml", modules={"robustness": {"attacks": ["negation"]}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECAUDIT_STORE", str(folder / "runs.sqlite"))
        assert main(["run", "--quiet", config]) == 1
    return folder


@pytest.fixture
def finished(finished_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A store that holds one finished run, failed by its policy. Shared: only read it."""
    monkeypatch.setenv("RECAUDIT_STORE", str(finished_folder / "runs.sqlite"))
    monkeypatch.chdir(finished_folder)
    return Workspace(finished_folder)
