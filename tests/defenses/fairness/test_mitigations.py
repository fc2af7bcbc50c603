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
from audit.target import Input
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, Turn, User
from defenses.fairness.calibrated import Calibrated, divergence, shares
from defenses.fairness.exposure import ExposureAware, exposure_matrix, lot
from defenses.fairness.fa_star_ir import FaStarIr, adjusted, failure, required
from defenses.fairness.instruction import STATEMENT, FairnessInstruction
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
    assert required(10, 0.5, 0.1) == (0, 0, 0, 1, 1, 1, 2, 2, 3, 3)
    assert required(10, 0.3, 0.1) == (0, 0, 0, 0, 0, 0, 1, 1, 1, 1)


def test_the_correction_for_prefixes_is_exact() -> None:
    rng = np.random.default_rng(0)
    needed = np.array(required(20, 0.4, 0.1))
    lists = rng.random((40_000, 20)) < 0.4
    assert failure(20, 0.4, 0.1) == pytest.approx((lists.cumsum(axis=1) < needed).any(axis=1).mean(), abs=0.01)
    alpha = adjusted(20, 0.4, 0.1)
    assert alpha < 0.1
    assert failure(20, 0.4, alpha) <= 0.1


def test_every_prefix_holds_enough_and_the_rest_keeps_its_order() -> None:
    catalog = Catalog(items(20))
    made = FaStarIr(catalog, protected=["B"], share=0.5, depth=2).protect(Scripted(first, honours=READS))
    (answer,) = made.recommend([Request(User("u"), candidates=items(20), k=10)])
    inside = np.cumsum([int(str(i)[1:]) >= 10 for i in answer.ids])
    assert (inside >= required(10, 0.5, adjusted(10, 0.5, 0.1))).all()
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


# Instruction and options ----------------------------------------------------------------------------------------------


def test_the_statement_goes_where_orders_are_taken() -> None:
    request = Request(User("u"), instruction="Recommend.")
    by_turn = FairnessInstruction().protect(Scripted(honours=READS)).told(request)
    assert by_turn.turns == (Turn("system", STATEMENT),)
    by_words = FairnessInstruction().protect(Scripted(honours=frozenset({Input.INSTRUCTION})))
    told = by_words.told(request)
    assert told.instruction == f"{STATEMENT} Recommend."
    assert by_words.told(told) == told


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
