"""Who is selected: the tables of NYC Local Law 144, with tests, and with what the four-fifths rule does at this n."""

from __future__ import annotations

from audit.modules.fairness.hiring.part import Hiring
from audit.modules.fairness.hiring.table import hiring_table

__all__ = ["Hiring", "hiring_table"]
