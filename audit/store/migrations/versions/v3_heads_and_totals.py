"""What lists of runs show of each, beside its body; and the sums over the answers of runs that have ended."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

_RUNS = sa.table("runs", sa.column("id"), sa.column("status"), sa.column("target"), sa.column("body"))
_ANSWERS = sa.table("answers", sa.column("key"), sa.column("outcome"))
_ASKED = sa.table(
    "asked",
    *map(sa.column, ("run", "key", "fresh", "prompt_tokens", "completion_tokens", "seconds")),
)


def upgrade() -> None:
    """Add them, and fill them from what is there."""
    db = op.get_bind()
    # In SQLite the table is made anew, so that the short columns stand before the body; a server keeps bodies apart.
    anew = db.dialect.name == "sqlite"
    with op.batch_alter_table("runs", recreate="always" if anew else "never") as runs:
        for name, kind, after in (("target", sa.Text(), "verdict"), ("changed", sa.String(32), "target")):
            column = sa.Column(name, kind, nullable=False, server_default="")
            runs.add_column(column, insert_after=after if anew else None)
    op.create_index("runs_created", "runs", ["created", "id"])
    totals = op.create_table(
        "run_totals",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("queries", sa.BigInteger, nullable=False),
        sa.Column("reused", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("outcomes", sa.Text, nullable=False),
    )
    for run, status, body in db.execute(sa.select(_RUNS.c.id, _RUNS.c.status, _RUNS.c.body)).all():
        db.execute(sa.update(_RUNS).where(_RUNS.c.id == run).values(target=_target(body)))
        if status != "running":
            db.execute(sa.insert(totals).values(run=run, **_totals(db, run)))


def _target(body: str) -> str:
    """The name of the target; empty where somebody damaged the body, which whoever opens the run is told."""
    try:
        return str(json.loads(body)["target"].get("name") or "")
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""


def _totals(db: sa.Connection, run: str) -> dict[str, object]:
    fresh = sa.func.coalesce(sa.func.sum(sa.case((_ASKED.c.fresh, 1), else_=0)), 0)
    sums = [sa.func.coalesce(sa.func.sum(_ASKED.c[n]), 0) for n in ("prompt_tokens", "completion_tokens", "seconds")]
    queries, every, prompt, completion, seconds = db.execute(
        sa.select(fresh, sa.func.count(), *sums).where(_ASKED.c.run == run)
    ).one()
    outcomes = db.execute(
        sa.select(_ANSWERS.c.outcome, sa.func.count())
        .join_from(_ASKED, _ANSWERS, _ASKED.c.key == _ANSWERS.c.key)
        .where(_ASKED.c.run == run)
        .group_by(_ANSWERS.c.outcome)
    )
    return {
        "queries": int(queries),
        "reused": int(every) - int(queries),
        "prompt_tokens": int(prompt),
        "completion_tokens": int(completion),
        "seconds": float(seconds),
        "outcomes": json.dumps({outcome: int(n) for outcome, n in outcomes}, sort_keys=True),
    }
