"""Plans: what is shared, what is seen, what is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.targets.engine.plan import BLOCK, Path, grow, in_order, total

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=2 * BLOCK + 7)


@given(TOKENS, st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=8), st.integers(4, 40))
def test_every_read_sees_exactly_its_own_sequence(prompt, tails, limit):
    paths = [Path([*prompt, *tail], len(prompt) - 1) for tail in tails]
    trees = grow(paths, limit=limit)
    found = []
    for tree in trees:
        trunk = [token for block in tree.blocks for token in block]
        for read in tree.reads:
            seen = tree.sees()[read].nonzero()[0]
            found.append([*trunk, *(tree.tokens[i - tree.trunk] for i in seen[tree.trunk :])])
            depths = [*range(tree.trunk), *(tree.depths[i - tree.trunk] for i in seen[tree.trunk :])]
            assert depths == list(range(len(depths)))
    assert found == [list(path.tokens[: i + 1]) for path in paths for i in range(path.first, len(path.tokens))]


def test_equal_beginnings_are_one_branch():
    tree = grow([Path([9, *rest], 0) for rest in ([1, 2, 3], [1, 2, 4], [1, 5], [1, 2, 3])])[0]
    assert tree.tokens == [9, 1, 2, 3, 4, 5]
    assert tree.counts == [4, 4, 3, 4]


def test_a_block_is_never_read():
    for length in range(1, 3 * BLOCK):
        tree = grow([Path.last(list(range(length)))])[0]
        assert tree.reads == [len(tree) - 1]
        assert 1 <= len(tree) <= BLOCK


def test_cutting_does_not_depend_on_other_requests():
    prompts = [[*range(n), 77] for n in (5, 40, 70)]
    together = [grow([Path.last(p)]) for p in prompts]
    assert together == [grow([Path.last(p)]) for p in prompts[::-1]][::-1]


def test_families_stay_together_and_the_longest_goes_first():
    a, b = [1] * BLOCK, [2] * BLOCK
    prompts = [[*a, 5], [*b, 5], [*a, *range(90)], [*b, 6]]
    order = in_order([grow([Path.last(p)])[0] for p in prompts])
    assert order == [0, 2, 1, 3]


def test_total_counts_shared_blocks_once():
    trees = [grow([Path.last([*[1] * BLOCK, *[n] * BLOCK, 5])])[0] for n in (2, 3)]
    assert total(trees) == 3 * BLOCK + 2
