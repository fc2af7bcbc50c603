"""A part of the fairness audit: one question, its own experiment, its own family of tests."""

from __future__ import annotations

from typing import Protocol

from audit.gateway import Ask
from audit.modules.base import Context, Output


class Part(Protocol):
    """What every part offers. Its constructor takes its block of options, by keyword.

    Findings leave a part with their p-values corrected: within its primary family by Holm, within families that are
    only explored by Benjamini and Hochberg. `Output.values` holds, for every finding that a mitigation could move, one
    number per unit whose mean is the finding's estimate: behind a defense the same part is run again, and the change is
    tested within units.
    """

    def lacking(self, context: Context) -> str | None:
        """Why this target or these data cannot be asked this, as the end of a sentence; None if they can."""
        ...

    def plan(self, context: Context) -> list[Ask]:
        """Every question, the same list at each call; at most this is asked."""
        ...

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and conclude.

        Args:
            context: what is audited.
            examples: pieces of evidence kept per finding.
        """
        ...
