"""The forest plots: numbers stand where they belong."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_world import ERRORS, FLIP, HIT, LIFT, POLICY

from audit.report.plots import MARGIN, WIDTH, Scale, axis, scale_of, strip
from audit.report.view import Row, row_of


def row(finding: object) -> Row:
    return row_of(POLICY.judge([finding])[0], POLICY)  # type: ignore[list-item]  # findings of the small world


def place(svg: str, cls: str, attribute: str) -> float:
    found = re.search(rf'class="{cls}"[^>]*\b{attribute}="([-\d.]+)"', svg)
    assert found, f"no {cls} in {svg}"
    return float(found[1])


def value(x: float, scale: Scale) -> float:
    return scale.low + (x - MARGIN) / (WIDTH - 2 * MARGIN) * (scale.high - scale.low)


def test_an_estimate_its_interval_and_its_limit() -> None:
    drawn = row(ERRORS)
    scale = scale_of([drawn])
    svg = str(strip(drawn, scale))
    assert value(place(svg, "span", "x1"), scale) == pytest.approx(0.0, abs=0.001)
    assert value(place(svg, "span", "x2"), scale) == pytest.approx(0.07, abs=0.001)
    assert value(place(svg, "dot hollow", "cx"), scale) == pytest.approx(0.0, abs=0.001)
    assert value(place(svg, "limit", "x1"), scale) == pytest.approx(0.05, abs=0.001)


def test_an_effect_is_drawn_from_its_floor_so_that_the_limit_tells_the_verdict() -> None:
    """Floor .1, effect .4 [.3, .5], at most .2 above the floor: the line is .4 to .6 and the limit stands at .3."""
    drawn = row(FLIP)
    scale = scale_of([drawn])
    svg = str(strip(drawn, scale))
    assert value(place(svg, "floor", "x1"), scale) == pytest.approx(0.1, abs=0.005)
    assert value(place(svg, "limit", "x1"), scale) == pytest.approx(0.3, abs=0.005)
    assert value(place(svg, "span", "x1"), scale) == pytest.approx(0.4, abs=0.005)
    assert value(place(svg, "span", "x2"), scale) == pytest.approx(0.6, abs=0.005)


def test_the_failing_side_is_shaded() -> None:
    at_most, more_than = row(ERRORS), row(LIFT)
    scale = scale_of([at_most, more_than])
    right = str(strip(at_most, scale))
    assert place(right, "bad", "x") + place(right, "bad", "width") == pytest.approx(WIDTH, abs=0.2)
    left = str(strip(more_than, scale))
    assert place(left, "bad", "x") == 0.0
    assert place(left, "bad", "width") == pytest.approx(scale.x(0.0), abs=0.1)


def test_one_scale_holds_every_row_of_a_group() -> None:
    rows = [row(f) for f in (FLIP, ERRORS, LIFT, replace(HIT, estimate=-0.4, ci=(-0.7, 0.1)))]
    scale = scale_of(rows)
    assert scale.low <= -0.7
    assert scale.high >= 0.7
    assert 0.0 in scale.ticks
    assert 3 <= len(scale.ticks) <= 9


@pytest.mark.parametrize("top", [0.001, 0.037, 0.5, 1.0, 37.0, 12000.0])
def test_ticks_are_few_and_round(top: float) -> None:
    scale = scale_of([row(replace(HIT, estimate=top / 2, ci=(0.0, top)))])
    assert 2 <= len(scale.ticks) <= 8
    labels = re.findall(r">(−?[\d.]+)</text>", str(axis(scale)))
    assert len(set(labels)) == len(scale.ticks)


def test_a_point_without_width_still_has_a_scale() -> None:
    scale = scale_of([row(replace(HIT, estimate=0.0, ci=(0.0, 0.0)))])
    assert scale.high > scale.low


def test_who_does_not_see_the_plot_hears_it() -> None:
    svg = str(strip(row(replace(FLIP, title="<b>x</b>")), scale_of([row(FLIP)])))
    assert 'role="img"' in svg
    assert "<title>&lt;b&gt;x&lt;/b&gt;: 0.500 [0.400, 0.600], floor 0.100" in svg
    assert "limit ≤ 0.2 on the effect: fail</title>" in svg.replace("&lt;=", "≤")
