"""A private PostgreSQL server for the tests that are marked `postgres`."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

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


@dataclass(frozen=True)
class Server:
    """A server that listens on a socket in its own folder only.

    Attributes:
        folder: of its data, its log and its socket.
    """

    folder: Path

    @property
    def url(self) -> str:
        """Of its database; with a password, which nothing may show."""
        return f"postgresql://audit:never-shown@/postgres?host={quote(str(self.folder))}"

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        log = str(self.folder / "log")
        _run(_tool("pg_ctl"), "-D", self._data, "-w", "-o", options, "-l", log, "start", where=self.folder)

    def stop(self, mode: str = "immediate") -> None:
        """End it: `fast` ends the sessions in order, `immediate` is a crash."""
        _run(_tool("pg_ctl"), "-D", self._data, "-m", mode, "-w", "stop", where=self.folder)

    @property
    def running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    @property
    def _data(self) -> str:
        return str(self.folder / "data")


@contextmanager
def server() -> Iterator[Server]:
    """Make a server of its own, and start it."""
    # Not under pytest's tmp_path: a socket's path may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="recaudit-pg-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = str(folder / "data")
    made = Server(folder)
    try:
        _run(_tool("initdb"), "-D", data, "-U", "audit", "-A", "trust", "-E", "UTF8", "--no-sync", where=folder)
        made.start()
        try:
            yield made
        finally:
            if made.running:
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def empty(url: str) -> None:
    """Drop everything that a test left in the database."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as db:
        db.execute(sa.text("DROP SCHEMA public CASCADE"))
        db.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
