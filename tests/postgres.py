"""A private PostgreSQL server for the tests that are marked `postgres`."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

_BINARIES = "/usr/lib/postgresql"


def installed() -> bool:
    """Whether there is a server to start."""
    return _found("initdb") is not None


def _found(name: str) -> str | None:
    """The newest installed version of a server program."""
    versions = sorted(Path(_BINARIES).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else shutil.which(name)


def _tool(name: str) -> str:
    found = _found(name)
    if found is None:
        raise RuntimeError(f"PostgreSQL's {name} is not installed; install Debian's package `postgresql`")
    return found


def _run(*command: str, where: Path) -> None:
    """Run a server program; never as root, which PostgreSQL refuses."""
    user = "postgres" if os.geteuid() == 0 else None
    done = subprocess.run(
        command, check=False, cwd=where, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")


@contextmanager
def server() -> Iterator[str]:
    """Start a server that listens on a socket in its own folder only; yields the URL of its database."""
    # Not under pytest's tmp_path: a socket's path may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="recaudit-pg-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"
    try:
        _run(_tool("initdb"), "-D", str(data), "-U", "audit", "-A", "trust", "-E", "UTF8", "--no-sync", where=folder)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        log = str(folder / "log")
        _run(_tool("pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", log, "start", where=folder)
        try:
            yield f"postgresql://audit:never-shown@/postgres?host={quote(str(folder))}"
        finally:
            _run(_tool("pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop", where=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
