"""Mitigations: what is planted is removed, what they promise holds, and what they cost is seen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.errors import ConfigError
from audit.modules.fairness.exposure import Exposure
from audit.modules.fairness.sweep import Sweep
from audit.modules.mitigation import changes
from audit.modules.protected import protect
from audit.modules.report_card import ReportCard
from audit.stats import prefix_alpha, prefix_failure, prefix_minimums
from audit.target import Input
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, Turn, User
from defenses.fairness.calibrated import Calibrated, divergence, shares
from defenses.fairness.exposure import ExposureAware, exposure_matrix, lot
from defenses.fairness.fa_star_ir import FaStarIr
from defenses.fairness.instruction import FairnessInstruction, statements
from defenses.fairness.marginalise import Marginalise
from defenses.fairness.stripping import AttributeStripping

READS = frozenset({Input.NOTE, Input.INSTRUCTION, Input.ATTRIBUTES, Input.HISTORY, Input.TURNS})


def first(request: Request) -> Answer:
    return Answer(tuple(Ranked(item.id, item.title) for item in (request.candidates or ())[: request.k]))


# Stripping: its words in test_stripped_persons.py ---------------------------------------------------------------------


def test_a_stated_attribute_changes_nothing_behind_it(tmp_path: Path) -> None:
    def biased(request: Request) -> Answer:
        offered = list(request.candidates or ())
        if " female " in request.user.note:
            offered.reverse()
        return Answer(tuple(Ranked(item.id, item.title) for item in offered[: request.k]))

    context = a_context(Scripted(biased, honours=READS), tmp_path, candidates=12, users=30)
    part = Sweep(attributes={"gender": ["female", "male"]}, anchors=30, repeats=1, paraphrases=0, channel="note")
    before = part.run(context, examples=0)
    found = {f.params["value"]: f for f in before.findings if f.metric == "excess_distance"}
    assert found["female"].effect is not None
    assert found["female"].effect > 0.3
    (placed,) = protect({"strip": AttributeStripping()}, context, ReportCard("fairness", 0.95), metric="x")
    changed = changes("fairness", placed, {"sweep": part}, {"sweep": before}, examples=0)
    moved = next(f for f in changed.findings if f.params["finding"] == found["female"].id)
    assert moved.estimate == pytest.approx(-found["female"].effect)
    assert moved.p is not None
    assert moved.p < 0.01


# Marginalisation ------------------------------------------------------------------------------------------------------


def by_gender(request: Request) -> Answer:
    offered = list(request.candidates or ())
    if request.user.attributes.get("gender") == "female" and request.task == "rank":
        offered.reverse()
    if request.task == "score":
        high = 0.9 if request.user.attributes.get("gender") == "male" else 0.3
        return Answer(tuple(Ranked(item.id, item.title, high) for item in offered))
    return Answer(tuple(Ranked(item.id, item.title) for item in offered[: request.k]))


def items(count: int = 8) -> tuple[Item, ...]:
    return tuple(Item(f"i{n}", f"T{n}", attributes={"genres": ("A" if n < count // 2 else "B",)}) for n in range(count))


@pytest.mark.parametrize("task", ["rank", "score"])
def test_the_answer_cannot_depend_on_who_asks(task: Any) -> None:
    target = Scripted(by_gender, honours=READS, tasks=("rank", "score"))
    made = Marginalise(attributes={"gender": ["female", "male"]}).protect(target)
    asked = [
        Request(User("u", attributes=known), task=task, candidates=items(), k=4)
        for known in ({"gender": "female"}, {"gender": "male"}, {"gender": "other"}, {})
    ]
    answers = made.recommend(asked)
    assert len({a.ranked for a in answers}) == 1
    assert all(a.usage.calls == 2 for a in answers)
    if task == "score":
        assert answers[0].scores == pytest.approx([0.6] * 8)


@pytest.mark.parametrize("neutral", [True, False])
def test_the_target_is_asked_the_same_whoever_asks(neutral: bool) -> None:
    asked = []
    for known in ({"city": "Oslo", "gender": "female"}, {"gender": "male", "city": "Oslo"}, {"city": "Oslo"}):
        target = Scripted(by_gender, honours=READS)
        made = Marginalise(attributes={"gender": ["female", "male"], "age": [20, 60]}, neutral=neutral).protect(target)
        made.recommend([Request(User("u", attributes=known), candidates=items(), k=4)])
        asked.append({r.digest for r in target.asked})
    assert asked[0] == asked[1] == asked[2]
    assert len(asked[0]) == 4 + neutral


def test_joining_costs_whom_the_attribute_served_well() -> None:
    def serves(request: Request) -> Answer:  # men like the first items, women the last, and the target knows
        return by_gender(request)

    bare = Scripted(serves, honours=READS)
    made = Marginalise(attributes={"gender": ["female", "male"]}).protect(bare)
    request = Request(User("u", attributes={"gender": "female"}), candidates=items(), k=2)
    wanted = {"i7", "i6"}
    assert len(wanted & set(bare.recommend([request])[0].ids)) == 2
    assert len(wanted & set(made.recommend([request])[0].ids)) == 1


def test_lists_are_fused_by_reciprocal_ranks() -> None:
    made = Marginalise(attributes={"gender": ["female", "male"]}).protect(Scripted(by_gender, honours=READS))
    (answer,) = made.recommend([Request(User("u"), candidates=items(6), k=3)])
    points = {f"i{n}": sum(1 / (60 + r) for r in ((n + 1, 6 - n)) if r <= 3) for n in range(6)}
    assert list(answer.ids) == sorted(points, key=lambda i: (-points[i], i))[:3]


def test_a_refusal_to_most_is_a_refusal() -> None:
    def refuses(request: Request) -> Answer:
        return Answer(outcome="refused") if request.user.attributes["gender"] == "female" else first(request)

    asked = [Request(User("u"), candidates=items(), k=3)]
    assert (
        Marginalise(attributes={"gender": ["female", "male"]})
        .protect(Scripted(refuses, honours=READS))
        .recommend(asked)[0]
        .outcome
        == "refused"
    )
    three = Marginalise(attributes={"gender": ["female", "male", "x"]}).protect(Scripted(refuses, honours=READS))
    assert three.recommend(asked)[0].outcome == "ok"


# FA*IR ----------------------------------------------------------------------------------------------------------------


def test_the_tables_of_the_sheet() -> None:
    assert prefix_minimums(10, 0.5, 0.1) == (0, 0, 0, 1, 1, 1, 2, 2, 3, 3)
    assert prefix_minimums(10, 0.3, 0.1) == (0, 0, 0, 0, 0, 0, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("k", "p", "alpha", "table"),
    [
        (10, 0.2, 0.15, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
        (20, 0.25, 0.1, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]),
        (20, 0.25, 0.078125, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]),
        (30, 0.3, 0.05, [0] * 8 + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 4 + [5] * 3),
    ],
)
def test_the_tables_of_the_authors_own_library(k: int, p: float, alpha: float, table: list[int]) -> None:
    # Expected values of the tests of fairsearch (fair-search/fairsearch-fair-python).
    assert list(prefix_minimums(k, p, alpha)) == table


@pytest.mark.parametrize(
    ("k", "p", "alpha", "fails"),
    [(10, 0.2, 0.15, 0.134217728), (20, 0.25, 0.078125, 0.10515247355215251)],
)
def test_chances_of_failure_are_those_of_the_authors_own_library(k: int, p: float, alpha: float, fails: float) -> None:
    assert prefix_failure(k, p, alpha) == pytest.approx(fails, abs=1e-9)


def test_the_adjustment_is_the_authors_wherever_it_can_be_met() -> None:
    assert prefix_alpha(10, 0.2, 0.15) == 0.15
    assert prefix_minimums(30, 0.3, prefix_alpha(30, 0.3, 0.05)) == tuple(
        [0] * 10 + [1] * 6 + [2] * 5 + [3] * 4 + [4] * 5
    )
    assert prefix_failure(30, 0.3, prefix_alpha(30, 0.3, 0.05)) == pytest.approx(0.04877730797178359, abs=1e-9)
    # Theirs takes the nearest table, here one that fails too often; ours never exceeds what is promised.
    assert prefix_failure(20, 0.25, prefix_alpha(20, 0.25, 0.1)) <= 0.1 < prefix_failure(20, 0.25, 0.078125)


def test_what_the_longer_list_cannot_give_is_said() -> None:
    offered = items(20)[:10]
    made = FaStarIr(Catalog(items(20)), protected=["B"], share=0.9, depth=2).protect(Scripted(first, honours=READS))
    (answer,) = made.recommend([Request(User("u"), candidates=offered, k=5)])
    assert answer.outcome == "ok"
    assert answer.detail == "place 2: 0 of 1 protected items; the longer list holds no more"


@pytest.mark.parametrize(("share", "asks"), [(0.15, False), (0.2, False), (0.21, True)])
def test_a_share_that_asks_for_nothing_is_said(share: float, asks: bool) -> None:
    # Ten places without a protected item have the chance (1 - p)^10, which is below .1 from p = .206 on.
    made = FaStarIr(Catalog(items(20)), protected=["B"], share=share, depth=2).protect(Scripted(first, honours=READS))
    (answer,) = made.recommend([Request(User("u"), candidates=items(20), k=10)])
    assert bool(answer.detail) is not asks
    assert asks or "asks for no protected item in 10 places" in answer.detail


def test_what_prefixes_cost_is_what_protected_items_are_worth_less() -> None:
    def gain(share: float) -> float:
        made = FaStarIr(Catalog(items(20)), protected=["B"], share=share, depth=4).protect(Scripted(first))
        (answer,) = made.recommend([Request(User("u"), candidates=items(20), k=5)])
        return sum((20 - int(str(i)[1:])) / np.log2(place + 2) for place, i in enumerate(answer.ids))

    gains = [gain(share) for share in (0.05, 0.5, 0.8, 0.95)]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > gains[-1]


def test_the_correction_for_prefixes_is_exact() -> None:
    rng = np.random.default_rng(0)
    needed = np.array(prefix_minimums(20, 0.4, 0.1))
    lists = rng.random((40_000, 20)) < 0.4
    assert prefix_failure(20, 0.4, 0.1) == pytest.approx((lists.cumsum(axis=1) < needed).any(axis=1).mean(), abs=0.01)
    alpha = prefix_alpha(20, 0.4, 0.1)
    assert alpha < 0.1
    assert prefix_failure(20, 0.4, alpha) <= 0.1


def test_every_prefix_holds_enough_and_the_rest_keeps_its_order() -> None:
    catalog = Catalog(items(20))
    made = FaStarIr(catalog, protected=["B"], share=0.5, depth=2).protect(Scripted(first, honours=READS))
    (answer,) = made.recommend([Request(User("u"), candidates=items(20), k=10)])
    inside = np.cumsum([int(str(i)[1:]) >= 10 for i in answer.ids])
    assert (inside >= prefix_minimums(10, 0.5, prefix_alpha(10, 0.5, 0.1))).all()
    assert inside[-1] < 5, "no more than needed"
    plain = [i for i in answer.ids if int(str(i)[1:]) < 10]
    assert plain == sorted(plain, key=lambda i: int(str(i)[1:]))
    without = [Request(User("u"), candidates=items(20)[:10], k=5)]
    assert made.recommend(without)[0].ids == first(without[0]).ids, "nobody to protect, nothing to do"


# Calibration ----------------------------------------------------------------------------------------------------------


def test_a_list_comes_to_hold_its_user_s_taste() -> None:
    catalog = Catalog(items(20))
    past = tuple(Event(item) for item in (items(20)[0], *items(20)[12:15]))  # a quarter A, three quarters B
    request = Request(User("u", past), candidates=items(20), k=4)
    taste = shares([e.item for e in past], "genres")
    assert taste == {"A": 0.25, "B": 0.75}
    target = Scripted(first, honours=READS)
    kept = Calibrated(catalog, weight=0.0, depth=5).protect(target).recommend([request])[0]
    assert kept.ids == first(request).ids
    (answer,) = Calibrated(catalog, weight=0.99, depth=5).protect(target).recommend([request])
    kinds = Counter("A" if int(str(i)[1:]) < 10 else "B" for i in answer.ids)
    assert kinds == {"A": 1, "B": 3}
    assert divergence(taste, taste) == pytest.approx(0.0)
    assert divergence({"A": 1.0}, {"B": 1.0}) == pytest.approx(np.log(100))


def test_more_weight_is_more_taste_and_less_relevance() -> None:
    catalog, rng = Catalog(items(20)), np.random.default_rng(0)
    worth = {f"i{n}": float(s) for n, s in enumerate(np.sort(rng.random(20))[::-1])}

    def scored(request: Request) -> Answer:
        return Answer(tuple(Ranked(i.id, i.title, worth[i.id]) for i in (request.candidates or ())[: request.k]))

    past = tuple(Event(item) for item in items(20)[9:13])
    taste = shares([e.item for e in past], "genres")
    costs, gains = [], []
    for weight in (0.0, 0.3, 0.6, 0.9, 0.99):
        made = Calibrated(catalog, weight=weight, depth=5).protect(Scripted(scored, honours=READS))
        (answer,) = made.recommend([Request(User("u", past), candidates=items(20), k=4)])
        listed = [catalog[str(i)] for i in answer.ids]
        costs.append(divergence(taste, shares(listed, "genres")))
        gains.append(sum(worth[i.id] for i in listed))
    assert costs == sorted(costs, reverse=True)
    assert gains == sorted(gains, reverse=True)
    assert costs[-1] < 0.1 < costs[0]


def test_the_greedy_list_is_nearly_the_best_there_is() -> None:
    from itertools import combinations

    catalog, past = Catalog(items(10)), tuple(Event(item) for item in items(10)[2:8])
    taste = shares([e.item for e in past], "genres")
    made = Calibrated(catalog, weight=0.5, depth=5).protect(Scripted(first, honours=READS))
    (answer,) = made.recommend([Request(User("u", past), candidates=items(10), k=4)])

    def value(ids: Any) -> float:
        listed = shares([catalog[i] for i in ids], "genres")
        return 0.5 * sum(1.0 / (int(i[1:]) + 1) for i in ids) - 0.5 * divergence(taste, listed)

    best = max(value([f"i{n}" for n in chosen]) for chosen in combinations(range(10), 4))
    assert value([str(i) for i in answer.ids]) == pytest.approx(best, abs=0.1)


# Exposure -------------------------------------------------------------------------------------------------------------


def test_exposure_is_what_was_asked_for_on_average() -> None:
    groups = [("A",)] * 5 + [("B",)] * 5
    relevance = np.linspace(1.0, 0.1, 10)
    matrix = exposure_matrix(relevance, groups, 5, "parity", 0.0)
    assert matrix is not None
    assert matrix.sum(axis=0) == pytest.approx(np.ones(10))
    assert matrix.sum(axis=1) == pytest.approx(np.ones(10))
    seen = np.array([1 / np.log2(p + 2) if p < 5 else 0.0 for p in range(10)])
    exposure = matrix @ seen
    assert exposure[:5].sum() == pytest.approx(exposure[5:].sum(), rel=1e-6)
    rng = np.random.default_rng(0)
    drawn = np.zeros((10, 10))
    for _ in range(4000):
        for place, entry in enumerate(lot(matrix, rng)):
            drawn[entry, place] += 1 / 4000
    assert np.abs(drawn - matrix).max() < 0.04


def test_exposure_by_merit_is_as_relevance_is() -> None:
    groups = [("A",)] * 4 + [("B",)] * 4
    relevance = np.array([0.9, 0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.3])
    matrix = exposure_matrix(relevance, groups, 4, "merit", 0.0)
    assert matrix is not None
    seen = np.array([1 / np.log2(p + 2) if p < 4 else 0.0 for p in range(8)])
    exposure = matrix @ seen
    # Disparate treatment (Singh & Joachims): exposure over merit is the same for both.
    assert exposure[:4].sum() / 3.6 == pytest.approx(exposure[4:].sum() / 1.2, rel=1e-6)
    equal = exposure_matrix(relevance, groups, 4, "parity", 0.0)
    assert equal is not None
    assert relevance @ equal @ seen < relevance @ matrix @ seen < relevance @ np.eye(8) @ seen, "what it costs"


def test_what_no_order_gives_is_said() -> None:
    alone = tuple(Item(f"i{n}", f"T{n}", attributes={"genres": ("A" if n == 0 else "B",)}) for n in range(6))

    def scored(request: Request) -> Answer:
        told = (Ranked(i.id, i.title, 1.0 if i.id == "i0" else 0.01) for i in request.candidates or ())
        return Answer(tuple(told))

    made = ExposureAware(Catalog(alone), goal="merit", slack=0.0).protect(Scripted(scored))
    (answer,) = made.recommend([Request(User("u"), candidates=alone, k=6)])
    assert answer.ids == tuple(i.id for i in alone)
    assert answer.detail == "no order of these entries has the exposure that is wanted"


def test_long_lists_are_given_whole() -> None:
    many = items(150)
    made = ExposureAware(Catalog(many), depth=2).protect(Scripted(first))
    (answer,) = made.recommend([Request(User("u"), candidates=many, k=70)])
    assert len(set(answer.ids)) == 70


def test_the_loser_of_every_list_is_seen_behind_it(tmp_path: Path) -> None:
    catalog = Catalog(items(20))
    made = ExposureAware(catalog, slack=0.0, depth=4).protect(Scripted(first, honours=READS))
    request = Request(User("u"), candidates=items(20), k=5)
    assert made.info.randomised
    lists = made.recommend_draws([request] * 300, range(300))
    seen = Counter()
    for answer in lists:
        assert len(set(answer.ids)) == 5
        for place, item in enumerate(answer.ids):
            seen["B" if int(str(item)[1:]) >= 10 else "A"] += 1 / np.log2(place + 2)  # type: ignore[operator]
    assert seen["B"] / (seen["A"] + seen["B"]) == pytest.approx(0.5, abs=0.06)
    assert made.recommend_draws([request], [7])[0] == lists[7]


def test_the_audit_sees_the_exposure_change(tmp_path: Path) -> None:
    world = small_world()
    by_genre = sorted(world.catalog.items_in_order, key=lambda i: (i.attributes["genres"], i.id))

    def partial(request: Request) -> Answer:
        offered = sorted(request.candidates or (), key=lambda i: by_genre.index(world.catalog[i.id]))
        return Answer(tuple(Ranked(i.id, i.title) for i in offered[: request.k]))

    context = a_context(Scripted(partial, honours=READS), tmp_path, candidates=20, users=40)
    part = Exposure(groups="genres", smallest=5)
    before = part.run(context, examples=0)
    last = next(f for f in before.findings if f.metric == "exposure_ratio" and f.params["group"] == "Western")
    assert last.estimate is not None
    assert last.estimate < 0.2
    defense = ExposureAware(world.catalog, slack=0.2, depth=4)
    (placed,) = protect({"lot": defense}, context, ReportCard("fairness", 0.95), metric="x")
    changed = changes("fairness", placed, {"exposure": part}, {"exposure": before}, examples=0)
    moved = next(f for f in changed.findings if f.params["finding"] == last.id)
    assert moved.estimate is not None
    assert moved.estimate > 0.3
    assert moved.p is not None
    assert moved.p < 0.01


# Clean twins ----------------------------------------------------------------------------------------------------------


def test_a_list_that_is_fair_already_is_left_alone() -> None:
    mixed = tuple(item for pair in zip(items(20)[:10], items(20)[10:], strict=True) for item in pair)
    catalog = Catalog(items(20))
    past = (Event(items(20)[0]), Event(items(20)[10]))
    request = Request(User("u", past, note="I like slow films."), candidates=mixed, k=6)
    target = Scripted(first, honours=READS)
    for defense in (
        AttributeStripping(catalog),
        FairnessInstruction(),
        Marginalise(attributes={"gender": ["female", "male"]}),
        FaStarIr(catalog, protected=["B"], share=0.5),
        Calibrated(catalog, weight=0.5),
    ):
        (answer,) = defense.protect(target).recommend([request])
        assert answer.ids == first(request).ids, defense.info.id


def test_exposure_that_is_as_wanted_costs_nothing() -> None:
    groups = [("A",), ("B",)] * 5
    relevance = np.repeat([1.0, 0.8, 0.6, 0.4, 0.2], 2)
    matrix = exposure_matrix(relevance, groups, 10, "parity", 0.2)
    assert matrix is not None
    seen = np.array([1 / np.log2(p + 2) for p in range(10)])
    assert relevance @ matrix @ seen == pytest.approx(relevance @ seen)


# Instruction and options ----------------------------------------------------------------------------------------------


def test_the_statement_goes_where_orders_are_taken() -> None:
    request = Request(User("u"), instruction="Recommend.")
    by_turn = FairnessInstruction().protect(Scripted(honours=READS)).told(request)
    assert by_turn.turns == (Turn("system", statements()["recommender"]),)
    by_words = FairnessInstruction().protect(Scripted(honours=frozenset({Input.INSTRUCTION})))
    told = by_words.told(request)
    assert told.instruction == f"{statements()['recommender']} Recommend."
    assert by_words.told(told) == told


def test_a_target_that_obeys_stops_and_one_that_does_not_goes_on() -> None:
    def obeys(request: Request) -> Answer:
        told = any("alike" in turn.text for turn in request.turns if turn.role == "system")
        return first(request) if told else by_gender(request)

    request = Request(User("u", attributes={"gender": "female"}), candidates=items(), k=4)
    told = FairnessInstruction().protect(Scripted(obeys, honours=READS)).recommend([request])
    assert told[0].ids == first(request).ids
    deaf = FairnessInstruction().protect(Scripted(by_gender, honours=READS)).recommend([request])
    assert deaf[0].ids == by_gender(request).ids


@pytest.mark.parametrize("wording", statements())
def test_every_wording_is_another_defense(wording: str) -> None:
    target = Scripted(honours=READS, fingerprint="x")
    made = {w: FairnessInstruction(wording=w).protect(target) for w in statements()}
    assert len({m.info.fingerprint for m in made.values()}) == len(statements()) >= 3
    assert made[wording].told(Request(User("u"))).turns[0].text == statements()[wording]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda c: Marginalise(attributes={"gender": ["female"]}), "at least two values"),
        (lambda c: Marginalise(attributes={}), "name attributes with their values"),
        (lambda c: FaStarIr(c, protected=["Z"]), "'Z' is no genres"),
        (lambda c: FaStarIr(c, share=1.5), "share: 1.5"),
        (lambda c: FaStarIr(c, column="genre"), "did you mean 'genres'"),
        (lambda c: Calibrated(c, weight=2), "weight: 2"),
        (lambda c: Calibrated(c, depth=1), "at least 2"),
        (lambda c: ExposureAware(c, goal="luck"), "goal: 'luck'"),  # type: ignore[arg-type]
        (lambda c: FairnessInstruction(statement=" "), "it is empty"),
        (lambda c: FairnessInstruction(wording="nice"), "wording: 'nice' must be one of recommender"),
        (lambda c: AttributeStripping(where="here"), "where: 'here'"),  # type: ignore[arg-type]
        (lambda c: AttributeStripping(words=[""]), "one of them is empty"),
    ],
)
def test_a_mistake_is_one_sentence(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(Catalog(items()))


def test_without_genres_a_re_ranker_says_what_it_lacks() -> None:
    plain = Catalog([Item("1", "One")])
    for defense in (FaStarIr(plain), Calibrated(plain), ExposureAware(plain)):
        target = Scripted(first)
        assert "name another with column" in str(defense.info.lacking(target.info, "rank"))


def test_entries_that_name_no_item_stay_behind() -> None:
    def invents(request: Request) -> Answer:
        return Answer((Ranked(None, "Invented"), *(Ranked(i.id, i.title) for i in items(20)[:3])))

    made = Calibrated(Catalog(items(20)), weight=0.5).protect(Scripted(invents, honours=READS))
    (answer,) = made.recommend([Request(User("u", (Event(items(20)[0]),)), k=5)])
    assert [r.title for r in answer.ranked][-1] == "Invented"
    assert len(answer.ranked) == 4
