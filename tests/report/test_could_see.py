"""Reports say what an audit of so many users could have seen, in HTML and in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from report_world import HIT

from audit.controls.measured import Cell, Measured
from audit.report import could_see as section
from audit.report import html, markdown
from audit.run import Run


def measured() -> Measured:
    def cell(size: float, seen: int) -> Cell:
        return Cell("c", "quality", "Refusals <b>", size, 100, size == 0.2, 100, seen)

    return Measured((cell(0.0, 1), cell(0.1, 60), cell(0.2, 100)), 7, "quick", {})


def test_sizes_are_those_of_the_runs_own_users() -> None:
    found = section.could_see(100, ["quality"], measured())
    assert found is not None
    assert found.rows == [("Refusals <b>", "Quality", "0.15", "0.19", "1 of 100")]
    assert "an audit of 100 users finds, taken from what 100 users found in at least 100 repetitions" in found.lead


def test_few_repetitions_cannot_tell_nineteen_in_twenty() -> None:
    few = replace(measured(), cells=tuple(replace(c, repetitions=5, seen=c.seen // 20) for c in measured().cells))
    found = section.could_see(100, ["quality"], few)
    assert found is not None
    assert found.rows[0][2:] == ("0.15", "0 of 5")


def test_nothing_is_said_of_modules_without_controls() -> None:
    assert section.could_see(100, ["privacy"], measured()) is None
    assert section.could_see(0, ["quality"], measured()) is None


def test_both_reports_show_it_escaped(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "shipped", measured)
    run = make_run([HIT])
    page, text = html.render([run]), markdown.render([run])
    for shown in (page, text):
        assert "What this audit could have seen" in shown
        assert "1 of 100" in shown
        assert "Refusals <b>" not in shown
