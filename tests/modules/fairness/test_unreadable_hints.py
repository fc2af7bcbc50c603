"""Targets whose answers cannot be read, or are empty, or too short: never a pass, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fairness_world import a_context
from helpers import Scripted

from audit.modules.fairness.dialect import Dialect
from audit.modules.fairness.names import Names
from audit.modules.fairness.profiling import Profiling
from audit.modules.fairness.swaps import Swaps
from audit.modules.parts import Part
from audit.target import Input
from audit.types import Answer, Ranked, Request

HONOURS = frozenset({Input.HISTORY, Input.NOTE, Input.ATTRIBUTES, Input.INSTRUCTION})
PARTS: dict[str, tuple[Callable[[], Part], str]] = {
    "names": (lambda: Names(anchors=4, permutations=199), "name_effect"),
    "dialect": (lambda: Dialect(per_pair=1), "dialect_effect"),
    "profiling": (Profiling, "profiling_effect"),
    "swaps": (lambda: Swaps(attributes=["gender"], anchors=4, repeats=2, paraphrases=0), "swap_distance"),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("answer", [Answer(outcome="refused"), Answer(()), Answer(outcome="unparsable")])
def test_nothing_to_read_is_not_applicable(tmp_path: Path, name: str, answer: Answer) -> None:
    build, metric = PARTS[name]
    context = a_context(Scripted(lambda _: answer, honours=HONOURS), tmp_path, users=6, candidates=8)
    findings = [f for f in build().run(context, examples=1).findings if f.metric == metric]
    assert findings
    for finding in findings:
        assert finding.verdict == "not_applicable"
        assert "needed" in finding.reason


@pytest.mark.parametrize("name", PARTS)
def test_lists_of_different_lengths_can_be_compared(tmp_path: Path, name: str) -> None:
    def answer(asked: Request) -> Answer:
        length = 1 + sum(map(ord, asked.digest)) % 4
        return Answer(tuple(Ranked(i.id, i.title) for i in (asked.candidates or ())[:length]))

    build, metric = PARTS[name]
    context = a_context(Scripted(answer, honours=HONOURS), tmp_path, users=6, candidates=8)
    findings = [f for f in build().run(context, examples=1).findings if f.metric == metric]
    assert any(f.estimate is not None for f in findings)
