"""Ablations take the history away; benign controls leave everything in place that should matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, gateway, items, request

from audit.data.dataset import Dataset
from audit.modules import arms
from audit.modules.base import Context
from audit.store import Store
from audit.target import Input
from audit.types import Case, Event, Request, User

INSTRUCTION = "Rank these films."
ALL = frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.INSTRUCTION})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


def case(number: int, history: int = 6) -> Case:
    """A user whose history starts at item `number`, asked about five items after item 20."""
    events = tuple(Event(item, 4.0, float(n)) for n, item in enumerate(items(history, start=number)))
    asked = Request(User(f"u{number}", events), candidates=items(5, start=20), instruction=INSTRUCTION, k=3)
    return Case(f"u{number}", asked, frozenset({"i20"}))


CASES = tuple(case(n) for n in range(0, 12, 2))


def context(store: Store, world: Dataset, cases: tuple[Case, ...] = CASES, seed: int = 1, **info: Any) -> Context:
    declared = {"honours": ALL, "instructions": {"rank": INSTRUCTION}, **info}
    return Context(gateway(Scripted(**declared), store), world, "rank", cases, seed)


def ids(asked: Request) -> list[str]:
    return [e.item.id for e in asked.user.history]


def offered(asked: Request) -> list[str]:
    return [c.id for c in asked.candidates or ()]


def test_an_emptied_history_is_empty_and_all_else_is_as_it_was(store: Store, world: Dataset) -> None:
    ctx = context(store, world)
    for clean, asked in zip(ctx.requests, arms.history_emptied(ctx).requests(ctx), strict=True):
        assert asked == replace(clean, user=replace(clean.user, history=()))


def test_a_shuffled_history_holds_the_same_events(store: Store, world: Dataset) -> None:
    ctx = context(store, world)
    pairs = list(zip(ctx.requests, arms.history_shuffled(ctx).requests(ctx), strict=True))
    for clean, asked in pairs:
        assert sorted(ids(asked)) == sorted(ids(clean))
        assert asked.candidates == clean.candidates
    assert any(ids(asked) != ids(clean) for clean, asked in pairs)


def test_a_strangers_history_is_another_users_and_gives_nothing_away(store: Store, world: Dataset) -> None:
    # The last user met items that the others are asked about.
    cases = (*CASES, case(18, history=6))
    ctx = context(store, world, cases)
    for one, asked in zip(ctx.cases, arms.history_replaced(ctx).requests(ctx), strict=True):
        others = [ids(c.request) for c in ctx.cases if c is not one]
        asked_about = {*offered(one.request), *one.relevant}
        assert ids(asked) in [[i for i in other if i not in asked_about] for other in others]
        assert not asked_about & set(ids(asked))
        assert asked.user.id == one.request.user.id


def test_one_user_has_no_stranger(store: Store, world: Dataset) -> None:
    assert arms.history_replaced(context(store, world, CASES[:1])).edited == 0


def test_a_target_that_reads_no_history_has_no_ablations(store: Store, world: Dataset) -> None:
    assert arms.ablations(context(store, world, honours=frozenset({Input.ITEM_TEXT}))) == []
    assert len(arms.ablations(context(store, world))) == 3


def test_candidates_in_another_order_are_the_same_candidates(store: Store, world: Dataset) -> None:
    ctx = context(store, world)
    pairs = list(zip(ctx.requests, arms.candidate_order(ctx).requests(ctx), strict=True))
    for clean, asked in pairs:
        assert sorted(offered(asked)) == sorted(offered(clean))
        assert asked.user == clean.user
    assert any(offered(asked) != offered(clean) for clean, asked in pairs)


def test_a_paraphrase_is_one_the_owner_declared_or_a_greeting(store: Store, world: Dataset) -> None:
    known = ("Put these films in order.", "Sort the films.")
    told = context(store, world, paraphrases={"rank": known})
    assert {r.instruction for r in arms.paraphrase(told).requests(told)} <= set(known)
    untold = context(store, world)
    assert {r.instruction for r in arms.paraphrase(untold).requests(untold)} == {f"Hello! {INSTRUCTION}"}


def test_a_paraphrase_never_touches_the_items(store: Store, world: Dataset) -> None:
    ctx = context(store, world, honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))
    assert arms.paraphrase(ctx).edited == 0
    noted = tuple(
        replace(c, request=replace(c.request, user=replace(c.request.user, note="I like snow."))) for c in CASES
    )
    ctx = context(store, world, noted, honours=frozenset({Input.HISTORY, Input.NOTE}))
    assert {r.user.note for r in arms.paraphrase(ctx).requests(ctx)} == {"Hello! I like snow."}


def test_controls_are_those_the_target_and_the_cases_allow(store: Store, world: Dataset) -> None:
    def names(ctx: Context) -> list[str]:
        return [arm.id for arm in arms.benign(ctx)]

    assert names(context(store, world)) == ["repeat", "history_order", "candidate_order", "paraphrase"]
    assert names(context(store, world, honours=frozenset({Input.ITEM_TEXT}))) == ["repeat", "candidate_order"]
    whole = tuple(replace(c, request=replace(c.request, candidates=None)) for c in CASES)
    assert names(context(store, world, whole, honours=frozenset({Input.HISTORY}))) == ["repeat", "history_order"]
    bare = tuple(Case(f"u{n}", request(f"u{n}", history=0, candidates=1)) for n in range(3))
    assert names(context(store, world, bare, honours=frozenset({Input.HISTORY}))) == ["repeat"]


def test_the_repeat_is_a_true_repeat(store: Store, world: Dataset) -> None:
    ctx = context(store, world)
    target = ctx.gateway.target
    assert isinstance(target, Scripted)
    ctx.ask(ctx.requests)
    arms.repeat(ctx).answers(ctx)
    assert target.asked == [*ctx.requests, *ctx.requests]


def test_arms_depend_on_the_seed_alone(store: Store, world: Dataset) -> None:
    def edits(seed: int) -> list[Any]:
        ctx = context(store, world, seed=seed)
        return [arm.edits for arm in (*arms.ablations(ctx), *arms.benign(ctx))]

    assert edits(1) == edits(1)
    assert edits(1) != edits(2)


def test_a_plan_lists_the_clean_requests_and_every_arm(store: Store, world: Dataset) -> None:
    ctx = context(store, world)
    chosen = [arms.repeat(ctx), arms.history_emptied(ctx)]
    asks = arms.plan(chosen, ctx)
    assert len(asks) == 3 * len(CASES)
    assert [a.request for a in asks[: len(CASES)]] == ctx.requests
    assert [a.repeat for a in asks[len(CASES) : 2 * len(CASES)]] == [1] * len(CASES)
