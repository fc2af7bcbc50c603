"""A PostgreSQL server that goes away in the middle of a run."""

from __future__ import annotations

import gc
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import postgres
import psycopg
import pytest
from helpers import Scripted, new_run, requests, write_world

from audit.data.dataset import Dataset
from audit.errors import StoreError, StoreLost
from audit.run import Run
from audit.runner import resume, run_audit
from audit.store import Store, database
from audit.types import Answer, Request

pytestmark = pytest.mark.postgres


class Disturbed(Scripted):
    """Something happens before its n-th batch is answered."""

    def __init__(self, at: int, happens: Callable[[], object]) -> None:
        super().__init__(batch_size=8)
        self.at, self.happens = at, happens

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        if len(self.batches) == self.at:
            self.happens()
        return super().recommend(requests)


@pytest.fixture
def config(world: Dataset, tmp_path: Path) -> dict[str, Any]:
    return {"dataset": {**write_world(world, tmp_path), "candidates": 10}, "modules": ["quality", "robustness"]}


@pytest.fixture(autouse=True)
def _dropped() -> Iterator[None]:
    """Connections to a server that went away are dropped by SQLAlchemy without being closed: here, in no later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def findings(run: Run) -> str:
    return json.dumps(run.to_json()["findings"])


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_is_waited_for(
    postgres_again: postgres.Server, config: dict[str, Any], tmp_path: Path, mode: str
) -> None:
    """The server is away for longer than one attempt, while the target answers and when its answers are stored."""
    whole_target = Scripted(batch_size=8)
    whole = run_audit(config, target=whole_target, store=tmp_path / "whole.sqlite")
    started: list[threading.Timer] = []

    def restart() -> None:
        postgres_again.stop(mode)
        started.append(threading.Timer(1.5, postgres_again.start))
        started[0].start()

    target = Disturbed(3, restart)
    with Store(postgres_again.url) as store:
        run = run_audit(config, target=target, store=store)
        started[0].join()
        assert target.batches == whole_target.batches  # nothing asked twice, nothing left out
        assert findings(run) == findings(whole)
        assert run.usage.queries == whole.usage.queries
        assert run.record.status == "finished"


def test_a_server_that_stays_away_ends_the_run_which_can_go_on(
    postgres_again: postgres.Server, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.5)
    whole_target = Scripted(batch_size=8)
    whole = run_audit(config, target=whole_target, store=tmp_path / "whole.sqlite")
    first, second = Disturbed(3, postgres_again.stop), Scripted(batch_size=8)
    with Store(postgres_again.url) as store:
        with pytest.raises(StoreLost, match="the connection was lost and did not come back in time") as caught:
            run_audit(config, target=first, store=store)
        assert caught.value.exit_code == 3
        assert "never-shown" not in str(caught.value)
        with pytest.raises(StoreLost, match="cannot read"):
            store.runs()
        postgres_again.start()
        run = resume("latest", target=second, store=store)
        # The batch that could not be stored is asked again; nothing else is.
        assert [*first.batches[:3], *second.batches] == whole_target.batches
        assert first.batches[3] == second.batches[0]
        assert findings(run) == findings(whole)


def test_a_server_that_is_not_there_at_the_start_is_not_waited_for(postgres_again: postgres.Server) -> None:
    postgres_again.stop()
    before = time.monotonic()
    with pytest.raises(StoreError, match="cannot open"):
        Store(postgres_again.url)
    assert time.monotonic() - before < 10


def test_an_interrupted_wait_does_not_wait_again(
    postgres_again: postgres.Server, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.runner.LAST_WAIT_S", 0.2)

    def control_c() -> None:
        postgres_again.stop()
        raise KeyboardInterrupt

    with Store(postgres_again.url) as store:
        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_audit(config, target=Disturbed(2, control_c), store=store)
        assert time.monotonic() - before < 20


def test_a_commit_whose_answer_was_lost_is_carried_out_once(
    postgres_again: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server did commit, the client does not know: every write is made a second time, and changes nothing."""
    asked = requests(3)
    with Store(postgres_again.url) as store:
        seen: list[int] = []

        commit = store.engine.dialect.do_commit

        def committed_but_lost(connection: Any) -> None:
            commit(connection)
            if not seen:
                seen.append(1)
                connection.dbapi_connection.close()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(store.engine.dialect, "do_commit", committed_but_lost)

        def once(write: Callable[[], object]) -> None:
            seen.clear()
            write()
            assert seen == [1]

        once(lambda: new_run(store, "one"))
        run = store.run("latest").id
        answers = [(f"k{n}", request, 0, Answer()) for n, request in enumerate(asked)]
        once(lambda: store.put_answers(run, answers))
        once(lambda: store.save_search(run, "s", [1]))
        once(lambda: store.save_module(run, "m", [], [], {"f": {"u": 1.0}}))
        once(lambda: store.set_status(run, "finished", "pass"))
        assert [r.name for r in store.runs()] == ["one"]
        assert store.outcomes(run) == {"ok": 3}
        assert store.usage(run).queries == 3
        assert store.search(run, "s") == [1]
        assert store.values(run, "f") == {"u": 1.0}


def test_a_run_that_another_process_took_over_meanwhile_is_left_to_it(postgres_again: postgres.Server) -> None:
    with Store(postgres_again.url) as mine, Store(postgres_again.url) as theirs:
        run = new_run(mine)
        with mine.claim(run):
            postgres_again.stop()
            postgres_again.start()
            with theirs.claim(run):
                with pytest.raises(StoreLost, match=f"another process went on with run {run}"):
                    mine.set_status(run, "finished")
                assert theirs.run(run).status == "running"
            mine.set_status(run, "finished")  # and is free again
            with pytest.raises(StoreError, match="another process works"), theirs.claim(run):
                pass
