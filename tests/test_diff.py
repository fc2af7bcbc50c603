"""Comparing two runs: it must see a change that is there, and not see one that is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.diff import Diff, FindingChange, compare
from audit.errors import ConfigError
from audit.findings import Finding, not_applicable
from audit.policy import Policy, Rule
from audit.report.comparison import headline, render
from audit.run import Run
from audit.store import Store
from audit.types import Answer, Item, Ranked, Request, User

POLICY = Policy(name="small", rules=(Rule(metric="quality.ndcg", min=0.3, severity="high"),))
USERS = [f"u{i}" for i in range(40)]
REQUESTS = [Request(User(u), candidates=tuple(Item(c, c.upper()) for c in "abcd"), k=3) for u in USERS]
Make = Callable[..., Run]


def ndcg(estimate: float, low: float, high: float) -> Finding:
    return Finding("quality", "ndcg", "NDCG@10", {"k": 10}, estimate, (low, high), n=40, direction="higher_is_better")


def answer(order: str) -> Answer:
    return Answer(tuple(Ranked(c) for c in order)) if order else Answer(outcome="unparsable")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with Store(tmp_path / "runs.sqlite") as store:

        def run(
            name: str,
            findings: Sequence[Finding] = (),
            values: dict[str, dict[str, float]] | None = None,
            lists: Sequence[str] = (),
            **config: object,
        ) -> Run:
            record = store.create_run(
                name,
                config={"seed": 7, "base": f"/home/{name}", **config},
                target={"name": name},
                versions={},
                seed=7,
                policy=POLICY.model_dump(mode="json"),
            )
            asked = zip(REQUESTS, lists, strict=False)
            store.put_answers(record.id, [(f"{name}{i}", r, 0, answer(x)) for i, (r, x) in enumerate(asked)])
            store.save_module(record.id, "quality", findings, (), values)
            return Run(record, store)

        yield run


def diff(old: Run, new: Run) -> Diff:
    return compare(old, new, np.random.default_rng(0))


def only(found: Diff) -> FindingChange:
    assert len(found.changes) == 1
    return found.changes[0]


def test_values_of_the_same_cases_are_compared_case_by_case(make: Make) -> None:
    """Users differ much from each other, and each gains a little: only the paired comparison can see that."""
    rng = np.random.default_rng(1)
    before = rng.uniform(0, 0.8, 40)
    after = before + 0.05 + rng.normal(0, 0.01, 40)
    wide = [ndcg(float(x.mean()), float(x.mean()) - 0.1, float(x.mean()) + 0.1) for x in (before, after)]
    kept = [{f.id: dict(zip(USERS, x.tolist(), strict=True))} for f, x in zip(wide, (before, after), strict=True)]
    change = only(diff(make("a", wide[:1], kept[0]), make("b", wide[1:], kept[1])))
    assert (change.method, change.n, change.outcome) == ("paired", 40, "better")
    assert change.difference is not None
    assert change.difference.estimate == pytest.approx((after - before).mean())
    assert change.difference.low > 0
    unpaired = only(diff(make("c", wide[:1]), make("d", wide[1:])))
    assert (unpaired.method, unpaired.outcome) == ("independent", "no evidence of change")


def test_values_that_do_not_belong_to_the_estimate_are_not_trusted(make: Make) -> None:
    finding = ndcg(0.5, 0.4, 0.6)
    wrong = {finding.id: dict.fromkeys(USERS, 0.1)}
    assert only(diff(make("a", [finding], wrong), make("b", [finding], wrong))).method == "independent"


@pytest.mark.parametrize(
    ("new", "direction", "outcome"),
    [
        ((0.2, 0.15, 0.25), "higher_is_better", "worse"),
        ((0.8, 0.75, 0.85), "higher_is_better", "better"),
        ((0.8, 0.75, 0.85), "higher_is_worse", "worse"),
        ((0.8, 0.75, 0.85), "neither", "changed"),
        ((0.52, 0.47, 0.57), "higher_is_better", "no evidence of change"),
    ],
)
def test_better_and_worse_follow_the_direction(
    make: Make, new: tuple[float, float, float], direction: str, outcome: str
) -> None:
    a, b = (replace(ndcg(*x), direction=direction) for x in ((0.5, 0.45, 0.55), new))
    found = diff(make("a", [a]), make("b", [b]))
    assert only(found).outcome == outcome
    said = {
        "changed": "1 finding changed that has no better side.",
        "no evidence of change": "No evidence of change in",
    }
    assert headline(found).startswith(said.get(outcome, f"1 finding is {outcome}"))


def test_many_comparisons_do_not_make_a_change(make: Make) -> None:
    """A difference that would just stand alone (p = .03) does not stand among twenty."""
    one, other = ndcg(0.5, 0.45, 0.55), ndcg(0.58, 0.53, 0.63)
    assert only(diff(make("a", [one]), make("b", [other]))).outcome == "better"
    more = [replace(one, params={"k": k}) for k in range(11, 31)]
    assert not diff(make("c", [one, *more]), make("d", [other, *more])).of("better")


def test_a_run_is_not_different_from_itself(make: Make) -> None:
    run = make("a", [ndcg(0.5, 0.4, 0.6)], lists=["abc", "", "cba"])
    found = diff(run, run)
    assert only(found).outcome == "no evidence of change"
    assert (found.answers.identical, found.answers.lost, found.answers.gained) == (3, 0, 0)
    assert found.answers.overlap is not None
    assert found.answers.overlap.estimate == 1.0
    assert "No evidence of change in any of 1 finding" in headline(found)


def test_answers_to_the_same_requests_are_compared(make: Make) -> None:
    old = make("a", lists=["abc"] * 20 + ["dcb"] * 10)
    new = make("b", lists=["abc"] * 12 + [""] * 8 + ["dcb"] * 5 + ["abc"] * 5)
    found = diff(old, new).answers
    assert (found.shared, found.users, found.identical, found.lost, found.gained) == (30, 30, 17, 8, 0)
    assert found.test == "McNemar exact"
    assert found.p == pytest.approx(2 / 2**8)  # eight discordant pairs, all one way
    assert found.jaccard is not None
    assert found.jaccard.estimate == pytest.approx((17 + 5 * 0.5) / 22)  # abc and dcb share two of four


def test_questions_that_were_not_kept_are_shared_but_not_compared(make: Make) -> None:
    """Of the many questions of a search only the digest is stored."""
    runs = [make(name, lists=lists) for name, lists in (("a", ["abc", "bca"]), ("b", ["abc", "abc"]))]
    bare = [make(name) for name in "cd"]
    for run in (*runs, *bare):
        run.store.put_answers(run.id, [(f"{run.id}/s", f"{7:064d}", 0, answer("abc"))], bodies=False)
    found = diff(*runs).answers
    assert (found.shared, found.compared, found.users, found.identical) == (3, 2, 2, 1)
    found = diff(*bare).answers
    assert (found.shared, found.compared, found.overlap) == (1, 0, None)


def test_scores_are_compared_by_the_order_they_give(make: Make) -> None:
    def scored(*scores: float) -> Answer:
        return Answer(tuple(Ranked(c, score=s) for c, s in zip("abc", scores, strict=True)))

    runs = []
    for name, reply in (("a", scored(0.9, 0.5, 0.1)), ("b", scored(0.1, 0.5, 0.9))):
        run = make(name)
        run.store.put_answers(run.id, [(name, REQUESTS[0], 0, reply)])
        runs.append(run)
    found = diff(*runs).answers
    assert found.identical == 0
    assert found.overlap is not None
    assert found.overlap.estimate < 0.9


def test_runs_without_a_common_request_say_so(make: Make) -> None:
    assert "No request was asked in both runs" in render(diff(make("a"), make("b", lists=["abc"])), "text")


def test_a_new_failure_is_told_with_both_verdicts(make: Make) -> None:
    found = diff(make("a", [ndcg(0.5, 0.4, 0.6)]), make("b", [ndcg(0.1, 0.05, 0.15)]))
    assert "1 finding is worse; 1 check fails that did not fail before." in render(found, "text")
    assert "| worse | NDCG@10 | 0.500 → 0.100 | −0.400 [−0.512, −0.288] |" in render(found, "md")
    assert "✔ pass → ✖ fail" in render(found, "md")
    assert json.loads(render(found, "json"))["changes"][0]["outcome"] == "worse"


def test_what_could_not_be_tested_is_not_compared(make: Make) -> None:
    gone = not_applicable("quality", "ndcg", "NDCG@10", "it answers nothing", {"k": 10})
    change = only(diff(make("a", [ndcg(0.5, 0.4, 0.6)]), make("b", [gone])))
    assert (change.outcome, change.reason) == ("not compared", "not testable in the second run: it answers nothing")


def test_findings_of_one_run_only_are_listed(make: Make) -> None:
    extra = replace(ndcg(0.5, 0.4, 0.6), params={"k": 20}, title="NDCG@20")
    found = diff(make("a", [extra]), make("b", [ndcg(0.5, 0.4, 0.6)]))
    assert [f.title for f in found.only_old] == ["NDCG@20"]
    assert [f.title for f in found.only_new] == ["NDCG@10"]
    assert "Only before: NDCG@20" in render(found, "text")


def test_settings_that_differ_are_shown_and_folders_are_not(make: Make) -> None:
    found = diff(make("a", dataset={"k": 10}), make("b", dataset={"k": 20}))
    assert ("dataset.k", "10", "20") in found.settings
    assert not any("home" in old + new for _, old, new in found.settings)


def test_hostile_text_stays_harmless(make: Make) -> None:
    evil = replace(ndcg(0.5, 0.4, 0.6), title="<script> | \x1b[2J \u202e")
    found = diff(make("a", [evil]), make("\x1b[31m", [replace(evil, estimate=0.1, ci=(0.05, 0.15))]))
    for kind in ("text", "md", "json"):
        assert not {"\x1b", "\u202e"} & set(render(found, kind))
    assert "<script>" not in render(found, "md")


def test_unknown_formats_are_named(make: Make) -> None:
    run = make("a")
    with pytest.raises(ConfigError, match="did you mean 'text'"):
        render(diff(run, run), "txt")


def test_runs_may_lie_in_different_stores(make: Make, tmp_path: Path) -> None:
    old = make("a", [ndcg(0.5, 0.4, 0.6)], lists=["abc"])
    with Store(tmp_path / "other.sqlite") as store:
        record = store.create_run("b", config={}, target={}, versions={}, seed=7, policy=POLICY.model_dump(mode="json"))
        store.put_answers(record.id, [("b", REQUESTS[0], 0, answer("abc"))])
        store.save_module(record.id, "quality", [ndcg(0.5, 0.4, 0.6)], ())
        found = diff(old, Run(record, store))
    assert found.answers.identical == 1
    assert only(found).outcome == "no evidence of change"


def test_values_are_replaced_with_their_module(make: Make) -> None:
    finding = ndcg(0.5, 0.4, 0.6)
    run = make("a", [finding], {finding.id: {"u1": 0.5}})
    assert run.store.values(run.id, finding.id) == {"u1": 0.5}
    run.store.save_module(run.id, "quality", [finding], ())
    assert run.store.values(run.id, finding.id) == {}
