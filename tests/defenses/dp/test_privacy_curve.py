"""The utility/privacy curve on a world of a hundred made-up people: what is stored, and what the page says of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import privacy_curve
from benchmarks.privacy_curve import Arm, Bench, World, leaks, page

OPTIONS: dict[str, Any] = {"batch": 16, "clip": 0.5, "rank": 8, "peak": 1e-2, "physical": 32, "accountant": "rdp"}
UNTRAINED = Arm("untrained", None)
PRIVATE = Arm("8", {**OPTIONS, "epochs": 4, "epsilon": 8.0})
OVERFITTED = Arm("∞, overfitted", {**OPTIONS, "epochs": 20, "epsilon": math.inf})


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(0)
    people = {f"u{n:03d}": tuple(rng.integers(2, 62, 10).tolist()) for n in range(120)}
    public = tuple(tuple(rng.integers(2, 62, 10).tolist()) for _ in range(8))
    world = World(60, public, people, length=8)
    bench = Bench(world, tmp_path_factory.mktemp("curve"), {"hidden_size": 32, "num_hidden_layers": 1}, epochs=1)
    found = {arm.name: bench.run(arm, 1) for arm in (UNTRAINED, PRIVATE, OVERFITTED)}
    assert [p.name for p in bench.folder.iterdir()] == ["base"], "trainings that were measured are removed"
    return found


def test_what_is_held_out_is_in_no_training_and_a_person_is_one_unit() -> None:
    world = World(9, (), {"a": (2, 3, 4, 5, 6), "b": (7, 8, 9)}, length=3)
    assert world.learnt("a") == [3, 4, 5]
    assert world.learnt("b") == [7, 8]
    assert {user: len(rows) for user, rows in world.rows.items()} == {"a": 1, "b": 1}


def test_an_overfitted_adapter_is_given_away_and_a_private_or_untrained_one_is_not(
    rows: dict[str, dict[str, Any]],
) -> None:
    assert rows["∞, overfitted"]["by_reference"][0] > 0.9
    assert rows["∞, overfitted"]["epsilon_lb"] > 1.0
    for name in ("8", "untrained"):
        _, low, high = rows[name]["by_loss"]
        assert low <= 0.5 <= high
    assert {tuple(row["blind"]) for row in rows.values()} == {tuple(rows["8"]["blind"])}
    assert rows["8"]["epsilon_lb"] <= 8.0


def test_rows_say_what_was_promised_and_are_json(rows: dict[str, dict[str, Any]]) -> None:
    assert json.loads(json.dumps(rows["8"], allow_nan=False)) == rows["8"]
    assert 7 < rows["8"]["epsilon_rdp"] <= 8.0
    assert rows["8"]["noise"] > 0
    assert rows["∞, overfitted"]["epsilon"] is None
    assert rows["untrained"]["steps"] == 0
    assert rows["8"]["units"] + rows["8"]["left_out"] == 120
    assert 0 <= rows["8"]["hr"] <= 1


def test_the_page_has_a_line_for_each_arm_and_each_training(
    rows: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_curve, "ARMS", (UNTRAINED, PRIVATE, OVERFITTED))
    again = {**rows["8"], "seed": 2, "auc": rows["8"]["auc"] + 0.1}
    text = "\n".join(page([*rows.values(), again]))
    assert text.count("| 8 | 1 |") == text.count("| 8 | 2 |") == 1
    assert "the base itself" in text
    # With sixty people left out a rate at one in a hundred cannot be seen, and is never shown as 0.
    assert "not resolvable" in text
    both = f"({rows['8']['auc']:.3f}–{again['auc']:.3f})"
    assert both in text


def test_a_stored_result_of_other_settings_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_curve, "STORED", tmp_path / "rows.jsonl")
    assert privacy_curve.read() == []
    mine = {"key": privacy_curve.ARMS[1].key(1), "arm": "1"}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(mine)}\n{json.dumps({'key': 'other'})}\n")
    assert privacy_curve.read() == [mine]


def test_leaks_of_a_known_size() -> None:
    member = np.arange(400) % 2 == 0
    told = leaks(np.where(member, 1.0, 0.0), np.zeros(400), member, 1e-5)
    assert told["by_reference"][0] == 1.0
    assert told["blind"][0] == 0.5
    assert told["tpr"][0] == 1.0
    assert told["epsilon_lb"] == pytest.approx(told["ceiling"])
