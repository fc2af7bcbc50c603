"""The pages, in the order of the menu. Not in a folder `pages`, which Streamlit would take for its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dashboard import frame
from dashboard.views import case, compare, compliance, controls, finding, overview, privacy, runs, try_it


@dataclass(frozen=True)
class Entry:
    """A page of the menu.

    Attributes:
        path: in the address.
        title: in the menu.
        icon: in the menu.
        page: draws it.
    """

    path: str
    title: str
    icon: str
    page: Callable[[], None]


def _module(name: str) -> None:
    frame.module(frame.view(), name)


def _of_module(name: str, title: str, icon: str) -> Entry:
    return Entry(name, title, f":material/{icon}:", partial(_module, name))


PAGES: dict[str, Sequence[Entry]] = {
    "Run": (
        Entry("overview", "Overview", ":material/fact_check:", overview.page),
        Entry("finding", "Finding", ":material/search:", finding.page),
        Entry("evidence", "Evidence", ":material/visibility:", case.page),
        Entry("compliance", "Compliance", ":material/gavel:", compliance.page),
        Entry("controls", "Controls", ":material/biotech:", controls.page),
    ),
    "Store": (
        Entry("compare", "Compare runs", ":material/compare_arrows:", compare.page),
        Entry("runs", "All runs", ":material/list:", runs.page),
    ),
}
LIVE: Sequence[Entry] = (Entry("try", "Try it", ":material/chat:", try_it.page),)
"""Only where a target was named for it."""
MODULES: Sequence[Entry] = (
    _of_module("quality", "Quality", "star"),
    _of_module("robustness", "Robustness", "shield"),
    _of_module("fairness", "Fairness", "balance"),
    _of_module("hallucination", "Hallucination", "psychology_alt"),
    Entry("privacy", "Privacy", ":material/lock:", privacy.page),
    _of_module("explanation", "Explanation", "account_tree"),
)
