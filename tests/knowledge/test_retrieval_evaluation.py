"""Recall@5 and MRR: against hand counts, for a retriever that is right and one that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_encoder import TinyEncoder

from audit.data.dataset import Dataset
from audit.errors import DataError
from audit.knowledge import Document, Hit, KnowledgeBase, evaluate
from audit.knowledge.evaluation import KINDS, _queries, recall_at, reciprocal_rank
from audit.types import Catalog, Item


def hits(*items: str | None) -> list[Hit]:
    return [Hit(Document(f"d{n}", "x", item_id=item), n, n, None) for n, item in enumerate(items, start=1)]


def test_recall_and_reciprocal_rank_by_hand() -> None:
    found = hits("a", None, "b", "a", "c", "d")
    assert recall_at(found, frozenset("b")) == 1
    assert recall_at(found, frozenset("bd")) == 0.5  # d is sixth
    assert recall_at(found, frozenset("abcdefgh")) == 3 / 5
    assert recall_at([], frozenset("a")) == 0
    assert reciprocal_rank(found, frozenset("cb")) == 1 / 3
    assert reciprocal_rank(found, frozenset("z")) == 0


def test_relevant_are_all_items_for_which_the_stated_facts_hold(world: Dataset) -> None:
    items = world.catalog.items_in_order
    queries = _queries(world.catalog, items, np.random.default_rng(0))
    for query in queries["facts"]:
        year, genre = query.text.split()
        assert query.relevant == {
            i.id for i in items if (i.attributes["year"], i.attributes["genres"]) == (int(year), (genre,))
        }
    assert all(query.relevant == {item.id} for item, query in zip(items, queries["title"], strict=True))
    assert "1970" not in queries["slip"][0].text


def test_two_items_of_one_title_are_both_right() -> None:
    catalog = Catalog(
        [Item("1", "Sabrina", attributes={"year": 1954}), Item("2", "Sabrina", attributes={"year": 1995})]
    )
    queries = _queries(catalog, catalog.items_in_order, np.random.default_rng(0))
    assert queries["title"][0].relevant == {"1", "2"}
    assert [query.relevant for query in queries["facts"]] == [{"1"}, {"2"}]


def test_a_base_finds_its_own_titles_and_says_how_well(world: Dataset) -> None:
    kb = KnowledgeBase.build(world.catalog, encoder=TinyEncoder())
    found = evaluate(kb, np.random.default_rng(1), 60)
    assert [(s.kind, s.way) for s in found.scores] == [(k, w) for k in KINDS for w in ("lexical", "dense", "hybrid")]
    title = found.of("title", "hybrid")
    assert title.n == 60
    assert title.recall.estimate == title.mrr.estimate == 1
    assert title.recall.low < 1  # sixty right answers do not prove that all are
    table = str(found).splitlines()
    assert table[0].split() == ["queries", "search", "n", "recall@5", "MRR@20"]
    assert table[3].split()[:3] == ["title", "hybrid", "60"]
    assert found.to_dict()["scores"][0]["recall@5"][0] == 1


def test_a_retriever_that_looks_up_the_wrong_rows_scores_what_chance_gives(world: Dataset) -> None:
    items = world.catalog.items_in_order
    shifted = [Document(f"x{i.id}", i.title, item_id=j.id) for i, j in zip(items, items[1:] + items[:1], strict=True)]
    kb = KnowledgeBase(world.catalog, shifted, shifted, None, None)
    found = evaluate(kb, np.random.default_rng(1), 100).of("title", "lexical")
    assert found.mrr.estimate < 0.5
    assert (
        found.mrr.high
        < evaluate(KnowledgeBase.build(world.catalog, dense=False), np.random.default_rng(1))
        .of("title", "lexical")
        .mrr.low
    )


def test_the_same_seed_asks_the_same(world: Dataset) -> None:
    kb = KnowledgeBase.build(world.catalog, dense=False)
    assert evaluate(kb, np.random.default_rng(4), 30) == evaluate(kb, np.random.default_rng(4), 30)


def test_what_cannot_be_asked_is_said() -> None:
    kb = KnowledgeBase.build(Catalog([Item("1", "Up"), Item("2", "Her")]), dense=False)
    found = evaluate(kb, np.random.default_rng(0))
    assert [score.kind for score in found.scores] == ["title"]
    assert found.notes == (
        "slip: not asked for 2 items whose row has no word of five letters",
        "facts: not asked for 2 items whose row has no fact besides its title",
        "question: not asked for 2 items whose row has no fact besides its title",
    )
    assert found.of("facts", "lexical") is None


def test_bad_input() -> None:
    kb = KnowledgeBase.build(Catalog([]), [Document("a", "x")], dense=False)
    with pytest.raises(DataError, match="its catalogue is empty"):
        evaluate(kb, np.random.default_rng(0))
    with pytest.raises(ValueError, match="n: value must be at least 1, not 0"):
        evaluate(kb, np.random.default_rng(0), 0)
