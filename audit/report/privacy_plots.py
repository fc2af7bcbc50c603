"""Pictures of the privacy audit as inline SVG: ε proven against ε promised, curves of attacks, what privacy costs.

What is written there is ours or escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

from audit.report.plots import span_of, svg
from audit.report.privacy import Proven, Traced
from audit.report.privacy_price import Priced, Prices
from audit.text import clip, interval, number, one_line, percent

_WIDTH, _LEFT, _RIGHT, _LINE, _BAR, _HEAD = 640.0, 190.0, 24.0, 34.0, 14.0, 40.0


def epsilon_bars(proven: Sequence[Proven], claimed: float | None) -> Markup:
    """A bar up to what is proven, a frame up to the most that could have been, a dashed line at the promise."""
    values = [one.finding.estimate or 0.0 for one in proven]
    values += [one.ceiling for one in proven if one.ceiling is not None] + ([claimed] if claimed is not None else [])
    top = max(values, default=1.0) or 1.0
    step = span_of([0.0, top]).step
    end = (top // step + 1) * step

    def x(value: float) -> float:
        return _LEFT + min(max(value, 0.0), end) / end * (_WIDTH - _LEFT - _RIGHT)

    height = _HEAD + _LINE * len(proven) + 4
    parts, said = [], []
    for n in range(round(end / step) + 1):
        at = x(n * step)
        kind = "grid" if n else "zero"
        parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{_HEAD:g}" y2="{height:g}"/>')
        parts.append(f'<text x="{at:.1f}" y="{_HEAD - 6:g}" text-anchor="middle">{n * step:g}</text>')
    for n, one in enumerate(proven):
        y = _HEAD + n * _LINE + (_LINE - _BAR) / 2
        bound = one.finding.estimate or 0.0
        kind = "v-fail" if one.over and not one.finding.unmet else "v-measured"
        label = escape(clip(one_line(one.label), 28))
        parts.append(f'<text x="{_LEFT - 10:g}" y="{y + _BAR - 3:g}" text-anchor="end">{label}</text>')
        parts.append(f'<g class="{kind}">')
        if one.ceiling is not None:
            width = x(one.ceiling) - _LEFT
            parts.append(f'<rect class="reach" x="{_LEFT:g}" y="{y:g}" width="{width:.1f}" height="{_BAR:g}"/>')
        if bound > 0:
            width = max(x(bound) - _LEFT, 2.0)
            parts.append(f'<rect class="bar full" x="{_LEFT:g}" y="{y:g}" width="{width:.1f}" height="{_BAR:g}"/>')
        words = f"≥ {bound:.2f}" if bound > 0 else "nothing proven"
        parts.append(f'<text class="on" x="{x(bound) + 6:.1f}" y="{y + _BAR - 3:g}">{words}</text></g>')
        ceiling = "" if one.ceiling is None else f" of at most {one.ceiling:.2f}"
        said.append(f"{one_line(one.label)}: {words}{ceiling}")
    if claimed is not None:
        at = x(claimed)
        middle = min(max(at, _LEFT + 40), _WIDTH - 50)
        parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{_HEAD:g}" y2="{height:g}"/>')
        parts.append(f'<text class="on" x="{middle:.1f}" y="14" text-anchor="middle">promised: {claimed:.3g}</text>')
        said.append(f"promised {claimed:.3g}")
    return svg("curves bars", height, f"ε proven. {'; '.join(said)}", parts, width=_WIDTH)


_SIDE, _GAP, _COLUMNS = 176.0, 56.0, 3
_TOP, _FOOT = 22.0, 34.0
_MARKED = (0.01, 0.001)
"""False positive rates at which attacks are compared (Carlini et al., S&P 2022)."""


def roc_panels(curves: Sequence[Traced]) -> Markup:
    """A panel for each attack, both axes logarithmic: the share of members found at each share of others accused.

    Both axes end below one of so many people: what lies further left or down cannot be seen with them.
    """
    low = min((_decade(1 / max(one.roc.outside, one.roc.inside)) for one in curves), default=0.1)
    rows = -(-len(curves) // _COLUMNS)
    parts: list[str] = []
    for n, one in enumerate(curves):
        left = _GAP + n % _COLUMNS * (_SIDE + _GAP)
        top = _TOP + n // _COLUMNS * (_SIDE + _TOP + _FOOT)
        parts += _panel(one, left, top, low, named=n % _COLUMNS == 0)
    said = "; ".join(f"{one_line(one.label)}: {_read(one)}" for one in curves)
    columns = min(len(curves), _COLUMNS)
    width = _GAP + columns * (_SIDE + _GAP) - _GAP + 32
    height = rows * (_SIDE + _TOP + _FOOT)
    return svg("curves roc", height, f"Members found at each share of others accused. {said}", parts, width=width)


def _panel(one: Traced, left: float, top: float, low: float, *, named: bool) -> Iterable[str]:
    decades = -math.log10(low)

    def x(share: float) -> float:
        return left + (1 + math.log10(max(share, low)) / decades) * _SIDE

    def y(share: float) -> float:
        return top - math.log10(max(share, low)) / decades * _SIDE

    title = escape(clip(one_line(one.label), 32))
    yield f'<text class="on" x="{left:g}" y="{top - 8:g}">{title}</text>'
    for n in range(round(decades) + 1):
        share = 10.0**-n
        at, across, word = x(share), y(share), f"{100 * share:g}%"
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top:g}" y2="{top + _SIDE:g}"/>'
        yield f'<line class="grid" x1="{left:g}" x2="{left + _SIDE:g}" y1="{across:.1f}" y2="{across:.1f}"/>'
        yield f'<text x="{at:.1f}" y="{top + _SIDE + 14:g}" text-anchor="middle">{word}</text>'
        yield f'<text x="{left - 5:g}" y="{across + 4:.1f}" text-anchor="end">{word}</text>'
    yield f'<text x="{left + _SIDE / 2:g}" y="{top + _SIDE + 27:g}" text-anchor="middle">others accused</text>'
    if named:
        yield f'<text x="{left - 5:g}" y="{top - 8:g}" text-anchor="end">found</text>'
    yield f'<line class="chance" x1="{x(low):.1f}" x2="{x(1):.1f}" y1="{y(low):.1f}" y2="{y(1):.1f}"/>'
    roc = one.roc
    upper = _steps(roc.fpr, roc.high, x, y)
    lower = _steps(roc.fpr, roc.low, x, y)
    band = " ".join([*upper, *reversed(lower)])
    yield f'<g class="v-measured"><polygon class="roc-band" points="{band}"/>'
    yield f'<polyline class="roc-line" points="{" ".join(_steps(roc.fpr, roc.tpr, x, y))}"/></g>'
    for fpr in _MARKED:
        found = _found_at(one, fpr)
        if found is None or fpr < low:
            continue
        at, height = x(fpr), y(found)
        # Beside the point, on the side where there is room.
        below = height < top + 24
        yield f'<line class="marked" x1="{at:.1f}" x2="{at:.1f}" y1="{top:g}" y2="{top + _SIDE:g}"/>'
        yield f'<g class="v-measured"><circle class="dot" cx="{at:.1f}" cy="{height:.1f}" r="3"/></g>'
        yield f'<text class="on" x="{at + 6:.1f}" y="{height + (16 if below else -7):.1f}">{percent(found)}</text>'


def _steps(
    fpr: Sequence[float], share: Sequence[float], x: Callable[[float], float], y: Callable[[float], float]
) -> list[str]:
    """Between two thresholds the share that is found stays what it was at the stricter one."""
    points: list[str] = []
    for n, (at, found) in enumerate(zip(fpr, share, strict=True)):
        if n:
            points.append(f"{x(at):.1f},{y(share[n - 1]):.1f}")
        points.append(f"{x(at):.1f},{y(found):.1f}")
    return points


def _found_at(one: Traced, fpr: float) -> float | None:
    """The share that is found where at most so many others are accused; None where so few cannot be seen."""
    if one.roc.outside * fpr < 1 - 1e-9:
        return None
    return max(found for at, found in zip(one.roc.fpr, one.roc.tpr, strict=True) if at <= fpr + 1e-9)


def _read(one: Traced) -> str:
    said = [f"AUC {number(one.finding.estimate)}"]
    for fpr in _MARKED:
        found = _found_at(one, fpr)
        if found is not None:
            said.append(f"{percent(found)} at {percent(fpr)}")
    return ", ".join(said)


_PRICED, _PRICE_LEFT, _PRICE_FOOT, _NO_PROMISE, _PRICE_KEY = 220.0, 56.0, 40.0, 90.0, 18.0


def price_curve(prices: Prices) -> Markup:
    """Quality against the ε promised, on a logarithmic scale; runs that promise nothing stand apart at the right."""
    spans = [(p.quality.ci or (0.0, 0.0), p.quality.estimate or 0.0) for p in prices.points]
    scale = span_of([v for (low, high), dot in spans for v in (low, dot, high)])
    promised = [p.epsilon for p in prices.points if p.epsilon]
    first = math.floor(math.log10(min(promised, default=1.0)) + 1e-9)
    last = max(math.ceil(math.log10(max(promised, default=1.0)) - 1e-9), first + 1)
    right = _WIDTH - _NO_PROMISE

    def x(point: Priced) -> float:
        if point.epsilon is None:
            return right + _NO_PROMISE / 2
        at = math.log10(max(point.epsilon, 10.0**first))
        return _PRICE_LEFT + 16 + (at - first) / (last - first) * (right - _PRICE_LEFT - 32)

    def y(value: float) -> float:
        return 10 + (scale.high - value) / (scale.high - scale.low) * (_PRICED - _PRICE_FOOT - 10)

    parts = []
    for tick in scale.ticks:
        at = y(tick)
        parts.append(f'<line class="grid" x1="{_PRICE_LEFT:g}" x2="{_WIDTH:g}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_PRICE_LEFT - 6:g}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    foot = _PRICED - _PRICE_FOOT + 16
    for decade in range(first, last + 1):
        for epsilon in (10.0**decade, 3 * 10.0**decade):
            at = _PRICE_LEFT + 16 + (math.log10(epsilon) - first) / (last - first) * (right - _PRICE_LEFT - 32)
            if at <= right:
                parts.append(f'<text x="{at:.1f}" y="{foot:g}" text-anchor="middle">{epsilon:g}</text>')
    parts.append(f'<line class="chance" x1="{right:g}" x2="{right:g}" y1="4" y2="{_PRICED - 8:g}"/>')
    middle = right + _NO_PROMISE / 2
    parts.append(f'<text x="{middle:g}" y="{foot:g}" text-anchor="middle">no promise</text>')
    axis = f"ε promised; to the left more privacy. Upwards: {escape(one_line(prices.measure))}"
    parts.append(f'<text x="{(_PRICE_LEFT + right) / 2:g}" y="{_PRICED - 6:g}" text-anchor="middle">{axis}</text>')
    along = [(x(p), y(dot)) for p, (_, dot) in zip(prices.points, spans, strict=True) if p.epsilon is not None]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in along)
    parts.append(f'<g class="v-measured"><polyline class="roc-line" points="{line}"/>')
    said = []
    for n, (point, ((low, high), dot)) in enumerate(zip(prices.points, spans, strict=True)):
        at = x(point) + (14.0 * _alike(prices.points, n) if point.epsilon is None else 0.0)
        parts.append(f'<line class="span" x1="{at:.1f}" x2="{at:.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>')
        parts.append(f'<circle class="dot" cx="{at:.1f}" cy="{y(dot):.1f}" r="4"/>')
        parts.append(f'<text class="on" x="{at + 7:.1f}" y="{y(dot) - 6:.1f}">{n + 1}</text>')
        promise = "no promise" if point.epsilon is None else f"ε = {point.epsilon:.3g}"
        told = f"{one_line(point.name)}: {promise}, {number(dot)} {interval((low, high))}"
        down = _PRICED + 12 + n * _PRICE_KEY
        parts.append(f'<text class="no" x="{_PRICE_LEFT:g}" y="{down:g}" text-anchor="end">{n + 1}</text>')
        parts.append(f'<text class="key" x="{_PRICE_LEFT + 10:g}" y="{down:g}">{escape(clip(told, 90))}</text>')
        said.append(told)
    height = _PRICED + 4 + _PRICE_KEY * len(prices.points)
    title = f"{one_line(prices.measure)} against the ε promised. {'; '.join(said)}"
    return svg("curves roc", height, title, [*parts, "</g>"], width=_WIDTH)


def _alike(points: Sequence[Priced], n: int) -> float:
    """How far the n-th point has to step aside so that those without a promise do not hide each other."""
    alone = [i for i, p in enumerate(points) if p.epsilon is None]
    return alone.index(n) - (len(alone) - 1) / 2


def _decade(share: float) -> float:
    """The power of ten at or below a share, at most a tenth."""
    return 10.0 ** min(math.floor(math.log10(share) + 1e-9), -1)
