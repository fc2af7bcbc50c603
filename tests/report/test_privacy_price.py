"""What a promise costs: runs by ε, on a measure that they share, and no promise is never a large ε."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from audit.findings import Finding
from audit.report.privacy_plots import price_curve
from audit.report.privacy_price import Prices, prices
from audit.report.view import RunView


def promised(epsilon: float | None) -> Finding:
    return Finding("privacy", "epsilon_claimed", "What its training promises", {"part": "guarantee"}, estimate=epsilon)


def worth(metric: str, value: float, k: int | None = 10, **params: Any) -> Finding:
    return Finding(
        "quality", metric, metric.upper(), {"k": k, **params}, estimate=value, ci=(value - 0.05, value + 0.05), n=50
    )


@pytest.fixture
def views(make_run: Any) -> list[RunView]:
    """ε of 8, none, and 1, by NDCG and HR; a fourth that knows only AUC."""
    made = {
        "eight": [promised(8.0), worth("ndcg", 0.4), worth("hr", 0.5), worth("ndcg", 0.9, anchor="popularity")],
        "none <b>": [worth("ndcg", 0.5), worth("hr", 0.6)],
        "one": [promised(1.0), worth("ndcg", 0.2), worth("hr", 0.3)],
        "yes/no": [promised(3.0), worth("auc", 0.7, k=None)],
    }
    return [RunView(make_run(findings, name=name)) for name, findings in made.items()]


def found(views: list[RunView]) -> Prices:
    told = prices(views)
    assert told is not None
    return told


def test_runs_stand_by_their_promise_and_no_promise_last(views: list[RunView]) -> None:
    told = found(views)
    assert [(p.name, p.epsilon, p.quality.estimate) for p in told.points] == [
        ("one", 1.0, 0.2),
        ("eight", 8.0, 0.4),
        ("none <b>", None, 0.5),
    ]
    assert told.measure == "NDCG@10"
    assert told.left_out == ("yes/no",)


def test_a_void_guarantee_is_no_promise(views: list[RunView], make_run: Any) -> None:
    void = Finding("privacy", "guarantee_void", "Void", {"part": "guarantee"}, estimate=1.0)
    run = make_run([replace(promised(1.0)), void, worth("ndcg", 0.1)], name="void")
    told = found([*views, RunView(run)])
    assert {p.name for p in told.points if p.epsilon is None} == {"none <b>", "void"}


def test_nothing_is_compared_that_is_not_the_same_measure(views: list[RunView], make_run: Any) -> None:
    assert prices(views[:1]) is None
    assert prices([]) is None
    other = RunView(make_run([promised(1.0), worth("ndcg", 0.2, k=5)], name="other"))
    assert prices([views[0], other]) is None


def test_the_plot_says_each_run_and_escapes_it(views: list[RunView]) -> None:
    drawn = str(price_curve(found(views)))
    assert "<b>" not in drawn
    assert "none &lt;b&gt;: no promise, 0.500 [0.450, 0.550]" in drawn
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    (one, eight, none) = places
    assert one[0] < eight[0] < none[0]
    assert one[1] > eight[1] > none[1], "upwards is better"
    ticks = {
        float(e): float(x) for x, e in re.findall(r'<text x="([\d.]+)" y="196" text-anchor="middle">([\d.]+)<', drawn)
    }
    assert one[0] == pytest.approx(ticks[1.0], abs=0.2)
    assert ticks[3.0] < eight[0] < ticks[10.0]
    (line,) = re.findall(r'class="roc-line" points="([^"]*)"', drawn)
    assert len(line.split()) == 2, "what promises nothing is no point of the curve"
