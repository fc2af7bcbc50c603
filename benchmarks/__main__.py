"""`make bench`: run every benchmark, write `benchmarks/latest.json` and the table of `docs/performance.md`."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
LATEST = ROOT / "benchmarks" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
_START, _END = "<!-- table: written by `make bench` -->", "<!-- end of table -->"


def suites() -> Iterator[Callable[[], list[Row]]]:
    """The benchmarks, cheap ones first; those of the model are imported only when their turn comes."""
    from benchmarks import claims, harness

    yield from (harness.cached_answers, harness.bootstrap, harness.report, harness.memory, claims.claims)
    from benchmarks import attribution, scoring, textattack_loop

    yield from (scoring.scoring, scoring.word_insertion, textattack_loop.textattack_loop, scoring.generation)
    yield attribution.attribution


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with what they were measured on."""
    lines = ["| | what | ours | other | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['id']} | {r['what']} | {r['ours']:.3g} {r['unit']} | {r['other']:.3g} {r['unit']} | {r['ratio']:.1f}× |"
        for r in rows
    ]
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}; load average at the end {load}."
    return "\n".join([*lines, "", machine])


def main() -> int:
    """Run all, or those whose function names are given."""
    wanted = set(sys.argv[1:])
    rows: list[Row] = []
    for suite in suites():
        if wanted and suite.__name__ not in wanted:
            continue
        print(f"{suite.__name__} …", file=sys.stderr, flush=True)
        for row in suite():
            print(json.dumps(row), flush=True)
            rows.append(row)
    if not wanted:
        LATEST.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")
        before, rest = text.split(_START)
        _, after = rest.split(_END)
        PAGE.write_text(f"{before}{_START}\n{table(rows)}\n{_END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
