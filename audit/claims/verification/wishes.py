"""What a wish asks of an item: `after 1990`, `under two hours`, `not a horror film`, `in French`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from audit.claims.claim import Predicate
from audit.claims.verification.genres import Genres
from audit.claims.verification.quantities import lengths, price, years

_DENIAL = re.compile(r"\b(?:not?|without|avoid(?:ing)?|other than|isn['’]t|except|non)\b[\s-]*", re.IGNORECASE)
_MONEY = re.compile(
    r"[$€£¥]|\b(?:usd|eur|gbp|dollars?|euros?|pounds?|price|budget|cost|free of charge)\b", re.IGNORECASE
)
_LEAD = re.compile(
    r"^(?:your\s)?(?:\w+\s){0,2}?(?:requests?|requirements?|wish(?:es)?|criteria|criterion|constraints?|conditions?|limit)"
    r"\s(?:for|of|that|about|on|to be|to)\s+",
    re.IGNORECASE,
)
_AND = re.compile(
    r"\s*(?:,\s*(?:and\s+|but\s+)?|;\s*|\s+but\s+)\s*|"
    r"\s+and\s+(?=(?:not?|under|over|released|from|in|by|starring|shorter|longer)\b)",
    re.IGNORECASE,
)
_OR = re.compile(
    r"\bor\b(?! (?:less|more|later|earlier|shorter|longer|under|over|after|before|newer|older))", re.IGNORECASE
)
_BOUND = re.compile(r"\bnot? (?:later|earlier|more|longer|less|before|older|newer)\b(?: than)?", re.IGNORECASE)
_FRAME = re.compile(
    r"\b(?:something|anything|released|made|published|released|shorter|longer|than|before|after|since|under|over|until|between|"
    r"in|from|at|most|least|within|long|older|newer|later|earlier|more|less|up|to|no|language|speaking|you|asked|wanted|want|"
    r"one|that|which|early|mid|late|price|budget|cost)\b",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"(?:[$€£¥]\s?)?\d[\d.,:]*(?:['’]?s\b|\s?[$€£¥])?|['’]\d\ds?|"
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half|a half|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties|hundred|"
    r"hours?|hrs?|h|minutes?|mins?|m|pages?|years?|dollars?|euros?|pounds?|usd|eur|gbp|century)\b",
    re.IGNORECASE,
)
_BY = re.compile(r"\b(?:directed by|written by|by|from the director|author:?)\s+(?P<who>[^\W\d_].*)", re.IGNORECASE)
_WITH = re.compile(r"\b(?:starring|featuring|with the (?:actor|actress)|cast:?)\s+(?P<who>[^\W\d_].*)", re.IGNORECASE)
_LANGUAGE = re.compile(
    r"\b(?:in\s+)?(?P<name>english|french|german|italian|spanish|portuguese|japanese|korean|chinese|mandarin|cantonese|"
    r"hindi|russian|swedish|danish|norwegian|finnish|dutch|polish|czech|greek|turkish|arabic|hebrew|persian|thai)"
    r"(?:[- ](?:language|speaking))?\b",
    re.IGNORECASE,
)
_IN_LANGUAGE = re.compile(r"\bin\s+[a-z]+$|language|speaking", re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """A wish as what would have to be true of the item."""

    predicate: Predicate
    object: str
    polarity: bool = True


def read_wishes(text: str, genres: Genres) -> tuple[list[Wish], bool]:
    """The wishes of a text, and whether they are all that it says.

    Args:
        text: as written, of the wish alone (`your request for a comedy under two hours`).
        genres: that are known.
    """
    asked = _LEAD.sub("", text[:300].strip())
    wishes: list[Wish] = []
    whole = True
    for part in _AND.split(asked):
        if part.strip():
            # One of two is enough, and no record of one wish can say so.
            found = [] if _OR.search(part) else list(_of_part(part, genres))
            wishes += found
            whole = whole and bool(found) and not genres.named(_without(part)).unknown
    return wishes, whole


def _of_part(part: str, genres: Genres) -> Iterator[Wish]:
    polarity = _DENIAL.search(_BOUND.sub("", part)) is None
    if _MONEY.search(part) and price(part) is not None:
        yield Wish("price", part, polarity)
    elif lengths(part) is not None:
        yield Wish("runtime", part, polarity)
    elif years(part) is not None:
        yield Wish("year", part, polarity)
    if found := _WITH.search(part):
        yield Wish("cast", found["who"], polarity)
    elif found := _BY.search(part):
        yield Wish("creator", found["who"], polarity)
    if (found := _LANGUAGE.search(part)) and _IN_LANGUAGE.search(part):
        yield Wish("language", found["name"], polarity)
    named = genres.named(_without(part))
    if named.genres and not named.unknown:  # "suitable for children" asks for no genre
        yield Wish("genre", " ".join(sorted(named.genres)), polarity)


def _without(part: str) -> str:
    """The part without what the other wishes are read from."""
    for pattern in (_WITH, _BY, _LANGUAGE, _QUANTITY, _DENIAL, _FRAME):
        part = pattern.sub(" ", part)
    return part
