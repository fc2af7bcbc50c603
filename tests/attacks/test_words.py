"""Typing slips, random words and the negation."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import catalog, request
from hypothesis import given
from hypothesis import strategies as st

from attacks.negation import Negation
from attacks.random_words import RandomWords
from attacks.typos import Typos
from audit.edits import TextEdit, apply
from audit.target import Input, TargetInfo
from audit.types import Catalog, Item

WORDS = TargetInfo("t", honours=frozenset({Input.INSTRUCTION, Input.NOTE}))
TITLES = TargetInfo("t", honours=frozenset({Input.ITEM_TEXT}))
NONE = frozenset[str]()


def edited(attack: Typos | RandomWords | Negation, text: str, seed: int = 0) -> str:
    asked = request(instruction=text)
    return apply(attack.craft(asked, WORDS, NONE, np.random.default_rng(seed)), asked).instruction


@given(st.from_regex(r"[^\W\d_]{4,12}", fullmatch=True), st.integers(0, 999))
def test_a_slip_changes_the_word_and_keeps_its_ends(word: str, seed: int) -> None:
    slipped = edited(Typos(catalog(), words=1), word, seed)
    assert slipped != word
    assert (slipped[0], slipped[-1]) == (word[0], word[-1])
    assert abs(len(slipped) - len(word)) <= 1


@pytest.mark.parametrize("word", ["aaaa", "AAAA", "noon", "éééé", "Кино", "مرحبا", "アニメ映画"])
def test_words_of_any_script_are_misspelled(word: str) -> None:
    seen = {edited(Typos(catalog(), words=1), word, seed) for seed in range(30)}
    assert word not in seen
    assert {(text[0], text[-1]) for text in seen} == {(word[0], word[-1])}


def test_as_many_words_are_misspelled_as_asked_for() -> None:
    text = "Please rank these films for a careful viewer"
    for seed in range(20):
        old, new = text.split(), edited(Typos(catalog(), words=3), text, seed).split()
        assert len(old) == len(new)
        assert sum(a != b for a, b in zip(old, new, strict=True)) == 3
    assert edited(Typos(catalog(), words=9), "Rank films for me") not in {"Rank films for me"}


def test_short_words_and_numbers_are_left_alone() -> None:
    assert edited(Typos(catalog()), "to be or 12345 not") == "to be or 12345 not"


def test_a_service_with_a_fixed_prompt_gets_its_titles_edited() -> None:
    asked = request(history=2, candidates=2, instruction="Rank.")
    for attack in (Typos(catalog()), RandomWords(catalog())):
        edits = attack.craft(asked, TITLES, NONE, np.random.default_rng(1))
        assert len(edits) == 3
        assert all(isinstance(e, TextEdit) and e.field.startswith("item:") for e in edits)


@given(st.text(max_size=30), st.integers(0, 99))
def test_random_words_only_add(text: str, seed: int) -> None:
    asked = replace(request(), instruction=text)
    edits = RandomWords(catalog()).craft(asked, WORDS, NONE, np.random.default_rng(seed))
    after = apply(edits, asked).instruction
    assert bool(edits) == bool(text)
    if text:
        added = [e.text for e in edits if isinstance(e, TextEdit)]
        assert len(added) == 3
        assert set(re.findall(r"\S+", " ".join(added))) <= {"Winter", "Garden", "Number"}
        assert len(after) == len(text) + sum(map(len, added))
        remaining = iter(after)
        assert all(character in remaining for character in text)


def test_a_catalogue_without_words_offers_none() -> None:
    numbers = Catalog([Item("1", "1984"), Item("2", "!!!")])
    assert edited(RandomWords(numbers), "Rank films.") == "Rank films."


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("Recommend ten films.", "Do not recommend ten films."),
        ("Please rank them.", "Please do not rank them."),
        ("The user will enjoy this film.", "The user will not enjoy this film."),
        ("Films for a {user}", "Not: Films for a {user}"),
        ("Will the user like it? Answer Yes or No.", "Will the user like it? Do not answer Yes or No."),
    ],
)
def test_one_not_turns_the_request(text: str, negated: str) -> None:
    assert edited(Negation(catalog()), text) == negated


def test_the_note_is_negated_where_no_instruction_is_read() -> None:
    asked = request(instruction="Rank.")
    asked = replace(asked, user=replace(asked.user, note="I would watch comedies"))
    notes = TargetInfo("t", honours=frozenset({Input.NOTE}))
    edits = Negation(catalog()).craft(asked, notes, NONE, np.random.default_rng(0))
    assert apply(edits, asked).user.note == "I would not watch comedies"
    assert apply(edits, asked).instruction == "Rank."


def test_without_any_words_there_is_nothing_to_negate() -> None:
    assert Negation(catalog()).craft(request(instruction=" \n"), WORDS, NONE, np.random.default_rng(0)) == ()
    assert Negation(catalog()).craft(request(instruction="Rank."), TITLES, NONE, np.random.default_rng(0)) == ()


@pytest.mark.parametrize("attack", [Typos, RandomWords])
def test_no_word_at_all_is_refused(attack: type[Typos] | type[RandomWords]) -> None:
    with pytest.raises(ValueError, match="words: 0 must be at least 1"):
        attack(catalog(), words=0)
