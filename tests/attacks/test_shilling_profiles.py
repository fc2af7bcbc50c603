"""Fake profiles: what they hold, how they rate, and that they raise an item in a model fitted on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import Scripted, request

from attacks.shilling import AverageShilling, BandwagonShilling, RandomShilling, SegmentShilling
from audit.attack import Goal, Objective
from audit.attack.shilling import Profiles, Shilling
from audit.data.dataset import Dataset
from audit.errors import ConfigError, DataError
from audit.target import Insight, Retrains
from audit.targets.zoo.ease import Ease
from audit.targets.zoo.popularity import Popularity
from audit.types import Catalog, Event, Item, Request, User

KINDS: tuple[type[Shilling], ...] = (RandomShilling, AverageShilling, BandwagonShilling, SegmentShilling)
TARGET = "119"


def written(kind: type[Shilling], world: Dataset, seed: int = 0, **options: Any) -> Profiles:
    given = {"count": 6, "fillers": 20, **options}
    return kind(world.catalog).profiles(world, TARGET, given["count"], given["fillers"], np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_pushes_the_target_among_fillers(kind: type[Shilling], world: Dataset) -> None:
    profiles = written(kind, world)
    assert len(profiles) == 6
    assert not set(profiles) & set(world.user_ids)
    for events in profiles.values():
        ids = [event.item.id for event in events]
        assert len(ids) == len(set(ids)) == 21
        assert next(event.rating for event in events if event.item.id == TARGET) == 5.0
        assert {event.rating for event in events} <= {1.0, 2.0, 3.0, 4.0, 5.0}
        times = [event.time for event in events]
        assert times == sorted(times)  # type: ignore[type-var]
        assert world.interactions["time"].min() <= times[0] <= times[-1] <= world.interactions["time"].max()  # type: ignore[operator]
    assert profiles == written(kind, world)
    assert profiles != written(kind, world, seed=1)


def test_average_profiles_rate_as_each_item_is_rated_and_random_ones_as_all_are(world: Dataset) -> None:
    means = world.interactions.groupby("item")["rating"].mean()
    spread = means.std()
    gaps = {}
    for kind in (RandomShilling, AverageShilling):
        events = [e for p in written(kind, world, count=60).values() for e in p if e.item.id != TARGET]
        events = [e for e in events if e.item.id in means]
        gaps[kind] = np.corrcoef([e.rating for e in events], [means[e.item.id] for e in events])[0, 1]  # type: ignore[arg-type]
    assert spread > 0.3
    assert gaps[AverageShilling] > 0.2 > gaps[RandomShilling] > -0.2


def test_bandwagon_profiles_hold_the_most_popular_items(world: Dataset) -> None:
    top = world.interactions["item"].value_counts()
    for events in written(BandwagonShilling, world).values():
        loved = [e.item.id for e in events if e.rating == 5.0]
        # Five items that no other item is more popular than, by the counts of pandas.
        assert sum(top[item] >= top.iloc[4] for item in loved if item in top.index) >= 5


def test_segment_profiles_love_what_is_like_the_target_and_nothing_else(world: Dataset) -> None:
    genre = world.catalog[TARGET].attributes["genres"]
    bare = [replace(item, attributes={"genres": item.attributes["genres"]}) for item in world.catalog.items_in_order]
    for events in written(SegmentShilling, replace(world, catalog=Catalog(bare))).values():
        loved = [e.item for e in events if e.rating == 5.0]
        assert len(loved) == 6
        assert {e.rating for e in events} == {1.0, 5.0}
        assert all(item.attributes["genres"] == genre for item in loved)


def test_without_ratings_average_profiles_hold_what_the_average_user_holds(world: Dataset) -> None:
    clicks = replace(world, interactions=world.interactions.assign(rating=np.nan), rating_scale=None, like_above=None)
    counts = world.interactions["item"].value_counts()

    def held(kind: type[Shilling]) -> float:
        profiles = written(kind, clicks, count=40)
        assert {e.rating for p in profiles.values() for e in p} == {None}
        return float(np.mean([counts.get(e.item.id, 0) for p in profiles.values() for e in p if e.item.id != TARGET]))

    assert held(AverageShilling) > 1.03 * held(RandomShilling)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_catalogue_gives_what_it_has(kind: type[Shilling]) -> None:
    catalog = Catalog([Item("a", "A {x}\n"), Item("b", 'B "'), Item("c", "ج")])
    rows = [("u", "a", 4.0, 1.0), ("u", "b", 2.0, 2.0), ("fake-0001", "a", 3.0, 3.0)]
    data = Dataset("t", catalog, pd.DataFrame(rows, columns=["user", "item", "rating", "time"]))
    profiles = kind(catalog).profiles(data, "c", 2, 30, np.random.default_rng(0))
    assert list(profiles) == ["fake-0002", "fake-0003"]  # the first name is taken
    assert all(sorted(e.item.id for e in events) == ["a", "b", "c"] for events in profiles.values())
    single = Dataset("t", Catalog([catalog["a"]]), data.interactions[data.interactions["item"] == "a"])
    (alone,) = kind(single.catalog).profiles(single, "a", 1, 30, np.random.default_rng(0)).values()
    assert [e.item.id for e in alone] == ["a"]
    with pytest.raises(ConfigError, match="the item 'z' to promote is not in the catalogue"):
        kind(catalog).profiles(data, "z", 1, 3, np.random.default_rng(0))


def test_the_dataset_takes_new_users_and_refuses_known_ones(world: Dataset) -> None:
    events = (Event(world.catalog["100"], 5.0, 3.0), Event(world.catalog["101"]))
    more = world.with_users({"new": events})
    assert more.events("new") == (events[1], events[0])  # an event without a time comes first
    assert all(more.events(user) == world.events(user) for user in world.user_ids)
    assert more.digest != world.digest
    assert world.with_users({}).digest == world.digest
    with pytest.raises(DataError, match="user '001' has interactions already"):
        world.with_users({"001": events})


@pytest.mark.parametrize("kind", [Popularity, Ease])
def test_a_twin_is_what_fitting_on_the_same_data_gives(kind: type[Popularity] | type[Ease], world: Dataset) -> None:
    target = kind.fit(world)
    assert Insight.TRAIN in target.info.reveals
    assert isinstance(target, Retrains)
    seen = world.interactions.index.isin([world.rows(user)[-1] for user in world.user_ids])
    # All but the last event of each user is what `fit` learns from; the twin learns from all that it is given.
    twin = target.retrain(replace(world, interactions=world.interactions[~seen].reset_index(drop=True)))
    histories = [world.sequences["001"][:5]]
    assert np.allclose(twin.score(histories), target.score(histories))
    assert twin.info.fingerprint != target.retrain(world).info.fingerprint
    if isinstance(target, Ease):
        assert Ease.fit(world, l2=7.0).retrain(world).l2 == 7.0


def test_average_profiles_raise_the_item_in_ease(world: Dataset) -> None:
    target = Ease.fit(world, l2=20.0)
    attack = AverageShilling(world.catalog, dataset=world, fake_share=0.4, fillers=20)
    rare = str(world.interactions["item"].value_counts().index[-1])
    asked = [Request(User(u, world.events(u)[:-1]), k=10) for u in world.user_ids]
    asked = [r for r in asked if rare not in {e.item.id for e in r.user.history}]
    attempts = list(attack.run(target, asked, Objective(Goal.PROMOTE, item_id=rare), 0, np.random.default_rng(0)))
    before, after = (sum(rare in getattr(a, side).ids for a in attempts) for side in ("before", "after"))
    assert after > before + len(asked) / 10
    assert all(a.edits == () and a.queries == 0 for a in attempts)


def test_what_it_needs_is_said(world: Dataset) -> None:
    attack = RandomShilling(world.catalog)
    objective = Objective(Goal.PROMOTE, item_id=TARGET)
    assert "does not reveal train" in str(attack.info.lacking(Scripted().info, "rank"))
    with pytest.raises(ConfigError, match="shilling-random: it needs `dataset`"):
        list(attack.run(Ease.fit(world), [request()], objective, 0, np.random.default_rng(0)))
    ready = RandomShilling(world.catalog, dataset=world)
    with pytest.raises(ConfigError, match="scripted cannot be fitted again"):
        list(ready.run(Scripted(), [request()], objective, 0, np.random.default_rng(0)))
    for options, said in (({"fake_share": 0.0}, "fake_share: 0.0 must be above 0"), ({"fillers": 0}, "fillers: 0")):
        with pytest.raises(ValueError, match=said):
            RandomShilling(world.catalog, **options)  # type: ignore[arg-type]
