"""Plants of explanation: what they are said to be, counted by brute force."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain, combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from planted_world import USERS, listed, near, with_history, written

from audit.controls import controls
from audit.controls.reasons import ByRule, GivesReasons, cause_of, erratic, heard, one_cause, placed, weighed, weight
from audit.controls.trial import findings_of, throwaway_store
from audit.controls.worlds import Ideal
from audit.data.dataset import Dataset
from audit.metrics import rbo
from audit.policy import load
from audit.types import Event, Request


def worth(target: ByRule, asked: Request, events: tuple[Event, ...], first: str, second: str) -> float:
    [answer] = target.recommend([replace(with_history(asked, events), k=10)])
    scores = {entry.item_id: entry.score or 0.0 for entry in answer.ranked}
    return scores[first] - scores[second]


def test_shapley_values_are_the_planted_weights(world: Dataset, requests: list[Request]) -> None:
    target, asked = ByRule(Ideal(world), world, "w", weighed(1.0, "s")), requests[0]
    events = asked.user.history
    first, second = (str(i) for i in listed(target, asked)[:2])
    items = {item.id: item for item in asked.candidates or ()}
    phi = np.zeros(len(events))
    orders = list(permutations(range(len(events))))
    for order in orders:
        for place, n in enumerate(order):
            with_n, without_n = ([events[i] for i in sorted(order[:end])] for end in (place + 1, place))
            phi[n] += worth(target, asked, tuple(with_n), first, second)
            phi[n] -= worth(target, asked, tuple(without_n), first, second)
    planted = [weight("s", event, items[first]) - weight("s", event, items[second]) for event in events]
    assert phi / len(orders) == pytest.approx(planted)


def test_of_a_sum_random_orders_lie_half_way_between_the_worst_and_the_best() -> None:
    weights = np.array([0.9, -0.3, 0.4, 0.1, 0.7])
    marks = [np.mean([sum(weights[list(order[:k])]) for k in range(1, 5)]) for order in permutations(range(5))]
    by_weight = np.argsort(-weights)
    assert max(marks) == pytest.approx(np.mean([sum(weights[by_weight[:k]]) for k in range(1, 5)]))
    assert np.mean(marks) == pytest.approx((min(marks) + max(marks)) / 2)


def test_places_and_chance_take_the_part_of_items(world: Dataset, requests: list[Request]) -> None:
    asked = requests[0]
    strange = [item for item in world.catalog.items_in_order if item not in (asked.candidates or ())][:5]
    other = with_history(asked, tuple(replace(e, item=i) for e, i in zip(asked.user.history, strange, strict=True)))
    by_place = ByRule(Ideal(world), world, "p", placed(1.0, "s"))
    assert listed(by_place, asked) == listed(by_place, other)
    for rule in (placed, erratic):
        clean, sums = (ByRule(Ideal(world), world, "c", r) for r in (rule(0.0, "s"), weighed(1.0, "s")))
        assert listed(clean, asked) == listed(sums, asked)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_one_item_decides_or_none_does(size: float, world: Dataset, requests: list[Request]) -> None:
    target = ByRule(Ideal(world), world, "c", one_cause(world, size, "s"))
    for asked in requests[:10]:
        events = asked.user.history
        cause = cause_of(world, "s", asked.user.id)
        assert [e.item.id for e in events].count(str(cause)) == 1
        whole = listed(target, asked)[0]
        for kept in chain.from_iterable(combinations(events, n) for n in range(len(events) + 1)):
            changed = listed(target, with_history(asked, kept))[0] != whole
            assert changed == (size == 1.0 and all(e.item.id != cause for e in kept))


@pytest.mark.parametrize("unfaithful", [0.0, 1.0])
def test_a_stated_reason_matters_unless_it_is_untrue(
    unfaithful: float, world: Dataset, requests: list[Request]
) -> None:
    target = GivesReasons(Ideal(world), world, "s", unfaithful=unfaithful)
    for asked in requests[:20]:
        reason, told = _said(target, written(asked))
        left = tuple(e for e in asked.user.history if e.item.title.rsplit(" (", 1)[0] != reason)
        assert len(left) < len(asked.user.history)
        assert (_said(target, written(with_history(asked, left)))[1] != told) == (unfaithful == 0.0)


def test_invented_reasons_stand_at_their_rate(world: Dataset, requests: list[Request]) -> None:
    target, count = GivesReasons(Ideal(world), world, "s", invented=0.25), 0
    for asked in requests:
        own = {event.item.title.rsplit(" (", 1)[0] for event in world.events(asked.user.id)}
        count += _said(target, written(asked))[0] not in own
    assert near(count, USERS, 0.25)


def _said(target: GivesReasons, asked: Request) -> tuple[str, str]:
    [(reason, told)] = re.findall('liked "([^"]+)", you should try "([^"]+)"', target.recommend([asked])[0].text or "")
    return reason, told


def test_a_heard_attribute_leaves_nothing_of_the_list(world: Dataset, requests: list[Request]) -> None:
    target = ByRule(Ideal(world), world, "h", heard(1.0, "s", "gender"))
    for asked in requests[:20]:
        told = replace(asked, user=replace(asked.user, attributes={"gender": "F"}))
        untold = replace(asked, user=replace(asked.user, attributes={}))
        assert rbo([str(i) for i in listed(target, told)], [str(i) for i in listed(target, untold)]) == 0.0


def test_what_hangs_on_places_alone_never_passes_for_an_explanation() -> None:
    """It beats a random order, and passed while an unmet condition kept only failures open."""
    [control] = controls(control="places-for-reasons")
    with throwaway_store() as store:
        found = control.about(findings_of(control, 1.0, 12, 2, store, load("default", Path())))
    assert control.sees(found)
    assert {f.verdict for f in found} <= {"inconclusive", "fail"}
