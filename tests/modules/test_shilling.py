"""Shilling, judged: lift above the clean twin, shift of the score, and how visible the fake users are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import Scripted, gateway

from attacks.shilling import AverageShilling, SegmentShilling
from audit.attack import Attack
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.shilling import SHILLING_METRICS, disagreement, shilling
from audit.store import Store
from audit.target import Recommender
from audit.targets.zoo.ease import Ease
from audit.targets.zoo.popularity import Popularity
from audit.types import Catalog, Item


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


def judged(
    target: Recommender, world: Dataset, store: Store, *attacks: Attack, fake_share: float = 0.2, users: int = 30
) -> tuple[dict[str, Finding], Output]:
    cases = ranking_cases(world, users=users, k=10, candidates=None, rng=np.random.default_rng(0))
    context = Context(gateway(target, store), world, "rank", cases, 7)
    card, output = ReportCard("robustness", 0.95), Output()
    named = {attack.info.id: attack for attack in attacks}
    shilling(named, context, card, output, items=3, fake_share=fake_share, fillers=20)
    return {f.metric: f for f in card.findings}, output


def test_fake_users_lift_an_item_in_ease(world: Dataset, store: Store) -> None:
    target = Ease.fit(world, l2=20.0)
    found, output = judged(target, world, store, AverageShilling(world.catalog))
    assert set(found) == set(SHILLING_METRICS)
    lift, shift = found["target_hr_lift"], found["prediction_shift"]
    # The clean twin is the target itself, so all of the lift stands above the floor.
    assert lift.floor == 0
    assert lift.estimate == lift.effect > 0.1  # type: ignore[operator]
    assert lift.effect_ci[0] > 0  # type: ignore[index]
    assert lift.p < 0.01  # type: ignore[operator]
    assert shift.effect > 0  # type: ignore[operator]
    assert lift.params["attack"] == "shilling-average"
    assert (lift.params["fake_share"], lift.params["fillers"]) == (0.2, 20)
    assert "10 fake users of 21 events each" in lift.note
    assert "questions outside the run's budget" in lift.note
    assert lift.evidence
    assert {e.id for e in output.evidence} >= set(lift.evidence)
    again, _ = judged(target, world, store, AverageShilling(world.catalog))
    assert again == found


def test_more_fake_users_lift_more(world: Dataset, store: Store) -> None:
    target = Ease.fit(world, l2=20.0)
    few, many = (
        judged(target, world, store, AverageShilling(world.catalog), fake_share=share)[0]["target_hr_lift"].estimate
        for share in (0.02, 0.4)
    )
    assert few < many  # type: ignore[operator]


def test_a_target_that_has_drifted_from_its_data_shows_it_in_the_floor(world: Dataset, store: Store) -> None:
    class Stale(Popularity):
        """Counts from another world: fitting again alone moves its lists."""

    stale = Stale(world.catalog, np.arange(len(world.catalog), dtype=np.float64))
    found, _ = judged(stale, world, store, AverageShilling(world.catalog), fake_share=0.02)
    assert found["prediction_shift"].floor != 0
    assert found["prediction_shift"].effect == pytest.approx(1.0)  # one fake user adds one count


def test_ratings_of_nobody_else_give_a_segment_profile_away(world: Dataset, store: Store) -> None:
    target = Ease.fit(world, l2=20.0)
    found, _ = judged(target, world, store, SegmentShilling(world.catalog))
    assert found["shilling_detection_auc"].estimate > 0.9  # type: ignore[operator]


def test_disagreement_is_rdma() -> None:
    catalog = Catalog([Item("a", "A"), Item("b", "B")])
    rows = [("u", "a", 5.0, 1.0), ("v", "a", 1.0, 1.0), ("v", "b", 3.0, 2.0)]
    data = Dataset("t", catalog, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))
    # Means 3 and 3; u: |5 - 3| / 2; v: (|1 - 3| / 2 + |3 - 3| / 1) / 2.
    assert disagreement(data) == {"u": 1.0, "v": 0.5}


def test_without_ratings_detection_is_not_applicable(world: Dataset, store: Store) -> None:
    clicks = replace(world, interactions=world.interactions.assign(rating=np.nan), rating_scale=None, like_above=None)
    found, _ = judged(Ease.fit(clicks, l2=20.0), clicks, store, AverageShilling(world.catalog))
    assert found["shilling_detection_auc"].verdict == "not_applicable"
    assert "no ratings" in found["shilling_detection_auc"].reason
    assert found["target_hr_lift"].effect > 0  # type: ignore[operator]


def test_a_target_that_cannot_be_fitted_again_is_not_robust_but_untested(world: Dataset, store: Store) -> None:
    target = Scripted()
    found, _ = judged(target, world, store, AverageShilling(world.catalog))
    assert found["target_hr_lift"].verdict == "not_applicable"
    assert "does not reveal train" in found["target_hr_lift"].reason
    assert target.batches == []


def test_sizes_of_nothing_are_refused(world: Dataset, store: Store) -> None:
    with pytest.raises(ValueError, match=r"fake_share: 0\.0"):
        judged(Ease.fit(world), world, store, AverageShilling(world.catalog), fake_share=0.0)
