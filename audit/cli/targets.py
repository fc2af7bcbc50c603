"""`recaudit targets check`: what the target can do, and what it gets wrong, before an audit is spent on it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.terminal import Form, FormOption, cell, console, put, put_json, say, table

if TYPE_CHECKING:
    from audit.conformance import Report

app = typer.Typer(help="Check a target before it is audited.")

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    # A callback keeps `check` a command of its own: typer would fold a group of one.
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="An audit.yaml.")],
    users: Annotated[int, typer.Option(min=2, help="How many users to ask about.")] = 12,
    form: FormOption = Form.TEXT,
) -> None:
    """Send real requests to a target and say what it can do; exits with 1 when something must be mended."""
    from audit import conformance, runner
    from audit.seeds import generator

    prepared = runner.prepare(config)
    if form is Form.TEXT:
        say(f"asking about {min(users, len(prepared.cases))} users, in about ten ways …")
    with closing(prepared):
        report = conformance.check(
            prepared.target,
            prepared.cases,
            catalog=prepared.dataset.catalog,
            rng=generator(prepared.config.seed, "conformance"),
            users=users,
        )
    if form is Form.JSON:
        put_json(report.to_dict())
    else:
        _print(report)
    raise typer.Exit(report.exit_code)


def _print(report: Report) -> None:
    out = console()
    out.print(cell(f"{report.target}: task {report.task}, {report.users} users, {report.requests} requests", "bold"))
    rows = table("", "")
    rows.show_header = False
    for seen in sorted(report.observations, key=lambda o: ("fail", "warn", "ok").index(o.level)):
        text = cell(seen.text)
        if seen.mend:
            text.append_text(cell(f"\n→ {seen.mend}", "dim"))
        rows.add_row(cell(seen.level, _STYLES[seen.level]), text)
    out.print(rows)
    out.print()
    checks = table("", "check", "")
    checks.show_header = False
    for planned in report.checks:
        word, style = ("runs", "green") if planned.runs else ("not run", "yellow")
        checks.add_row(cell(word, style), cell(f"{planned.kind} {planned.name}"), cell(planned.reason, "dim"))
    out.print(checks)
    out.print()
    put(report.verdict)
