"""Constraints that can be kept and broken, said in words, judged near and far; and rules of eligibility."""

from __future__ import annotations

import numpy as np
import pytest
from part_world import small_world

from audit.edits import apply
from audit.modules.hallucination.constraints import KINDS, Constraint, Facts, channel, state
from audit.modules.hallucination.eligibility import Rule, read_rules, verdict
from audit.target import Input
from audit.types import Case, Catalog, Event, Item, Request, User

WORLD = small_world().catalog
FACTS = Facts(WORLD)


def item(**attributes):
    return Item("x", "X", attributes=attributes)


@pytest.mark.parametrize(
    ("year", "kept"), [(1980, "kept"), (1989, "kept"), (1979, "near"), (1991, "near"), (1992, "far"), (1950, "far")]
)
def test_a_range_is_broken_by_a_little_or_by_more(year, kept):
    assert Constraint("range", "year", 1980, 1989, near=2).judge(item(year=year)) == kept


def test_what_an_item_does_not_say_nobody_can_judge():
    one = Constraint("at_least", "year", low=1980)
    assert (
        one.judge(None) == one.judge(item()) == one.judge(item(year="unknown")) == one.judge(item(year=())) == "unknown"
    )
    assert one.judge(item(year="1985")) == "kept"
    assert one.judge(item(year=1979)) == "near"
    assert Constraint("at_most", "year", high=1980).judge(item(year=1985)) == "far"


def test_a_value_has_no_distance_and_no_case():
    genres = item(genres=("Comedy", "Drama"))
    assert Constraint("includes", "genres", value="comedy").judge(genres) == "kept"
    assert Constraint("includes", "genres", value="Horror").judge(genres) == "far"
    assert Constraint("excludes", "genres", value="Drama").judge(genres) == "far"
    assert Constraint("excludes", "genres", value="Horror").judge(genres) == "kept"


def test_a_count_is_judged_by_how_far_off_it_is():
    count = Constraint("count", low=3)
    assert [count.judge_count(n) for n in (3, 2, 4, 1, 9)] == ["kept", "near", "near", "far", "far"]


@pytest.mark.parametrize(
    ("constraint", "words"),
    [
        (Constraint("range", "year", 1980, 1989), "Only recommend titles released between 1980 and 1989."),
        (Constraint("range", "year", 1980, 1980), "Only recommend titles released in 1980."),
        (Constraint("range", "price", 5, 9.5), "Only recommend titles whose price is between 5 and 9.5."),
        (Constraint("at_least", "year", low=1980), "Only recommend titles released in 1980 or later."),
        (Constraint("at_most", "price", high=9), "Only recommend titles whose price is at most 9."),
        (Constraint("includes", "genres", value="Horror"), "Only recommend titles of the genre Horror."),
        (Constraint("excludes", "brand", value="Acme"), "Do not recommend titles whose brand includes Acme."),
        (Constraint("count", low=3), "Recommend exactly 3."),
    ],
)
def test_a_constraint_is_one_plain_sentence(constraint, words):
    assert constraint.says == words


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "count"])
@pytest.mark.parametrize("offered", [None, 30])
def test_what_is_drawn_can_be_kept_by_enough_items_and_broken_by_some(kind, offered):
    pool = WORLD.items_in_order[20 : 20 + (offered or 100)]
    request = Request(User("u", (Event(WORLD["100"]),)), candidates=None if offered is None else pool, k=5)
    drawn = [FACTS.draw(kind, request, pool, np.random.default_rng(seed)) for seed in range(30)]
    found = [one for one in drawn if one is not None]
    assert found
    for one in found:
        kept = sum(one.judge(i) == "kept" for i in pool)
        assert (5 if offered else 10) <= kept < len(pool)


def test_what_cannot_be_kept_or_cannot_be_broken_is_not_drawn():
    same = Catalog(Item(str(n), f"T {n}", attributes={"year": 2000, "genre": "Drama"}) for n in range(50))
    request = Request(User("u"), k=5)
    for kind in KINDS:
        drawn = Facts(same).draw(kind, request, same.items_in_order, np.random.default_rng(0))
        assert (drawn is None) == (kind != "count")


def test_a_catalogue_of_bare_titles_gives_counts_only():
    bare = Catalog(Item(str(n), f"T {n}") for n in range(50))
    for number in range(len(KINDS)):
        made = state(
            Case("c", Request(User("u"), k=5)),
            number,
            Facts(bare),
            bare.items_in_order,
            "note",
            np.random.default_rng(1),
        )
        assert made.constraint.kind == "count"
        assert made.request.k == int(made.constraint.low) != 5


def test_a_stated_constraint_is_an_edit_behind_what_the_user_says():
    case = Case("c", Request(User("u", note="Something light."), task="answer", k=5))
    made = state(case, 0, FACTS, WORLD.items_in_order, "note", np.random.default_rng(3))
    assert made.request == apply(made.edits, case.request)
    assert made.request.user.note == f"Something light. {made.constraint.says}"
    again = state(case, 0, FACTS, WORLD.items_in_order, "note", np.random.default_rng(3))
    assert again == made


def test_a_large_pool_is_sampled():
    many = tuple(Item(str(n), f"T {n}", attributes={"year": 1900 + n % 100}) for n in range(30_000))
    made = state(Case("c", Request(User("u"), k=5)), 0, Facts(Catalog(many)), many, "note", np.random.default_rng(0))
    assert made.constraint.kind == "range"


def test_the_note_comes_before_the_instruction():
    assert channel({Input.NOTE, Input.INSTRUCTION}) == "note"
    assert channel({Input.INSTRUCTION, Input.HISTORY}) == "instruction"
    assert channel({Input.HISTORY}) is None


# Eligibility ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "own", "user", "allowed"),
    [
        ({"at_least": 1}, 1, {}, True),
        ({"at_least": 1}, 0, {}, False),
        ({"at_least": 1}, "3", {}, True),
        ({"at_least": 1}, "plenty", {}, None),
        ({"at_most": 20}, 20.5, {}, False),
        ("yes", "Yes", {}, True),
        ("yes", "no", {}, False),
        ([1], 1.0, {}, True),
        ({"none_of": ["adult"]}, ("drama", "Adult"), {}, False),
        ({"none_of": ["adult"]}, ("drama",), {}, True),
        ({"user_at_least": "age"}, 18, {"age": 18}, True),
        ({"user_at_least": "age"}, 18, {"age": "17"}, False),
        ({"user_at_least": "age"}, 18, {}, None),
        ({"user_at_least": "age"}, 18, {"age": "young"}, None),
        ({"user_in": "region"}, ("EU", "US"), {"region": "eu"}, True),
        ({"user_in": "region"}, "US", {"region": "eu"}, False),
        ({"user_in": "region"}, "US", {"region": ()}, None),
    ],
)
def test_a_rule_allows_forbids_or_cannot_tell(rule, own, user, allowed):
    [made] = read_rules({"column": rule})
    assert made.allows(item(column=own), user) is allowed
    assert made.allows(item(), user) is None
    assert made.says.startswith("column ")


def test_one_broken_rule_forbids_and_one_unknown_leaves_it_open():
    stock, age = read_rules({"stock": {"at_least": 1}, "min_age": {"user_at_least": "age"}})
    assert verdict([stock, age], item(stock=0), {}) is False
    assert verdict([stock, age], item(stock=2), {}) is None
    assert verdict([stock, age], item(stock=2, min_age=3), {"age": 30}) is True
    assert read_rules(None) == ()
    assert read_rules({"a": 3}) == (Rule("a", "one_of", values=("3",)),)
