"""KnowledgeBase: what is known about the items, looked up by item or searched by words and by meaning."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path

from audit.errors import DataError
from audit.knowledge.chunks import chunked, estimated_pieces
from audit.knowledge.dense import Dense
from audit.knowledge.document import Document, by_item, item_document
from audit.knowledge.encoder import Encoder, FloatMatrix, SentenceEncoder, counted, encoded
from audit.knowledge.fusion import DEPTH, Hit, fuse
from audit.knowledge.lexical import Lexical
from audit.knowledge.readers import read_documents
from audit.text import count
from audit.types import Catalog

MAX_QUERY = 4000
"""Characters of a query that are read: more than an encoder takes, and little enough that hostile input stays cheap."""


class KnowledgeBase:
    """Documents about the catalogue's items and whatever else the user knows. Make one with `build`.

    Attributes:
        catalog: the items.
        documents: all of them, whole: one per item first, then the user's.
        passages: what is retrieved: the documents, long ones in parts.
        notes: what was left out or made anew, one sentence each.
    """

    def __init__(
        self,
        catalog: Catalog,
        documents: Sequence[Document],
        passages: Sequence[Document],
        encoder: Encoder | None,
        dense: Dense | None,
        notes: Sequence[str] = (),
    ) -> None:
        self.catalog = catalog
        self.documents = tuple(documents)
        self.passages = tuple(passages)
        self.notes = tuple(notes)
        self._encoder = encoder
        self._dense = dense
        self._lexical = Lexical([passage.searched for passage in self.passages])
        self._about = by_item(self.documents)
        self._by_id = {document.id: document for document in (*self.passages, *self.documents)}

    @classmethod
    def build(
        cls,
        catalog: Catalog,
        documents: Iterable[Document | Path | str] | Path | str = (),
        folder: Path | str | None = None,
        encoder: Encoder | None = None,
        *,
        dense: bool = True,
    ) -> KnowledgeBase:
        """Index the catalogue and the user's own documents.

        Args:
            catalog: one document is made per item, from its title, every attribute and its text.
            documents: further ones, or files and folders to read them from (`read_documents`); one path is one of them.
            folder: where vectors are kept, so that only new and changed texts are embedded next time; None: nowhere.
            encoder: None: all-MiniLM-L6-v2 from the asset store. `SentenceEncoder(folder)` takes another model.
            dense: whether to search by meaning too; without it no model is needed, and the encoder is not used.

        Raises:
            DataError: there is nothing to search, an id is given to two documents, a file cannot be read, or the
                encoder breaks its word.
            ValueError: a document is neither a Document nor a path.
            ConfigError: the encoder cannot be loaded.
            AssetError: MiniLM cannot be fetched.
        """
        mine, notes = _gathered(documents)
        if not len(catalog):
            notes.append("the catalogue is empty: only the documents are searched")
        whole = _unique([*(item_document(item) for item in catalog.items_in_order), *mine], notes)
        _note_strangers(whole, catalog, notes)
        if not whole:
            raise DataError("knowledge: neither the catalogue nor the documents hold any text; give at least one item")
        used = (encoder or SentenceEncoder()) if dense else None
        passages = list(chunked(whole, estimated_pieces if used is None else partial(counted, used)))
        _refuse_shared_ids(passages)
        index = None
        if used is not None:
            place = None if folder is None else Path(folder)
            index = Dense.build([passage.searched for passage in passages], used, place, catalog.digest)
            notes += index.notes
        return cls(catalog, whole, passages, used, index, notes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the passages and of how they are searched: equal bases retrieve the same."""
        digest = hashlib.sha256(("" if self._encoder is None else self._encoder.fingerprint).encode())
        for passage in self.passages:
            digest.update(passage.digest.encode())
        return digest.hexdigest()

    @property
    def has_dense(self) -> bool:
        """Whether it searches by meaning too."""
        return self._dense is not None

    @property
    def embedded(self) -> int:
        """Texts that this build had to embed; the others came from the folder, or were equal."""
        return 0 if self._dense is None else self._dense.embedded

    def of_item(self, item_id: str) -> tuple[Document, ...]:
        """All documents about an item, whole: the catalogue's own first. Empty where there is none.

        The first thing to ask for a claim whose item is known: a search can miss, a key cannot.
        """
        return self._about.get(item_id, ())

    def document(self, document_id: str) -> Document | None:
        """The document or passage of this id."""
        return self._by_id.get(document_id)

    def retrieve(self, query: str, k: int = 5, *, lexical: bool = True, dense: bool | None = None) -> list[Hit]:
        """The best k passages for a query; see `retrieve_many`."""
        return self.retrieve_many([query], k, lexical=lexical, dense=dense)[0]

    def retrieve_many(
        self, queries: Sequence[str], k: int = 5, *, lexical: bool = True, dense: bool | None = None
    ) -> list[list[Hit]]:
        """The best k passages for each query: by words (BM25) and by meaning, fused by reciprocal rank.

        Args:
            queries: texts, of which the first 4,000 characters are read. A blank one finds nothing.
            k: passages per query. Up to 20, both lists are fused at depth 20; beyond, at depth k.
            lexical: search by words.
            dense: search by meaning; None: where the base can.

        Returns:
            For each query its hits, best first; fewer than k where the lists hold fewer. By words alone an unrelated
            query finds nothing; by meaning it always finds something, so a hit is never evidence in itself.

        Raises:
            ValueError: k is under 1, no list is asked for, or meaning is asked of a base that was built without it.
        """
        if k < 1:
            raise ValueError(f"k: value must be at least 1, not {k}")
        by_meaning = self.has_dense if dense is None else dense
        if not lexical and not by_meaning:
            raise ValueError(
                "lexical, dense: value must be true for at least one of them, or there is nothing to search"
            )
        if by_meaning and self._dense is None:
            raise ValueError("dense: value must be false, because this knowledge base was built without an encoder")
        asked = [query[:MAX_QUERY] for query in queries]
        depth = max(k, DEPTH)
        words = [self._lexical.search(query, depth) if lexical else [] for query in asked]
        meaning = self._by_meaning(asked, depth) if by_meaning else [[] for _ in asked]
        return [self._hits(*lists, k, depth) for lists in zip(words, meaning, strict=True)]

    def _by_meaning(self, queries: Sequence[str], depth: int) -> list[list[int]]:
        if self._encoder is None or self._dense is None:
            raise AssertionError("checked by the caller")
        # Each text once, and blank ones not at all: a model has a vector even for nothing.
        distinct = list(dict.fromkeys(query for query in queries if query.strip()))
        vectors: FloatMatrix = encoded(self._encoder, distinct)
        found = dict(zip(distinct, self._dense.search(vectors, depth), strict=True))
        return [found.get(query, []) for query in queries]

    def _hits(self, words: list[int], meaning: list[int], k: int, depth: int) -> list[Hit]:
        ranks = [{position: rank for rank, position in enumerate(ranking, start=1)} for ranking in (words, meaning)]
        return [
            Hit(self.passages[position], rank, ranks[0].get(position), ranks[1].get(position))
            for rank, position in enumerate(fuse([words, meaning], depth)[:k], start=1)
        ]


def _gathered(given: Iterable[Document | Path | str] | Path | str) -> tuple[list[Document], list[str]]:
    documents: list[Document] = []
    notes: list[str] = []
    # A text is a sequence of texts as well, and its first letter may be `/`.
    for one in (given,) if isinstance(given, (str, Path)) else given:
        if isinstance(one, Document):
            documents.append(one)
        elif not isinstance(one, (str, Path)):
            raise ValueError(f"documents: {one!r} must be a Document, or the path of a file or folder")
        else:
            reading = read_documents(Path(one))
            documents += reading.documents
            notes += reading.notes
    return documents, notes


def _unique(documents: Sequence[Document], notes: list[str]) -> list[Document]:
    """Those that hold text, each once.

    Raises:
        DataError: two that differ have one id.
    """
    kept: dict[str, Document] = {}
    empty, twice = 0, 0
    for document in documents:
        known = kept.get(document.id)
        if not document.text.strip():
            empty += 1
        elif known is None:
            kept[document.id] = document
        elif known == document:
            twice += 1
        else:
            raise DataError(f"knowledge: the id {document.id!r} is given to two documents that differ; rename one")
    if empty:
        notes.append(f"{count(empty, 'document')} without any text left out")
    if twice:
        notes.append(f"{count(twice, 'document')} given twice; each is searched once")
    return list(kept.values())


def _refuse_shared_ids(passages: Sequence[Document]) -> None:
    shared = [name for name, times in Counter(passage.id for passage in passages).items() if times > 1]
    if shared:
        raise DataError(f"knowledge: the id {shared[0]!r} is that of a part of a longer document too; rename it")


def _note_strangers(documents: Sequence[Document], catalog: Catalog, notes: list[str]) -> None:
    strange = [d.item_id for d in documents if d.item_id is not None and d.item_id not in catalog]
    if strange:
        notes.append(
            f"{count(len(strange), 'document')} about items that are not in the catalogue, such as {strange[0]!r}; "
            "they are searched as text"
        )
