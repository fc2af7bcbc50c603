"""Groups of users: from the columns of the users' file, numbers cut into ranges, columns crossed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.modules.base import Context
from audit.modules.outcomes import Bools
from audit.types import AttributeValue

UNKNOWN = "(unknown)"
"""The group of users of whom the column holds nothing: counted, never dropped."""

CROSS = " × "
"""Between the columns and the values of an intersection."""

AGES = (24.0, 44.0)
"""Cuts of a column named `age`: up to 24, 25 to 44, 45 and over, as the figures of the literature have them."""

_MOST = 30
"""Levels of a column beyond which it is text rather than a set of groups."""
_RANGES = 3
"""Ranges of equal size that other numbers are cut into."""
_LEVELS_OF_A_CODE = 5
"""A number with at most so many different values is a code, and each value a group."""


@dataclass(frozen=True)
class Grouping:
    """How one column, or several crossed, divides the users under audit.

    Attributes:
        name: of the column; several are joined.
        labels: (cases,) group of each case.
        reported: names of the groups that findings are made of, in their own order.
        small: size of each group that is too small, by name.
        parts: the columns of an intersection, each by itself; empty for a plain column.
    """

    name: str
    labels: npt.NDArray[np.str_]
    reported: tuple[str, ...]
    small: Mapping[str, int]
    parts: tuple[Grouping, ...] = ()

    def member(self, group: str) -> Bools:
        """(cases,) who belongs to a group."""
        inside: Bools = self.labels == group
        return inside

    @property
    def left_out(self) -> str:
        """Which groups are not reported, and why; empty if all are."""
        if not self.small:
            return ""
        shown = ", ".join(f"{name} ({count})" for name, count in sorted(self.small.items(), key=lambda p: -p[1]))
        return f"too few users under audit to say anything of {shown}"


def default_columns(context: Context) -> list[str]:
    """The columns of the users' file that can be groups: at least two levels, and no free text."""
    found: dict[str, set[AttributeValue]] = {}
    for known in context.dataset.users.values():
        for name, value in known.items():
            found.setdefault(name, set()).add(value)
    return [name for name, values in found.items() if len(values) > 1 and (len(values) <= _MOST or _numeric(values))]


def grouping(
    context: Context, names: Sequence[str], bins: Mapping[str, Sequence[float]], smallest: int
) -> Grouping | str:
    """Divide the users under audit.

    Args:
        context: of the run.
        names: one column, or several to be crossed.
        bins: upper ends of the ranges that a column of numbers is cut into, the last range being open, by column.
        smallest: users below which a group is not reported.

    Returns:
        The groups, or why the column makes none, as the end of a sentence.
    """
    parts = []
    for name in names:
        labels = _labels(context, name, bins.get(name))
        if isinstance(labels, str):
            return labels
        parts.append(_sized(name, labels, smallest))
    if len(parts) == 1:
        (one,) = parts
        if len(one.reported) + len(one.small) < 2:
            return f"all users under audit have one value of {one.name!r}"
        return one
    crossed = np.array([CROSS.join(row) for row in zip(*(p.labels for p in parts), strict=True)])
    whole = _sized(CROSS.join(names), crossed, smallest)
    return Grouping(whole.name, whole.labels, whole.reported, whole.small, tuple(parts))


def _sized(name: str, labels: npt.NDArray[np.str_], smallest: int) -> Grouping:
    sizes = Counter(labels.tolist())
    order = sorted(sizes, key=lambda group: (UNKNOWN in group, _rank(group), group))
    return Grouping(
        name,
        labels,
        tuple(group for group in order if sizes[group] >= smallest),
        {group: sizes[group] for group in order if sizes[group] < smallest},
    )


def _rank(group: str) -> int:
    """Ranges stand from low to high: the open one at the top last."""
    return 0 if group.startswith("≤") else 2 if group.endswith("+") else 1


def _labels(context: Context, name: str, cuts: Sequence[float] | None) -> npt.NDArray[np.str_] | str:
    held = [context.dataset.users.get(case.unit, {}).get(name, "") for case in context.cases]
    everybody = [known[name] for known in context.dataset.users.values() if name in known]
    if not everybody:
        return f"the users have no column {name!r}"
    known = [value for value in held if value != ""]
    if not known:
        return f"of no user under audit the column {name!r} holds anything"
    if _numeric(set(known)) and (cuts is not None or len(set(known)) > _LEVELS_OF_A_CODE):
        numbers = [float(value) for value in everybody if isinstance(value, int | float)]
        ends = tuple(cuts) if cuts is not None else AGES if name == "age" else _equal(numbers)
        return np.array([UNKNOWN if value == "" else _range(float(value), ends) for value in held])  # type: ignore[arg-type]
    texts = [UNKNOWN if value == "" else _text(value) for value in held]
    levels = len(set(texts) - {UNKNOWN})
    if levels > _MOST:
        return f"the column {name!r} has {levels} different values, which is text rather than a set of groups"
    return np.array(texts)


def _numeric(values: set[AttributeValue]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _text(value: AttributeValue) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _equal(numbers: Sequence[float]) -> tuple[float, ...]:
    """Cuts into ranges of about equal size, over everybody, so that a sample has the same ranges as the whole."""
    return tuple(sorted({float(q) for q in np.quantile(numbers, np.arange(1, _RANGES) / _RANGES)}))


def _range(value: float, ends: Sequence[float]) -> str:
    for i, end in enumerate(ends):
        if value <= end:
            return f"≤ {end:g}" if i == 0 else f"{_next(ends[i - 1])}–{end:g}"
    return f"{_next(ends[-1])}+"


def _next(end: float) -> str:
    return f"{end + 1:g}" if float(end).is_integer() else f">{end:g}"
