from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.data.dataset import Dataset
from audit.data.splits import PARTS, leave_one_out, temporal, window_groups, windows
from audit.errors import DataError
from audit.types import Catalog, Item


def test_leave_one_out_holds_out_the_last_two(world: Dataset) -> None:
    split = leave_one_out(world)
    for user, items in world.sequences.items():
        assert [*split.train[user], split.valid[user], split.test[user]] == list(items)
        assert list(split.context(user, "valid")) == list(items[:-2])
        assert list(split.context(user, "test")) == list(items[:-1])


def test_leave_one_out_names_the_users_who_are_too_short() -> None:
    rows = [("u", i, 1.0, n) for n, i in enumerate("abc")] + [("v", "a", 1.0, 0.0)]
    dataset = Dataset(
        "t", Catalog(Item(i, i) for i in "abc"), pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    )
    split = leave_one_out(dataset)
    assert split.skipped == ("v",)
    assert set(split.test) == {"u"}


def test_temporal_parts_have_their_sizes_and_never_overlap_in_time() -> None:
    rng = np.random.default_rng(3)
    times = rng.integers(0, 30, size=1000).astype(float)
    parts = temporal(times)
    assert np.bincount(parts).tolist() == [800, 100, 100]
    assert times[parts == 0].max() <= times[parts == 1].min()
    assert times[parts == 1].max() <= times[parts == 2].min()


def test_equal_times_are_cut_in_their_order() -> None:
    assert temporal(np.zeros(10)).tolist() == [0] * 8 + [1, 2]


def test_fractions_must_sum_to_one() -> None:
    with pytest.raises(DataError, match="sum to 1"):
        temporal(np.zeros(10), (0.5, 0.1, 0.1))


def test_windows_equal_a_brute_force_enumeration(world: Dataset) -> None:
    frame = windows(world, history=10)
    expected = []
    for user in world.user_ids:
        events = world.events(user)
        expected += [
            (user, p, world.index[events[p].item.id], int(events[p].rating > 3), events[p].time)
            for p in range(10, len(events))
        ]
    expected.sort(key=lambda row: row[-1])  # Python's sort is stable
    assert list(frame.drop(columns="part").itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize("part", PARTS)
def test_groups_hold_each_window_once_behind_its_own_past(world: Dataset, part: str) -> None:
    frame = windows(world, history=10)
    wanted = {(w.user, w.position): w.label for w in frame[frame["part"] == part].itertuples()}
    seen = {}
    for group in window_groups(world, part, history=10, targets=4):
        events = world.events(group.user)
        assert len(group.history) == 10
        assert 1 <= len(group.targets) == len(group.labels) <= 4
        start = next(p for p in range(10, len(events)) if events[p - 10 : p] == group.history)
        for offset, (item, label) in enumerate(zip(group.targets, group.labels, strict=True)):
            assert events[start + offset].item is item
            seen[group.user, start + offset] = label
    assert seen == wanted


def test_counts_on_movielens(ml100k: Dataset) -> None:
    # 100,000 ratings less ten for each of 943 users; the sizes and the share of positives are those published for
    # this protocol (TALLRec's windows, cut by time).
    frame = windows(ml100k)
    assert len(frame) == 90_570 == 100_000 - 943 * 10
    test = frame[frame["part"] == "test"]
    assert len(test) == 9_057
    assert test["label"].mean() == pytest.approx(0.558, abs=0.0005)
    assert sum(len(group.targets) for group in window_groups(ml100k, "test")) == 9_057


def test_windows_say_what_is_missing(world: Dataset) -> None:
    with pytest.raises(DataError, match="no user has more than 99 events"):
        windows(world, history=99)
    frame = world.interactions.assign(rating=float("nan"))
    unrated = Dataset("t", world.catalog, frame, like_above=3.0)
    with pytest.raises(DataError, match="need a rating on every event"):
        windows(unrated)
    with pytest.raises(DataError, match="must be one of train, valid, test"):
        window_groups(world, "tset")
