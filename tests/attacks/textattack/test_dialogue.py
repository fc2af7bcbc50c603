"""Searches that call and wait, as generators: strictly in turn, unwound when given up, with streams of their own."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from attacks.textattack.dialogue import Ask, dialogue
from attacks.textattack.dice import Dice


def test_questions_are_yielded_and_answers_come_back() -> None:
    seen: list[list[float]] = []

    def work(ask: Ask[str]) -> None:
        seen.extend([ask("first"), ask("second")])

    talk = dialogue(work, nullcontext)
    assert talk.send(None) == "first"
    assert talk.send([1.0]) == "second"
    with pytest.raises(StopIteration):
        talk.send([2.0, 3.0])
    assert seen == [[1.0], [2.0, 3.0]]


def test_two_searches_take_turns() -> None:
    order = []

    def work(name: str) -> object:
        def run(ask: Ask[str]) -> None:
            for at in range(2):
                order.append(f"{name}{at}")
                ask(name)

        return run

    talks = [dialogue(work("a"), nullcontext), dialogue(work("b"), nullcontext)]  # type: ignore[arg-type]
    for answer in (None, [0.0]):
        for talk in talks:
            talk.send(answer)
    assert order == ["a0", "b0", "a1", "b1"]


def test_a_search_that_is_given_up_is_unwound() -> None:
    left = []

    def work(ask: Ask[str]) -> None:
        try:
            while True:
                ask("more")
        finally:
            left.append("unwound")

    talk = dialogue(work, nullcontext)
    talk.send(None)
    talk.close()
    assert left == ["unwound"]
    abandoned = dialogue(work, nullcontext)
    abandoned.send(None)
    del abandoned
    assert left == ["unwound"] * 2


def test_what_a_search_raises_reaches_the_one_who_asked() -> None:
    def work(ask: Ask[str]) -> None:
        ask("first")
        raise ZeroDivisionError("inside")

    talk = dialogue(work, nullcontext)
    talk.send(None)
    with pytest.raises(ZeroDivisionError, match="inside"):
        talk.send([0.0])


def test_a_search_has_streams_of_its_own_in_the_global_generators() -> None:
    import random

    def draw(dice: Dice) -> list[float]:
        with dice.rolled():
            return [random.random(), float(np.random.random_sample())]

    def before() -> tuple[object, bytes]:
        return random.getstate(), np.random.get_state()[1].tobytes()

    state = before()
    one, two = Dice(np.random.default_rng(1)), Dice(np.random.default_rng(2))
    mixed = [draw(one), draw(two), draw(one), draw(two)]
    assert before() == state
    again = Dice(np.random.default_rng(1))
    assert [draw(again), draw(again)] == mixed[::2]
    assert mixed[0] != mixed[1]
