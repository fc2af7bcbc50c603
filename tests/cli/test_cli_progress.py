"""Progress: a bar on a terminal, few lines elsewhere, nothing when quiet."""

from __future__ import annotations

import io
import sys

import pytest

from audit.cli.progress import showing, stepping
from audit.gateway import Progress
from audit.store import RunUsage

HOSTILE = "\x1b]0;owned\x07 [bold red]attack[/]"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(terminal: bool, *, quiet: bool = False) -> str:
    stream = Terminal() if terminal else io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        with showing(quiet) as show:
            for done in range(2001):
                show(Progress(HOSTILE, done, 2000, RunUsage(queries=done, prompt_tokens=10 * done)))
    return stream.getvalue()


def test_a_pipe_gets_a_line_now_and_then() -> None:
    lines = report(terminal=False).splitlines()
    assert 1 <= len(lines) <= 3
    assert "0 of 2,000" in lines[0]


def test_a_terminal_gets_queries_and_tokens() -> None:
    shown = report(terminal=True)
    assert "2,000 queries, 20,000 tokens" in shown
    assert shown.count("2000") < 100  # redrawn at intervals, not for each of the 2,000 updates


@pytest.mark.parametrize("terminal", [True, False])
def test_labels_cannot_act_on_the_terminal(terminal: bool) -> None:
    shown = report(terminal)
    assert "[bold red]attack[/]" in shown
    assert "\x1b]0;" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal: bool) -> None:
    assert report(terminal, quiet=True) == ""


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_training_shows_its_last_step_and_loss(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with stepping("toy") as progress:
        for step in range(1, 31):
            progress(step, 30, 1 / step)
    assert "30" in stream.getvalue()
    assert "loss 0.0333" in stream.getvalue()
