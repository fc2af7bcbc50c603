"""The open database, SQLite or PostgreSQL: transactions that wait their turn, errors in one sentence."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import platformdirs
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from audit.errors import EditError, StoreError, StoreLost
from audit.redaction import is_telling, look_around, register
from audit.store import schema

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long a lock of another process, or a server that restarts, is waited for."""

_SECRET_OPTIONS = ("password", "sslpassword")
"""Of a URL's query, where libpq takes them, too."""


def default_location() -> str:
    """Where runs are kept unless `--store` or the environment variable `RECAUDIT_STORE` says otherwise."""
    return os.environ.get("RECAUDIT_STORE") or str(Path(platformdirs.user_data_dir("recaudit")) / "runs.sqlite")


class Database:
    """An open database with the tables of a run store. Safe to use from several threads and processes at once."""

    def __init__(self, location: str | Path | None = None, *, create: bool = True) -> None:
        """Open a store.

        Args:
            location: path of a SQLite file, or a database URL; None for `default_location()`.
            create: whether a missing file is created; False for commands that only read.

        Raises:
            StoreError: it cannot be opened, is not a run store, or has another schema version (an older one is
                upgraded by `audit.store.upgrade`, never by opening it).
        """
        look_around()
        self.location = str(location if location is not None else default_location())
        self.engine = _engine(self.location, create=create)
        self._create = create
        self._opened = False
        self._insert: Callable[..., Any] = (
            postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        )
        # Who forgets to close it leaves no connection open behind: a run keeps its store for as long as it lives.
        weakref.finalize(self, self.engine.dispose)
        try:
            with self._guard("open"):
                self._prepare()
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self) -> None:
        def prepare() -> object:
            found = self._version()
            if found is not None:
                return found
            if not self._create:
                raise StoreError(
                    f"--store: {self.shown} holds no runs; run an audit first, or name the store it was written to"
                )
            schema.metadata.create_all(self.engine)
            with self.engine.begin() as db:
                # Last, so that a store with a version has all its tables, whenever its making was broken off.
                db.execute(self._insert(schema.meta).values(schema=schema.VERSION).on_conflict_do_nothing())
            return self._version()

        found = self._patiently(prepare)
        if found != schema.VERSION:
            older = isinstance(found, int) and found < schema.VERSION
            where = "" if self.location == default_location() else f" --store {shlex.quote(self.shown)}"
            mend = f"upgrade it with `recaudit store upgrade{where}`" if older else "open it with a newer RecAudit"
            raise StoreError(
                f"--store: {self.shown} has schema {found}, this version reads {schema.VERSION}; "
                f"{mend}, or choose another store"
            )
        self._opened = True

    def _version(self) -> object:
        """Version of the tables; None where there are none."""
        if not sa.inspect(self.engine).has_table(schema.meta.name):
            return None
        with self.engine.connect() as db:
            return db.execute(sa.select(sa.func.max(schema.meta.c.schema))).scalar()

    @property
    def shown(self) -> str:
        """The location without a password."""
        return _without_password(sa.engine.make_url(self.location)) if "://" in self.location else self.location

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RetryError as error:
            cause = error.last_attempt.exception()
            if cause is not None and _is_lost(cause):
                raise StoreLost(
                    f"--store: cannot {doing} {self.shown}: the connection was lost and did not come back in time "
                    f"({_first_line(cause)}); what was stored before is intact: start the server and resume the run"
                ) from error
            raise StoreError(
                f"--store: cannot {doing} {self.shown}: it stayed locked by another process ({_first_line(cause)}); "
                "end that process, or choose another store"
            ) from error
        except DatabaseError as error:
            raise StoreError(f"--store: cannot {doing} {self.shown}: {_reason(error)}") from error

    def _patiently(self, work: Callable[[], T], wait_s: float | None = None) -> T:
        """Run a transaction again when another process held the lock, or the server went away in the middle of it.

        Nobody knows whether a transaction whose connection broke in its COMMIT took place; so every transaction of the
        store has the same effect when it runs twice.

        Args:
            work: the whole transaction.
            wait_s: how long to try; None for `PATIENCE_S`.
        """

        def worth_waiting(error: BaseException) -> bool:
            # A server that was never there is a wrong URL; one that was there comes back.
            return _is_contention(error) or _is_starting(error) or (self._opened and _is_lost(error))

        retrying = Retrying(
            retry=retry_if_exception(worth_waiting),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_delay(PATIENCE_S if wait_s is None else wait_s),
        )
        return retrying(work)

    def _write(self, doing: str, work: Callable[[sa.Connection], T], *, wait_s: float | None = None) -> T:
        """Carry out a transaction that has the same effect when it runs twice."""

        def transaction() -> T:
            with self.engine.begin() as db:
                return work(db)

        with self._guard(doing):
            return self._patiently(transaction, wait_s)

    def _read(self, statement: sa.Executable) -> Sequence[Any]:
        def rows() -> Sequence[Any]:
            with self.engine.connect() as db:
                return db.execute(statement).all()

        with self._guard("read"):
            return self._patiently(rows)

    def _understood(self, what: str, body: str, read: Callable[[Any], T]) -> T:
        """The body of a row, read; a row that somebody changed is one sentence.

        Args:
            what: kind of row, for the sentence.
            body: JSON.
            read: makes the object of the parsed JSON.

        Raises:
            StoreError: it is not JSON, or not what this version writes.
        """
        try:
            return read(json.loads(body))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, EditError) as e:
            raise StoreError(
                f"--store: a stored {what} in {self.shown} cannot be understood ({type(e).__name__}); it was "
                "changed by hand, or written by another version: restore the store from a copy, or choose another"
            ) from e


def _engine(location: str, *, create: bool) -> sa.Engine:
    if "://" in location:
        try:
            url = sa.engine.make_url(location)
            if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            for secret in (url.password, *(url.query.get(name) for name in _SECRET_OPTIONS)):
                if isinstance(secret, str) and is_telling(secret):
                    register(secret)
            if url.get_backend_name() == "postgresql":
                return sa.create_engine(url, pool_pre_ping=True)
        except (sa.exc.ArgumentError, ValueError):
            # Without the URL itself, which may hold a password, in the sentence and in the chain of errors.
            scheme = location.partition("://")[0]
            raise StoreError(
                f"--store: the {scheme}:// URL cannot be read; write it as postgresql://user@host:5432/database"
            ) from None
        except ModuleNotFoundError as error:
            raise StoreError(
                "--store: PostgreSQL needs its driver; install it with `pip install recaudit[postgres]`"
            ) from error
        if url.get_backend_name() != "sqlite":
            raise StoreError(
                f"--store: {url.get_backend_name()!r} is not supported; use a file path or a postgresql:// URL"
            )
        location = url.database or ""
    path = Path(location).expanduser()
    try:
        exists = path.exists()
    except OSError as error:
        raise StoreError(f"--store: {path} cannot be reached: {error.strerror}") from error
    if not exists:
        if not create:
            raise StoreError(f"--store: {path} does not exist; run an audit first, or name the store it was written to")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"--store: cannot create the folder {path.parent}: {error.strerror}") from error
    elif path.is_dir():
        raise StoreError(f"--store: {path} is a folder; name a file in it, such as {path / 'runs.sqlite'}")
    url = sa.URL.create("sqlite", database=str(path))
    if exists and not os.access(path, os.W_OK):
        # A store in WAL mode wants to write beside itself even for reading, unless it is said that nobody writes.
        unfinished = path.with_name(f"{path.name}-wal")
        settled = not unfinished.exists() or unfinished.stat().st_size == 0
        name = f"file:{quote(str(path.resolve()))}?mode=ro" + ("&immutable=1" if settled else "")
        return sa.create_engine(url, creator=lambda: sqlite3.connect(name, uri=True, check_same_thread=False))
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        if create:  # a reader changes nothing, not even in a file that turns out to be something else
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    return engine


def _without_password(url: sa.URL) -> str:
    hidden = {name: "***" for name in _SECRET_OPTIONS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _is_contention(error: BaseException) -> bool:
    if isinstance(error, IntegrityError):
        return True
    text = str(error)
    return isinstance(error, OperationalError | DatabaseError) and any(
        sign in text for sign in ("database is locked", "deadlock detected", "already exists", "could not serialize")
    )


def _is_starting(error: BaseException) -> bool:
    """Whether a server answered that it is not ready yet, or not any more."""
    return isinstance(error, OperationalError) and any(
        sign in str(error) for sign in ("the database system is", "terminating connection")
    )


def _is_lost(error: BaseException) -> bool:
    """Whether there is no connection to the server, or not any more. A SQLite file is no server."""
    if not isinstance(error, DBAPIError):
        return False
    # A connection that could not be made has no SQL state: the server had no say in it.
    unreachable = isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", "") is None
    return error.connection_invalidated or unreachable or _is_starting(error)


def _first_line(error: BaseException | None) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0] if error else "unknown"


def _reason(error: DatabaseError) -> str:
    line = _first_line(error)
    mends = {
        "readonly": "it is read-only; make it writable, or choose another store with --store",
        "disk is full": "the disk is full; what was stored before is intact: free some room and resume the run",
        "unable to open": "it cannot be opened; check the folder and its permissions",
        "not a database": "the file is not a SQLite database; choose another path",
        "malformed": "the file is damaged; restore it from a copy, or choose another store",
    }
    return next((mend for sign, mend in mends.items() if sign in line), line)
