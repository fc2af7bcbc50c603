"""What the first visitor would wait for, done before the server listens: libraries, templates, the store, the last run."""

from __future__ import annotations

from contextlib import suppress

from audit.errors import RecAuditError


def up() -> None:
    """Load what every page needs, and draw the page that opens first for nobody."""
    from dashboard import frame, reading, views

    del views  # imported with all that the pages import
    frame.style()
    # A store that cannot be read is told on the page, not here.
    with suppress(RecAuditError):
        for head in reading.heads()[:1]:
            parts = frame.fragments(reading.view(head))
            for part in (parts.verdict, parts.modules, parts.summary, parts.facts):
                part()
