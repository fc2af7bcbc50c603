"""FreeLB on the P5-style reference, and the twin it makes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Scripted
from tiny_targets import SMALL, untrained

from audit.data.dataset import Dataset
from audit.defense import Defense, Trains
from audit.errors import ConfigError, TargetError
from audit.target import GivesGradients, describe
from audit.targets.zoo import p5_model
from audit.targets.zoo.p5 import P5, build
from audit.targets.zoo.p5_evaluation import RULES
from audit.targets.zoo.p5_training import Events, loss_of, plain, samples
from audit.targets.zoo.protocol import leave_one_out_ranks
from audit.types import Request, User
from defenses.training.adversarial import SHIPPED, AdversarialTraining
from defenses.training.freelb import Ascent
from defenses.training.freelb_p5 import gradients, train
from defenses.training.twins import HardenedP5

OPTIONS = {"epochs": 2, "ascents": 2, "peak": 2e-3}


def batch(world: Dataset, net: p5_model.P5Net) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    users = [Events(np.arange(n, n + 12), np.arange(12.0)) for n in range(0, 90, 3)]
    return next(samples(net, users, [frozenset()] * len(world.catalog), np.random.default_rng(0)))


def gradient_of(net: p5_model.P5Net) -> torch.Tensor:
    return torch.cat([p.grad.ravel() for p in net.parameters() if p.grad is not None])


def test_a_ball_of_no_size_gives_the_plain_gradients(world: Dataset) -> None:
    found = []
    for backward in (plain, gradients(Ascent(1, 0.0, 0.0, 0.0))):
        net = untrained(world)
        found.append((backward(net, *batch(world, net)), gradient_of(net)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1])


def test_lengths_are_in_mean_norms_of_an_item_embedding(world: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from defenses.training import freelb

    seen: list[Ascent] = []
    monkeypatch.setattr(freelb, "backward", lambda loss, masks, dim, ascent: seen.append(ascent) or 0.0)
    net = untrained(world)
    gradients(Ascent(3, 0.5, 0.25, 2.0))(net, *batch(world, net))
    items = net.t5.shared.weight[net.vocabulary.blocks[0][0] : net.vocabulary.blocks[-1][1]]
    unit = float(np.linalg.norm(items.detach().numpy(), axis=1).mean())
    assert (seen[0].rate, seen[0].start, seen[0].norm) == pytest.approx((0.5 * unit, 0.25 * unit, 2 * unit))


def test_a_shift_is_an_embedding_exchanged(world: Dataset) -> None:
    """Adding the difference of two tokens' embeddings is reading the other token."""
    net = untrained(world)
    inputs, prefix, answer = batch(world, net)
    other = inputs.clone()
    other[:, 0] = net.vocabulary.item_tokens[5, 0]
    table = net.t5.shared.weight.detach()
    shift = torch.zeros(*inputs.shape, net.hyper.dim), torch.zeros(*prefix.shape, net.hyper.dim)
    shift[0][:, 0] = table[other[:, 0]] - table[inputs[:, 0]]
    with torch.inference_mode():
        exchanged = loss_of(net, other, prefix, answer)
        assert float(loss_of(net, inputs, prefix, answer, shift)) == pytest.approx(float(exchanged), rel=1e-5)
        assert float(loss_of(net, inputs, prefix, answer)) != pytest.approx(float(exchanged), rel=1e-5)


class Killed(BaseException):
    """Stands for a kill: nothing in the training may catch it."""


def test_a_killed_training_goes_on_as_if_nothing_had_happened(world: Dataset, p5_folder: Path, tmp_path: Path) -> None:
    common = {"seed": 4, "start": str(p5_folder), **OPTIONS}
    train(world, out=tmp_path / "a", **common)

    def kill(_epoch: int, _epochs: int, _loss: float) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(world, out=tmp_path / "b", progress=kill, **common)
    with pytest.raises(TargetError, match="another training"):
        train(world, out=tmp_path / "b", **{**common, "norm": 0.5})
    epochs: list[int] = []
    train(world, out=tmp_path / "b", progress=lambda epoch, *_: epochs.append(epoch), **common)
    assert epochs == [2]
    first, second = ((tmp_path / name / p5_model.WEIGHTS).read_bytes() for name in "ab")
    assert first == second
    assert first != (p5_folder / p5_model.WEIGHTS).read_bytes()
    assert json.loads((tmp_path / "a" / p5_model.CONFIG).read_text())["hyper"]["epochs"] == 2
    assert "rules" in json.loads((tmp_path / "a" / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("options", "said"),
    [({"epochs": 0}, "epochs 0"), ({"peak": 3.0}, "peak 3.0"), ({"ascents": 0}, r"ascent\.steps: 0")],
)
def test_an_option_out_of_range_is_named(
    world: Dataset, p5_folder: Path, tmp_path: Path, options: dict[str, float], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        train(world, out=tmp_path, seed=0, start=str(p5_folder), **options)


def test_weights_of_other_items_are_refused(world: Dataset, p5_folder: Path, tmp_path: Path) -> None:
    fewer = replace(
        world, interactions=world.interactions[world.interactions["item"].isin(list(world.catalog)[:60])]
    ).k_core(2)
    assert len(fewer.catalog) < len(world.catalog)
    with pytest.raises(TargetError, match="other items"):
        train(fewer, out=tmp_path, seed=0, start=str(p5_folder))


@pytest.fixture
def target(world: Dataset) -> P5:
    return P5(world.catalog, untrained(world, seed=1))


def test_the_twin_is_the_target_with_other_weights(world: Dataset, target: P5, p5_folder: Path) -> None:
    defense = AdversarialTraining(weights=str(p5_folder))
    assert isinstance(defense, Defense)
    assert isinstance(defense, Trains)
    assert defense.info.family == "training"
    twin = defense.protect(target)
    info, plain_info = describe(twin), target.info
    hardened = P5.load(p5_folder, world.catalog)
    assert info.name == "p5 + adversarial-training"
    assert len({info.fingerprint, plain_info.fingerprint, hardened.info.fingerprint}) == 3
    assert replace(info, name="", fingerprint="") == replace(plain_info, name="", fingerprint="")
    asked = [Request(User("u", world.events(world.user_ids[0])[:9]), k=5)]
    assert twin.recommend(asked)[0].ids == hardened.recommend(asked)[0].ids != target.recommend(asked)[0].ids
    # Whoever attacks the twin sees the gradients of its own weights.
    assert isinstance(twin, GivesGradients)
    relevant = [frozenset({world.catalog.items_in_order[3].id})]
    own, bare = (t.gradients(asked, relevant)[0].gradients for t in (twin, hardened))
    np.testing.assert_array_equal(own, bare)


def test_the_twin_has_the_form_of_the_target(world: Dataset, p5_folder: Path) -> None:
    blind = P5(world.catalog, untrained(world, seed=1), form="encoder")
    twin = AdversarialTraining(weights=str(p5_folder)).protect(blind)
    assert isinstance(twin, HardenedP5)
    assert twin.form == "encoder"
    assert twin.info.name == "p5-order-blind + adversarial-training"


def test_a_target_without_such_weights_is_refused_in_one_sentence(target: P5, p5_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="are shipped for 'p5' alone; train some"):
        AdversarialTraining().protect(Scripted())
    with pytest.raises(ConfigError, match="'Scripted' is not that"):
        AdversarialTraining(weights=str(p5_folder)).protect(Scripted(name="Scripted"))
    twin = AdversarialTraining(weights=str(p5_folder)).protect(target)
    with pytest.raises(ConfigError, match="stands last, right before the target"):
        AdversarialTraining(weights=str(p5_folder)).protect(twin)
    with pytest.raises(ConfigError, match=r"nowhere.* is not a folder"):
        AdversarialTraining(weights=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="does not hold usable weights"):
        AdversarialTraining(weights=str(tmp_path)).protect(target)


def test_weights_for_other_items_than_the_targets_are_refused(world: Dataset, tmp_path: Path) -> None:
    half = replace(
        world, interactions=world.interactions[world.interactions["item"].isin(list(world.catalog)[:60])]
    ).k_core(2)
    p5_model.save(untrained(half), list(half.catalog), tmp_path)
    with pytest.raises(ConfigError, match="items and the target"):
        AdversarialTraining(weights=str(tmp_path)).protect(P5(world.catalog, untrained(world)))
    wide = P5(half.catalog, untrained(half))
    whole = tmp_path / "whole"
    whole.mkdir()
    p5_model.save(untrained(world), list(world.catalog), whole)
    with pytest.raises(ConfigError, match="this catalogue lacks"):
        AdversarialTraining(weights=str(whole)).protect(wide)


def test_only_what_it_can_train_is_trained() -> None:
    assert AdversarialTraining.trainer("p5") is train
    with pytest.raises(ConfigError, match="cannot train 'sasrec'"):
        AdversarialTraining.trainer("sasrec")


def test_the_small_recipe_is_that_of_the_folder(p5_folder: Path) -> None:
    assert p5_model.load(p5_folder)[0].hyper == SMALL


def test_the_shipped_weights_are_small_and_as_good_as_their_card_says(ml100k_core: Dataset) -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 1_100_000
    assert json.loads((SHIPPED / "evaluation.json").read_text())["rules"] == dict.fromkeys(RULES, True)
    target = build(ml100k_core)
    twin = AdversarialTraining().protect(target)
    assert isinstance(twin, HardenedP5)
    assert twin.info.fingerprint != target.info.fingerprint
    hits = [leave_one_out_ranks(one.score, ml100k_core, "test") for one in (twin, target)]
    rates = [float(np.mean(np.array(list(ranks.values())) <= 10)) for ranks in hits]
    assert rates[0] == pytest.approx(0.222, abs=0.003)
    assert rates[0] > rates[1] - 0.01
