"""A run that comes from elsewhere, put into a store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import sqlalchemy as sa

from audit.store import schema
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.store.records import RunRecord
from audit.store.runs import row_of
from audit.types import Answer, Request


class Copies(Database):
    """The part of a store that takes in runs of other stores."""

    def restore(
        self,
        record: RunRecord,
        requests: Mapping[str, Request],
        answers: Mapping[tuple[str, int], Answer],
    ) -> None:
        """Store a run under the id that it has; its findings follow with `save_module`.

        The store must be empty of this run. The answers get keys of their own, which no later run finds: who packed
        them, and with which target, is not known well enough to answer for a target that is here.

        Args:
            record: the run.
            requests: by digest.
            answers: by (request digest, repeat).
        """
        kept = [{"digest": digest, "body": body_of(r.to_dict())} for digest, r in requests.items()]
        given = [
            {
                "key": hashlib.sha256(f"{record.id}/{digest}/{repeat}".encode()).hexdigest(),
                "request": digest,
                "repeat": repeat,
                "outcome": answer.outcome,
                "body": body_of(answer.to_dict()),
            }
            for (digest, repeat), answer in answers.items()
        ]
        asked = [{"run": record.id, "key": row["key"], "fresh": False} for row in given]

        def work(db: sa.Connection) -> None:
            db.execute(sa.insert(schema.runs).values(**row_of(record)))
            for table, rows in ((schema.requests, kept), (schema.answers, given), (schema.asked, asked)):
                if rows:
                    db.execute(self._insert(table).on_conflict_do_nothing(), rows)

        self._write("write", work)
