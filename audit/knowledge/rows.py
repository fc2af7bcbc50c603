"""Facts of the user's own tables in the catalogue's rows: what is structured is compared, not searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from audit.knowledge.document import CATALOG, Document
from audit.text import count
from audit.types import AttributeValue, Catalog


class Extended(NamedTuple):
    """A catalogue with further facts.

    Attributes:
        catalog: the same items in the same order.
        notes: what was added and what was not, one sentence each.
    """

    catalog: Catalog
    notes: tuple[str, ...] = ()


def with_rows(catalog: Catalog, documents: Iterable[Document]) -> Extended:
    """Give items the facts that documents about them have in columns: those of a table with a column `item_id`.

    What the catalogue has itself stays. Columns are told by their names, without case. Of two documents that give one
    fact the first counts.

    Args:
        catalog: the items.
        documents: as `read_documents` gives them; those without an item, without facts or about other items are left.
    """
    added: dict[str, dict[str, AttributeValue]] = {}
    differing = 0
    for document in documents:
        item = None if document.item_id is None or document.source == CATALOG else catalog.get(document.item_id)
        if item is None:
            continue
        own = _by_name({**item.attributes, **added.get(item.id, {})})
        for name, value in document.meta.items():
            if name.casefold() not in own:
                added.setdefault(item.id, {})[name] = value
            elif own[name.casefold()] != value:
                differing += 1
    if not added and not differing:
        return Extended(catalog)
    facts = sum(len(row) for row in added.values())
    notes = [f"{count(facts, 'fact')} about {count(len(added), 'item')} taken from the documents' tables"]
    if differing:
        notes.append(f"{count(differing, 'fact')} of the documents' tables left out: another value is there already")
    items = (
        replace(item, attributes={**item.attributes, **added[item.id]}) if item.id in added else item
        for item in catalog.items_in_order
    )
    return Extended(Catalog(items), tuple(notes))


def _by_name(row: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
    return {name.casefold(): value for name, value in row.items()}
