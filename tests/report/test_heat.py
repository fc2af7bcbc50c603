"""The colours of attacks by defenses: told apart without hues, readable, and no finer than what was measured."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.findings import Finding
from audit.report.defenses import defense_view
from audit.report.heat import SHADES, Heat, heat
from audit.report.html import render

DARK = "@media (prefers-color-scheme: dark)"


def left(attack: str, estimate: float, half: float = 0.05, defense: str | None = None, **params: Any) -> Finding:
    row = params.pop("row", "adaptive") if defense else "undefended"
    title = f"{attack}: utility left" if defense is None else f"{attack} against A wall: utility left"
    return Finding(
        "robustness", "attacked_utility", title, {"attack": attack, "row": row, "defense": defense, "k": 5, **params},
        estimate=estimate, ci=(estimate - half, estimate + half), n=30,
    )  # fmt: skip


def robust(defense: str | None) -> Finding:
    title = "No defense: worst" if defense is None else "A wall: worst"
    return Finding(
        "robustness", "robust_utility", title, {"defense": defense, "k": 5, "attacks": 2}, estimate=0.1,
        ci=(0.0, 0.2), n=30,
    )  # fmt: skip


def shades(scheme: str) -> dict[int, tuple[str, str]]:
    """Background and text by shade, from the style sheet itself."""
    sheet = files("audit.report").joinpath("templates", "report.css").read_text("utf-8")
    rules = r"\.h(\d) \{ --heat: (#\w+); --on-heat: (#\w+); \}"
    light, *dark = re.split(re.escape(DARK), sheet[sheet.index(".h0 {") :])
    found = {int(n): (back, text) for n, back, text in re.findall(rules, light if scheme == "light" else dark[0])}
    assert sorted(found) == list(range(SHADES))
    return found


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, glossary)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_can_be_read_on_every_shade(scheme: str) -> None:
    assert {n: round(contrast(*pair), 2) for n, pair in shades(scheme).items() if contrast(*pair) < 4.5} == {}


@pytest.mark.parametrize(("scheme", "sign"), [("light", -1), ("dark", 1)])
def test_shades_are_told_apart_by_lightness_alone(scheme: str, sign: int) -> None:
    """So they are to whoever does not see hues, and on a printer without colours."""
    found = shades(scheme)
    for n in range(SHADES - 1):
        one, next_ = found[n][0], found[n + 1][0]
        assert sign * (luminance(next_) - luminance(one)) > 0
        assert contrast(one, next_) > 1.2


def test_the_strongest_shade_is_the_most_harm_either_way() -> None:
    values = [left(f"a{n}", n / 10, half=0.01) for n in range(8)]
    kept, gained = (Heat.of(values, higher_is_better=better) for better in (True, False))
    assert (kept.shade(0.0), kept.shade(0.7)) == (SHADES - 1, 0)
    assert (gained.shade(0.0), gained.shade(0.7)) == (0, SHADES - 1)
    assert [band.shade for band in kept.bands] == sorted(band.shade for band in kept.bands)
    assert kept.bands[-1].label == "0.0 to 0.2"


def test_shades_are_no_finer_than_a_standard_error() -> None:
    sure, unsure = ([left("a", 0.2, half), left("b", 0.5, half)] for half in (0.01, 0.3))
    assert len(Heat.of(sure, higher_is_better=True).bands) >= 5
    vague = Heat.of(unsure, higher_is_better=True)
    assert vague.width >= 0.15
    assert len(vague.bands) <= 3


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=30), st.booleans())
def test_every_value_has_the_shade_of_its_band(values: list[float], better: bool) -> None:
    found = Heat.of([left(str(n), v, half=0.0) for n, v in enumerate(values)], higher_is_better=better)
    assert 1 <= found.count <= SHADES
    assert len({band.shade for band in found.bands}) == found.count
    edge = 0.501 * 10.0 ** -len(found.bands[0].label.split()[0].partition(".")[2])
    bounds = {b.shade: [float(x.replace("−", "-")) for x in b.label.split(" to ")] for b in found.bands}
    for value in values:
        low, high = bounds[found.shade(value)]
        assert low - edge <= value <= high + edge


def test_one_value_alone_has_a_shade() -> None:
    found = Heat.of([left("a", 0.5, half=0.0)], higher_is_better=True)
    (band,) = found.bands
    assert found.shade(0.5) == band.shade


def test_grids_of_one_quantity_share_their_colours_and_cells_lead_to_their_findings(make_run: Any) -> None:
    cells = [
        left("slips", 0.5),
        left("slips", 0.6, defense="wall"),
        left("slips", 0.1, defense="wall", row="replay"),
        left("search", 0.3),
    ]
    run = make_run([robust(None), robust("wall"), *cells])
    view = defense_view(run.findings)
    assert view is not None
    adaptive, replay = view.grids
    assert heat(view, adaptive) == heat(view, replay)
    page = render([run])
    found = re.findall(r'<td class="num heat h(\d)"><a href="#r1-f-(\w+)"', page)
    by_id = {f.id: f.estimate for f in run.findings}
    drawn = {by_id[name]: int(shade) for shade, name in found}
    assert len(found) == 6  # two of the bare target in each grid, and two behind the wall
    assert drawn[0.1] == SHADES - 1
    assert drawn[0.6] == 0
    assert page.count(">not run</span>") + page.count("> not run</span>") == 2
