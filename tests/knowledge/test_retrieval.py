"""What is retrieved: by words against a brute-force BM25, by meaning, fused by hand, by key."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_encoder import TinyEncoder

from audit.data.dataset import Dataset
from audit.errors import DataError
from audit.knowledge import Document, Hit, KnowledgeBase, fuse, item_document
from audit.knowledge.lexical import Lexical, words
from audit.types import Catalog, Item

FILMS = Catalog(
    [
        Item("1", "Alien", "A crew meets a stranger.", {"year": 1979, "genres": ("Horror", "Sci-Fi")}),
        Item("2", "Aliens", "", {"year": 1986, "genres": ("Action",), "director": "James Cameron"}),
        Item("3", "Sabrina (1954)", "", {"year": 1954, "genres": ("Comedy",)}),
        Item("4", "Sabrina (1995)", "", {"year": 1995, "genres": ("Comedy",)}),
        Item("5", "Амели", "", {"year": 2001}),
        Item("6", "千と千尋の神隠し", "", {"year": 2001}),
        Item("7", "Amélie", "", {"year": 2001}),
    ]
)


def base(**options: object) -> KnowledgeBase:
    return KnowledgeBase.build(FILMS, encoder=TinyEncoder(), **options)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.document.id for hit in hits]


def lucene_bm25(corpus: list[list[str]], query: list[str], k1: float = 1.5, b: float = 0.75) -> np.ndarray:
    """Kamphuis et al. 2020, table 1, Lucene (accurate): written out term by term."""
    mean = sum(map(len, corpus)) / len(corpus)
    scores = np.zeros(len(corpus))
    for term in query:
        df = sum(term in document for document in corpus)
        idf = math.log(1 + (len(corpus) - df + 0.5) / (df + 0.5))
        for row, document in enumerate(corpus):
            tf = document.count(term)
            scores[row] += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean))
    return scores


def test_words_are_ranked_as_by_the_formula() -> None:
    rng = np.random.default_rng(3)
    vocabulary = [f"w{n}" for n in range(30)]
    corpus = [[vocabulary[int(w)] for w in rng.integers(30, size=rng.integers(1, 15))] for _ in range(60)]
    index = Lexical([" ".join(text) for text in corpus])
    for _ in range(40):
        query = [vocabulary[int(w)] for w in rng.integers(30, size=rng.integers(1, 5))]
        scores = lucene_bm25(corpus, query)
        found = index.search(" ".join(query), 10)
        assert len(found) == min(10, (scores > 0).sum())
        np.testing.assert_allclose(scores[found], np.sort(scores)[::-1][: len(found)], rtol=1e-5)


def test_texts_that_share_no_word_are_no_hits() -> None:
    kb = base()
    assert kb.retrieve("a submarine in wartime", dense=False) == []
    assert kb.retrieve("is it not on the", dense=False) == []
    assert ids(kb.retrieve("cameron", dense=False)) == ["item:2"]


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_a_blank_query_finds_nothing(query: str) -> None:
    assert base().retrieve(query) == []


def test_a_query_of_unknown_signs_finds_nothing_by_meaning_without_a_vector() -> None:
    assert base().retrieve("!!! ???") == []


def test_ranks_are_fused_as_by_hand() -> None:
    # 7: 1/61 + 1/63 = .03227; 5: 1/62 + 1/62 = .03226; 3: 1/61 = .01639; 9: 1/63 = .01587; in no list: not there.
    assert fuse([[7, 5, 9], [3, 5, 7]]) == [7, 5, 3, 9]
    # One list each, both first: the earlier list.
    assert fuse([[8], [2]]) == [8, 2]
    assert fuse([list(range(100, 125)), []]) == list(range(100, 120))
    assert fuse([[], []]) == []


def test_hits_tell_their_ranks_in_both_lists_and_no_score() -> None:
    kb = base()
    hits = kb.retrieve("scary movie 1979", k=7)
    assert (hits[0].document.id, hits[0].rank, hits[0].lexical_rank, hits[0].dense_rank) == ("item:1", 1, 1, 1)
    assert {hit.rank for hit in hits} == set(range(1, len(hits) + 1))
    assert all(hit.lexical_rank is None for hit in hits[1:])  # only Alien has the year 1979
    assert not hasattr(hits[0], "score")
    assert hits[0].document.passage.text.startswith("Alien (1979).")


def test_meaning_finds_what_words_do_not() -> None:
    kb = base()
    assert kb.retrieve("scary", dense=False) == []
    assert ids(kb.retrieve("scary", k=1, lexical=False)) == ["item:1"]


def test_many_queries_give_what_each_gives_alone(world: Dataset) -> None:
    kb = KnowledgeBase.build(world.catalog, encoder=TinyEncoder())
    queries = ["Amber Anchor", "western 1990", "", "western 1990", "frozen"]
    assert kb.retrieve_many(queries, k=8) == [kb.retrieve(query, k=8) for query in queries]
    assert kb.retrieve_many([]) == []
    assert len(kb.retrieve("drama", k=100)) == 100


def test_key_lookup_gives_the_item_and_what_else_is_known_of_it() -> None:
    review = Document("review", "Ripley is the one who stays calm.", item_id="1")
    kb = base(documents=[review])
    assert kb.of_item("1") == (item_document(FILMS["1"]), review)
    assert kb.of_item("99") == ()
    assert kb.document("review") == review
    assert kb.document("no") is None


def test_two_items_of_one_title_stay_apart() -> None:
    kb = base()
    assert set(ids(kb.retrieve("Sabrina", k=2))) == {"item:3", "item:4"}
    assert ids(kb.retrieve("Sabrina 1995", k=1)) == ["item:4"]
    assert kb.of_item("3")[0].meta["year"] == 1954


@pytest.mark.parametrize(("query", "found"), [("Амели", "item:5"), ("千尋", "item:6"), ("AMELIE", "item:7")])
def test_titles_of_several_scripts_are_found(query: str, found: str) -> None:
    assert ids(base().retrieve(query, k=1, dense=False)) == [found]


def test_scripts_without_spaces_are_matched_by_pairs() -> None:
    assert words("千と千尋 The Movie") == ["千と", "と千", "千尋", "movie"]
    assert words("水") == ["水"]


def test_an_item_reads_as_sentences_and_keeps_its_row() -> None:
    item = Item(
        "9",
        "Heat",
        "Cops and robbers!",
        {"runtime": 170.0, "cast": ("Al Pacino", "Robert De Niro"), "genres": ("Crime",), "year": 1995, "note": ""},
    )
    document = item_document(item)
    assert document.text == (
        "Heat (1995). Genres: Crime. Cast: Al Pacino and Robert De Niro. Runtime: 170. Cops and robbers!"
    )
    assert (document.id, document.item_id, document.meta) == ("item:9", "9", item.attributes)
    assert item_document(Item("x", "Heat (1995)", attributes={"year": 1995})).text == "Heat (1995)."


def test_without_an_encoder_there_is_search_by_words_only() -> None:
    kb = KnowledgeBase.build(FILMS, dense=False)
    assert not kb.has_dense
    assert ids(kb.retrieve("James Cameron"))[0] == "item:2"
    with pytest.raises(ValueError, match="built without an encoder"):
        kb.retrieve("James", dense=True)


def test_options_that_ask_for_nothing_are_refused() -> None:
    kb = base()
    with pytest.raises(ValueError, match="k: value must be at least 1, not 0"):
        kb.retrieve("x", k=0)
    with pytest.raises(ValueError, match="at least one of them"):
        kb.retrieve("x", lexical=False, dense=False)


def test_an_empty_catalogue_is_noted_and_nothing_at_all_refused() -> None:
    kb = KnowledgeBase.build(Catalog([]), [Document("a", "Alien is a film.")], encoder=TinyEncoder())
    assert kb.notes == ("the catalogue is empty: only the documents are searched",)
    assert ids(kb.retrieve("alien")) == ["a"]
    with pytest.raises(DataError, match="neither the catalogue nor the documents hold any text"):
        KnowledgeBase.build(Catalog([]), [Document("a", "  ")], encoder=TinyEncoder())


def test_documents_that_cannot_be_used_are_counted_or_refused() -> None:
    one = Document("a", "Alien is a film.")
    kb = base(documents=[one, one, Document("b", " "), Document("c", "Old news.", item_id="77")])
    assert kb.notes == (
        "1 document without any text left out",
        "1 document given twice; each is searched once",
        "1 document about items that are not in the catalogue, such as '77'; they are searched as text",
    )
    with pytest.raises(DataError, match="the id 'a' is given to two documents that differ"):
        base(documents=[one, Document("a", "Another.")])
    with pytest.raises(DataError, match="the id 'item:1' is given to two documents"):
        base(documents=[Document("item:1", "Alien is a musical.")])


def test_markup_stays_text() -> None:
    text = "<script>alert(1)</script> **Alien** [link](javascript:x) | cell |"
    kb = base(documents=[Document("html", text)])
    assert kb.retrieve("alert script", k=1, dense=False)[0].document.text == text


def test_half_an_emoji_and_a_huge_query_are_survived() -> None:
    kb = base(documents=[Document("odd", "A half emoji \ud83d here.")])
    assert ids(kb.retrieve("emoji \ud83d", k=1)) == ["odd"]
    assert ids(kb.retrieve("cameron " * 700_000, k=1, dense=False)) == ["item:2"]


def test_the_digest_changes_with_what_is_found() -> None:
    assert base().digest == base().digest
    assert base().digest != base(documents=[Document("a", "Alien is a film.")]).digest
    assert base().digest != KnowledgeBase.build(FILMS, dense=False).digest
