"""What a plant needs of the data: on the invented world all is there, on a user's own data it may not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from audit.data.dataset import Dataset

Needs = Callable[[Dataset], str | None]
"""Why nothing can be planted with these data, as the end of a sentence; None where it can."""


def nothing(dataset: Dataset) -> str | None:
    """Any data will do."""
    return None


def of_users(attribute: str, value: str | None = None) -> Needs:
    """Users with an attribute, and with a value of it where one is named."""

    def lacking(dataset: Dataset) -> str | None:
        return _lacking("user", dataset.users.values(), attribute, value)

    return lacking


def of_items(attribute: str, value: str | None = None) -> Needs:
    """Items with an attribute, and with a value of it where one is named."""

    def lacking(dataset: Dataset) -> str | None:
        return _lacking("item", (item.attributes for item in dataset.catalog.values()), attribute, value)

    return lacking


def items(count: int) -> Needs:
    """So many items."""

    def lacking(dataset: Dataset) -> str | None:
        found = len(dataset.catalog)
        return None if found >= count else f"the catalogue has {found} items, and {count} are needed"

    return lacking


def _lacking(who: str, rows: Iterable[Mapping[str, object]], attribute: str, value: str | None) -> str | None:
    for row in rows:
        if attribute in row and (value is None or value in _values(row[attribute])):
            return None
    return f"no {who} of the data has {attribute}" + ("" if value is None else f" {value!r}")


def _values(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
