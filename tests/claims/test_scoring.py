"""What is counted of a checker: a perfect one, a silent one, one that suspects everything, and others in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_injected import a_catalog

from audit.claims import Claim, Ruling
from audit.claims.benchmark.injected import generate
from audit.claims.benchmark.scoring import MISSED, VERDICTS, run_checker
from audit.types import Catalog, Item

BENCHMARK = generate(a_catalog(), seed=11, size=200, complete=("genres",))
PLANTED = {answer.text: answer for answer in BENCHMARK.answers}


def extract(text, request, grounder):
    """Everything that was planted, and where it stands."""
    answer = PLANTED[text]
    return [Claim(c.predicate, c.object, "", c.item_id, c.start, c.end, text, hedged=c.hedged) for c in answer.claims]


class Says:
    """A ladder that rules as a function of what was planted says."""

    def __init__(self, verdict):
        self.verdict = verdict

    def rule(self, claims, facts):
        planted = {(c.start, c.end): c for c in PLANTED[claims[0].sentence].claims} if claims else {}
        return [Ruling(claim, self.verdict(planted[claim.start, claim.end]), "structured") for claim in claims]


def truth(claim):
    return "supported" if claim.tolerated else claim.truth


def conflicts(claims):
    years: dict[str | None, set[str]] = {}
    for claim in claims:
        if claim.predicate == "year":
            years.setdefault(claim.item_id, set()).add(claim.object)
    return [one for one in years.values() if len(one) > 1]


def audit(verdict=truth, read=extract):
    return run_checker(BENCHMARK, read, Says(verdict), conflicts=conflicts)


def test_a_perfect_checker_makes_no_error():
    one = audit()
    assert one.planted == sum(len(answer.claims) for answer in BENCHMARK.answers)
    counts = one.confusion.sum(axis=0)
    assert counts.sum() == np.trace(counts[:, :3]) > 500
    assert [int(x.sum()) for x in one.contradicted()][1:] == [0, 0]
    assert not one.extra.any()
    titles = ("merged-title", "sequel", "subtitle", "typo", "alias")  # the matcher's, which is the real one
    assert all(read.caught for read in one.reads if read.answer.kind and read.answer.kind not in titles)
    assert not any(read.alarms for read in one.reads if not read.answer.kind)


def test_a_checker_that_reads_nothing_misses_everything_and_raises_no_alarm():
    one = audit(read=lambda *_: [])
    assert one.confusion.sum(axis=0)[:, :MISSED].sum() == 0
    true, false, missed = (int(x.sum()) for x in one.contradicted())
    assert (true, false) == (0, 0)
    assert missed > 40
    assert not any(read.alarms for read in one.reads if not read.answer.kind)


def test_a_checker_that_suspects_everything_finds_all_and_alarms_everywhere():
    one = audit(lambda _: "contradicted")
    true, false, missed = (int(x.sum()) for x in one.contradicted())
    assert missed == 0
    assert false > true > 40
    clean = [read for read in one.reads if not read.answer.kind and read.answer.claims]
    assert all(read.alarms for read in clean)
    # A planted change that is no error is held against the answer.
    assert all(read.accused for read in one.reads if read.answer.kind in ("year-1", "outside-fact"))


def test_precision_recall_and_f1_are_those_of_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    rng = np.random.default_rng(5)
    noisy: dict[int, str] = {}

    def verdict(claim):
        return noisy.setdefault(id(claim), truth(claim) if rng.random() < 0.8 else str(rng.choice(VERDICTS)))

    one = audit(verdict)
    pairs = [
        (claim.truth, ruling.verdict)
        for read in one.reads
        for claim, ruling in zip(read.answer.claims, read.matched, strict=True)
        if not claim.tolerated and ruling is not None
    ]
    real, said = zip(*pairs, strict=True)
    precision, recall, f1, _ = precision_recall_fscore_support(real, said, labels=["contradicted"], average=None)
    true, false, missed = (x.sum() for x in one.contradicted())
    assert true / (true + false) == pytest.approx(precision[0])
    assert true / (true + missed) == pytest.approx(recall[0])
    assert 2 * true / (2 * true + false + missed) == pytest.approx(f1[0])


def test_a_claim_that_nobody_planted_counts_against_the_checker():
    def more(text, request, grounder):
        return [*extract(text, request, grounder), Claim("price", "free", "", None, 0, 1, text)]

    class Suspicious(Says):
        def rule(self, claims, facts):
            return [Ruling(claims[-1], "contradicted", "nli"), *super().rule(claims[:-1], facts)]

    one = run_checker(BENCHMARK, more, Suspicious(truth))
    answers = [read for read in one.reads if len(read.rulings) > 1]
    assert one.extra.sum() == len(one.reads)
    assert all(read.alarms for read in answers)
    assert one.contradicted()[1].sum() == len(one.reads)


def test_a_claim_that_is_extracted_twice_counts_once():
    one = audit(read=lambda text, request, grounder: 2 * extract(text, request, grounder))
    assert np.array_equal(one.confusion, audit().confusion)
    assert not one.extra.any()


def test_a_title_near_an_item_is_left_out_of_what_was_decided():
    one = audit()
    near = one.existence[:, 1, 2].sum()
    low, high, decided = (sum(int(x.sum()) for x in one.invented(b)[::2]) for b in ("low", "high", "decided"))
    assert low == high == decided + near
    assert one.invented("high")[0].sum() == one.invented("low")[0].sum() + near


def test_a_softened_error_must_be_known_to_be_softened():
    def plain(text, request, grounder):
        return [replace(claim, hedged=False) for claim in extract(text, request, grounder)]

    kinds = [read for read in audit(read=plain).reads if read.answer.kind == "hedged"]
    assert kinds
    assert not any(read.caught for read in kinds)


def test_the_time_is_for_a_thousand_claims():
    one = audit()
    assert one.seconds_per_thousand == pytest.approx(1000 * one.seconds / one.planted)


def test_the_shipped_checker_reads_books_by_their_authors():
    from audit.claims.extraction.extract import extract as shipped
    from audit.claims.verification.conflicts import conflicts as clashes
    from audit.claims.verification.ladder import Ladder

    books = Catalog(
        Item(item.id, item.title.rpartition(" (")[0], attributes={
            "year": item.attributes["year"], "genres": item.attributes["genres"],
            "authors": (str(item.attributes["director"]),),
        })
        for item in a_catalog().values()
    )  # fmt: skip
    one = run_checker(
        generate(books, seed=2, size=300, complete=("genres", "authors"), noun="book"),
        shipped, Ladder(), conflicts=clashes,
    )  # fmt: skip
    kinds = [read for read in one.reads if read.answer.kind == "creator"]
    assert any("book was written by" in read.answer.text for read in one.reads)
    assert any('"author": "' in read.answer.text for read in one.reads)
    assert len(kinds) >= 5
    assert all(read.caught for read in kinds)
    assert not any(read.alarms for read in one.reads if not read.answer.kind)
