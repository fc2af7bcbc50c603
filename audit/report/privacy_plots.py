"""ε that attacks prove against ε that was promised, as inline SVG. What is written there is ours or escaped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from audit.report.plots import span_of, svg
from audit.report.privacy import Proven
from audit.text import clip, one_line

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
