"""`make defense-table`: every attack against every defense, on P5 and on TALLRec.

Runs the audits named below, or goes on with those that were stopped; the command can be given again at any time. Writes
`docs/defenses/table.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

from audit.report.defenses import defense_view
from audit.report.markdown import defenses
from audit.run import Run
from audit.store import Store
from benchmarks.stored_audits import ROOT, finished, rewrite

TABLES = {"P5": "defended-p5", "TALLRec": "defended-tallrec"}
"""The audit of each target, in `examples/audits`."""
PAGE = ROOT / "docs" / "defenses" / "table.md"


def table(target: str, run: Run) -> Iterator[str]:
    """The comparison on one target as Markdown."""
    usage = run.usage
    yield f"## {target}"
    yield ""
    yield (
        f"{usage.queries:,} questions to the bare and the defended targets. Values with their intervals at 95 %; a "
        "defense is compared with none on the same users."
    )
    yield ""
    view = defense_view(run.findings)
    if view is not None:
        for part in defenses(view):
            yield part
            yield ""
    yield from _untested(run)


def _untested(run: Run) -> Iterator[str]:
    skipped = [f for f in run.findings if f.verdict == "not_applicable" and f.params.get("defense")]
    reasons: dict[str, list[str]] = {}
    for f in skipped:
        reasons.setdefault(f.reason, []).append(f.title)
    if reasons:
        yield "Not tested, and so not passed:"
        yield ""
        for reason, titles in reasons.items():
            more = f" and {len(titles) - 2} more" if len(titles) > 2 else ""
            yield f"- {'; '.join(titles[:2])}{more}: {reason}"
        yield ""


def main() -> int:
    """Run what is missing, and write the page."""
    with Store() as store:
        parts = [line for target, name in TABLES.items() for line in table(target, finished(name, store))]
    rewrite(PAGE, "make defense-table", parts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
