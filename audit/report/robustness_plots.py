"""Pictures of the robustness audit as inline SVG: success against queries, and what defenses keep at which price.

Each picture says itself what its lines and spots are, so that it can be taken away alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from markupsafe import Markup, escape

from audit.report.defenses import DefenseView
from audit.report.plots import round_step, span_of, svg
from audit.report.view import Curve
from audit.text import clip, number, one_line

SERIES = 6
"""Colours of a plot of curves; with more lines they come round again, with another mark and another dash."""
_WIDTH = 620.0
_KEY_LINE, _KEY_CHARACTERS = 18.0, 46
"""Height of a line of the key, and how many characters find room in half its width."""


def curves(lines: Sequence[Curve]) -> Markup:
    """Success against true queries: one line per attack with its interval, queries on a logarithmic scale."""
    height, left, bottom = 240.0, 44.0, 34.0
    at = sorted({q for line in lines for q, *_ in line.points})
    values = [0.0, *(v for line in lines for _, _, low, high in line.points for v in (low, high))]
    low, high = min(values), max(values) or 1.0
    step = round_step((high - low) / 4)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    reach = math.log(max(at[-1], 2) / max(at[0], 1)) or 1.0

    def x(queries: int) -> float:
        return left + 12 + (_WIDTH - left - 32) * math.log(max(queries, 1) / max(at[0], 1)) / reach

    def y(value: float) -> float:
        return 8 + (height - bottom - 8) * (high - value) / (high - low)

    parts = []
    for i in range(round((high - low) / step) + 1):
        value = low + i * step
        kind = "zero" if abs(value) < step / 2 else "grid"
        parts.append(f'<line class="{kind}" x1="{left:g}" x2="{_WIDTH:g}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{left - 6:g}" y="{y(value) + 3.5:.1f}" text-anchor="end">{number(value)}</text>')
    for queries in _apart(at, x):
        parts.append(f'<text x="{x(queries):.1f}" y="{height - bottom + 14:g}" text-anchor="middle">{queries:,}</text>')
    parts.append(f'<text x="{_WIDTH / 2:g}" y="{height - 4:g}" text-anchor="middle">true queries per user</text>')
    for n, line in enumerate(lines):
        # Side by side, so that neither their intervals nor their marks hide each other.
        shift = min(4.0, 24.0 / len(lines)) * (n - (len(lines) - 1) / 2)
        spots = [(x(q) + shift, y(v), y(a), y(b)) for q, v, a, b in line.points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _, _ in spots)
        bars = "".join(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{a:.1f}" y2="{b:.1f}"/>' for px, _, a, b in spots)
        marks = "".join(_mark(n, px, py) for px, py, _, _ in spots)
        parts.append(f'<g class="{_series(n)}">{bars}<polyline points="{path}"/>{marks}</g>')
    key, tall = _key([line.title for line in lines], height, lambda n, x0, y0: _sample(n, x0, y0))
    said = "; ".join(f"{one_line(c.title)}: {number(c.points[-1][1])} after {c.points[-1][0]} queries" for c in lines)
    return svg("curves", tall, f"lost against true queries. {said}", [*parts, *key], width=_WIDTH)


def tradeoff(view: DefenseView) -> Markup:
    """Defenses by what they keep without an attack and under the worst of them; the line joins those nothing beats."""
    height, left, bottom = 300.0, 62.0, 40.0
    points = view.points
    xs, ys = span_of([p[1] for p in points]), span_of([p[2] for p in points])

    def x(value: float) -> float:
        return left + 12 + (_WIDTH - left - 30) * (value - xs.low) / (xs.high - xs.low)

    def y(value: float) -> float:
        return 12 + (height - bottom - 18) * (ys.high - value) / (ys.high - ys.low)

    parts = []
    for value in ys.ticks:
        parts.append(f'<line class="grid" x1="{left:g}" x2="{_WIDTH:g}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text x="{left - 6:g}" y="{y(value) + 3.5:.1f}" text-anchor="end">{number(value)}</text>')
    for value in xs.ticks:
        line = f'x1="{x(value):.1f}" x2="{x(value):.1f}" y1="6" y2="{height - bottom:g}"'
        parts.append(f'<line class="grid" {line}/>')
        parts.append(
            f'<text x="{x(value):.1f}" y="{height - bottom + 14:g}" text-anchor="middle">{number(value)}</text>'
        )
    parts.append(
        f'<text x="{_WIDTH / 2:g}" y="{height - 6:g}" text-anchor="middle">{escape(one_line(view.what))} kept without '
        "an attack →</text>"
    )
    parts.append(
        f'<text transform="translate(12 {(height - bottom) / 2:g}) rotate(-90)" text-anchor="middle">'
        "kept under the worst attack →</text>"
    )
    best = [p for p in points if not any(_beats(q, p) for q in points)]
    path = " ".join(f"{x(p[1]):.1f},{y(p[2]):.1f}" for p in sorted(best, key=lambda p: p[1]))
    parts.append(f'<polyline class="front" points="{path}"/>')
    for n, (_, clean, robust, calls) in enumerate(points):
        radius = _radius(calls)
        kind = "spot best" if points[n] in best else "spot"
        parts.append(f'<g class="{kind}"><circle cx="{x(clean):.1f}" cy="{y(robust):.1f}" r="{radius:.1f}"/>')
        parts.append(f'<text x="{x(clean):.1f}" y="{y(robust) + 3.5:.1f}" text-anchor="middle">{n}</text></g>')
    key, tall = _key(
        [f"{one_line(title)} ({_calls(calls)})" for title, _, _, calls in points],
        height,
        lambda n, x0, y0: f'<text class="no" x="{x0 + 14:g}" y="{y0 + 4:g}" text-anchor="end">{n}</text>',
    )
    said = "; ".join(
        f"{one_line(title)}: {number(clean)} without an attack, {number(robust)} under the worst, {_calls(calls)}"
        for title, clean, robust, calls in points
    )
    return svg("tradeoff", tall, f"{view.what} kept. {said}", [*parts, *key], width=_WIDTH)


def _calls(calls: float) -> str:
    return f"×{calls:.3g} calls" if calls != 1 else "×1 call"


def _radius(calls: float) -> float:
    """Of a spot; twice the calls make it a little larger."""
    return 7 + 2 * math.log2(max(calls, 1.0))


def _beats(one: tuple[str, float, float, float], other: tuple[str, float, float, float]) -> bool:
    """Whether one keeps at least as much on both sides, and more on one, at no more calls."""
    at_least = one[1] >= other[1] and one[2] >= other[2] and one[3] <= other[3]
    return at_least and one[1:] != other[1:]


def _series(n: int) -> str:
    return f"series s{n % SERIES}" + (f" dash{min(n // SERIES, 2)}" if n >= SERIES else "")


def _mark(n: int, x: float, y: float) -> str:
    """A shape for each line, so that lines are told apart without colour."""
    shape = (n + n // SERIES) % 4
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>'
    path = {
        1: f"M{x - 3:.1f} {y - 3:.1f}h6v6h-6z",
        2: f"M{x:.1f} {y - 4.2:.1f}l4.2 4.2l-4.2 4.2l-4.2 -4.2z",
        3: f"M{x:.1f} {y - 4:.1f}l4 7h-8z",
    }[shape]
    return f'<path d="{path}"/>'


def _sample(n: int, x: float, y: float) -> str:
    line = f'<polyline points="{x:g},{y:g} {x + 26:g},{y:g}"/>'
    return f'<g class="{_series(n)}">{line}{_mark(n, x + 13, y)}</g>'


def _key(titles: Sequence[str], top: float, sign: Callable[[int, float, float], str]) -> tuple[list[str], float]:
    """What the signs mean, under a plot, in two columns where the titles are short; and the height of the whole."""
    shown = [one_line(title) for title in titles]
    columns = 2 if all(len(title) <= _KEY_CHARACTERS for title in shown) else 1
    rows = -(-len(titles) // columns)
    parts = []
    for n, title in enumerate(shown):
        x0, y0 = 8 + n // rows * _WIDTH / 2, top + 12 + n % rows * _KEY_LINE
        label = escape(clip(title, 2 * _KEY_CHARACTERS))
        parts.append(f'{sign(n, x0, y0)}<text class="key" x="{x0 + 34:g}" y="{y0 + 4:g}">{label}</text>')
    return parts, top + 8 + rows * _KEY_LINE


def _apart(at: Sequence[int], x: Callable[[int], float]) -> Iterator[int]:
    """Those of the numbers that can stand under an axis without touching each other; the last is always among them."""
    taken = x(at[-1])
    kept = [at[-1]]
    for queries in reversed(at[:-1]):
        if taken - x(queries) >= 7.0 * len(f"{queries:,}") + 6:
            kept.append(queries)
            taken = x(queries)
    return reversed(kept)
