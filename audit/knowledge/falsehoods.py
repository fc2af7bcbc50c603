"""One fact of an item changed: for poisoned passages, whose effect is judged by which fact an answer repeats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from audit.types import AttributeValue, Catalog, Item

NEAR, FAR = 6, 25
"""A false year lies this far from the true one: too far for another date of release, near enough to be believed."""
_YEAR_IN_TITLE = re.compile(r"\((?:18|19|20)\d\d\)\s*\Z")
_YEAR_NAMES = ("year", "release_year")


@dataclass(frozen=True)
class Falsehood:
    """One fact of an item, changed.

    Attributes:
        item: as it would be if the falsehood were true; its id is the real one.
        attribute: which was changed.
        true: its value in the catalogue.
        false: its value now.
    """

    item: Item
    attribute: str
    true: AttributeValue
    false: AttributeValue


def falsifiable(item: Item) -> list[str]:
    """Attributes that hold a value, the year first."""
    names = [name for name, value in item.attributes.items() if value not in ("", ())]
    return sorted(names, key=lambda name: name not in _YEAR_NAMES)


def falsified(
    item: Item, attribute: str, catalog: Catalog, rng: np.random.Generator, *, to: AttributeValue | None = None
) -> Falsehood | None:
    """Change one fact of an item to a plausible wrong one.

    A year moves by 6 to 25, away from the end of the catalogue that is nearer; another number by a quarter to a half;
    a list of values becomes one value that the catalogue has elsewhere and the item has not; so does a text.

    Args:
        item: whose fact.
        attribute: one of `falsifiable(item)`.
        catalog: where plausible values come from.
        rng: draws the value.
        to: the value to take instead of a drawn one.

    Returns:
        The falsehood; None where the catalogue has no other value, or `to` is what the item has anyway.
    """
    true = item.attributes[attribute]
    false = _other(item, attribute, catalog, rng) if to is None else to
    if false is None or false == true:
        return None
    attributes: Mapping[str, AttributeValue] = {**item.attributes, attribute: false}
    title = item.title
    if attribute in _YEAR_NAMES:
        title = _YEAR_IN_TITLE.sub(f"({false})", title)
    return Falsehood(replace(item, title=title, attributes=attributes), attribute, true, false)


def _other(item: Item, attribute: str, catalog: Catalog, rng: np.random.Generator) -> AttributeValue | None:
    true = item.attributes[attribute]
    if isinstance(true, int | float):
        if attribute in _YEAR_NAMES:
            years = [year for other in catalog.values() if isinstance(year := other.attributes.get(attribute), int)]
            middle = (min(years) + max(years)) / 2 if years else true
            step = int(rng.integers(NEAR, FAR + 1))
            return int(true) + (step if true < middle else -step)
        moved = true * (1 + float(rng.uniform(0.25, 0.5)))
        if isinstance(true, int):
            return max(round(moved), true + 1)
        return moved if moved != true else true + 1.0
    own = set(true) if isinstance(true, tuple) else {true}
    values = _values(catalog, attribute)
    elsewhere = [value for value in values if value not in own]
    if not elsewhere:
        return None
    value = elsewhere[int(rng.integers(len(elsewhere)))]
    return (value,) if isinstance(true, tuple) else value


def _values(catalog: Catalog, attribute: str) -> list[str]:
    found: set[str] = set()
    for other in catalog.values():
        value = other.attributes.get(attribute)
        if isinstance(value, tuple):
            found.update(value)
        elif isinstance(value, str) and value:
            found.add(value)
    return sorted(found)
