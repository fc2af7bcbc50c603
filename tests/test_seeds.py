"""Random streams depend on the seed and the names alone."""

from __future__ import annotations

from itertools import combinations

import pytest

from audit.seeds import generator


def draw(seed: int, *names: str) -> list[float]:
    return generator(seed, *names).random(4).tolist()


def test_the_same_seed_and_names_draw_the_same() -> None:
    assert draw(7, "cases") == draw(7, "cases")


def test_no_two_parts_share_a_stream() -> None:
    parts = [
        (7,),
        (8, "a"),
        (7, "a"),
        (7, "b"),
        (7, "a", "b"),
        (7, "b", "a"),
        (7, "a/b"),
        (7, "ab"),
        (7, "a\\", "b"),
        (7, "é"),
    ]
    for one, other in combinations(parts, 2):
        assert draw(one[0], *one[1:]) != draw(other[0], *other[1:])  # type: ignore[arg-type]


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        generator(-1, "a")
