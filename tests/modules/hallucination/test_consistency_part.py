"""Consistency on targets whose items come and go at a known rate, and on their clean twins."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.modules.hallucination.consistency import Consistency
from audit.target import Input
from audit.types import Answer

FIXED = [item.title for item in small_world().catalog.items_in_order[:6]]
PART = Consistency(answers=12, samples=5)


def target(titles):
    """Writes the list that a function gives for the n-th time the same is asked."""
    times: Counter[str] = Counter()

    def answer(asked):
        turn = times[asked.digest]
        times[asked.digest] += 1
        given = titles(turn)
        if isinstance(given, Answer):
            return given
        return Answer(text="\n".join(f"{n}. {title}" for n, title in enumerate(given, start=1)))

    return Scripted(answer, tasks=("rank", "answer"), honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))


def found(tmp_path, titles, part=PART):
    context = a_context(target(titles), tmp_path)
    assert part.lacking(context) is None
    output = part.run(context, examples=2)
    return {f.metric: f for f in output.findings}, output


def test_invented_titles_that_change_are_found_at_their_rate_and_told_apart(tmp_path):
    findings, output = found(tmp_path, lambda turn: [*FIXED[:4], f"Zyxwv Quorble Vantage {'abcdefgh'[turn] * 9}"])
    one = findings["inconsistency"]
    assert one.estimate == pytest.approx(1 / 5)
    assert one.ci[0] <= 1 / 5 <= one.ci[1]
    assert one.n == 12
    assert "proxy" in one.note
    assert len(one.evidence) == len(output.evidence) == 2
    assert sum(output.values[one.id].values()) / 12 == pytest.approx(one.estimate)
    assert findings["consistency_auc"].estimate == 1.0


def test_the_clean_twin_only_changes_the_order(tmp_path):
    findings, _ = found(tmp_path, lambda turn: FIXED[turn:] + FIXED[:turn])
    assert findings["inconsistency"].estimate == 0.0
    assert findings["consistency_auc"].estimate is None


def test_a_falsehood_that_is_repeated_looks_consistent(tmp_path):
    findings, _ = found(tmp_path, lambda turn: ["Zyxwv Quorble Vantage", FIXED[turn]])
    assert findings["consistency_auc"].estimate == 0.0


def test_a_target_that_always_says_the_same_is_not_applicable(tmp_path):
    findings, _ = found(tmp_path, lambda _: FIXED)
    assert {f.estimate for f in findings.values()} == {None}
    assert "the same answer each time" in findings["inconsistency"].reason


def test_refused_samples_do_not_hold_the_item_and_are_counted(tmp_path):
    findings, _ = found(tmp_path, lambda turn: Answer(outcome="refused") if turn == 2 else FIXED)
    assert findings["inconsistency"].estimate == pytest.approx(1 / 5)
    assert "12 of 60 samples without a list" in findings["inconsistency"].note


def test_answers_without_a_list_are_said(tmp_path):
    findings, _ = found(tmp_path, lambda turn: FIXED if turn else Answer(outcome="refused"))
    assert findings["inconsistency"].estimate is None
    assert "0 of 12 answers hold a list" in findings["inconsistency"].reason


def test_without_free_text_there_is_nothing_to_ask(tmp_path):
    assert "no free text" in (PART.lacking(a_context(Scripted(), tmp_path)) or "")


@pytest.mark.parametrize("options", [{"samples": 0}, {"answers": 0}, {"samples": True}])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: .* at least 1"):
        Consistency(**options)
