"""`recaudit report` and `recaudit diff`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.terminal import StoreOption, is_pack, open_run, open_store, say, write_text
from audit.errors import ConfigError
from audit.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.diff import Diff
    from audit.run import Run


class ReportForm(StrEnum):
    """Formats of a report."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    MODEL_CARD = "model-card"


class DiffForm(StrEnum):
    """Formats of a comparison."""

    TEXT = "text"
    MD = "md"
    JSON = "json"


class FailOn(StrEnum):
    """What a comparison must not find."""

    WORSE = "worse"
    FAILING = "failing"
    ANY = "any"


def kind_of(file: Path) -> str:
    """The format that a file's ending names.

    Raises:
        ConfigError: another ending.
    """
    from audit.report import kind_of as named_by

    return named_by(file, "--report")


def write(runs: Sequence[Run], file: Path, source: Path | None = None) -> None:
    """Write one report over these runs; `source` is their configuration, if there is one file.

    Raises:
        ConfigError: the ending is unknown, or the file cannot be written.
    """
    from audit.report import render

    write_text(file, render(runs, kind_of(file), source=source), "--report")
    say(f"report: {file}")


def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Ids, unique prefixes of ids, `latest`, or evidence packs (.zip)."),
    ],
    form: Annotated[ReportForm, typer.Option("--format", help="Format.")] = ReportForm.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; default: standard output.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source",
            metavar="FILE",
            help="For sarif: the configuration of the run as your repository names it; default: audit.yaml.",
            show_default=False,
        ),
    ] = None,
    only_failures: Annotated[
        bool,
        typer.Option(
            "--only-failures", help="For sarif: failures alone; GitHub shows whatever else is in the file as an alert."
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Write a report of one run, or one report of several."""
    from audit.report import render

    found = [open_run(name, store) for name in runs]
    text = render(found, form.value, source=source, only_failures=only_failures)
    if output is None:
        # As it is: a report escapes foreign text by the rules of its own format.
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    write_text(output, text, "--output")
    say(f"report: {output}")


def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="The run to compare with: an id, a unique prefix, `latest`, `previous` (the finished run of the same "
            "name before NEW), the name of a run in its configuration, or an evidence pack (.zip).",
        ),
    ],
    after: Annotated[str, typer.Argument(metavar="NEW", help="The run to judge: an id, a unique prefix, or `latest`.")],
    form: Annotated[DiffForm, typer.Option("--format", help="Format.")] = DiffForm.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; default: standard output.")
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            "--fail-on",
            help="Exit with 1 if a finding is shown to be worse; if a check fails that did not fail before; or if "
            "either is so. Without it a comparison ends with 0.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    old_store: Annotated[
        str | None,
        typer.Option(
            "--old-store", metavar="PATH|URL", help="Where OLD is kept, if not in --store.", show_default=False
        ),
    ] = None,
) -> None:
    """Compare two runs: what got better, what got worse, what cannot be told apart from noise."""
    from audit.diff import baseline, compare
    from audit.report.comparison import render
    from audit.run import Run
    from audit.seeds import generator

    new = open_run(after, store)
    if is_pack(before):
        old = open_run(before, None)
    elif old_store is not None:
        old = open_run(before, old_store)
    else:
        kept = open_store(store) if is_pack(after) else new.store
        old = Run(baseline(before, new.record, kept), kept)
    for record in (old.record, new.record):
        if fail_on is not None and record.status != "finished":
            raise ConfigError(
                f"--fail-on: {record.id} is {record.status}, so it cannot be told whether anything is worse; "
                f"go on with `recaudit resume {record.id}` first"
            )
    compared = compare(old, new, generator(new.record.seed, "diff"))
    text = render(compared, form.value)
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text, "--output")
        say(f"diff: {output}")
    raise typer.Exit(0 if fail_on is None else _gated(compared, fail_on))


def _gated(compared: Diff, fail_on: FailOn) -> int:
    """The exit code of a comparison that is held to something, with the reasons on standard error."""
    from audit.report.comparison import shift

    reasons = []
    if fail_on in {FailOn.WORSE, FailOn.ANY}:
        reasons += [f"worse: {one_line(c.new.title)}: {shift(c)}" for c in compared.of("worse")]
    if fail_on in {FailOn.FAILING, FailOn.ANY}:
        reasons += [f"fails now: {one_line(c.new.title)}: {one_line(c.new.reason)}" for c in compared.newly_failing]
    for reason in reasons:
        say(reason)
    for finding in compared.no_longer_judged:
        say(f"note: judged before and not any more: {one_line(finding.title)}")
    return 1 if reasons else 0
