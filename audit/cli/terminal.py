"""What all commands share: where output goes, how foreign text is made safe, and common options."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.redaction import redact_values
from audit.text import json_safe, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from audit.run import Run
    from audit.store import Store

_PIPE_WIDTH = 120
"""Columns of a table when nobody says how wide the reader's window is."""


class Form(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PATH|URL",
        help="Where runs are kept: a SQLite file or a postgresql:// URL. Default: RECAUDIT_STORE, or a file in the "
        "user's data directory.",
        show_default=False,
    ),
]
FormOption = Annotated[Form, typer.Option("--format", help="How to print it.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run, a unique prefix of it, `latest`, or an evidence pack (.zip).")
]


def say(text: str) -> None:
    """A line for the person at the terminal: standard error."""
    print(visible(text), file=sys.stderr, flush=True)


def put(text: str) -> None:
    """A line of the result: standard output."""
    print(visible(text))


def put_json(data: object) -> None:
    """A result as JSON: standard output. What a terminal would obey is escaped, so the data stay exactly the same."""
    print(json_safe(json.dumps(redact_values(data), ensure_ascii=False, indent=2)))


def console(*, stderr: bool = False) -> Console:
    """A console that takes text literally: no markup, no emoji codes, no colour guessed from words."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def table(*headings: str, right: tuple[str, ...] = ()) -> Table:
    """An unframed table; columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="bold")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return made


def cell(text: object, style: str = "") -> Any:  # noqa: ANN401 - rich's Text, which is imported only here
    """Foreign text for a table: taken literally."""
    from rich.text import Text

    return Text(visible(str(text)), style=style)


def open_store(location: str | None, *, create: bool = False) -> Store:
    """The run store; commands that only read do not create one.

    Raises:
        StoreError: it cannot be opened, or does not exist.
    """
    from audit.store import Store

    return Store(location, create=create)


def is_pack(name: str) -> bool:
    """Whether a run is named by the file of an evidence pack. No id ends so."""
    return name.lower().endswith(".zip")


def open_run(name: str, store: str | None) -> Run:
    """A run of the store, or of an evidence pack.

    Raises:
        StoreError: there is no such store or run.
        ConfigError: there is no such pack, or it was changed.
    """
    from audit.run import Run

    if is_pack(name):
        from audit.pack import open_pack

        return open_pack(Path(name))
    opened = open_store(store)
    return Run(opened.run(name), opened)


def write_text(path: Path, text: str, what: str) -> None:
    """Write a file the user asked for.

    Raises:
        ConfigError: it cannot be written.
    """
    from audit.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what}: cannot write {path}: {error.strerror}; choose another place") from error
