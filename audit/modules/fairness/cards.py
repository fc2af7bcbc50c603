"""The two families of findings of a part: what is decided on, and what is only explored."""

from __future__ import annotations

from dataclasses import replace

from audit.findings import Finding
from audit.modules.base import Context
from audit.modules.fairness.module import INFO
from audit.modules.report_card import ReportCard

_LEVEL = 0.05


def cards(context: Context) -> tuple[ReportCard, ReportCard]:
    """Cards for the primary family, corrected by Holm, and for all others, corrected by Benjamini and Hochberg."""
    return (
        ReportCard(INFO.id, context.level, INFO.controls),
        ReportCard(INFO.id, context.level, INFO.controls, correction="bh"),
    )


def decided(card: ReportCard) -> list[Finding]:
    """The card's findings, corrected; one that is not significant then cannot fail, however large it is."""
    return [
        replace(f, unmet=(*f.unmet, f"its corrected p-value is {f.p_adjusted:.2g}, not below {_LEVEL:g}"))
        if f.p_adjusted is not None and f.p_adjusted >= _LEVEL
        else f
        for f in card.corrected()
    ]
