"""`recaudit controls`: what this version of RecAudit can see, measured on targets with planted flaws."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.cli.terminal import Form, FormOption, QuietOption, cell, console, put, put_json, say, table, write_text

if TYPE_CHECKING:
    from rich.table import Table

    from audit.controls.control import Control
    from audit.controls.measured import Claim, Measured

_STYLES = {"holds": "green", "misses": "bold red", "open": "yellow"}
_PROCESSES = 2


class Effort(StrEnum):
    """How many repetitions."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


def controls(
    profile: Annotated[Effort, typer.Option(help="How many repetitions: minutes, half an hour, or a night.")] = (
        Effort.QUICK
    ),
    module: Annotated[str | None, typer.Option(help="Only controls of this module.")] = None,
    control: Annotated[str | None, typer.Option(help="Only this control.")] = None,
    users: Annotated[
        int | None, typer.Option(min=20, help="Users under audit, in place of the number that each claim speaks of.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="CONFIG", help="An audit.yaml: plant into its target, on its data and users."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="That repetitions are numbered from.")] = 7,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the measurement as JSON.")] = None,
    quiet: QuietOption = False,
    form: FormOption = Form.TEXT,
) -> None:
    """Plant flaws of known size and see which the audit finds; exits with 1 when a claim is shown not to hold.

    A measurement that was stopped goes on where it was: start it again.
    """
    from audit.controls.measure import kept_file, measure
    from audit.controls.registry import controls as chosen

    wanted = chosen(module=module, control=control)

    def told(made: int, of: int, name: str) -> None:
        if not quiet:
            say(f"{made:,} of {of:,} repetitions: {name}")

    if config is None:
        found = measure(
            wanted, profile.value, seed=seed, users=users, processes=_PROCESSES, kept=kept_file(seed), on_trial=told
        )
    else:
        from audit.controls.own import own_world

        with own_world(config) as own:
            wanted, left_out = own.fitting(wanted)
            for name, why in left_out.items():
                say(f"{name} is left out: {why}")
            found = measure(
                wanted,
                profile.value,
                seed=seed,
                users=users or own.users,
                processes=1,
                world=own,
                data=own.name,
                on_trial=told,
            )
    if output is not None:
        import json

        write_text(output, json.dumps(found.to_dict(), indent=1) + "\n", "--output")
    if form is Form.JSON:
        put_json(found.to_dict())
    else:
        _print(found, {one.id: one for one in wanted})
    if any(claim.verdict == "misses" for claim in found.claims()):
        raise typer.Exit(1)


def _print(found: Measured, known: dict[str, Control]) -> None:
    out, claims = console(), found.claims()
    for module in dict.fromkeys(claim.planted.module for claim in claims):
        rows = table(
            module,
            "size",
            "users",
            "detected",
            "false alarms",
            "coverage",
            "bias ± SE",
            "claim",
            right=("size", "users"),
        )
        for claim in claims:
            if claim.planted.module == module:
                _row(rows, claim)
        out.print(rows)
        put("")
    for claim in claims:
        put(f"{claim.planted.control}: {known[claim.planted.control].planted}.")
    put("")
    put(
        "Claimed: at this size and so many users detected in at least 95 % of repetitions, false alarms in at most "
        "5 %, 95 % intervals that hold the truth in 93 to 97 %. open: too few repetitions to say."
    )


def _row(rows: Table, claim: Claim) -> None:
    planted, (hits, n) = claim.planted, claim.covered
    bias = "–" if planted.bias is None else f"{planted.bias:+.3f} ± {planted.bias_se or 0:.3f}"
    rows.add_row(
        cell(planted.title, "bold"),
        cell(f"{planted.size:g}"),
        cell(f"{planted.users:,}"),
        cell(_rate(planted.seen, planted.repetitions), _STYLES[claim.detection]),
        cell(_rate(claim.clean.seen, claim.clean.repetitions), _STYLES[claim.alarms]),
        cell(_rate(hits, n) if n else "–", _STYLES[claim.covering] if claim.covering else ""),
        cell(bias),
        cell(claim.verdict, _STYLES[claim.verdict]),
    )


def _rate(hits: int, n: int) -> str:
    from audit import stats

    found = stats.clopper_pearson(hits, n)
    return f"{hits}/{n} [{found.low:.0%}, {found.high:.0%}]"
