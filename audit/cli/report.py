"""`recaudit report` and `recaudit diff`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.terminal import RunArgument, StoreOption, open_store, say, write_text
from audit.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.run import Run


class ReportForm(StrEnum):
    """Formats of a report."""

    HTML = "html"
    MD = "md"
    JSON = "json"


class DiffForm(StrEnum):
    """Formats of a comparison."""

    TEXT = "text"
    MD = "md"
    JSON = "json"


def kind_of(file: Path) -> str:
    """The format that a file's ending names.

    Raises:
        ConfigError: another ending.
    """
    kind = file.suffix.lstrip(".").lower()
    if kind not in set(ReportForm):
        raise ConfigError(f"--report: {file.name!r} ends in none of .html, .md, .json; {nearest(kind, ReportForm)}")
    return kind


def write(runs: Sequence[Run], file: Path) -> None:
    """Write one report over these runs.

    Raises:
        ConfigError: the ending is unknown, or the file cannot be written.
    """
    from audit.report import render

    write_text(file, render(runs, kind_of(file)), "--report")
    say(f"report: {file}")


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, unique prefixes of ids, or `latest`.")],
    form: Annotated[ReportForm, typer.Option("--format", help="Format.")] = ReportForm.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; default: standard output.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a report of one run, or one report of several."""
    from audit.report import render
    from audit.run import Run

    opened = open_store(store)
    found = [Run(opened.run(name), opened) for name in runs]
    text = render(found, form.value)
    if output is None:
        # As it is: a report escapes foreign text by the rules of its own format.
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    write_text(output, text, "--output")
    say(f"report: {output}")


def diff(
    before: RunArgument,
    after: RunArgument,
    form: Annotated[DiffForm, typer.Option("--format", help="Format.")] = DiffForm.TEXT,
    store: StoreOption = None,
) -> None:
    """Compare two runs: what got better, what got worse, what cannot be told apart from noise."""
    from audit.diff import compare
    from audit.report.comparison import render
    from audit.run import Run
    from audit.seeds import generator

    opened = open_store(store)
    old, new = (Run(opened.run(name), opened) for name in (before, after))
    sys.stdout.write(render(compare(old, new, generator(new.record.seed, "diff")), form.value))
