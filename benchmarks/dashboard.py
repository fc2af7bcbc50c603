"""`python -m benchmarks.dashboard`: the dashboard over 200 runs and 1,000,000 pieces of evidence, seen in Chromium.

Makes the store (0.7 GB, in a temporary folder) and prints seconds until a page is of use: until the verdict, the
table or the exhibit that the page is there for is drawn. Takes several minutes, so `make bench` leaves it out.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from audit.edits import HistoryInsert
from audit.findings import Evidence, Finding
from audit.policy import load
from audit.store import Store
from audit.types import Answer, Event, Item, Ranked, Request, User

RUNS, PIECES, FINDINGS, SHOWN = 200, 5_000, 150, 30
MODULES = ("fairness", "quality", "robustness")


def make(path: Path, *, runs: int = RUNS, pieces: int = PIECES) -> list[str]:
    """Write the store: each run with its findings, its evidence, and as many answers that it rests on.

    Args:
        path: of the store, a new one.
        runs: how many.
        pieces: of evidence in each.

    Returns:
        The ids of the runs.
    """
    items = [Item(str(n), f"Title number {n} (19{n % 90 + 10})") for n in range(40)]
    history, candidates = tuple(Event(item, 4.0) for item in items[:20]), tuple(items[20:])
    edit = HistoryInsert(3, Event(items[30], 5.0))
    # Two pieces for each case, as two attacks would leave them; each case was asked about before and after the edit.
    plain = [Request(User(f"u{n}", history), candidates=candidates, k=10) for n in range(pieces // 2)]
    edited = [edit.apply(request) for request in plain]

    def piece(n: int) -> Evidence:
        case = n % len(plain)
        before, after = plain[case].digest, edited[case].digest
        return Evidence(f"u{case}", "An item added", before, after, edits=(edit,), note=f"rank {n}")

    every = [piece(n) for n in range(pieces)]
    answer = Answer(tuple(Ranked(item.id, item.title) for item in items[20:30]), text="1. Title number 20")
    rows = [(f"{n:064d}", request, 0, answer) for n, request in enumerate((*plain, *edited))]
    policy = load("default", path.parent).model_dump(mode="json")
    made = []
    with Store(path) as store:
        for n in range(runs):
            record = store.create_run(
                f"nightly-{n % 10}", config={"dataset": {"name": "ml-100k"}}, target={"name": "target"},
                versions={}, seed=n, policy=policy,
            )  # fmt: skip
            if n == 0:
                store.put_answers(record.id, rows)
            else:
                store.note_reuse(record.id, [key for key, *_ in rows])
            share = pieces // len(MODULES)
            for m, module in enumerate(MODULES):
                # The last module takes what is left, so that all pieces of a run are there.
                own = every[m * share : pieces if m == len(MODULES) - 1 else (m + 1) * share]
                found = [
                    _finding(module, k, [e.id for e in own[k * SHOWN : (k + 1) * SHOWN]]) for k in range(FINDINGS // 3)
                ]
                store.save_module(record.id, module, found, own)
            store.set_status(record.id, "finished", "fail")
            made.append(record.id)
    return made


def _finding(module: str, n: int, evidence: list[str]) -> Finding:
    metric = {"robustness": "flip_rate", "quality": "hr", "fairness": "excess_distance"}[module]
    value = 0.1 + (n % 7) / 10
    return Finding(
        module, metric, f"Check {n} of {module}", {"attack": f"a{n}", "k": 10}, estimate=value,
        ci=(value - 0.05, value + 0.05), n=500, floor=0.05, effect=value - 0.05, effect_ci=(value - 0.1, value),
        evidence=tuple(evidence),
    )  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What it took until a page was of use.

    Attributes:
        seconds: by the clock.
        server: processor seconds of the server meanwhile.
        browser: processor seconds of the page's own process in the browser meanwhile.
    """

    seconds: float
    server: float
    browser: float

    def __str__(self) -> str:
        """As one cell of a table."""
        return f"{self.seconds:.2f} s by the clock; server {self.server:.2f}, browser {self.browser:.2f}"


def _median(seen: Sequence[Seen]) -> Seen:
    """Each figure's own median."""
    return Seen(*(median(getattr(one, name) for one in seen) for name in ("seconds", "server", "browser")))


def _processor(pid: int) -> float:
    """Processor seconds of a process so far, with those of its threads (Linux: `proc(5)`, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _served(path: Path) -> Iterator[tuple[str, int, Seen]]:
    from dashboard.settings import Settings

    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    environment = {**os.environ, **Settings(store=str(path)).to_environment()}
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "dashboard", "--port", str(port)], env=environment) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            while True:
                try:
                    httpx.get(f"{address}/_stcore/health", trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield address, server.pid, Seen(time.perf_counter() - start, _processor(server.pid), 0.0)
        finally:
            server.terminate()


PAGES = (
    ("Robustness", "table.matrix"),
    ("Fairness", "h3"),
    ("All runs", ".recaudit table"),
    ("Compliance", "h1:has-text('Compliance')"),
    ("Overview", ".verdict"),
)
"""Pages of the menu, and what each is there for."""


def measure(path: Path, runs: Sequence[str], *, rounds: int = 5) -> dict[str, Seen]:
    """What it takes until each page is of use; medians over runs that were not looked at before."""
    from playwright.sync_api import sync_playwright

    seen: dict[str, list[Seen]] = {}
    with _served(path) as (site, pid, started), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1360, "height": 900})
        tab.set_default_timeout(120_000)
        inside = tab.context.new_cdp_session(tab)
        inside.send("Performance.enable")

        def spent() -> tuple[float, float, float]:
            told = {m["name"]: m["value"] for m in inside.send("Performance.getMetrics")["metrics"]}
            return time.perf_counter(), _processor(pid), told["ProcessTime"]

        def timed(name: str, act: Callable[[], object], until: str) -> None:
            before = spent()
            act()
            tab.locator(until).first.wait_for()
            after = spent()
            found = Seen(*(b - a for a, b in zip(before, after, strict=True)))
            seen.setdefault(name, []).append(found)
            print(f"{name}: {found}", file=sys.stderr, flush=True)
            # What the page draws below what it is there for must not count for the next.
            tab.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
            tab.wait_for_timeout(1000)

        timed("overview, first visit to a new server", lambda: tab.goto(site), ".verdict")
        for run in runs[50 : 50 + rounds]:
            timed("overview, a run not opened before", lambda run=run: tab.goto(f"{site}/?run={run}"), ".verdict")
            for title, until in PAGES:
                link = tab.locator("[data-testid=stSidebarNav]").get_by_text(title, exact=True)
                timed(f"switch to {title}", link.click, until)
            timed("from the overview to a finding", tab.locator('a[href*="finding?"]').first.click, "table.pieces")
            timed("from a finding to a raw answer", tab.locator('a[href*="evidence?"]').first.click, "dl.request")
        browser.close()
    return {"the server, until it listens": started, **{name: _median(found) for name, found in seen.items()}}


def main() -> None:
    """Make, measure, print one line of JSON for each page. An argument names a store that was made before."""
    with TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "runs.sqlite"
        if not path.exists():
            start = time.perf_counter()
            make(path)
            print(f"made in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        with Store(path, create=False) as store:
            runs = [head.id for head in reversed(store.heads())]
        size = path.stat().st_size / 2**30
        print(f"{len(runs)} runs, {len(runs) * PIECES:,} pieces of evidence, {size:.2f} GB", file=sys.stderr)
        before = os.getloadavg()[0]
        seen = measure(path, runs)
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    print(json.dumps({**{name: str(one) for name, one in seen.items()}, "load before and after": load}, indent=1))


if __name__ == "__main__":
    main()
