"""A distributed audit is the local audit: same questions, same findings, also when a replica is killed on the way."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import gateway, request, requests, write_world

from audit.config import load
from audit.data.dataset import Dataset
from audit.errors import ConfigError, RecAuditError, TargetError, TargetUnavailable
from audit.gateway import Ask
from audit.run import Run
from audit.runner import prepare, resume, run_audit
from audit.store import Store
from audit.target import CountsTokens, GivesLogprobs, Input, Insight, Renders, TargetInfo
from audit.targets.replica import Replica, info_from_dict, info_to_dict, read
from audit.targets.replicas import Replicas
from audit.types import Answer

TARGET = '''
import hashlib, os, pathlib, signal
from audit import Answer, Ranked
from audit.target import Input, Insight, Rendered, Span, TargetInfo

class Target:
    """Ranks by a hash of the last event and the candidate, and notes every question and the process that was asked."""

    info = TargetInfo("hashing", honours=frozenset({Input.HISTORY}), reveals=frozenset({Insight.GRADIENTS}),
                      fingerprint="v1", batch_size=8)

    def __init__(self, log, die):
        self.log, self.die = pathlib.Path(log), die

    def recommend(self, requests):
        with self.log.open("a") as log:
            log.write("".join(f"{os.getpid()} {request.digest}" + chr(10) for request in requests))
        if self.die and requests[0].user.id == "u-odd":
            raise OSError("an odd user")
        if self.die and self.log.stem == "log" and self.log.read_text().count(chr(10)) > 40:
            try:
                self.log.with_suffix(".died").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return [self.answer(request) for request in requests]

    def answer(self, request):
        last = [event.item.id for event in request.user.history][-1:]
        def order(item):
            return hashlib.sha256(f"{last}{item.id}".encode()).hexdigest()
        return Answer(tuple(Ranked(i.id) for i in sorted(request.candidates, key=order)[: request.k]))

    def count_tokens(self, requests):
        return [len(request.user.history) for request in requests]

    def render(self, request):
        return Rendered(request.user.id, (Span(0, 1, "note"),))

def build(log, die=False):
    return Target(log, die)

def poisoned(log):
    target = Target(log, False)
    def answer(request):
        if request.user.id == "u-poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return Answer(tuple(Ranked(i.id) for i in request.candidates))
    target.answer = answer
    return target

def once(log):
    if pathlib.Path(log).exists():
        raise OSError("the disk is gone")
    return Target(log, False)

def broken(log):
    raise OSError("the weights are not here")

def deadly(log):
    os.kill(os.getpid(), signal.SIGKILL)

def uneven(log):
    target = Target(log, False)
    target.info = TargetInfo(f"process {os.getpid()}")
    return target
'''


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One local cluster for all tests here, with room for two audits; replicas join it, because it is there."""
    before = {name: os.environ.get(name) for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")}
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    ray = pytest.importorskip("ray")
    ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=128 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield ray
    ray.shutdown()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def folder(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "hashing_target.py").write_text(TARGET)
    write_world(world, folder)
    return folder


def config(folder: Path, log: Path, *, engine: str = "ray", factory: str = "build", **args: Any) -> dict[str, Any]:
    files = {"interactions": str(folder / "interactions.csv"), "items": str(folder / "items.csv")}
    return {
        "dataset": {**files, "liked": 3, "min_core": 2, "sample": 24, "k": 5, "candidates": 10},
        "target": {
            "kind": "python",
            "factory": f"hashing_target:{factory}",
            "args": {"log": str(log), **args},
        },
        "modules": ["quality", "robustness"],
        "execution": {"engine": engine, "workers": 2, "threads_per_worker": 1},
    }


def audited(settings: Mapping[str, Any], folder: Path, store: Path) -> Run:
    from audit.runner import begin, execute

    prepared = prepare(settings, base=folder)
    return execute(begin(prepared, Store(store)), prepared)


def findings(run: Run) -> str:
    return json.dumps(run.to_json()["findings"])


def asked(log: Path) -> tuple[Counter[str], Counter[str]]:
    """How often every process was asked, and every question."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return Counter(process for process, _ in lines), Counter(question for _, question in lines)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def local(folder: Path) -> tuple[Run, Counter[str]]:
    """The same audit in one process."""
    run = audited(config(folder, folder / "local.log", engine="local"), folder, folder / "local.sqlite")
    return run, asked(folder / "local.log")[1]


def test_two_workers_find_what_one_process_finds(
    ray: Any, folder: Path, local: tuple[Run, Counter[str]], tmp_path: Path
) -> None:
    run = audited(config(folder, tmp_path / "log"), folder, tmp_path / "runs.sqlite")
    whole, once = local
    assert run.record.status == "finished"
    assert findings(run) == findings(whole)
    assert run.evidence() == whole.evidence()
    assert run.usage.queries == whole.usage.queries
    processes, questions = asked(tmp_path / "log")
    assert questions == once
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


def test_a_killed_replica_costs_the_batch_it_was_answering(
    ray: Any, folder: Path, local: tuple[Run, Counter[str]], tmp_path: Path
) -> None:
    run = audited(config(folder, tmp_path / "log", die=True), folder, tmp_path / "runs.sqlite")
    assert (tmp_path / "log.died").exists()
    whole, once = local
    assert run.record.status == "finished"
    assert findings(run) == findings(whole)
    assert run.usage.queries == whole.usage.queries
    _, questions = asked(tmp_path / "log")
    twice = questions - once
    assert once <= questions
    assert 0 < twice.total() <= 8


def test_answers_are_shared_with_the_local_engine(
    ray: Any, folder: Path, local: tuple[Run, Counter[str]], tmp_path: Path
) -> None:
    store = tmp_path / "runs.sqlite"
    audited(config(folder, tmp_path / "local", engine="local"), folder, store)
    run = audited(config(folder, tmp_path / "ray"), folder, store)
    assert run.usage.queries == 0
    assert not (tmp_path / "ray").exists()
    assert findings(run) == findings(local[0])


@pytest.fixture(scope="module")
def replicas(ray: Any, folder: Path) -> Iterator[Replicas]:
    with Replicas(load(config(folder, folder / "unit.log", die=True))[0], folder) as replicas:
        yield replicas


def test_only_what_travels_is_declared(replicas: Replicas) -> None:
    assert replicas.info.concurrent
    assert replicas.info.batch_size == 8
    assert replicas.info.fingerprint == "v1"
    assert replicas.info.honours == {Input.HISTORY}
    assert replicas.info.reveals == set()  # a model in another process shows no gradients
    assert isinstance(replicas, CountsTokens)
    assert isinstance(replicas, Renders)
    assert not isinstance(replicas, GivesLogprobs)
    assert replicas.count_tokens(requests(2, history=3)) == [3, 3]
    rendered = replicas.render(requests(1)[0])
    assert (rendered.text, rendered.spans[0].field) == ("u0", "note")


def test_foreign_errors_keep_their_name(replicas: Replicas) -> None:
    with pytest.raises(Exception, match="an odd user") as raised:
        replicas.recommend([request("u-odd")])
    assert type(raised.value).__name__ == "OSError"
    assert replicas.recommend([request("u")])[0].outcome == "ok"


def test_a_process_killed_from_outside_is_replaced(replicas: Replicas) -> None:
    before = replicas.processes()
    expected = replicas.recommend(requests(3))
    for process in before:
        os.kill(process, signal.SIGKILL)
    errors: list[TargetUnavailable] = []
    answers: list[Answer] = []
    while not answers:
        try:
            answers = replicas.recommend(requests(3))
        except TargetUnavailable as error:
            errors.append(error)
    assert 1 <= len(errors) <= 2
    assert all("was lost while it answered 3 requests" in str(e) and e.retry_after == 0.0 for e in errors)
    assert [a.ids for a in answers] == [a.ids for a in expected]


def test_a_batch_that_kills_every_replica_becomes_counted_errors(
    ray: Any, folder: Path, store: Store, tmp_path: Path
) -> None:
    settings = load(config(folder, tmp_path / "unit.log", factory="poisoned"))[0]
    with Replicas(settings, folder) as target:
        door = gateway(target, store, max_concurrency=4)
        asks = [Ask(r) for r in [*requests(8), request("u-poison"), *requests(7, candidates=4)]]
        outcomes = [answer.outcome for answer in door.ask(asks)]
    # Batches are of eight: the one that holds the poison is lost whole, as it would be with the process.
    assert outcomes == ["ok"] * 8 + ["error"] * 8


def test_a_replica_that_cannot_be_built_again_ends_the_run_with_the_reason(
    ray: Any, folder: Path, tmp_path: Path
) -> None:
    settings = load(config(folder, tmp_path / "unit.log", factory="once"))[0]
    with Replicas(settings, folder) as target:
        (tmp_path / "unit.log").touch()
        for process in target.processes():
            os.kill(process, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(TargetUnavailable):
                target.recommend(requests(1))
        with pytest.raises(TargetError, match=r"no replica is left; .*OSError: the disk is gone"):
            target.recommend(requests(1))


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("broken", r"target\.factory: 'hashing_target:broken': your code raised OSError: the weights are not here"),
        ("deadly", "execution: a replica died while the target was built"),
        ("uneven", r"two replicas of the target declare different things \(name\)"),
        ("bild", "did you mean 'build'"),
    ],
)
def test_a_target_that_cannot_be_built_is_one_sentence(ray: Any, folder: Path, factory: str, sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence) as raised:
        prepare(config(folder, folder / "none.log", factory=factory), base=folder)
    assert "\n" not in str(raised.value)


def test_more_workers_than_the_cluster_has_room_for_is_one_sentence(ray: Any, folder: Path) -> None:
    wide = config(folder, folder / "none.log")
    wide["execution"]["workers"] = 5
    with pytest.raises(ConfigError, match="5 replicas of 1 CPU need 5, the cluster has 4"):
        prepare(wide, base=folder)


def test_replicas_are_ended_with_the_run(ray: Any, folder: Path, tmp_path: Path) -> None:
    prepared = prepare(config(folder, tmp_path / "log"), base=folder)
    prepared.close()
    prepared.close()
    with pytest.raises(TargetError, match="prepare the audit again"):
        prepared.target.recommend(requests(1))
    assert ray.is_initialized()  # a cluster that was there before stays


# Without Ray ----------------------------------------------------------------------------------------------------------


def test_ray_that_is_not_installed_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"execution\.engine: ray is not installed; pip install recaudit\[ray\]"):
        prepare(config(folder, tmp_path / "log"), base=folder)


def test_a_target_object_cannot_be_distributed(folder: Path, tmp_path: Path) -> None:
    settings = {**config(folder, tmp_path / "log"), "target": None}
    with pytest.raises(ConfigError, match=r"execution\.engine: 'ray' builds the target anew.*factory: my_module:build"):
        run_audit(settings, target=lambda history, candidates, k: [], store=tmp_path / "runs.sqlite")
    with pytest.raises(RecAuditError, match="holds no runs yet"):
        resume("latest", store=tmp_path / "runs.sqlite")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"engine": "rai"}, "execution: engine: 'rai' is unknown; did you mean 'ray'"),
        ({"engine": "ray", "worker": 2}, "execution.worker: no field has this name; did you mean 'workers'"),
        ({"engine": "ray", "workers": 0}, "execution.workers: 0 does not fit"),
        ({"threads_per_worker": 0}, "execution.threads_per_worker: 0 does not fit"),
    ],
)
def test_mistakes_in_the_block_are_named(block: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load({"dataset": {"name": "ml-100k"}, "execution": block})


def test_a_declaration_survives_the_journey() -> None:
    info = TargetInfo(
        "t",
        ("score", "rank"),
        frozenset({Input.HISTORY, Input.NOTE}),
        frozenset({Insight.SCORES, Insight.TRAIN}),
        {"rank": "Rank."},
        {"rank": ("Order.", "Sort.")},
        max_candidates=9,
        remote=True,
    )
    again = info_from_dict(json.loads(json.dumps(info_to_dict(info))))
    assert again.reveals == {Insight.SCORES}
    assert again.concurrent
    assert {**vars(again), "reveals": info.reveals, "concurrent": False} == vars(info)


def test_a_replica_tells_errors_and_raises_none() -> None:
    with pytest.raises(TargetError, match="asked before it was built"):
        read(Replica("{}", ".", 1).recommend("[]"))
    told = {"raised": "TargetUnavailable", "said": "busy", "ours": True, "retry_after": 3, "throttled": True}
    with pytest.raises(TargetUnavailable, match="busy") as raised:
        read(json.dumps(told))
    assert (raised.value.retry_after, raised.value.throttled) == (3, True)
