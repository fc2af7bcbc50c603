"""What a wish asks of an item: `after 1990`, `under two hours`, `not a horror film`, `in French`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from audit.claims.claim import Predicate
from audit.claims.genres import Genres
from audit.claims.quantities import lengths, price, years
from audit.grounding.titles import fold

_DENIAL = re.compile(r"\b(?:not?|without|avoid(?:ing)?|other than|isn['’]t|except|non)\b[\s-]*", re.IGNORECASE)
_MONEY = re.compile(
    r"[$€£¥]|\b(?:usd|eur|gbp|dollars?|euros?|pounds?|price|budget|cost|free of charge)\b", re.IGNORECASE
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


def read_wish(text: str, genres: Genres) -> Wish | None:
    """The wish of a text; None where it names nothing that a column could hold.

    Args:
        text: as written, of the wish alone.
        genres: that are known.
    """
    text = text[:300].strip()
    denial = _DENIAL.search(fold(text))
    polarity = denial is None or bool(
        re.search(r"\bno (?:later|earlier|more|longer|less) than|\bnot more than", fold(text))
    )
    if _MONEY.search(text) and price(text) is not None:
        return Wish("price", text, polarity)
    if lengths(text) is not None:
        return Wish("runtime", text, polarity)
    if years(text) is not None:
        return Wish("year", text, polarity)
    if found := _WITH.search(text):
        return Wish("cast", found["who"], polarity)
    if found := _BY.search(text):
        return Wish("creator", found["who"], polarity)
    if (found := _LANGUAGE.search(text)) and _IN_LANGUAGE.search(text):
        return Wish("language", found["name"], polarity)
    said = _DENIAL.sub("", text)
    named = genres.named(said)
    if named.genres and not named.unknown:
        return Wish("genre", said, polarity)
    return None
