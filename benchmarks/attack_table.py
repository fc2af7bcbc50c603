"""`make attack-table`: every attack on one target in one table, with paired intervals against the null.

Runs the audits `examples/audits/attack-table-*.yaml`, or goes on with those that were stopped: the store keeps what
each search had found, so that the command can be given again at any time. Writes `docs/attacks/table.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit.config import load
from audit.findings import Finding
from audit.gateway import Progress
from audit.run import Run
from audit.runner import begin, execute, prepare, resume
from audit.store import Store

ROOT = Path(__file__).parents[1]
AUDITS = ("attack-table-p5", "attack-table-tallrec")
PAGE = ROOT / "docs" / "attacks" / "table.md"
_START, _END = "<!-- written by `make attack-table` -->", "<!-- end -->"


def finished(name: str, store: Store) -> Run:
    """The audit of this name: the stored one, gone on with where it was stopped, or a new one."""
    path = ROOT / "examples" / "audits" / f"{name}.yaml"
    wanted = load(path)[0].model_dump(mode="json")
    for record in store.runs():
        same = all(record.config.get(key) == value for key, value in wanted.items())
        if record.name == name and same:
            return Run(record, store) if record.status == "finished" else resume(record.id, store=store, progress=_say)
    prepared = prepare(path)
    return execute(begin(prepared, store), prepared, progress=_say)


def _say(progress: Progress) -> None:
    if progress.total and progress.done == progress.total and progress.total >= 2000:
        print(f"{progress.label}: {progress.usage.queries:,} queries so far", file=sys.stderr, flush=True)


def table(run: Run) -> Iterator[str]:
    """The attacks of a run as Markdown: what they cost the target, above which floor, and at which price."""
    rank = any(f.metric == "asr" for f in run.findings)
    main, what = ("asr", "relative drop of NDCG@10 (ASR)") if rank else ("flip_rate", "right decisions turned wrong")
    usage = run.usage
    yield f"### {run.record.target.get('name')}"
    yield ""
    yield (
        f"{len(run.store.values(run.id, _first(run))) or '?'} users, {usage.queries:,} true queries, "
        f"{usage.seconds / 60:.0f} minutes of the target's own time. Value: {what}, with its interval at 95 %. "
        "Effect: what lies above a benign change of the same kind on the same users. Last column: by how much the "
        "champion takes more from the same users than this attack (NDCG, or share of right decisions); * where "
        "Holm-adjusted p < .05."
    )
    yield ""
    extra = "" if rank else "AUC lost, effect | "
    yield f"| attack | labels | budget | value | effect | {extra}queries | edits | champion takes more by |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|" + ("" if rank else "---:|")
    found = [f for f in run.findings if f.metric == main and "attack" in f.params and f.estimate is not None]
    for f in sorted(found, key=lambda f: (int(f.params.get("budget") or 0), -(f.effect or 0.0))):
        key = {k: f.params.get(k) for k in ("attack", "budget", "labels")}
        auc = _of(run.findings, "auc_drop", key)
        cells = [
            f.title.split(":")[0].split(",")[0],
            str(f.params.get("labels") or "–"),
            str(f.params.get("budget") or 0),
            _span(f.estimate, f.ci),
            _span(f.effect, f.effect_ci),
            *([] if rank else [_span(auc.effect, auc.effect_ci) if auc else "–"]),
            *(_plain(_of(run.findings, metric, key)) for metric in ("queries", "edits")),
            _advantage(run.findings, key),
        ]
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _first(run: Run) -> str:
    return next((f.id for f in run.findings if f.params.get("control") == "repeat" and f.metric == "rbo_loss"), "")


def _plain(finding: Finding | None) -> str:
    return "–" if finding is None or finding.estimate is None else f"{finding.estimate:.3g}"


def _of(findings: Sequence[Finding], metric: str, key: dict[str, object]) -> Finding | None:
    fits = (f for f in findings if f.metric == metric and all(f.params.get(k) == v for k, v in key.items()))
    return next(fits, None)


def _advantage(findings: Sequence[Finding], key: dict[str, object]) -> str:
    """The champion's advantage over this attack, at this budget (a blind rival: at each of the champion's)."""
    said = []
    for f in findings:
        same = key["budget"] is None or f.params.get("budget") == key["budget"]
        mode = key["labels"] is None or f.params.get("labels") == key["labels"]
        if (
            f.metric == "advantage"
            and f.params.get("over") == key["attack"]
            and same
            and mode
            and f.estimate is not None
        ):
            star = "*" if f.p_adjusted is not None and f.p_adjusted < 0.05 else ""
            said.append(f"{_span(f.estimate, f.ci)}{star}")
    return "; ".join(said) or "–"


def _span(value: float | None, ci: tuple[float, float] | None) -> str:
    return "–" if value is None or ci is None else f"{value:.3f} [{ci[0]:.3f}, {ci[1]:.3f}]"


def main() -> int:
    """Run what is missing, and write the page."""
    names = sys.argv[1:] or AUDITS
    parts: list[str] = []
    with Store() as store:
        for name in names:
            parts += table(finished(name, store))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_START)
    after = rest.split(_END)[1]
    PAGE.write_text(f"{before}{_START}\n\n" + "\n".join(parts) + f"\n{_END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
