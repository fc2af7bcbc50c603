"""`init`, `plugins`, `targets check`, `assets`, `train`, `doctor`."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_workspace import Cli, Workspace
from helpers import request

from audit import config as configs
from audit import registry
from audit.cli import doctor as doctors
from audit.cli import train as training
from audit.cli.init import TargetKind
from audit.data import assets
from audit.errors import AssetError, ConfigError
from audit.findings import Evidence
from audit.store import Store
from audit.targets import hf, http, openai, python
from audit.types import Answer, Ranked

BUILDERS = {
    TargetKind.PYTHON: python.load,
    TargetKind.HTTP: http.HttpTarget,
    TargetKind.OPENAI: openai.OpenAITarget,
    TargetKind.HF: hf.HFTarget,
}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_writes_what_run_accepts(empty: Path, cli: Cli, data: Path) -> None:
    assert cli("init").code == 0
    config, _ = configs.load(empty / "audit.yaml")
    assert config.target is not None
    for name in ("inter.csv", "items.csv"):
        (empty / name).write_bytes((data / name).read_bytes())
    settings = yaml.safe_load((empty / "audit.yaml").read_text())
    settings["dataset"] = {"interactions": "inter.csv", "items": "items.csv", "sample": 4, "candidates": 10}
    settings["modules"] = ["quality"]
    (empty / "audit.yaml").write_text(yaml.safe_dump(settings))
    assert cli("run", "audit.yaml", "--quiet", "--store", empty / "s.sqlite").code in {0, 1}


@pytest.mark.parametrize("kind", list(TargetKind))
def test_every_option_of_a_template_exists(empty: Path, cli: Cli, kind: TargetKind) -> None:
    cli("init", "--target", kind.value)
    text = (empty / "audit.yaml").read_text()
    given, _ = configs.load(empty / "audit.yaml")
    # What is commented out must be right as well: a reader removes the mark and runs it.
    block = text[text.index("target:\n") :].split("\n\n")[0].split("\n# Left out")[0]
    block = re.sub("^  # ", "  ", block, flags=re.MULTILINE)
    shown = configs.AuditConfig.model_validate({"dataset": {"name": "x"}, **yaml.safe_load(block)}).target
    assert given.target is not None
    assert shown is not None
    if kind in BUILDERS:
        assert set(shown.options) <= set(inspect.signature(BUILDERS[kind]).parameters)
    else:
        assert given.target.name in registry.available("targets")


def test_init_keeps_a_file_that_is_there(empty: Path, cli: Cli) -> None:
    (empty / "audit.yaml").write_text("mine")
    assert cli("init").code == 2
    assert (empty / "audit.yaml").read_text() == "mine"
    assert cli("init", "--force").code == 0
    assert "target:" in (empty / "audit.yaml").read_text()


def test_plugins_lists_every_registered_name_with_a_title(cli: Cli) -> None:
    found = json.loads(cli("plugins", "--format", "json").out)
    for kind in ("modules", "attacks", "defenses", "targets"):
        assert set(found[kind]) == set(registry.available(kind))  # type: ignore[arg-type]  # the four kinds
        assert all(found[kind].values())
    attacks = cli("plugins", "attacks").out
    assert "typos" in attacks
    assert all(zone in attacks for zone in ("operator", "seller", "platform"))  # who writes what they touch
    defenses = cli("plugins", "defenses").out
    assert "sanitise" in defenses
    assert all(word in defenses for word in ("against", "profile", "calls"))


def test_targets_check_passes_a_good_target(work: Workspace, cli: Cli) -> None:
    called = cli("targets", "check", work.config, "--users", "4")
    assert called.code == 0
    assert "It reads history, as declared" in called.out
    assert "negation" in called.out


def test_targets_check_exits_with_1_when_something_fails(work: Workspace, cli: Cli) -> None:
    (work.folder / "deaf.py").write_text(
        "def build():\n    def deaf(history, candidates, k):\n        return sorted(candidates)[:k]\n    return deaf\n"
    )
    config = work.write(target={"factory": "deaf:build"})
    called = cli("targets", "check", config, "--format", "json")
    assert called.code == 1
    levels = {o["id"]: o["level"] for o in json.loads(called.out)["observations"]}
    assert levels["reads_history"] == "fail"


def test_an_asset_that_one_attack_needs_does_not_hold_up_the_others(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(folder: Path, from_dir: Path | None, source: str | None) -> None:
        raise AssetError("asset rare: this machine has none; fetch with --from-dir")

    rare = assets.Gathered("rare", "1", "Free.", ("here",), gather, lambda folder: [], needed_by="the attack thesaurus")
    monkeypatch.setattr(assets, "ASSETS", {"rare": rare})
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path / "cache"))
    every = cli("assets", "fetch")
    assert every.code == 0
    assert "this machine has none" in every.err
    assert "Only the attack thesaurus needs it." in every.err
    assert cli("assets", "fetch", "rare").code == 2


def test_assets_come_from_a_folder_and_are_verified(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAUDIT_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "given"
    source.mkdir()
    (source / "a.txt").write_text("content")
    digest = assets.sha256_of(source / "a.txt")
    tiny = assets.Asset("tiny", "1", "tiny", "0" * 64, {"a.txt": digest}, "Public domain.")
    monkeypatch.setattr(assets, "ASSETS", {"tiny": tiny})
    assert cli("assets", "verify").code == 0
    assert cli("assets", "verify", "tiny").code == 1
    assert json.loads(cli("assets", "list", "--format", "json").out)[0]["state"] == "absent"
    fetched = cli("assets", "fetch", "tiny", "--from-dir", source)
    assert fetched.code == 0
    assert cli("assets", "verify").code == 0
    assert "ready" in cli("assets", "list").out
    (tmp_path / "cache" / "tiny-1" / "a.txt").write_text("altered")
    called = cli("assets", "verify", "tiny")
    assert called.code == 1
    assert "--force" in called.out


def test_train_hands_options_over_and_reports(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def train(
        dataset: Any, *, out: Path, seed: int, progress: Any, steps: int = 9, rate: float = 0.1
    ) -> dict[str, Any]:
        given.update(out=out, seed=seed, steps=steps, rate=rate, users=len(dataset.user_ids))
        progress(1, steps, 0.5)
        return {"loss": 0.5}

    monkeypatch.setattr(training, "trainer", lambda name, defense=None: train)
    called = cli("train", "toy", "--config", work.config, "--out", "w", "--steps", "3", "--option", "rate=0.25")
    assert called.code == 0
    assert given == {"out": Path("w"), "seed": 7, "steps": 3, "rate": 0.25, "users": 50}
    assert "loss: 0.5" in called.out
    assert cli("train", "toy", "--config", work.config, "--option", "raet=1").code == 2


def test_interrupted_training_can_go_on(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(dataset: Any, *, out: Path, seed: int, progress: Any) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "trainer", lambda name, defense=None: train)
    called = cli("train", "toy", "--config", work.config)
    assert called.code == 3
    assert "goes on from the last checkpoint" in called.err


@pytest.mark.parametrize(
    ("name", "defense"),
    [
        ("sasrec", None),
        ("tallrec", None),
        ("p5", None),
        ("p5", "adversarial-training"),
        ("tallrec", "adversarial-training"),
        ("tallrec", "dpo"),
    ],
)
def test_reference_models_can_be_trained(name: str, defense: str | None) -> None:
    assert {"out", "seed", "progress"} <= set(inspect.signature(training.trainer(name, defense)).parameters)


def test_only_what_a_command_line_can_say_is_an_option() -> None:
    work = training.trainer("p5")
    assert training.chosen_options("p5", work, ["epochs=3"]) == {"epochs": 3}
    with pytest.raises(ConfigError, match="no option 'hyper'"):
        training.chosen_options("p5", work, ["hyper=3"])


def test_training_with_a_defense_reads_what_a_run_found(
    work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def train(*, out: Path, seed: int, exchanges: Any, progress: Any) -> dict[str, Any]:
        given.update(out=out, exchanges=exchanges)
        return {"loss": 0.5}

    monkeypatch.setattr(training, "trainer", lambda name, defense=None: train)
    asked = ("train", "toy", "--defense", "dpo")
    assert "name a run" in cli(*asked).err
    with Store(work.folder / "runs.sqlite") as store:
        before, after = request("u1"), request("u1", history=3)
        run = store.create_run("r", config={}, target={"name": "t"}, versions={}, seed=7).id
        answer = Answer((Ranked("i4"),))
        store.put_answers(run, [("k0", before, 0, answer), ("k1", after, 0, answer)])
        empty = store.create_run("e", config={}, target={"name": "t"}, versions={}, seed=7).id
        store.save_module(run, "robustness", [], [Evidence("u1", "one gone", before.digest, after.digest)])
    where = ("--store", work.folder / "runs.sqlite", "--out", "w")
    assert "holds no evidence of an attack" in cli(*asked, "--pairs", empty, *where).err
    called = cli(*asked, "--pairs", run, *where)
    assert called.code == 0
    assert [(e.before, e.after) for e in given["exchanges"]] == [(before, after)]
    assert "1 attacked requests of 1 users; judge what comes out on other users" in called.err
    assert "defenses: {dpo: {weights: " in called.out


def test_a_defense_that_is_not_trained_says_so(cli: Cli) -> None:
    assert "is not made by training" in cli("train", "p5", "--defense", "sanitise").err
    assert "it cannot train 'sasrec'" in cli("train", "sasrec", "--defense", "adversarial-training").err
    refused = cli("train", "p5", "--defense", "adversarial-training", "--pairs", "latest")
    assert refused.code == 2
    assert "does not learn from a run" in refused.err


def test_doctor_finds_this_environment_fit(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECAUDIT_CACHE", str(work.folder / "cache"))
    lines = json.loads(cli("doctor", "--format", "json").out)
    found = {line["what"]: line for line in lines}
    assert {"python", "packages", "plugins", "cache", "disk", "store", "processor"} <= set(found)
    assert "will be created" in found["store"]["found"]
    assert "typer" in found["packages"]["found"]


def test_doctor_fails_with_the_mend(work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    (work.folder / "runs.sqlite").write_text("not a database, but long enough to be read as the header of one" * 20)
    (work.folder / "file").touch()
    monkeypatch.setenv("RECAUDIT_CACHE", str(work.folder / "file" / "cache"))
    monkeypatch.setattr(doctors, "_processor", lambda: iter(()))
    called = cli("doctor", "--format", "json")
    assert called.code == 1
    failed = {line["what"]: line for line in json.loads(called.out) if line["level"] == "fail"}
    assert "not a SQLite database" in failed["store"]["found"]
    assert "RECAUDIT_CACHE" in failed["cache"]["mend"]
