"""A target as several replicas on Ray, so that an audit can use more than one process or machine.

Each replica is a Ray actor that builds the target from the same configuration. The driver cuts the batches, spreads
them over the replicas and alone writes the store. So a distributed run asks the same batches as a local one, and its
findings are the same wherever the target's answers do not depend on the machine.

A replica that dies loses the batch it was answering. The batch goes back to the gateway, which asks it again on
another; a successor is built meanwhile.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from audit.config import AuditConfig, ExecutionConfig
from audit.errors import ConfigError, RecAuditError, TargetError, TargetUnavailable
from audit.target import Rendered, TargetInfo
from audit.targets.replica import (
    Replica,
    answers_of,
    batch_to_text,
    info_from_dict,
    read,
    rendered_of,
)
from audit.targets.routing import Router, prefixes
from audit.types import Answer, Request

_log = logging.getLogger(__name__)

LOOKAHEAD = 4
"""Batches in flight per replica: one is answered, the others let a replica choose those whose users it knows."""

_OBJECT_STORE_BYTES = 128 * 2**20
"""Ray's shared memory on a local cluster. Batches are small; Ray's default is a third of the machine's memory."""


class Replicas:
    """A Recommender whose batches are answered by Ray actors. Use it as a context manager, or call `close`.

    It has `count_tokens`, `render` and `logprobs` where the target has them. What needs the model itself (gradients,
    embeddings, training) is not offered.

    Attributes:
        info: what the target declares, with `concurrent` set.
    """

    def __init__(self, config: AuditConfig, base: Path) -> None:
        """Connect to Ray, or start a local cluster, and build every replica.

        Args:
            config: the audit; its `dataset`, `target` and `execution` blocks are used.
            base: folder that relative paths and modules start from; on a cluster, the same path on every node.

        Raises:
            ConfigError: Ray is not installed, the cluster cannot be reached or is too small, or an option of the
                target is wrong.
            TargetError: a replica cannot be built, or two of them declare different things.
        """
        execution = config.execution
        self._ray = _ray()
        self._settings = config.model_dump_json()
        self._base = str(base.resolve())
        self._lock = threading.Lock()
        self._closed = False
        self._restarts: list[threading.Thread] = []
        owned, self._threads = _connect(self._ray, execution)
        self._finalizer = weakref.finalize(self, _leave, self._ray) if owned else None
        self._actors: list[Any] = []
        try:
            remote = self._ray.remote(Replica)
            self._start = partial(
                remote.options(num_cpus=self._threads, num_gpus=execution.gpus_per_worker, max_restarts=0).remote,
                self._settings,
                self._base,
                self._threads,
            )
            self._actors = [self._start() for _ in range(execution.workers)]
            # All at once: loading a model takes its time.
            pending = [actor.build.remote() for actor in self._actors]
            self._declared = self._built(pending[0])
            for other in pending[1:]:
                self._check_same(self._built(other))
        except BaseException:
            self.close()
            raise
        self.info: TargetInfo = info_from_dict(self._declared["info"])
        self._router = Router(execution.workers)
        # Set on the object, and only what the target has: the protocols of `audit.target` look for exactly that.
        offered = {"count_tokens": self._count_tokens, "render": self._render, "logprobs": self._logprobs}
        for name in self._declared["offers"]:
            setattr(self, name, offered[name])

    def recommend(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer a batch on one replica: on the one that knows its users if it is free soon, else on any.

        Raises:
            TargetUnavailable: the replica died; asking again asks another one.
            TargetError: no replica is left, or as the target raised it.
        """
        return answers_of(self._ask("recommend", requests))

    def processes(self) -> list[int]:
        """Process ids of the replicas, on their machines."""
        return [int(self._ray.get(actor.process.remote())) for actor in self._actors]

    def close(self) -> None:
        """End the replicas, and Ray itself where it was started here. Batches in flight are lost."""
        with self._lock:
            self._closed = True
            restarts = list(self._restarts)
        if self._ray.is_initialized():
            for actor in self._actors:
                self._ray.kill(actor)
        for thread in restarts:
            thread.join()
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> Replicas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Asking -------------------------------------------------------------------------------------------------------

    def _count_tokens(self, requests: Sequence[Request]) -> list[int]:
        return [int(count) for count in self._ask("count_tokens", requests)]

    def _render(self, request: Request) -> Rendered:
        return rendered_of(self._ask("render", [request])[0])

    def _logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        told: list[list[float]] = self._ask("logprobs", requests, list(continuations))
        return told

    def _ask(self, method: str, requests: Sequence[Request], *more: object) -> Any:  # noqa: ANN401 - plain data
        if self._closed:
            raise TargetError("target: its replicas were ended with the run; prepare the audit again")
        text = batch_to_text(requests)
        number = self._router.acquire(prefixes(requests))
        try:
            reply = self._ray.get(getattr(self._actors[number], method).remote(text, *more))
        except self._ray.exceptions.RayError as error:
            self._replace(number)
            # At once: another replica may be free, and the gateway counts how often this happens.
            raise TargetUnavailable(
                f"replica {number} was lost while it answered {len(requests)} requests ({_gist(error)})",
                retry_after=0.0,
            ) from error
        except BaseException:
            self._router.release(number)
            raise
        self._router.release(number)
        return read(reply)

    # Building and replacing -----------------------------------------------------------------------------------------

    def _built(self, pending: Any) -> dict[str, Any]:  # noqa: ANN401 - a reference of Ray's
        try:
            declared: dict[str, Any] = read(self._ray.get(pending))
        except RecAuditError:
            raise
        except self._ray.exceptions.RayError as error:
            raise TargetError(f"execution: a replica died while the target was built ({_gist(error)})") from error
        except Exception as error:  # foreign code, told by the replica
            raise TargetError(f"target: building it raised {type(error).__name__}: {error}") from error
        return declared

    def _check_same(self, declared: dict[str, Any]) -> None:
        if declared == self._declared:
            return
        ours, theirs = self._declared["info"], declared["info"]
        fields = [name for name in ours if ours[name] != theirs[name]] or ["offers"]
        raise TargetError(
            f"execution.workers: two replicas of the target declare different things ({', '.join(fields)}); the model "
            "files, the packages and the configuration's folder must be the same on every node"
        )

    def _replace(self, number: int) -> None:
        """Build the successor of a lost replica, beside the answering of other batches."""
        self._router.lose(number)
        with self._lock:
            if self._closed:
                return
            _log.warning("replica %d was lost; its batch is asked again and a successor is built", number)
            self._ray.kill(self._actors[number])  # one that only cannot be reached must not linger
            self._actors[number] = actor = self._start()
            thread = threading.Thread(target=self._welcome, args=(number, actor), daemon=True)
            self._restarts.append(thread)
        thread.start()

    def _welcome(self, number: int, actor: Any) -> None:  # noqa: ANN401 - a handle of Ray's
        try:
            self._check_same(self._built(actor.build.remote()))
        except TargetError as error:
            self._router.retire(number, f"no replica is left; the last could not be built again: {error}")
        except RecAuditError as error:
            self._router.retire(number, str(error))
        else:
            self._router.release(number)


def _ray() -> Any:  # noqa: ANN401 - the module
    # Read when Ray is imported. An audit tells nobody that it runs.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray's own future default, without its warning.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("execution.engine: ray is not installed; pip install recaudit[ray]") from error
    return ray


def _connect(ray: Any, execution: ExecutionConfig) -> tuple[bool, int]:  # noqa: ANN401 - the module
    """Join a cluster or start one.

    Returns:
        Whether the connection is ours to close, and the threads of each replica.
    """
    workers, address = execution.workers, execution.address
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = execution.threads_per_worker or (1 if address else max(1, cores // workers))
    joined = ray.is_initialized()
    if not joined:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if address is None:
                ray.init(
                    address="local",
                    num_cpus=workers * threads,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    **quiet,
                )
            else:
                ray.init(address=address, **quiet)
            # Ray prints a page about every lost process to standard output, where scripts read the id of the run; we
            # log one line. There is no public switch; a release without this one would only print again.
            ray._private.worker._worker_logs_enabled = False
        except (ConnectionError, ImportError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"execution.address: {address!r} cannot be joined ({_gist(error)}); start a cluster with `ray start "
                "--head`, or leave address out for a local one"
            ) from error
    has = ray.cluster_resources()
    for name, each in (("CPU", threads), ("GPU", execution.gpus_per_worker)):
        if workers * each > has.get(name, 0):
            if not joined:
                ray.shutdown()
            raise ConfigError(
                f"execution.workers: {workers} replicas of {each:g} {name} need {workers * each:g}, the cluster has "
                f"{has.get(name, 0):g}; lower workers or what each takes, or add nodes"
            )
    return not joined, threads


def _leave(ray: Any) -> None:  # noqa: ANN401 - the module
    if ray.is_initialized():
        ray.shutdown()


def _gist(error: BaseException) -> str:
    """The first sentence of what Ray says; the rest is a page of its internals."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")
