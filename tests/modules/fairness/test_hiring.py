"""Hiring mode on targets that prefer a group by a known amount, and on their clean twins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import Scripted, gateway

from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.modules.base import Context
from audit.modules.fairness.hiring import Hiring
from audit.store import Store
from audit.types import Answer, AttributeValue, Case, Catalog, Item, Ranked, Request, Task, User

JOBS = 20


def applicants(count: int, *, races: tuple[str, ...] = ("A", "B"), unknown: int = 0) -> list[Item]:
    """People whose merit is spread evenly within each sex and race; the last have no known sex."""
    people = []
    for n in range(count):
        facts: dict[str, AttributeValue] = {
            "sex": "FM"[n % 2],
            "race": races[n // 2 % len(races)],
            "merit": ((n // (2 * len(races))) * 0.618034) % 1.0,
        }
        if n >= count - unknown:
            del facts["sex"]
        people.append(Item(f"p{n}", f"Applicant {n}", attributes=facts))
    return people


def a_hall(people: list[Item], target: Scripted, folder: Path, task: Task = "score", k: int = 5) -> Context:
    """Jobs for which everybody applies once, in turn."""
    log = pd.DataFrame({"user": ["u"], "item": [people[0].id], "rating": [1.0], "time": [0.0]})
    data = Dataset("hall", Catalog(people), log)
    size = len(people) // JOBS
    pools = [people[j * size : (j + 1) * size] for j in range(JOBS)]
    cases = [
        Case(
            f"job{j}",
            Request(User(f"job{j}"), task=task, candidates=tuple(pool), k=k),
            labels=(0,) * len(pool),
        )
        for j, pool in enumerate(pools)
    ]
    return Context(gateway(target, Store(folder / "s.sqlite")), data, task, cases, seed=7)


def scorer(score: Callable[[Mapping[str, AttributeValue]], float]) -> Scripted:
    """Scores every candidate by what is known of them."""

    def answer(asked: Request) -> Answer:
        return Answer(tuple(Ranked(i.id, score=score(i.attributes)) for i in asked.candidates or ()))

    return Scripted(answer)


def merit(facts: Mapping[str, AttributeValue]) -> float:
    return float(facts["merit"])  # type: ignore[arg-type]


def biased(facts: Mapping[str, AttributeValue]) -> float:
    """Selected above .5: half of the men, three tenths of the women."""
    return merit(facts) - 0.2 * (facts.get("sex") == "F")


def found(part: Hiring, context: Context) -> dict[tuple[str, str, str, str], Finding]:
    output = part.run(context, examples=3)
    for finding in output.findings:
        if finding.id in output.values and finding.estimate is not None:
            mean = np.mean(list(output.values[finding.id].values()))
            assert mean == pytest.approx(finding.estimate, abs=1e-6), "values average to the estimate"
    keys = [
        (f.metric, str(f.params.get("rate", "")), str(f.params.get("attribute")), str(f.params.get("group", "")))
        for f in output.findings
    ]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, output.findings, strict=True))


def test_a_planted_preference_is_found_at_its_size(tmp_path: Path) -> None:
    context = a_hall(applicants(800), scorer(biased), tmp_path)
    results = found(Hiring(selected={"score_above": 0.5}), context)
    women = results["impact_ratio", "selection", "sex", "F"]
    assert women.estimate == pytest.approx(0.6, abs=0.02)
    assert women.ci is not None
    assert women.ci[1] < 0.8
    assert women.p_adjusted is not None
    assert women.p_adjusted < 0.001
    assert not women.unmet
    assert len(women.evidence) == 3
    assert "rule would flag" in women.note
    assert results["selection_rate", "selection", "sex", "M"].estimate == pytest.approx(0.5, abs=0.01)
    race = next(
        f for key, f in results.items() if key[0] == "impact_ratio" and key[2] == "race" and key[1] == "selection"
    )
    assert race.estimate == pytest.approx(1.0, abs=0.05)
    assert race.unmet, "nothing was planted there"
    scoring = results["impact_ratio", "scoring", "sex", "F"]
    assert scoring.estimate is not None
    assert scoring.estimate < 0.75
    pair = results["impact_ratio", "selection", "sex x race", "F, A"]
    assert pair.estimate == pytest.approx(0.6, abs=0.05)


def test_the_clean_twin_is_not_flagged(tmp_path: Path) -> None:
    context = a_hall(applicants(800), scorer(merit), tmp_path)
    for key, finding in found(Hiring(selected={"score_above": 0.5}), context).items():
        if key[0] == "impact_ratio":
            assert finding.estimate == pytest.approx(1.0, abs=0.05)
            assert finding.unmet


def test_the_top_of_a_ranking(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        order = sorted(asked.candidates or (), key=lambda i: -biased(i.attributes))
        return Answer(tuple(Ranked(i.id, i.title) for i in order[: asked.k]))

    context = a_hall(applicants(400), Scripted(answer), tmp_path, task="rank", k=8)
    results = found(Hiring(), context)
    women, men = (results["selection_rate", "selection", "sex", s] for s in "FM")
    assert women.estimate is not None
    assert men.estimate is not None
    assert women.estimate + men.estimate == pytest.approx(2 * 8 / 20), "eight of the twenty are on every list"
    assert results["impact_ratio", "selection", "sex", "F"].estimate == pytest.approx(women.estimate / men.estimate)
    assert not any(key[1] == "scoring" for key in results), "there are no scores"
    fewer = found(Hiring(selected={"top": 4}), context)
    assert fewer["selection_rate", "selection", "sex", "M"].estimate < men.estimate


def test_unknown_people_and_unreadable_requests_are_counted(tmp_path: Path) -> None:
    people = applicants(400, unknown=12)

    def answer(asked: Request) -> Answer:
        if asked.user.id == "job3":
            return Answer(outcome="refused")
        return Answer(tuple(Ranked(i.id, score=merit(i.attributes)) for i in asked.candidates or ()))

    results = found(Hiring(selected={"score_above": 0.5}), a_hall(people, Scripted(answer), tmp_path))
    unknown = results["unknown_share", "", "sex", ""]
    assert unknown.n == 380
    assert unknown.estimate == pytest.approx(12 / 380)
    assert "1 requests without a readable answer" in results["selection_rate", "selection", "sex", "F"].note
    assert results["selection_rate", "selection", "sex", "unknown"].n == 12


def test_categories_are_renamed_and_others_unknown(tmp_path: Path) -> None:
    part = Hiring(
        selected={"score_above": 0.5},
        categories={"sex": {"F": "Female", "M": "Male"}, "race": {"A": "Asian", "B": "Black"}},
    )
    people = applicants(400, races=("A", "B", "?!"))
    results = found(part, a_hall(people, scorer(merit), tmp_path))
    assert ("selection_rate", "selection", "sex", "Female") in results
    assert "does not name: ?!" in results["unknown_share", "", "race", ""].note


def test_users_can_be_the_people(tmp_path: Path) -> None:
    people = applicants(300)
    job = Item("job", "Clerk")
    log = pd.DataFrame({"user": ["u"], "item": ["job"], "rating": [1.0], "time": [0.0]})
    facts = {p.id: dict(p.attributes) for p in people}
    data = Dataset("hall", Catalog([job]), log, users=facts)

    def answer(asked: Request) -> Answer:
        if asked.user.id == "p0":
            return Answer(outcome="refused")
        return Answer((Ranked("job", score=biased(asked.user.attributes)),))

    cases = [
        Case(f"u{p.id}", Request(User(p.id, attributes=facts[p.id]), task="score", candidates=(job,)), labels=(0,))
        for p in people
    ]
    context = Context(gateway(Scripted(answer), Store(tmp_path / "s.sqlite")), data, "score", cases, seed=7)
    results = found(Hiring(people="users", selected={"score_above": 0.5}), context)
    women = results["impact_ratio", "selection", "sex", "F"]
    assert women.estimate == pytest.approx(0.6, abs=0.03)
    assert women.n == 300
    assert "1 people got no readable answer" in results["selection_rate", "selection", "sex", "F"].note


def test_what_cannot_be_asked_says_why(tmp_path: Path) -> None:
    context = a_hall(applicants(40), scorer(merit), tmp_path)
    assert Hiring().lacking(context) is None
    assert "neither a column 'gender' nor 'origin' (they have merit, race, sex)" in str(
        Hiring(sex="gender", race="origin").lacking(context)
    )
    ranking = a_hall(applicants(40), scorer(merit), tmp_path, task="rank")
    assert "target.task: score" in str(Hiring(people="users").lacking(ranking))
    assert Hiring().plan(context)[0].request == context.requests[0]


def test_a_column_with_one_value_is_left_out_with_the_reason(tmp_path: Path) -> None:
    context = a_hall(applicants(80, races=("A",)), scorer(merit), tmp_path)
    results = found(Hiring(selected={"score_above": 0.5}), context)
    skipped = results["impact_ratio", "", "race", ""]
    assert skipped.verdict == "not_applicable"
    assert skipped.reason == "everybody whose race is known has the value 'A'"
    assert ("impact_ratio", "selection", "sex", "F") in results or ("impact_ratio", "selection", "sex", "M") in results


def test_nothing_readable_is_no_pass(tmp_path: Path) -> None:
    context = a_hall(applicants(40), Scripted(lambda _: Answer(outcome="refused")), tmp_path)
    (only,) = [f for f in Hiring().run(context, examples=1).findings if not f.params.get("attribute")]
    assert only.verdict == "not_applicable"
    assert "no request has a readable answer" in only.reason
    scoreless = a_hall(applicants(40), Scripted(), tmp_path, task="rank")
    part = Hiring(selected={"score_above": 0.5})
    assert "needs scores" in part.run(scoreless, examples=1).findings[-1].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": "staff"}, "people: 'staff' must be 'items' or 'users'"),
        ({"selected": {"first": 3}}, "must be {top: k} or {score_above: x}"),
        ({"selected": {"top": 0}}, "top: 0 must be a whole number"),
        ({"selected": {"top": "3"}}, "top: '3' must be a number"),
        ({"people": "users", "selected": {"top": 3}}, "must be given with people: items"),
        ({"categories": {"age": {}}}, "categories: 'age' must be"),
        ({"leave_out": 0.7}, "leave_out: 0.7 must be"),
        ({"limit": 1.0}, "limit: 1.0 must be"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hiring(**options)  # type: ignore[arg-type]
