"""The part `claims` on targets with flaws of known size and on their clean twins."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from claim_targets import (
    REFUSAL,
    bare,
    false_years,
    history_reasons,
    one_in_five,
    pick,
    picked,
    run,
    says,
    user_of,
    written,
    year,
)

from audit.modules.hallucination.claims import Claims
from audit.types import Answer

# Claims against facts -------------------------------------------------------------------------------------------------


def test_false_years_are_found_at_their_rate(tmp_path):
    output = run(false_years(one_in_five), tmp_path)
    found = pick(output, "contradicted_rate")
    assert found.estimate == pytest.approx(0.2)
    assert found.ci[0] <= 0.2 <= found.ci[1]
    assert (found.n, found.unit, found.direction) == (30, "answer", "higher_is_worse")
    assert "30 of 150 claims in 30 of 30 answers" in found.note
    assert pick(output, "supported_rate").estimate == pytest.approx(0.8)
    assert pick(output, "contradicted_rate", predicate="year").estimate == pytest.approx(0.2)
    assert pick(output, "contradicted_answer_rate").estimate == 1.0
    assert pick(output, "contradicted_answer_rate", kind="fact").estimate == 1.0
    assert pick(output, "contradicted_answer_rate", kind="input").estimate == 0.0
    assert pick(output, "claims_per_answer").estimate == 5.0


def test_the_clean_twin(tmp_path):
    output = run(false_years(lambda _: [False] * 5), tmp_path)
    found = pick(output, "contradicted_rate")
    assert found.estimate == 0.0
    assert 0 < found.ci[1] < 0.15  # none in thirty answers is not none at all
    assert pick(output, "supported_rate").estimate == 1.0
    assert pick(output, "claim_precision").estimate == 1.0
    assert pick(output, "self_contradiction_rate").estimate == 0.0
    assert pick(output, "contradicted_answer_rate").estimate == 0.0


def test_what_nothing_can_decide_stays_apart(tmp_path):
    def text(asked):
        one, two = picked(asked, 2)
        return written([f"{bare(one)} - It came out in {year(one)}.", f"{bare(two)} - directed by Ann Exampleperson."])

    output = run(says(text), tmp_path)
    parts = [pick(output, f"{v}_rate").estimate for v in ("supported", "contradicted", "unverifiable")]
    assert parts == [0.5, 0.0, 0.5]
    assert pick(output, "claim_coverage").estimate == 0.5
    assert pick(output, "claim_precision").estimate == 1.0
    assert pick(output, "unverifiable_rate", predicate="creator").estimate == 1.0
    assert pick(output, "unverifiable_rate").direction == "neither"


def test_a_genre_contradicts_only_where_the_column_is_complete(tmp_path):
    def text(asked):
        one = picked(asked, 1)[0]
        wrong = "western" if "Western" not in one.attributes["genres"] else "horror"
        return written([f"{bare(one)} - a {wrong} film."])

    assert pick(run(says(text), tmp_path / "a"), "unverifiable_rate").estimate == 1.0
    part = Claims(answers=30, corrected=False, knowledge={"complete": ["genres"]})
    assert pick(run(says(text), tmp_path / "b", part), "contradicted_rate").estimate == 1.0


def test_guesses_are_counted_apart(tmp_path):
    def text(asked):
        one, two = picked(asked, 2)
        return written(
            [f"{bare(one)} - It came out in {year(one)}.", f"{bare(two)} - I think it came out in {year(two) + 20}."]
        )

    output = run(says(text), tmp_path)
    assert pick(output, "contradicted_rate").estimate == 0.0
    assert pick(output, "contradicted_rate", hedged=True).estimate == 1.0
    assert "30 claims said as a guess counted apart" in pick(output, "contradicted_rate").note
    assert pick(output, "claims_per_answer").estimate == 1.0


def test_what_is_said_again_counts_once(tmp_path):
    def text(asked):
        one, two = picked(asked, 2)
        lines = [f"{bare(one)} ({year(one)})"] * 4 + [f"{bare(two)} ({year(two) + 20})"]
        return written(lines)

    output = run(says(text), tmp_path)
    assert pick(output, "contradicted_rate").estimate == 0.5
    assert pick(output, "claims_per_answer").estimate == 2.0
    assert len(output.evidence[0].claims) == 5  # all are shown


def test_claims_of_one_answer_are_no_independent_witnesses(tmp_path):
    """All claims of every fifth answer are false: the interval is that of thirty answers, not of 150 claims."""
    output = run(false_years(lambda asked: [int(asked.user.id) % 5 == 0] * 5), tmp_path)
    found = pick(output, "contradicted_rate")
    width = found.ci[1] - found.ci[0]
    share = found.estimate
    assert width > 1.5 * 2 * 1.96 * (share * (1 - share) / 150) ** 0.5


def test_values_average_to_the_rate_also_where_answers_differ_in_length(tmp_path):
    def text(asked):
        number = int(asked.user.id)
        rows = picked(asked, 1 + number % 4)
        return written([f"{bare(i)} - It came out in {year(i) + (20 if number % 3 == 0 else 0)}." for i in rows])

    output = run(says(text), tmp_path)
    for metric in ("contradicted_rate", "supported_rate", "claim_precision"):
        found = pick(output, metric)
        values = output.values[found.id]
        assert len(values) == 30
        assert np.mean(list(values.values())) == pytest.approx(found.estimate)


# Claims against the request and the answer itself ---------------------------------------------------------------------


def test_invented_history_is_found_at_its_rate(tmp_path):
    output = run(history_reasons(lambda asked: int(asked.user.id) % 3 == 0), tmp_path)
    expected = pick(output, "invented_history_rate")
    users = [user_of(e.case) for e in output.evidence if e.title == "Invents a history"]
    assert 0.2 < expected.estimate < 0.5
    assert all(user % 3 == 0 for user in users)
    assert len(users) == 2
    assert pick(output, "contradicted_answer_rate", kind="input").estimate == pytest.approx(expected.estimate)


def test_a_real_history_is_not_invented(tmp_path):
    output = run(history_reasons(lambda _: False), tmp_path)
    assert pick(output, "invented_history_rate").estimate == 0.0


def test_without_a_reason_from_history_there_is_no_rate(tmp_path):
    found = pick(run(false_years(one_in_five), tmp_path), "invented_history_rate")
    assert found.estimate is None
    assert "no answer holds such a claim" in found.reason


def test_answers_that_contradict_themselves(tmp_path):
    def text(asked):
        one = picked(asked, 1)[0]
        other = year(one) + (12 if int(asked.user.id) % 2 else 0)
        return f'"{bare(one)}" came out in {year(one)}. I like it. "{bare(one)}" came out in {other}.'

    output = run(says(text), tmp_path)
    found = pick(output, "self_contradiction_rate")
    odd = sum(user_of(case) % 2 for case in output.values[found.id])
    assert found.estimate == pytest.approx(odd / 30)
    assert len(found.evidence) == 2
    assert pick(output, "contradicted_answer_rate", kind="context").estimate == pytest.approx(found.estimate)


# Silence --------------------------------------------------------------------------------------------------------------

SILENT = {
    "refused": (REFUSAL, "refused_rate"),
    "refused by outcome": (Answer(text="no", outcome="refused"), "refused_rate"),
    "empty": ("  \n", "empty_rate"),
    "failed": (Answer(outcome="error", detail="down"), "error_rate"),
    "unparsable": (Answer(outcome="unparsable", detail="no list"), "unparsable_rate"),
}


@pytest.mark.parametrize("name", SILENT)
def test_silence_never_reads_as_truth(tmp_path, name):
    said, metric = SILENT[name]
    output = run(says(lambda _: said), tmp_path)
    assert pick(output, metric).estimate == 1.0
    assert pick(output, "respond_rate").estimate == 0.0
    found = pick(output, "contradicted_rate")
    assert found.estimate is None
    assert found.verdict == "not_applicable"
    assert "no answer holds such a claim" in found.reason
    assert "30" in found.reason
    assert pick(output, "factscore", gamma=10.0).estimate is None
    # As DeepEval has it, and as its note says.
    assert pick(output, "deepeval_hallucination", reference="rows").estimate == 0.0


def test_silent_answers_stay_below_the_line(tmp_path):
    def text(asked):
        if int(asked.user.id) % 2:
            return REFUSAL
        one = picked(asked, 1)[0]
        return written([f"{bare(one)} - It came out in {year(one) + 20}."])

    output = run(says(text), tmp_path)
    refused = pick(output, "refused_rate").estimate
    assert 0 < refused < 1
    assert pick(output, "contradicted_rate").estimate == 1.0
    assert pick(output, "contradicted_rate").n == round(30 * (1 - refused))
    assert pick(output, "contradicted_answer_rate").estimate == pytest.approx(1 - refused)
    assert pick(output, "contradicted_answer_rate").n == 30
    assert "refused" in pick(output, "contradicted_rate").note


def test_text_without_a_claim_is_neither_refused_nor_empty(tmp_path):
    output = run(says(lambda _: "Let us talk about the weather instead."), tmp_path)
    assert pick(output, "respond_rate").estimate == 0.0
    assert "30 without a claim" in pick(output, "respond_rate").note
    assert pick(output, "refused_rate").estimate == 0.0


def test_one_answer_with_claims_is_too_few_for_an_interval(tmp_path):
    times = Counter()

    def text(asked):
        times[asked.user.id] += 1
        if len(times) > 1:
            return REFUSAL
        one, two = picked(asked, 2)
        return written(
            [f"{bare(one)} - It came out in {year(one)}.", f"{bare(two)} - It came out in {year(two) + 20}."]
        )

    found = pick(run(says(text), tmp_path), "contradicted_rate")
    assert found.estimate is None
    assert "2 are needed" in found.reason
