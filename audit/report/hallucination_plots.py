"""Bars of the hallucination audit as inline SVG: made-up titles between two bounds, and claims split in three.

A share is told by its label, its place and its hatching, not by colour alone. Whatever is written in an SVG is a number
of ours or escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from audit.report.hallucination import ItemLine, Stack
from audit.report.plots import Scale, span_of, svg
from audit.text import clip, interval, one_line, percent

_WIDTH, _LEFT, _RIGHT, _LINE, _BAR, _HEAD = 640.0, 190.0, 24.0, 30.0, 16.0, 24.0
_CLASSES = ("c-supported", "c-contradicted", "c-unverifiable")
_SHAPES = ("✔", "✖", "?")
_NAMES = ("supported", "contradicted", "cannot be checked")


def bounds(lines: Sequence[ItemLine]) -> Markup:
    """Made-up titles: filled to the low bound, hatched from there to the high one, with the interval of both."""
    ends = [end for line in lines for f in (line.low, line.high) if f is not None for end in f.ci or ()]
    top = max([0.01, *ends, *(line.high.estimate or 0.0 for line in lines if line.high is not None)])
    scale = Scale(0.0, min(1.0, _round_up(top)), span_of([0.0, min(1.0, top)]).step)

    def x(value: float) -> float:
        return _LEFT + min(max(value, 0.0), scale.high) / scale.high * (_WIDTH - _LEFT - _RIGHT)

    height = _HEAD + _LINE * len(lines) + 4
    parts, said = [], []
    for tick in scale.ticks:
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{_HEAD:g}" y2="{height:g}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{_HEAD - 8:g}" text-anchor="middle">{percent(tick)}</text>')
    for n, line in enumerate(lines):
        top_, middle = _HEAD + n * _LINE + (_LINE - _BAR) / 2, _HEAD + n * _LINE + _LINE / 2
        low = line.low.estimate or 0.0
        high = line.high.estimate or 0.0 if line.high is not None else low
        parts.append(_label(line.label, middle))
        parts.append('<g class="c-contradicted">')
        parts.append(f'<rect class="bar" x="{_LEFT:g}" y="{top_:g}" width="{x(low) - _LEFT:.1f}" height="{_BAR:g}"/>')
        if high > low:
            parts.append(_hatched(x(low), top_, x(high) - x(low)))
        ends = [end for f in (line.low, line.high) if f is not None for end in f.ci or ()]
        if ends:
            a, b = x(min(ends)), x(max(ends))
            parts.append(f'<line class="whisker" x1="{a:.1f}" x2="{b:.1f}" y1="{middle:g}" y2="{middle:g}"/>')
            parts += [f'<path class="whisker" d="M{end:.1f} {middle - 5:g}v10"/>' for end in (a, b)]
        parts.append("</g>")
        said.append(f"{one_line(line.label)}: {percent(low)} to {percent(high)} {interval(line.low.ci)}")
    return svg("curves bars", height, f"made-up titles. {'; '.join(said)}", parts, width=_WIDTH)


def stacked(stacks: Sequence[Stack]) -> Markup:
    """Claims: supported, contradicted and unverifiable make up each bar."""
    height = _HEAD + _LINE * len(stacks) + 4
    whole = _WIDTH - _LEFT - _RIGHT
    parts, said = [], []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + tick * whole
        parts.append(f'<text x="{x:.1f}" y="{_HEAD - 8:g}" text-anchor="middle">{percent(tick)}</text>')
    for n, stack in enumerate(stacks):
        top, middle = _HEAD + n * _LINE + (_LINE - _BAR) / 2, _HEAD + n * _LINE + _LINE / 2
        parts.append(_label(stack.label, middle))
        at, told = _LEFT, []
        for finding, kind, shape, name in zip(stack.parts, _CLASSES, _SHAPES, _NAMES, strict=True):
            share = min(max(finding.estimate or 0.0, 0.0), 1.0)
            width = share * whole
            told.append(f"{name} {percent(share)} {interval(finding.ci)}")
            if width <= 0:
                continue
            parts.append(f'<g class="{kind}">')
            parts.append(f'<rect class="bar" x="{at:.1f}" y="{top:g}" width="{width:.1f}" height="{_BAR:g}"/>')
            if kind == "c-unverifiable":
                parts.append(_hatched(at, top, width))
            if width > 44:
                middle_ = at + width / 2
                parts.append(
                    f'<text class="on" x="{middle_:.1f}" y="{middle + 4:g}" text-anchor="middle">'
                    f"{shape} {percent(share)}</text>"
                )
            parts.append("</g>")
            at += width
        said.append(f"{one_line(stack.label)}: {', '.join(told)}")
    return svg("curves bars", height, f"claims. {'; '.join(said)}", parts, width=_WIDTH)


def _label(text: str, middle: float) -> str:
    label = escape(clip(one_line(text), 26))
    return f'<text x="{_LEFT - 10:g}" y="{middle + 4:g}" text-anchor="end">{label}</text>'


def _hatched(x: float, y: float, width: float) -> str:
    """A box of slanted lines, drawn one by one: a pattern would need a reference, which the page forbids."""
    lines = []
    start = -_BAR
    while start < width:
        a, b = max(start, 0.0), min(start + _BAR, width)
        if b > a:
            lines.append(f"M{x + a:.1f} {y + _BAR - (a - start):.1f}L{x + b:.1f} {y + _BAR - (b - start):.1f}")
        start += 6.0
    box = f'<rect class="frame" x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{_BAR:g}"/>'
    return f'{box}<path class="hatch" d="{"".join(lines)}"/>'


def _round_up(value: float) -> float:
    step = span_of([0.0, value]).step / 2
    return -(-value // step) * step
