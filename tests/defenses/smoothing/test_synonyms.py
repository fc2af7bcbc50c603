"""The table of synonyms: its two sets of words, where it comes from, and letter case."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import tiny_wordnet
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import AssetError, ConfigError
from defenses.smoothing import synonyms
from defenses.smoothing.synonyms import SynonymTable, case_of, from_file, from_mapping, from_wordnet, usable, written

CHAIN = [("ab", "bc"), ("bc", "cd"), ("cd", "de"), ("de", "ef")]
words = st.sampled_from(["aa", "bb", "cc", "dd", "ee", "ff", "gg"])
tables = st.builds(SynonymTable.of, st.lists(st.tuples(words, words), min_size=1, max_size=9), st.integers(2, 5))


def test_a_small_group_is_drawn_from_whole() -> None:
    table = SynonymTable.of(CHAIN, 8)
    assert table.synonyms["cd"] == {"bc", "de"}
    assert all(table.draws(word) == ("ab", "bc", "cd", "de", "ef") for word in table.synonyms)
    assert all(table.overlap(word) == 1 for word in table.synonyms)


def test_of_a_large_group_the_nearest_are_drawn_from() -> None:
    table = SynonymTable.of(CHAIN, 3)
    assert table.draws("cd") == ("bc", "cd", "de")
    assert table.draws("ab") == ("ab", "bc", "cd")
    assert table.draws("bc") == ("ab", "bc", "cd")  # the nearest first, then in alphabetical order
    assert table.draws("ef") == ("cd", "de", "ef")
    # Of bc, cd, de the set of bc has two, and that of de has bc, cd, de or cd, de, ef.
    assert table.overlap("cd") == Fraction(2, 3)
    assert table.overlap("ab") == 1


@given(tables)
def test_synonyms_are_symmetric_and_draw_from_sets_of_one_size(table: SynonymTable) -> None:
    for word, others in table.synonyms.items():
        drawn = table.draws(word)
        assert word in drawn
        assert len(drawn) == len(set(drawn)) <= table.largest
        assert word not in others
        for other in others:
            assert word in table.synonyms[other]
            assert len(table.draws(other)) == len(drawn)  # the theorem assumes it
        shared = [len(set(drawn) & set(table.draws(other))) for other in others]
        assert table.overlap(word) == Fraction(min(shared), len(drawn))


@pytest.mark.parametrize(
    ("word", "case"),
    [
        ("film", "lower"),
        ("Film", "title"),
        ("FILM", "upper"),
        ("McDonald", None),
        ("éclat", "lower"),
        ("Ночь", "title"),
    ],
)
def test_cases(word: str, case: str | None) -> None:
    assert case_of(word) == case
    if case is not None:
        assert written(word.lower(), case) == word


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1, max_size=6))
def test_a_usable_word_is_told_from_its_other_cases(word: str) -> None:
    low = word.lower()
    if usable(low):
        cases = ("lower", "title", "upper") if synonyms.is_cased(low) else ("lower",)
        assert [case_of(written(low, case)) for case in cases] == list(cases)
        assert {written(low, case).lower() for case in cases} == {low}


@pytest.mark.parametrize("word", ["a", "two words", "don't", "film2", "", "Film", "straße", "a\u0301b"])
def test_words_that_cannot_be_in_a_table(word: str) -> None:
    assert not usable(word)


def test_a_users_table_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"Film": ["movie", "picture"], "فيلم": ["شريط"]}), encoding="utf-8")
    table = from_file(file, 8, "here")
    assert table.synonyms["movie"] == {"film"}
    assert table.draws("movie") == ("film", "movie", "picture")
    assert table.draws("شريط") == ("شريط", "فيلم")


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({}, "no two words"),
        ({"film": []}, "no two words"),
        ({"film": ["film"]}, "no two words"),
        ({"film": "movie"}, "must have a list"),
        ({"film": ["motion picture"]}, "'motion picture' must be one word"),
        ({"{x}": ["film"]}, "'{x}' must be one word"),
        ({"film": [3]}, "3 must be one word"),
        ({"film": ["فيلم"]}, "cannot be paired"),
    ],
)
def test_tables_that_cannot_be_used(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_mapping(given_, 8, "defenses.safer.table")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        from_file(tmp_path / "none.json", 8, "here")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigError, match="one object"):
        from_file(tmp_path / "list.json", 8, "here")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        from_file(tmp_path / "bad.json", 8, "here")


def test_wordnet(tmp_path: Path) -> None:
    content = {
        "noun": [("movie", "film"), ("cinema", "film", "Paris", "paris"), ("user", "drug_user"), ("an", "ant")],
        "verb": [("rank", "grade", "order")],
        "adj": [("good", "well")],
        "adv": [("well", "good")],
    }
    folder = tiny_wordnet.write(tmp_path, content)
    table = from_wordnet(folder, 1, 8)
    # Film's first sense is the movie, names are left out, `well` is a function word, `an` is short.
    assert {frozenset({w, *o}) for w, o in table.synonyms.items()} == {
        frozenset({"movie", "film"}),
        frozenset({"rank", "grade", "order"}),
    } | {frozenset({"cinema", "paris"})}
    both = from_wordnet(folder, 2, 8)
    assert both.synonyms["film"] == {"movie", "cinema", "paris"}


def test_a_missing_wordnet_is_said(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="assets fetch wordnet"):
        from_wordnet(tmp_path, 1, 8)


def test_the_digest_is_of_the_content() -> None:
    forward = SynonymTable.of(CHAIN, 3)
    assert forward.digest == SynonymTable.of([(b, a) for a, b in reversed(CHAIN)], 3).digest
    others = [SynonymTable.of(CHAIN, 4), SynonymTable.of(CHAIN[:2], 3)]
    assert len({forward.digest, *(t.digest for t in others)}) == 3
