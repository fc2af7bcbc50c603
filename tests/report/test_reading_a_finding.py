"""The worked example of the guide is a real finding, and its figures are what the functions give."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit import stats
from audit.findings import Finding
from audit.policy import Rule

PAGE = Path(__file__).parents[2] / "docs" / "reading-a-finding.md"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    block = re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    return dict(json.loads(block[1]))


def test_the_example_is_complete(example: dict[str, Any]) -> None:
    assert set(example) == set(Finding.from_dict(example).to_dict())
    assert example["id"] == Finding.from_dict(example).id


def test_the_policy_gives_its_verdict(example: dict[str, Any]) -> None:
    rule = Rule(metric="robustness.flip_rate", value="effect", max=0.2, severity="high")
    judged = rule.judge(Finding.from_dict(example)).to_dict()
    for field in ("verdict", "n_to_settle", "reason", "threshold", "severity"):
        assert judged[field] == example[field], field


def test_its_figures_follow_from_13_of_50_against_a_floor_of_2(example: dict[str, Any]) -> None:
    interval = stats.wilson(13, 50)
    assert example["ci"] == [pytest.approx(interval.low, abs=5e-4), pytest.approx(interval.high, abs=5e-4)]
    assert example["p"] == pytest.approx(stats.mcnemar_exact(12, 1, "greater"), rel=0.01)
    assert example["mde"] == pytest.approx(stats.minimum_detectable_rate_difference(13 / 50, 50), abs=0.005)
    attacked, floor = np.repeat([1.0, 0.0], [13, 37]), np.repeat([0.0, 1.0, 0.0], [12, 2, 36])
    effect = stats.paired_difference(attacked, floor, rng=np.random.default_rng(0), bounds=(-1.0, 1.0))
    assert example["effect"] == pytest.approx(effect.estimate)
    assert example["effect_ci"] == [pytest.approx(effect.low), pytest.approx(effect.high)]
