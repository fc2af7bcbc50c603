"""Forest plots as inline SVG: the interval is a line, the estimate a dot, the floor a tick, the limit a dashed line.

All strips of a group share one scale, so they can be compared down the page. The side of the limit on which a finding
fails is shaded. Colours come from the page's style sheet by class, so they follow dark mode and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from audit.policy import held_back
from audit.report import words
from audit.report.fairness import Chart
from audit.report.view import Row
from audit.text import clip, interval, number, one_line, threshold

WIDTH, HEIGHT, MARGIN = 260.0, 26.0, 16.0


@dataclass(frozen=True)
class Scale:
    """Maps values to horizontal places.

    Attributes:
        low: value at the left margin.
        high: value at the right margin.
        step: between ticks.
    """

    low: float
    high: float
    step: float

    def x(self, value: float) -> float:
        """Place of a value, in the units of the SVG; values beyond the ends stay at the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return MARGIN + share * (WIDTH - 2 * MARGIN)

    @property
    def ticks(self) -> list[float]:
        """Round values from end to end."""
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [round(i * self.step, 10) for i in range(first, last + 1)]


def scale_of(rows: Iterable[Row]) -> Scale:
    """The scale on which all intervals, floors and limits of these rows find room; 0 is always on it."""
    values = [0.0]
    for row in rows:
        values += row.drawn or ()
        values += [v for v in (row.limit, row.finding.floor) if v is not None]
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    step = round_step(width / 4)
    # Ends are multiples of half a step: wide enough for the data, without a half-empty plot.
    half = step / 2
    return Scale(math.floor(low / half + 1e-9) * half, math.ceil((high or half) / half - 1e-9) * half, step)


def round_step(rough: float) -> float:
    """The next round number from `rough` up: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough - 1e-12)


def decimals(step: float) -> int:
    """Digits behind the point that multiples of a round step need."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def axis(scale: Scale) -> Markup:
    """The tick labels of a group, for the head of its column."""
    parts = []
    for value in scale.ticks:
        x = scale.x(value)
        label = f"{abs(value):.{decimals(scale.step)}f}"
        sign = "−" if value < 0 and float(label) != 0 else ""
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="15" y2="19"/>')
        parts.append(f'<text x="{x:.1f}" y="11" text-anchor="middle">{sign}{label}</text>')
    return svg("axis", 19, f"scale from {number(scale.low)} to {number(scale.high)}", parts)


def strip(row: Row, scale: Scale) -> Markup:
    """One finding on the scale of its group."""
    drawn = row.drawn
    if drawn is None:
        return Markup("")
    low, dot, high = drawn
    f = row.finding
    middle = HEIGHT / 2
    parts = [
        f'<line class="{"grid" if t else "zero"}" x1="{scale.x(t):.1f}" x2="{scale.x(t):.1f}" y1="0" y2="{HEIGHT:g}"/>'
        for t in scale.ticks
    ]
    if row.limit is not None:
        x = scale.x(row.limit)
        left, right = (x, WIDTH) if row.at_most else (0.0, x)
        parts.append(
            f'<rect class="bad" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{HEIGHT:g}"/>'
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT:g}"/>'
        )
    if f.floor is not None:
        x = scale.x(f.floor)
        parts.append(
            f'<line class="floor" x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 9:g}" y2="{middle + 9:g}"/>'
            f'<path class="floor-foot" d="M{x - 3:.1f} {middle + 9:g}h6"/>'
        )
    kind = (f.verdict or "measured").replace("_", "-")
    parts.append(
        f'<g class="v-{kind}"><line class="span" x1="{scale.x(low):.1f}" x2="{scale.x(high):.1f}" '
        f'y1="{middle:g}" y2="{middle:g}"/>{_mark(f.verdict, scale.x(dot), middle)}</g>'
    )
    return svg("strip", HEIGHT, spoken(row), parts)


def _mark(verdict: str | None, x: float, y: float) -> str:
    """The estimate: a shape for each verdict, so that it can be told without colour."""
    if verdict == "fail":
        return f'<path class="dot" d="M{x - 4.5:.1f} {y:g}l4.5 -4.5l4.5 4.5l-4.5 4.5z"/>'
    if verdict == "inconclusive":
        return f'<circle class="dot hollow" cx="{x:.1f}" cy="{y:g}" r="4"/>'
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:g}" r="{4 if verdict == "pass" else 3:g}"/>'


def spoken(row: Row) -> str:
    """The strip in words, for readers who do not see it."""
    f = row.finding
    text = f"{one_line(f.title)}: {number(f.estimate)} {interval(f.ci)}"
    if f.floor is not None:
        text += f", floor {number(f.floor)}, effect above it {number(f.effect)} {interval(f.effect_ci)}"
    if f.threshold is not None:
        text += f", limit {threshold(f.threshold, at_most=row.at_most)} on the {'effect' if row.on_effect else 'value'}"
    return f"{text}: {words.VERDICT_WORDS[f.verdict]}"


def forest(chart: Chart) -> Markup:
    """Effects of a chart, one line each, with the band in which nothing is amiss."""
    width, left, line, head = 640.0, 220.0, 20.0, 24.0
    marks = [mark for _, section in chart.marks for mark in section]
    ends = [end for end in chart.band or () if end is not None]
    values = [chart.middle, *ends, *(v for m in marks for v in m.span)]
    values += [m.beside for m in marks if m.beside is not None]
    scale = span_of(values)

    def x(value: float) -> float:
        share = (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low)
        return left + share * (width - left - 12)

    height = head + line * sum(len(section) + bool(name) for name, section in chart.marks) + 6
    parts = []
    if chart.band is not None:
        from_, to = chart.band
        low, high = left if from_ is None else x(from_), width - 12 if to is None else x(to)
        parts.append(
            f'<rect class="good" x="{low:.1f}" y="{head:g}" width="{high - low:.1f}" height="{height - head:g}"/>'
        )
    for tick in scale.ticks:
        kind = "zero" if abs(tick - chart.middle) < scale.step / 1e3 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{head:g}" y2="{height:g}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{head - 8:g}" text-anchor="middle">{number(tick)}</text>')
    if min(abs(tick - chart.middle) for tick in scale.ticks) >= scale.step / 1e3:
        at = x(chart.middle)
        parts.append(f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="{head:g}" y2="{height:g}"/>')
    y, said = head, []
    for name, section in chart.marks:
        if name:
            parts.append(f'<text class="head" x="0" y="{y + 14:g}">{escape(clip(one_line(name), 34))}</text>')
            y += line
        for mark in section:
            low, dot, high = mark.span
            middle, f = y + line / 2, mark.finding
            kind = (f.verdict or "measured").replace("_", "-")
            label = escape(clip(one_line(mark.label), 30))
            parts.append(f'<text x="{left - 10:g}" y="{middle + 4:g}" text-anchor="end">{label}</text>')
            if mark.beside is not None:
                parts.append(f'<circle class="beside" cx="{x(mark.beside):.1f}" cy="{middle:g}" r="4"/>')
            parts.append(
                f'<g class="v-{kind}"><line class="span" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle:g}" '
                f'y2="{middle:g}"/>{_mark(f.verdict, x(dot), middle)}</g>'
            )
            verdict = words.VERDICT_WORDS[f.verdict]
            if held_back(f):
                verdict += ", beyond the limit and not decided"
            who = f"{one_line(name)}, {one_line(mark.label)}" if name else one_line(mark.label)
            said.append(f"{who} {number(dot)} {interval((low, high))}, {verdict}")
            y += line
    return svg("curves forest", height, f"{chart.title}. {'; '.join(said)}", parts, width=width)


def span_of(values: Sequence[float]) -> Scale:
    """The scale of a plot that holds these values, with round steps and some room at both ends."""
    low, high = min(values), max(values)
    step = round_step(((high - low) or max(abs(high), 0.1)) / 4)
    low, high = (math.floor(low / step + 1e-9) - 0.5) * step, (math.ceil(high / step - 1e-9) + 0.5) * step
    return Scale(low, high, step)


def svg(kind: str, height: float, title: str, parts: Iterable[str], width: float = WIDTH) -> Markup:
    """The parts must be made of numbers and names of ours alone; the title may be anybody's text and is escaped."""
    label = escape(title)
    role = f'role="img" aria-label="{label}"' if title else 'aria-hidden="true"'
    return Markup(  # noqa: S704 - see above: the only foreign text is escaped
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" {role}>'
        f"{f'<title>{label}</title>' if title else ''}{''.join(parts)}</svg>"
    )


LEGEND = {
    name: svg("sample", 14, "", parts, width=34)
    for name, parts in {
        "span": (
            '<g class="v-measured"><line class="span" x1="3" x2="31" y1="7" y2="7"/>',
            '<circle class="dot" cx="17" cy="7" r="3"/></g>',
        ),
        "floor": (
            '<line class="floor" x1="17" x2="17" y1="1" y2="13"/>',
            '<path class="floor-foot" d="M14 13h6"/>',
        ),
        "limit": (
            '<rect class="bad" x="17" y="0" width="17" height="14"/>',
            '<line class="limit" x1="17" x2="17" y1="0" y2="14"/>',
        ),
    }.items()
}
"""Samples of the signs, for the legend."""
