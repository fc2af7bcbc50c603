"""Histories drawn out: on targets that memorised them at a known rate, and on twins that only guess."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_targets import Memorised, OfMembers, rng
from part_world import a_context, small_world

from audit.findings import Finding
from audit.guarantee import Members
from audit.modules.base import Output
from audit.modules.privacy.extraction import Extraction
from audit.modules.privacy.histories import Beginning, Guesses, shares
from audit.seeds import generator
from audit.target import Input, Recommender
from audit.targets.zoo.popularity import Popularity
from audit.types import Answer, Item, Ranked, Request, User


@cache
def halves() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The people of the world, by a coin each."""
    coins = rng(11).random(len(small_world().user_ids)) < 0.5
    users = small_world().user_ids
    return (
        tuple(u for u, coin in zip(users, coins, strict=True) if coin),
        tuple(u for u, coin in zip(users, coins, strict=True) if not coin),
    )


def memorised(rate: float, **options: Any) -> Memorised:
    return Memorised(small_world(), *halves(), rate, **options)


def output_of(target: Recommender, tmp_path: Path, **options: Any) -> Output:
    context = a_context(target, tmp_path, task=target.info.tasks[0])
    part = Extraction(**options)
    assert part.lacking(context) is None
    return part.run(context, examples=2)


def one(output: Output, metric: str, **params: Any) -> Finding:
    (found,) = [
        f for f in output.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())
    ]
    return found


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_a_memory_is_found_at_its_rate(tmp_path: Path, rate: float, text: bool) -> None:
    output = output_of(memorised(rate, text=text), tmp_path)
    for match in ("items", "exact"):
        uplift = one(output, "extraction_uplift", match=match)
        assert uplift.ci is not None
        assert uplift.ci[0] <= rate <= uplift.ci[1]
        assert uplift.p_adjusted is not None
        assert uplift.p_adjusted < 0.001
        assert not uplift.unmet
        others = one(output, "extraction_rate", match=match, group="others")
        assert others.estimate == 0.0
        assert others.ci is not None
        assert 0.05 < others.ci[1] < 0.2  # nothing seen in some 30 users is not nothing
    assert uplift.params["task"] == ("answer" if text else "rank")
    assert uplift.unit == "user"


def test_a_popularity_target_has_no_uplift_and_no_more_than_its_null(tmp_path: Path) -> None:
    members = Members(frozenset(halves()[0]), frozenset(halves()[1]))
    members.write(tmp_path)
    output = output_of(Popularity.fit(small_world()), tmp_path, members=str(tmp_path))
    for match in ("items", "exact"):
        uplift = one(output, "extraction_uplift", match=match)
        assert uplift.ci is not None
        assert uplift.ci[0] < 0 < uplift.ci[1]
        assert uplift.p_adjusted is not None
        assert uplift.p_adjusted > 0.05
    # It does reproduce items: without the null this would look like memory.
    rate = one(output, "extraction_rate", match="items", group="members")
    assert rate.estimate is not None
    assert rate.estimate > 0.01
    assert rate.effect_ci is not None
    assert rate.effect_ci[0] < 0.02


def test_where_nobody_says_who_was_trained_on_nothing_is_concluded(tmp_path: Path) -> None:
    output = output_of(memorised(1.0, told=False), tmp_path)
    assert {f.metric for f in output.findings} == {"extraction_rate"}
    rate = one(output, "extraction_rate", match="items")
    assert rate.params["group"] == "everyone"
    assert "80.76" in rate.unmet[0]
    assert rate.effect_ci is not None
    assert rate.effect_ci[0] > 0.2
    assert rate.p_adjusted is not None
    assert rate.p_adjusted < 0.001


def test_a_biased_split_leaves_it_open(tmp_path: Path) -> None:
    """Members whom popularity guesses best, and others whom it guesses worst."""
    world = small_world()
    guesses = Guesses(world, generator(7, "privacy", "extraction", "halves"))

    def guessed(user: str) -> float:
        events = world.events(user)
        asked = Beginning(user, "members", Request(User(user, events[:5]), k=5), tuple(e.item.id for e in events[5:10]))
        return shares(guesses.lists(asked)["popularity"], asked.ahead)[0]

    ranked = sorted(world.user_ids, key=lambda user: -guessed(user))
    target = Memorised(world, ranked[:30], ranked[30:], 0.5)
    uplift = one(output_of(target, tmp_path), "extraction_uplift", match="items")
    assert "the split is biased" in uplift.unmet[0]


def test_what_it_was_told_is_no_extraction(tmp_path: Path) -> None:
    echo = OfMembers(Members(frozenset(halves()[0]), frozenset(halves()[1])))
    echo.recommend = lambda requests: [  # type: ignore[attr-defined]
        Answer(tuple(_entry(e.item) for e in r.user.history)) for r in requests
    ]
    output = output_of(echo, tmp_path)  # type: ignore[arg-type]
    assert {f.estimate for f in output.findings} == {0.0}
    assert not output.evidence


def test_refusals_are_counted_and_give_nothing_away(tmp_path: Path) -> None:
    refuses = OfMembers(Members(frozenset(halves()[0]), frozenset(halves()[1])))
    refuses.recommend = lambda requests: [Answer(outcome="refused") for _ in requests]  # type: ignore[attr-defined]
    output = output_of(refuses, tmp_path)  # type: ignore[arg-type]
    note = one(output, "extraction_rate", match="items", group="members").note
    assert f"{len(halves()[0])} answers could not be read and count as nothing drawn out" in note


def test_a_target_that_needs_candidates_finds_them_among_as_popular_ones(tmp_path: Path) -> None:
    target = memorised(1.0, needs_candidates=True)
    asked: list[Request] = []
    plain = target.recommend
    target.recommend = lambda requests: [asked.extend(requests), plain(requests)][1]  # type: ignore[assignment, func-returns-value]
    output = output_of(target, tmp_path, candidates=20)
    assert one(output, "extraction_uplift", match="exact").estimate == 1.0
    assert all(len(r.candidates or ()) == 20 for r in asked)
    assert "among 20 candidates" in one(output, "extraction_rate", match="items", group="members").note


def test_prefixes_are_experiments_of_their_own(tmp_path: Path) -> None:
    output = output_of(memorised(1.0), tmp_path, prefixes=(3, 12, 90))
    assert {f.params.get("prefix") for f in output.findings if f.metric == "extraction_uplift"} == {3, 12}
    (skipped,) = [f for f in output.findings if f.verdict == "not_applicable"]
    assert skipped.reason is not None
    assert "no user has new events behind the first 90" in skipped.reason


def test_values_average_to_the_effect(tmp_path: Path) -> None:
    output = output_of(memorised(0.4), tmp_path)
    for finding in output.findings:
        assert np.mean(list(output.values[finding.id].values())) == pytest.approx(finding.effect)


def test_nobody_is_named_and_nothing_of_a_history_is_shown(tmp_path: Path) -> None:
    output = output_of(memorised(1.0), tmp_path)
    assert output.evidence
    assert all(e.before is None and "…" in e.case for e in output.evidence)
    told = json.dumps([f.to_dict() for f in output.findings] + [e.to_dict() for e in output.evidence])
    assert not any(item.title in told for item in small_world().catalog.items_in_order)


def test_the_plan_is_what_is_asked(tmp_path: Path) -> None:
    context = a_context(memorised(1.0), tmp_path)
    part = Extraction(samples=2)
    assert len(part.plan(context)) == 2 * len(small_world().user_ids)
    part.run(context, examples=0)
    assert context.gateway.estimate(part.plan(context)).queries == 0


def test_guesses_never_saw_the_user() -> None:
    """By brute force: the counts of the other half, and cosines over it."""
    world = small_world()
    guesses = Guesses(world, rng(5))
    user = world.user_ids[3]
    before = world.events(user)[:4]
    request = Request(User(user, before), k=6)
    found = guesses.lists(Beginning(user, "others", request, ()))
    log = [
        {e.item.id for e in world.events(other)}
        for other in world.user_ids
        if guesses.half[other] != guesses.half[user]
    ]
    items = [item.id for item in world.catalog.items_in_order]
    given = [e.item.id for e in before]
    count = {i: sum(i in row for row in log) for i in items}

    def likeness(item: str) -> float:
        both = {g: sum(g in row and item in row for row in log) for g in given}
        return sum(n / (max(count[g], 1) * max(count[item], 1)) ** 0.5 for g, n in both.items())

    free = [i for i in items if i not in given]
    popular = sorted(free, key=lambda i: (-count[i], items.index(i)))[:6]
    similar = sorted(free, key=lambda i: (-round(likeness(i), 9), -count[i], items.index(i)))[:6]
    assert found["popularity"] == tuple(popular)
    assert found["similar"] == tuple(similar)


def test_shares() -> None:
    assert shares(["a", "b", "c"], ["b", "a", "d"]) == (2 / 3, 0.0)
    assert shares(["a", None, "d"], ["a", "x", "d", "y"]) == (0.5, 0.5)
    assert shares([], ["a"]) == (0.0, 0.0)


def test_why_it_cannot_be_asked(tmp_path: Path) -> None:
    deaf = memorised(1.0, honours=frozenset({Input.NOTE}))
    assert "does not read the history" in str(Extraction().lacking(a_context(deaf, tmp_path / "a")))
    long = Extraction(prefixes=(500,)).lacking(a_context(memorised(1.0), tmp_path / "b"))
    assert "no user has new events behind the first 500" in str(long)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"prefixes": ()}, "prefixes"),
        ({"prefixes": (0,)}, "prefixes"),
        ({"prefixes": (3, 3)}, "prefixes"),
        ({"ahead": 0}, "ahead: 0 must be a whole number of at least 1"),
        ({"users": -1}, "users"),
        ({"samples": True}, "samples"),
        ({"candidates": 4}, "candidates: 4 must be more than ahead"),
        ({"instruction": " "}, "instruction"),
        ({"members": "nowhere/members.json"}, "there is no list of members"),
    ],
)
def test_options_that_cannot_be(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Extraction(**option)


def _entry(item: Item) -> Ranked:

    return Ranked(item.id, item.title)
