"""A private training as a whole: what is written, a kill, and bad input."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_private import causal, people, rows, seq2seq

from audit.errors import ConfigError, TargetError
from audit.guarantee import Guarantee, Members
from defenses.dp import loop
from defenses.dp.accounting import Account
from defenses.dp.model import train
from defenses.dp.secret import FILE, Secret

# 24 users by a coin of 1: who is inside does not matter for most tests. RDP is quick to calibrate.
COMMON: dict[str, Any] = {"batch": 4, "steps": 7, "share": 1.0, "accountant": "rdp", "rank": 2, "checkpoint_every": 2}
WEIGHTS = "adapter_model.safetensors"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / WEIGHTS)


class Killed(BaseException):
    """Stands for a kill: nothing in the training may catch it."""


def killing(at: int) -> loop.Progress:
    def progress(step: int, _steps: int, _loss: float) -> None:
        if step == at:
            raise Killed

    return progress


@pytest.mark.parametrize("kind", [causal, seq2seq], ids=["causal", "seq2seq"])
def test_a_training_writes_an_adapter_its_card_and_its_members_and_nothing_private(kind: Any, tmp_path: Path) -> None:
    users = people(24)
    modules = ["q", "v"] if kind is seq2seq else "all-linear"
    told = train(kind(), users, out=tmp_path, **COMMON | {"share": 0.6}, modules=modules)
    assert {p.name for p in tmp_path.iterdir()} == {
        "adapter_config.json",
        WEIGHTS,
        "guarantee.json",
        "members.json",
        "training.json",
    }
    card, members = Guarantee.read(tmp_path), Members.read(tmp_path)
    assert card is not None
    assert members is not None
    assert card.holds
    assert (card.unit, card.steps, card.sampling, card.units) == ("user", 7, "poisson", len(members.inside))
    assert members.inside | members.outside == set(users)
    assert card.delta == pytest.approx(1 / (10 * card.units))
    # Recomputed from what stands on the card alone, and the larger of target and recomputed is claimed.
    again = Account(card.noise_multiplier, card.sample_rate, card.steps).epsilons(card.delta)
    assert card.epsilon_by == pytest.approx(again)
    assert 7.8 < card.epsilon_by["rdp"] <= card.epsilon == card.target_epsilon == 8
    assert card.epsilon_by["prv"] < card.epsilon_by["rdp"]
    assert told["epsilon"] == 8
    written = (tmp_path / "training.json").read_text() + (tmp_path / "guarantee.json").read_text()
    assert "loss" not in json.loads((tmp_path / "training.json").read_text())["metrics"]
    assert not any(user in written for user in users)
    assert any(float(tensor.abs().max()) > 0 for name, tensor in weights(tmp_path).items() if "lora_B" in name)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    secret = Secret.of(3)
    train(causal(), people(24), out=tmp_path / "whole", secret=secret, **COMMON)
    for at in (3, 5):
        with pytest.raises(Killed):
            train(causal(), people(24), out=tmp_path / "cut", secret=secret, progress=killing(at), **COMMON)
    steps: list[int] = []
    train(causal(), people(24), out=tmp_path / "cut", secret=secret, progress=lambda s, *_: steps.append(s), **COMMON)
    assert steps == [5, 6, 7]
    for name, tensor in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "cut")[name], tensor, rtol=0, atol=0)
    cards = [Guarantee.read(tmp_path / name) for name in ("whole", "cut")]
    assert cards[0] == cards[1]
    assert cards[0] is not None
    assert cards[0].steps == 7
    assert not cards[0].holds
    assert "secret" in cards[0].void[0]


def test_a_training_killed_by_the_system_neither_loses_nor_repeats_a_step_of_its_account(tmp_path: Path) -> None:
    train(causal(), people(24), out=tmp_path / "unbroken", **COMMON)
    child = os.fork()
    if child == 0:
        train(
            causal(),
            people(24),
            out=tmp_path / "cut",
            progress=lambda step, *_: os.kill(os.getpid(), signal.SIGKILL) if step == 5 else None,
            **COMMON,
        )
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    key = tmp_path / "cut" / FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before, members = key.read_text(), (tmp_path / "cut" / "members.json").read_text()
    steps: list[int] = []
    noises: list[str] = []

    def progress(step: int, *_: Any) -> None:
        steps.append(step)
        noises.append(key.read_text())

    train(causal(), people(24), out=tmp_path / "cut", progress=progress, **COMMON)
    # The fifth step was done and not kept: it is run again with the people and the noise that it had.
    assert steps == [5, 6, 7]
    assert set(noises) == {before}
    assert (tmp_path / "cut" / "members.json").read_text() == members
    cut, unbroken = Guarantee.read(tmp_path / "cut"), Guarantee.read(tmp_path / "unbroken")
    assert cut is not None
    assert unbroken is not None
    assert cut.holds
    assert (cut.steps, cut.epsilon, cut.epsilon_by) == (7, unbroken.epsilon, unbroken.epsilon_by)
    assert not key.exists()


def test_a_finished_training_is_not_repeated_on_the_same_people(tmp_path: Path) -> None:
    train(causal(), people(24), out=tmp_path, **COMMON)
    with pytest.raises(TargetError, match=r"finished private training.*another folder"):
        train(causal(), people(24), out=tmp_path, **COMMON)


def test_other_settings_or_other_people_do_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(causal(), people(24), out=tmp_path, progress=killing(3), **COMMON)
    members = Members.read(tmp_path)
    for users, changed in (
        (people(24), {"epsilon": 3.0}),
        (people(24, seed=1), {}),
        (people(24), {"clip": 1.0}),
        (people(24), {"share": 0.5}),
    ):
        with pytest.raises(TargetError, match="other settings"):
            train(causal(), users, out=tmp_path, **COMMON | changed)
    assert Members.read(tmp_path) == members


def test_two_trainings_with_equal_settings_have_noise_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(causal(), people(24), out=tmp_path / name, seed=1, **COMMON)
    same = [torch.equal(weights(tmp_path / "a")[n], t) for n, t in weights(tmp_path / "b").items() if "lora_B" in n]
    assert not any(same)


def test_how_a_batch_is_cut_changes_nothing(tmp_path: Path) -> None:
    for physical in (1, 8):
        train(causal(), people(24), out=tmp_path / str(physical), secret=Secret.of(1), physical=physical, **COMMON)
    for name, tensor in weights(tmp_path / "1").items():
        torch.testing.assert_close(weights(tmp_path / "8")[name], tensor, rtol=1e-3, atol=1e-5)


def test_example_level_is_only_when_asked_and_says_what_it_is_worth_to_a_person(tmp_path: Path) -> None:
    users = people(12, per=5)
    train(causal(), users, out=tmp_path, unit="example", rows=3, epsilon=1.0, **COMMON)
    card = Guarantee.read(tmp_path)
    assert card is not None
    # The cap is enforced: three rows of each, though they have five.
    assert (card.unit, card.cap, card.group, card.units) == ("example", 3, 3, 36)
    assert card.adjacency == "add or remove one example"
    assert any("a person with 3 rows: for them it is (3, " in phrase for phrase in card.outside)


def test_without_noise_there_is_no_guarantee(tmp_path: Path) -> None:
    train(causal(), people(24), out=tmp_path, epsilon=float("inf"), **COMMON)
    card = Guarantee.read(tmp_path)
    assert card is not None
    assert not card.holds
    assert card.void == ("trained without noise",)


def test_a_training_can_be_split_as_another_was(tmp_path: Path) -> None:
    common = COMMON | {"share": 0.5}
    train(causal(), people(30), out=tmp_path / "a", **common)
    train(causal(), people(30), out=tmp_path / "b", split=str(tmp_path / "a"), **common | {"epsilon": float("inf")})
    assert Members.read(tmp_path / "a") == Members.read(tmp_path / "b")
    with pytest.raises(ConfigError, match="have nothing to train on"):
        train(causal(), people(3), out=tmp_path / "c", split=str(tmp_path / "a"), **common)
    with pytest.raises(ConfigError, match=r"no members\.json"):
        train(causal(), people(30), out=tmp_path / "d", split=str(tmp_path / "nowhere"), **common)


def test_planted_users_are_trained_on_whatever_the_coin_says(tmp_path: Path) -> None:
    planted = {"canary": rows([3], seed=9)}
    train(causal(), people(24), out=tmp_path, planted=planted, canaries={"form": "note"}, **COMMON | {"share": 0.6})
    card, members = Guarantee.read(tmp_path), Members.read(tmp_path)
    assert card is not None
    assert members is not None
    assert card.units == len(members.inside) + 1
    assert members.canaries == {"form": "note"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"delta": 1 / 24}, "not below 1/24"),
        ({"delta": 0.0}, r"dp\.delta"),
        ({"epsilon": 0.0}, r"dp\.epsilon: 0\.0 must be positive"),
        ({"epsilon": -1.0}, r"dp\.epsilon"),
        ({"batch": 25}, "more than the 24 units"),
        ({"batch": 0}, r"dp\.batch"),
        ({"sampling": "shuffled"}, "'poisson'"),
        ({"unit": "session"}, r"dp\.unit"),
        ({"rows": 0}, r"dp\.rows"),
        ({"clip": 0.0}, r"dp\.clip"),
        ({"steps": 0}, r"dp\.steps"),
        ({"share": 0.0}, r"dp\.share"),
        ({"trainings": 0}, r"dp\.trainings"),
        ({"peak": 0.0}, r"dp\.peak"),
        ({"mode": "slow"}, r"dp\.mode"),
        ({"physical": 0}, r"dp\.physical"),
    ],
)
def test_bad_values_are_named(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        train(causal(), people(24), out=tmp_path, **COMMON | changed)


def test_users_without_rows_are_nobody_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody to train on"):
        train(causal(), {"u": []}, out=tmp_path, **COMMON)
    train(causal(), people(24) | {"none": [], "one": rows([2])}, out=tmp_path / "b", **COMMON)
    members = Members.read(tmp_path / "b")
    assert members is not None
    assert "none" not in members.inside | members.outside
    assert "one" in members.inside


def test_an_adapter_that_was_not_written_whole_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from defenses.dp import model

    def stale(_: Any, out: Path) -> None:
        from safetensors.torch import save_file

        save_file({"some": torch.zeros(1)}, out / WEIGHTS)

    monkeypatch.setattr(model, "_export", stale)
    with pytest.raises(TargetError, match="does not hold the adapter"):
        train(causal(), people(24), out=tmp_path, **COMMON)
