"""What a run has cost and how its answers ended: counted once when it ends, and counted anew while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from audit.store import schema
from audit.store.bodies import body_of
from audit.store.database import Database
from audit.store.records import RunUsage


class Totals(Database):
    """The part of a store that knows sums over the answers of a run."""

    def usage(self, run: str) -> RunUsage:
        """What a run has cost so far."""
        c = schema.totals.c
        kept = sa.select(c.queries, c.reused, c.prompt_tokens, c.completion_tokens, c.seconds).where(c.run == run)
        rows = self._read(kept) or self._read(_usage(run))
        return _usage_of(rows[0])

    def outcomes(self, run: str) -> dict[str, int]:
        """How many answers of a run ended in each outcome. A run that has ended keeps what it ended with."""
        kept = self._read(sa.select(schema.totals.c.outcomes).where(schema.totals.c.run == run))
        if kept:
            return self._understood("count of outcomes", kept[0][0], _counts)
        return {outcome: int(n) for outcome, n in self._read(_outcomes(run))}


def settle(db: sa.Connection, run: str) -> None:
    """Count the answers of a run and keep the sums, in the caller's transaction: no more answers follow."""
    usage = _usage_of(db.execute(_usage(run)).one())
    forget(db, run)
    counted = body_of({outcome: int(n) for outcome, n in db.execute(_outcomes(run))})
    db.execute(
        sa.insert(schema.totals).values(
            run=run,
            queries=usage.queries,
            reused=usage.reused,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            seconds=usage.seconds,
            outcomes=counted,
        )
    )


def forget(db: sa.Connection, run: str) -> None:
    """Drop the sums of a run whose answers change, in the caller's transaction."""
    db.execute(sa.delete(schema.totals).where(schema.totals.c.run == run))


def _usage(run: str) -> sa.Select[Any]:
    fresh = sa.case((schema.asked.c.fresh, 1), else_=0)
    return sa.select(
        sa.func.coalesce(sa.func.sum(fresh), 0),
        sa.func.count() - sa.func.coalesce(sa.func.sum(fresh), 0),
        sa.func.coalesce(sa.func.sum(schema.asked.c.prompt_tokens), 0),
        sa.func.coalesce(sa.func.sum(schema.asked.c.completion_tokens), 0),
        sa.func.coalesce(sa.func.sum(schema.asked.c.seconds), 0.0),
    ).where(schema.asked.c.run == run)


def _usage_of(row: sa.Row[Any]) -> RunUsage:
    queries, reused, prompt, completion, seconds = tuple(row)
    return RunUsage(int(queries), int(reused), int(prompt), int(completion), float(seconds))


def _outcomes(run: str) -> sa.Select[Any]:
    return (
        sa.select(schema.answers.c.outcome, sa.func.count())
        .join(schema.asked, schema.asked.c.key == schema.answers.c.key)
        .where(schema.asked.c.run == run)
        .group_by(schema.answers.c.outcome)
        .order_by(schema.answers.c.outcome)
    )


def _counts(told: Mapping[str, Any]) -> dict[str, int]:
    return {str(outcome): int(n) for outcome, n in told.items()}
