"""Votes of copies: what is counted, what ties do, and what a failure is."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers import request
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import ConfigError
from audit.types import Answer, Ranked, Request, User
from defenses.smoothing.votes import Counting, Votes, answer, collect, mean_scores

SCORE = request(task="score", candidates=2)
RANK = request(candidates=5, k=2)


def scored(*scores: float) -> Answer:
    return Answer(tuple(Ranked(i.id, i.title, s) for i, s in zip(SCORE.candidates or (), scores, strict=True)))


def listed(*ids: str | None) -> Answer:
    return Answer(tuple(Ranked(i, str(i)) for i in ids))


REFUSED = Answer(outcome="refused", detail="no")


def test_yes_and_no_are_counted_apart_and_a_failure_is_a_vote_for_nobody() -> None:
    votes = collect(SCORE, [scored(0.9, 0.5), scored(0.7, 0.4), scored(0.1, 0.6), REFUSED, None])
    assert votes.yes.tolist() == [2, 1]
    assert votes.no.tolist() == [1, 2]
    assert (votes.n, votes.failures) == (5, 2)
    np.testing.assert_allclose(votes.mean, [1.7 / 3, 0.5])


def test_a_share_counts_votes_first_and_the_mean_orders_ties() -> None:
    weak = answer(SCORE, collect(SCORE, [scored(0.51, 0.9), scored(0.51, 0.0), scored(0.0, 0.0)]))
    first, second = (float(s or 0) for s in weak.scores)
    assert first > 0.5 > second  # two votes of three, against one with the higher mean
    even = answer(SCORE, collect(SCORE, [scored(0.9, 0.6), scored(0.4, 0.1)]))
    assert [s is not None and s > 0.5 for s in even.scores] == [True, False]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=9),
    st.sampled_from([0.5, 0.3, 0.75, 0.9]),
    st.integers(0, 3),
)
def test_the_score_is_on_the_side_of_the_decision(
    rows: list[tuple[float, float]], threshold: float, failures: int
) -> None:
    counting = Counting(threshold=threshold)
    votes = counting.votes(SCORE, [*(scored(*row) for row in rows), *[REFUSED] * failures])
    said = counting.answer(SCORE, votes)
    for score, yes, mean, said_yes in zip(said.scores, votes.yes, votes.mean, counting.decisions(votes), strict=True):
        assert score is not None
        assert 0 <= score <= 1
        share = Fraction(int(yes), len(rows))
        decision = share > Fraction(str(threshold)) or (share == Fraction(1, 2) == Fraction(str(threshold)) < mean)
        assert (score > 0.5) == decision == said_yes


def test_a_list_votes_for_each_item_on_offer_once() -> None:
    votes = collect(RANK, [listed("i4", "i4"), listed("nobody", "i5"), listed(None, "i4", "i6")])
    assert dict(zip(votes.items, votes.yes.tolist(), strict=True)) == {"i4": 2, "i5": 1, "i6": 0, "i7": 0, "i8": 0}
    # Borda among five candidates: rank 1 is worth 1, rank 2 three quarters.
    np.testing.assert_allclose(votes.values[:, 0], [1.0, 0.0, 0.75])


def test_reciprocal_ranks() -> None:
    votes = collect(RANK, [listed("i4", "i5")], places="rrf")
    np.testing.assert_allclose(votes.values[0], [1.0, 61 / 62, 0.0, 0.0, 0.0])


def test_a_ranking_goes_by_votes_then_places_then_id() -> None:
    answers = [listed("i5", "i4"), listed("i5", "i6"), listed("i4", "i6")]
    assert answer(RANK, collect(RANK, answers)).ids == ("i5", "i4")  # i6 has two votes too, at second places
    tied = [listed("i5", "i4"), listed("i4", "i5")]
    assert answer(RANK, collect(RANK, tied)).ids == ("i4", "i5")


def test_by_mean_places_count_more_than_votes() -> None:
    wide = request(candidates=5, k=3)
    answers = [listed("i4", "i5"), listed("i4", "i5"), listed("i6", None, "i5")]
    assert answer(wide, collect(wide, answers)).ids[0] == "i5"
    assert answer(wide, collect(wide, answers), rule="mean").ids[0] == "i4"


def test_a_list_is_no_longer_than_asked_and_holds_nothing_without_a_vote() -> None:
    assert answer(RANK, collect(RANK, [listed("i4"), listed("i4")])).ids == ("i4",)
    assert len(answer(RANK, collect(RANK, [listed("i4", "i5"), listed("i6", "i7")])).ranked) == 2


def test_depth_cuts_the_lists() -> None:
    asked = request(candidates=5, k=5)
    votes = Counting(depth=1).votes(asked, [listed("i4", "i5", "i6")])
    assert votes.yes.tolist() == [1, 0, 0, 0, 0]


def test_without_candidates_the_items_are_those_that_were_listed_and_not_in_the_history() -> None:
    asked = request(candidates=None, k=2)
    votes = collect(asked, [listed("i9", "i7"), listed(None, "i7"), listed("i2", "i7")])
    assert votes.items == ("i2", "i7", "i9")
    assert votes.yes.tolist() == [1, 3, 1]
    # The user has i2; a copy that lost it may list it all the same.
    assert answer(asked, votes).ids == ("i7", "i9")
    assert answer(replace(asked, user=User("u")), votes).ids == ("i7", "i2")


def test_scores_that_are_no_probabilities_are_averaged() -> None:
    asked = request(task="score", candidates=2)
    copies = [scored(-1.0, -4.0), None, scored(-3.0, -6.0)]
    assert mean_scores(asked, copies).scores == (-2.0, -5.0)
    assert mean_scores(asked, [None, Answer(outcome="refused", detail="no")]).outcome == "error"


@pytest.mark.parametrize("asked", [SCORE, RANK], ids=["score", "rank"])
def test_nothing_read_is_the_most_frequent_failure(asked: Request) -> None:
    error = Answer(outcome="error", detail="down")
    said = answer(asked, collect(asked, [error, REFUSED, REFUSED]))
    assert said.outcome == "refused"
    assert "none of 3 copies" in said.detail
    assert answer(asked, collect(asked, [])).outcome == "error"
    assert answer(asked, collect(asked, [None])).outcome == "error"


def test_an_empty_list_is_no_vote() -> None:
    votes: Votes = collect(RANK, [Answer(), listed("i4")])
    assert votes.failures == 1
    assert answer(RANK, collect(RANK, [Answer()])).outcome == "unparsable"


def test_lists_without_anything_on_offer() -> None:
    assert answer(RANK, collect(RANK, [listed("x", None)])).outcome == "unparsable"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rule": "median"}, "rule"),
        ({"places": "dowdall"}, "places"),
        ({"depth": 0}, "depth"),
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.0}, "threshold"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=f"defenses.ours.{named}"):
        Counting(**options).check("ours")  # type: ignore[arg-type]
