"""Universal triggers: the same words for all, the worst ones found, within the budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import Scripted, catalog, request
from white_box import Linear

from attacks.universal_trigger import UniversalTrigger
from audit.attack import Edits, Goal, Objective
from audit.edits import TextEdit, apply
from audit.target import Input, Insight
from audit.types import Catalog, Item, Request

WORDS = ("amber", "bridge", "castle", "desert", "empire", "forest", "garden", "harbor", "island", "journey")
SHOP = Catalog(Item(f"t{n}", f"The {word}") for n, word in enumerate(WORDS))
ANCHORS = [request(f"u{n}", instruction="Rank films", history=2 + n) for n in range(4)]
WEIGHTS = {word: 0.1 for word in WORDS} | {"island": -3.0, "castle": -1.0}
BLACK_BOX = {"reveals": frozenset({Insight.SCORES})}


def found(
    target: Scripted, budget: int, seed: int = 0, asked: list[Request] | None = None, **options: Any
) -> tuple[Edits, int]:
    anchors = ANCHORS if asked is None else asked
    attack = UniversalTrigger(options.pop("catalog", SHOP), **options)
    relevant = tuple(frozenset({r.candidates[0].id}) for r in anchors)  # type: ignore[index]
    edits, spent, _ = attack.universal(
        target, anchors, Objective(Goal.DEGRADE, relevant), budget * len(anchors), np.random.default_rng(seed)
    )
    assert spent <= budget * len(anchors)
    attack.info.threat_model.check(edits, spent)
    return edits, spent


def words(edits: Edits) -> list[str]:
    (edit,) = edits
    assert isinstance(edit, TextEdit)
    assert (edit.field, edit.start, edit.end) == ("instruction", 0, 0)
    assert edit.text.endswith(" ")
    return edit.text.split()


@pytest.mark.parametrize("seed", range(3))
def test_with_gradients_a_few_tries_find_the_worst_words(seed: int) -> None:
    assert words(found(Linear(WEIGHTS, {}), 12, seed=seed)[0]) == ["island"] * 3


def test_without_gradients_the_budget_finds_them_too() -> None:
    target = Linear(WEIGHTS, {}, **BLACK_BOX)
    assert words(found(target, 60)[0]) == ["island"] * 3
    assert target.passes == 0
    few = words(found(Linear(WEIGHTS, {}, **BLACK_BOX), 4)[0])
    assert few.count("island") < 3


def test_it_works_for_users_it_was_not_sought_on() -> None:
    target = Linear(WEIGHTS, {})
    edits, _ = found(target, 12)
    held_out = request("stranger", instruction="Rank films", history=6)
    assert target.margin(apply(edits, held_out)) == pytest.approx(target.margin(held_out) - 9.0)


def test_a_trigger_of_one_word_and_a_vocabulary_of_one() -> None:
    assert words(found(Linear(WEIGHTS, {}), 4, words=1)[0]) == ["island"]
    lone = Catalog([Item("x", "Heat")])
    for info in ({}, BLACK_BOX):
        edits, spent = found(Linear({"Heat": -1.0}, {}, **info), 30, catalog=lone)
        assert words(edits) == ["Heat"] * 3
        assert spent == len(ANCHORS)  # there is nothing else to try
    assert found(Linear({}, {}), 5, catalog=Catalog([Item("x", "1984 ☃")]))[0] == ()


def test_the_note_is_used_where_there_is_no_instruction_to_write_into() -> None:
    def reads_note(asked: Request) -> Any:
        return Scripted().answer(asked)

    target = Scripted(reads_note, honours=frozenset({Input.NOTE}))
    (edit,) = found(target, 2)[0]
    assert isinstance(edit, TextEdit)
    assert edit.field == "note"
    deaf = Scripted(honours=frozenset({Input.HISTORY}))
    assert found(deaf, 2)[0] == ()
    assert "does not read instruction or note" in str(UniversalTrigger(SHOP).info.lacking(deaf.info, "rank"))


def test_a_budget_of_nothing_finds_nothing() -> None:
    assert found(Linear(WEIGHTS, {}), 0) == ((), 0)


@pytest.mark.parametrize("info", [{}, BLACK_BOX], ids=["white", "black"])
def test_deterministic(info: dict[str, Any]) -> None:
    assert found(Linear(WEIGHTS, {}, **info), 9, seed=5) == found(Linear(WEIGHTS, {}, **info), 9, seed=5)


def test_sizes_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="words: 0 must be at least 1"):
        UniversalTrigger(catalog(), words=0)
