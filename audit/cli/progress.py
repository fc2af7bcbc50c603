"""Progress of a run on standard error: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from audit.cli.terminal import console, say
from audit.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from audit.gateway import Progress

_SECONDS_BETWEEN_LINES = 15.0
_REFRESH = 4
"""Redraws per second: more would cost time on the hot path and show nothing new."""


@contextmanager
def showing(quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A progress callback for the runner.

    Args:
        quiet: show nothing.
    """
    if quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with _bar("{task.fields[cost]}") as bar:
            yield _OnTerminal(bar)
    else:
        yield _Lines()


@contextmanager
def stepping(what: str) -> Iterator[Callable[[int, int, float], None]]:
    """A progress callback for training: (step, steps, loss)."""
    if not sys.stderr.isatty():
        last = [time.monotonic()]

        def line(step: int, steps: int, loss: float) -> None:
            if step == steps or time.monotonic() - last[0] >= _SECONDS_BETWEEN_LINES:
                last[0] = time.monotonic()
                say(f"{what}: {step} of {steps}, loss {loss:.4f}")

        yield line
        return
    with _bar("{task.fields[cost]}") as bar:
        task = bar.add_task(visible(what), total=None, cost="")

        def draw(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps, cost=f"loss {loss:.4f}")

        yield draw


def _bar(tail: str) -> Bar:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta", style="dim"),
        TimeRemainingColumn(),
        TextColumn(tail, markup=False, style="dim"),
        console=console(stderr=True),
        refresh_per_second=_REFRESH,
        transient=True,
    )


def cost(progress: Progress) -> str:
    """Queries and tokens of the run so far."""
    return f"{progress.usage.queries:,} queries, {progress.usage.tokens:,} tokens"


class _OnTerminal:
    """One bar, reset for each plan of questions."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("preparing", total=None, cost="")
        self._label: str | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.label != self._label:
            self._label = progress.label
            self._bar.reset(
                self._task, total=progress.total, completed=progress.done, description=visible(progress.label)
            )
        self._bar.update(self._task, completed=progress.done, total=progress.total, cost=cost(progress))


class _Lines:
    """A line when a plan begins that has something left to ask, and then at intervals."""

    def __init__(self) -> None:
        self._label: str | None = None
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        begins = progress.label != self._label and progress.done < progress.total
        if begins or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._label, self._last = progress.label, now
            say(f"{progress.label}: {progress.done:,} of {progress.total:,} ({cost(progress)})")
