"""The part `claims` on targets with flaws of known size and on their clean twins."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from claim_targets import REFUSAL, bare, false_years, history_reasons, picked, says, with_passages, world, written, year

from audit.modules.hallucination.claim_outcomes import ClaimReader
from audit.modules.hallucination.claim_trust import Trust
from audit.modules.hallucination.claims import Claims
from audit.modules.hallucination.module import INFO
from audit.stats import CheckerSample
from audit.target import Input
from audit.types import Answer, Passage

PART = Claims(answers=30, corrected=False)


def run(target, folder, part=PART, *, trust=None, passages=None):
    context = world(target, folder)
    if passages is not None:
        context = with_passages(context, passages)
    assert part.lacking(context) is None
    reader = ClaimReader.build(context, part.knowledge, part.rungs)
    output = part.conclude(context, reader, trust or Trust(), examples=2)
    assert {f.metric for f in output.findings} <= set(INFO.metrics)
    assert len({f.id for f in output.findings}) == len(output.findings)
    return output


def pick(output, metric, **params):
    [found] = [f for f in output.findings if f.metric == metric and dict(f.params) == {"part": "claims", **params}]
    return found


def user_of(case):
    return int(case.removeprefix("u").partition("/")[0])


def one_in_five(asked):
    return [int(asked.user.id) % 5 == n for n in range(5)]


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


# Passages -------------------------------------------------------------------------------------------------------------


def shifted(by):
    def passages(asked):
        return [Passage(f"item:{i.id}", f"{bare(i)} ({year(i) + by}). Genres: Drama.") for i in picked(asked, 2)]

    return passages


def test_faithful_to_wrong_passages_is_not_true(tmp_path):
    target = false_years(lambda _: [True, True])
    output = run(target, tmp_path, passages=shifted(20))
    assert pick(output, "passage_conflict_rate").estimate == 0.0
    assert pick(output, "contradicted_rate").estimate == 1.0
    assert pick(output, "ragas_faithfulness", reference="passages").estimate == 1.0
    assert pick(output, "deepeval_hallucination", reference="passages").estimate == 0.0


def test_true_against_wrong_passages_is_not_faithful(tmp_path):
    output = run(false_years(lambda _: [False, False]), tmp_path, passages=shifted(20))
    assert pick(output, "passage_conflict_rate").estimate == 1.0
    assert pick(output, "contradicted_rate").estimate == 0.0
    assert pick(output, "ragas_faithfulness", reference="passages").estimate == 0.0
    assert pick(output, "deepeval_hallucination", reference="passages").estimate == 1.0
    assert pick(output, "contradicted_answer_rate", kind="context").estimate == 1.0
    assert pick(output, "contradicted_answer_rate", kind="fact").estimate == 0.0


def test_without_passages_there_is_no_conflict_with_them(tmp_path):
    found = pick(run(false_years(one_in_five), tmp_path), "passage_conflict_rate")
    assert found.estimate is None
    assert found.reason == "no request holds passages"


def test_more_contexts_dilute_deepevals_score_and_not_ours(tmp_path):
    def passages(asked):
        return [Passage(f"item:{i.id}", f"{bare(i)} ({year(i)}).") for i in picked(asked, 5)]

    output = run(false_years(lambda _: [True]), tmp_path, passages=passages)
    assert pick(output, "passage_conflict_rate").estimate == 1.0
    assert pick(output, "deepeval_hallucination", reference="passages").estimate == pytest.approx(1 / 5)


# Whether the checker can be believed ----------------------------------------------------------------------------------


def test_the_rate_is_corrected_and_gates_are_handed_on(tmp_path):
    # Of 100 false claims 80 are found, of 100 others all pass: .2 as shown is .25 in truth.
    sample = CheckerSample.of([1] * 100, [1] * 80 + [0] * 20, [1] * 100, [1] * 100)
    trust = Trust(("the checker is bad",), sample, "")
    output = run(false_years(one_in_five), tmp_path, trust=trust)
    raw, corrected = pick(output, "contradicted_rate"), pick(output, "contradicted_rate", corrected=True)
    assert raw.estimate == pytest.approx(0.2)
    assert corrected.estimate == pytest.approx(0.25)
    assert corrected.ci[0] <= 0.25 <= corrected.ci[1]
    assert raw.unmet == corrected.unmet == ("the checker is bad",)
    assert "0.200 before the correction" in corrected.note


def test_a_hopeless_checker_corrects_nothing(tmp_path):
    sample = CheckerSample.of([1] * 50, [1] * 25 + [0] * 25, [1] * 50, [1] * 25 + [0] * 25)
    found = pick(
        run(false_years(one_in_five), tmp_path, trust=Trust((), sample, "")), "contradicted_rate", corrected=True
    )
    assert found.estimate is None
    assert "not good enough" in found.reason


def test_without_the_checkers_audit_nothing_is_corrected(tmp_path):
    found = pick(run(false_years(one_in_five), tmp_path), "contradicted_rate", corrected=True)
    assert found.estimate is None
    assert "corrected: false" in found.reason


# Evidence, options ----------------------------------------------------------------------------------------------------


def test_evidence_shows_the_claims_in_their_place(tmp_path):
    output = run(false_years(one_in_five), tmp_path)
    found = pick(output, "contradicted_rate")
    assert len(found.evidence) == 2
    one = next(e for e in output.evidence if e.id == found.evidence[0])
    assert Counter(mark.verdict for mark in one.claims) == {"supported": 4, "contradicted": 1}
    assert all(mark.decided_by == "structured" and mark.evidence for mark in one.claims)
    assert "4 supported, 1 contradicted and 0 unverifiable" in one.note


def test_without_free_text_there_is_nothing_to_ask(tmp_path):
    from helpers import Scripted

    assert "no free text" in (PART.lacking(world(Scripted(honours=frozenset({Input.HISTORY})), tmp_path)) or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"answers": 0}, "answers: 0 must be"),
        ({"answers": True}, "answers: True must be"),
        ({"gamma": 0}, "gamma: 0 must be"),
        ({"corrected": "yes"}, "corrected: 'yes' must be true or false"),
        ({"knowledge": "docs"}, "knowledge: 'docs' must be a mapping"),
        ({"knowledge": {"document": []}}, "did you mean 'documents'"),
        ({"knowledge": {"documents": "films.csv"}}, "must be a list of paths"),
        ({"knowledge": {"complete": "genres"}}, "must be a list of attributes"),
        ({"knowledge": {"encoder": 3}}, "knowledge.encoder: 3 must be"),
        ({"rungs": {"nil": "x"}}, "did you mean 'nli'"),
    ],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        Claims(**options)


def test_a_column_that_is_not_there_is_named_before_anything_is_asked(tmp_path):
    from audit.errors import ConfigError

    target = false_years(one_in_five)
    with pytest.raises(ConfigError, match=r"knowledge.complete: 'genre' is no attribute .*did you mean 'genres'"):
        Claims(knowledge={"complete": ["genre"]}).plan(world(target, tmp_path))
    assert target.asked == []
