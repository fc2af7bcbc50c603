"""What an agent may write."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from attacks.cheatagent.trie import TitleTrie, words

END = 99
titles = st.dictionaries(st.integers(0, 30).map(str), st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=12)


def reach(trie: TitleTrie, banned: set[str]) -> dict[str, tuple[int, ...]]:
    """Every item that can be written, by walking the tree."""
    allowed = trie.without(banned)
    found = {}
    open_ = [()]
    while open_:
        path = open_.pop()
        after = allowed.after(path)
        assert after or path == ()  # no dead end behind anything that may be written
        for token, node in after.items():
            if node.item is not None:
                found[node.item] = (*path, token)
            else:
                open_.append((*path, token))
    return found


@given(titles, st.sets(st.integers(0, 30).map(str)))
def test_every_title_that_is_allowed_can_be_written_and_no_other(told, banned) -> None:
    trie = TitleTrie(told, END)
    distinct = {}
    for item, tokens in told.items():
        distinct.setdefault(tuple(tokens), item)
    found = reach(trie, banned)
    assert set(found) == set(distinct.values()) - banned
    assert all(found[item] == trie.paths[item] for item in found)


@given(titles)
def test_titles_are_cut_at_the_first_token_that_tells_them_apart(told) -> None:
    trie = TitleTrie(told, END)
    whole = {item: (*told[item], END) for item in trie.paths}
    for item, path in trie.paths.items():
        assert whole[item][: len(path)] == path
        others = [w for other, w in whole.items() if other != item]
        assert not any(w[: len(path)] == path for w in others)
        if len(path) > 1:
            assert any(w[: len(path) - 1] == path[:-1] for w in others)


def test_one_title_is_named_by_its_first_token() -> None:
    assert TitleTrie({"a": [5, 6, 7]}, END).paths == {"a": (5,)}
    assert TitleTrie({"a": []}, END).paths == {"a": (END,)}
    assert reach(TitleTrie({"a": [5]}, END), {"a"}) == {}


def test_a_title_that_begins_another_ends() -> None:
    assert TitleTrie({"alien": [1], "aliens": [1, 2]}, END).paths == {"alien": (1, END), "aliens": (1, 2)}


def test_words_are_single_entries_that_say_something() -> None:
    pieces = ["</s>", " not", "not", "\n", " a b", "\ufffd", "\u200b", "{", "", "文", "\x07"]
    assert words(pieces, special=[0]) == {1: "not", 7: "{", 9: "文"}
    assert list(itertools.islice(words([], ()), 1)) == []
