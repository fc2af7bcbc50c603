"""The commands put together, and `main`, which turns whatever happens into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated

import typer

from audit import __version__
from audit.cli import (
    assets,
    controls,
    dashboard,
    doctor,
    init,
    pack,
    plugins,
    policies,
    read,
    report,
    run,
    schema,
    store,
    targets,
    train,
)
from audit.cli.terminal import say
from audit.errors import RecAuditError
from audit.redaction import look_around, redact
from audit.text import one_line

# Typer 0.22 and later carry their own copy of click: this is the base class of whichever copy is in use.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="recaudit",
    help="Audit an LLM-based recommender, with evidence.",
    epilog="Exit codes: 0 all pass, 1 a check failed, 2 bad input, 3 stopped before the end, "
    "4 something is open and the policy asks for certainty.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("run")(run.run)
app.command("resume")(run.resume)
app.command("list")(read.list_runs)
app.command("show")(read.show)
app.command("report")(report.report)
app.command("pack")(pack.pack)
app.command("verify-pack")(pack.verify_pack)
app.command("diff")(report.diff)
app.command("gate")(read.gate)
app.command("plugins")(plugins.plugins)
app.add_typer(policies.app, name="policies")
app.add_typer(store.app, name="store")
app.add_typer(targets.app, name="targets")
app.add_typer(assets.app, name="assets")
app.command("train")(train.train)
app.command("controls")(controls.controls)
app.command("dashboard")(dashboard.dashboard)
app.command("schema")(schema.schema)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recaudit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 all pass, 1 a check failed, 2 bad input, 3 stopped before the end, 4 open and certainty asked.
    """
    # Before torch is imported: threads that wait busily halve each other's speed when another process shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    look_around()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not end an audit
    try:
        code = app(args=None if argv is None else list(argv), prog_name="recaudit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RecAuditError as error:
        say(f"error: {one_line(str(error))}")
        return error.exit_code
    except _ClickException as error:
        said = getattr(error, "format_message", error.__str__)().replace("Value error, ", "")
        say(f"error: {one_line(said)} See `recaudit --help`.")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        say("error: interrupted")
        return 3
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer's way of saying the same
            return _reader_gone()
        raise
    except Exception as error:  # the last door: a person gets one line, whoever mends it gets the file
        if os.environ.get("RECAUDIT_DEBUG") == "1":
            sys.excepthook = _print_trace
            raise
        say(f"error: this is a bug in RecAudit or in a plugin: {_summary(error)}; {_trace()}")
        return 2


def _reader_gone() -> int:
    """The reader of our output (`| head`) has seen enough: end quietly, with the code of any tool that meets this.

    Not 0: `recaudit gate … | head` must not read as passed.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 2


def _summary(error: Exception) -> str:
    said = one_line(str(error))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _print_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _trace() -> str:
    """Write the traceback of the exception being handled to a file, and say where."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="recaudit-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(redact(traceback.format_exc()))
    except OSError:
        return "set RECAUDIT_DEBUG=1 to see where"
    return f"the full trace is in {file.name}"
