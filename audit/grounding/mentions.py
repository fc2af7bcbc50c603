"""Catalogue titles named in running text.

A token trie over the normal forms, longest title first. A title that is an ordinary word (Up, Her, It, Heat) counts
only where the writing marks it as a title.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from audit.grounding.matcher import Match, Matcher
from audit.grounding.titles import ARTICLES_DROPPED, arabic, fold, split_words

COMMON_WORDS = frozenset(
    """
    a about above after again air alive all alone always an and angel angels another any apart are as ask at away baby
    back bad be beach beautiful beauty because been before being best better big birds black blood blow blue body bones
    book born both boy boys brave bread brother brothers but by call can candy care chance change child children
    circle city clean clear clue cold come contact cool could country crash crazy creation cry cure dance danger dark
    date day days dead deal death deep did do dog doubt down dream dreams drive duets each earth easy election end
    enough escape even ever every evil eye eyes face fair faith fall fame family fan far fast fate father
    fear few fever fire first fish five flight flow fly food for four free freedom fresh friday friend friends from
    frozen full fun game games ghost gift girl girls go gold gone good grace grand gravity great green grease had hair
    hand happiness happy hard has have he head hear heart heat heaven heavy hell help her here hero heroes high him his
    history hit home hook hope horse hot hour house how hunt i ice if in independence innocent inside into is
    it its jack joy juice jump just kids kill king kiss kitchen know ladies lady last later law leave left less letters
    liar lie life light like listen little live lone long look lord lost love luck m mad made magic man many mask master
    me memory men mercy milk mind miracle mission moment money monster moon more most mother mouth move movie
    much must my mystery name near never new next night nine no north nothing now of off old on once one only open or
    other our out over party past peace people perfect pig place play power powder precious president princess promise
    proof queen quest question quick quiet quiz rage rain ran ray ready real red rent rich ride right ring river
    road rock romance room run rush safe same saved saw scream sea search secret see seven sex shadow shadows she shine
    ship short show sign signs silence simple since singles sister six sky sleep slow small smoke snow so some son song
    soul sound south space speed spirit spy stand star stars start stay still stop storm story stranger street
    strong such suddenly sugar summer sun sunday sunshine super swing take taxi team tell ten than that the their them
    then there they thing things think this three time to today together tomorrow too top total touch toy toys
    traffic train trap trial trouble true trust truth twelve twenty two under until up us very vice
    violence virus vow wait walk wall war was watch water way we weekend well were west what when where which while
    white who why wild will wind winner winter wish with witness woman women wonder word words work world would year
    years yes yesterday you young your youth zero
    """.split()
)
"""Words that are titles in some catalogue and words of plain English in every text."""

SHORT_TOKEN = 3
"""A title of one token of at most this many characters needs a mark, whatever the word."""

_TOKEN = re.compile(r"\S+")
_YEAR_BEHIND = re.compile(r"[\s\"'”’*_]{0,4}[\(\[]((?:18|19|20)\d\d)[\)\]]")
_OPENERS = "\"“”„«*_'‘`「『《"
_CLOSERS = re.compile(r"[.,!?]{0,2}[\"”“»*_'’`」』》]|\s?\((?:18|19|20)\d\d\)[\"”“»*_'’`」』》]")


@dataclass(frozen=True)
class Mention:
    """A title named in running text.

    Attributes:
        title: as written.
        match: the item, or the items of this title.
        year: a year in brackets behind it.
        start: where the title begins in the raw text.
        end: one past where it ends.
        marked: whether it stands in quotes, emphasis or a list slot, or before a year.
    """

    title: str
    match: Match
    year: int | None
    start: int
    end: int
    marked: bool


@dataclass
class _Node:
    next: dict[str, _Node] = field(default_factory=dict)
    name: str = ""


class Gazetteer:
    """Finds the names a matcher knows in running text."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._root = _Node()
        for name in matcher.names:
            node = self._root
            for token in name.split():
                node = node.next.setdefault(token, _Node())
            node.name = name

    def scan(
        self, text: str, *, slots: Iterable[tuple[int, int]] = (), prefer: Collection[str] = ()
    ) -> tuple[Mention, ...]:
        """Find every title, longest first, from left to right, none inside another.

        Args:
            text: any text.
            slots: spans of list entries, where a title needs no other mark.
            prefer: ids that settle a title shared by several items.

        Returns:
            The mentions, in order.
        """
        listed = list(slots)
        tokens = _tokens(text)
        found = []
        index = slot = 0
        while index < len(tokens):
            begin = tokens[index][1]
            while slot < len(listed) and listed[slot][1] <= begin:
                slot += 1
            in_slot = slot < len(listed) and listed[slot][0] <= begin
            mention, index = self._at(text, tokens, index, listed[slot] if in_slot else None, prefer)
            if mention is not None:
                found.append(mention)
        return tuple(found)

    def _at(
        self,
        text: str,
        tokens: list[tuple[str, int, int]],
        index: int,
        slot: tuple[int, int] | None,
        prefer: Collection[str],
    ) -> tuple[Mention | None, int]:
        """The longest title that begins at a token, and the token at which to go on."""
        ends: list[int] = []
        node: _Node | None = self._root
        position = index
        while node is not None and position < len(tokens):
            token = tokens[position][0]
            last = node.next.get(arabic(token))
            if last is not None and last.name and arabic(token) != token:
                ends.append(position)  # a roman numeral is arabic only as the last token of a title
            node = node.next.get(token)
            if node is not None and node.name and (not ends or ends[-1] != position):
                ends.append(position)
            position += 1
        for stop in reversed(ends):
            start, end = tokens[index][1], tokens[stop][2]
            if index and tokens[index - 1][0] in ARTICLES_DROPPED and text[tokens[index - 1][2] : start].isspace():
                start = tokens[index - 1][1]
            year = _YEAR_BEHIND.match(text, end)
            marked = bool(year) or _is_marked(text, start, end) or (slot is not None and _fills(start, end, slot))
            words = [token for token, _, _ in tokens[index : stop + 1]]
            if not marked and _needs_mark(words, text[start]):
                continue
            said = int(year[1]) if year else None
            match = self._matcher.match(text[start:end], said, prefer=prefer)
            if match.status != "absent":
                return Mention(text[start:end], match, said, start, end, marked), stop + 1
        return None, index + 1


def _tokens(text: str) -> list[tuple[str, int, int]]:
    """Normalised tokens with their place in the raw text. Several tokens of one raw word share its place."""
    spaced = text.translate(_SPACES)
    return [(token, found.start(), found.end()) for found in _TOKEN.finditer(spaced) for token in _fold_word(found[0])]


@lru_cache(maxsize=1 << 15)
def _fold_word(word: str) -> tuple[str, ...]:
    return tuple(split_words(fold(word[:200])))


class _Spaces(dict[int, int]):
    """One-to-one translation of everything between words to spaces, so that places stay."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        # Signs that fold to a letter (Ⅱ, ½), marks, and & are parts of words; other signs are not.
        keeps = char.isalnum() or char == "&" or bool(split_words(fold(char)))
        self[code] = code if keeps else ord(" ")
        return self[code]


_SPACES = _Spaces()


def _is_marked(text: str, start: int, end: int) -> bool:
    before = text[start - 1 : start] if start else ""
    return before != "" and before in _OPENERS and _CLOSERS.match(text, end) is not None


def _fills(start: int, end: int, slot: tuple[int, int]) -> bool:
    """Whether a span is the whole of a list slot, give or take signs and an article."""
    return abs(start - slot[0]) <= 4 and abs(end - slot[1]) <= 4


def _needs_mark(words: list[str], first: str) -> bool:
    if len(words) > 1:
        # "tell me about a boy" names no film, "About a Boy" does.
        return first.islower() and all(word in COMMON_WORDS or len(word) <= SHORT_TOKEN for word in words)
    word = words[0]
    return word in COMMON_WORDS or len(word) <= SHORT_TOKEN or word.isdigit() or first.islower()
