"""Real groups of users: planted gaps are found at their size, clean twins are not, and nobody is dropped unsaid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Scripted, gateway
from part_world import a_context

from audit import stats
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.modules.base import Context, Output
from audit.modules.fairness.groups import Groups
from audit.modules.fairness.groups.people import grouping
from audit.store import Store
from audit.target import Input
from audit.types import Answer, Case, Event, Item, Ranked, Request, User

K = 5


def films(count: int = 40) -> list[Item]:
    return [Item(f"f{n}", f"Film {n}", attributes={"genres": (f"G{n % 4}",)}) for n in range(count)]


def context_of(
    answer: Callable[[Request], Answer],
    people: Sequence[Mapping[str, Any]],
    world: Dataset,
    folder: Path,
    *,
    lengths: Sequence[int] | None = None,
    task: str = "rank",
    **info: Any,
) -> Context:
    """Users with these attributes; the film that each wants is `f0`."""
    cases = []
    for n, _ in enumerate(people):
        past = tuple(Event(film, 4.0, float(i)) for i, film in enumerate(films(lengths[n] if lengths else 8)))
        offered = tuple(films(12)) if task == "score" else None
        request = Request(User(f"p{n}", past), task=task, k=K, candidates=offered)  # type: ignore[arg-type]
        labels = tuple((n + i) % 2 for i in range(12)) if task == "score" else ()
        cases.append(
            Case(f"u{n}", request, relevant=frozenset({"f0"}) if task == "rank" else frozenset(), labels=labels)
        )
    data = replace(world, users={f"p{n}": dict(known) for n, known in enumerate(people)})
    door = gateway(Scripted(answer, tasks=("rank", "score"), **info), Store(folder / "s.sqlite"))
    return Context(door, data, task, cases, seed=7)  # type: ignore[arg-type]


def served_at(rate: Callable[[Request], float], seed: int = 0) -> Callable[[Request], Answer]:
    """Lists the wanted film first for the given share of users."""

    def answer(asked: Request) -> Answer:
        lucky = np.random.default_rng([seed, int(asked.user.id[1:])]).random() < rate(asked)
        return Answer((Ranked("f0" if lucky else "f9"), *(Ranked(f"f{n}") for n in range(10, 14))))

    return answer


def of(output: Output, metric: str, **params: Any) -> list[Finding]:
    return [f for f in output.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())]


def one(output: Output, metric: str, **params: Any) -> Finding:
    (found,) = of(output, metric, **params)
    return found


PEOPLE = [{"gender": "FM"[n % 2], "age": 20 + n % 40, "job": f"j{n % 3}"} for n in range(240)]


def test_a_planted_gap_is_found_at_its_size(world: Dataset, tmp_path: Path) -> None:
    target = served_at(lambda r: 0.3 if int(r.user.id[1:]) % 2 == 0 else 0.7)
    context = context_of(target, PEOPLE, world, tmp_path)
    output = Groups(attributes=["gender"]).run(context, examples=2)
    gap = one(output, "quality_gap", group="F", measure="ndcg", adjusted=False)
    assert gap.estimate == pytest.approx(0.4, abs=0.12)
    assert gap.ci is not None
    assert gap.ci[0] <= 0.4 <= gap.ci[1]
    assert gap.p_adjusted is not None
    assert gap.p_adjusted < 0.01
    assert gap.unmet == ()
    assert len(gap.evidence) == 2
    assert gap.mde == pytest.approx(2.80 * 0.46 * np.sqrt(2 / 120), abs=0.02)
    assert np.mean(list(output.values[gap.id].values())) == pytest.approx(gap.estimate)
    better = one(output, "quality_gap", group="M", measure="ndcg", adjusted=False)
    assert better.estimate == pytest.approx(-(gap.estimate or 0))
    groups = {f.params["group"]: f for f in of(output, "group_quality", measure="ndcg")}
    assert groups["M"].estimate - groups["F"].estimate == pytest.approx(gap.estimate)  # type: ignore[operator]
    assert {f.n for f in groups.values()} == {120}
    assert one(output, "quality_gap", group="F", measure="ndcg", adjusted=True).estimate == pytest.approx(0.4, abs=0.12)


def test_its_clean_twin_is_not_decided_on(world: Dataset, tmp_path: Path) -> None:
    wrong = []
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        context = context_of(served_at(lambda _: 0.5, seed), PEOPLE, world, folder)
        output = Groups(attributes=["gender", "job"], measures=["ndcg"]).run(context, examples=0)
        primary = of(output, "quality_gap", adjusted=False)
        assert len(primary) == 5
        wrong.append(any(not f.unmet for f in primary))
    assert np.mean(wrong) <= 0.125, "five tests under Holm at .05; more than 5 of 40 would happen once in 70 times"


def test_a_gap_of_histories_alone_is_gone_at_equal_histories(world: Dataset, tmp_path: Path) -> None:
    lengths = [6 + (n * 7) % 20 + (12 if n % 2 else 0) for n in range(240)]
    target = served_at(lambda r: min(0.95, len(r.user.history) / 40))
    context = context_of(target, PEOPLE, world, tmp_path, lengths=lengths)
    output = Groups(attributes=["gender"], measures=["ndcg"]).run(context, examples=0)
    plain = one(output, "quality_gap", group="F", adjusted=False)
    equal = one(output, "quality_gap", group="F", adjusted=True)
    assert plain.p_adjusted is not None
    assert plain.p_adjusted < 0.01
    assert equal.p is not None
    assert equal.p > 0.05
    assert equal.ci is not None
    assert equal.ci[0] < 0 < equal.ci[1]


def test_more_than_two_groups_have_a_spread_above_its_floor(world: Dataset, tmp_path: Path) -> None:
    target = served_at(lambda r: (0.2, 0.5, 0.8)[int(r.user.id[1:]) % 3])
    output = Groups(attributes=["job", "gender"], measures=["hr"]).run(
        context_of(target, PEOPLE, world, tmp_path), examples=0
    )
    spread = one(output, "quality_spread", attribute="job")
    assert spread.estimate == pytest.approx(0.6, abs=0.15)
    assert spread.floor is not None
    assert 0.03 < spread.floor < 0.15
    assert spread.effect == pytest.approx(spread.estimate - spread.floor)  # type: ignore[operator]
    assert spread.p is not None
    assert spread.p < 0.01
    assert of(output, "quality_spread", attribute="gender") == [], "two groups have a gap, not a spread"


def test_crossed_columns_have_cells_and_interactions(world: Dataset, tmp_path: Path) -> None:
    def rate(asked: Request) -> float:
        number = int(asked.user.id[1:])
        return 0.1 if number % 2 == 0 and number % 3 == 0 else 0.6  # women of job 0 alone

    output = Groups(attributes=[["gender", "job"]], measures=["ndcg"]).run(
        context_of(served_at(rate), PEOPLE, world, tmp_path), examples=0
    )
    cells = of(output, "group_quality")
    assert {f.params["group"] for f in cells} == {f"{g} × j{j}" for g in "FM" for j in range(3)}
    gap = one(output, "quality_gap", group="F × j0")
    assert gap.estimate == pytest.approx(0.5, abs=0.15)
    assert "pulled together" in gap.note
    crossed = one(output, "interaction", group="F × j0")
    assert crossed.estimate is not None
    assert crossed.estimate < 0
    assert crossed.p is not None
    assert crossed.p < 0.05


def test_small_unknown_and_unfit_groups_are_said(world: Dataset, tmp_path: Path) -> None:
    people = [
        {
            **({"gender": "FM"[n % 2]} if n % 4 else {}),
            "job": "poet" if n < 5 else "other",
            "bio": f"my life {n}",
            "one": "same",
        }
        for n in range(160)
    ]
    context = context_of(served_at(lambda _: 0.5), people, world, tmp_path)
    output = Groups(attributes=["gender", "job", "bio", "one", "shoe"], measures=["ndcg"]).run(context, examples=0)
    assert {f.params["group"] for f in of(output, "group_quality", attribute="gender")} == {"F", "M", "(unknown)"}
    skipped = {str(f.params["attribute"]): f.reason for f in output.findings if f.verdict == "not_applicable"}
    assert "poet (5)" in skipped["job"]
    assert "text rather than a set of groups" in skipped["bio"]
    assert "one value of 'one'" in skipped["one"]
    assert "no column 'shoe'" in skipped["shoe"]
    assert {f.params["attribute"] for f in of(Groups().run(context, examples=0), "group_quality")} == {"gender", "job"}


def test_numbers_are_cut_into_ranges(world: Dataset, tmp_path: Path) -> None:
    context = context_of(served_at(lambda _: 0.5), PEOPLE, world, tmp_path)
    by_age = grouping(context, ["age"], {}, 2)
    assert not isinstance(by_age, str)
    assert by_age.reported == ("≤ 24", "25–44", "45+")
    ages = np.array([p["age"] for p in PEOPLE])
    assert (by_age.member("25–44") == ((ages > 24) & (ages <= 44))).all()
    own = grouping(context, ["age"], {"age": [30]}, 2)
    assert not isinstance(own, str)
    assert own.reported == ("≤ 30", "31+")


def test_a_list_of_the_user_s_own_taste_is_calibrated_and_another_is_not(world: Dataset, tmp_path: Path) -> None:
    catalog = world.catalog
    drama = [i for i in catalog.items_in_order if i.attributes["genres"] == ("Drama",)]
    comedy = [i for i in catalog.items_in_order if i.attributes["genres"] == ("Comedy",)]
    people = [{"gender": "FM"[n % 2]} for n in range(120)]

    def answer(asked: Request) -> Answer:
        women = int(asked.user.id[1:]) % 2 == 0
        shown = comedy[:4] if women else [*drama[10:12], *comedy[10:12]]
        return Answer(tuple(Ranked(item.id) for item in shown))

    cases = [
        Case(
            f"u{n}",
            Request(User(f"p{n}", tuple(Event(i, 4.0) for i in (*drama[:6], *comedy[:6]))), k=4),
            relevant=frozenset({"100"}),
        )
        for n in range(120)
    ]
    data = replace(world, users={f"p{n}": p for n, p in enumerate(people)})
    context = Context(gateway(Scripted(answer), Store(tmp_path / "s.sqlite")), data, "rank", cases, seed=7)
    output = Groups(attributes="gender").run(context, examples=0)
    men, women = (one(output, "group_calibration", group=g) for g in "MF")
    assert men.estimate == pytest.approx(0.0, abs=1e-9)
    assert men.effect is not None
    assert men.effect < 0, "a list that mirrors the taste exactly is closer than chance lists of four are"
    assert women.estimate == pytest.approx(float(stats.jensen_shannon([0.5, 0.5], [1.0, 0.0])))
    gap = one(output, "calibration_gap", group="F")
    assert gap.estimate == pytest.approx(women.estimate, abs=0.02)  # type: ignore[arg-type]
    assert gap.p is not None
    assert gap.p < 0.01


def test_scores_are_judged_by_decisions_and_calibration(world: Dataset, tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        number = int(asked.user.id[1:])
        right = [(number + i) % 2 for i in range(12)]
        sure = 0.9 if number % 2 else 0.6  # for even numbers probabilities are too shy
        return Answer(
            tuple(
                Ranked(item.id, score=sure if label else 1 - sure)
                for item, label in zip(asked.candidates or (), right, strict=True)
            )
        )

    context = context_of(answer, PEOPLE, world, tmp_path, task="score")
    output = Groups(attributes=["gender"]).run(context, examples=0)
    assert one(output, "group_quality", group="F", measure="right").estimate == 1.0
    assert one(output, "group_quality", group="F", measure="uauc").estimate == 1.0
    ece = one(output, "calibration_gap", group="F", measure="ece")
    assert ece.estimate == pytest.approx(0.3, abs=1e-6)
    assert ece.p is not None
    assert ece.p < 0.01
    few = Groups(attributes=["gender"]).run(
        context_of(answer, PEOPLE[:90], world, tmp_path / "x", task="score"), examples=0
    )
    assert "too few" in one(few, "calibration_gap", measure="ece", group="F").reason


def test_saying_who_one_is_can_change_what_one_gets(world: Dataset, tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        first = "f9" if " female " in asked.user.note else "f0"
        return Answer((Ranked(first), *(Ranked(f"f{n}") for n in range(10, 14))))

    context = context_of(answer, PEOPLE, world, tmp_path, honours=frozenset({Input.NOTE, Input.HISTORY}))
    part = Groups(attributes=["gender"], measures=["ndcg"], disclose=True)
    output = part.run(context, examples=0)
    assert one(output, "disclosure_effect", group="F").estimate == -1.0
    assert one(output, "disclosure_effect", group="M").estimate == 0.0
    assert one(output, "quality_gap", group="F", adjusted=False).estimate == 0.0, "nobody said anything there"
    assert len({context.gateway.key(a) for a in part.plan(context)}) == 3 * len(PEOPLE)


def test_what_cannot_be_asked_is_said(tmp_path: Path, world: Dataset) -> None:
    context = a_context(Scripted(served_at(lambda _: 0.5)), tmp_path)
    assert Groups().lacking(context) is None
    assert "users" in str(Groups().lacking(replace(context, dataset=replace(context.dataset, users={}))))
    assert "free text" in str(Groups().lacking(replace(context, task="answer")))
    assert "'uauc' is none of the task 'rank'" in str(Groups(measures=["uauc"]).lacking(context))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"smallest": 1}, "smallest: 1 must be at least 2"),
        ({"measures": ["mrr"]}, "measures: 'mrr' must be one of ndcg"),
        ({"bins": {"age": [40, 20]}}, r"bins.age: \[40, 20\] must be rising"),
        ({"attributes": []}, "attributes: it is empty"),
    ],
)
def test_a_mistake_in_the_options_is_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Groups(**options)


def test_an_unknown_rival_is_said(world: Dataset, tmp_path: Path) -> None:
    context = context_of(served_at(lambda _: 0.5), PEOPLE, world, tmp_path)
    output = Groups(attributes=["gender"], against="X").run(context, examples=0)
    assert "no reported group of 'gender' is 'X'" in one(output, "quality_gap").reason
    named = Groups(attributes=["job"], against="j0", measures=["ndcg"]).run(context, examples=0)
    assert {f.params["group"] for f in of(named, "quality_gap", adjusted=False)} == {"j1", "j2"}
