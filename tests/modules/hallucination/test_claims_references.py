"""The part `claims` beside the catalogue: passages, the user's documents, the checker's own errors, options."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from claim_targets import PART, bare, false_years, one_in_five, pick, picked, run, says, written, year
from helpers import Scripted
from part_world import a_context, small_world

from audit.claims import Ruling
from audit.claims.verification.reading import texts
from audit.errors import ConfigError
from audit.knowledge import Document, KnowledgeBase
from audit.modules.hallucination.claim_outcomes import ClaimReader
from audit.modules.hallucination.claim_trust import Trust
from audit.modules.hallucination.claims import Claims
from audit.modules.hallucination.module import Hallucination
from audit.stats import CheckerSample
from audit.target import Input
from audit.types import Passage

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
    assert "no free text" in (PART.lacking(a_context(Scripted(honours=frozenset({Input.HISTORY})), tmp_path)) or "")


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
    target = false_years(one_in_five)
    with pytest.raises(ConfigError, match=r"knowledge.complete: 'genre' is no attribute .*did you mean 'genres'"):
        Claims(knowledge={"complete": ["genre"]}).plan(a_context(target, tmp_path))
    assert target.asked == []


# Documents and further rungs ------------------------------------------------------------------------------------------


class Reads:
    """A rung that decides by the user's documents: supported where one of them holds the object."""

    name = "nli"

    def rule(self, claims, facts):
        return [self._rule(claim, facts) for claim in claims]

    def _rule(self, claim, facts):
        found = next((d for d in texts(claim, facts) if claim.object in d.text and d.id.startswith("mine")), None)
        return None if found is None else Ruling(claim, "supported", "nli", found.text, found.id)


def test_the_users_documents_decide_what_the_catalogue_cannot(tmp_path):
    catalog = small_world().catalog
    items = catalog.items_in_order
    about = [
        Document(f"mine{n}", f"{bare(i)} was directed by Ann Exampleperson.", i.id) for n, i in enumerate(items[::2])
    ]
    base = KnowledgeBase.build(catalog, about, dense=False)
    target = says(lambda asked: written([f"{bare(i)} - directed by Ann Exampleperson." for i in picked(asked, 4)]))
    context = a_context(target, tmp_path)
    output = PART.conclude(context, ClaimReader.of(catalog, [Reads()], base=base), Trust(), examples=1)
    documented = {d.item_id for d in about}
    expected = np.mean([[i.id in documented for i in picked(case.request, 4)] for case in context.cases])
    assert 0 < expected < 1
    found = pick(output, "supported_rate")
    assert found.estimate == pytest.approx(expected)
    assert pick(output, "unverifiable_rate").estimate == pytest.approx(1 - expected)
    assert "no passage was found about" in pick(output, "unverifiable_rate").note
    assert any(mark.source.startswith("mine") for e in output.evidence for mark in e.claims)


def test_documents_are_read_only_where_a_rung_reads_them(tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("# Films\n\nAll are good.\n")
    context = a_context(false_years(one_in_five), tmp_path)
    assert ClaimReader.build(context, {"documents": [str(notes)]}, None).base is None


def test_a_document_that_is_not_there_is_named_before_anything_is_asked(tmp_path):
    target = false_years(one_in_five)
    with pytest.raises(ConfigError, match=r"knowledge.documents: there is no file or folder '.*films.csv'"):
        Claims(knowledge={"documents": [str(tmp_path / "films.csv")]}).plan(a_context(target, tmp_path))
    assert target.asked == []


def test_options_of_the_module_reach_the_part(tmp_path):
    claims = {"corrected": False, "gamma": 3}
    module = Hallucination(
        answers=4, checker=False, items=False, claims=claims, knowledge={"complete": ["genres"]}, examples=1
    )
    target = false_years(lambda _: [True])
    context = a_context(target, tmp_path)
    output = module.run(context)
    assert len(module.plan(context)) == len(target.asked) == 4
    assert pick(output, "factscore", gamma=3).estimate == 0.0
    assert pick(output, "contradicted_rate").n == 4
    with pytest.raises(ConfigError, match=r"claims.gama: no option has this name; did you mean 'gamma'"):
        Hallucination(checker=False, items=False, claims={"gama": 3})


@pytest.mark.parametrize("extra", ["", " <img src=x onerror=alert(1)>", " \x1b[0K", " **[x](javascript:y)**"])
def test_markup_in_an_answer_is_text(tmp_path, extra):
    target = says(lambda asked: written([f"{bare(i)} - It came out in {year(i)}.{extra}" for i in picked(asked, 2)]))
    output = run(target, tmp_path)
    assert pick(output, "supported_rate").estimate == 1.0
    assert pick(output, "claims_per_answer").estimate == 2.0
