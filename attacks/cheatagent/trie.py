"""What an agent may write: the words of its vocabulary, and the titles of a catalogue as a tree of tokens.

A title is cut behind the first token that no other title shares, since the rest follows: two or three tokens name an
item. An end token behind every title keeps one that begins another apart from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Path = tuple[int, ...]


@dataclass
class Node:
    """A beginning that titles share.

    Attributes:
        leaves: how many items are reached through it.
        children: by token.
        item: id of the item that it names, where it names one.
    """

    leaves: int = 0
    children: dict[int, Node] = field(default_factory=dict)
    item: str | None = None


class TitleTrie:
    """The titles of a catalogue, cut where they are told apart.

    Args:
        titles: tokens of the title by item id. Of two items with the same title the first is kept.
        end: the token that ends a text.

    Attributes:
        paths: by item id, its tokens up to the cut.
        root: of the tree.
    """

    def __init__(self, titles: Mapping[str, Sequence[int]], end: int) -> None:
        whole: dict[Path, str] = {}
        for item, tokens in titles.items():
            whole.setdefault((*tokens, end), item)
        begins = Counter(path[:length] for path in whole for length in range(1, len(path) + 1))
        self.paths: dict[str, Path] = {}
        self.root = Node()
        for path, item in whole.items():
            cut = next((n for n in range(1, len(path)) if begins[path[:n]] == 1), len(path))
            self.paths[item] = path[:cut]
            node = self.root
            node.leaves += 1
            for token in path[:cut]:
                node = node.children.setdefault(token, Node())
                node.leaves += 1
            node.item = item

    def without(self, banned: Iterable[str]) -> Allowed:
        """The tree as it is for one user: some items may not be named."""
        blocked: Counter[Path] = Counter()
        for item in set(banned) & self.paths.keys():
            path = self.paths[item]
            blocked.update(path[:length] for length in range(len(path) + 1))
        return Allowed(self.root, blocked)


@dataclass(frozen=True)
class Allowed:
    """A tree of titles without some items.

    Attributes:
        root: of the whole tree.
        blocked: by beginning, how many of its items may not be named.
    """

    root: Node
    blocked: Mapping[Path, int]

    def after(self, path: Path) -> dict[int, Node]:
        """What may follow a beginning that may be written, by token."""
        node = self.root
        for token in path:
            node = node.children[token]
        return {t: child for t, child in node.children.items() if child.leaves > self.blocked.get((*path, t), 0)}


def words(pieces: Sequence[str], special: Iterable[int]) -> dict[int, str]:
    """The entries of a vocabulary that are words or parts of words: each single entry that decodes to something.

    Args:
        pieces: the decoding of every entry alone.
        special: entries that are no text.

    Returns:
        By token what it says, without the white space around; of several tokens that say the same, the first.
    """
    found: dict[int, str] = {}
    said: set[str] = set()
    banned = set(special)
    for token, piece in enumerate(pieces):
        word = piece.strip()
        # Half a character decodes to the replacement sign; line breaks and control characters are not printable.
        plain = word.isprintable() and not any(c.isspace() for c in word) and "\ufffd" not in word
        if token not in banned and word and plain and word not in said:
            said.add(word)
            found[token] = word
    return found
