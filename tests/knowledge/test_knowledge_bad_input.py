"""What users get wrong: one clear sentence each, or a counted note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_encoder import TinyEncoder

from audit.errors import ConfigError, DataError
from audit.knowledge import Document, KnowledgeBase, SentenceEncoder, read_documents
from audit.knowledge.document import item_document
from audit.types import Catalog, Item

CATALOG = Catalog([Item("1", "Alien"), Item("2", "Heat")])


def build(**fields):
    return KnowledgeBase.build(CATALOG, **{"encoder": TinyEncoder(), **fields})


def test_one_path_is_a_document_and_its_letters_are_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Alien is old.")
    assert [d.id for d in build(documents=str(tmp_path / "notes.txt")).documents[2:]] == ["notes.txt"]
    assert [d.id for d in build(documents=tmp_path).documents[2:]] == ["notes.txt"]


def test_what_is_neither_a_document_nor_a_path() -> None:
    with pytest.raises(ValueError, match="documents: 5 must be a Document, or the path of a file or folder"):
        build(documents=[Document("a", "Text."), 5])


@pytest.mark.parametrize("title", ["", " ", "\n"])
def test_an_item_that_says_nothing_is_counted(title: str) -> None:
    assert item_document(Item("3", title)).text == ""
    base = KnowledgeBase.build(Catalog([*CATALOG.values(), Item("3", title)]), encoder=TinyEncoder())
    assert base.notes == ("1 document without any text left out",)


def test_an_empty_file_is_noted_when_it_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("")
    assert read_documents(tmp_path / "empty.md").notes == ("empty.md holds no text",)


class Odd(TinyEncoder):
    def __init__(self, *, size: int = 64, pieces: int | None = None, rows: object = None) -> None:
        super().__init__(size)
        self.given, self.rows = pieces, rows

    def pieces(self, texts):
        return super().pieces(texts) if self.given is None else [1] * self.given

    def encode(self, texts):
        return super().encode(texts) if self.rows is None else self.rows


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Odd(size=0), "its size is 0; it must be at least 1"),
        (Odd(pieces=1), "its `pieces` gave 1 numbers for 2 texts"),
        (Odd(rows=[["a"], ["b"]]), "its `encode` gave no numbers"),
        (Odd(rows=[[1.0], [1.0, 2.0]]), "its `encode` gave no numbers"),
        (Odd(rows=np.zeros((2, 32))), r"shape \(2, 32\) for 2 texts and says that its size is 64"),
    ],
)
def test_encoders_that_break_their_word(encoder: Odd, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(encoder=encoder)


def test_an_index_whose_size_was_changed_by_hand_is_made_anew(tmp_path: Path) -> None:
    build(folder=tmp_path)
    head = json.loads((tmp_path / "knowledge.json").read_text())
    (tmp_path / "knowledge.json").write_text(json.dumps({**head, "size": "x"}))
    [note] = build(folder=tmp_path).notes
    assert "is damaged (knowledge.json tells another size than its vectors have); it was made anew" in note


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"max_position_embeddings": "many"}', "max_position_embeddings is 'many'; it must be a whole number above 0"),
        ('{"max_position_embeddings": -1}', "max_position_embeddings is -1"),
        ("[]", r"config\.json must hold a JSON dict"),
    ],
)
def test_settings_of_an_encoder_that_cannot_be_used(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=message):
        SentenceEncoder(tmp_path)


def test_an_encoder_without_its_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"encoder: the tokenizer in .* cannot be loaded"):
        build(encoder=SentenceEncoder(tmp_path))
