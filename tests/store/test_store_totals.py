"""What a run has cost: counted once when it ends, and never wrong because something was asked since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from helpers import new_run, requests

from audit.store import RunUsage, Store, schema
from audit.types import Answer, Request, Usage

ASKED = [("ok", Usage(10, 5, 0.5)), ("ok", Usage(20, 1, 0.25)), ("refused", Usage(7, 0, 2.0)), ("error", Usage())]
Rows = list[tuple[str, Request, int, Answer]]


def rows(key: str = "key") -> Rows:
    return [
        (f"{key}{n}", asked, 0, Answer(usage=usage, outcome=outcome))  # type: ignore[arg-type]
        for n, (asked, (outcome, usage)) in enumerate(zip(requests(len(ASKED)), ASKED, strict=True))
    ]


PAID = RunUsage(
    queries=len(ASKED),
    prompt_tokens=sum(u.prompt_tokens for _, u in ASKED),
    completion_tokens=sum(u.completion_tokens for _, u in ASKED),
    seconds=sum(u.seconds for _, u in ASKED),
)
OUTCOMES = dict(Counter(outcome for outcome, _ in ASKED))


@pytest.fixture
def store(location: str) -> Iterator[Store]:
    with Store(location) as opened:
        yield opened


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What the database is asked in between."""
    heard: list[str] = []

    def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
        heard.append(statement)

    sa.event.listen(store.engine, "before_cursor_execute", hear)
    yield heard
    sa.event.remove(store.engine, "before_cursor_execute", hear)


def told(store: Store, run: str) -> tuple[RunUsage, dict[str, int]]:
    return store.usage(run), store.outcomes(run)


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_a_run_that_has_ended_is_not_counted_again(store: Store, status: Any) -> None:
    run = new_run(store)
    store.put_answers(run, rows())
    assert told(store, run) == (PAID, OUTCOMES)
    store.set_status(run, status)
    with statements(store) as heard:
        assert told(store, run) == (PAID, OUTCOMES)
    assert heard
    assert not [s for s in heard if "answers" in s or "asked" in s]


def test_a_run_that_goes_on_is_counted_as_it_goes(store: Store) -> None:
    run = new_run(store)
    assert told(store, run) == (RunUsage(), {})
    store.set_status(run, "stopped")
    assert told(store, run) == (RunUsage(), {})
    store.set_status(run, "running")
    store.put_answers(run, rows())
    assert told(store, run) == (PAID, OUTCOMES)


def test_whatever_is_asked_after_the_end_counts(store: Store) -> None:
    """Nobody does so without making it a running one first; but a sum that is wrong would be believed."""
    first, run = new_run(store), new_run(store)
    store.put_answers(first, rows("other"))
    store.set_status(run, "finished", "pass")
    store.put_answers(run, rows())
    assert told(store, run) == (PAID, OUTCOMES)
    store.set_status(run, "finished", "pass")
    store.note_reuse(run, ["other0", "other2"])
    assert store.usage(run).reused == 2
    assert store.outcomes(run) == {"ok": 3, "refused": 2, "error": 1}
    store.set_status(run, "finished", "pass")
    assert store.forget_errors(run) == 1
    assert store.outcomes(run) == {"ok": 3, "refused": 2}


def test_what_a_run_ended_with_stays_when_another_mends_an_error(store: Store) -> None:
    first, second = new_run(store), new_run(store)
    store.put_answers(first, rows())
    store.set_status(first, "finished", "pass")
    store.put_answers(second, [(key, asked, n, Answer()) for key, asked, n, _ in rows()])
    assert store.outcomes(first) == OUTCOMES
    assert store.outcomes(second) == {"ok": 3, "refused": 1}


def test_a_run_that_is_not_there_has_no_sums(store: Store) -> None:
    store.set_status("nobody", "finished")
    with store.engine.connect() as db:
        assert db.execute(sa.select(schema.totals)).all() == []


def test_a_list_of_runs_reads_no_bodies(store: Store) -> None:
    for n in range(3):
        run = store.create_run(f"run {n}", config={}, target={"name": f"target {n}"}, versions={}, seed=n).id
        store.set_status(run, "finished", "fail")
    new_run(store)
    with statements(store) as heard:
        heads = store.heads()
    assert not [s for s in heard if "body" in s]
    assert [(h.id, h.name, h.created, h.status, h.verdict, h.target) for h in heads] == [
        (r.id, r.name, r.created, r.status, r.verdict, r.target.get("name", "")) for r in store.runs()
    ]
    assert all(h.changed > h.created for h in heads[1:])
    assert heads[0].changed == heads[0].created


def test_a_run_is_found_without_reading_the_others(store: Store) -> None:
    runs = [new_run(store, f"run {n}") for n in range(3)]
    with store.engine.begin() as db:
        db.execute(sa.update(schema.runs).where(schema.runs.c.id == runs[0]).values(body="{"))
    for name in (runs[1], runs[1][:-1]):
        assert store.run(name).name == "run 1"
    assert store.run("latest").name == "run 2"
