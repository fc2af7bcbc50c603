"""The run store: every answer, finding and piece of evidence, in SQLite (a file) or PostgreSQL (by URL).

The only place where SQL lives. Answers are addressed by content (target, request, repeat), so a resumed run asks
nothing twice; a batch of answers is written in one transaction, so a killed process loses at most the batch in flight.
"""

from __future__ import annotations

from audit.store.answers import Answers
from audit.store.claims import Claims
from audit.store.copies import Copies
from audit.store.database import default_location
from audit.store.findings import Findings
from audit.store.records import RunHead, RunRecord, RunUsage, Status, versions
from audit.store.runs import Runs
from audit.store.schema import VERSION as SCHEMA
from audit.store.searches import Searches
from audit.store.totals import Totals

__all__ = ["SCHEMA", "RunHead", "RunRecord", "RunUsage", "Status", "Store", "default_location", "versions"]


class Store(Claims, Runs, Answers, Totals, Searches, Findings, Copies):
    """An open run store. Safe to use from several threads and several processes at once."""

    def pace(self, target: str) -> float | None:
        """Seconds per true query over the stored runs of a target of this name; None when there are none."""
        runs = [head.id for head in self.heads() if head.target == target]
        spent = [self.usage(run) for run in runs[:5]]
        queries = sum(u.queries for u in spent)
        return sum(u.seconds for u in spent) / queries if queries else None
