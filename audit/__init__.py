"""RecAudit: audit an LLM-based recommender, with evidence.

The public names are those listed in `__all__`. Heavy libraries (torch, transformers) are imported where they are used,
never here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.target import Recommender
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

if TYPE_CHECKING:
    from audit.findings import Finding as Finding
    from audit.runner import run_audit as run_audit

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "Catalog",
    "Event",
    "Finding",
    "Item",
    "Ranked",
    "Recommender",
    "Request",
    "User",
    "run_audit",
]

_LAZY = {"Finding": "audit.findings", "run_audit": "audit.runner"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type depends on the name
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'audit' has no attribute {name!r}")
