"""The tables of the run store."""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 3
"""Of the tables, and the last of `audit/store/migrations/versions`; a store of another version is not opened."""

metadata = sa.MetaData()
meta = sa.Table("meta", metadata, sa.Column("schema", sa.Integer, primary_key=True))
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("verdict", sa.String(16)),
    # Here and not only in the body, so that a list of runs reads no bodies; and before it, because SQLite reaches what
    # stands behind a long text only by way of the text.
    sa.Column("target", sa.Text, nullable=False, server_default=""),
    sa.Column("changed", sa.String(32), nullable=False, server_default=""),
    sa.Column("body", sa.Text, nullable=False),
)
# What a run that is not going on has cost, so that nobody counts its answers again; `audit.store.totals` keeps it true.
totals = sa.Table(
    "run_totals",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("queries", sa.BigInteger, nullable=False),
    sa.Column("reused", sa.BigInteger, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("outcomes", sa.Text, nullable=False),
)
requests = sa.Table(
    "requests",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
answers = sa.Table(
    "answers",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
asked = sa.Table(
    "asked",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    # True where this run paid for the answer, False where an earlier run already had.
    sa.Column("fresh", sa.Boolean, nullable=False),
    sa.Column("prompt_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("completion_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("seconds", sa.Float, nullable=False, default=0.0),
)
findings = sa.Table(
    "findings",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("module", sa.String(40), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("module", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
# What each case gave to a finding: two runs can then be compared case by case, not only by their intervals.
values = sa.Table(
    "finding_values",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("finding", sa.String(16), primary_key=True),
    sa.Column("module", sa.String(40), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
# What attacks with a search have found so far, so that a resumed run does not search again.
searches = sa.Table(
    "searches",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
sa.Index("runs_created", runs.c.created, runs.c.id)
sa.Index("answers_request", answers.c.request, answers.c.repeat)

CHUNK = 500
"""Keys per SELECT: SQLite allows a bounded number of parameters in a statement."""
