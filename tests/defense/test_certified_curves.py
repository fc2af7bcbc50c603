"""Certified quality by radius: right and certified, and nobody left out."""

from __future__ import annotations

import pytest

from audit.defense import Certificate, Claim
from audit.defense.certificate import Statement
from audit.defense.curves import certified_accuracy, certified_hits, certified_overlap, coverage, holds
from audit.types import Answer


def claim(item: str, statement: Statement, substitution: int, insertion: int | None = None) -> Claim:
    radius = {"substitution": substitution} | ({} if insertion is None else {"insertion": insertion})
    return Claim(item, statement, radius, 9, 0.9)  # type: ignore[arg-type]


def certificate(*claims: Claim, reason: str = "") -> Certificate:
    return Certificate("d", Answer(), claims, reason=reason)


YES_NO = [
    certificate(claim("a", "yes", 2), claim("b", "no", 0), claim("c", "yes", -1)),
    certificate(reason="1 history item is fewer than 2"),
]
LABELS = [{"a": True, "b": True, "c": True}, {"a": True}]


@pytest.mark.parametrize(("radius", "accuracy"), [(0, 1 / 3), (2, 1 / 3), (3, 0.0)])
def test_a_decision_counts_if_it_is_right_and_certified(radius: int, accuracy: float) -> None:
    assert certified_accuracy(YES_NO, LABELS, "substitution", radius) == [pytest.approx(accuracy), 0.0]


def test_a_certified_decision_that_is_wrong_does_not_count() -> None:
    right = [{"a": False, "b": False, "c": True}, {"a": True}]
    # `b` is a no, certified as it stands; `a` is certified and wrong; `c` is right and not certified.
    assert certified_accuracy(YES_NO, right, "substitution", 0) == [pytest.approx(1 / 3), 0.0]


def test_requests_that_are_not_covered_stay_in() -> None:
    assert coverage(YES_NO) == 0.5
    assert coverage([]) == 0.0
    assert certified_accuracy(YES_NO[1:], LABELS[1:], "substitution", 0) == [0.0]


def test_a_kind_that_the_kernel_does_not_cover_is_not_certified() -> None:
    assert not holds(claim("a", "yes", 3), "insertion", 0)
    assert holds(claim("a", "yes", 0, 2), "insertion", 2)
    assert certified_accuracy(YES_NO, LABELS, "insertion", 0) == [0.0, 0.0]


def test_lists() -> None:
    lists = [
        certificate(claim("a", "in_top_k", 2), claim("b", "in_top_k", 0), claim("c", "not_in_top_k", 5)),
        certificate(claim("c", "in_top_k", 1)),
    ]
    assert certified_overlap(lists, 2, "substitution", 0) == [1.0, 0.5]
    assert certified_overlap(lists, 2, "substitution", 1) == [0.5, 0.5]
    assert certified_hits(lists, [{"b"}, {"c", "x"}], "substitution", 0) == [1.0, 1.0]
    assert certified_hits(lists, [{"b"}, {"c"}], "substitution", 1) == [0.0, 1.0]
    # An item that cannot be pushed in is no item of the list.
    assert certified_hits(lists, [{"c"}, set()], "substitution", 0) == [0.0, 0.0]


def test_what_cannot_be_computed_is_said() -> None:
    with pytest.raises(ValueError, match="labels"):
        certified_accuracy(YES_NO[:1], [{}], "substitution", 0)
    with pytest.raises(ValueError, match="k: 0"):
        certified_overlap(YES_NO, 0, "substitution", 0)
