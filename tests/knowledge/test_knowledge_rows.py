"""Facts of the user's tables in the catalogue's rows."""

from __future__ import annotations

from pathlib import Path

from audit.claims import Claim, Facts
from audit.claims.verification.ladder import Ladder
from audit.knowledge import Document, item_document, read_documents, with_rows
from audit.types import Catalog, Item, Request, User

CATALOG = Catalog([Item("1", "Alien", "A crew.", {"year": 1979}), Item("2", "Heat")])


def test_a_table_with_item_ids_adds_columns_that_decide_claims(tmp_path: Path) -> None:
    (tmp_path / "credits.csv").write_text("item_id,director,cast\n1,Ridley Scott,Sigourney Weaver|Tom Skerritt\n")
    catalog, notes = with_rows(CATALOG, read_documents(tmp_path).documents)
    assert catalog["1"] == Item(
        "1",
        "Alien",
        "A crew.",
        {"year": 1979, "director": "Ridley Scott", "cast": ("Sigourney Weaver", "Tom Skerritt")},
    )
    assert catalog["2"] is CATALOG["2"]
    assert notes == ("2 facts about 1 item taken from the documents' tables",)
    claims = [Claim("creator", name, "Alien", "1", 0, 1, "") for name in ("Ridley Scott", "Michael Mann")]
    asked = Request(User("u"))
    assert [r.verdict for r in Ladder().rule(claims, Facts(CATALOG, asked))] == ["unverifiable"] * 2
    ruled = Ladder().rule(claims, Facts(catalog, asked, frozenset({"director"})))
    assert [r.verdict for r in ruled] == ["supported", "contradicted"]


def test_the_catalogue_and_the_first_document_are_believed() -> None:
    documents = [
        Document("a", "", "1", meta={"Year": 1986, "studio": "Fox"}),
        Document("b", "", "1", meta={"studio": "Warner", "year": 1979}),
    ]
    catalog, notes = with_rows(CATALOG, documents)
    assert catalog["1"].attributes == {"year": 1979, "studio": "Fox"}
    assert notes[1] == "2 facts of the documents' tables left out: another value is there already"


def test_what_is_about_no_item_changes_nothing() -> None:
    documents = [
        Document("a", "Alien is old.", meta={"director": "Nobody"}),
        Document("b", "Other.", "77", meta={"director": "Nobody"}),
        Document("c", "Plain.", "2"),
        item_document(Item("2", "Heat", attributes={"year": 1995})),
    ]
    assert with_rows(CATALOG, documents) == (CATALOG, ())
    assert with_rows(CATALOG, [])[0] is CATALOG
    assert with_rows(Catalog([]), documents).notes == ()
