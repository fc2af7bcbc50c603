"""Long documents in parts: none too long, nothing lost, short ones untouched."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import TinyEncoder

from audit.knowledge import Document, KnowledgeBase
from audit.knowledge.chunks import MAX_PIECES, chunked, estimated_pieces
from audit.types import Catalog, Item


def by_words(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def parts(text: str, most: int) -> list[str]:
    return [piece.text for piece in chunked([Document("d", text)], by_words, most)]


def test_up_to_two_hundred_pieces_a_document_is_one_passage() -> None:
    document = Document("d", "word  " * 200, item_id="1")
    assert list(chunked([document], by_words)) == [document]
    longer = list(chunked([Document("d", "word " * 201, item_id="1", title="T")], by_words))
    assert [(d.id, d.item_id, d.title) for d in longer] == [("d~1", "1", "T"), ("d~2", "1", "T")]


def test_parts_end_at_paragraphs_then_sentences_then_words() -> None:
    assert parts("a b c\n\nd e\n\nf g h i", 5) == ["a b c\n\nd e", "f g h i"]
    assert parts("a b c. d e! f g h", 5) == ["a b c. d e!", "f g h"]
    assert parts("a b c d e f g", 3) == ["a b c", "d e f", "g"]


@given(st.lists(st.sampled_from(["a", "bb", "c.", "\n\n", "d!", "\n", "水。"]), max_size=60), st.integers(1, 9))
def test_no_word_is_lost_and_no_part_too_long(words: list[str], most: int) -> None:
    text = " ".join(words)
    found = parts(text, most)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) == 1 or max(by_words(found)) <= most


def test_one_endless_word_is_divided_too() -> None:
    found = list(chunked([Document("d", "水" * 1000)], estimated_pieces))
    assert "".join(part.text for part in found) == "水" * 1000
    assert max(estimated_pieces([part.text for part in found])) <= MAX_PIECES


def test_five_megabytes_are_divided_in_seconds_and_found_again() -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"w{n}" for n in range(5000)]
    words = [vocabulary[int(n)] for n in rng.integers(5000, size=860_000)]
    words[500_000] = "needle"
    text = " ".join(words)
    assert len(text) > 4_900_000
    start = time.perf_counter()
    kb = KnowledgeBase.build(Catalog([Item("1", "Alien")]), [Document("big", text)], dense=False)
    assert time.perf_counter() - start < 60
    (hit,) = kb.retrieve("needle", k=3)
    assert hit.document.id.startswith("big~")
    assert "needle" in hit.document.text
    assert kb.document("big").text == text


def test_parts_are_retrieved_and_the_item_is_looked_up_whole() -> None:
    text = "Dull words here. " * 80 + "Ripley wins in the end."
    kb = KnowledgeBase.build(
        Catalog([Item("1", "Alien")]), [Document("plot", text, item_id="1")], encoder=TinyEncoder()
    )
    assert kb.retrieve("Ripley", k=1, dense=False)[0].document.id == "plot~2"
    assert kb.of_item("1")[1].text == text
