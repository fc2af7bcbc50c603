"""Whether the checker of claims can be believed: its own audit, as the part `claims` needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.modules.base import Context
from audit.stats import CheckerSample


@dataclass(frozen=True)
class Trust:
    """What the checker's own audit says.

    Attributes:
        unmet: why its figures should not be concluded from (`Finding.unmet`); none if it is good enough.
        sample: what it did on claims of known truth, for correcting rates; None where it was not audited.
        reason: why it was not audited.
    """

    unmet: tuple[str, ...] = ()
    sample: CheckerSample | None = None
    reason: str = "the checker was not audited for this part (corrected: false)"


def trust(context: Context, knowledge: Mapping[str, Any] | None, rungs: Mapping[str, Any] | None) -> Trust:
    """Audit the checker that rules on this target's claims. Nothing is asked of the target."""
    from audit.modules.hallucination import checker, gates

    part = checker.Checker(knowledge=knowledge, rungs=rungs)
    if lacking := part.lacking(context):
        return Trust(
            (f"the checker could not be audited: {lacking}",), None, f"the checker could not be audited: {lacking}"
        )
    audit = part.audit(context)
    return Trust(gates.gate(audit), gates.claim_sample(audit), "")
