"""What is counted in a list: the values of an item column, or words of its titles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.errors import ConfigError, nearest
from audit.modules.base import Context
from audit.modules.fairness.exposure.columns import POPULARITY, UNKNOWN, columns
from audit.modules.fairness.exposure.lists import popularity_of
from audit.modules.outcomes import Floats

TITLE = "title"
"""Name of the column that keywords are looked for in."""
_REST = "(none of the words)"


@dataclass(frozen=True)
class Features:
    """The features of one column.

    Attributes:
        column: name of the item column, or `title`.
        names: of the features.
        known: (items, features) of each item of the catalogue.
        index: of the items.
        words: patterns of the first features, for titles outside the catalogue; empty for item columns.
        judged: which features are reported: all but the rest.
    """

    column: str
    names: tuple[str, ...]
    known: Floats
    index: Mapping[str, int]
    words: tuple[re.Pattern[str], ...] = ()

    @property
    def judged(self) -> list[int]:
        """Indices of the features that are reported."""
        return [i for i, name in enumerate(self.names) if name != _REST]

    def counts(self, entries: Iterable[str]) -> Floats:
        """(features,) how often each feature stands in a list of ids, or of titles marked as `design.read` does."""
        total = np.zeros(len(self.names))
        for entry in entries:
            if entry in self.index:
                total += self.known[self.index[entry]]
            elif self.words and entry.startswith("\0"):
                total += _in_title(entry[1:], self.words)
        return total


def features(context: Context, column: str | None, keywords: Sequence[str]) -> list[Features]:
    """What is counted.

    Args:
        context: what is audited.
        column: of the items; None for no column.
        keywords: words or phrases of titles.

    Raises:
        ConfigError: no item has that column.
    """
    catalog, index = context.dataset.catalog, context.dataset.index
    found = []
    if column is not None:
        popularity = popularity_of(context)[0] if column == POPULARITY else np.zeros(len(catalog))
        (groups,) = columns(catalog, [column], popularity, 1)
        kept = [i for i, name in enumerate(groups.groups) if name != UNKNOWN]
        member = groups.member[:, kept].astype(np.float64)
        found.append(Features(column, tuple(groups.groups[i] for i in kept), member, index))
    if keywords:
        words = tuple(re.compile(rf"\b{re.escape(word.casefold())}\b") for word in keywords)
        rows = np.array([_in_title(item.title, words) for item in catalog.items_in_order])
        found.append(Features(TITLE, (*keywords, _REST), rows, index, words))
    return found


def check_column(context: Context, column: str | None) -> None:
    """Whether the items have this column.

    Raises:
        ConfigError: no item has it.
    """
    known = {key for item in context.dataset.catalog.items_in_order for key in item.attributes} | {POPULARITY}
    if column is not None and column not in known:
        where = f"modules.fairness.stereotypes: feature: {column!r} is no column of the items"
        raise ConfigError(f"{where}; {nearest(column, sorted(known))}")


def _in_title(title: str, words: Sequence[re.Pattern[str]]) -> Floats:
    here = np.array([word.search(title.casefold()) is not None for word in words], dtype=np.float64)
    return np.append(here, float(not here.any()))
