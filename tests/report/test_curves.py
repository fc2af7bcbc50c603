"""Curves of success against queries: the points of one search in order, its end as the last, titles taken literally."""

from __future__ import annotations

import re
from typing import Any

from audit.findings import Finding
from audit.report.html import render
from audit.report.markdown import render as markdown
from audit.report.plots import curves
from audit.report.view import Curve, RunView


def lost(queries: int | None, estimate: float, *, title: str = "Search & <b>find</b>, 50 queries") -> Finding:
    params = {"attack": "search", "defense": None, "k": 5, "budget": 50, "labels": "free"}
    metric = "ndcg_drop" if queries is None else "ndcg_drop_at"
    return Finding(
        "robustness",
        metric,
        f"{title}: NDCG@5 lost",
        params=params if queries is None else {**params, "queries": queries},
        estimate=estimate,
        ci=(estimate - 0.1, estimate + 0.1),
        n=40,
        direction="neither",
    )


FOUND = [lost(20, 0.3), lost(5, 0.1), lost(None, 0.5), lost(10, 0.2)]


def test_points_stand_in_order_and_end_with_the_attack_itself(make_run: Any) -> None:
    (module,) = RunView(make_run(FOUND)).modules
    (curve,) = module.curves
    assert [(q, v) for q, v, _, _ in curve.points] == [(5, 0.1), (10, 0.2), (20, 0.3), (50, 0.5)]
    assert curve.title == "Search & <b>find</b>, 50 queries"
    # Points are drawn and not listed beside the findings.
    assert {r.finding.metric for group in module.groups for r in group.rows} == {"ndcg_drop"}


def test_a_plot_has_a_line_for_each_search_and_takes_titles_literally() -> None:
    lines = [
        Curve("a <script>", ((5, 0.1, 0.0, 0.2), (50, 0.4, 0.3, 0.5))),
        Curve("b", ((10, 0.2, 0.1, 0.3), (500, 0.2, 0.1, 0.3))),
    ]
    drawn = str(curves(lines))
    assert drawn.count("<polyline") == 2
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert places[0] < places[1]
    assert places[2] < places[3]


def test_both_reports_show_them(make_run: Any) -> None:
    run = make_run(FOUND)
    page = render([run])
    assert "true queries per user" in page
    assert "<b>find</b>" not in page
    assert "5: 0.100" in markdown([run])
    assert "50: 0.500" in markdown([run])
