from __future__ import annotations

from collections import Counter

from audit.data.dataset import Dataset
from audit.targets.zoo.popularity import Popularity, build
from audit.targets.zoo.protocol import gains, hits, leave_one_out_ranks
from audit.types import Event, Request, User


def test_it_counts_all_but_the_held_out_items(world: Dataset) -> None:
    for hold_out, dropped in (("test", 1), ("valid", 2)):
        expected = Counter(e.item.id for user in world.user_ids for e in world.events(user)[:-dropped])
        counts = Popularity.fit(world, hold_out=hold_out).counts
        assert dict(zip(world.catalog, counts, strict=True)) == {i: expected[i] for i in world.catalog}


def test_everybody_gets_the_same_less_what_they_saw(world: Dataset) -> None:
    model = build(world)
    top = model.recommend([Request(User("new"), k=5)])[0]
    first = world.catalog[top.ids[0] or ""]
    seen = model.recommend([Request(User("u", (Event(first),)), k=4)])[0]
    assert seen.ids == top.ids[1:]


def test_figures_on_movielens(ml100k_core: Dataset) -> None:
    # Outside this range the data or the split is wrong: HR@10 of popularity on this split is .087, NDCG@10 .045.
    ranks = leave_one_out_ranks(Popularity.fit(ml100k_core).score, ml100k_core)
    assert len(ranks) == 943
    assert abs(hits(ranks, 10).mean() - 0.087) < 0.005
    assert abs(gains(ranks, 10).mean() - 0.045) < 0.005
