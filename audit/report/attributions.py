"""What moved an answer: bars with their intervals, and which of them cannot be told apart. No markup but the chart's.

A bar's length is read against the others of one answer and against nothing else: scales differ between targets, so no
share of a whole is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from audit.findings import Attributed, Bar
from audit.text import clip, interval, number, one_line

MOST = 20
"""Bars of one answer in a report; the longest have the room."""
_LABEL, _SAID, _NAME = 80, 300, 40
_WIDTH, _HEIGHT, _EDGE = 240.0, 20.0, 6.0
_BLOCKS = 24
"""Characters of the longest bar where there is only text."""

FAITHFUL = {
    True: "✔ faithful here",
    False: "✖ not shown to be faithful",
    None: "? nobody can tell whether it is faithful",
}
"""Shape and words: a badge must survive print and colour blindness."""
KINDS = {True: "pass", False: "fail", None: "measured"}


@dataclass(frozen=True)
class BarLine:
    """One bar, ready to be shown.

    Attributes:
        label: the part of the request.
        value: signed, as printed.
        span: its interval as printed; empty where there is none.
        tied: letter of the group that it cannot be told apart from; empty where it stands alone.
        note: what else is known; may be empty.
        plot: the bar as inline SVG.
        blocks: the bar in characters, for plain text.
    """

    label: str
    value: str
    span: str
    tied: str
    note: str
    plot: Markup
    blocks: str


@dataclass(frozen=True)
class Chart:
    """The attribution of one answer. All text is safe to print but not yet escaped for a markup.

    Attributes:
        lines: the bars, the highest value first.
        scale: what the numbers measure.
        method: how they were made.
        badge: whether they can be believed, in a few words with a shape; empty where nothing is said of it.
        kind: class of the badge's colour.
        why: the badge's figures; may be empty.
        limits: what the numbers do not say; may be empty.
        ties: whether any bars cannot be told apart.
        more: bars that found no room.
    """

    lines: tuple[BarLine, ...]
    scale: str
    method: str
    badge: str
    kind: str
    why: str
    limits: str
    ties: bool
    more: int


def chart(attribution: Attributed) -> Chart:
    """Lay the bars of one answer out on one scale with zero on it."""
    longest = sorted(attribution.bars, key=lambda bar: -abs(bar.value))[:MOST]
    shown = sorted(longest, key=lambda bar: -bar.value)
    ends = [x for bar in shown for x in (bar.value, bar.low, bar.high) if x is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    if low == high:
        high = low + 1.0
    return Chart(
        tuple(_line(bar, low, high) for bar in shown),
        clip(one_line(attribution.scale), _SAID),
        clip(one_line(attribution.method), _SAID),
        "" if attribution.faithful is None and not attribution.badge else FAITHFUL[attribution.faithful],
        KINDS[attribution.faithful],
        clip(one_line(attribution.badge), _SAID),
        clip(one_line(attribution.limits), _SAID),
        any(bar.tied for bar in shown),
        len(attribution.bars) - len(shown),
    )


def letters(group: int) -> str:
    """Name of a group of ties: A to Z, then AA and so on; empty for none."""
    name = ""
    while group > 0:
        group, rest = divmod(group - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _line(bar: Bar, low: float, high: float) -> BarLine:
    span = "" if bar.low is None or bar.high is None else interval((bar.low, bar.high))
    blocks = round(_BLOCKS * abs(bar.value) / max(high, -low))
    tied = letters(bar.tied)
    return BarLine(
        clip(one_line(bar.label), _LABEL) or "(no title)",
        number(bar.value, signed=True),
        span,
        tied,
        clip(one_line(bar.note), _SAID),
        _plot(bar, low, high, tied),
        ("█" if bar.value >= 0 else "▒") * blocks or "▏",
    )


def _plot(bar: Bar, low: float, high: float, tied: str) -> Markup:
    def x(value: float) -> float:
        return _EDGE + (value - low) / (high - low) * (_WIDTH - 2 * _EDGE)

    zero, end, middle = x(0.0), x(bar.value), _HEIGHT / 2
    kind, left, long = "for" if bar.value >= 0 else "against", min(zero, end), abs(end - zero)
    parts = [
        f'<rect class="bar {kind}" x="{left:.1f}" y="4" width="{long:.1f}" height="{_HEIGHT - 8:g}"/>',
        f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{_HEIGHT:g}"/>',
    ]
    said = f"{clip(one_line(bar.label), _NAME)}: {number(bar.value, signed=True)}"
    if bar.low is not None and bar.high is not None:
        a, b = x(bar.low), x(bar.high)
        parts.append(f'<path class="whisker" d="M{a:.1f} {middle - 4:g}v8m0 -4H{b:.1f}m0 -4v8"/>')
        said += f" {interval((bar.low, bar.high))}"
    said += f", tied with group {tied}" if tied else ""
    return Markup(  # noqa: S704 - every foreign text in it is escaped
        f'<svg class="bars attributed" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )
