"""Document: a text that can be retrieved, and the row of facts behind it, if it has one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from audit.text import listed
from audit.types import Attributes, AttributeValue, Item, Passage, canonical_json

CATALOG = "catalogue"
"""Source of the documents that are made from the catalogue's rows."""

# Facts that identify an item best come first; the order of the rest is the catalogue's.
_FIRST = (
    ("year", "release_year", "date"),
    ("genres", "genre", "category", "categories"),
    ("creators", "creator", "director", "directors", "author", "authors", "artist", "artists", "brand"),
    ("cast", "actors", "stars"),
)
_ORDER = {name: position for position, names in enumerate(_FIRST) for name in names}


@dataclass(frozen=True)
class Document:
    """A text that can be retrieved.

    Attributes:
        id: stable name: the same source gives the same id again.
        text: what is read, by people and by models. Untrusted; whoever shows it escapes it.
        item_id: of the item that it is about, if it says so.
        title: of the item or of the section; may be empty.
        source: the file that it is from, or `CATALOG`.
        meta: the structured row, such as the item's attributes.
    """

    id: str
    text: str
    item_id: str | None = None
    title: str = ""
    source: str = ""
    meta: Attributes = field(default_factory=dict)

    @property
    def searched(self) -> str:
        """What is indexed: the text, with the title before it where the text does not begin with it."""
        return self.text if self.text.startswith(self.title) else f"{self.title}. {self.text}"

    @property
    def passage(self) -> Passage:
        """As a request carries it."""
        return Passage(self.id, self.text, self.source)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields: a changed document has another."""
        row = {name: list(v) if isinstance(v, tuple) else v for name, v in self.meta.items()}
        fields = [self.id, self.text, self.item_id, self.title, self.source, row]
        return hashlib.sha256(canonical_json(fields).encode()).hexdigest()


def item_document(item: Item) -> Document:
    """The catalogue's row of an item as a readable text: title and year, every attribute, the seller's text.

    `Alien (1979). Genres: Horror and Sci-Fi. Director: Ridley Scott. A crew meets a stranger.`
    """
    year = item.attributes.get("year")
    said = year is None or str(year) in item.title
    title = item.title if said else f"{item.title} ({year})"
    facts = {name: value for name, value in item.attributes.items() if name != "year"}
    sentences = [title, *facts_in_words(facts), item.text.strip()]
    return Document(
        id=f"item:{item.id}",
        text=" ".join(_stopped(sentence) for sentence in sentences if sentence.strip()),
        item_id=item.id,
        title=item.title,
        source=CATALOG,
        meta=dict(item.attributes),
    )


def facts_in_words(attributes: Attributes) -> Iterator[str]:
    """Each attribute as `Label: value`, the most telling first; empty values say nothing and are left out."""
    for name in sorted(attributes, key=lambda name: _ORDER.get(name.lower(), len(_FIRST))):
        if value := value_in_words(attributes[name]):
            label = re.sub(r"[_\s]+", " ", name).strip()
            yield f"{label[:1].upper()}{label[1:]}: {value}"


def value_in_words(value: AttributeValue) -> str:
    """`Horror and Sci-Fi`, `1979`, `2.5`."""
    if isinstance(value, tuple):
        return listed([part for part in value if part])
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _stopped(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "。", "…")) else f"{sentence}."


def by_item(documents: Iterable[Document]) -> Mapping[str, tuple[Document, ...]]:
    """Documents by the item that they are about, in their order."""
    found: dict[str, list[Document]] = {}
    for document in documents:
        if document.item_id is not None:
            found.setdefault(document.item_id, []).append(document)
    return {item_id: tuple(those) for item_id, those in found.items()}


def piece_of(document: Document, number: int, text: str) -> Document:
    """The n-th part of a document that is too long to be one passage; it keeps all else."""
    return replace(document, id=f"{document.id}~{number}", text=text)
