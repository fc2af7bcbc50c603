from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from world import make_world

from audit.data.dataset import Dataset
from audit.errors import DataError
from audit.types import Catalog, Item


def tiny(rows: list[tuple[str, str, float, float]], **options: object) -> Dataset:
    items = Catalog(Item(i, f"Title {i}") for i in dict.fromkeys(row[1] for row in rows))
    return Dataset("t", items, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]), **options)


def test_events_are_sorted_by_time_and_ties_keep_the_file_order() -> None:
    rows = [("u", "c", 1, 5), ("u", "a", 2, 3), ("v", "a", 3, 1), ("u", "b", 4, 5), ("u", "d", 5, 3)]
    dataset = tiny(rows)
    assert [e.item.id for e in dataset.events("u")] == ["a", "d", "c", "b"]
    assert [e.rating for e in dataset.events("u")] == [2, 5, 1, 4]
    assert [list(dataset.catalog)[i] for i in dataset.sequences["u"]] == ["a", "d", "c", "b"]


def test_without_times_the_file_order_is_the_order() -> None:
    nan = float("nan")
    dataset = tiny([("u", "b", nan, nan), ("u", "a", nan, nan)])
    assert [e.item.id for e in dataset.events("u")] == ["b", "a"]
    assert dataset.events("u")[0].time is None
    assert dataset.events("u")[0].rating is None


def test_k_core_drops_until_nothing_changes() -> None:
    rows = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("v", "c"), ("w", "c"), ("w", "d")]
    core = tiny([(u, i, 1.0, n) for n, (u, i) in enumerate(rows)]).k_core(2)
    # d goes first, then w has one item left, then c has one user left.
    assert core.user_ids == ("u", "v")
    assert list(core.catalog) == ["a", "b"]
    assert len(core.interactions) == 4
    counts = Counter(core.interactions["user"]) + Counter(core.interactions["item"])
    assert min(counts.values()) >= 2


def test_a_core_that_is_empty_is_an_error() -> None:
    with pytest.raises(DataError, match="no part of it has 3 interactions"):
        tiny([("u", "a", 1, 1)]).k_core(3)


def test_interactions_must_be_about_the_catalogue() -> None:
    frame = pd.DataFrame([("u", "x", 1.0, 1.0)], columns=["user", "item", "rating", "time"])
    with pytest.raises(DataError, match="not in the catalogue, such as 'x'"):
        Dataset("t", Catalog([Item("a", "A")]), frame)


def test_the_digest_changes_with_the_data_and_only_then(world: Dataset) -> None:
    rows = [("u", "a", 1.0, 1.0), ("u", "b", 2.0, 2.0)]
    assert tiny(rows).digest == tiny(list(rows)).digest
    assert tiny(rows).digest != tiny([rows[0], ("u", "b", 3.0, 2.0)]).digest
    assert tiny(rows).digest != tiny(rows, users={"u": {"age": 3}}).digest
    assert len(world.digest) == 64


def test_liked_needs_a_threshold_and_a_rating() -> None:
    assert tiny([("u", "a", 4, 1)], like_above=3.0).liked(4.0)
    assert not tiny([("u", "a", 4, 1)], like_above=3.0).liked(3.0)
    with pytest.raises(DataError, match="like_above is not set"):
        tiny([("u", "a", 4, 1)]).liked(4.0)
    with pytest.raises(DataError, match="without a rating"):
        tiny([("u", "a", 4, 1)], like_above=3.0).liked(None)


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(DataError, match="user 'z' has no interactions"):
        tiny([("u", "a", 4, 1)]).events("z")


def test_users_can_be_left_out_of_a_log() -> None:
    world = make_world(users=12)
    gone = set(world.user_ids[:3])
    rest = world.without_users(gone)
    assert set(rest.user_ids) == set(world.user_ids) - gone
    assert not gone & set(rest.users)
    assert rest.events(rest.user_ids[0]) == world.events(rest.user_ids[0])
    assert sum(rest.popularity.values()) < sum(world.popularity.values())
    with pytest.raises(DataError, match="no other user is left"):
        world.without_users(set(world.user_ids))
