"""The index on disk: what is kept, what is made anew, and that a damaged one never answers."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from tiny_encoder import TinyEncoder

from audit.data.dataset import Dataset
from audit.errors import DataError
from audit.knowledge import Document, KnowledgeBase
from audit.types import Catalog, Item

REVIEW = Document("review", "Amber Anchor is about a harbour.")


def build(world: Dataset, folder: Path, *documents: Document, encoder: TinyEncoder | None = None) -> KnowledgeBase:
    return KnowledgeBase.build(world.catalog, documents, folder, encoder or TinyEncoder())


def vectors_of(folder: Path) -> Path:
    (file,) = folder.glob("knowledge-*.faiss")
    return file


def answers(kb: KnowledgeBase) -> list[list[str]]:
    found = kb.retrieve_many(["golden castle", "horror from 1985", "jade"], k=10)
    return [[hit.document.id for hit in hits] for hits in found]


def test_nothing_is_embedded_twice(world: Dataset, tmp_path: Path) -> None:
    first = build(world, tmp_path, REVIEW)
    encoder = TinyEncoder()
    again = build(world, tmp_path, REVIEW, encoder=encoder)
    assert (first.embedded, again.embedded, again.notes) == (121, 0, ())
    assert encoder.read == []
    assert answers(again) == answers(first)


def test_only_new_and_changed_documents_are_embedded(world: Dataset, tmp_path: Path) -> None:
    build(world, tmp_path, REVIEW)
    changed = Document("review", "Amber Anchor is about a lighthouse.")
    encoder = TinyEncoder()
    kb = build(world, tmp_path, changed, Document("new", "Jade Garden, a review."), encoder=encoder)
    assert sorted(encoder.read) == ["Amber Anchor is about a lighthouse.", "Jade Garden, a review."]
    assert kb.notes == ()
    assert answers(kb) == answers(build(world, tmp_path / "fresh", changed, Document("new", "Jade Garden, a review.")))
    # What is gone is not found any more.
    assert build(world, tmp_path).document("new") is None
    assert faiss.read_index(str(vectors_of(tmp_path))).ntotal == 120


def test_another_catalogue_gives_another_index(world: Dataset, tmp_path: Path) -> None:
    build(world, tmp_path)
    items = list(world.catalog.items_in_order)
    other = Catalog([Item("new", "Quiet Quarry (2001)", attributes={"year": 2001}), *items[1:]])
    kb = KnowledgeBase.build(other, folder=tmp_path, encoder=TinyEncoder())
    assert kb.embedded == 1
    assert "the catalogue is not the one that the index in" in kb.notes[0]
    assert "1 text embedded, 119 were the same" in kb.notes[0]
    assert answers(kb) == answers(KnowledgeBase.build(other, encoder=TinyEncoder()))
    assert kb.retrieve("quarry", k=1)[0].document.item_id == "new"


@pytest.mark.parametrize("encoder", [TinyEncoder(fingerprint="other"), TinyEncoder(size=32)])
def test_vectors_of_another_encoder_are_never_used(world: Dataset, tmp_path: Path, encoder: TinyEncoder) -> None:
    build(world, tmp_path)
    kb = build(world, tmp_path, encoder=encoder)
    assert kb.embedded == 120
    assert kb.notes == (f"the index in {tmp_path} was made by another encoder; it was made anew",)
    assert answers(kb) == answers(KnowledgeBase.build(world.catalog, encoder=encoder))


def cut(folder: Path) -> None:
    file = vectors_of(folder)
    file.write_bytes(file.read_bytes()[:1000])


def flip(folder: Path) -> None:
    file = vectors_of(folder)
    data = bytearray(file.read_bytes())
    data[-3] ^= 0xFF
    file.write_bytes(bytes(data))


def vanish(folder: Path) -> None:
    vectors_of(folder).unlink()


def cut_head(folder: Path) -> None:
    head = folder / "knowledge.json"
    head.write_text(head.read_text()[:500])


def foreign_head(folder: Path) -> None:
    (folder / "knowledge.json").write_text('["someone else\'s file"]')


def without_keys(folder: Path) -> None:
    head = json.loads((folder / "knowledge.json").read_text())
    del head["keys"]
    (folder / "knowledge.json").write_text(json.dumps(head))


def planted(index: faiss.Index):
    """A well-formed index of another make, with a checksum that fits."""

    def plant(folder: Path) -> None:
        import hashlib

        data = faiss.serialize_index(index).tobytes()
        vectors_of(folder).write_bytes(data)
        head = json.loads((folder / "knowledge.json").read_text())
        head["sha256"] = hashlib.sha256(data).hexdigest()
        (folder / "knowledge.json").write_text(json.dumps(head))

    return plant


def filled(index: faiss.Index, size: int, rows: int) -> faiss.Index:
    index.add(np.ones((rows, size), dtype=np.float32))
    return index


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut, "is damaged (its vectors are not those that were written)"),
        (flip, "is damaged (its vectors are not those that were written)"),
        (vanish, "is damaged (its vectors are missing)"),
        (cut_head, "is damaged (knowledge.json cannot be read)"),
        (foreign_head, "is of another format"),
        (without_keys, "is damaged (knowledge.json lacks a part)"),
        (planted(filled(faiss.IndexFlatIP(16), 16, 120)), "has vectors of 16 numbers, and the encoder makes 64"),
        (planted(filled(faiss.IndexFlatIP(64), 64, 7)), "has 7 vectors for 120 documents"),
        (planted(filled(faiss.IndexFlatL2(64), 64, 120)), "is of another kind"),
    ],
)
def test_a_damaged_or_foreign_index_is_made_anew(world: Dataset, tmp_path: Path, harm, said: str) -> None:
    right = answers(build(world, tmp_path))
    harm(tmp_path)
    kb = build(world, tmp_path)
    assert kb.notes == (f"the index in {tmp_path} {said}; it was made anew",)
    assert answers(kb) == right
    assert build(world, tmp_path).notes == ()


def test_bytes_that_faiss_cannot_read_are_made_anew(world: Dataset, tmp_path: Path) -> None:
    import hashlib

    build(world, tmp_path)
    data = b"IxFInonsense" * 3
    vectors_of(tmp_path).write_bytes(data)
    head = json.loads((tmp_path / "knowledge.json").read_text())
    head["sha256"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "knowledge.json").write_text(json.dumps(head))
    assert "FAISS cannot read it" in build(world, tmp_path).notes[0]


def test_a_folder_that_cannot_be_written_is_a_clear_error(world: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"the index cannot be written to .*; name another folder"):
        build(world, tmp_path / "file")


def test_one_index_stays_in_the_folder(world: Dataset, tmp_path: Path) -> None:
    build(world, tmp_path)
    build(world, tmp_path, REVIEW)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".faiss", ".json"]


class Broken(TinyEncoder):
    def __init__(self, what: np.ndarray) -> None:
        super().__init__()
        self.what = what

    def encode(self, texts):
        return np.repeat(self.what[None, :], len(texts), axis=0)


def test_an_encoder_that_breaks_its_word_is_a_clear_error(world: Dataset) -> None:
    with pytest.raises(DataError, match=r"shape \(120, 3\) for 120 texts and says that its size is 64"):
        KnowledgeBase.build(world.catalog, encoder=Broken(np.zeros(3)))
    with pytest.raises(DataError, match="numbers that are not finite"):
        KnowledgeBase.build(world.catalog, encoder=Broken(np.full(64, np.nan)))
