"""HotFlip: on a linear target its first estimate is the best replacement there is."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, catalog, items, request
from white_box import Linear

from attacks.hotflip import HotFlip
from audit.attack import Attempt, Goal, Objective
from audit.edits import HistoryInsert, HistoryReplace, TextEdit, apply
from audit.errors import ConfigError, TargetError
from audit.target import Input, Insight
from audit.types import Catalog, Item, Request

ASKED = request(instruction="Please rank these films", history=4)
WORDS = {"Please": 0.5, "rank": 1.0, "these": 0.2, "films": 2.0, "Garden": -1.5, "Winter": -0.3, "Number": 0.7}
ITEMS = {"i0": 0.4, "i1": 1.8, "i2": 0.3, "i3": 0.9, "i20": -1.0, "i21": -2.0, "i22": -0.5, "i4": -9.0}


def attacked(
    target: Scripted, budget: int, asked: Request = ASKED, seed: int = 0, goal: Any = None, **options: Any
) -> Attempt:
    attack = HotFlip(options.pop("catalog", catalog()), **options)
    objective = goal or Objective(Goal.DEGRADE, (frozenset({asked.candidates[0].id}),))  # type: ignore[index]
    (attempt,) = attack.run(target, [asked], objective, budget, np.random.default_rng(seed))
    attack.info.threat_model.check(attempt.edits, attempt.queries)
    assert attempt.queries <= budget
    return attempt


def loss(target: Linear, asked: Request) -> float:
    margin = target.margin(asked)
    return math.log(math.exp(margin) + 4) - margin


@pytest.mark.parametrize("edits", ["words", "items", "both"])
def test_with_a_single_query_it_makes_the_best_replacement_there_is(edits: Any) -> None:
    target = Linear(WORDS, ITEMS)
    attempt = attacked(target, 1, edits=edits, how="replace", size=1)
    assert attempt.queries == 1
    # By brute force over every single replacement; i4 is on offer and may not be inserted.
    words = ASKED.instruction.split()
    tried = []
    if edits != "items":
        for place, word in product(range(4), ("Winter", "Garden", "Number")):
            text = " ".join([*words[:place], word, *words[place + 1 :]])
            tried.append(loss(target, replace(ASKED, instruction=text)))
    if edits != "words":
        free = [item for item in catalog().items_in_order if item.id not in {"i0", "i1", "i2", "i3"} | SHOWN]
        for place, item in product(range(4), free):
            event = replace(ASKED.user.history[place], item=item)
            tried.append(loss(target, apply((HistoryReplace(place, event),), ASKED)))
    assert loss(target, apply(attempt.edits, ASKED)) == pytest.approx(max(tried))


SHOWN = {item.id for item in ASKED.candidates or ()}


def test_what_takes_a_place_keeps_its_rating_and_time() -> None:
    (edit,) = attacked(Linear(WORDS, ITEMS), 5, edits="items", how="replace", size=1).edits
    assert isinstance(edit, HistoryReplace)
    old = ASKED.user.history[edit.position]
    assert (edit.event.item.id, edit.event.rating, edit.event.time) == ("i21", old.rating, old.time)


def test_insertions_leave_everything_in_its_place() -> None:
    attempt = attacked(Linear(WORDS, ITEMS), 30)
    assert len(attempt.edits) == 3
    assert all(isinstance(edit, HistoryInsert) or edit.start == edit.end for edit in attempt.edits)  # type: ignore[union-attr]
    after = apply(attempt.edits, ASKED)
    assert [e for e in after.user.history if e in ASKED.user.history] == list(ASKED.user.history)
    assert [w for w in after.instruction.split() if w in ASKED.instruction.split()] == ASKED.instruction.split()
    # The weights of the three best insertions: i21, then Garden as often as one likes.
    gained = loss(Linear(WORDS, ITEMS), after)
    margin = Linear(WORDS, ITEMS).margin(ASKED) - 2.0 - 1.5 - 1.5
    assert gained == pytest.approx(math.log(math.exp(margin) + 4) - margin)


def test_each_step_starts_from_the_one_before() -> None:
    target = Linear(WORDS, ITEMS)
    attempt = attacked(target, 3, how="replace", edits="items")
    assert [e.event.item.id for e in attempt.edits] == ["i21", "i20", "i22"]  # type: ignore[union-attr]
    assert {e.position for e in attempt.edits[:2]} == {1, 3}  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["insert", "replace"])
def test_a_promotion_climbs_instead(how: Any) -> None:
    target = Linear({**WORDS, "Number": 3.0}, {})
    goal = Objective(Goal.PROMOTE, item_id="i4")
    attempt = attacked(target, 6, how=how, size=1, goal=goal)
    assert target.margin(apply(attempt.edits, ASKED)) > target.margin(ASKED)


def test_without_labels_it_works_against_the_clean_answer() -> None:
    target = Linear(WORDS, ITEMS)
    free = Objective(Goal.DEGRADE, (frozenset({"i8"}),), label_free=True)
    known = Objective(Goal.DEGRADE, (frozenset({"i4"}),))
    assert attacked(target, 3, goal=free).edits == attacked(target, 3, goal=known).edits
    # Knowing that another item is right, it raises the first one instead.
    other = attacked(target, 3, goal=Objective(Goal.DEGRADE, (frozenset({"i8"}),)))
    assert target.margin(apply(other.edits, ASKED)) > target.margin(ASKED)


def test_the_gradient_is_read_and_not_asked_for() -> None:
    target = Linear(WORDS, ITEMS)
    attacked(target, 4)
    assert target.passes > 0
    assert len(target.asked) == 2 + 4


@pytest.mark.parametrize("how", ["insert", "replace"])
def test_limits(how: Any) -> None:
    flat = Linear({}, {"i0": 0.0})
    assert attacked(flat, 0, how=how).edits == ()
    empty = request(history=0, instruction="")
    nothing = Linear({}, {"i0": 0.0}, honours=frozenset({Input.HISTORY}))
    nothing.gradients = lambda requests, relevant: [  # type: ignore[method-assign]
        replace(read, spans=()) for read in Linear({}, {"i0": 0.0}).gradients([ASKED] * len(requests), relevant)
    ]
    assert attacked(nothing, 5, empty, how=how).edits == ()
    alone = Catalog(items(1))
    found = attacked(Linear(WORDS, ITEMS), 6, how=how, catalog=alone).edits
    assert all(isinstance(edit, TextEdit) for edit in found)  # the one item is in the history
    odd = Catalog([*items(9), *(Item(f"o{n}", title) for n, title in enumerate(ODD_TITLES))])
    target = Linear({}, {f"o{n}": -1.0 for n in range(len(ODD_TITLES))})
    placed = attacked(target, 12, how=how, edits="items", catalog=odd).edits
    assert {e.event.item.title for e in placed} <= set(ODD_TITLES)  # type: ignore[union-attr]


def test_deterministic() -> None:
    runs = [attacked(Linear(WORDS, ITEMS), 12, seed=seed).edits for seed in (4, 4)]
    assert runs[0] == runs[1]


def test_targets_without_gradients_are_said_and_false_ones_named() -> None:
    closed = Scripted(reveals=frozenset({Insight.SCORES}))
    assert "does not reveal gradients" in str(HotFlip(catalog()).info.lacking(closed.info, "rank"))
    false = Scripted(honours=frozenset({Input.HISTORY}), reveals=frozenset({Insight.GRADIENTS}))
    with pytest.raises(TargetError, match="scripted: it declares gradients, but lacks"):
        attacked(false, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "size: 0 must be at least 1"),
        ({"how": "swap"}, "how: 'swap' must be one of insert, replace"),
        ({"edits": "all"}, "edits: 'all' must be one of both, words, items"),
        ({"places": 0}, "places: 0"),
    ],
)
def test_options_that_do_not_exist_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, ConfigError), match=said):
        HotFlip(catalog(), **options)
