"""RecTextAttack: it finds the brittle words, keeps to the budget, and stays near the text it started from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_wordnet
from helpers import ODD_TITLES, Scripted, items, request
from rapidfuzz.distance import Levenshtein

from attacks.item_text.rectextattack import RecTextAttack
from attacks.item_text.words import facts_of, lookalikes, slips, synonyms
from audit.attack import Attempt, Edits, Goal, Objective, Step
from audit.edits import TextEdit, apply
from audit.errors import AssetError
from audit.target import Input
from audit.types import Answer, Catalog, Item, Ranked, Request

TARGET = Item("t", "Winter Garden at Night", "A quiet film.")
CATALOG = Catalog((*items(30), TARGET))


def asking(count: int) -> list[Request]:
    """Users who see the item among five others, each at another place."""
    made = []
    for n in range(count):
        shown = [*items(5, start=10)]
        shown.insert(n % 6, TARGET)
        made.append(Request(request(f"u{n}").user, candidates=tuple(shown), k=4))
    return made


def scored(score: Callable[[Item], float]) -> Scripted:
    """Ranks the candidates by a score, and shows the list alone."""

    def answer(asked: Request) -> Answer:
        ranked = sorted(asked.candidates or (), key=lambda item: -score(item))
        return Answer(tuple(Ranked(item.id, item.title) for item in ranked[: asked.k]))

    return Scripted(answer, honours=frozenset({Input.ITEM_TEXT}))


def hunted(
    target: Scripted, users: int = 4, budget: int = 400, seed: int = 0, **options: Any
) -> tuple[Edits, int, Sequence[Step]]:
    attack = RecTextAttack(CATALOG, **options)
    objective = Objective(Goal.PROMOTE, item_id="t")
    return attack.universal(target, asking(users), objective, budget, np.random.default_rng(seed))


def last_but(hidden: Callable[[str], bool]) -> Callable[[Item], float]:
    """The item is last, unless its title passes."""
    return lambda item: 1.0 if item.id == "t" and hidden(item.title) else 0.0 if item.id != "t" else -1.0


def test_the_word_that_holds_the_item_down_is_found_and_changed() -> None:
    def score(item: Item) -> float:
        # One of the item's words costs it everything, the others count a little.
        return -5.0 if "Garden" in item.title and item.id == "t" else 0.1 * (item.id == "t")

    edits, spent, trace = hunted(scored(score))
    assert spent <= 400
    (edit,) = edits
    assert isinstance(edit, TextEdit)
    assert edit.field == "item:t.title"
    assert "Garden" not in edit.text
    assert edit.text.split()[0] == "Winter"
    assert trace[-1].loss == pytest.approx(0.9 + 0.1)


def test_the_text_is_one_for_all_users_and_lifts_the_item_for_each() -> None:
    target = scored(last_but(lambda title: "Garden" not in title))
    edits, _, _ = hunted(target, users=6)
    for asked in asking(6):
        assert target.answer(apply(edits, asked)).ids[0] == "t"
        assert "t" not in target.answer(asked).ids


@pytest.mark.parametrize("least", [0.6, 0.8, 0.95])
def test_the_title_stays_similar_to_itself(least: float) -> None:
    target = scored(lambda item: len(item.title) % 7)
    edits, _, _ = hunted(target, similarity=least)
    tried = {c.title for asked in target.asked for c in asked.candidates or () if c.id == "t"}
    assert len(tried) > 3
    after = apply(edits, asking(1)[0])
    new = next(c.title for c in after.candidates or () if c.id == "t")
    assert Levenshtein.normalized_similarity(new, TARGET.title) >= least


@pytest.mark.parametrize("budget", [0, 1, 7, 40, 100])
def test_the_budget_holds(budget: int) -> None:
    target = scored(lambda item: len(item.title) % 7)
    edits, spent, _ = hunted(target, budget=budget)
    assert spent <= budget
    assert len(target.asked) - 4 <= budget  # the clean answers are not the search's
    if budget < 8:
        assert edits == ()


def test_a_target_that_ignores_the_text_is_left_as_it_was() -> None:
    edits, spent, _ = hunted(scored(lambda item: 0.0 if item.id == "t" else 1.0))
    assert edits == ()
    assert spent > 0


def test_words_of_what_is_shown_first_are_tried() -> None:
    shown = Catalog((Item("star", "Nebula"), TARGET, *items(4)))

    def score(item: Item) -> float:
        return 3.0 if item.id == "star" else 2.0 if "Nebula" in item.title else -1.0 if item.id == "t" else 0.0

    asked = [Request(request(f"u{n}").user, candidates=shown.items_in_order, k=3) for n in range(3)]
    attack = RecTextAttack(shown)
    objective = Objective(Goal.PROMOTE, item_id="t")
    edits, _, _ = attack.universal(scored(score), asked, objective, 300, np.random.default_rng(0))
    assert "Nebula" in edits[0].text  # type: ignore[union-attr]


def test_the_description_is_searched_too() -> None:
    target = scored(lambda item: -1.0 if "quiet" in item.text else 1.0 if item.id == "t" else 0.0)
    edits, _, _ = hunted(target)
    assert [e.field for e in edits] == ["item:t.text"]  # type: ignore[union-attr]


@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_titles_are_searched_and_put_back_exactly(title: str) -> None:
    odd = Item("odd", title)
    world = Catalog((odd, *items(8)))
    asked = [Request(request(f"u{n}").user, candidates=world.items_in_order, k=3) for n in range(2)]
    target = scored(lambda item: float(len(item.title)) if item.id == "odd" and item.title != title else 20.0)
    attack = RecTextAttack(world)
    objective = Objective(Goal.PROMOTE, item_id="odd")
    edits, _, _ = attack.universal(target, asked, objective, 300, np.random.default_rng(0))
    for edit in edits:
        assert edit.text != title  # type: ignore[union-attr]
    assert apply((), asked[0]) is asked[0]


def test_it_runs_for_each_user_on_its_own() -> None:
    target = scored(last_but(lambda title: "Garden" not in title))
    attempts = list(
        RecTextAttack(CATALOG).run(
            target, asking(3), Objective(Goal.PROMOTE, item_id="t"), 60, np.random.default_rng(0)
        )
    )
    assert all(isinstance(a, Attempt) and a.after.ids[0] == "t" for a in attempts)


def test_slips_keep_the_ends_and_short_words_are_left_alone() -> None:
    for seed in range(50):
        for slip in slips("Garden", np.random.default_rng(seed)):
            assert slip != "Garden"
            assert (slip[0], slip[-1]) == ("G", "n")
            assert abs(len(slip) - 6) <= 1
    assert slips("the", np.random.default_rng(0)) == []
    assert all(len(s) == 6 and s != "Garden" for s in lookalikes("Garden", np.random.default_rng(0)))


def test_facts_are_what_the_item_is_searched_by() -> None:
    assert facts_of(Item("a", "The Hidden Garden", attributes={"genres": ("Drama", "Film-Noir"), "year": 1955})) == [
        "Drama",
        "Film",
        "Noir",
    ]
    assert facts_of(Item("a", "The Hidden Garden")) == ["Hidden", "Garden"]


def test_synonyms_come_from_the_wordnet_that_is_named(tmp_path: Path) -> None:
    made = tiny_wordnet.write(tmp_path / "files")
    assert synonyms("good", str(made)) == ["well"]
    assert synonyms("rank", str(made)) == ["grade", "order"]
    assert synonyms("Movie", str(made)) == ["Film"]
    assert synonyms("unheard", str(made)) == []
    assert RecTextAttack(CATALOG, wordnet=str(made)).wordnet == str(made)


def test_a_folder_without_wordnet_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="holds no WordNet that can be read"):
        RecTextAttack(CATALOG, wordnet=str(tmp_path))


@pytest.mark.parametrize(("option", "value"), [("similarity", 1.0), ("similarity", -0.1), ("popular", -1)])
def test_wrong_options_are_named(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        RecTextAttack(CATALOG, **{option: value})
