"""What is erased: every subsequence that the mode names, each once."""

from __future__ import annotations

import itertools

import pytest

from defenses.erasures import MODES, Mode, count, erasures


def wanted(units: int, mode: Mode, most: int) -> set[tuple[int, ...]]:
    """By the definitions: all subsets of at most `most` positions, of which those are kept that the mode allows."""
    subsets = [s for size in range(min(most, units) + 1) for s in itertools.combinations(range(units), size)]
    if mode == "infusion":
        return set(subsets)
    blocks = [s for s in subsets if not s or s[-1] - s[0] + 1 == len(s)]
    return {s for s in blocks if not s or mode == "insertion" or s[-1] == units - 1}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("most", [1, 2, 3, 9])
@pytest.mark.parametrize("units", range(8))
def test_every_set_once_and_counted(units: int, most: int, mode: Mode) -> None:
    found = list(erasures(units, mode, most))
    assert len(found) == len(set(found)) == count(units, mode, most)
    assert set(found) == wanted(units, mode, most)
    assert found[0] == ()
    assert [len(s) for s in found] == sorted(len(s) for s in found)


def test_counts_of_the_paper() -> None:
    """Suffix: d + 1 checks. Insertion: about n d. Infusion: the sum of binomials."""
    assert count(100, "suffix", 20) == 21
    assert count(100, "insertion", 20) == 1 + sum(100 - i + 1 for i in range(1, 21))
    assert count(30, "infusion", 3) == 1 + 30 + 435 + 4060
    assert count(10**6, "infusion", 50) > 10**200  # counted, not listed
