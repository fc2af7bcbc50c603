"""What each case gave to a finding, and what searches have found so far.

Stores of version 1 may have these tables: for a while they were added when a store was opened.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the tables that are not there."""
    op.create_table(
        "finding_values",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("finding", sa.String(16), primary_key=True),
        sa.Column("module", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "searches",
        sa.Column("run", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
