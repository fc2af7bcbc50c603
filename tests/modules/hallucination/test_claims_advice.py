"""Answers that recommend a film and advise against it, planted in every third answer."""

from __future__ import annotations

import pytest
from claim_targets import bare, pick, picked, run, says, written

from audit.modules.hallucination.claims import Claims

PART = Claims(answers=30, corrected=False)


def advice(*, planted):
    def text(asked):
        films = [bare(item) for item in picked(asked, 3)]
        other = films[0] if planted and int(asked.user.id) % 3 == 0 else "musicals"
        return f"{written([f'{film} - a fine choice.' for film in films])}\n\nI would not recommend {other} to you."

    return says(text)


def test_contradictory_advice_is_found_at_its_rate_and_not_in_its_twin(tmp_path):
    found = pick(run(advice(planted=True), tmp_path, PART), "self_contradiction_rate")
    assert found.estimate == pytest.approx(1 / 3)
    assert pick(run(advice(planted=False), tmp_path / "clean", PART), "self_contradiction_rate").estimate == 0.0
