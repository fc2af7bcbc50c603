"""The parts of an audit that are not the model: the gateway, the bootstrap, the report, and memory.

Every function returns rows `{id, what, ours, other, ratio, unit}`. Where there is something to compare with, both sides
run in one process; where there is a bound, `other` is the bound and the ratio says how far below it we are.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from audit import stats
from audit.findings import Evidence, Finding
from audit.gateway import Ask, Gateway
from audit.run import Run
from audit.store import Store
from audit.types import Answer, Event, Item, Ranked, Request, User

Row = dict[str, Any]


def _row(name: str, what: str, ours: float, other: float, unit: str) -> Row:
    return {"id": name, "what": what, "ours": ours, "other": other, "ratio": other / ours, "unit": unit}


def _peak() -> float:
    """Peak resident memory of this process in MB; `ru_maxrss` would count the parent's, from before the exec."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


class _Instant:
    """Answers at once, so that what is measured is ours."""

    def recommend(self, requests: list[Request]) -> list[Answer]:
        return [Answer(tuple(Ranked(item.id, score=0.5) for item in (r.candidates or ())[:10])) for r in requests]


def _requests(count: int, distinct: int) -> list[Request]:
    items = [Item(str(i), f"Film {i} (1995)", attributes={"year": 1995}) for i in range(1000)]
    made = []
    for i in range(count):
        n = i % distinct
        history = tuple(Event(items[(n + j) % 1000], 4.0, 1e9 + j) for j in range(10))
        candidates = tuple(items[(7 * n + j) % 1000] for j in range(20))
        made.append(Request(User(f"u{n}", history), candidates=candidates, instruction=f"Rank. {n}"))
    return made


def _asked(folder: Path, count: int) -> tuple[Store, Gateway, list[Ask]]:
    store = Store(folder / "runs.sqlite")
    record = store.create_run("benchmark", config={}, target={}, versions={}, seed=0)
    gateway = Gateway(_Instant(), store, record.id)
    asks = [Ask(r) for r in _requests(count, count)]
    gateway.ask(asks)
    return store, gateway, asks


def cached_answers(count: int = 10_000) -> list[Row]:
    """(c) Stored answers through the gateway, requests built anew so that nothing is remembered in memory."""
    with tempfile.TemporaryDirectory() as folder:
        store, gateway, _ = _asked(Path(folder), count)
        fresh = [Ask(r) for r in _requests(count, count)]
        started = time.perf_counter()
        gateway.ask(fresh)
        spent = (time.perf_counter() - started) / count * 1e3
        store.close()
    return [_row("c", f"{count:,} cached answers through the gateway, against the bound", spent, 0.2, "ms each")]


def bootstrap(units: int = 1000, resamples: int = 10_000) -> list[Row]:
    """(d) BCa interval of a mean, against SciPy's on the same data."""
    values = np.random.default_rng(0).gamma(2.0, size=units)
    started = time.perf_counter()
    stats.mean_interval(values, rng=np.random.default_rng(1), resamples=resamples)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    scipy_stats.bootstrap((values,), np.mean, n_resamples=resamples, method="BCa", rng=np.random.default_rng(1))
    other = time.perf_counter() - started
    return [_row("d", f"{resamples:,} BCa resamples of {units:,} users, against SciPy", ours, other, "s")]


def report(pieces: int = 50_000) -> list[Row]:
    """(e) The HTML report of a run with many pieces of evidence, against the bound; and its peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        _evidence(path, pieces)
        # A process of its own, so that the peak is that of the report alone.
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.harness", "render", str(path / "runs.sqlite")],
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, megabytes = map(float, done.stdout.split())
    return [
        _row("e", f"HTML report of a run with {pieces:,} pieces of evidence, against the bound", seconds, 3.0, "s"),
        _row("e-memory", "its peak memory, against the bound", megabytes, 500.0, "MB"),
    ]


def _evidence(folder: Path, pieces: int) -> None:
    store, gateway, asks = _asked(folder, 200)
    run = gateway.run
    evidence = [
        Evidence(case=f"u{i}", title="An edited request", before=a.request.digest, after=a.request.digest, note=str(i))
        for i in range(pieces)
        for a in (asks[i % len(asks)],)
    ]
    findings = [
        Finding(
            module="robustness",
            metric="flip_rate",
            title=f"Attack {n}",
            params={"attack": str(n)},
            estimate=0.5,
            ci=(0.4, 0.6),
            n=100,
            evidence=tuple(e.id for e in evidence[n::50]),
        )
        for n in range(50)
    ]
    store.save_module(run, "robustness", findings, evidence)
    store.close()


def _render(path: str) -> None:
    from audit.policy import load
    from audit.report import render

    store = Store(path)
    policy = load("default", Path.cwd()).model_dump(mode="json")
    record = store.run("latest")
    shown = Run(type(record)(**{**vars(record), "policy": policy}), store)
    started = time.perf_counter()
    render([shown], "html")
    seconds = time.perf_counter() - started
    print(seconds, _peak())


def memory(sizes: tuple[int, ...] = (1_000, 10_000, 100_000)) -> list[Row]:
    """(f) Peak memory of asking many requests that stream through the gateway, against the smallest size."""
    peaks = []
    for size in sizes:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.harness", "stream", str(size)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(float(done.stdout))
    return [
        _row(f"f-{size}", f"peak memory at {size:,} requests, against {sizes[0]:,}", peak, peaks[0], "MB")
        for size, peak in zip(sizes, peaks, strict=True)
    ]


def _stream(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.sqlite")
        record = store.create_run("benchmark", config={}, target={}, versions={}, seed=0)
        gateway = Gateway(_Instant(), store, record.id)
        asks = (Ask(r) for r in _stream_of_requests(size))
        for _ in gateway.stream(asks):
            pass
        store.close()
    print(_peak())


def _stream_of_requests(size: int) -> Iterator[Request]:
    for start in range(0, size, 1000):
        for i, request in enumerate(_requests(1000, 1000)):
            yield Request(
                User(f"u{start + i}", request.user.history), candidates=request.candidates, instruction=f"{start + i}"
            )


if __name__ == "__main__":
    if sys.argv[1] == "render":
        _render(sys.argv[2])
    else:
        _stream(int(sys.argv[2]))
