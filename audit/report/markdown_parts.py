"""What every section of the Markdown report is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from audit.findings import Finding, Verdict
from audit.report import words
from audit.report.fairness import Moved
from audit.text import count, interval, number
from audit.text import markdown as md


def badge(verdict: Verdict | None) -> str:
    """Shape and word."""
    return f"{words.VERDICT_SHAPES[verdict]} {words.VERDICT_WORDS[verdict]}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A Markdown table; cells must be escaped already.

    Args:
        head: column heads.
        rows: cells.
        numbers: how many of the last columns are set to the right.
    """
    rule = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


def fold(title: str, body: str) -> str:
    """A section that opens on a click."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def fenced(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def cell(finding: Finding | None) -> str:
    """Estimate and interval, or a dot where nothing was measured."""
    return "·" if finding is None else f"{number(finding.estimate)} {interval(finding.ci)}"


def mitigations(moves: Sequence[Moved]) -> list[str]:
    """What each mitigation changes of what fails or is open without it."""
    parts = []
    for moved in moves:
        changed = [
            (md(before.title), badge(before.verdict), cell(after), md(after.note)) for before, after in moved.held
        ]
        title = f"**Behind {md(moved.defense)}** (what fails or is open without it, and what passes and surely changed)"
        rest = f"{count(len(moved.others), 'other quantity', 'other quantities')} changed beyond doubt."
        nothing = "Nothing that is held to a limit could be compared."
        heads = ["Quantity", "Without it", "Change", "Before and behind it"]
        parts += [title, table(heads, changed) if changed else nothing]
        parts += [rest] if moved.others else []
    return parts
