"""The part of `make attack-table` on sellers' texts: what lifted an item, and what drew the instruction out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.findings import Finding
from audit.run import Run

_NARROW = ("stratum", "family", "field", "style", "position", "channel", "carrier")
"""Params of findings over some of an attack's trials."""


def promotions(target: str, run: Run) -> Iterator[str]:
    """Promotions and leaks on one target as Markdown, each with what harmless text did; nothing if there are none."""
    found = [f for f in run.findings if f.estimate is not None and not any(f.params.get(way) for way in _NARROW)]
    users = max((f.n for f in found if f.metric == "exposure_lift"), default=0)
    if not users:
        return
    yield f"## {target}: promotions and leaks"
    yield ""
    yield (
        f"{run.usage.queries + run.usage.reused:,} questions; promotions judged on {users} users that no search has "
        "seen. Each column: what exceeds harmless text of the same length, with its interval at 95 %; in brackets the "
        "attack's own figure / that of the harmless text."
    )
    yield ""
    yield "| attack | came among the first k | exposure gained | places gained | NDCG lost | instruction leaked |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name in dict.fromkeys(str(f.params["attack"]) for f in found if "attack" in f.params):
        mine = [f for f in found if f.params.get("attack") == name]
        title = next((f.title.split(":")[0] for f in mine), name)
        metrics = ("psr", "exposure_lift", "rank_gain", "collateral", "leak_rate")
        cells = [_cell(mine, metric) for metric in metrics]
        if set(cells) != {"–"}:
            yield f"| {title} | " + " | ".join(cells) + " |"
    yield ""


def _cell(findings: Sequence[Finding], metric: str) -> str:
    fits = (f for f in findings if f.metric == metric and f.params.get("measure") in (None, "ndcg"))
    f = next(fits, None)
    if f is None or f.estimate is None:
        return "–"
    if f.effect is None or f.effect_ci is None:
        return f"({f.estimate:.3f})"
    return f"{f.effect:.3f} [{f.effect_ci[0]:.3f}, {f.effect_ci[1]:.3f}] ({f.estimate:.3f} / {f.floor or 0.0:.3f})"
