"""The conformance check against small scripted recommenders, each with one fault and known counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from audit.conformance import Observation, Report, check
from audit.data.cases import ranking_cases, scoring_cases
from audit.data.dataset import Dataset
from audit.errors import TargetUnavailable
from audit.target import Input, Insight, TargetInfo
from audit.types import Answer, Ranked, Request, Task, Usage

USERS = 8
HONEST = TargetInfo(
    "scripted", tasks=("rank", "score"), honours=frozenset({Input.HISTORY}), reveals=frozenset({Insight.SCORES})
)


def taste(request: Request) -> dict[str, float]:
    """Candidates by how near their ids lie to the history: a recommender that reads the history and nothing else."""
    seen = [int(e.item.id) for e in request.user.history] or [0]
    items = request.candidates or ()
    return {c.id: -float(np.mean([abs(int(c.id) - s) for s in seen])) for c in items}


def honest(request: Request) -> Answer:
    scores = taste(request)
    ids = list(scores) if request.task == "score" else sorted(scores, key=lambda i: (-scores[i], i))[: request.k]
    return Answer(tuple(Ranked(i, score=scores[i]) for i in ids))


@dataclass
class Scripted:
    """Answers each request by a function of the request and of how often it was called."""

    answer: Callable[[Request, int], Answer]
    info: TargetInfo = HONEST
    batches: list[int] = field(default_factory=list)

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        self.batches.append(len(requests))
        return [self.answer(r, len(self.batches)) for r in requests]


def examine(target: object, world: Dataset, task: Task = "rank", users: int = USERS) -> Report:
    rng = np.random.default_rng(0)
    if task == "rank":
        cases = ranking_cases(world, users=USERS, k=5, candidates=12, rng=rng)
    else:
        cases = scoring_cases(world, users=USERS, targets=4, rng=rng)
    return check(target, cases, catalog=world.catalog, rng=np.random.default_rng(1), users=users)  # type: ignore[arg-type]  # some are broken on purpose


def seen(report: Report, name: str) -> Observation:
    return next(o for o in report.observations if o.id == name)


def levels(report: Report) -> dict[str, str]:
    return {o.id: o.level for o in report.observations if o.level != "ok"}


@pytest.mark.parametrize("task", ["rank", "score"])
def test_good_target_has_nothing_to_mend(world: Dataset, task: Task) -> None:
    report = examine(Scripted(lambda r, _: honest(r)), world, task)
    assert levels(report) == {}
    assert report.exit_code == 0
    assert report.task == task
    assert seen(report, "repeat").counts["changed"] == 0
    assert seen(report, "reads_history").counts["changed"] > 0


def test_requests_are_counted_and_users_limited(world: Dataset) -> None:
    target = Scripted(lambda r, _: honest(r))
    report = examine(target, world, users=3)
    assert report.users == 3
    assert report.requests == sum(target.batches)


def test_unstable_answers_warn_with_their_number(world: Dataset) -> None:
    def moody(request: Request, call: int) -> Answer:
        answer = honest(request)
        # Every call ranks the other way round for one half of the users.
        turned = call % 2 and int(request.user.id) % 2
        return replace(answer, ranked=tuple(Ranked(e.item_id) for e in reversed(answer.ranked))) if turned else answer

    report = examine(Scripted(moody, replace(HONEST, reveals=frozenset())), world)
    odd = sum(
        int(c.request.user.id) % 2
        for c in ranking_cases(world, users=USERS, k=5, candidates=12, rng=np.random.default_rng(0))
    )
    assert seen(report, "repeat").level == "warn"
    assert seen(report, "repeat").counts["changed"] == odd
    assert report.exit_code == 0


def test_answers_that_depend_on_the_batch_fail_with_the_size_of_the_gap(world: Dataset) -> None:
    class Normalising(Scripted):
        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            factor = 2.0 if len(requests) > 1 else 1.0
            return [
                Answer(tuple(replace(e, score=(e.score or 0.0) * factor) for e in honest(r).ranked)) for r in requests
            ]

    report = examine(Normalising(lambda r, _: honest(r)), world)
    assert levels(report) == {"batch": "fail"}
    assert seen(report, "batch").counts["largest_score_gap"] == pytest.approx(0.5)
    assert seen(report, "batch").counts["lists_changed"] == 0


def test_rounding_in_a_batch_is_fine(world: Dataset) -> None:
    class Rounding(Scripted):
        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            shift = 1e-3 * (len(requests) > 1)
            return [
                Answer(tuple(replace(e, score=(e.score or 0.0) + shift) for e in honest(r).ranked)) for r in requests
            ]

    assert levels(examine(Rounding(lambda r, _: honest(r)), world)) == {}


def _short(request: Request, _: int) -> Answer:
    return replace(honest(request), ranked=honest(request).ranked[:3])


def _long(request: Request, _: int) -> Answer:
    return honest(replace(request, k=7))


def _twice(request: Request, _: int) -> Answer:
    ranked = honest(request).ranked
    return Answer((ranked[0], *ranked[:-1]))


def _foreign(request: Request, _: int) -> Answer:
    return Answer((Ranked("nowhere", score=1e3), *honest(request).ranked[1:]))


def _outside(request: Request, _: int) -> Answer:
    taken = {c.id for c in request.candidates or ()} | {e.item.id for e in request.user.history}
    other = next(str(i) for i in range(100, 220) if str(i) not in taken)
    return Answer((Ranked(other, score=1e3), *honest(request).ranked[1:]))


def _absent(request: Request, _: int) -> Answer:
    return Answer((Ranked(None, "A film that was never made", 1e3), *honest(request).ranked[1:]))


def _consumed(request: Request, _: int) -> Answer:
    return Answer((Ranked(request.user.history[0].item.id, score=1e3), *honest(request).ranked[1:]))


@pytest.mark.parametrize(
    ("answer", "fault", "level", "count"),
    [
        (_short, "too_few", "fail", USERS),
        (_long, "too_many", "warn", USERS),
        (_twice, "duplicates", "warn", USERS),
        (_foreign, "foreign", "fail", USERS),
        (_outside, "outside_candidates", "fail", USERS),
        (_absent, "absent", "warn", USERS),
        (_consumed, "history_repeats", "warn", USERS),
    ],
)
def test_each_fault_of_a_list_is_counted(
    world: Dataset, answer: Callable[[Request, int], Answer], fault: str, level: str, count: int
) -> None:
    report = examine(Scripted(answer), world)
    assert seen(report, fault).level == level
    assert seen(report, fault).counts[fault] == count
    assert seen(report, fault).mend
    assert report.exit_code == any(o.level == "fail" for o in report.observations)


def test_ignored_history_fails(world: Dataset) -> None:
    def same(request: Request, _: int) -> Answer:
        ids = sorted(c.id for c in request.candidates or ())[: request.k]
        return Answer(tuple(Ranked(i, score=-float(i)) for i in ids))

    report = examine(Scripted(same), world)
    assert levels(report) == {"reads_history": "fail"}
    assert report.exit_code == 1


def test_other_declared_inputs_that_change_nothing_warn(world: Dataset) -> None:
    info = replace(HONEST, honours=frozenset({Input.HISTORY, Input.NOTE, Input.INSTRUCTION}))
    report = examine(Scripted(lambda r, _: honest(r), info), world)
    assert levels(report) == {"reads_note": "warn", "reads_instruction": "warn"}


def test_undeclared_input_that_is_read_is_named(world: Dataset) -> None:
    def suggestible(request: Request, _: int) -> Answer:
        named = [c for c in request.candidates or () if c.title in request.user.note]
        return Answer((Ranked(named[0].id, score=1e3), *honest(request).ranked[1:])) if named else honest(request)

    report = examine(Scripted(suggestible), world)
    assert levels(report) == {"reads_note": "warn"}
    assert "without declaring" in seen(report, "reads_note").text


def test_target_that_raises_is_counted_not_raised(world: Dataset) -> None:
    def fragile(request: Request, _: int) -> Answer:
        if int(request.user.id) % 2:
            raise KeyError("no such user")
        return honest(request)

    report = examine(Scripted(fragile), world)
    assert seen(report, "error").level == "fail"
    assert "no such user" in seen(report, "error").text
    assert 0 < seen(report, "error").counts["error"] < USERS


def test_wrong_number_of_answers_ends_the_check_with_a_reason(world: Dataset) -> None:
    class Forgetful(Scripted):
        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            return []

    report = examine(Forgetful(lambda r, _: honest(r)), world)
    assert "returned 0 answers" in seen(report, "answers").text
    assert report.exit_code == 1
    assert report.checks


def test_target_that_cannot_batch_is_looked_at_one_by_one(world: Dataset) -> None:
    class First(Scripted):
        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            return [honest(requests[0])]

    report = examine(First(lambda r, _: honest(r)), world)
    assert levels(report) == {"batch": "fail"}
    assert "batch_size=1" in seen(report, "batch").mend
    assert seen(report, "reads_history").level == "ok"


def test_unreachable_target_is_reported(world: Dataset) -> None:
    def gone(request: Request, _: int) -> Answer:
        raise TargetUnavailable("nothing answers")

    report = examine(Scripted(gone), world)
    assert "nothing answers" in seen(report, "answers").text
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("outcome", "share", "level"),
    [("refused", 1, "warn"), ("refused", USERS, "fail"), ("unparsable", 1, "warn"), ("unparsable", USERS, "fail")],
)
def test_refusals_and_unreadable_answers_fail_when_they_are_many(
    world: Dataset, outcome: str, share: int, level: str
) -> None:
    cases = ranking_cases(world, users=USERS, k=5, candidates=12, rng=np.random.default_rng(0))
    silent = {c.request.user.id for c in cases[:share]}

    def shy(request: Request, _: int) -> Answer:
        return Answer(outcome=outcome, detail="no") if request.user.id in silent else honest(request)  # type: ignore[arg-type]  # a parameter

    observation = seen(examine(Scripted(shy), world), outcome)
    assert (observation.level, observation.counts[outcome]) == (level, share)


def test_scores_that_are_not_numbers_fail(world: Dataset) -> None:
    def broken(request: Request, _: int) -> Answer:
        return Answer(tuple(replace(e, score=float("nan")) for e in honest(request).ranked))

    assert levels(examine(Scripted(broken), world, "score"))["scores_finite"] == "fail"


def test_sorted_scores_fail_where_the_order_of_candidates_is_asked(world: Dataset) -> None:
    def by_score(request: Request, _: int) -> Answer:
        return Answer(tuple(sorted(honest(request).ranked, key=lambda e: -(e.score or 0.0))))

    report = examine(Scripted(by_score), world, "score")
    assert levels(report)["score_order"] == "fail"
    assert "candidates' order" in seen(report, "score_order").mend


def test_flat_scores_fail(world: Dataset) -> None:
    def flat(request: Request, _: int) -> Answer:
        return Answer(tuple(replace(e, score=0.5) for e in honest(request).ranked))

    assert levels(examine(Scripted(flat), world, "score"))["scores_flat"] == "fail"


def test_declared_scores_that_are_missing_fail_and_undeclared_ones_warn(world: Dataset) -> None:
    bare = Scripted(lambda r, _: Answer(tuple(Ranked(e.item_id) for e in honest(r).ranked)))
    assert levels(examine(bare, world)) == {"scores_missing": "fail"}
    secret = Scripted(lambda r, _: honest(r), replace(HONEST, reveals=frozenset()))
    assert levels(examine(secret, world)) == {"scores_undeclared": "warn"}


def test_ranking_against_its_own_scores_warns(world: Dataset) -> None:
    upside_down = Scripted(lambda r, _: Answer(tuple(reversed(honest(r).ranked))))
    assert levels(examine(upside_down, world)) == {"rank_order": "warn"}


@pytest.mark.parametrize("insight", [Insight.LOGPROBS, Insight.GRADIENTS, Insight.TRAIN])
def test_what_is_declared_needs_its_method(insight: Insight, world: Dataset) -> None:
    info = replace(HONEST, reveals=frozenset({Insight.SCORES, insight}))
    assert levels(examine(Scripted(lambda r, _: honest(r), info), world)) == {insight.value: "fail"}


def test_tokens_are_reported_per_request(world: Dataset) -> None:
    report = examine(Scripted(lambda r, _: replace(honest(r), usage=Usage(120, 30))), world)
    assert seen(report, "tokens").counts == {"prompt": 120.0, "completion": 30.0}


def test_checks_say_what_will_run_and_why_not(world: Dataset) -> None:
    checks = {c.name: c for c in examine(Scripted(lambda r, _: honest(r)), world).checks}
    assert checks["quality"].runs
    assert checks["random-items"].runs
    assert not checks["negation"].runs
    assert "instruction or note" in checks["negation"].reason


def test_report_is_json(world: Dataset) -> None:
    report = examine(Scripted(_foreign), world)
    data = json.loads(json.dumps(report.to_dict()))
    assert data["verdict"] == "fail"
    assert {o["id"] for o in data["observations"]} == {o.id for o in report.observations}
    assert data["checks"][0].keys() == {"kind", "name", "runs", "reason"}
