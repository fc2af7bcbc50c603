"""The errors a user can meet.

Each message is one sentence that names the field, the value, and the mend. The CLI prints it without a traceback and
turns the class into an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecAuditError(Exception):
    """Base of every error this package raises on purpose. Exit code 2 unless a subclass says otherwise."""

    exit_code = 2


class ConfigError(RecAuditError):
    """A configuration, policy or option that cannot be used."""


class DataError(RecAuditError):
    """A data file that is missing, malformed, or lacks what the audit needs."""


class AssetError(RecAuditError):
    """A download that failed, was cut short, or does not have the expected checksum."""


class StoreError(RecAuditError):
    """A run store that cannot be opened, read or written."""


class StoreLost(StoreError):
    """A run store that went away while it was used. What was stored is intact; `recaudit resume` goes on."""

    exit_code = 3


class TargetError(RecAuditError):
    """A target that cannot be built, or that failed in a way that makes asking further pointless."""


class TargetUnavailable(RecAuditError):
    """A failure of one call that may succeed when asked again (time-out, 429, 5xx).

    Attributes:
        retry_after: seconds the endpoint asked us to wait, if it said so.
        throttled: True when the endpoint said that we ask too fast (429).
    """

    def __init__(self, message: str, *, retry_after: float | None = None, throttled: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled


class EditError(RecAuditError):
    """An edit that does not fit the request it is applied to."""


class ThreatModelViolation(RecAuditError):
    """An edit, or a number of edits or queries, that the declared threat model does not allow."""


class AttackError(RecAuditError):
    """An attack that broke. It is never counted as one that the target withstood."""


class BudgetExhausted(RecAuditError):
    """The next batch would exceed the budget. What was asked so far is stored; `recaudit resume` goes on."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to `name`, as the tail of an error sentence.

    Returns:
        `"did you mean 'x'? Known: a, b, x."`, or only the list of known names when none is close.
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = f"Known: {', '.join(names)}." if names else "None are known here."
    return f"did you mean {close[0]!r}? {listed}" if close else listed
