"""A failure that somebody answers for, until a date."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from pydantic import field_validator

from audit.findings import Finding, Waived
from audit.policy.selector import Selector


class Waiver(Selector):
    """Lifts what would stop the gate, for findings of one metric, until a date.

    That is a failure, and where the policy asks for certainty an open finding too. What is waived never reads as
    passed, and the numbers stay as they are.

    Attributes:
        owner: who answers for it.
        reason: why it may be so for now.
        expires: the last day on which it holds (UTC). From the next day on the finding fails again, and says so.
    """

    owner: str
    reason: str
    expires: date

    @field_validator("owner", "reason")
    @classmethod
    def _said(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("it is empty; a waiver names who answers for it, and why it may be so for now")
        return text.strip()

    def expired(self, on: date) -> bool:
        """Whether its last day is over."""
        return on > self.expires

    def apply(self, finding: Finding, on: date) -> Finding:
        """The finding as waived, or with a word about the waiver that has ended."""
        if self.expired(on):
            return replace(
                finding,
                reason=f"{finding.reason.rstrip('.')}. The waiver by {self.owner} ended on {self.expires}.",
            )
        waived = Waived(self.owner, self.reason, self.expires.isoformat(), finding.verdict or "fail")
        word = "fails" if finding.verdict == "fail" else "is open"
        return replace(
            finding,
            verdict="waived",
            waiver=waived,
            n_to_settle=None,
            reason=f"waived by {self.owner} until {self.expires}: {self.reason.rstrip('.')}. "
            f"Without the waiver it {word}: {finding.reason}",
        )


def today() -> date:
    """The day that waivers are held to, in UTC, so that two machines agree."""
    return datetime.now(UTC).date()
