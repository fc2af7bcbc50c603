"""Curves of success against queries: the points of one search in order, its end as the last, titles taken literally."""

from __future__ import annotations

import itertools
import re
from typing import Any

from audit.findings import Finding
from audit.report.html import render
from audit.report.markdown import render as markdown
from audit.report.robustness_plots import curves
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
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
    paths = [path.split() for path in re.findall(r'<polyline points="([^"]*)"', drawn)]
    assert len(paths) == 4  # a line and its sample in the key, for each search
    for path in paths:
        first, last = (float(point.partition(",")[0]) for point in path)
        assert first < last


def test_ten_lines_are_told_apart_without_colour_and_named_in_the_picture() -> None:
    lines = [Curve(f"search {n}", ((10, n / 10, 0.0, 1.0), (50, n / 10, 0.0, 1.0))) for n in range(10)]
    drawn = str(curves(lines))
    groups = re.findall(r'<g class="(series[^"]*)">(.*?)</g>', drawn)
    assert len(groups) == 20  # each line, and its sample in the key
    looks = [(name, _shape(inside)) for name, inside in groups[:10]]
    assert len(set(looks)) == 10
    assert [(name, _shape(inside)) for name, inside in groups[10:]] == looks
    assert all(one[1] != other[1] for one, other in itertools.pairwise(looks)), "by their marks alone"
    assert all(f">search {n}</text>" in drawn for n in range(10))


def _shape(inside: str) -> str:
    """What the marks of a line look like, wherever they stand."""
    (found, *_) = re.findall(r'<circle|d="M[\d.-]+ [\d.-]+([^"]*)"', inside)
    return found or "circle"


def test_numbers_under_the_axis_do_not_touch() -> None:
    at = (10, 11, 12, 50, 1000)
    drawn = str(curves([Curve("a", tuple((q, 0.1, 0.0, 0.2) for q in at))]))
    places = [(float(x), n) for x, n in re.findall(r'<text x="([\d.]+)" y="220" text-anchor="middle">([\d,]+)<', drawn)]
    assert [n for _, n in places][-1] == "1,000"
    assert "50" in [n for _, n in places]
    assert all(b - a > 18 for (a, _), (b, _) in itertools.pairwise(places))


def test_both_reports_show_them(make_run: Any) -> None:
    run = make_run(FOUND)
    page = render([run])
    assert "true queries per user" in page
    assert "<b>find</b>" not in page
    assert "5: 0.100" in markdown([run])
    assert "50: 0.500" in markdown([run])
