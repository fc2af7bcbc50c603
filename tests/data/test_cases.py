from __future__ import annotations

import numpy as np
import pytest

from audit.data.cases import both_classes, ranking_cases, scoring_cases
from audit.data.dataset import Dataset
from audit.data.splits import windows
from audit.errors import DataError


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_the_held_out_item_is_the_last_event_and_not_in_the_request(world: Dataset) -> None:
    for case in ranking_cases(world, users=None, k=5, candidates=None, rng=rng()):
        events = world.events(case.unit)
        assert case.relevant == {events[-1].item.id}
        assert case.request.user.history == events[:-1]
        assert case.request.candidates is None
        assert case.request.k == 5
        assert case.request.user.attributes == world.users[case.unit]


def test_candidates_are_one_positive_among_items_never_met(world: Dataset) -> None:
    places = []
    for case in ranking_cases(world, users=None, k=5, candidates=20, rng=rng(), history=7):
        ids = [item.id for item in case.request.candidates or ()]
        assert len(set(ids)) == 20
        met = {event.item.id for event in world.events(case.unit)}
        assert met.intersection(ids) == case.relevant
        assert case.request.user.history == world.events(case.unit)[-8:-1]
        places.append(ids.index(*case.relevant))
    assert len(set(places)) > 10  # the positive stands anywhere


@pytest.mark.parametrize("candidates", [None, 10])
def test_a_smaller_sample_is_the_start_of_a_larger_one(world: Dataset, candidates: int | None) -> None:
    few = ranking_cases(world, users=10, k=5, candidates=candidates, rng=rng())
    many = ranking_cases(world, users=40, k=5, candidates=candidates, rng=rng())
    assert few == many[:10]
    assert len({case.id for case in many}) == 40
    assert (
        scoring_cases(world, users=3, targets=4, rng=rng()) == scoring_cases(world, users=6, targets=4, rng=rng())[:3]
    )


def test_the_temporal_split_asks_about_the_first_event_after_the_cut(world: Dataset) -> None:
    cases = ranking_cases(world, users=None, k=5, candidates=None, rng=rng(), split="temporal")
    assert cases
    times = np.sort(world.interactions["time"].to_numpy())
    cut = times[int(len(times) * 0.9) - 1]  # the last second of the first nine tenths
    for case in cases:
        events, known = world.events(case.unit), len(case.request.user.history)
        assert case.request.user.history == events[:known]
        assert case.relevant == {events[known].item.id}
        assert events[known - 1].time <= cut <= events[known].time


def test_scoring_cases_carry_labels_outside_the_request(world: Dataset) -> None:
    cases = scoring_cases(world, users=None, targets=4, rng=rng())
    frame = windows(world)
    test = frame[frame["part"] == "test"]
    assert {case.unit for case in cases} == set(test["user"])
    for case in cases:
        assert case.request.task == "score"
        assert len(case.request.user.history) == 10
        assert case.request.candidates is not None
        assert len(case.labels) == len(case.request.candidates) <= 4
        ratings = {e.item.id: e.rating for e in world.events(case.unit)}
        assert list(case.labels) == [int(ratings[item.id] > 3) for item in case.request.candidates]
    assert both_classes(cases) == sum(len(set(case.labels)) == 2 for case in cases)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": 1}, "candidates 1 must be at least 2"),
        ({"candidates": 500}, "candidates 500 needs 499 items"),
        ({"users": 0}, "users 0 must be at least 1"),
        ({"k": 0}, "k 0 must be at least 1"),
        ({"history": 0}, "history 0 must be at least 1"),
        ({"split": "leave-two-out"}, "did you mean 'leave-one-out'"),
    ],
)
def test_options_that_cannot_be_used(world: Dataset, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ranking_cases(world, **({"users": 5, "k": 5, "candidates": None, "rng": rng()} | options))
