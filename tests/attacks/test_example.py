"""The attack of the documentation is a good one: short, in its threat model, and as strong as looking everywhere."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers import Scripted, catalog, requests

from audit.attack import Goal, Objective
from audit.edits import HistoryDrop, apply
from audit.target import Insight
from audit.types import Answer, Ranked, Request

EXAMPLE = Path(__file__).parents[2] / "examples" / "greedy_eraser.py"


@pytest.fixture
def attack(monkeypatch: pytest.MonkeyPatch) -> type:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    from greedy_eraser import GreedyEraser

    yield GreedyEraser
    sys.modules.pop("greedy_eraser")


def test_it_fits_on_a_page() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 40


def test_it_erases_what_the_answer_rests_on(attack: type) -> None:
    weights = {"i0": 0.1, "i1": 3.0, "i2": 0.2, "i3": 2.0}

    def answer(asked: Request) -> Answer:
        support = sum(weights[e.item.id] for e in asked.user.history)
        items = asked.candidates or ()
        scores = [support if n == 0 else 1.0 - n for n, _ in enumerate(items)]
        order = sorted(range(len(items)), key=lambda n: -scores[n])[: asked.k]
        return Answer(tuple(Ranked(items[n].id, items[n].title, scores[n]) for n in order))

    target = Scripted(answer, reveals=frozenset({Insight.SCORES}))
    (asked,) = requests(1)
    objective = Objective(Goal.DEGRADE, (frozenset({"i4"}),))
    (attempt,) = attack(catalog()).run(target, [asked], objective, 50, np.random.default_rng(0))
    kept = [e.item.id for e in apply(attempt.edits, asked).user.history]
    best = min(combinations(weights, 2), key=lambda pair: weights[pair[0]] + weights[pair[1]])
    assert kept == list(best)
    assert attempt.queries == 4 + 3

    (short,) = attack(catalog()).run(target, [asked], objective, 4, np.random.default_rng(0))
    assert short.edits == (HistoryDrop(1),)
