"""`recaudit run` and `recaudit resume`."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.progress import showing
from audit.cli.terminal import (
    QuietOption,
    RunArgument,
    StoreOption,
    cell,
    console,
    open_store,
    put,
    say,
    table,
)
from audit.errors import BudgetExhausted, ConfigError, RecAuditError, nearest
from audit.text import one_line

if TYPE_CHECKING:
    from audit.gateway import Progress
    from audit.run import Run
    from audit.runner import Plan, Prepared
    from audit.store import Store

ReportOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write a report (.html, .md, .json, .sarif, or .xml for JUnit); may be given again.",
    ),
]
NoGateOption = Annotated[
    bool, typer.Option("--no-gate", help="Exit with 0 whatever the verdict; hold the run to a policy later.")
]

_BY_WEIGHT = (2, 3, 1, 4, 0)
"""Exit codes, the one that matters most first: of several audits the worst is reported."""


class Profile(StrEnum):
    """How many users are sampled where the configuration names no number: 100, 300, all."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


class Stopped(RecAuditError):
    """A run that ended before its end, with the command that goes on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="One or more audit.yaml files.")],
    profile: Annotated[
        Profile | None, typer.Option("--profile", help="Overrides the profile of the configuration.")
    ] = None,
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask nothing.")] = False,
    report: ReportOption = None,
    no_gate: NoGateOption = False,
    quiet: QuietOption = False,
) -> None:
    """Audit a recommender; the last lines on standard output are the ids of the runs."""
    from audit.cli.report import kind_of, write
    from audit.cli.show import summary
    from audit.config import load

    files = report or []
    for file in files:
        kind_of(file)
    for path in configs:
        load(path)  # a mistake in the last file should not show after the first audit has run
    opened = open_store(store, create=True)
    if dry_run:
        for path in configs:
            _price(path, profile, opened)
        return
    started: list[str] = []
    finished: list[Run] = []
    codes: list[int] = []
    try:
        for path in configs:
            try:
                done = _audit(path, profile, opened, store, started, quiet=quiet)
            except RecAuditError as error:
                # The other audits are worth having all the same; an interrupt was meant for all of them.
                if len(configs) == 1 or isinstance(error.__cause__, KeyboardInterrupt):
                    raise
                say(f"error: {path}: {one_line(str(error))}")
                codes.append(error.exit_code)
                continue
            finished.append(done)
            codes.append(0 if no_gate else done.gate().exit_code)
            if not quiet:
                summary(done)
        if finished:
            for file in files:
                write(finished, file, configs[0] if len(configs) == 1 else None)
    finally:
        for name in started:
            put(name)
    raise typer.Exit(min(codes, key=_BY_WEIGHT.index))


def resume(
    run: RunArgument,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Ask again what ended in an error or a time-out.")
    ] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="NAME=N",
            help="A new limit of the whole run (queries, tokens, minutes, usd), or `none`.",
        ),
    ] = None,
    store: StoreOption = None,
    report: ReportOption = None,
    no_gate: NoGateOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run that was stopped or killed; nothing that is stored is asked again."""
    from audit import runner
    from audit.cli.report import kind_of, write
    from audit.cli.show import summary

    for file in report or []:
        kind_of(file)
    opened = open_store(store)
    name = opened.run(run).id
    limits = _limits(budget or [])

    def work(progress: Callable[[Progress], None]) -> Run:
        return runner.resume(name, store=opened, budget=limits, retry_errors=retry_errors, progress=progress)

    try:
        done = _carry_out(name, work, opened, store, quiet=quiet)
        if not quiet:
            summary(done)
        for file in report or []:
            write([done], file)
    finally:
        put(name)
    raise typer.Exit(0 if no_gate else done.gate().exit_code)


def _audit(
    path: Path, profile: Profile | None, opened: Store, store: str | None, started: list[str], *, quiet: bool
) -> Run:
    from audit import runner

    prepared = runner.prepare(path, profile=profile.value if profile else None)
    begun = runner.begin(prepared, opened)
    started.append(begun.id)
    if not quiet:
        modules = ", ".join(prepared.modules)
        say(f"run {begun.id}: {prepared.config.name}, {len(prepared.cases)} users, modules {modules}")

    def work(progress: Callable[[Progress], None]) -> Run:
        return runner.execute(begun, prepared, progress=progress)

    return _carry_out(begun.id, work, opened, store, quiet=quiet)


def _limits(given: list[str]) -> dict[str, float | None]:
    """`name=number` texts as limits; `none` lifts one.

    Raises:
        ConfigError: no such limit, or not a number.
    """
    from audit.config import BudgetConfig

    limits: dict[str, float | None] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in BudgetConfig.model_fields:
            raise ConfigError(f"--budget: {name!r} is not a limit; {nearest(name, BudgetConfig.model_fields)}")
        try:
            limits[name] = None if value == "none" else float(value)
        except ValueError:
            raise ConfigError(
                f"--budget: {text!r}: {value!r} is not a number; write {name}=1000, or {name}=none"
            ) from None
    return limits


def _carry_out(
    name: str, work: Callable[[Callable[[Progress], None]], Run], opened: Store, store: str | None, *, quiet: bool
) -> Run:
    """Run to the end, or say how to go on.

    Raises:
        Stopped: with exit code 3 when answers were in by then; a target that never answered is bad input.
    """
    hint = f"recaudit resume {name}" + (f" --store {shlex.quote(opened.shown)}" if store else "")
    answered = False
    try:
        with _terminable(), showing(quiet) as show:

            def note(progress: Progress) -> None:
                nonlocal answered
                answered = answered or progress.done > 0
                show(progress)

            return work(note)
    except KeyboardInterrupt as error:
        raise Stopped(f"run {name} was interrupted; what was answered is stored: go on with `{hint}`", 3) from error
    except BudgetExhausted as error:
        limit = str(error).partition(":")[0].removeprefix("budget.")
        raise Stopped(f"{str(error).rstrip('.')}: `{hint} --budget {limit}=N`", 3) from error
    except RecAuditError as error:
        code = 3 if answered else error.exit_code
        raise Stopped(f"{str(error).rstrip('.')}; go on with `{hint}`", code) from error
    except SystemExit as error:
        raise Stopped(
            f"the target ended the process with {error!r}; go on with `{hint}`", 3 if answered else 2
        ) from error
    except Exception:
        say(f"run {name} has stopped; once the fault is mended, go on with `{hint}`")
        raise


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a job that is cancelled leaves a run that can go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _price(path: Path, profile: Profile | None, opened: Store) -> None:
    """Print what a run would cost."""
    from audit import runner

    with closing(runner.prepare(path, profile=profile.value if profile else None)) as prepared:
        plan = runner.dry_run(prepared, opened)
    price = prepared.config.target.price.prompt if prepared.config.target else 0.0
    numbers = ("queries", "search", "stored", "prompt tokens", "minutes", "US $")
    rows = table("module", *numbers, right=numbers)
    for module in plan.modules:
        asked = module.estimate.queries + module.search_queries
        tokens = module.estimate.prompt_tokens
        minutes = None if plan.minutes is None else plan.minutes * asked / max(plan.queries, 1)
        rows.add_row(
            cell(module.name),
            f"{module.estimate.queries:,}",
            f"{module.search_queries:,}",
            f"{module.estimate.reused:,}",
            ("" if module.estimate.counted and not module.estimate.sampled else "~") + f"{tokens:,}",
            "?" if minutes is None else f"{minutes:.1f}",
            f"{price * tokens / 1e6:.2f}" if price else "-",
        )
    total = "?" if plan.minutes is None else f"{plan.minutes:.1f}"
    money = "-" if plan.usd is None else f"{plan.usd:.2f}"
    rows.add_section()
    rows.add_row("all", f"{plan.queries:,}", "", "", f"{plan.prompt_tokens:,}", total, money, style="bold")
    put(f"{path}: {len(prepared.cases)} users, task {prepared.task}. Nothing is asked in a dry run.")
    console().print(rows)
    for line in _remarks(prepared, plan):
        put(line)


def _remarks(prepared: Prepared, plan: Plan) -> list[str]:
    budget, lines = prepared.config.budget, []
    if any(not m.estimate.counted for m in plan.modules):
        lines.append("~ The target does not count its tokens: four characters are taken as one.")
    if any(m.estimate.sampled for m in plan.modules):
        lines.append("~ Of modules with thousands of questions, the tokens of some, drawn at random, stand for all.")
    if plan.minutes is None:
        lines.append("Minutes are unknown: no earlier run of this target is in the store.")
    if plan.usd is not None:
        lines.append("Completions are not in the price: their length is not known in advance.")
    planned = (("queries", plan.queries), ("tokens", plan.prompt_tokens), ("minutes", plan.minutes), ("usd", plan.usd))
    for name, need in planned:
        limit = getattr(budget, name)
        if limit is not None and need is not None and need > limit:
            lines.append(f"The run would stop early: it needs {need:,.6g} {name}, and budget.{name} is {limit:,g}.")
    return lines
