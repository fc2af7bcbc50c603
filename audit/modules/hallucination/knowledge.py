"""From the option `knowledge` to what claims are checked against beside the catalogue's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.claims.verification.structured import StructuredRung
from audit.errors import ConfigError, nearest
from audit.knowledge import Extended, KnowledgeBase, SentenceEncoder, read_documents, with_rows
from audit.types import Catalog

KNOWN = ("documents", "encoder", "complete", "folder", "columns", "synonyms", "strict_years")
MINILM = "minilm"
"""Value of `encoder` for the sentence encoder of the asset store."""


def check(knowledge: Mapping[str, Any] | None) -> None:
    """Refuse what can be refused without reading anything.

    Raises:
        ValueError: the option is no mapping, or a value in it cannot be used.
    """
    if knowledge is None:
        return
    if not isinstance(knowledge, Mapping):
        raise ValueError(f"knowledge: {knowledge!r} must be a mapping with {', '.join(KNOWN)}")
    for name, value in knowledge.items():
        if name not in KNOWN:
            raise ValueError(f"knowledge.{name}: there is no such option; {nearest(str(name), KNOWN)}")
        if name in ("documents", "complete"):
            strings = (
                isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
            )
            if not strings:
                kind = "paths" if name == "documents" else "attributes of the catalogue"
                raise ValueError(f"knowledge.{name}: {value!r} must be a list of {kind}")
        elif name in ("columns", "synonyms"):
            if not isinstance(value, Mapping):
                raise ValueError(f"knowledge.{name}: {value!r} must be a mapping to lists of names")
        elif name == "strict_years":
            if not isinstance(value, bool):
                raise ValueError(f"knowledge.strict_years: {value!r} must be true or false")
        elif value is not None and not isinstance(value, str):
            raise ValueError(f"knowledge.{name}: {value!r} must be the path of a folder")
    try:
        structured(knowledge)
    except ValueError as error:
        raise ValueError(f"knowledge.{error}") from error


def present(knowledge: Mapping[str, Any] | None) -> None:
    """Find out that a document is missing before anything is asked.

    Raises:
        ConfigError: a path leads nowhere.
    """
    for path in (knowledge or {}).get("documents") or ():
        if not Path(path).exists():
            raise ConfigError(f"knowledge.documents: there is no file or folder {path!r}; name one that is there")


def columns(knowledge: Mapping[str, Any] | None) -> Mapping[str, Sequence[str]]:
    """Further columns by predicate, such as `{creator: [imprint]}`: extraction reads them as labels too."""
    return (knowledge or {}).get("columns") or {}


def structured(knowledge: Mapping[str, Any] | None) -> StructuredRung:
    """The rung of structured facts, with `columns`, `synonyms` (further names of genres) and `strict_years`.

    Raises:
        ValueError: an option cannot be used.
    """
    options = knowledge or {}
    return StructuredRung(
        strict_years=bool(options.get("strict_years", False)),
        columns=columns(knowledge),
        synonyms=options.get("synonyms") or {},
    )


def facts(knowledge: Mapping[str, Any] | None, catalog: Catalog) -> Extended:
    """The catalogue with the facts that the documents' tables have about its items, and notes on what was left out.

    Raises:
        DataError: a document cannot be read.
    """
    readings = [read_documents(path) for path in (knowledge or {}).get("documents") or ()]
    extended = with_rows(catalog, [one for reading in readings for one in reading.documents])
    return Extended(extended.catalog, (*(note for reading in readings for note in reading.notes), *extended.notes))


def complete(knowledge: Mapping[str, Any] | None, catalog: Catalog) -> frozenset[str]:
    """Attributes whose values in the catalogue are all there are: only of these does a missing value contradict.

    Raises:
        ConfigError: neither an item nor a row of the documents has such an attribute.
        DataError: a document cannot be read.
    """
    known = _columns(catalog)
    named = (knowledge or {}).get("complete") or ()
    if not known.issuperset(named):
        known = _columns(facts(knowledge, catalog).catalog)
    for name in named:
        if name not in known:
            said = nearest(name, sorted(known)) if known else "its items have no attributes"
            raise ConfigError(f"knowledge.complete: {name!r} is no attribute of the catalogue; {said}")
    return frozenset(named)


def _columns(catalog: Catalog) -> set[str]:
    return {name for item in catalog.values() for name in item.attributes}


def build(knowledge: Mapping[str, Any] | None, catalog: Catalog) -> KnowledgeBase:
    """The catalogue and the user's documents, searched by words, and by meaning too where an encoder is named.

    Args:
        knowledge: `documents`: files and folders; `encoder`: `minilm` or the folder of a sentence encoder; `folder`:
            where vectors are kept.
        catalog: the items.

    Raises:
        DataError: a document cannot be read, or there is nothing to search.
        ConfigError: the encoder cannot be loaded.
        AssetError: MiniLM cannot be fetched.
    """
    options = knowledge or {}
    named = options.get("encoder")
    encoder = None if named in (None, MINILM) else SentenceEncoder(Path(named))
    documents = [Path(path) for path in options.get("documents") or ()]
    return KnowledgeBase.build(catalog, documents, options.get("folder"), encoder, dense=named is not None)
