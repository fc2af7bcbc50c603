"""The driver of searches: true queries are counted, budgets hold, users do not disturb each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from helpers import Scripted, catalog, request, requests

from audit.attack import (
    AttackInfo,
    Attempt,
    Edits,
    Found,
    Goal,
    Job,
    Objective,
    Probe,
    Scouting,
    Search,
    Steps,
    ThreatModel,
)
from audit.edits import HistoryDrop, HistoryInsert, TextEdit, Zone
from audit.errors import ThreatModelViolation
from audit.target import Input, Insight
from audit.types import Answer, Event, Ranked, Request

PLATFORM = ThreatModel(frozenset({Zone.PLATFORM}), max_edits=3, max_queries=None)
SEES = frozenset({Insight.SCORES})
LIKED = frozenset({"i4"})


def insert(name: str, at: int = 0) -> Edits:
    return (HistoryInsert(at, Event(catalog()[name])),)


@dataclass(frozen=True)
class Scheme(Search):
    """A search that does what a function says."""

    steps: Callable[[Probe], Steps] = lambda probe: iter(())  # type: ignore[assignment,return-value]

    @property
    def info(self) -> AttackInfo:
        return AttackInfo("scheme", "Scheme", "why", "ref", PLATFORM, frozenset({Input.HISTORY}))

    def search(self, probe: Probe) -> Steps:
        return self.steps(probe)


def brittle(*names: str, reveals: frozenset[Insight] = SEES) -> Scripted:
    """A ranker that shows the first candidate first, until one of these items stands in the history."""

    def answer(asked: Request) -> Answer:
        upset = any(event.item.id in names for event in asked.user.history)
        items = asked.candidates or ()
        scores = {item.id: (-9.0 if upset and n == 0 else -float(n)) for n, item in enumerate(items)}
        ranked = sorted(items, key=lambda item: -scores[item.id])[: asked.k]
        shown = [Ranked(i.id, i.title, scores[i.id] if Insight.SCORES in reveals else None) for i in ranked]
        return Answer(tuple(shown))

    return Scripted(answer, reveals=reveals)


def run(
    target: Scripted, steps: Callable[[Probe], Steps], budget: int = 50, users: int = 1, **options: Any
) -> list[Attempt]:
    known = Objective(Goal.DEGRADE, (LIKED,) * users, label_free=options.pop("label_free", False))
    scheme = Scheme(catalog(), steps=steps, **options)
    return list(scheme.run(target, requests(users), known, budget, np.random.default_rng(0)))


def try_all(names: list[str]) -> Callable[[Probe], Steps]:
    def steps(probe: Probe) -> Steps:
        yield [insert(name) for name in names]
        return None

    return steps


def test_what_is_asked_only_to_learn_from_is_no_result() -> None:
    def steps(probe: Probe) -> Steps:
        (loss,) = yield Scouting([insert("i30")])
        assert loss > 1.0
        yield [insert("i20")]
        return None

    (attempt,) = run(brittle("i30"), steps)
    assert attempt.edits == insert("i20")
    assert [step.edits for step in attempt.trace] == [insert("i20")]
    assert attempt.queries == 2


def test_without_a_choice_of_its_own_the_best_that_was_tried_is_the_result() -> None:
    (attempt,) = run(brittle("i30"), try_all(["i20", "i30", "i31"]))
    assert attempt.edits == insert("i30")
    assert attempt.queries == 3
    assert attempt.after.ids[-1] == "i4"
    assert [step.queries for step in attempt.trace] == [1, 2]
    assert attempt.trace[0].loss < attempt.trace[1].loss


def test_losses_come_back_in_the_order_of_the_questions_and_are_the_negative_log_likelihood() -> None:
    seen: list[list[float]] = []

    def steps(probe: Probe) -> Steps:
        seen.append((yield [(), insert("i30"), insert("i20"), insert("i30")]))
        return insert("i20")

    (attempt,) = run(brittle("i30"), steps)
    scores = -np.arange(5.0)
    clean = float(np.log(np.exp(scores).sum()) - scores[0])
    scores[0] = -9
    upset = float(np.log(np.exp(scores).sum()) + 9)
    assert seen == [pytest.approx([clean, upset, clean, upset])]
    assert attempt.edits == insert("i20")
    assert attempt.queries == 3  # the last question is the second again


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_a_search_that_asks_for_more_than_its_budget_ends_with_the_best_it_has_seen(budget: int) -> None:
    reached = []

    def steps(probe: Probe) -> Steps:
        yield [insert("i20")]
        yield [insert("i30"), insert("i31"), insert("i32")]
        reached.append(probe.spent)
        return insert("i33")

    target = brittle("i30")
    (attempt,) = run(target, steps, budget)
    assert attempt.queries == budget
    assert len(target.asked) == budget + 2  # before and after are not the search's
    assert not reached
    assert attempt.edits == insert("i20" if budget == 1 else "i30")


def test_questions_of_many_users_reach_the_target_together() -> None:
    target = brittle("i30")
    attempts = run(target, try_all(["i20", "i30"]), users=5)
    assert [len(batch) for batch in target.batches] == [5, 10, 5]
    assert [a.edits for a in attempts] == [insert("i30")] * 5


@pytest.mark.parametrize("group", [1, 2, 64])
def test_what_is_found_for_a_user_does_not_depend_on_the_others(group: int) -> None:
    def steps(probe: Probe) -> Steps:
        yield [insert(f"i{int(probe.rng.integers(20, 40))}") for _ in range(4)]
        return None

    alone = run(brittle("i30"), steps, users=5, group=64)
    assert [a.edits for a in run(brittle("i30"), steps, users=5, group=group)] == [a.edits for a in alone]
    assert len({repr(a.edits) for a in alone}) > 1


def test_a_search_goes_on_where_an_earlier_one_stopped() -> None:
    def steps(probe: Probe) -> Steps:
        yield [insert(f"i{int(probe.rng.integers(20, 40))}") for _ in range(4)]
        return None

    asked, objective = requests(5), Objective(Goal.DEGRADE, (LIKED,) * 5)
    scheme = Scheme(catalog(), steps=steps)
    whole = list(scheme.run(brittle("i30"), asked, objective, 9, np.random.default_rng(0)))
    rest = list(scheme.run(brittle("i30"), asked, objective, 9, np.random.default_rng(0), skip=3))
    assert [a.found for a in rest] == [a.found for a in whole[3:]]
    assert [Found.from_dict(a.found.to_dict()) for a in whole] == [a.found for a in whole]


def test_joint_work_is_done_for_all_users_at_once() -> None:
    class Worker:
        def __init__(self) -> None:
            self.calls: list[int] = []

        def together(self, jobs: Any) -> list[str]:
            self.calls.append(len(jobs))
            return [f"i{20 + job}" for job in jobs]

    worker = Worker()

    def steps(probe: Probe) -> Steps:
        name = yield Job(worker, int(probe.request.user.id[1:]))
        yield [insert(name)]
        return None

    attempts = run(brittle("i30"), steps, users=4)
    assert worker.calls == [4]
    assert [a.edits for a in attempts] == [insert(f"i{20 + n}") for n in range(4)]


def test_answers_that_cannot_be_read_are_never_a_success() -> None:
    def answer(asked: Request) -> Answer:
        if any(event.item.id == "i30" for event in asked.user.history):
            return Answer(outcome="refused", detail="no")
        return brittle().answer(asked)

    (attempt,) = run(Scripted(answer, reveals=SEES), try_all(["i30", "i20"]))
    assert attempt.edits == insert("i20")


def test_where_only_a_list_is_seen_its_order_guides_the_search() -> None:
    (attempt,) = run(brittle("i30", reveals=frozenset()), try_all(["i20", "i30", "i31"]))
    assert attempt.edits == insert("i30")


def test_label_free_the_own_first_choice_stands_in_for_the_truth() -> None:
    seen: list[frozenset[str]] = []

    def steps(probe: Probe) -> Steps:
        seen.append(probe.loss_about)
        assert "i7" in probe.avoid  # the true item is never inserted, known or not
        yield [insert("i30")]
        return None

    scheme = Scheme(catalog(), steps=steps)
    truth = (frozenset({"i7"}),)
    for label_free in (False, True):
        objective = Objective(Goal.DEGRADE, truth, label_free=label_free)
        list(scheme.run(brittle("i30"), requests(1), objective, 5, np.random.default_rng(0)))
    assert seen == [frozenset({"i7"}), frozenset({"i4"})]


def test_yes_no_decisions_are_turned() -> None:
    def answer(asked: Request) -> Answer:
        upset = any(event.item.id == "i30" for event in asked.user.history)
        scores = [0.9 if (n % 2 == 0) != upset else 0.2 for n, _ in enumerate(asked.candidates or ())]
        return Answer(tuple(Ranked(i.id, i.title, s) for i, s in zip(asked.candidates or (), scores, strict=True)))

    target = Scripted(answer, reveals=SEES, tasks=("score",))
    asked = [request(task="score")]
    for objective in (
        Objective(Goal.FLIP, (frozenset({"i4", "i6", "i8"}),)),
        Objective(Goal.FLIP, (frozenset({"i5"}),), label_free=True),
    ):
        (attempt,) = Scheme(catalog(), steps=try_all(["i20", "i30"])).run(
            target, asked, objective, 5, np.random.default_rng(0)
        )
        assert attempt.edits == insert("i30")


def test_promotion_raises_an_item() -> None:
    def answer(asked: Request) -> Answer:
        items = sorted(asked.candidates or (), key=lambda i: ("best" not in i.title.lower(), i.id))
        return Answer(tuple(Ranked(i.id, i.title) for i in items[: asked.k]))

    @dataclass(frozen=True)
    class Seller(Scheme):
        @property
        def info(self) -> AttackInfo:
            zones = ThreatModel(frozenset({Zone.SELLER}), max_edits=1, max_queries=None, goal=Goal.PROMOTE)
            return AttackInfo("seller", "Seller", "why", "ref", zones, frozenset({Input.ITEM_TEXT}))

    def steps(probe: Probe) -> Steps:
        assert probe.loss_about == {"i8"}
        yield [(TextEdit("item:i8.title", 0, 0, word),) for word in ("Good ", "Best ")]
        return None

    attack = Seller(catalog(), steps=steps)
    objective = Objective(Goal.PROMOTE, item_id="i8")
    users = requests(3, k=5)
    edits, spent, trace = attack.universal(Scripted(answer), users, objective, 6, np.random.default_rng(0))
    assert edits == (TextEdit("item:i8.title", 0, 0, "Best "),)
    assert (spent, len(trace)) == (6, 2)  # two titles, three users each
    edits, spent, _ = attack.universal(Scripted(answer), users, objective, 5, np.random.default_rng(0))
    assert edits[0].text == "Good "  # type: ignore[union-attr]
    assert spent == 3


def test_edits_outside_the_threat_model_never_reach_the_target() -> None:
    def steps(probe: Probe) -> Steps:
        yield [(TextEdit("instruction", 0, 0, "x"),)]
        return None

    target = brittle()
    with pytest.raises(ThreatModelViolation):
        run(target, steps)
    assert len(target.asked) == 1  # the clean question


def test_an_empty_list_of_edits_is_the_very_same_request() -> None:
    target = brittle()

    def steps(probe: Probe) -> Steps:
        yield [()]
        return ()

    (attempt,) = run(target, steps)
    assert attempt.edits == ()
    assert {r.digest for r in target.asked} == {attempt.request.digest}


def test_a_user_whose_clean_answer_cannot_be_read_is_not_attacked_label_free() -> None:
    target = Scripted(lambda asked: Answer(outcome="unparsable", detail="?"), reveals=SEES)
    (attempt,) = run(target, try_all(["i20"]), label_free=True)
    assert (attempt.edits, attempt.queries) == ((), 0)


def test_a_group_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="group: 0"):
        Scheme(catalog(), group=0)


def test_history_edits_count_as_what_they_are() -> None:
    def steps(probe: Probe) -> Steps:
        yield [(HistoryDrop(0), HistoryDrop(0))]
        return None

    (attempt,) = run(brittle(), steps)
    assert (attempt.stealth.edits, attempt.stealth.similarity) == (2, 1.0)


class Drawing(Scripted):
    """Shows its first candidate last in every third draw, and in all draws once i9 is in the history."""

    def __init__(self) -> None:
        super().__init__(reveals=SEES, randomised=True)
        self.draws: list[int] = []

    def recommend(self, requests: Any) -> list[Answer]:
        return self.recommend_draws(requests, [0] * len(requests))

    def recommend_draws(self, requests: Any, draws: Any) -> list[Answer]:
        self.draws += draws
        answers = []
        for asked, draw in zip(requests, draws, strict=True):
            upset = draw % 3 == 0 or any(event.item.id == "i9" for event in asked.user.history)
            items = asked.candidates or ()
            scores = {item.id: (-9.0 if upset and n == 0 else -float(n)) for n, item in enumerate(items)}
            answers.append(Answer(tuple(Ranked(item.id, item.title, scores[item.id]) for item in items)))
        return answers


@pytest.mark.parametrize(("draws", "settles_on"), [(1, "i8"), (6, "i9")])
def test_an_adversary_who_averages_over_draws_is_not_fooled_by_a_lucky_one(draws: int, settles_on: str) -> None:
    # In draw 0 both inserts look alike, and the first that was tried is kept.
    def steps(probe: Probe) -> Steps:
        yield [insert("i8")]
        yield [insert("i9")]
        return None

    target = Drawing()
    objective = Objective(Goal.DEGRADE, (LIKED,), draws=draws)
    rng = np.random.default_rng(0)
    (attempt,) = Scheme(catalog(), steps=steps).run(target, [request()], objective, 10, rng)
    assert attempt.edits == insert(settles_on)
    assert attempt.queries == 2  # all draws of one question are one query
    assert set(target.draws) == set(range(draws))
