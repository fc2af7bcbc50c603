"""Retrieval by meaning: an exact FAISS index of the documents' vectors, kept on disk between runs.

A folder holds `knowledge.json`, which says what was embedded and by which encoder, and one `knowledge-….faiss`, named
by its content. The JSON file carries the checksum of the other and is replaced last, in one step, so that a killed run,
a cut file or another index is noticed: whatever does not fit is made anew and noted, and never searched.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audit.errors import DataError
from audit.knowledge.encoder import Encoder, FloatMatrix, encoded
from audit.text import count

FORMAT = 1
_HEAD = "knowledge.json"


@dataclass(frozen=True)
class _Stored:
    """What a folder holds: the catalogue that it was made for, a key per row, and the rows."""

    catalog: str
    keys: tuple[str, ...]
    vectors: FloatMatrix


class _Unusable(Exception):
    """Why what a folder holds cannot be used."""


class Dense:
    """Vectors of documents, searched exactly by inner product.

    Attributes:
        size: numbers in a vector.
        embedded: texts that had to be embedded for this index; the others were there.
        notes: what was found wrong with the folder, and what was done.
    """

    def __init__(self, vectors: FloatMatrix, size: int, embedded: int, notes: tuple[str, ...] = ()) -> None:
        import faiss

        self.size = size
        self.embedded = embedded
        self.notes = notes
        self._index = faiss.IndexFlatIP(size)
        if len(vectors):
            self._index.add(vectors)

    @classmethod
    def build(cls, texts: Sequence[str], encoder: Encoder, folder: Path | None = None, catalog: str = "") -> Dense:
        """Embed the texts, or take from the folder what an earlier build embedded.

        Args:
            texts: one per document.
            encoder: makes the vectors. Those of another encoder are never used.
            folder: where the index is kept; None: in memory only.
            catalog: digest of the catalogue, by which its change is told.

        Raises:
            DataError: the folder cannot be written, or the encoder gives what are no vectors.
        """
        keys = tuple(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts)
        stored, notes = None, []
        if folder is not None:
            try:
                stored = _load(folder, encoder)
            except _Unusable as reason:
                notes.append(f"the index in {folder} {reason}; it was made anew")
        if stored is not None and (stored.keys, stored.catalog) == (keys, catalog):
            return cls(stored.vectors, encoder.size, 0)
        known: dict[str, Any] = {} if stored is None else dict(zip(stored.keys, stored.vectors, strict=True))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        known.update(zip(missing, encoded(encoder, list(missing.values())), strict=True))
        vectors = np.zeros((len(keys), encoder.size), dtype=np.float32)
        for row, key in enumerate(keys):
            vectors[row] = known[key]
        if stored is not None and stored.catalog != catalog:
            notes.append(
                f"the catalogue is not the one that the index in {folder} was made for; it was made anew: "
                f"{count(len(missing), 'text')} embedded, {len(set(keys)) - len(missing)} were the same"
            )
        index = cls(vectors, encoder.size, len(missing), tuple(notes))
        if folder is not None:
            index._save(folder, keys, catalog, encoder)
        return index

    def search(self, queries: FloatMatrix, k: int) -> list[list[int]]:
        """For each query the positions of the k likest texts, likest first; equal ones by position.

        Args:
            queries: vectors, shape (n, size). One of nothing but zeros finds nothing.
            k: how many.
        """
        if not len(queries) or not self._index.ntotal:
            return [[] for _ in queries]
        scores, positions = self._index.search(queries, min(k, self._index.ntotal))
        found = []
        for query, values, row in zip(queries, scores, positions, strict=True):
            best = row[np.lexsort((row, -values))] if query.any() else row[:0]
            found.append([int(position) for position in best])
        return found

    def _save(self, folder: Path, keys: Sequence[str], catalog: str, encoder: Encoder) -> None:
        import faiss

        data = faiss.serialize_index(self._index).tobytes()
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"knowledge-{sha256[:16]}.faiss"
        head = {
            "format": FORMAT,
            "encoder": encoder.fingerprint,
            "size": self.size,
            "catalog": catalog,
            "vectors": name,
            "sha256": sha256,
            "keys": list(keys),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / name, data)
            _replace(folder / _HEAD, json.dumps(head).encode())
            for old in folder.glob("knowledge-*.faiss"):
                if old.name != name:
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(
                f"knowledge: the index cannot be written to {folder} ({error.strerror}); name another folder"
            ) from None


def _replace(path: Path, data: bytes) -> None:
    """Write a file that is either the old one or the new one, whatever happens."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(temporary).chmod(0o644)  # mkstemp makes it private; an index may be shared
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _load(folder: Path, encoder: Encoder) -> _Stored | None:
    """What the folder holds; None if it holds no index.

    Raises:
        _Unusable: the index is damaged, or another encoder made it.
    """
    try:
        head = json.loads((folder / _HEAD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise _Unusable(f"is damaged ({_HEAD} cannot be read)") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise _Unusable("is of another format")
    if head.get("encoder") != encoder.fingerprint:
        raise _Unusable("was made by another encoder")
    try:
        keys, name, sha256 = tuple(map(str, head["keys"])), str(head["vectors"]), str(head["sha256"])
        data = (folder / Path(name).name).read_bytes()
    except (KeyError, TypeError):
        raise _Unusable(f"is damaged ({_HEAD} lacks a part)") from None
    except OSError:
        raise _Unusable("is damaged (its vectors are missing)") from None
    # Before FAISS reads it: a parser in C++ gets only what was written here.
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _Unusable("is damaged (its vectors are not those that were written)")
    return _Stored(str(head.get("catalog", "")), keys, _vectors(data, len(keys), encoder.size, head))


def _vectors(data: bytes, rows: int, size: int, head: Mapping[str, Any]) -> FloatMatrix:
    import faiss

    try:
        index = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
    except RuntimeError:
        raise _Unusable("is damaged (FAISS cannot read it)") from None
    if not isinstance(index, faiss.IndexFlat) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise _Unusable("is of another kind")
    if index.d != size:
        raise _Unusable(f"has vectors of {index.d} numbers, and the encoder makes {size}")
    if head.get("size") != size:
        raise _Unusable(f"is damaged ({_HEAD} tells another size than its vectors have)")
    if index.ntotal != rows:
        raise _Unusable(f"has {index.ntotal} vectors for {rows} documents")
    return np.asarray(index.reconstruct_n(0, rows), dtype=np.float32) if rows else np.zeros((0, size), np.float32)
