"""Answers of known truth: what they say is so, or not, by the rows alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from audit.claims.benchmark.drafts import World, bare_title, key, wordings
from audit.claims.benchmark.injected import generate
from audit.claims.benchmark.injectors import injectors
from audit.seeds import generator
from audit.types import Catalog, Item

DIRECTORS = ("Ada Norling", "Tomas Hale", "Irina Vass", "Joel Okafor", "Mina Castell")
WORDS = "river stone winter glass copper lantern harvest signal paper ember hollow orchard".split()


def a_catalog(*, creators: bool = True, items: int = 200) -> Catalog:
    """Films of two words, a year, genres and a director."""
    made = []
    for n in range(items):
        title = f"The {WORDS[n % 12].title()} and {WORDS[(n // 12) % 12].title()} {'Road' if n < 144 else 'House'}"
        facts = {"year": 1950 + n % 60, "genres": ("Drama", "War") if n % 2 else ("Comedy", "Western")}
        if creators:
            facts["director"] = DIRECTORS[n % 5]
        made.append(Item(str(n), f"{title} ({1950 + n % 60})", attributes=facts))
    return Catalog(made)


@pytest.fixture(scope="module")
def benchmark():
    return generate(a_catalog(), seed=3, size=400, complete=("genres",))


def test_equal_arguments_give_equal_answers_and_another_seed_others(benchmark):
    assert generate(a_catalog(), seed=3, size=400, complete=("genres",)) == benchmark
    assert generate(a_catalog(), seed=4, size=400, complete=("genres",)).answers != benchmark.answers


def test_half_is_clean_and_every_kind_comes_in_every_style(benchmark):
    kinds = Counter((answer.kind, answer.style) for answer in benchmark.answers)
    assert sum(n for (kind, _), n in kinds.items() if not kind) == 200
    for kind in set(injectors()) - set(benchmark.skipped):
        for style in ("list", "prose", "json"):
            assert kinds[kind, style] >= 1, (kind, style)


def test_the_truth_is_what_the_rows_say(benchmark):
    # Worked out again here, from the full catalogue and the knowledge, by brute force.
    rows = benchmark.catalog
    for answer in benchmark.answers:
        had = {bare_title(event.item.title) for event in answer.request.user.history}
        for claim in answer.claims:
            row = rows[claim.item_id].attributes if claim.item_id is not None else {}
            if claim.predicate == "in_history":
                expected = "supported" if claim.object in had else "contradicted"
            elif claim.predicate == "year" and row:
                expected = "supported" if int(claim.object) == row["year"] else "contradicted"
            elif claim.predicate == "genre" and row.get("genres"):
                own = {genre.casefold() for genre in row["genres"]}
                expected = "supported" if claim.object.casefold() in own else "contradicted"
            elif claim.predicate == "creator" and row:
                # Directors are not said to be complete here.
                expected = "supported" if claim.object == row["director"] else "unverifiable"
            elif claim.predicate == "constraint_ok" and row:
                side, bound = claim.object.split()
                met = row["year"] > int(bound) if side == "after" else row["year"] < int(bound)
                expected = "supported" if met else "contradicted"
            else:
                expected = "unverifiable"
            assert claim.truth == expected, (answer.text, claim)


def test_a_clean_answer_is_all_true_and_another_has_one_error(benchmark):
    for answer in benchmark.answers:
        false = [claim for claim in answer.claims if claim.truth == "contradicted"]
        invented = [title for title in answer.titles if title.item_id is None]
        had = {event.item.id for event in answer.request.user.history}
        consumed = [title for title in answer.titles if title.item_id in had]
        if not answer.kind:
            assert {claim.truth for claim in answer.claims} <= {"supported"}
        assert len(false) + len(invented) + len(consumed) <= 1, answer.text
        assert all(claim.kind == answer.kind for claim in false)


def test_everything_stands_where_it_is_said_to(benchmark):
    for answer in benchmark.answers:
        for claim in answer.claims:
            assert answer.text[claim.start : claim.end] == claim.object
        for title in answer.titles:
            assert answer.text[title.start : title.end] == title.title
        if answer.style == "json":
            body = answer.text.strip().removeprefix("```json").removesuffix("```")
            assert [row["title"] for row in json.loads(body)] == [title.title for title in answer.titles]


def test_made_up_titles_are_nobodys_and_items_are_somebodys(benchmark):
    names = {key(item.title) for item in benchmark.catalog.values()}
    for answer in benchmark.answers:
        for title in answer.titles:
            if title.item_id is None:
                assert key(title.title) not in names
            elif title.kind not in ("typo", "alias"):
                assert key(title.title) in names


def test_the_halves_share_no_item_and_no_sentence():
    halves = [generate(a_catalog(), seed=3, size=100, part=part) for part in ("tune", "test")]
    items = [
        {t.item_id for a in half.answers for t in a.titles}
        | {e.item.id for a in half.answers for e in a.request.user.history}
        for half in halves
    ]
    assert not (items[0] - {None}) & (items[1] - {None})
    for said in (*wordings()["said"].values(), *wordings()["hedged"].values(), *wordings()["outside"].values()):
        assert said["tune"]
        assert said["test"]
        assert not set(said["tune"]) & set(said["test"])


def test_what_the_catalogue_cannot_give_is_said():
    one = generate(a_catalog(creators=False), seed=3, size=200)
    assert "no column" in one.skipped["creator"]
    assert not any(answer.kind == "creator" for answer in one.answers)


def test_hidden_facts_are_taken_out_of_the_knowledge_and_nothing_else_is(benchmark):
    full = a_catalog()
    hidden = {c.item_id for a in benchmark.answers for c in a.claims if c.kind == "hidden-fact"}
    assert hidden
    for item_id in full:
        own, known = full[item_id].attributes, benchmark.catalog[item_id].attributes
        if item_id in hidden:
            assert "genres" not in known
        assert {**own, **known} == own


def test_an_incomplete_column_makes_no_error():
    one = generate(a_catalog(), seed=3, size=200)
    assert {c.truth for a in one.answers for c in a.claims if c.kind == "genre"} == {"unverifiable"}


def test_blank_values_are_no_facts():
    catalog = Catalog(
        Item(str(n), f"Film of {WORDS[n % 12]} {n}", attributes={"genres": ("unknown",)}) for n in range(99)
    )
    with pytest.raises(ValueError, match="answers of known truth need 40"):
        generate(catalog, seed=1, size=2)
    assert World(a_catalog(), "test", generator(1, "x")).vocabulary["genre"] == ("Comedy", "Western", "Drama", "War")


@pytest.mark.parametrize("size", [0, 3, -2])
def test_a_size_that_cannot_be_halved_is_refused(size):
    with pytest.raises(ValueError, match="even number"):
        generate(a_catalog(), seed=1, size=size)
