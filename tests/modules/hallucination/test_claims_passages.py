"""Passages read as rows: what they state, and nothing that only the catalogue knows."""

from __future__ import annotations

import pytest

from audit.claims.extraction.extract import Extractor
from audit.grounding import Grounder
from audit.knowledge import item_document
from audit.modules.hallucination.passage_rows import PassageReader
from audit.types import Catalog, Item, Passage

CATALOG = Catalog(
    [
        Item(
            "1", "Alien (1979)", attributes={"year": 1979, "genres": ("Horror", "Sci-Fi"), "director": "Ridley Scott"}
        ),
        Item("2", "Heat (1995)", attributes={"year": 1995, "genres": ("Action",), "director": "Michael Mann"}),
        Item(
            "3",
            "Red Sonja (1985)",
            attributes={
                "genres": ("Action", "Sword and Sorcery", "War"),
                "director": "R. O. Fleischer Jr.",
                "price": 9,
            },
        ),
    ]
)
READER = PassageReader(Grounder(CATALOG), Extractor(Grounder(CATALOG)))


def rows(*texts, ids=()):
    return READER.rows([Passage(ids[n] if ids else f"p{n}", text) for n, text in enumerate(texts)])


@pytest.mark.parametrize("item_id", ["1", "2", "3"])
def test_a_row_written_by_the_knowledge_base_is_read_back(item_id):
    item = CATALOG[item_id]
    read = READER.rows([item_document(item).passage])[item_id]
    assert read.attributes == {"year": int(item.title[-5:-1]), **item.attributes}


def test_an_altered_row_is_read_as_altered():
    read = rows("Alien (1986). Genres: Comedy. Director: Ann Other.")["1"]
    assert read.attributes == {"year": 1986, "genres": ("Comedy",), "director": "Ann Other"}


def test_nothing_is_taken_from_the_catalogue():
    read = rows("Alien is about a ship.")["1"]
    assert read.attributes == {}
    assert read.title == "Alien"


def test_prose_is_read_as_answers_are():
    read = rows('"Alien" was directed by Ann Other. It came out in 1986.')["1"]
    assert read.attributes["director"] == "Ann Other"
    assert read.attributes["year"] == 1986


def test_the_id_names_the_item_where_the_text_does_not():
    assert list(rows("It came out in 1986.", ids=["item:2"])) == ["2"]
    assert list(rows("second part", ids=["item:2~1"])) == ["2"]


def test_the_first_of_two_passages_is_believed():
    read = rows("Alien (1979). Genres: Horror.", "Alien (1986). Director: Ann Other.")["1"]
    assert read.attributes == {"year": 1979, "genres": ("Horror",), "director": "Ann Other"}


def test_a_passage_about_nothing_known_gives_no_row():
    assert len(rows("The weather was fine.", "Zyxwv Quorble (1999). Genres: Drama.")) == 0
    assert len(READER.rows([])) == 0
