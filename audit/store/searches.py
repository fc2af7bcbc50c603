"""What attacks with a search have found so far, so that a resumed run does not search again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from audit.store import schema
from audit.store.bodies import body_of
from audit.store.database import Database


class Searches(Database):
    """The part of a store that holds the finds of searches."""

    def search(self, run: str, name: str) -> Any:  # noqa: ANN401 - whatever JSON was saved
        """What `save_search` saved under this name; None if nothing was."""
        rows = self._read(
            sa.select(schema.searches.c.body).where(schema.searches.c.run == run, schema.searches.c.name == name)
        )
        return self._understood("search", rows[0][0], lambda told: told) if rows else None

    def save_search(self, run: str, name: str, body: object) -> None:
        """Keep what a search has found so far (JSON-compatible), in place of what was kept under this name."""
        row = {"run": run, "name": name, "body": body_of(body)}
        insert = self._insert(schema.searches)
        kept = insert.on_conflict_do_update(
            index_elements=[schema.searches.c.run, schema.searches.c.name], set_={"body": insert.excluded.body}
        )
        self._write("write", lambda db: db.execute(kept, [row]))
