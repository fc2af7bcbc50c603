"""The open database, SQLite or PostgreSQL: transactions that wait their turn, errors in one sentence."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import platformdirs
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from audit.errors import EditError, StoreError
from audit.redaction import is_telling, look_around, register
from audit.store import schema

T = TypeVar("T")

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
            StoreError: it cannot be opened, is not a run store, or has another schema version.
        """
        look_around()
        self.location = str(location if location is not None else default_location())
        self.engine = _engine(self.location, create=create)
        self._create = create
        self._insert: Callable[..., Any] = (
            postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        )
        try:
            with self._guard("open"):
                self._prepare()
        except StoreError:
            self.engine.dispose()
            raise

    def _prepare(self) -> None:
        def prepare() -> int | None:
            found_tables = set(sa.inspect(self.engine).get_table_names())
            if self._create and "meta" in found_tables:
                for table in (t for t in schema.LATER if t.name not in found_tables):
                    table.create(self.engine, checkfirst=True)
            if "meta" not in found_tables:
                if not self._create:
                    raise StoreError(
                        f"--store: {self.shown} holds no runs; run an audit first, or name the store it was written to"
                    )
                schema.metadata.create_all(self.engine)
            with self.engine.begin() as db:
                found = db.execute(sa.select(schema.meta.c.schema)).scalar()
                if found is None:
                    db.execute(self._insert(schema.meta).values(schema=schema.VERSION).on_conflict_do_nothing())
                return found

        found = self._patiently(prepare)
        if found not in (None, schema.VERSION):
            raise StoreError(
                f"--store: {self.shown} has schema {found}, this version reads {schema.VERSION}; "
                "open it with the version that wrote it, or choose another store"
            )

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
            raise StoreError(
                f"--store: cannot {doing} {self.shown}: it stayed locked by another process ({_first_line(cause)}); "
                "end that process, or choose another store"
            ) from error
        except DatabaseError as error:
            raise StoreError(f"--store: cannot {doing} {self.shown}: {_reason(error)}") from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Run a transaction again when another process held the lock, or created the same rows at the same moment."""
        retrying = Retrying(
            retry=retry_if_exception(_is_contention),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_delay(60),
        )
        return retrying(work)

    def _write(self, doing: str, work: Callable[[sa.Connection], T]) -> T:
        def transaction() -> T:
            with self.engine.begin() as db:
                return work(db)

        with self._guard(doing):
            return self._patiently(transaction)

    def _read(self, statement: sa.Executable) -> Sequence[Any]:
        with self._guard("read"), self.engine.connect() as db:
            return db.execute(statement).all()

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
