"""Universal triggers, judged: on users on whom they were not sought, against a benign paraphrase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Scripted, gateway, new_run

from attacks.random_words import RandomWords
from attacks.universal_trigger import UniversalTrigger
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.modules.base import Context, Output
from audit.modules.report_card import ReportCard
from audit.modules.robustness.universal import is_universal, search_queries, universal
from audit.store import Store
from audit.target import Input, Insight
from audit.types import Answer, Case, Ranked, Request


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


class Brittle(Scripted):
    """Knows what comes next, until one word stands in the instruction."""

    def __init__(self, cases: list[Case], word: str | None = "Castle", **info: Any) -> None:
        self.truth = {case.unit: next(iter(case.relevant)) for case in cases}
        self.word = word
        super().__init__(
            self._rank,
            honours=frozenset({Input.INSTRUCTION}),
            reveals=frozenset({Insight.SCORES}),
            instructions={"rank": "Rank these films."},
            **info,
        )

    def _rank(self, asked: Request) -> Answer:
        upset = self.word is not None and self.word in asked.instruction.split()
        items = asked.candidates or ()
        scores = {
            i.id: 5.0 * (i.id == self.truth[asked.user.id]) * (-1 if upset else 1) - n for n, i in enumerate(items)
        }
        order = sorted(items, key=lambda i: -scores[i.id])[: asked.k]
        return Answer(tuple(Ranked(i.id, i.title, scores[i.id]) for i in order))


def cases_of(world: Dataset, users: int = 40) -> list[Case]:
    from dataclasses import replace

    cases = ranking_cases(world, users=users, k=2, candidates=6, rng=np.random.default_rng(0))
    return [replace(c, request=replace(c.request, instruction="Rank these films.")) for c in cases]


def judged(
    target: Scripted, cases: list[Case], world: Dataset, store: Store, run: str | None = None, **options: Any
) -> tuple[dict[str, Finding], Output]:
    context = Context(gateway(target, store, run or new_run(store)), world, "rank", cases, 7)
    card, output = ReportCard("robustness", 0.95), Output()
    attacks = {"universal-trigger": UniversalTrigger(world.catalog), "random-words": RandomWords(world.catalog)}
    assert [is_universal(attack) for attack in attacks.values()] == [True, False]
    universal(attacks, context, card, output, **options)
    return {f.metric: f for f in card.findings}, output


@pytest.mark.parametrize("labels", ["free", "known"])
def test_words_found_on_some_users_harm_the_others(labels: Any, world: Dataset, store: Store) -> None:
    cases = cases_of(world)
    target = Brittle(cases)
    found, output = judged(target, cases, world, store, budget=60, labels=labels)
    flips = found["flip_rate"]
    assert flips.estimate > 0.9  # type: ignore[operator]
    assert flips.floor == 0
    assert flips.p < 0.001  # type: ignore[operator]
    assert flips.n <= 40 - 8  # anchors are not judged
    assert (flips.params["anchors"], flips.params["budget"], flips.params["labels"]) == (8, 60, labels)
    assert "found with" in flips.title
    judged_cases = {case.id for case in cases[8:]}
    assert {piece.case for piece in output.evidence} <= judged_cases
    triggers = {edit.text for piece in output.evidence for edit in piece.edits}  # type: ignore[union-attr]
    (trigger,) = triggers
    assert "Castle" in trigger.split()
    assert found["edits"].estimate == 1


def test_the_search_keeps_to_its_budget_and_to_its_anchors(world: Dataset, store: Store) -> None:
    cases = cases_of(world)
    target = Brittle(cases, word=None)
    context = Context(gateway(target, store), world, "rank", cases, 7)
    judged(target, cases, world, store, budget=10)
    asked = [request.user.id for request in target.asked]
    assert len(asked) <= search_queries({"u": UniversalTrigger(world.catalog)}, context, budget=10)
    anchors = {case.unit for case in cases[:8]}
    for user in set(asked) - anchors:
        assert asked.count(user) <= 3  # clean, paraphrase, trigger
    assert all(asked.count(user) == 1 + 10 for user in anchors)


def test_nothing_is_found_on_a_target_that_ignores_its_instruction(world: Dataset, store: Store) -> None:
    cases = cases_of(world)
    found, _ = judged(Brittle(cases, word=None), cases, world, store, budget=20)
    assert found["flip_rate"].estimate == 0
    assert found["ndcg_drop"].effect == 0


def test_a_resumed_run_does_not_search_again(world: Dataset, store: Store) -> None:
    cases = cases_of(world)
    run = new_run(store)
    first = Brittle(cases, fingerprint="b")
    found, _ = judged(first, cases, world, store, run, budget=20)
    again = Brittle(cases, fingerprint="b")
    repeated, _ = judged(again, cases, world, store, run, budget=20)
    assert repeated == found
    assert again.asked == []


def test_too_few_users_and_targets_that_read_no_words(world: Dataset, store: Store) -> None:
    cases = cases_of(world)
    found, _ = judged(Brittle(cases), cases[:2], world, store)
    assert found["flip_rate"].verdict == "not_applicable"
    assert "2 users are too few" in found["flip_rate"].reason
    deaf, _ = judged(Scripted(honours=frozenset({Input.HISTORY})), cases, world, store)
    assert "does not read instruction or note" in deaf["flip_rate"].reason
