"""Groups of items: from any column of the catalogue, or by popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.errors import ConfigError, nearest
from audit.modules.outcomes import Floats
from audit.types import AttributeValue, Catalog

POPULARITY = "popularity"
"""Name of the groups of equal size by popularity; a column of this name cannot be used."""

UNKNOWN = "(unknown)"
"""The group of items that have no value: counted, never dropped."""

_BINS = 5
_MOST = 40
"""Groups of one column that are reported; a column with more is text rather than a set of groups."""


@dataclass(frozen=True)
class Column:
    """The groups of one column.

    Attributes:
        name: of the column.
        groups: names of the groups, `UNKNOWN` last if some items have no value.
        member: (items, groups) whether an item belongs to a group; an item may belong to several.
        reported: indices of the groups that findings are made of.
        left_out: why the others are not reported, as a sentence; empty if all are.
    """

    name: str
    groups: tuple[str, ...]
    member: npt.NDArray[np.bool_]
    reported: tuple[int, ...]
    left_out: str = ""

    @property
    def split(self) -> Floats:
        """(items, groups) the same, an item of m groups counting 1 / m in each, so that shares add up to one."""
        result: Floats = self.member / np.maximum(self.member.sum(axis=1, keepdims=True), 1)
        return result


GENRES = ("genres", "genre", "categories", "category")
"""Names under which catalogues have what kind of thing an item is, the usual one first."""


def genre_column(catalog: Catalog) -> str | None:
    """The column that says what kind of thing an item is; None if the catalogue has none."""
    known = {key for item in catalog.items_in_order for key in item.attributes}
    return next((name for name in GENRES if name in known), None)


def default_columns(catalog: Catalog) -> tuple[str, ...]:
    """Genres if the catalogue has them, and popularity."""
    genres = genre_column(catalog)
    return (POPULARITY,) if genres is None else (genres, POPULARITY)


def check_columns(catalog: Catalog, names: Sequence[str]) -> None:
    """Whether the items have these columns.

    Raises:
        ConfigError: no item has one of them.
    """
    known = {key for item in catalog.items_in_order for key in item.attributes} | {POPULARITY}
    for name in names:
        if name not in known:
            where = f"modules.fairness.exposure: groups: {name!r} is no column of the items"
            raise ConfigError(f"{where}; {nearest(name, sorted(known))}")


def columns(catalog: Catalog, names: Sequence[str], popularity: Floats, smallest: int) -> list[Column]:
    """The groups of every named column.

    Args:
        catalog: the items.
        names: of columns.
        popularity: (items,) how often each item was chosen.
        smallest: items below which a group is not reported.
    """
    return [_popularity(popularity) if name == POPULARITY else _attribute(catalog, name, smallest) for name in names]


def _popularity(popularity: Floats) -> Column:
    """Five groups of equally many items, by popularity; ties are cut in the catalogue's order."""
    order = np.argsort(popularity, kind="stable")
    bins = min(_BINS, len(order))
    member = np.zeros((len(order), bins), dtype=bool)
    for at, items in enumerate(np.array_split(order, bins)):
        member[items, at] = True
    ends = {0: " (least popular)", bins - 1: " (most popular)"}
    names = tuple(f"{at + 1} of {bins}{ends.get(at, '')}" for at in range(bins))
    return Column(POPULARITY, names, member, tuple(range(bins)))


def _attribute(catalog: Catalog, name: str, smallest: int) -> Column:
    found = [item.attributes.get(name) for item in catalog.items_in_order]
    values = [_names(value) for value in _binned(found)]
    levels = sorted({level for one in values for level in one})
    if any(not one for one in values):
        levels.append(UNKNOWN)
    index: Mapping[str, int] = {level: at for at, level in enumerate(levels)}
    member = np.zeros((len(values), len(levels)), dtype=bool)
    for row, one in enumerate(values):
        for level in one or (UNKNOWN,):
            member[row, index[level]] = True
    sizes = member.sum(axis=0)
    large = np.argsort(-sizes, kind="stable")[:_MOST]
    reported = tuple(sorted(int(at) for at in large if sizes[at] >= smallest))
    return Column(name, tuple(levels), member, reported, _left_out(levels, sizes, reported, smallest))


def _left_out(levels: Sequence[str], sizes: npt.NDArray[np.int64], reported: Sequence[int], smallest: int) -> str:
    rest = [at for at in range(len(levels)) if at not in set(reported)]
    if not rest:
        return ""
    shown = ", ".join(f"{levels[at]} ({sizes[at]})" for at in sorted(rest, key=lambda at: (-sizes[at], at))[:8])
    more = f" and {len(rest) - 8} more" if len(rest) > 8 else ""
    small = sum(sizes[at] < smallest for at in rest)
    why = f"{small} of its groups have fewer than {smallest} items" if small else ""
    if small < len(rest):
        many = f"only the {_MOST} largest groups are reported"
        why = f"{why}, and {many}" if why else many
    return f"{why}: {shown}{more}"


def _names(value: AttributeValue | None) -> tuple[str, ...]:
    """The groups an item's value names, each once."""
    several = value if isinstance(value, tuple) else (value,)
    return tuple(dict.fromkeys(text for one in several if one is not None and (text := str(one).strip())))


def _binned(values: Sequence[AttributeValue | None]) -> Sequence[AttributeValue | None]:
    """Numbers with many levels as five ranges with about equally many items; anything else as it is."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < sum(v is not None for v in values) or len(set(numbers)) <= 2 * _BINS:
        return values
    array = np.array(numbers, dtype=np.float64)
    edges = np.unique(np.quantile(array, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
    at = np.searchsorted(edges, array, side="left")
    names = {int(b): f"{b + 1}: {array[at == b].min():g} to {array[at == b].max():g}" for b in np.unique(at).tolist()}
    labels = iter([names[int(b)] for b in at])
    return [None if v is None else next(labels) for v in values]
