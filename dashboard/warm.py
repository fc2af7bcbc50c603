"""What the first visitor would wait for, done before the server listens: libraries, templates, the last run."""

from __future__ import annotations

from contextlib import suppress


def up() -> None:
    """Load what every page needs, and draw the page that opens first for nobody."""
    from dashboard import frame, reading, views

    del views  # imported with all that the pages import
    frame.style()
    # Whatever cannot be read is told on its page; the others are there all the same.
    with suppress(Exception):
        for head in reading.heads()[:1]:
            parts = frame.fragments(reading.view(head))
            for part in (parts.verdict, parts.modules, parts.summary, parts.facts):
                part()
