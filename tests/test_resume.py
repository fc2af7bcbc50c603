"""A run that was broken off and resumed is the run that was never broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import Scripted, write_world

from audit.data.dataset import Dataset
from audit.errors import BudgetExhausted, ConfigError, RecAuditError, TargetError
from audit.run import Run
from audit.runner import resume, run_audit
from audit.store import Store
from audit.types import Answer, Ranked, Request

TARGET = '''
import hashlib, os, pathlib, signal
from audit import Answer, Ranked
from audit.target import TargetInfo

class Target:
    """Ranks by a hash of the last event and the candidate; kills its own process at one question."""

    info = TargetInfo("scripted", batch_size=8)

    def __init__(self, log, die_at):
        self.log, self.die_at = pathlib.Path(log), die_at

    def recommend(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        with self.log.open("a") as log:
            log.write(request.digest + chr(10))
        if len(self.log.read_text().split()) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        last = [event.item.id for event in request.user.history][-1:]
        def order(item):
            return hashlib.sha256(f"{last}{item.id}".encode()).hexdigest()
        return Answer(tuple(Ranked(i.id) for i in sorted(request.candidates, key=order)[: request.k]))

def build(log, die_at):
    return Target(log, die_at)
'''


def findings(run: Run) -> str:
    return json.dumps(run.to_json()["findings"])


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_a_killed_process_costs_at_most_the_batch_in_flight(world: Dataset, tmp_path: Path, location: str) -> None:
    (tmp_path / "hashing_target.py").write_text(TARGET)
    broken, whole = tmp_path / "broken.log", tmp_path / "whole.log"

    def config(log: Path, die_at: int) -> dict[str, Any]:
        target = {"kind": "python", "factory": "hashing_target:build", "args": {"log": str(log), "die_at": die_at}}
        dataset = {**write_world(world, tmp_path), "candidates": 10}
        return {"dataset": dataset, "target": target, "modules": ["robustness"]}

    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config(broken, 8 * 4 + 3)))
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(config(whole, -1)))
    start = "import sys; from audit.runner import run_audit; run_audit(sys.argv[1], store=sys.argv[2])"
    killed = python(start, "audit.yaml", location, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Store(location) as store:
        assert store.run("latest").status == "running"
        assert store.usage(store.run("latest").id).queries == 32
    goes_on = "import sys; from audit.runner import resume; resume('latest', store=sys.argv[1])"
    done = python(goes_on, location, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    unbroken = run_audit(tmp_path / "whole.yaml", store=tmp_path / "whole.sqlite")
    with Store(location) as store:
        resumed = Run(store.run("latest"), store)
        assert resumed.record.status == "finished"
        assert findings(resumed) == findings(unbroken)
        assert resumed.usage.queries == unbroken.usage.queries
    asked, once = broken.read_text().split(), whole.read_text().split()
    # The three questions of the batch in flight had been asked, and their answers died with the process.
    assert asked[:35] == once[:35]
    assert asked[35:] == once[32:]


class Sensitive(Scripted):
    """Ranks the candidates by what the user saw last."""

    def __init__(self, **info: Any) -> None:
        super().__init__(self._rank, batch_size=8, **info)

    @staticmethod
    def _rank(asked: Request) -> Answer:
        # An entry that names no item of the catalogue, as the explanation module tries, says nothing.
        seen = sum(int(e.item.id) * (n + 1) for n, e in enumerate(asked.user.history) if e.item.id.isdigit())
        order = sorted(asked.candidates or (), key=lambda item: (int(item.id) * 7919 + seen) % 101)
        return Answer(tuple(Ranked(item.id, item.title) for item in order[: asked.k]))


class Interrupted(Sensitive):
    """Raises at its n-th call."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        super().__init__()
        self.at, self.error = at, error

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        if len(self.batches) == self.at:
            raise self.error("stop")
        return super().recommend(requests)


@pytest.fixture(scope="module")
def config(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    names = ("quality", "robustness", "fairness", "hallucination", "privacy")
    modules = {**{name: {} for name in names}, "explanation": {"users": 3, "evaluations": 32}}
    return {"dataset": {**write_world(world, tmp_path_factory.mktemp("files")), "candidates": 10}, "modules": modules}


@pytest.fixture(scope="module")
def unbroken(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Sensitive]:
    target = Sensitive()
    return run_audit(config, target=target, store=tmp_path_factory.mktemp("store") / "whole.sqlite"), target


def check_resumed(run: Run, first: Scripted, second: Scripted, unbroken: tuple[Run, Sensitive]) -> None:
    whole, target = unbroken
    assert findings(run) == findings(whole)
    assert [*first.batches, *second.batches] == target.batches
    assert run.usage.queries == whole.usage.queries == len(target.asked)
    # A question that is asked again is a repeat, at most the ten that verify a counterfactual; no other doubles.
    assert max(Counter(r.digest for r in target.asked).values()) <= 11
    assert run.record.status == "finished"
    assert run.record.verdict == run.verdict == whole.verdict
    assert run.evidence() == whole.evidence()


@pytest.mark.parametrize("error", [KeyboardInterrupt, TargetError])
@pytest.mark.parametrize("at", [0, 5, 12])
def test_an_interrupted_run_goes_on(
    config: dict[str, Any], unbroken: tuple[Run, Sensitive], tmp_path: Path, error: type[BaseException], at: int
) -> None:
    first, second = Interrupted(at, error), Sensitive()
    with Store(tmp_path / "runs.sqlite") as store:
        with pytest.raises(error):
            run_audit(config, target=first, store=store)
        assert store.run("latest").status == "stopped"
        assert len(first.batches) == at
        check_resumed(resume("latest", target=second, store=store), first, second, unbroken)


def test_an_interrupt_between_batches_goes_on(
    config: dict[str, Any], unbroken: tuple[Run, Sensitive], tmp_path: Path
) -> None:
    first, second = Sensitive(), Sensitive()
    ticks = iter(range(10**6))

    def control_c(_: object) -> None:
        if next(ticks) == 7:
            raise KeyboardInterrupt

    with Store(tmp_path / "runs.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            run_audit(config, target=first, store=store, progress=control_c)
        assert store.run("latest").status == "stopped"
        check_resumed(resume("latest", target=second, store=store), first, second, unbroken)


def test_an_exhausted_budget_goes_on_when_it_is_raised(
    config: dict[str, Any], unbroken: tuple[Run, Sensitive], tmp_path: Path
) -> None:
    first, second = Sensitive(), Sensitive()
    with Store(tmp_path / "runs.sqlite") as store:
        with pytest.raises(BudgetExhausted, match=r"budget\.queries"):
            run_audit({**config, "budget": {"queries": 50}}, target=first, store=store)
        run = store.run("latest")
        assert store.usage(run.id).queries == 48
        # With the same budget nothing more is asked.
        with pytest.raises(BudgetExhausted):
            resume(run.id, target=second, store=store)
        with pytest.raises(ConfigError, match="querys: no field has this name; did you mean 'queries'"):
            resume(run.id, target=second, store=store, budget={"querys": 9})
        assert second.batches == []
        check_resumed(resume(run.id, target=second, store=store, budget={"queries": None}), first, second, unbroken)


def test_a_finished_run_asks_nothing_when_it_is_resumed(config: dict[str, Any], tmp_path: Path) -> None:
    second = Sensitive()
    with Store(tmp_path / "runs.sqlite") as store:
        run = run_audit(config, target=Sensitive(), store=store)
        before = findings(run), run.usage
        again = resume(run.id[:-1], target=second, store=store)
        assert (findings(again), again.usage) == before
    assert second.batches == []


def test_a_run_of_a_target_object_cannot_go_on_without_it(config: dict[str, Any], tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        run = run_audit({**config, "modules": ["robustness"]}, target=Sensitive(), store=store)
        with pytest.raises(TargetError, match="started with a target object; resume it from Python with target="):
            resume(run.id, store=store)
        assert store.run(run.id).status == "finished"


def test_errors_are_asked_again_only_on_request(config: dict[str, Any], tmp_path: Path) -> None:
    class Flaky(Sensitive):
        broken = True

        def recommend(self, requests: Sequence[Request]) -> list[Answer]:
            if self.broken and len(self.batches) == 1:
                self.batches.append(list(requests))
                return [Answer(outcome="error", detail="overloaded") for _ in requests]
            return super().recommend(requests)

    target = Flaky()
    with Store(tmp_path / "runs.sqlite") as store:
        run = run_audit({**config, "modules": ["robustness"]}, target=target, store=store)
        assert store.outcomes(run.id)["error"] == 8
        target.broken = False
        resume(run.id, target=target, store=store)
        assert store.outcomes(run.id)["error"] == 8
        resume(run.id, target=target, store=store, retry_errors=True)
        assert "error" not in store.outcomes(run.id)


def test_a_name_of_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecAuditError, match="holds no runs yet"):
        resume("latest", store=tmp_path / "runs.sqlite")
