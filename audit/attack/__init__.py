"""The attack protocol: threat models, objectives, attempts, feedback, and what attacks with a search share.

An attack edits requests within a declared threat model and asks the target; every attempt says what it edited, what it
cost in true queries, and how visible it is on the edited field itself.

Three ways to write one, from the shortest: a `Perturbation` draws its edits at once; a `Search` proposes edits, sees
their loss and goes on (`docs/attacks/write-your-own.md`); anything else with `info` and `run` is an `Attack` too.
"""

from __future__ import annotations

from audit.attack.attempt import Attempt, Found, Stealth, Step, stealth, writable_text
from audit.attack.feedback import Feedback, feedback_for
from audit.attack.perturbation import Perturbation
from audit.attack.promotion import Exposure, Extraction, Offer, Promotion, Variant, Writing
from audit.attack.protocol import Attack
from audit.attack.search import Campaign, Edits, Hunt, Job, Joint, Probe, Scouting, Search, Steps, drive
from audit.attack.threat import AttackInfo, Goal, Knowledge, Objective, ThreatModel

__all__ = [
    "Attack",
    "AttackInfo",
    "Attempt",
    "Campaign",
    "Edits",
    "Exposure",
    "Extraction",
    "Feedback",
    "Found",
    "Goal",
    "Hunt",
    "Job",
    "Joint",
    "Knowledge",
    "Objective",
    "Offer",
    "Perturbation",
    "Probe",
    "Promotion",
    "Scouting",
    "Search",
    "Stealth",
    "Step",
    "Steps",
    "ThreatModel",
    "Variant",
    "Writing",
    "drive",
    "feedback_for",
    "stealth",
    "writable_text",
]
