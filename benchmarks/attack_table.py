"""`make attack-table`: every attack on one target in one table, with paired intervals against the null.

Runs the audits named below, or goes on with those that were stopped: the store keeps what each search had found, so
that the command can be given again at any time. Writes `docs/attacks/table.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from audit.findings import Finding
from audit.run import Run
from audit.store import Store
from benchmarks.promotion_table import promotions
from benchmarks.stored_audits import ROOT, finished, rewrite

TABLES = {
    "P5": ("cheatagent-p5", "agents-p5", "rivals-p5", "more-rivals-p5"),
    "TALLRec": ("agents-tallrec",),
    "SmolLM2": ("promotions-smollm2",),
}
"""Audits by the target whose table they make, in `examples/audits`. What several hold is taken from the first."""
PAGE = ROOT / "docs" / "attacks" / "table.md"
_TERMS = re.compile(r", (best of \d+|\d+ queries)(, labels known)?$")
"""What a title says of a search; the table has columns for it."""


def table(target: str, runs: Sequence[Run]) -> Iterator[str]:
    """The attacks on one target as Markdown: what they cost it, above which floor, and at which price."""
    findings = list({_place(f): f for run in reversed(runs) for f in run.findings}.values())
    if not any(_judged(f, ("asr", "flip_rate")) for f in findings):
        return
    rank = any(f.metric == "asr" for f in findings)
    main, what = ("asr", "relative drop of NDCG@10 (ASR)") if rank else ("flip_rate", "right decisions turned wrong")
    queries = sum(r.usage.queries + r.usage.reused for r in runs)
    yield f"## {target}"
    yield ""
    yield (
        f"{queries:,} questions. Value: {what}, with its interval at 95 %. Effect: what lies above a benign change of "
        "the same kind on the same users. Last column: by how much a champion takes more from the same users than this "
        "attack (NDCG, or share of right decisions), with its interval; * where Holm-adjusted p < .05."
    )
    yield ""
    extra = "" if rank else "AUC lost, effect | "
    yield f"| attack | labels | budget | users × seeds | value | effect | {extra}queries | edits | champion ahead by |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---|" + ("" if rank else "---:|")
    found = [f for f in findings if _judged(f, (main,))]
    for f in sorted(found, key=lambda f: (int(f.params.get("budget") or 0), -(f.effect or 0.0))):
        key = {k: f.params.get(k) for k in ("attack", "budget", "labels")}
        auc = _of(findings, "auc_drop", key)
        cells = [
            _TERMS.sub("", f.title.split(":")[0]),
            str(f.params.get("labels") or "–"),
            str(f.params.get("budget") or 0),
            f"{f.n} × {f.params.get('seeds', 1)}",
            _span(f.estimate, f.ci),
            _span(f.effect, f.effect_ci),
            *([] if rank else [_span(auc.effect, auc.effect_ci) if auc else "–"]),
            *(_plain(_of(findings, metric, key)) for metric in ("queries", "edits")),
            _advantage(findings, key),
        ]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _place(finding: Finding) -> tuple[object, ...]:
    """Equal for findings of one cell of the table, however many seeds they are a mean over."""
    return finding.metric, *sorted((k, str(v)) for k, v in finding.params.items() if k != "seeds")


def _judged(finding: Finding, metrics: Sequence[str]) -> bool:
    return finding.metric in metrics and "attack" in finding.params and finding.estimate is not None


def _plain(finding: Finding | None) -> str:
    return "–" if finding is None or finding.estimate is None else f"{finding.estimate:.3g}"


def _of(findings: Sequence[Finding], metric: str, key: dict[str, object]) -> Finding | None:
    fits = (f for f in findings if f.metric == metric and all(f.params.get(k) == v for k, v in key.items()))
    return next(fits, None)


def _advantage(findings: Sequence[Finding], key: dict[str, object]) -> str:
    """The champion's advantage over this attack, at this budget (a blind rival: at each of the champion's)."""
    said = []
    for f in findings:
        same = f.params.get("over") == key["attack"] and f.params.get("over_budget") == (key["budget"] or 0)
        mode = key["labels"] is None or f.params.get("labels") == key["labels"]
        if f.metric == "advantage" and same and mode and f.estimate is not None:
            by = str(f.params["attack"])
            star = "*" if f.p_adjusted is not None and f.p_adjusted < 0.05 else ""
            said.append(f"{by} {_span(f.estimate, f.ci)}{star}")
    return "; ".join(said) or "–"


def _span(value: float | None, ci: tuple[float, float] | None) -> str:
    return "–" if value is None or ci is None else f"{value:.3f} [{ci[0]:.3f}, {ci[1]:.3f}]"


def main() -> int:
    """Run what is missing, and write the page."""
    with Store() as store:
        parts: list[str] = []
        for target, names in TABLES.items():
            runs = [finished(name, store) for name in names]
            parts += table(target, runs)
            for run in runs:
                parts += promotions(target, run)
    rewrite(PAGE, "make attack-table", parts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
