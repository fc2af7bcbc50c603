"""The gateway: what is asked, what is not, what it costs, and what happens when the target fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, first_candidates, gateway, new_run, request, requests

from audit.errors import BudgetExhausted, TargetError, TargetUnavailable
from audit.gateway import Ask, Budget, Estimate, Price, Progress, Retry
from audit.gateway.concurrency import Adaptive
from audit.gateway.door import COUNTED
from audit.store import Store
from audit.types import Answer, Ranked, Request, Usage


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


def asks(count: int, **fields: Any) -> list[Ask]:
    return [Ask(r) for r in requests(count, **fields)]


def priced(prompt: int, completion: int = 0) -> Callable[[Request], Answer]:
    """A target whose every answer costs the same."""
    return lambda asked: replace(first_candidates(asked), usage=Usage(prompt, completion, 0.001))


class Counting(Scripted):
    """A target that can say how many tokens a prompt has."""

    def count_tokens(self, requests: Sequence[Request]) -> list[int]:
        return [100] * len(requests)


class Failing(Scripted):
    """A target whose n-th call raises what a script says; None lets it answer."""

    def __init__(self, script: Sequence[BaseException | None], **info: Any) -> None:
        super().__init__(**info)
        self.script = list(script)
        self.calls = 0

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        error = self.script[self.calls] if self.calls < len(self.script) else None
        self.calls += 1
        if error is not None:
            raise error
        return super().recommend(requests)


# What is asked --------------------------------------------------------------------------------------------------------


def test_answers_come_in_order_and_equal_questions_are_asked_once(store: Store) -> None:
    target = Scripted(lambda r: Answer((Ranked(r.user.id),)))
    door = gateway(target, store)
    wanted = [f"u{n}" for n in (3, 1, 3, 0, 1)]
    answers = door.ask([Ask(request(user)) for user in wanted])
    assert [a.ids[0] for a in answers] == wanted
    assert [r.user.id for r in target.asked] == ["u3", "u1", "u0"]
    assert (door.usage().queries, door.usage().reused) == (3, 0)


def test_a_repeat_is_asked_again_and_kept_apart(store: Store) -> None:
    replies = iter("abc")
    target = Scripted(lambda _: Answer((Ranked(next(replies)),)))
    door = gateway(target, store)
    asked = [Ask(request(), repeat) for repeat in (0, 1, 2)]
    first = door.ask(asked)
    assert [a.ids for a in first] == [("a",), ("b",), ("c",)]
    assert [a.ids for a in door.ask(asked[::-1])] == [("c",), ("b",), ("a",)]
    assert len(target.asked) == 3


def test_what_is_stored_is_never_asked(store: Store) -> None:
    target = Scripted(fingerprint="v1")
    gateway(target, store).ask(asks(5))
    again = gateway(target, store)
    answers = again.ask(asks(6))
    assert [r.user.id for r in target.asked] == ["u0", "u1", "u2", "u3", "u4", "u5"]
    assert len(answers) == 6
    assert (again.usage().queries, again.usage().reused) == (1, 5)


@pytest.mark.parametrize(
    ("info", "options", "shared"),
    [
        ({}, {}, False),
        ({"fingerprint": "v1"}, {}, True),
        ({}, {"version": "1"}, True),
    ],
)
def test_answers_cross_runs_only_where_the_target_is_known_to_be_the_same(
    store: Store, info: dict[str, Any], options: dict[str, Any], shared: bool
) -> None:
    target = Scripted(**info)
    gateway(target, store, **options).ask(asks(3))
    gateway(target, store, **options).ask(asks(3))
    assert len(target.asked) == (3 if shared else 6)


@pytest.mark.parametrize(
    ("one", "other"), [({"fingerprint": "v1"}, {"fingerprint": "v2"}), ({"name": "a"}, {"name": "b"})]
)
def test_another_target_is_asked_itself(store: Store, one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = Scripted(**one), Scripted(**other)
    gateway(old, store, version="1").ask(asks(2))
    gateway(new, store, version="1").ask(asks(2))
    assert len(new.asked) == 2


def test_batches_are_of_the_size_the_target_takes(store: Store) -> None:
    target = Scripted(batch_size=4)
    gateway(target, store).ask(asks(10))
    assert [len(b) for b in target.batches] == [4, 4, 2]


def test_a_resumed_run_asks_the_same_batches(store: Store) -> None:
    """Batches are cut from the whole plan: what an interrupted run left unasked is asked in the batches of old."""
    whole = Scripted(batch_size=4)
    gateway(whole, store).ask(asks(14))
    broken = Scripted(batch_size=4)
    run = new_run(store)
    with pytest.raises(BudgetExhausted):
        gateway(broken, store, run, budget=Budget(queries=9)).ask(asks(14))
    gateway(broken, store, run).ask(asks(14))
    assert broken.batches == whole.batches


def test_stored_answers_do_not_shift_the_batches(store: Store) -> None:
    target = Scripted(batch_size=4, fingerprint="v1")
    gateway(target, store).ask(asks(2))
    gateway(target, store).ask(asks(9))
    assert [[r.user.id for r in batch] for batch in target.batches] == [
        ["u0", "u1"],
        ["u2", "u3"],
        ["u4", "u5", "u6", "u7"],
        ["u8"],
    ]


def test_no_questions_are_no_work(store: Store) -> None:
    target = Scripted()
    assert gateway(target, store).ask([]) == []
    assert target.batches == []


def test_attacks_reach_the_target_only_through_the_door(store: Store) -> None:
    target = Scripted()
    door = gateway(target, store, budget=Budget(queries=3))
    behind = door.recommender()
    assert len(behind.recommend(requests(3))) == 3
    assert len(behind.recommend(requests(3))) == 3
    assert len(target.asked) == 3
    with pytest.raises(BudgetExhausted):
        behind.recommend(requests(4))


def test_progress_ends_at_the_whole(store: Store) -> None:
    seen: list[tuple[str, int, int, int]] = []

    def note(p: Progress) -> None:
        seen.append((p.label, p.done, p.total, p.usage.queries))

    gateway(Scripted(batch_size=2), store, progress=note).ask(asks(5), label="Quality")
    assert seen == [("Quality", 0, 5, 0), ("Quality", 2, 5, 2), ("Quality", 4, 5, 4), ("Quality", 5, 5, 5)]


# Budgets --------------------------------------------------------------------------------------------------------------


def test_an_estimate_asks_nothing_and_counts_what_is_missing(store: Store) -> None:
    target = Counting(fingerprint="v1")
    door = gateway(target, store)
    door.ask(asks(2))
    assert door.estimate([*asks(5), *asks(5)]) == Estimate(queries=3, reused=2, prompt_tokens=300, counted=True)
    assert len(target.asked) == 2
    rough = gateway(Scripted(), store).estimate([Ask(request(instruction="x" * 400, history=0, candidates=None))])
    assert not rough.counted
    assert 100 <= rough.prompt_tokens <= 102


def test_the_tokens_of_a_large_plan_are_counted_on_some_of_its_questions(store: Store) -> None:
    counted: list[int] = []

    class Uneven(Scripted):
        def count_tokens(self, requests: Sequence[Request]) -> list[int]:
            counted.append(len(requests))
            return [50 + len(r.instruction) for r in requests]

    many = [Ask(request(f"u{n}", instruction="x" * (n % 100))) for n in range(3000)]
    door = gateway(Uneven(fingerprint="v1"), store)
    found = door.estimate(many)
    assert (found.queries, found.counted, found.sampled) == (3000, True, True)
    assert counted == [COUNTED]
    assert found.prompt_tokens == pytest.approx(3000 * 99.5, rel=0.05)  # 512 draws: 1.3 % at one standard error
    assert door.estimate(many) == found
    small = door.estimate(many[:COUNTED])
    assert not small.sampled
    assert small.prompt_tokens == sum(50 + n % 100 for n in range(COUNTED))


@pytest.mark.parametrize(
    ("budget", "named", "spent"),
    [
        (Budget(queries=7), "queries", 6),
        # Prompts are counted before asking (100 each); completions are expected as long as those before (50 each).
        (Budget(tokens=600), "tokens", 4),
        (Budget(tokens=100 * 2), "tokens", 2),
        (Budget(usd=0.0011), "usd", 6),
    ],
)
def test_a_budget_is_checked_before_asking_and_a_raised_one_goes_on(
    store: Store, budget: Budget, named: str, spent: int
) -> None:
    target = Counting(priced(100, 50 if budget.tokens != 200 else 0), batch_size=2)
    price = Price(prompt=1.0, completion=1.0)
    run = new_run(store)
    with pytest.raises(BudgetExhausted, match=rf"budget\.{named}: .* resume the run") as caught:
        gateway(target, store, run, budget=budget, price=price).ask(asks(10))
    assert caught.value.exit_code == 3
    assert len(target.asked) == spent
    # Still exhausted: what an earlier process spent counts.
    with pytest.raises(BudgetExhausted):
        gateway(target, store, run, budget=budget, price=price).ask(asks(10))
    assert len(target.asked) == spent
    assert len(gateway(target, store, run).ask(asks(10))) == 10
    assert len(target.asked) == 10


def test_minutes_count_what_an_earlier_process_spent(store: Store) -> None:
    slow = Scripted(lambda r: replace(first_candidates(r), usage=Usage(seconds=40.0)))
    run = new_run(store)
    gateway(slow, store, run, budget=Budget(minutes=1)).ask(asks(2))
    with pytest.raises(BudgetExhausted, match=r"budget\.minutes"):
        gateway(slow, store, run, budget=Budget(minutes=1)).ask(asks(3))
    assert len(slow.asked) == 2


def test_a_budget_that_fits_exactly_suffices(store: Store) -> None:
    assert len(gateway(Scripted(), store, budget=Budget(queries=5)).ask(asks(5))) == 5


def test_stored_answers_cost_nothing(store: Store) -> None:
    target = Scripted(fingerprint="v1")
    gateway(target, store).ask(asks(50))
    assert len(gateway(target, store, budget=Budget(queries=1)).ask(asks(51))) == 51


# Failures -------------------------------------------------------------------------------------------------------------


def test_an_unavailable_target_is_asked_again(store: Store) -> None:
    target = Failing([TargetUnavailable("time-out"), TargetUnavailable("503"), None])
    answers = gateway(target, store, retry=Retry(attempts=3, wait_s=0)).ask(asks(4))
    assert {a.outcome for a in answers} == {"ok"}
    assert target.calls == 3


def test_retry_after_is_honoured_up_to_the_longest_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    busy = [TargetUnavailable("429", retry_after=after, throttled=True) for after in (7.0, 900.0, 0.0)]
    target = Failing([*busy, None])
    gateway(target, store, retry=Retry(attempts=4, wait_s=1.0, max_wait_s=30.0)).ask(asks(1))
    assert waits == [7.0, 30.0, 0.0]


def test_waits_without_advice_grow_and_stay_below_the_longest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    target = Failing([TargetUnavailable("503")] * 7)
    gateway(target, store, retry=Retry(attempts=8, wait_s=1.0, max_wait_s=4.0)).ask(asks(1))
    assert len(waits) == 7
    assert all(wait <= min(4.0, 2.0**n) for n, wait in enumerate(waits))


def test_a_batch_that_fails_for_good_is_counted_and_the_others_go_on(store: Store) -> None:
    target = Failing([None, TargetUnavailable("down"), TargetUnavailable("down"), None], batch_size=2)
    door = gateway(target, store)
    answers = door.ask(asks(6))
    assert [a.outcome for a in answers] == ["ok", "ok", "error", "error", "ok", "ok"]
    assert answers[2].detail == "down"
    assert store.outcomes(door.run) == {"error": 2, "ok": 4}
    # They are results of this run: resuming does not ask them again unless it is told to.
    assert gateway(target, store, door.run).ask(asks(6)) == answers
    assert store.forget_errors(door.run) == 2
    assert {a.outcome for a in gateway(target, store, door.run).ask(asks(6))} == {"ok"}


def test_a_target_that_is_gone_stops_the_run(store: Store) -> None:
    target = Failing([None, *[TargetUnavailable("no route")] * 99], batch_size=2)
    retry = Retry(attempts=2, wait_s=0, give_up_after=3)
    run = new_run(store)
    with pytest.raises(TargetError, match=r"3 batches failed in a row, each 2 times.*no route.*resume"):
        gateway(target, store, run, retry=retry).ask(asks(40))
    assert target.calls == 1 + 3 * 2
    assert store.outcomes(run) == {"error": 4, "ok": 2}
    target.script = []
    answers = gateway(target, store, run, retry=retry).ask(asks(40))
    assert [a.outcome for a in answers] == ["ok"] * 2 + ["error"] * 4 + ["ok"] * 34


def test_failures_that_are_not_in_a_row_do_not_stop_a_run(store: Store) -> None:
    target = Failing([TargetUnavailable("busy"), None] * 6, batch_size=1)
    answers = gateway(target, store, retry=Retry(attempts=1, give_up_after=2)).ask(asks(12))
    assert [a.outcome for a in answers] == ["error", "ok"] * 6


def test_an_error_of_one_run_is_no_answer_for_another(store: Store) -> None:
    target = Failing([TargetUnavailable("down")], fingerprint="v1")
    first = gateway(target, store, retry=Retry(attempts=1))
    assert {a.outcome for a in first.ask(asks(3))} == {"error"}
    second = gateway(target, store)
    assert second.estimate(asks(3)).queries == 3
    assert {a.outcome for a in second.ask(asks(3))} == {"ok"}
    third = gateway(target, store)
    assert {a.outcome for a in third.ask(asks(3))} == {"ok"}
    assert (second.usage().queries, third.usage().queries) == (3, 0)


def test_what_foreign_code_raises_costs_only_the_request_that_raises(store: Store) -> None:
    def picky(asked: Request) -> Answer:
        if asked.user.id in {"u3", "u7"}:
            raise KeyError(asked.user.id)
        return first_candidates(asked)

    door = gateway(Scripted(picky), store)
    answers = door.ask(asks(10))
    assert [n for n, a in enumerate(answers) if a.outcome == "error"] == [3, 7]
    assert answers[3].detail == "KeyError: 'u3'"
    assert door.usage().queries == 10


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda answers: answers[:-1], "2 answers to 3 requests"),
        (lambda answers: [*answers, answers[0]], "4 answers to 3 requests"),
        (lambda _: None, "returned None"),
        (lambda _: "yes", "the str 'yes'"),
        (lambda _: ["a", "b", "c"], "the str 'a' for request 0"),
    ],
)
def test_answers_that_match_no_request_stop_the_run(
    store: Store, wrong: Callable[[list[Answer]], Any], said: str
) -> None:
    class Wrong(Scripted):
        def recommend(self, requests: Sequence[Request]) -> Any:
            return wrong(super().recommend(requests))

    door = gateway(Wrong(), store)
    with pytest.raises(TargetError, match=said):
        door.ask(asks(3))
    assert store.outcomes(door.run) == {}


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "high", True])
def test_a_score_that_is_no_number_is_unparsable(store: Store, score: Any) -> None:
    target = Scripted(lambda r: Answer(tuple(Ranked(c.id, score=score) for c in r.candidates or ())), tasks=("score",))
    door = gateway(target, store)
    (answer,) = door.ask(asks(1, task="score"))
    assert answer.outcome == "unparsable"
    assert "score" in answer.detail
    assert store.outcomes(door.run) == {"unparsable": 1}


def test_half_an_emoji_in_an_answer_can_be_stored(store: Store) -> None:
    """JSON of a truncated answer holds lone surrogates, which have no UTF-8 form."""
    door = gateway(Scripted(lambda _: Answer((Ranked(None, "film \ud83d"),), text="\ud83d\x00")), store)
    (answer,) = door.ask(asks(1))
    assert answer.outcome == "ok"
    assert gateway(Scripted(), store, door.run).ask(asks(1)) == [answer]


# Concurrency ----------------------------------------------------------------------------------------------------------


def test_concurrent_targets_are_asked_in_parallel_and_answers_keep_their_order(store: Store) -> None:
    together = threading.Barrier(4, timeout=20)  # broken, and the test fails, unless four calls are in flight at once

    def meet(asked: Request) -> Answer:
        together.wait()
        return Answer((Ranked(asked.user.id),))

    target = Scripted(meet, concurrent=True, batch_size=1)
    answers = gateway(target, store).ask(asks(4))
    assert [a.ids[0] for a in answers] == ["u0", "u1", "u2", "u3"]


def test_results_are_stored_right_though_they_finish_in_another_order(store: Store) -> None:
    last = threading.Event()

    def answer(asked: Request) -> Answer:
        if asked.user.id == "u2":
            last.set()
        assert last.wait(20)
        return Answer((Ranked(asked.user.id),))

    target = Scripted(answer, concurrent=True, batch_size=1, fingerprint="v1")
    gateway(target, store).ask(asks(3))
    stored = gateway(Scripted(fingerprint="v1"), store).ask(asks(3))
    assert [a.ids[0] for a in stored] == ["u0", "u1", "u2"]


@pytest.mark.parametrize(("concurrent", "most"), [(False, 1), (True, 2)])
def test_no_more_calls_are_in_flight_than_allowed(store: Store, concurrent: bool, most: int) -> None:
    lock = threading.Lock()
    flying, seen = 0, 0

    def answer(asked: Request) -> Answer:
        nonlocal flying, seen
        with lock:
            flying += 1
            seen = max(seen, flying)
        with lock:
            flying -= 1
        return first_candidates(asked)

    gateway(Scripted(answer, concurrent=concurrent, batch_size=1), store, max_concurrency=2).ask(asks(40))
    assert seen <= most


def test_a_429_lowers_concurrency_once_per_burst_and_success_raises_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("audit.gateway.concurrency.time.monotonic", lambda: clock[0])
    limiter = Adaptive(8)
    assert limiter.limit == 4
    limiter.throttled()
    limiter.throttled()
    assert limiter.limit == 3
    for _ in range(9):
        limiter.succeeded()
    assert limiter.limit == 3  # still cooling
    clock[0] = 2.0
    limiter.succeeded()
    assert limiter.limit == 4
    for _ in range(200):
        limiter.succeeded()
    assert limiter.limit == 8
    for _ in range(30):
        clock[0] += 2.0
        limiter.throttled()
    assert limiter.limit == 1


def test_complaints_of_the_target_reach_the_limiter(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[bool] = []
    monkeypatch.setattr(Adaptive, "throttled", lambda self: complaints.append(True))
    target = Failing([TargetUnavailable("429", throttled=True), TargetUnavailable("503"), None])
    gateway(target, store, retry=Retry(attempts=3, wait_s=0)).ask(asks(1))
    assert complaints == [True]


def test_answers_in_flight_are_stored_before_an_error_is_raised(store: Store) -> None:
    """A broken batch ends the run only after its neighbours, which were paid for, are stored."""
    together = threading.Barrier(3, timeout=20)

    class OneBroken(Scripted):
        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            together.wait()
            if requests[0].user.id == "u0":
                raise TargetError("broken for good")
            return super().recommend(requests)

    door = gateway(OneBroken(concurrent=True, batch_size=1), store)
    with pytest.raises(TargetError, match="broken for good"):
        door.ask(asks(3))
    assert store.outcomes(door.run) == {"ok": 2}


def test_equal_questions_of_two_threads_are_asked_once(store: Store) -> None:
    asking, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow(asked: Request) -> Answer:
        calls.append(1)
        asking.set()
        assert go_on.wait(timeout=30)
        return first_candidates(asked)

    door = gateway(Scripted(slow), store)
    question = [Ask(request())]
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(door.ask, question)
        assert asking.wait(timeout=30)
        second = pool.submit(door.ask, question)
        # The second caller waits for the first one's answer; let it get there, then let the target answer.
        while not door.coalesced:
            assert not second.done()
        go_on.set()
        assert first.result(timeout=30) == second.result(timeout=30)
    assert len(calls) == 1


def test_a_failure_reaches_whoever_waits_for_the_same_question(store: Store) -> None:
    asking, go_on = threading.Event(), threading.Event()

    def broken(asked: Request) -> Answer:
        asking.set()
        assert go_on.wait(timeout=30)
        raise TargetError("target: gone for good")

    door = gateway(Scripted(broken), store)
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(door.ask, [Ask(request())])
        assert asking.wait(timeout=30)
        second = pool.submit(door.ask, [Ask(request())])
        while not door.coalesced:
            assert not second.done()
        go_on.set()
        for caller in (first, second):
            with pytest.raises(TargetError, match="gone for good"):
                caller.result(timeout=30)


def test_a_target_behind_a_defense_is_asked_itself_even_if_neither_tells_who_it_is(store: Store) -> None:
    bare, defended = Scripted(first_candidates), Scripted(lambda _: Answer(outcome="refused"))
    assert bare.info.fingerprint is None
    door = gateway(bare, store)
    behind = door.behind(defended, 1)
    (question,) = asks(1)
    assert door.ask([question])[0].outcome == "ok"
    assert behind.ask([question])[0].outcome == "refused"
    assert door.behind(defended, 1).ask([question])[0].outcome == "refused"
    assert len(defended.asked) == 1, "the same door finds its own answers again"


def test_a_stream_answers_in_order_and_asks_what_a_list_would(store: Store) -> None:
    questions = [Ask(r) for r in requests(300)]
    listing, streaming = Scripted(), Scripted()
    listed = gateway(listing, store).ask(questions)
    streamed = list(gateway(streaming, store).stream(iter(questions)))
    assert [a.ids for a in streamed] == [a.ids for a in listed]
    assert streaming.batches == listing.batches


def test_a_stream_asks_only_as_far_as_it_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.gateway.door._WINDOW", 64)
    target = Scripted(first_candidates)
    stream = gateway(target, store).stream(Ask(r) for r in requests(300))
    next(stream)
    assert len(target.asked) == 64


# Several doors -------------------------------------------------------------------------------------------------------


def test_doors_of_one_run_share_store_and_budget_and_keep_their_answers_apart(store: Store) -> None:
    front = gateway(Scripted(fingerprint="bare"), store, budget=Budget(queries=5))
    back = front.behind(Scripted(lambda _: Answer(outcome="refused"), fingerprint="defended"), 1)
    bare, defended = front.ask(asks(2)), back.ask(asks(2))
    assert [a.outcome for a in [*bare, *defended]] == ["ok", "ok", "refused", "refused"]
    assert front.usage().queries == 4
    # Request and number name one answer of the run, whichever door it came through.
    digest = asks(1)[0].request.digest
    stored = store.answers_to(front.run, [digest])
    assert stored[digest, front.stored_repeat(0)].outcome == "ok"
    assert stored[digest, back.stored_repeat(0)].outcome == "refused"
    with pytest.raises(BudgetExhausted, match=r"budget\.queries"):
        back.ask(asks(4))
    with pytest.raises(BudgetExhausted, match=r"budget\.queries"):
        front.ask(asks(4))


class Drawing(Scripted):
    """Names its draw."""

    def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
        return [Answer((Ranked(None, f"draw {draw}"),)) for draw in draws]


def test_a_target_that_draws_is_told_which_draw_is_meant(store: Store) -> None:
    door = gateway(Drawing(randomised=True), store)
    answers = door.ask([Ask(request(), repeat) for repeat in (2, 0, 2)])
    assert [a.ranked[0].title for a in answers] == ["draw 2", "draw 0", "draw 2"]
    through = door.recommender().recommend_draws([request()], [4])  # type: ignore[attr-defined]
    assert through[0].ranked[0].title == "draw 4"
