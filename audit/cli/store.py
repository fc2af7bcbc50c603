"""`recaudit store`: what a run store is, and how one of an older version becomes one of this."""

from __future__ import annotations

from dataclasses import asdict

import typer

from audit.cli.terminal import Form, FormOption, StoreOption, put, put_json
from audit.text import count, visible

app = typer.Typer(help="The run store: its version, and upgrades.", invoke_without_command=True)


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("status")
def status(store: StoreOption = None, form: FormOption = Form.TEXT) -> None:
    """Say what a store is, whatever its version."""
    from audit.store.upgrade import status as read

    found = read(store)
    if form is Form.JSON:
        put_json({**asdict(found), "state": found.state})
        return
    put(f"{visible(found.location)}: {found.database}, schema {found.schema}, {count(found.runs, 'run')}")
    put(
        {
            "current": "It can be used as it is.",
            "older": f"This version reads schema {found.wanted}: run `recaudit store upgrade` on it.",
            "newer": f"This version reads schema {found.wanted}: upgrade RecAudit, or choose another store.",
        }[found.state]
    )


@app.command("upgrade")
def upgrade(store: StoreOption = None) -> None:
    """Bring a store to this version; a SQLite file is copied first."""
    from audit.store.upgrade import upgrade as carry_out

    done = carry_out(store)
    if done.before == done.after:
        put(f"The store has schema {done.after} already; nothing was changed.")
        return
    put(f"The store was upgraded from schema {done.before} to {done.after}.")
    if done.copy is not None:
        put(f"A copy of it as it was: {visible(str(done.copy))}")
