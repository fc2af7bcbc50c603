"""Who works on a run: one process at a time.

Two processes on one run would lose nothing, since every write has the same effect twice; but they would ask the same
questions, and pay for them twice. A claim is a lock that the operating system or the server drops with the process that
holds it, so that a run whose process was killed can go on at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from audit.errors import StoreError, StoreLost
from audit.store.database import Database

T = TypeVar("T")


class Claims(Database):
    """The part of a store that keeps two processes from working on one run."""

    def __init__(self, location: str | Path | None = None, *, create: bool = True) -> None:
        """Open a store, as `Database` does."""
        super().__init__(location, create=create)
        self._on_server = self.engine.dialect.name == "postgresql"
        # The server's lock of each claimed run lives as long as its session; None after the session was lost.
        self._sessions: dict[str, sa.Connection | None] = {}
        self._changing = threading.Lock()

    @contextmanager
    def claim(self, run: str) -> Iterator[None]:
        """Hold a run for this process, or this thread of it.

        Args:
            run: id of the run.

        Raises:
            StoreError: somebody else works on it.
        """
        with self._server_lock(run) if self._on_server else self._file_lock(run):
            yield

    def _write(self, doing: str, work: Callable[[sa.Connection], T], *, wait_s: float | None = None) -> T:
        """As always, but not for a run that another process took over while the server was away."""
        if not self._sessions:
            return super()._write(doing, work, wait_s=wait_s)

        def held(db: sa.Connection) -> T:
            self._renew()
            return work(db)

        return super()._write(doing, held, wait_s=wait_s)

    @contextmanager
    def _file_lock(self, run: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        path = Path(str(self.engine.url.database))
        lock = FileLock(path.with_name(f"{path.name}.{run}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(_taken(run)) from None
        except OSError as error:
            raise StoreError(
                f"--store: cannot write beside {self.shown}: {error.strerror}; make the folder writable, or choose "
                "another store with --store"
            ) from error
        try:
            yield
        finally:
            # Before it is released: whoever waits for it sees that the file is gone, and makes a new one.
            with suppress(OSError):  # an open file stays on Windows
                Path(lock.lock_file).unlink()
            lock.release()

    @contextmanager
    def _server_lock(self, run: str) -> Iterator[None]:
        with self._guard("lock"):
            session = self._patiently(lambda: self._enter(run))
        with self._changing:
            self._sessions[run] = session
        try:
            yield
        finally:
            with self._changing:
                _end(self._sessions.pop(run))

    def _enter(self, run: str) -> sa.Connection:
        """A session that holds the server's lock on a run."""
        session = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            # A process whose machine vanished says no goodbye: after a minute of silence the server drops its lock.
            for name, value in (("idle", 30), ("interval", 10), ("count", 3)):
                session.exec_driver_sql(f"SET tcp_keepalives_{name} = {value}")
            if not session.scalar(sa.select(sa.func.pg_try_advisory_lock(_number(run)))):
                raise StoreError(_taken(run))
        except BaseException:
            _end(session)
            raise
        return session

    def _renew(self) -> None:
        """Make sure that the server's locks are held, also after it was away."""
        with self._changing:
            for run, session in self._sessions.items():
                try:
                    if session is not None:
                        session.execute(sa.select(1))
                        continue
                except DBAPIError:
                    _end(session)
                    self._sessions[run] = None
                try:
                    self._sessions[run] = self._enter(run)
                except StoreError as error:
                    raise StoreLost(
                        f"--store: the connection to {self.shown} was lost, and another process went on with run "
                        f"{run} meanwhile; let that one end"
                    ) from error


def _end(session: sa.Connection | None) -> None:
    """End a session. It does not go back into the pool, where its lock would live on."""
    if session is not None:
        # At once: a server takes its time to notice that a session has ended.
        if not session.invalidated:
            with suppress(DBAPIError):
                session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        with suppress(DBAPIError):
            session.invalidate()
            session.close()


def _number(run: str) -> int:
    """A run as the key of a lock: 64 bits, with sign."""
    return int.from_bytes(hashlib.sha256(f"recaudit run {run}".encode()).digest()[:8], signed=True)


def _taken(run: str) -> str:
    return f"RUN: another process works on run {run}; wait until it has ended, or end it"
