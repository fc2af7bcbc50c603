"""Runs: how each was set up and how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from audit.errors import StoreError, nearest
from audit.redaction import redact
from audit.store import schema, totals
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.store.records import RunHead, RunRecord, Status


class Runs(Database):
    """The part of a store that holds runs."""

    def create_run(
        self,
        name: str,
        *,
        config: Mapping[str, Any],
        target: Mapping[str, Any],
        versions: Mapping[str, str],
        seed: int,
        policy: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> RunRecord:
        """Store a new run in state `running`."""
        now = datetime.now(UTC)
        record = RunRecord(
            id=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}",
            name=name,
            created=_written(now),
            status="running",
            verdict=None,
            config=config,
            target=target,
            versions=versions,
            seed=seed,
            policy=policy or {},
            notes=tuple(notes),
        )
        # The id is new: a row that has it is this one, of a transaction that was thought lost.
        new = self._insert(schema.runs).values(**row_of(record)).on_conflict_do_nothing()
        self._write("write", lambda db: db.execute(new))
        return record

    def set_status(self, run: str, status: Status, verdict: str | None = None, *, wait_s: float | None = None) -> None:
        """Change the state of a run; one that is not going on any more has its answers counted for good.

        Args:
            run: id of the run.
            status: the new state.
            verdict: of a finished run.
            wait_s: how long a store that is locked or away is waited for; None for as long as in any other write.
        """
        change = (
            sa.update(schema.runs)
            .where(schema.runs.c.id == run)
            .values(status=status, verdict=verdict, changed=_written(datetime.now(UTC)))
        )

        def work(db: sa.Connection) -> None:
            if db.execute(change).rowcount and status != "running":
                totals.settle(db, run)
            else:
                totals.forget(db, run)

        self._write("write", work, wait_s=wait_s)

    def heads(self) -> list[RunHead]:
        """All runs, newest first, without how they were set up: of 1,000 runs that is megabytes."""
        c = schema.runs.c
        listed = sa.select(c.id, c.name, c.created, c.changed, c.status, c.verdict, c.target)
        return [
            RunHead(row.id, row.name, row.created, row.changed, row.status, row.verdict, row.target)
            for row in self._read(listed.order_by(*_NEWEST_FIRST))
        ]

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        return self._records(sa.select(schema.runs).order_by(*_NEWEST_FIRST))

    def run(self, name: str) -> RunRecord:
        """One run by id, unique prefix of an id, or `latest`.

        Raises:
            StoreError: there is no such run, or the prefix fits several.
        """
        c = schema.runs.c
        if name == "latest":
            found = self._records(sa.select(schema.runs).order_by(*_NEWEST_FIRST).limit(1))
        else:
            found = self._records(sa.select(schema.runs).where(c.id == name))
        if found:
            return found[0]
        heads = self.heads()
        if not heads:
            raise StoreError(f"RUN: the store {self.shown} holds no runs yet; start one with `recaudit run audit.yaml`")
        fits = [head.id for head in heads if head.id.startswith(name)]
        if len(fits) == 1:
            return self.run(fits[0])
        if fits:
            raise StoreError(f"RUN: {name!r} fits {len(fits)} runs; give more of the id, such as {fits[0]!r}")
        raise StoreError(f"RUN: {name!r} is not a run of {self.shown}; {nearest(name, [h.id for h in heads[:8]])}")

    def _records(self, wanted: sa.Select[Any]) -> list[RunRecord]:
        return [self._understood("run", row.body, partial(_run, row)) for row in self._read(wanted)]


_NEWEST_FIRST = (schema.runs.c.created.desc(), schema.runs.c.id.desc())


def _written(moment: datetime) -> str:
    # To the microsecond, so that `latest` is the later of two runs started in one second.
    return moment.isoformat(timespec="microseconds")


def row_of(record: RunRecord) -> dict[str, Any]:
    """A run as its row of the table."""
    body = {
        "config": record.config,
        "target": record.target,
        "versions": record.versions,
        "seed": record.seed,
        "policy": record.policy,
        "notes": list(record.notes),
    }
    return {
        "id": record.id,
        "name": redact(record.name),
        "created": record.created,
        "status": record.status,
        "verdict": record.verdict,
        "target": redact(str(record.target.get("name") or "")),
        "changed": record.created,
        "body": body_of(body),
    }


def _run(row: Any, body: Mapping[str, Any]) -> RunRecord:  # noqa: ANN401 - a row of whichever SQLAlchemy version
    return RunRecord(
        id=row.id,
        name=row.name,
        created=row.created,
        status=row.status,
        verdict=row.verdict,
        config=body["config"],
        target=body["target"],
        versions=body["versions"],
        seed=body["seed"],
        policy=body["policy"],
        notes=tuple(body["notes"]),
    )
