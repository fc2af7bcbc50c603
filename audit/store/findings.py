"""What a run found: findings, the cases behind them, and what each case gave to a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from audit.findings import Evidence, Finding
from audit.store import schema
from audit.store.bodies import body_of
from audit.store.database import Database


class Findings(Database):
    """The part of a store that holds findings and evidence."""

    def save_module(
        self,
        run: str,
        module: str,
        findings: Sequence[Finding],
        evidence: Sequence[Evidence],
        values: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Replace what one module found, in one transaction.

        Args:
            run: id of the run.
            module: which module found it.
            findings: in the order in which they will be read.
            evidence: the cases they refer to.
            values: by finding id, what each unit gave: case id to a value, one per unit, such that their mean is the
                finding's effect where it has one, else its estimate. Findings that are no such mean (an AUC, a ratio of
                sums) have none.
        """
        rows = [
            {"run": run, "module": module, "ordinal": i, "body": body_of(f.to_dict())} for i, f in enumerate(findings)
        ]
        single = [
            {"run": run, "finding": finding, "module": module, "body": body_of(dict(cases))}
            for finding, cases in (values or {}).items()
        ]
        unique = {e.id: e for e in evidence}
        shown = [{"run": run, "id": key, "module": module, "body": body_of(e.to_dict())} for key, e in unique.items()]

        def work(db: sa.Connection) -> None:
            db.execute(
                sa.delete(schema.findings).where(schema.findings.c.run == run, schema.findings.c.module == module)
            )
            db.execute(
                sa.delete(schema.evidence).where(schema.evidence.c.run == run, schema.evidence.c.module == module)
            )
            if rows:
                db.execute(sa.insert(schema.findings), rows)
            db.execute(sa.delete(schema.values).where(schema.values.c.run == run, schema.values.c.module == module))
            if shown:
                db.execute(self._insert(schema.evidence).on_conflict_do_nothing(), shown)
            if single:
                db.execute(sa.insert(schema.values), single)

        self._write("write", work)

    def values(self, run: str, finding: str) -> dict[str, float]:
        """What each case gave to a finding, by case id; empty where the module kept no values."""
        wanted = sa.select(schema.values.c.body).where(schema.values.c.run == run, schema.values.c.finding == finding)
        rows = self._read(wanted)
        return self._understood("value of a finding", rows[0][0], _numbers) if rows else {}

    def findings(self, run: str) -> list[Finding]:
        """All findings of a run, by module and in each module's own order."""
        order = sa.select(schema.findings.c.body).where(schema.findings.c.run == run)
        rows = self._read(order.order_by(schema.findings.c.module, schema.findings.c.ordinal))
        return [self._understood("finding", body, Finding.from_dict) for (body,) in rows]

    def evidence(self, run: str, ids: Sequence[str] | None = None) -> dict[str, Evidence]:
        """Evidence of a run by id: that of `ids`, or all."""
        base = (
            sa.select(schema.evidence.c.id, schema.evidence.c.body)
            .where(schema.evidence.c.run == run)
            .order_by(schema.evidence.c.id)
        )
        if ids is None:
            return {
                key: self._understood("piece of evidence", body, Evidence.from_dict) for key, body in self._read(base)
            }
        found: dict[str, Evidence] = {}
        for start in range(0, len(ids), schema.CHUNK):
            for key, body in self._read(base.where(schema.evidence.c.id.in_(ids[start : start + schema.CHUNK]))):
                found[key] = self._understood("piece of evidence", body, Evidence.from_dict)
        return found


def _numbers(told: Mapping[str, Any]) -> dict[str, float]:
    return {str(case): float(value) for case, value in told.items()}
