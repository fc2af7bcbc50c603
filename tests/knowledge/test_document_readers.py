"""The user's own documents: what each format becomes, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_encoder import TinyEncoder

from audit.errors import DataError
from audit.knowledge import KnowledgeBase, read_documents
from audit.types import Catalog, Item


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def pdf(path: Path, *pages: str, password: str | None = None) -> Path:
    """A PDF of one line per page, written by hand but for the lock."""
    streams = [f"BT /F1 12 Tf 72 700 Td ({page}) Tj ET" if page else "" for page in pages]
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>"]
    for number, stream in enumerate(streams):
        font = "<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * number} 0 R /Resources {font} >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    data, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(data)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010d} 00000 n \n" for at in offsets)
    data += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    path.write_bytes(data.encode())
    if password is not None:
        from pypdf import PdfWriter

        writer = PdfWriter(clone_from=path)
        writer.encrypt(password, algorithm="RC4-128")
        writer.write(path)
    return path


def test_rows_of_a_table_become_documents_with_their_facts(tmp_path: Path) -> None:
    path = write(tmp_path, "more.csv", "id,item_id,title,text,country,tags\na,007,Alien,A crew. A beast,UK,dark|slow\n")
    (document,) = read_documents(path).documents
    assert (document.id, document.item_id, document.title, document.source) == (
        "more.csv:a",
        "007",
        "Alien",
        "more.csv",
    )
    assert document.text == "Alien. Country: UK. Tags: dark and slow. A crew. A beast."
    assert document.meta == {"country": "UK", "tags": ("dark", "slow")}


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item_id": ["1", "2"], "title": ["Alien", "Heat"], "minutes": [117, 170]})
    frame.to_parquet(tmp_path / "facts.parquet")
    frame.to_csv(tmp_path / "facts.csv", index=False)
    first, second = (read_documents(tmp_path / name).documents for name in ("facts.parquet", "facts.csv"))
    assert [d.text for d in first] == [d.text for d in second] == ["Alien. Minutes: 117.", "Heat. Minutes: 170."]
    assert [d.id for d in first] == ["facts.parquet:1", "facts.parquet:2"]


def test_rows_without_an_id_of_their_own_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.tsv", "item_id\ttext\n1\tGood.\n1\tBad.\n2\t\n")
    reading = read_documents(path)
    assert [(d.id, d.item_id, d.text) for d in reading.documents] == [
        ("reviews.tsv:row-1", "1", "Good."),
        ("reviews.tsv:row-2", "1", "Bad."),
    ]
    assert reading.notes == ("reviews.tsv: 1 part without any text left out",)


def test_an_id_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'id' holds 'a' twice; give every row its own id"):
        read_documents(write(tmp_path, "t.csv", "id,text\na,x\na,y\n"))
    with pytest.raises(DataError, match="column 'id' is empty in some rows"):
        read_documents(write(tmp_path, "t.csv", "id,text\na,x\n,y\n"))


def test_markdown_is_divided_at_its_headings(tmp_path: Path) -> None:
    text = "Before.\n\n# Films\n\n## Alien\nA *crew*.\n\n```\n# no heading\n```\n"
    text += "## Heat #\n<b>Cops</b>\n# Notes\n## Alien\nx\n"
    documents = read_documents(write(tmp_path, "wiki.md", text)).documents
    assert [(d.id, d.title) for d in documents] == [
        ("wiki.md", ""),
        ("wiki.md#alien", "Films › Alien"),
        ("wiki.md#heat", "Films › Heat"),
        ("wiki.md#alien-2", "Notes › Alien"),
    ]
    assert documents[1].text == "A *crew*.\n\n```\n# no heading\n```"
    assert documents[2].text == "<b>Cops</b>"


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    reading = read_documents(pdf(tmp_path / "guide.pdf", "Alien is a film of 1979.", "", "Heat is of 1995."))
    assert [(d.id, d.text, d.title) for d in reading.documents] == [
        ("guide.pdf#page-1", "Alien is a film of 1979.", "guide"),
        ("guide.pdf#page-3", "Heat is of 1995.", "guide"),
    ]
    assert reading.notes == ("guide.pdf: 1 part without any text left out",)


def test_pdfs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 2 pages holds text; run it through OCR first"):
        read_documents(pdf(tmp_path / "scan.pdf", "", ""))
    with pytest.raises(DataError, match="locked by a password; save a copy without one"):
        read_documents(pdf(tmp_path / "locked.pdf", "Secret.", password="open"))
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4\nnothing")
    with pytest.raises(DataError, match=r"cannot be read as PDF \(.*\); save it anew"):
        read_documents(tmp_path / "bad.pdf")


def test_a_damaged_pdf_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    whole = pdf(tmp_path / "whole.pdf", "Alien is a film of 1979.", "Heat is of 1995.").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole[: int(rng.integers(20, len(whole)))] if rng.random() < 0.3 else whole)
        for at in rng.integers(len(data), size=6):
            data[int(at)] = int(rng.integers(256))
        (tmp_path / "damaged.pdf").write_bytes(bytes(data))
        try:
            read_documents(tmp_path / "damaged.pdf")
        except DataError:
            refused += 1
    assert 0 < refused < 150


def test_a_folder_is_read_whole_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    write(tmp_path, "a/notes.txt", "\ufeffAlien is old.")
    write(tmp_path, "b.MD", "# Heat\nCops.")
    write(tmp_path, "empty.txt", "")
    write(tmp_path, "photo.jpg", "x")
    write(tmp_path, ".git/config.txt", "hidden")
    reading = read_documents(tmp_path)
    assert [(d.id, d.text) for d in reading.documents] == [("a/notes.txt", "Alien is old."), ("b.MD#heat", "Cops.")]
    assert reading.notes == ("empty.txt is empty", "1 file of other kinds left out, such as photo.jpg")


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the ending '.docx' is unknown; use .csv, .markdown, .md"):
        read_documents(tmp_path / "x.docx")
    with pytest.raises(DataError, match="there is no such file"):
        read_documents(tmp_path / "x.txt")
    with pytest.raises(DataError, match="no file in it holds a document"):
        read_documents(tmp_path)
    (tmp_path / "latin.txt").write_bytes("Amélie".encode("latin-1"))
    with pytest.raises(DataError, match="byte 2 is not UTF-8"):
        read_documents(tmp_path / "latin.txt")


def test_files_go_into_the_knowledge_base_by_their_path(tmp_path: Path) -> None:
    catalog = Catalog([Item("1", "Alien")])
    write(tmp_path, "docs/reviews.csv", "item_id,text\n1,Still frightening.\n")
    write(tmp_path, "docs/photo.jpg", "x")
    kb = KnowledgeBase.build(catalog, [tmp_path / "docs"], encoder=TinyEncoder())
    assert [d.id for d in kb.of_item("1")] == ["item:1", "reviews.csv:1"]
    assert kb.notes == ("1 file of other kinds left out, such as photo.jpg",)


def test_ids_are_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write(tmp_path, f"{place}/wiki.md", "# A\nx\n# A\ny\n")
    first, second = (read_documents(tmp_path / place).documents for place in ("one", "two"))
    assert first == second
