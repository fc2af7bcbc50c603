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
from audit.store import schema
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.store.records import RunRecord, Status


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
            # To the microsecond, so that `latest` is the later of two runs started in one second.
            created=now.isoformat(timespec="microseconds"),
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
        """Change the state of a run.

        Args:
            run: id of the run.
            status: the new state.
            verdict: of a finished run.
            wait_s: how long a store that is locked or away is waited for; None for as long as in any other write.
        """
        change = sa.update(schema.runs).where(schema.runs.c.id == run).values(status=status, verdict=verdict)
        self._write("write", lambda db: db.execute(change), wait_s=wait_s)

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        return [
            self._understood("run", row.body, partial(_run, row))
            for row in self._read(
                sa.select(schema.runs).order_by(schema.runs.c.created.desc(), schema.runs.c.id.desc())
            )
        ]

    def run(self, name: str) -> RunRecord:
        """One run by id, unique prefix of an id, or `latest`.

        Raises:
            StoreError: there is no such run, or the prefix fits several.
        """
        everything = self.runs()
        if not everything:
            raise StoreError(f"RUN: the store {self.shown} holds no runs yet; start one with `recaudit run audit.yaml`")
        if name == "latest":
            return everything[0]
        found = [r for r in everything if r.id == name] or [r for r in everything if r.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(f"RUN: {name!r} fits {len(found)} runs; give more of the id, such as {found[0].id!r}")
        raise StoreError(f"RUN: {name!r} is not a run of {self.shown}; {nearest(name, [r.id for r in everything[:8]])}")


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
