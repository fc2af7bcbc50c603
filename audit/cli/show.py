"""A run as text: one sentence, then its findings by severity."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from audit.cli.terminal import cell, console, say, table
from audit.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from audit.findings import Finding
    from audit.run import Run
    from audit.store import RunHead, RunRecord

STYLES = {"fail": "bold red", "inconclusive": "yellow", "waived": "magenta", "pass": "green", "not_applicable": "dim"}
WORDS: Mapping[str | None, str] = {"inconclusive": "open", "not_applicable": "untested", None: "measured"}
_SHOWN_IN_SUMMARY = 5


def when(record: RunRecord | RunHead) -> str:
    """When a run began, to the minute, UTC."""
    return record.created[:16].replace("T", " ")


def counts(run: Run) -> str:
    """How many findings came to what."""
    outcome = run.gate()
    found = Counter(f.verdict for f in run.findings)
    severities = Counter(f.severity for f in outcome.failed)
    failed = ", ".join(f"{n} {severity}" for severity, n in severities.items())
    parts = [f"{found['fail']} fail" + (f" ({failed})" if failed else "")]
    parts += [f"{found['inconclusive']} open", *([f"{found['waived']} waived"] if found["waived"] else [])]
    parts += [f"{found['pass']} pass", f"{found[None]} measured without a limit"]
    parts.append(f"{found['not_applicable']} could not be tested")
    missing = f"; required but not tested: {', '.join(outcome.missing)}" if outcome.missing else ""
    return f"Of {len(run.findings)} findings under the policy {run.policy.name!r}: {', '.join(parts)}{missing}."


def summary(run: Run) -> None:
    """What a person wants to know when a run ends, on standard error."""
    from audit.report.summary import headline

    usage = run.usage
    say(f"run {run.id}: {headline(run)}")
    say(counts(run))
    failed = run.gate().failed
    for finding in failed[:_SHOWN_IN_SUMMARY]:
        say(f"  {finding.severity}: {named(finding)}: {finding.reason}")
    if len(failed) > _SHOWN_IN_SUMMARY:
        say(f"  and {len(failed) - _SHOWN_IN_SUMMARY} more")
    say(f"{usage.queries:,} queries, {usage.tokens:,} tokens, {usage.reused:,} answers reused.")
    say(f"See `recaudit show {run.id}` or `recaudit report {run.id} --format html`.")


def named(finding: Finding) -> str:
    """A finding by name and params, on one line."""
    params = ", ".join(f"{k}={v}" for k, v in finding.params.items() if v is not None and k not in _FAMILIAR)
    return f"{finding.name}" + (f" ({params})" if params else "")


_FAMILIAR = frozenset({"protocol", "task"})
"""Params that are the same all over a run, and said once at its head."""


def print_run(run: Run) -> None:
    """The whole run, on standard output."""
    from audit.policy import by_severity
    from audit.report.summary import headline

    out = console()
    record, usage = run.record, run.usage
    out.print(cell(f"{run.name}  {run.id}", "bold"))
    target = visible(str(record.target.get("name", "?")))
    out.print(cell(f"target {target}, seed {record.seed}, started {when(record)}, {record.status}"))
    out.print(cell(f"{usage.queries:,} queries, {usage.tokens:,} tokens, {usage.reused:,} answers reused"))
    for note in record.notes:
        out.print(cell(note, "dim"))
    style = STYLES.get(run.verdict, "")
    out.print()
    out.print(cell(headline(run), style))
    out.print(cell(counts(run)))
    out.print()
    if run.findings:
        out.print(_findings(by_severity(run.findings)))


def _findings(findings: Sequence[Finding]) -> Table:
    levels = {f.level for f in findings}
    value = f"value [{levels.pop():.0%}]" if len(levels) == 1 else "value [interval]"
    rows = table("verdict", "finding", value, "noise", "limit", "n", right=("noise", "limit", "n"))
    for column in (0, 2, 3, 4, 5):
        rows.columns[column].no_wrap = True
    for finding in findings:
        rows.add_row(
            _verdict(finding),
            _what(finding),
            _value(finding),
            _number(finding.floor),
            "" if finding.threshold is None else f"{finding.threshold:g}",
            f"{finding.n:,}" if finding.n else "",
        )
    return rows


def _verdict(finding: Finding) -> Any:  # noqa: ANN401 - rich's Text
    word = WORDS.get(finding.verdict, str(finding.verdict))
    text = cell(word, STYLES.get(str(finding.verdict), ""))
    if finding.verdict == "fail":
        text.append(f"\n{finding.severity}")
    return text


def _what(finding: Finding) -> Any:  # noqa: ANN401 - rich's Text
    text = cell(finding.title)
    text.append(f"\n{visible(named(finding))}", style="dim")
    if finding.verdict in {"fail", "waived", "not_applicable"} and finding.reason:
        text.append(f"\n{visible(finding.reason)}", style="italic")
    if finding.n_to_settle is not None:
        text.append(f"\nabout {finding.n_to_settle:,} instead of {finding.n:,} would settle it", style="dim")
    return text


def _value(finding: Finding) -> str:
    if finding.ci is None:
        return _number(finding.estimate)
    return f"{_number(finding.estimate)} [{_number(finding.ci[0])}, {_number(finding.ci[1])}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
