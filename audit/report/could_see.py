"""What an audit of so many users could have seen: measured on targets with planted flaws (`recaudit controls`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.controls.measured import Measured, Seeable, shipped
from audit.report import words

HEAD = ("Planted flaw", "Looked for by", "Seen 4 times in 5", "Seen 19 times in 20", "False alarms")
_AT_95 = 3

_FOR_95 = 20
"""Repetitions below which a rate of 19 in 20 is told from no other; without any, the column is left out."""


@dataclass(frozen=True)
class CouldSee:
    """The section, as plain text.

    Attributes:
        lead: what the table says, and what it rests on.
        rows: one for each control of the modules that ran; cells in the order of `head`.
        aside: what a reader should not take from it.
        head: of the table.
    """

    lead: str
    rows: Sequence[tuple[str, ...]]
    aside: str
    head: Sequence[str]


def could_see(users: int, modules: Sequence[str], measured: Measured | None = None) -> CouldSee | None:
    """What is known of an audit of this size; None where no control was measured for these modules.

    Args:
        users: of the run.
        modules: that ran.
        measured: controls as they were measured; by default as shipped with this version.
    """
    measured = measured if measured is not None else shipped()
    seeable = measured.seeable(users, modules) if measured is not None and users else []
    if not seeable or measured is None:
        return None
    low, high = (sorted({n for one in seeable for n in one.between})[i] for i in (0, -1))
    around = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    lead = (
        f"Flaws of known size were planted into a recommender, and the audit was run on it again and again. Sizes "
        f"are shares, mostly of users or entries. The smallest size that an audit of {users:,} users finds, taken from "
        f"what {around} users found in at least {min(one.fewest for one in seeable)} repetitions of each size:"
    )
    aside = (
        "Measured on an invented world with the smallest set of checks; a run with more checks corrects for more of "
        "them and sees a little less. A flaw that is not in this table was not measured, and one below the size shown "
        "may be there unseen."
    )
    told = any(one.fewest >= _FOR_95 for one in seeable)
    rows = [_row(one) for one in seeable]
    return CouldSee(lead, [_cut(row, told) for row in rows], aside, _cut(HEAD, told))


def _cut(cells: tuple[str, ...], told: bool) -> tuple[str, ...]:
    """The cells of a line, without the column that nobody could fill."""
    return cells if told else cells[:_AT_95] + cells[_AT_95 + 1 :]


def _row(one: Seeable) -> tuple[str, ...]:
    return (
        one.title,
        words.module(one.module)[0],
        _size(one.at_80, one),
        _size(one.at_95, one) if one.fewest >= _FOR_95 else "too few repetitions to say",
        f"{one.alarms} of {one.clean:,}",
    )


def _size(size: float | None, one: Seeable) -> str:
    return f"not even {one.largest:g}" if size is None else f"{size:.2g}"
