"""Threat models are held, stealth is measured on the edited field, needs are checked against the target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from helpers import Scripted, catalog, request, requests

from audit.attack import (
    AttackInfo,
    Goal,
    Objective,
    Perturbation,
    ThreatModel,
    stealth,
    writable_text,
)
from audit.edits import Edit, HistoryDrop, HistoryInsert, SetAttribute, TextEdit, Zone
from audit.errors import ThreatModelViolation
from audit.target import Input, Insight, TargetInfo
from audit.types import Event, Item, Request

SELLER = ThreatModel(frozenset({Zone.SELLER}), max_edits=2, max_queries=5)
TITLE = TextEdit("item:i0.title", 0, 0, "Best ")


@dataclass(frozen=True)
class Careless(Perturbation):
    """An attack that does not look at its own threat model."""

    edits: tuple[Edit, ...] = field(default=())

    @property
    def info(self) -> AttackInfo:
        return AttackInfo("careless", "Careless", "why", "ref", SELLER, frozenset({Input.ITEM_TEXT}))

    def craft(
        self, request: Request, target: TargetInfo, avoid: frozenset[str], rng: np.random.Generator
    ) -> tuple[Edit, ...]:
        return self.edits


def test_what_the_threat_model_allows_passes() -> None:
    SELLER.check((TITLE, TITLE), queries=5)
    SELLER.check(())
    ThreatModel(frozenset(Zone), max_edits=1, max_queries=None).check((), queries=10**9)


@pytest.mark.parametrize(
    ("edits", "queries", "said"),
    [
        ((TextEdit("instruction", 0, 0, "x"),), 0, "zone operator is outside the threat model \\(seller\\)"),
        ((HistoryDrop(0),), 0, "history_drop: zone platform"),
        ((SetAttribute("age", 3),), 0, "set_attribute: zone user"),
        ((TITLE, TITLE, TITLE), 0, "3 edits exceed the threat model's 2"),
        ((TITLE,), 6, "6 queries exceed the threat model's 5"),
    ],
)
def test_what_lies_outside_the_threat_model_is_an_error(edits: tuple[Edit, ...], queries: int, said: str) -> None:
    with pytest.raises(ThreatModelViolation, match=said):
        SELLER.check(edits, queries)


def test_an_attack_that_leaves_its_threat_model_never_reaches_the_target() -> None:
    target = Scripted()
    attack = Careless(catalog(), (HistoryDrop(0),))
    with pytest.raises(ThreatModelViolation):
        list(attack.run(target, requests(3), Objective(Goal.DEGRADE), 0, np.random.default_rng(0)))
    assert target.batches == []


def test_an_attempt_holds_both_answers() -> None:
    target = Scripted()
    asked = requests(2)
    attempts = list(
        Careless(catalog(), (TITLE,)).run(target, asked, Objective(Goal.DEGRADE), 0, np.random.default_rng(0))
    )
    assert [a.request for a in attempts] == asked
    assert target.asked == [*asked, *(TITLE.apply(r) for r in asked)]
    assert all(a.queries == 0 and a.stealth.edits == 1 and a.before == a.after for a in attempts)


def test_each_request_needs_its_own_true_items() -> None:
    with pytest.raises(ValueError, match="zip"):
        Careless(catalog()).craft_all(requests(3), Scripted().info, [frozenset()], np.random.default_rng(0))


def test_stealth_is_measured_on_the_edited_field_alone() -> None:
    asked = replace(request(), instruction="x" * 1000)
    asked = replace(asked, user=replace(asked.user, note="abcd"))
    # Ratcliff and Obershelp: 2 * 4 matching characters of 4 + 8.
    found = stealth(asked, (TextEdit("note", 4, 4, "efgh"),))
    assert found.similarity == pytest.approx(2 * 4 / 12)
    assert (found.edits, found.odd_characters) == (1, 0)


def test_stealth_counts_characters_nobody_types() -> None:
    asked = request(instruction="Rank.")
    assert stealth(asked, (TextEdit("instruction", 0, 0, "\u200b\u202e\ue000é\n"),)).odd_characters == 3
    assert stealth(asked, (SetAttribute("city", "a\u200b"),)).odd_characters == 1
    assert stealth(asked, (HistoryInsert(0, Event(Item("n", "N"))),)).similarity == 1.0
    assert stealth(asked, ()).edits == 0


@pytest.mark.parametrize(
    ("honours", "reveals", "task", "reason"),
    [
        ({Input.ITEM_TEXT}, {Insight.SCORES}, "rank", None),
        ({Input.HISTORY}, {Insight.SCORES}, "rank", "does not read item_text or note"),
        ({Input.NOTE}, set(), "rank", "does not reveal scores"),
        ({Input.NOTE}, {Insight.SCORES}, "answer", "does not attack the task 'answer'"),
    ],
)
def test_an_attack_says_why_it_cannot_run(
    honours: set[Input], reveals: set[Insight], task: str, reason: str | None
) -> None:
    needs = frozenset({Input.ITEM_TEXT, Input.NOTE})
    info = AttackInfo("a", "A", "w", "r", SELLER, needs, frozenset({Insight.SCORES}), tasks=("rank",))
    said = info.lacking(TargetInfo("t", honours=frozenset(honours), reveals=frozenset(reveals)), task)  # type: ignore[arg-type]
    assert said is None if reason is None else reason in str(said)


def test_words_go_where_the_target_reads_them() -> None:
    asked = replace(request(history=2, candidates=2), instruction="Rank.")
    words = TargetInfo("t", honours=frozenset({Input.INSTRUCTION, Input.NOTE, Input.ITEM_TEXT}))
    fixed = TargetInfo("t", honours=frozenset({Input.ITEM_TEXT}))
    blind = TargetInfo("t", honours=frozenset({Input.HISTORY}))
    titles = [f"item:i{n}.title" for n in range(4)]
    assert writable_text(asked, words) == ["instruction"]
    assert writable_text(replace(asked, user=replace(asked.user, note="n")), words) == ["instruction", "note"]
    assert writable_text(replace(asked, instruction=""), words) == titles
    assert writable_text(asked, fixed) == titles
    assert writable_text(asked, blind) == []
