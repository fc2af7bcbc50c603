"""TALLRec in small: the prompt, the training, its resumption, and the measured quality of the shipped adapter."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny_lms import tiny_model, tiny_tokenizer

from audit import edits
from audit.data.splits import window_groups
from audit.errors import TargetError
from audit.target import Input, Insight
from audit.targets.hf import HFTarget
from audit.targets.lm import CausalLM
from audit.targets.zoo import tallrec
from audit.targets.zoo import tallrec_training as training
from audit.targets.zoo.adapter import BASE_NAME
from audit.targets.zoo.tallrec_evaluation import anchors, evaluate
from audit.types import Event, Item, User

SMALL = training.Recipe(rank=2, alpha=4, peak=5e-3, warmup=2, groups=2, targets=4, history=5)


def tiny() -> CausalLM:
    return CausalLM(tiny_model(), tiny_tokenizer())


def tiny_target(lm: CausalLM) -> HFTarget:
    return HFTarget(lm, tasks=("score",), templates={"score": tallrec.TEMPLATE})


def film(title: str) -> Item:
    return Item(title, title)


def test_the_prompt_reads_instruction_titles_and_ratings():
    events = (Event(film("Alien (1979)"), 5), Event(film("Up (2009)"), 3), Event(film("Heat (1995)"), 4))
    request = tallrec.question("u", events, (film("Big (1988)"),))
    assert tallrec.TEMPLATE.render(request, candidate=0).text == (
        f"{tallrec.INSTRUCTION}\n\nLiked: Alien (1979); Heat (1995)\nDisliked: Up (2009)\nMovie: Big (1988)\nAnswer:"
    )
    empty = tallrec.question("u", (), (film("Big (1988)"),))
    assert "Liked: none\nDisliked: none\n" in tallrec.TEMPLATE.render(empty, candidate=0).text


def test_training_sees_the_prompts_of_the_audit(world):
    lm = tiny()
    group = window_groups(world, "train", history=5, targets=4)[3]
    request = tallrec.question(group.user, group.history, group.targets)
    packed = training.encode(lm, [group])[0]
    target = tiny_target(lm)
    assert [lm.tokenizer.decode([*packed.prefix, *b]) for b in packed.branches] == [
        tallrec.TEMPLATE.render(request, candidate=i).text for i in range(len(group.targets))
    ]
    assert target.count_tokens([request]) == [len(packed)]


def test_packed_scores_equal_one_by_one_scores(world):
    lm = tiny()
    target = tiny_target(lm)
    yes, no = training.answer_tokens(lm)
    for group in window_groups(world, "test", history=5, targets=8)[:4]:
        request = tallrec.question(group.user, group.history, group.targets)
        answer = target.recommend([request])[0]
        for i, score in enumerate(answer.scores):
            ids = lm.encode([tallrec.TEMPLATE.render(request, candidate=i).text])
            with torch.inference_mode():
                logits = lm.model(torch.tensor(ids)).logits[0, -1]
            assert score == pytest.approx(float((logits[yes] - logits[no]).sigmoid()), abs=1e-5)


def test_loss_is_the_mean_cross_entropy_plus_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    labels = [(1, 0, 1), (0, 0), (1, 0, 0, 1)]
    scores = [rng.normal(size=len(group)) for group in labels]
    total = sum(
        float(training.group_loss(torch.tensor(s), y, *share))
        for s, y, share in zip(scores, labels, training.shares(labels, 0.5), strict=True)
    )
    flat, truth = np.concatenate(scores), np.concatenate(labels)
    entropy = np.mean(np.log1p(np.exp(np.where(truth == 1, -flat, flat))))
    per_group = []
    for s, y in zip(scores, labels, strict=True):
        pairs = [np.log1p(np.exp(s[j] - s[i])) for i in range(len(y)) for j in range(len(y)) if y[i] > y[j]]
        if pairs:
            per_group.append(np.mean(pairs))
    assert total == pytest.approx(entropy + 0.5 * np.mean(per_group))


def test_the_rate_warms_up_and_ends_at_its_floor():
    recipe = training.Recipe(peak=1.0, warmup=20, floor=0.05)
    rates = [recipe.rate(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[19] == rates[20] == 1.0
    assert rates[60] == pytest.approx((1 + 0.05) / 2)
    assert rates[100] == pytest.approx(0.05)


def test_an_epoch_shows_every_group_once():
    seen = [i for step in range(5) for i in training.order(11, 2, seed=3, step=step)]
    assert len(seen) == len(set(seen)) == 10
    second = [i for step in range(5, 10) for i in training.order(11, 2, seed=3, step=step)]
    assert len(set(second)) == 10
    assert second != seen


def test_training_lowers_its_loss(world, tmp_path):
    losses: list[float] = []
    training.train(
        world,
        out=tmp_path,
        steps=120,
        recipe=SMALL,
        base=tiny(),
        progress=lambda _step, _steps, loss: losses.append(loss),
        checkpoint_every=1000,
    )
    assert np.mean(losses[-30:]) < 0.85 * np.mean(losses[:30])


class Killed(BaseException):
    """Stands for a kill: nothing in the training may catch it."""


def test_a_killed_training_goes_on_as_if_nothing_had_happened(world, tmp_path):
    options = {"seed": 5, "steps": 8, "recipe": SMALL, "checkpoint_every": 3}
    unbroken = training.train(world, out=tmp_path / "a", base=tiny(), **options)

    def kill(step, _steps, _loss):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        training.train(world, out=tmp_path / "b", base=tiny(), progress=kill, **options)
    # A kill in the middle of a checkpoint leaves a half-written folder.
    (tmp_path / "b" / ".checkpoint.partial").mkdir()
    (tmp_path / "b" / ".checkpoint.partial" / "state.json").write_text("{")
    steps = []
    resumed = training.train(
        world, out=tmp_path / "b", base=tiny(), progress=lambda step, *_: steps.append(step), **options
    )
    assert steps == [4, 5, 6, 7, 8]
    assert resumed["loss"] == unbroken["loss"]
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "b" / "adapter_model.safetensors"
    ).read_bytes()


def test_another_plan_does_not_go_on_from_foreign_checkpoints(world, tmp_path):
    training.train(world, out=tmp_path, steps=2, recipe=SMALL, base=tiny())
    with pytest.raises(TargetError, match="other settings"):
        training.train(world, out=tmp_path, steps=3, recipe=SMALL, base=tiny())


def test_a_folder_that_cannot_be_written_is_one_sentence(world, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be read or written"):
        training.train(world, out=tmp_path / "file" / "out", steps=2, recipe=SMALL, base=tiny())


def test_a_damaged_checkpoint_is_one_sentence(world, tmp_path):
    training.train(world, out=tmp_path, steps=2, recipe=SMALL, base=tiny())
    (tmp_path / "checkpoint-000002" / "state.safetensors").write_bytes(b"{}")
    with pytest.raises(TargetError, match="cannot be read or written"):
        training.train(world, out=tmp_path, steps=2, recipe=SMALL, base=tiny())


def test_no_step_is_nothing_to_train_on(world, tmp_path):
    with pytest.raises(TargetError, match="nothing to train on"):
        training.train(world, out=tmp_path, steps=0, recipe=SMALL, base=tiny())


def test_the_written_adapter_scores_like_the_trained_model(world, tmp_path, tiny_folder):
    lm = tiny()
    training.train(world, out=tmp_path, steps=4, recipe=SMALL, base=lm)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == BASE_NAME
    group = window_groups(world, "test", history=5, targets=4)[0]
    request = tallrec.question(group.user, group.history, group.targets)
    options = {"tasks": ("score",), "templates": {"score": tallrec.TEMPLATE}, "dtype": "float32"}
    tuned = HFTarget(str(tiny_folder), adapter=str(tmp_path), **options).recommend([request])[0].scores
    plain = HFTarget(str(tiny_folder), **options).recommend([request])[0].scores
    assert tuned != pytest.approx(plain, abs=1e-4)
    # In the file the adapter has 16 bits.
    assert tuned == pytest.approx(tiny_target(lm).recommend([request])[0].scores, abs=0.02)


def test_anchors_by_hand(world):
    groups = window_groups(world, "test", history=5, targets=4)[:6]
    found = anchors(world, groups, history=5)
    assert found["like_share"][0] == np.mean([e.rating > 3 for e in groups[0].history])
    assert np.array_equal(found["sum"], found["like_share"] + found["item_mean"])
    assert len(found["item_mean"]) == sum(len(g.targets) for g in groups)
    train = [
        (item.id, label)
        for g in window_groups(world, "train", history=5, targets=4)
        for item, label in zip(g.targets, g.labels, strict=True)
    ]
    mine = [label for item, label in train if item == groups[0].targets[0].id]
    overall = np.mean([label for _, label in train])
    assert found["item_mean"][0] == pytest.approx((sum(mine) + 5 * overall) / (len(mine) + 5))


def test_evaluation_reports_the_model_beside_the_anchors(world):
    report = evaluate(
        tiny_target(tiny()), world, rng=np.random.default_rng(0), part="valid", history=5, targets=4, limit=12
    )
    assert report["groups"] == 12
    assert set(report["scores"]) == {"model", "like_share", "item_mean", "sum"}
    low, high = report["scores"]["item_mean"]["auc"]["ci"]
    assert low < report["scores"]["item_mean"]["auc"]["estimate"] < high


@pytest.fixture(scope="module")
def shipped() -> HFTarget:
    return tallrec.build(dtype="float32")


@pytest.mark.llm
def test_the_shipped_adapter_is_small_and_declares_itself(shipped):
    assert sum(f.stat().st_size for f in tallrec.ADAPTER.iterdir()) < 6_000_000
    assert shipped.info.tasks == ("score", "rank")
    assert shipped.info.honours == {Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT}
    assert Insight.SCORES in shipped.info.reveals
    assert len(shipped.info.paraphrases["score"]) >= 2
    assert shipped.info.fingerprint


@pytest.mark.llm
def test_the_shipped_adapter_knows_films_and_listens_to_the_user(shipped, ml100k):
    groups = window_groups(ml100k, "test")[::40]
    report = evaluate(shipped, ml100k, rng=np.random.default_rng(0), limit=10)
    assert report["scores"]["model"]["auc"]["estimate"] > 0.55
    group = groups[0]
    request = tallrec.question(group.user, group.history, group.targets)
    happy = tuple(Event(e.item, 5) for e in group.history)
    grumpy = tuple(Event(e.item, 1) for e in group.history)
    likes, dislikes = shipped.recommend(
        [tallrec.question("u", happy, group.targets), tallrec.question("u", grumpy, group.targets)]
    )
    assert np.mean(likes.scores) > np.mean(dislikes.scores) + 0.1
    edited = edits.TextEdit("instruction", 0, 5, "Ignoring").apply(request)
    assert shipped.recommend([edited])[0].scores != shipped.recommend([request])[0].scores
    assert shipped.recommend([tallrec.question("u", (), group.targets)])[0].outcome == "ok"


@pytest.mark.llm
def test_packing_the_real_model_changes_no_score(shipped, ml100k):
    group = window_groups(ml100k, "test")[5]
    packed = shipped.recommend([tallrec.question(group.user, group.history, group.targets[:6])])[0].scores
    alone = [shipped.recommend([tallrec.question("u", group.history, (t,))])[0].scores[0] for t in group.targets[:6]]
    assert packed == pytest.approx(alone, abs=1e-4)


def test_rank_needs_candidates_and_sorts_by_score(tiny_lm):
    target = HFTarget(
        tiny_lm,
        tasks=("score", "rank"),
        rank_mode="score",
        templates=dict.fromkeys(("score", "rank"), tallrec.TEMPLATE),
    )
    from dataclasses import replace

    score = tallrec.question("u", (), tuple(film(t) for t in ("Alien", "Up", "Heat")))
    scored = {e.item_id: e.score for e in target.recommend([score])[0].ranked}
    ranked = target.recommend([replace(score, task="rank", k=2, user=User("u"))])[0]
    assert list(ranked.ids) == sorted(scored, key=lambda i: -scored[i])[:2]
    assert target.recommend([replace(score, task="rank", candidates=None)])[0].outcome == "error"
