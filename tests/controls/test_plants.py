"""Plants do what they say: true values by brute force, clean twins that change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from audit import metrics
from audit.controls import Control, controls
from audit.controls.quality import by_lot, repeats
from audit.controls.robustness import lost_by_position
from audit.controls.worlds import Ideal, invented
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.types import Answer, Case

MINE = [c for c in controls() if c.module in ("quality", "robustness", "fairness")]


@pytest.fixture(scope="module")
def world() -> Dataset:
    return invented(3, 60)


@pytest.fixture(scope="module")
def cases(world: Dataset) -> Sequence[Case]:
    rng = np.random.default_rng(1)
    return ranking_cases(world, users=None, k=5, candidates=10, rng=rng, history=10)


def ask(control: Control, size: float, world: Dataset, cases: Sequence[Case]) -> list[Answer]:
    target = control.plant(Ideal(world), world, size, np.random.default_rng(5))
    return list(target.recommend([replace(case.request, instruction="Rank these.") for case in cases]))


def test_the_reference_base_is_right_about_everybody_who_shows_a_history(world: Dataset, cases: Sequence[Case]) -> None:
    answers = Ideal(world).recommend([case.request for case in cases])
    assert all(answer.ids[0] in case.relevant for answer, case in zip(answers, cases, strict=True))
    bare = [replace(case.request, user=replace(case.request.user, history=())) for case in cases]
    first = [a.ids[0] in case.relevant for a, case in zip(Ideal(world).recommend(bare), cases, strict=True)]
    assert sum(first) < len(cases) / 3  # one in ten by lot


@pytest.mark.parametrize("control", MINE, ids=lambda c: c.id)
def test_a_clean_twin_answers_as_its_base_does(control: Control, world: Dataset, cases: Sequence[Case]) -> None:
    base = Ideal(world).recommend([case.request for case in cases])
    assert [a.ids for a in ask(control, 0.0, world, cases)] == [a.ids for a in base]


@pytest.mark.parametrize(("k", "candidates"), [(5, 10), (3, 4), (10, 5)])
def test_an_order_by_lot_is_worth_the_mean_over_all_orders(k: int, candidates: int) -> None:
    items = [str(i) for i in range(candidates)]
    places = [[*items[1 : at + 1], items[0], *items[at + 1 :]] for at in range(candidates)]
    everywhere = [metrics.ndcg(order[:k], {items[0]}, k) for order in places]
    assert by_lot(k, candidates) == pytest.approx(np.mean(everywhere))


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0])
def test_what_places_cost_is_counted_over_all_pairs_of_orders(size: float) -> None:
    k, orders = 2, list(permutations(range(4)))
    hit = [order.index(0) < k for order in orders]
    # Users who hang on places: every pair of a first and a second order; all others: a hit, and a hit again.
    hits = size * np.mean(hit) + (1 - size)
    lost = size * np.mean([a and not b for a in hit for b in hit])
    assert lost_by_position(size, k, 4) == pytest.approx(lost / hits)


def test_repeats_stand_at_their_rate(world: Dataset, cases: Sequence[Case]) -> None:
    shares = []
    for seed in range(40):
        target = repeats(Ideal(world), world, 0.3, np.random.default_rng(seed))
        lists = [answer.ids for answer in target.recommend([case.request for case in cases])]
        shares.append(np.mean([1 - len(set(ids)) / len(ids) for ids in lists]))
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.3) < 4 * error


@pytest.mark.parametrize("name", ["refusals", "failures"])
def test_unanswered_users_are_as_many_as_planted(name: str, world: Dataset, cases: Sequence[Case]) -> None:
    answers = ask(controls(control=name)[0], 0.3, world, cases)
    missing = sum(a.outcome != "ok" for a in answers)
    assert 6 <= missing <= 32  # Binomial(60, .3) lies outside with a chance below 1 in 10,000
    assert [a.outcome for a in answers] == [a.outcome for a in ask(controls(control=name)[0], 0.3, world, cases)]


def test_only_women_lose_what_they_would_choose(world: Dataset, cases: Sequence[Case]) -> None:
    answers = ask(controls(control="served-worse")[0], 1.0, world, cases)
    for answer, case in zip(answers, cases, strict=True):
        woman = world.users[case.request.user.id]["gender"] == "F"
        assert bool(case.relevant.intersection(answer.ids)) != woman
        assert len(answer.ids) == len(set(answer.ids)) == 5


def test_a_genre_held_back_is_not_listed_while_others_are_offered(world: Dataset, cases: Sequence[Case]) -> None:
    western = {i.id for i in world.catalog.items_in_order if "Western" in i.attributes["genres"]}  # type: ignore[operator]
    for answer, case in zip(ask(controls(control="held-back")[0], 1.0, world, cases), cases, strict=True):
        offered = {item.id for item in case.request.candidates or ()}
        assert len(western.intersection(answer.ids)) == max(0, 5 - len(offered - western))
