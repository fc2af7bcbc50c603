"""Several processes on one store: different runs side by side, one run by one process at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, new_run, write_world

from audit.data.dataset import Dataset
from audit.errors import StoreError
from audit.runner import resume, run_audit
from audit.store import Store

HOLDER = """
import sys, time
from audit.store import Store
location, run = sys.argv[1:]
with Store(location) as store, store.claim(run):
    print("held", flush=True)
    time.sleep(100)
"""


@contextmanager
def held_by_another_process(location: str, run: str) -> Iterator[subprocess.Popen[str]]:
    """A process that works on a run and does not end by itself."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, location, run], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def test_a_run_that_a_process_works_on_is_refused_until_that_is_killed(
    world: Dataset, location: str, tmp_path: Path
) -> None:
    config: dict[str, Any] = {"dataset": {**write_world(world, tmp_path), "candidates": 10}, "modules": ["quality"]}
    target = Scripted()
    with Store(location) as store:
        run = run_audit(config, target=target, store=store)
        asked = len(target.asked)
        store.set_status(run.id, "running")
        with held_by_another_process(location, run.id) as holder:
            with pytest.raises(StoreError) as refused:
                resume(run.id, target=target, store=store)
            assert str(refused.value) == (
                f"RUN: another process works on run {run.id}; wait until it has ended, or end it"
            )
            # Neither stopped nor touched: it is the other's.
            assert store.run(run.id).status == "running"
            other = run_audit(config, target=Scripted(), store=store)
            assert other.id != run.id
            assert other.findings == run.findings
            holder.kill()
            holder.wait()
            for _ in range(200):  # the server notices the end of a process a moment after it
                if claimable(store, run.id):
                    break
                time.sleep(0.05)
            assert resume(run.id, target=target, store=store).record.status == "finished"
        assert len(target.asked) == asked
    assert not list(tmp_path.glob("*.lock"))


def claimable(store: Store, run: str) -> bool:
    try:
        with store.claim(run):
            return True
    except StoreError:
        return False


def test_a_claim_is_of_one_run_and_ends(location: str) -> None:
    with Store(location) as mine, Store(location) as theirs:
        run, other = new_run(mine), new_run(mine)
        with mine.claim(run), mine.claim(other):
            assert not claimable(theirs, run)
            assert not claimable(mine, run)
            mine.set_status(run, "stopped")  # the holder writes
            theirs.set_status(run, "running")  # so does whoever does not work on it, such as a person who tidies up
        with theirs.claim(run), theirs.claim(other):
            assert not claimable(mine, run)
        with pytest.raises(ZeroDivisionError), mine.claim(run):
            _ = 1 / 0
        assert claimable(theirs, run)
