"""History use is measured against recommenders whose use of it is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audit.data.dataset import Dataset, FloatArray, IntArray
from audit.data.splits import leave_one_out
from audit.targets.zoo.history_use import CONDITIONS, evaluate, histories_by_condition, summary, write
from audit.targets.zoo.protocol import hits, leave_one_out_ranks


def markov(world: Dataset) -> FloatArray:
    """How often each item follows each other one in training."""
    counts = np.zeros((len(world.catalog),) * 2)
    for items in leave_one_out(world).train.values():
        np.add.at(counts, (items[:-1], items[1:]), 1.0)
    return counts


def test_each_condition_asks_what_its_name_says() -> None:
    contexts = [np.arange(10), np.array([7])]
    asked = histories_by_condition(contexts, rng=np.random.default_rng(0), window=4)
    assert list(asked) == list(CONDITIONS)
    assert asked["true"][0].tolist() == list(range(10))
    assert sorted(asked["shuffled"][0]) == [6, 7, 8, 9]  # only what the model reads: older items stay out
    assert asked["reversed"][0].tolist() == [9, 8, 7, 6]
    assert asked["last_only"][0].tolist() == [9]
    assert asked["emptied"][0].tolist() == []
    assert asked["other"][0].tolist() == [7]


def test_a_markov_chain_is_seen_to_read_the_last_item_alone(world: Dataset) -> None:
    counts = markov(world)

    def score(histories: Sequence[IntArray]) -> FloatArray:
        return np.stack([counts[h[-1]] if len(h) else np.zeros(len(counts)) for h in histories])

    report = evaluate(score, world, rng=np.random.default_rng(0))
    rates = {name: value["estimate"] for name, value in report["test"]["hr@10"].items()}
    assert rates["last_only"] == rates["true"] > rates["other"]
    assert report["depth"]["estimate"] == 0.0
    assert report["order"]["ci"][0] > 0
    assert rates["true"] == round(hits(leave_one_out_ranks(score, world), 10).mean(), 4)


def test_a_bag_of_items_is_seen_to_ignore_the_order(world: Dataset, tmp_path: Path) -> None:
    counts = markov(world)

    def score(histories: Sequence[IntArray]) -> FloatArray:
        return np.stack([counts[np.unique(h)].sum(axis=0) for h in histories])

    report = evaluate(score, world, rng=np.random.default_rng(0))
    rates = report["test"]["hr@10"]
    assert rates["true"] == rates["shuffled"] == rates["reversed"]
    assert report["order"]["estimate"] == 0
    assert report["depth"]["estimate"] < 0  # this world is a walk: older items only blur the last one
    write(report, tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8")) == report
    assert set(summary(report)) == {f"test_hr@10_{name}" for name in CONDITIONS} - {"test_hr@10_true"}
