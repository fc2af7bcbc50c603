"""Audits whose findings make a table of the documentation: run once, gone on with when stopped, written to a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from audit.config import load
from audit.gateway import Progress
from audit.run import Run
from audit.runner import begin, execute, prepare, resume
from audit.store import Store

ROOT = Path(__file__).parents[1]
_END = "<!-- end -->"


def finished(name: str, store: Store) -> Run:
    """The audit of this name: the stored one, gone on with where it was stopped, or a new one."""
    path = ROOT / "examples" / "audits" / f"{name}.yaml"
    wanted = load(path)[0].model_dump(mode="json")
    for record in store.runs():
        same = all(record.config.get(key) == value for key, value in wanted.items())
        if record.name == name and same:
            return Run(record, store) if record.status == "finished" else resume(record.id, store=store, progress=_say)
    prepared = prepare(path)
    return execute(begin(prepared, store), prepared, progress=_say)


def _say(progress: Progress) -> None:
    if progress.total and progress.done == progress.total and progress.total >= 2000:
        print(f"{progress.label}: {progress.usage.queries:,} queries so far", file=sys.stderr, flush=True)


def rewrite(page: Path, command: str, lines: Sequence[str]) -> None:
    """Put a table in its place on a page, between the comment that names the command and the one that ends it."""
    start = f"<!-- written by `{command}` -->"
    before, rest = page.read_text(encoding="utf-8").split(start)
    after = rest.split(_END, 1)[1]
    page.write_text(f"{before}{start}\n\n" + "\n".join(lines) + f"\n{_END}{after}", encoding="utf-8")
