"""Runs that come from elsewhere and go elsewhere: rows pass as they are stored, none is made an object on the way.

A run may rest on hundreds of thousands of requests. Making objects of them and writing those again took ten times as
long as all else that a pack needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from audit.redaction import redact
from audit.store import schema
from audit.store.answers import rested_on
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.store.records import RunRecord
from audit.store.runs import row_of

T = TypeVar("T")

_ROWS = 5000
"""Rows of one transaction."""


class AnswerRow(NamedTuple):
    """An answer as it is stored.

    Attributes:
        request: digest of the request.
        repeat: which answer to it.
        outcome: how it ended.
        body: the answer as JSON.
    """

    request: str
    repeat: int
    outcome: str
    body: str


class Copies(Database):
    """The part of a store that gives out runs to other stores, and takes in theirs."""

    def evidence_bodies(self, run: str) -> Iterator[tuple[str, str]]:
        """The evidence of a run as (id, JSON), in the order of the ids."""
        wanted = sa.select(schema.evidence.c.id, schema.evidence.c.body).where(schema.evidence.c.run == run)
        yield from sorted((key, body) for key, body in self._read(wanted))

    def request_bodies(self, digests: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Requests as (digest, JSON), in the order of the digests."""
        for chunk in _chunks(sorted(set(digests)), schema.CHUNK):
            wanted = sa.select(schema.requests.c.digest, schema.requests.c.body)
            rows = self._read(wanted.where(schema.requests.c.digest.in_(chunk)))
            yield from sorted((digest, body) for digest, body in rows)

    def answer_rows(self, run: str, digests: Iterable[str]) -> Iterator[AnswerRow]:
        """Answers that a run rests on, in the order of the digests of their requests."""
        c = schema.answers.c
        wanted = sa.select(c.request, c.repeat, c.outcome, c.body).where(rested_on(run))
        for chunk in _chunks(sorted(set(digests)), schema.CHUNK):
            rows = self._read(wanted.where(c.request.in_(chunk)))
            yield from sorted(AnswerRow(*row) for row in rows)

    def restore(self, record: RunRecord, requests: Iterable[tuple[str, str]], answers: Iterable[AnswerRow]) -> None:
        """Store a run under the id that it has; its findings follow with `save_module`.

        The store must be empty of this run. The answers get keys of their own, which no later run finds: who packed
        them, and with which target, is not known well enough to answer for a target that is here. Bodies are not
        looked into: one that is not what it should be is an error when it is read.

        Args:
            record: the run. It is stored last, so that a run that is there is whole.
            requests: digest and JSON of each.
            answers: each as it was stored.
        """
        for some in _chunks(requests, _ROWS):
            self._take(schema.requests, [{"digest": digest, "body": _safe(body)} for digest, body in some])
        for told in _chunks(answers, _ROWS):
            given = [
                {
                    "key": hashlib.sha256(f"{record.id}/{row.request}/{row.repeat}".encode()).hexdigest(),
                    "request": row.request,
                    "repeat": row.repeat,
                    "outcome": row.outcome,
                    "body": _safe(row.body),
                }
                for row in told
            ]
            self._take(schema.answers, given)
            self._take(schema.asked, [{"run": record.id, "key": row["key"], "fresh": False} for row in given])
        run = self._insert(schema.runs).values(**row_of(record)).on_conflict_do_nothing()
        self._write("write", lambda db: db.execute(run))

    def _take(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        self._write("write", lambda db: db.execute(self._insert(table).on_conflict_do_nothing(), rows))


def _chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some


def _safe(body: str) -> str:
    """The body without the secrets of this process. Most hold none, and stay the text that they are."""
    return body if redact(body) == body else body_of(json.loads(body))
