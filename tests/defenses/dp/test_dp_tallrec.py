"""The private TALLRec: its units, its training on a tiny model, and the defense and the target that declare it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_lms import tiny_model
from tiny_private import causal
from typer.testing import CliRunner
from world import make_world

from audit.cli import train as command
from audit.data.canaries import Canaries, plan_canaries
from audit.data.dataset import Dataset
from audit.data.splits import windows
from audit.defense import Defense, Trains
from audit.errors import ConfigError
from audit.guarantee import Guarantee, Members, Promises
from audit.targets.hf import HFTarget
from audit.targets.promised import promised
from audit.targets.zoo import tallrec_training
from defenses.dp import tallrec
from defenses.dp.defense import Dp
from defenses.dp.secret import Secret

RECIPE = tallrec.Recipe(rank=2, alpha=4, history=5)
COMMON: dict[str, Any] = {"batch": 6, "rows": 4, "accountant": "rdp", "recipe": RECIPE, "steps": 3}


@pytest.fixture(scope="module")
def crowd() -> Dataset:
    return make_world(users=40)


@pytest.fixture(scope="module")
def trained(crowd: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dp-tallrec")
    tallrec.train(crowd, out=out, seed=1, base=causal(), **COMMON)
    return out


def test_the_unit_is_a_user_with_their_latest_events_of_the_training_part(crowd: Dataset) -> None:
    units = tallrec.latest(crowd, rows=4, history=5)
    frame = windows(crowd, history=5)
    train = frame[frame["part"] == "train"]
    assert set(units) == set(train["user"])
    for user, group in units.items():
        positions = sorted(train[train["user"] == user]["position"])[-4:]
        events = crowd.events(user)
        assert [t.id for t in group.targets] == [events[p].item.id for p in positions]
        assert group.history == events[positions[0] - 5 : positions[0]]
        assert list(group.labels) == [int(crowd.liked(events[p].rating)) for p in positions]


def test_the_gradient_of_a_user_is_that_of_their_prompts_one_by_one(crowd: Dataset) -> None:
    groups = list(tallrec.latest(crowd, rows=4, history=5).values())[:3]
    source = tallrec.Users(causal(), groups, tallrec.Recipe(rank=2, alpha=4, history=5, pairwise=0.0), 0, workers=2)
    with torch.no_grad():
        for name, parameter in source.parameters.items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
    yes, no = tallrec_training.answer_tokens(source.lm)
    for group, (found, _) in zip(groups, source.gradients([0, 1, 2]), strict=True):
        parts = []
        for single in tallrec.singles(group):
            ((_, branches),) = [(g.prefix, g.branches) for g in tallrec_training.encode(source.lm, [single])]
            prompt = tallrec_training.encode(source.lm, [single])[0]
            ids = torch.tensor([[*prompt.prefix, *branches[0]]])
            logits = source.lm.model(input_ids=ids).logits[0, -1]
            truth = torch.tensor(float(single.labels[0]))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[yes] - logits[no], truth)
            parts.append(torch.autograd.grad(loss, list(source.parameters.values())))
        for n, gradient in enumerate(found):
            torch.testing.assert_close(gradient[0], torch.stack([p[n] for p in parts]).mean(0), rtol=1e-3, atol=1e-6)


def test_a_training_promises_and_says_who_was_in_it(crowd: Dataset, trained: Path) -> None:
    card, members = Guarantee.read(trained), Members.read(trained)
    assert card is not None
    assert members is not None
    assert card.holds
    assert (card.unit, card.cap, card.units, card.steps) == ("user", 4, len(members.inside), 3)
    assert members.inside | members.outside == set(tallrec.latest(crowd, rows=4, history=5))
    assert 0 < len(members.outside)
    assert not (trained / "secret.key").exists()
    assert "u0" not in json.dumps(json.loads((trained / "training.json").read_text())["metrics"])


def test_workers_change_nothing_and_planted_users_are_units(crowd: Dataset, tmp_path: Path) -> None:
    extra = list(tallrec.latest(crowd, rows=2, history=5).values())[:2]
    given = {**COMMON, "secret": Secret.of(1), "extra_users": extra}
    for workers in (1, 3):
        tallrec.train(crowd, out=tmp_path / str(workers), base=causal(), workers=workers, **given)
    one, three = (tallrec_files(tmp_path / n) for n in ("1", "3"))
    for name, tensor in one.items():
        torch.testing.assert_close(three[name], tensor, rtol=0, atol=0)
    card, members = Guarantee.read(tmp_path / "1"), Members.read(tmp_path / "1")
    assert card is not None
    assert members is not None
    assert card.units == len(members.inside) + 2


def test_canaries_are_planted_and_planted_again_in_a_twin(crowd: Dataset, tmp_path: Path, monkeypatch: Any) -> None:
    # The tiny world has too few items for the usual space of secrets.
    monkeypatch.setattr(tallrec, "plan_canaries", partial(plan_canaries, space=4))
    given = {**COMMON, "rows": 3, "recipe": tallrec.Recipe(rank=2, alpha=4, history=3)}
    tallrec.train(crowd, out=tmp_path / "a", base=causal(), canaries=12, **given)
    again = {"members": str(tmp_path / "a"), "epsilon": float("inf")}
    tallrec.train(crowd, out=tmp_path / "b", base=causal(), **given | again)
    cards, lists = zip(*((Guarantee.read(tmp_path / n), Members.read(tmp_path / n)) for n in "ab"), strict=True)
    assert lists[0] == lists[1]
    assert lists[0] is not None
    planted = Canaries.from_dict(lists[0].canaries).inside
    assert len(planted) > 0
    assert [c.units for c in cards if c] == [len(lists[0].inside) + sum(c.times for c in planted)] * 2
    public = (tmp_path / "a" / "training.json").read_text() + (tmp_path / "a" / "guarantee.json").read_text()
    assert "canary-" not in public
    assert {len(c.others) for c in planted} == {2}


def tallrec_files(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_a_single_rating_can_be_the_unit(crowd: Dataset, tmp_path: Path) -> None:
    tallrec.train(crowd, out=tmp_path, unit="example", base=causal(), **COMMON)
    card, members = Guarantee.read(tmp_path), Members.read(tmp_path)
    assert card is not None
    assert members is not None
    assert (card.unit, card.group) == ("example", 4)
    assert len(members.inside) < card.units <= 4 * len(members.inside)


def test_a_target_declares_what_its_adapter_promises(trained: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    tiny_model().save_pretrained(base)
    causal().tokenizer.save_pretrained(base)
    target = HFTarget(base, adapter=trained, tasks=("score",), dtype="float32")
    assert isinstance(target, Promises)
    assert target.members == Members.read(trained)
    assert target.guarantee is not None
    # The base of the training had another identity: the card says nothing of this one.
    assert target.guarantee.void == ("the adapter was trained on another base model",)
    plain = HFTarget(causal(), tasks=("score",))
    assert (plain.guarantee, plain.members) == (None, None)


def test_a_card_is_void_for_other_weights_or_another_base(trained: Path, tmp_path: Path) -> None:
    card, members = promised(trained, "tiny")
    assert card is not None
    assert card.holds
    assert members is not None
    other, _ = promised(trained, "large")
    assert other is not None
    assert "another base" in other.void[0]
    for name in ("guarantee.json", "adapter_model.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"trained on")
    changed, nobody = promised(tmp_path, "tiny")
    assert changed is not None
    assert not changed.holds
    assert "not those" in changed.void[0]
    assert nobody is None


def test_the_defense_wants_a_folder_with_a_promise(tmp_path: Path) -> None:
    assert isinstance(Dp(), Defense)
    assert isinstance(Dp(), Trains)
    target = HFTarget(causal(), tasks=("score",), name="tallrec")
    with pytest.raises(ConfigError, match="recaudit train tallrec --epsilon 8"):
        Dp().protect(target)
    with pytest.raises(ConfigError, match="nothing is promised"):
        Dp(str(tmp_path)).protect(target)
    with pytest.raises(ConfigError, match="not a folder"):
        Dp(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot train 'p5'"):
        Dp.trainer("p5")


def test_the_command_reaches_the_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from audit.cli import app

    asked: dict[str, Any] = {}

    def train(
        *, out: Path, seed: int, progress: Any, epsilon: float, delta: float, unit: str, rows: int = 1
    ) -> dict[str, Any]:
        asked.update(epsilon=epsilon, delta=delta, unit=unit, rows=rows)
        return {"epsilon": epsilon}

    monkeypatch.setattr(tallrec, "train", train)
    run = CliRunner().invoke
    common = ["train", "tallrec", "--out", str(tmp_path)]
    done = run(app, [*common, "--epsilon", "8", "--delta", "1e-4", "--unit", "user", "--option", "rows=2"])
    assert done.exit_code == 0, done.output
    assert asked == {"epsilon": 8.0, "delta": 1e-4, "unit": "user", "rows": 2}
    assert "use it: target: {kind: zoo, name: tallrec, adapter:" in done.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"defense": None, "promise": {"delta": 1e-4}}, "belongs to --epsilon"),
        ({"defense": "dpo", "promise": {"epsilon": 8.0}}, "does not train with differential privacy"),
    ],
)
def test_promises_that_do_not_belong_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        command._private(**given)
    assert command._private(None, {"epsilon": 8.0}) == "dp"
    assert command._private("dpo", {}) == "dpo"
