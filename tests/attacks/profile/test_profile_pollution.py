"""Polluted histories: what is chosen, where it goes, and what a search finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, catalog, items, request

from attacks.profile.history import HistoryDilution, HistoryShuffle
from attacks.profile.pollution import (
    Pollution,
    PopularPollution,
    RandomPollution,
    SearchedPollution,
    UnrelatedPollution,
)
from audit.attack import Attempt, Goal, Objective
from audit.edits import HistoryInsert, HistoryReplace, apply
from audit.errors import ConfigError
from audit.target import Input, Insight, TargetInfo
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

INFO = TargetInfo("t")
POPULARITY = {f"i{n}": 100 - n for n in range(40)}
ALL: tuple[Pollution, ...] = (
    RandomPollution(catalog()),
    PopularPollution(catalog(), popularity=POPULARITY),
    UnrelatedPollution(catalog()),
)


def craft(attack: Any, asked: Request, avoid: frozenset[str] = frozenset(), seed: int = 0) -> tuple[Any, ...]:
    edits = attack.craft(asked, INFO, avoid, np.random.default_rng(seed))
    attack.info.threat_model.check(edits)
    return tuple(edits)


def put_in(edits: tuple[Any, ...]) -> list[str]:
    return [edit.event.item.id for edit in edits]


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.info.id)
@pytest.mark.parametrize("m", [1, 3, 5])
@pytest.mark.parametrize("how", ["insert", "substitute"])
def test_m_new_items_beside_the_old_or_in_their_place(attack: Pollution, m: int, how: Any) -> None:
    asked = request(history=6)
    edits = craft(replace(attack, items=m, how=how), asked)
    after = apply(edits, asked).user.history
    assert len(edits) == m
    assert len({e.item.id for e in after}) == len(after) == (6 + m if how == "insert" else 6)
    kept = [e for e in after if e in asked.user.history]
    assert len(kept) == (6 if how == "insert" else 6 - m)
    assert kept == [e for e in asked.user.history if e in kept]
    # What takes the place of an event has its rating and its time.
    old = [e for e in asked.user.history if e not in kept]
    new = [e for e in after if e not in asked.user.history]
    if how == "substitute":
        assert [(e.rating, e.time) for e in new] == [(e.rating, e.time) for e in old]


def test_popular_items_are_the_most_popular_that_may_be_inserted() -> None:
    popularity = {"i0": 99, "i7": 98, "i30": 50, "i20": 60, "i25": 40, "i10": 70}
    edits = craft(PopularPollution(catalog(), popularity=popularity), request(history=4), frozenset({"i10"}))
    assert sorted(put_in(edits)) == ["i20", "i25", "i30"]  # i0 is in the history, i7 a candidate, i10 the answer


def test_without_a_popularity_it_says_so_instead_of_guessing() -> None:
    attack = PopularPollution(catalog())
    assert "give it `popularity`" in str(attack.info.lacking(INFO, "rank"))
    with pytest.raises(ConfigError, match="profile-popular: give it `popularity`"):
        craft(attack, request())
    assert PopularPollution(catalog(), popularity={}).info.lacking(INFO, "rank") is None


GENRES = Catalog(
    Item(f"{genre}{n}", f"{genre} story {n}", attributes={"genres": (genre,), "year": 1990 + n})
    for genre in ("war", "love", "sport")
    for n in range(5)
)


def test_unrelated_items_share_no_word_and_no_attribute_with_the_history() -> None:
    taste = [GENRES[f"{genre}{n}"] for genre in ("war", "love") for n in range(3)]
    asked = Request(User("u", tuple(Event(item) for item in taste)))
    for seed in range(5):
        # Sport shares the year with some; only sport3 and sport4 share the word "story" alone.
        assert set(put_in(craft(UnrelatedPollution(GENRES, items=2), asked, seed=seed))) == {"sport3", "sport4"}


@pytest.mark.parametrize("attack", [*ALL, HistoryDilution(catalog())], ids=lambda a: a.info.id)
def test_nothing_to_insert_and_nowhere_to_put_it(attack: Any) -> None:
    alone = Catalog(items(1))
    given = {"popularity": {"i0": 1}} if isinstance(attack, PopularPollution) else {}
    assert craft(type(attack)(alone, **given), request(history=1, candidates=None)) == ()
    empty = request(history=0)
    assert craft(replace(attack, how="substitute") if hasattr(attack, "how") else attack, empty) == ()
    if isinstance(attack, Pollution):
        assert len(craft(replace(attack, how="insert"), empty)) == attack.items


@pytest.mark.parametrize("attack", ALL, ids=lambda a: a.info.id)
def test_titles_of_every_kind_are_put_in_as_they_are(attack: Pollution) -> None:
    odd = Catalog(Item(f"i{n}", title) for n, title in enumerate(ODD_TITLES))
    edits = craft(replace(attack, catalog=odd, how="insert", items=5), request(history=1, candidates=None))
    assert {e.event.item.title for e in edits} <= set(ODD_TITLES)
    assert len(edits) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [({"items": 0}, "items: 0 must be at least 1"), ({"how": "swap"}, "how: 'swap' must be one of insert, substitute")],
)
@pytest.mark.parametrize("kind", [RandomPollution, PopularPollution, UnrelatedPollution, SearchedPollution])
def test_options_that_mean_nothing_are_refused(kind: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind(catalog(), **options)


# The search ----------------------------------------------------------------------------------------------------------


def held_up_by(event: str, brittle: str) -> Scripted:
    """A ranker whose first answer rests on one event and falls when a brittle item stands in the history."""

    def answer(asked: Request) -> Answer:
        history = [e.item.id for e in asked.user.history]
        score = 1.0 + 2.0 * (event in history) - 5.0 * (brittle in history)
        offered = asked.candidates or ()
        scores = [score, *(-float(n) for n in range(1, len(offered)))]
        order = sorted(range(len(offered)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(offered[n].id, offered[n].title, scores[n]) for n in order))

    return Scripted(answer, honours=frozenset({Input.HISTORY}), reveals=frozenset({Insight.SCORES}))


def attacked(target: Scripted, asked: Request, budget: int, seed: int = 0, **options: Any) -> Attempt:
    objective = Objective(Goal.DEGRADE, (frozenset({asked.candidates[0].id}),))  # type: ignore[index]
    attack = SearchedPollution(options.pop("catalog", catalog()), **options)
    (attempt,) = attack.run(target, [asked], objective, budget, np.random.default_rng(seed))
    attack.info.threat_model.check(attempt.edits, attempt.queries)
    return attempt


@pytest.mark.parametrize("how", ["insert", "substitute"])
def test_the_brittle_item_is_found(how: Any) -> None:
    asked = request(history=6)
    attempt = attacked(held_up_by("i2", "i33"), asked, 120, how=how, items=2)
    assert "i33" in put_in(attempt.edits)
    assert attempt.after.ids[0] != attempt.before.ids[0]
    assert attempt.queries <= 120


def test_the_event_that_holds_the_answer_is_the_place() -> None:
    asked = request(history=6)
    attempt = attacked(held_up_by("i2", "none"), asked, 60, how="substitute", items=1)
    (edit,) = attempt.edits
    assert isinstance(edit, HistoryReplace)
    assert asked.user.history[edit.position].item.id == "i2"


@pytest.mark.parametrize("budget", [1, 2, 3, 7])
def test_a_small_budget_is_kept_and_still_pollutes(budget: int) -> None:
    target = held_up_by("i2", "i33")
    attempt = attacked(target, request(history=6), budget)
    assert len(attempt.edits) == 3
    assert attempt.queries <= budget
    assert len(target.asked) <= 2 + budget


def test_what_must_not_be_inserted_is_not() -> None:
    small = Catalog(items(12))  # 6 in the history, 5 candidates: one is left
    target = held_up_by("i2", "i11")
    assert put_in(attacked(target, request(history=6), 40, catalog=small).edits) == ["i11"]
    assert attacked(target, request(history=6), 40, catalog=Catalog(items(11))).edits == ()
    empty = attacked(target, request(history=0), 9)
    assert all(isinstance(edit, HistoryInsert) for edit in empty.edits)
    assert len(empty.edits) == 3
    assert attacked(target, request(history=0), 9, how="substitute").edits == ()


def test_the_same_seed_finds_the_same() -> None:
    found = [attacked(held_up_by("i2", "i33"), request(history=6), 30, seed=seed).edits for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


# The history as a whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_shuffle_is_another_order_of_the_same_events(count: int) -> None:
    asked = request(history=count)
    for seed in range(20):
        after = apply(craft(HistoryShuffle(catalog()), asked, seed=seed), asked).user.history
        assert after != asked.user.history
        assert sorted(e.item.id for e in after) == sorted(e.item.id for e in asked.user.history)
    assert craft(HistoryShuffle(catalog()), request(history=1)) == ()


@pytest.mark.parametrize(("share", "replaced"), [(0.01, 1), (0.5, 4), (0.6, 5), (1.0, 8)])
def test_a_share_of_the_history_is_diluted(share: float, replaced: int) -> None:
    asked = request(history=8)
    after = apply(craft(HistoryDilution(catalog(), share=share), asked), asked).user.history
    changed = [(a, b) for a, b in zip(asked.user.history, after, strict=True) if a != b]
    assert len(changed) == replaced
    assert all((a.rating, a.time) == (b.rating, b.time) for a, b in changed)
    with pytest.raises(ValueError, match=r"share: 1\.5 must be above 0"):
        HistoryDilution(catalog(), share=1.5)
