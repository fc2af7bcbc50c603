"""`recaudit pack` and `recaudit verify-pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.cli.terminal import RunArgument, StoreOption, open_run, put, say
from audit.text import count


def pack(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The zip file to write.")],
    sign: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEY", help="Ed25519 private key (PEM) to sign with.", show_default=False),
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a run with its evidence as one zip file that shows changes; prints its digest: keep that elsewhere."""
    from audit.pack import write_pack
    from audit.pack.signature import private_key

    key = None if sign is None else private_key(sign)
    made = write_pack(open_run(run, store), output, key=key)
    signed = ", signed" if made.signed else ""
    say(f"pack: {made.path}: {count(made.files, 'file')}, {count(made.bytes, 'byte')}{signed}")
    say("Keep the digest where nobody who holds the pack can change it: without it, hashes show damage but no forger.")
    put(made.digest)


def verify_pack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A pack that `recaudit pack` wrote.")],
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="SHA256", help="The digest that was kept elsewhere.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="KEY", help="Ed25519 public key (PEM) of its maker.", show_default=False),
    ] = None,
) -> None:
    """Check a pack for changes; exits with 0 (as it was made), 1 (changed, one line per fault) or 2 (no pack)."""
    from audit.pack import verify
    from audit.pack.signature import public_key

    found = verify(file, digest=digest, key=None if key is None else public_key(key))
    for fault in found.faults:
        put(f"fault: {fault}")
    if found.digest:
        put(f"digest: {found.digest}")
    if found.faults:
        put(f"{file.name}: {count(len(found.faults), 'fault')}; do not rely on this pack")
        raise typer.Exit(1)
    made = found.manifest
    if made is not None:
        what = f"run {made.run.get('id')} of {made.target.get('name')}, packed by RecAudit {made.recaudit}"
        put(f"{file.name}: {what}: {count(len(made.files), 'file')} as the manifest says")
    if found.authentic:
        vouched = [how for how, is_so in (("the digest", found.digest_matches), ("the signature", key)) if is_so]
        put(f"This is the pack that was made: {' and '.join(vouched)} {'fit' if len(vouched) > 1 else 'fits'}.")
    else:
        signed = " It is signed; give its maker's public key with --key." if found.signature == "present" else ""
        put(f"Undamaged. That it is the pack that was made, only a digest kept elsewhere (--digest) can show.{signed}")
