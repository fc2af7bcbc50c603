"""Stores of older versions, brought to this version on request: `recaudit store upgrade`.

The number in the table `meta` says which version a store has; opening a store reads no more than that. Alembic keeps
its own note in `alembic_version`, which is set from `meta` before each upgrade.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from audit.errors import StoreError
from audit.store import schema
from audit.store.database import Database

_UPGRADE_LOCK = 0x7265636175646974  # "recaudit": any number that is not the lock of a run


@dataclass(frozen=True)
class StoreStatus:
    """What a store is, whatever its version.

    Attributes:
        location: without a password.
        database: `sqlite` or `postgresql`.
        schema: version of its tables.
        wanted: version that this RecAudit reads and writes.
        runs: how many it holds.
    """

    location: str
    database: str
    schema: int
    wanted: int
    runs: int

    @property
    def state(self) -> Literal["current", "older", "newer"]:
        """Whether it can be used as it is, after an upgrade, or only with a newer RecAudit."""
        if self.schema == self.wanted:
            return "current"
        return "older" if self.schema < self.wanted else "newer"


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        before: version that the store had.
        after: version that it has.
        copy: file that holds the store as it was; None for a server, and where nothing had to be done.
    """

    before: int
    after: int
    copy: Path | None


class _AnyVersion(Database):
    """A store that is opened whatever its version."""

    def _prepare(self) -> None:
        self._patiently(self.version)
        self._opened = True

    def version(self) -> int:
        found = self._version()
        if found is None:
            raise StoreError(f"--store: {self.shown} holds no runs; name the store that they were written to")
        if not isinstance(found, int) or found < 1:
            raise StoreError(f"--store: {self.shown} has schema {found!r}, which no RecAudit wrote; choose another")
        return found

    def status(self) -> StoreStatus:
        runs = self._read(sa.select(sa.func.count()).select_from(schema.runs))[0][0]
        return StoreStatus(self.shown, self.engine.dialect.name, self.version(), schema.VERSION, int(runs))

    def upgrade(self) -> Upgraded:
        with self._guard("upgrade"), self._alone() as db:
            before = self.version()
            if before > schema.VERSION:
                raise StoreError(
                    f"--store: {self.shown} has schema {before}, this version knows {schema.VERSION}; "
                    "it was written by a newer RecAudit: upgrade RecAudit itself"
                )
            if before == schema.VERSION:
                return Upgraded(before, before, None)
            copy = self._copy(before) if self.engine.dialect.name == "sqlite" else None
            _migrate(db, before)
            db.execute(sa.delete(schema.meta))
            db.execute(sa.insert(schema.meta).values(schema=schema.VERSION))
        return Upgraded(before, schema.VERSION, copy)

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        """One transaction, while nobody else upgrades. It holds for the whole upgrade, or for none of it."""
        with self.engine.connect() as db:
            if self.engine.dialect.name == "sqlite":
                # SQLite's driver would begin only at the first change of a row, and leave new tables outside.
                db.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                db.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            yield db
            db.commit()

    def _copy(self, version: int) -> Path:
        """Copy the file, as it is now, beside itself; never over an earlier copy."""
        path = Path(str(self.engine.url.database))
        names = (f"{path.name}.v{version}{more}.bak" for more in ("", *(f"-{n}" for n in range(2, 1000))))
        copy = next(place for name in names if not (place := path.with_name(name)).exists())
        try:
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        except (sqlite3.Error, OSError) as error:
            with suppress(OSError):
                copy.unlink(missing_ok=True)
            raise StoreError(
                f"--store: cannot copy {self.shown} to {copy} before the upgrade: {error}; nothing was changed: make "
                "room beside it, or make its folder writable"
            ) from error
        return copy


def status(location: str | Path | None = None) -> StoreStatus:
    """What a store is, whatever its version.

    Raises:
        StoreError: it does not exist, cannot be opened, or is no store.
    """
    with closing(_AnyVersion(location, create=False)) as opened:
        return opened.status()


def upgrade(location: str | Path | None = None) -> Upgraded:
    """Bring a store to this version. A SQLite file is copied first; a server is changed in one transaction.

    Raises:
        StoreError: as `status`; or the store is newer than this version, or cannot be written.
    """
    with closing(_AnyVersion(location, create=False)) as opened:
        return opened.upgrade()


def _migrate(db: sa.Connection, version: int | None) -> None:
    """Carry out the migrations after a version; None for all of them, in an empty database."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", "audit.store:migrations")
    config.set_main_option("path_separator", "os")
    command.stamp(config, "base" if version is None else str(version), purge=True)
    command.upgrade(config, str(schema.VERSION))
