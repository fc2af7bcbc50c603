"""Alembic's way in: it migrates the connection that the caller hands over, in the caller's transaction."""

from __future__ import annotations

from alembic import context

from audit.store import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
context.run_migrations()
