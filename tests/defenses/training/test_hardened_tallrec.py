"""FreeLB and DPO on the TALLRec reference, with tiny models, and the twin they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import Scripted

from audit.data.dataset import Dataset
from audit.data.splits import window_groups
from audit.defense import Defense, Trains
from audit.edits import TextEdit, apply
from audit.errors import ConfigError, TargetError
from audit.exchanges import Exchange
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.zoo import smollm2, tallrec, tallrec_training
from audit.types import Answer, Ranked, Request
from defenses.training import dpo, dpo_tallrec, freelb_tallrec
from defenses.training.adversarial import AdversarialTraining
from defenses.training.alignment import Dpo
from defenses.training.freelb import Ascent

RECIPE = tallrec_training.Recipe(groups=2, targets=4, history=5)
Adapted = Callable[[int], CausalLM]


def plain_gradients(lm: CausalLM, groups) -> list[torch.Tensor]:
    packed = tallrec_training.encode(lm, groups)
    direction = tallrec_training.answer_direction(lm)
    scores = (lm.hidden(packed).float() @ direction).split([len(g.labels) for g in groups])
    shares = tallrec_training.shares([g.labels for g in groups], RECIPE.pairwise)
    parts = [
        tallrec_training.group_loss(s, g.labels, *share) for s, g, share in zip(scores, groups, shares, strict=True)
    ]
    return list(torch.autograd.grad(torch.stack(parts).sum(), [p for p in lm.model.parameters() if p.requires_grad]))


def test_a_ball_of_no_size_gives_the_gradients_of_the_plain_training(world: Dataset, adapted: Adapted) -> None:
    groups = window_groups(world, "train", history=5, targets=4)[:3]
    lm = dpo.trainable(adapted(1))
    expected = plain_gradients(lm, groups)
    freelb_tallrec._backward(lm, groups, RECIPE, Ascent(1, 0.0, 0.0, 0.0))
    found = [p.grad for p in lm.model.parameters() if p.requires_grad]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


class Killed(BaseException):
    """Stands for a kill: nothing in the training may catch it."""


def test_a_killed_hardening_goes_on_as_if_nothing_had_happened(
    world: Dataset, adapted: Adapted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freelb_tallrec, "_CHECKPOINT_EVERY", 2)
    common = {"seed": 2, "steps": 5, "ascents": 2, "recipe": RECIPE}
    unbroken = freelb_tallrec.train(world, out=tmp_path / "a", model=adapted(1), **common)

    def kill(step: int, _steps: int, _loss: float) -> None:
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        freelb_tallrec.train(world, out=tmp_path / "b", model=adapted(1), progress=kill, **common)
    steps: list[int] = []
    resumed = freelb_tallrec.train(
        world, out=tmp_path / "b", model=adapted(1), progress=lambda step, *_: steps.append(step), **common
    )
    assert steps == [3, 4, 5]
    assert resumed["loss"] == unbroken["loss"]
    first, second = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "ab")
    assert first == second
    with pytest.raises(TargetError, match="other settings"):
        freelb_tallrec.train(world, out=tmp_path / "b", model=adapted(1), **{**common, "norm": 0.5})


@pytest.mark.parametrize("options", [{"steps": 0}, {"peak": 1.5}, {"ascents": -1}])
def test_bad_numbers_of_the_hardening_are_one_sentence(
    world: Dataset, adapted: Adapted, tmp_path: Path, options: dict[str, float]
) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        freelb_tallrec.train(world, out=tmp_path, seed=0, recipe=RECIPE, model=adapted(1), **options)


def exchange(world: Dataset) -> Exchange:
    group = window_groups(world, "train", history=5, targets=4)[0]
    before = tallrec.question(group.user, group.history, group.targets)
    clean = Answer(tuple(Ranked(i.id, i.title, 0.9 - 0.3 * n) for n, i in enumerate(group.targets)))
    return Exchange(before, clean, apply([TextEdit("instruction", 0, 5, "Do not")], before), clean)


def test_the_prompts_of_the_pairs_are_those_of_the_target(
    world: Dataset, adapted: Adapted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    monkeypatch.setattr(dpo, "align", lambda _policy, _reference, pairs, **_: seen.setdefault("pairs", pairs) and {})
    monkeypatch.setattr(dpo, "report", lambda *_: None)
    one, lm = exchange(world), adapted(1)
    metrics = dpo_tallrec.train(out=tmp_path, seed=0, exchanges=[one], models=(lm, lm))
    assert metrics == {"attacked": 4, "flipped": 0}
    target = HFTarget(lm, tasks=("score",), templates={"score": tallrec.TEMPLATE})
    for asked, kind in ((one.before, "clean"), (one.after, "attacked")):
        prompts = [pair.prompt for pair in seen["pairs"] if pair.asked == kind]
        assert [lm.decode(ids) for ids in target._encode([asked])[0].prompts] == prompts
    assert [pair.chosen for pair in seen["pairs"] if pair.asked == "attacked"] == [" Yes", " Yes", " No", " No"]


def test_an_alignment_is_written_as_an_adapter(world: Dataset, adapted: Adapted, tmp_path: Path) -> None:
    metrics = dpo_tallrec.train(
        out=tmp_path, seed=0, exchanges=[exchange(world)], steps=2, batch=2, models=(adapted(1), adapted(1))
    )
    assert metrics["pairs"] == 8
    assert (tmp_path / "adapter_config.json").is_file()
    assert (tmp_path / "training.json").is_file()


def test_a_start_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'gone' is not a folder"):
        dpo_tallrec.loaded("gone")


@pytest.fixture
def hardened(tmp_path: Path, adapted: Adapted, monkeypatch: pytest.MonkeyPatch) -> tuple[HFTarget, Path]:
    """The tiny model as `tallrec`, and the folder of another adapter of it."""
    from tiny_lms import tiny_model, tiny_tokenizer

    base = tmp_path / "base"
    tiny_model().save_pretrained(base)
    tiny_tokenizer().save_pretrained(base)
    for name, seed in (("plain", 1), ("hard", 2)):
        adapted(seed).model.save_pretrained(tmp_path / name)
    monkeypatch.setattr(smollm2, "folder", lambda: base)
    return tallrec.build(tmp_path / "plain", dtype="float32"), tmp_path / "hard"


@pytest.mark.parametrize("kind", [Dpo, AdversarialTraining])
def test_the_twin_is_the_target_with_another_adapter(kind, hardened: tuple[HFTarget, Path], world: Dataset) -> None:
    target, folder = hardened
    defense = kind(weights=str(folder))
    assert isinstance(defense, Defense)
    assert isinstance(defense, Trains)
    twin = defense.protect(target)
    assert twin.info.name == f"tallrec + {defense.info.id}"
    assert len({twin.info.fingerprint, target.info.fingerprint, tallrec.build(folder).info.fingerprint}) == 3
    assert twin.info.reveals == target.info.reveals
    asked: list[Request] = [exchange(world).before]
    assert twin.recommend(asked)[0].scores != target.recommend(asked)[0].scores
    assert str(twin.lm.dtype) == "torch.float32"
    with pytest.raises(ConfigError, match="is not that"):
        defense.protect(twin)


def test_dpo_says_what_it_lacks(hardened: tuple[HFTarget, Path], tmp_path: Path) -> None:
    target, folder = hardened
    said = Dpo().info.lacking(target.info, "score")
    assert said is not None
    assert "recaudit train tallrec --defense dpo" in said
    with pytest.raises(ConfigError, match="name its folder"):
        Dpo().protect(target)
    with pytest.raises(ConfigError, match="'Scripted' is not that"):
        Dpo(weights=str(folder)).protect(Scripted(name="Scripted"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"has no adapter_config\.json"):
        Dpo(weights=str(tmp_path / "empty")).protect(target)
    with pytest.raises(ConfigError, match="cannot train 'p5'"):
        Dpo.trainer("p5")
