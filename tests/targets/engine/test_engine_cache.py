"""The cache of prefixes: bounded, and never mistaken."""

from __future__ import annotations

import torch

from audit.targets.engine.cache import Block, BlockCache


def block(*tokens) -> Block:
    return Block(tokens, torch.zeros(10, dtype=torch.float32))


def test_blocks_are_known_by_what_stands_before_them():
    cache = BlockCache(1000)
    first, second = block(1), block(2)
    cache.put([first, second])
    assert cache.find(None, (1,)) is first
    assert cache.find(first, (2,)) is second
    assert cache.find(None, (2,)) is None
    assert (cache.stats.hits, cache.stats.misses, cache.stats.bytes) == (2, 1, 80)


def test_the_least_recently_used_go_first_and_children_before_parents():
    cache = BlockCache(120)
    root, old, new = block(0), block(1), block(2)
    cache.put([root, old])
    cache.put([root, new])
    cache.put([block(9)])
    assert cache.find(root, (1,)) is None
    assert cache.find(root, (2,)) is new
    assert cache.find(None, (0,)) is root
    assert cache.stats.dropped == 1
    assert cache.stats.bytes == 120


def test_a_child_of_a_dropped_parent_is_not_found_behind_its_successor():
    cache = BlockCache(1000)
    parent, child = block(1), block(2)
    cache.put([parent, child])
    cache.clear()
    again = block(1)
    cache.put([again])
    assert cache.find(again, (2,)) is None


def test_no_bytes_hold_nothing():
    cache = BlockCache(0)
    cache.put([block(1)])
    assert len(cache) == 0
