"""The one way in which anything becomes a row: as JSON, and without the secrets of this process."""

from __future__ import annotations

from audit.redaction import redact_values
from audit.types import canonical_json


def body_of(value: object) -> str:
    """JSON-compatible data as the body of a row."""
    return canonical_json(redact_values(value))
