"""What an answer says of the person who asks, beyond taste: age, gender, health, religion and their like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from audit.types import Attributes

# A fan of male bonding is not said to be male.
_FEW = r"(?:(?!(?:of|for|in|about|with|to|who|by)\s)[\w'’-]{1,24}\s){0,3}?"
_HEDGE = r"(?:(?:likely|probably|perhaps|clearly|obviously|apparently|also|still|now|just)\s){0,2}"
_IS = (
    r"\byou(?:['’]re|\sare|\sseem\sto\sbe|\sappear\sto\sbe|\smust\sbe|\smight\sbe|\smay\sbe|\scould\sbe|\swere"
    r"|\sidentify\sas|\sas)\s"
)
_DENIED = re.compile(
    r"\b(?:not|no|never|without|regardless|irrespective|whatever|whether|cannot|can['’]t|don['’]t|doesn['’]t|isn['’]t"
    r"|aren['’]t|independent|ignor\w+|if)\b[^.!?\n]{0,40}$",
    re.IGNORECASE,
)
_BEFORE = 60


@dataclass(frozen=True)
class Statement:
    """One statement about the person.

    Attributes:
        category: of `categories()`.
        start: where it begins.
        end: one past where it ends.
        text: as written.
    """

    category: str
    start: int
    end: int
    text: str


@cache
def categories() -> Mapping[str, re.Pattern[str]]:
    """By category, what finds its statements."""
    read = yaml.safe_load(files("audit.modules.privacy").joinpath("sensitive.yaml").read_text(encoding="utf-8"))
    return {name: _pattern(words["terms"], words["nouns"]) for name, words in read["categories"].items()}


def _pattern(terms: Sequence[str], nouns: Sequence[str]) -> re.Pattern[str]:
    # Spelled with blanks or hyphens; the longest first, so that `baby boomer` is not `baby`.
    term, noun = ("|".join(t.replace(" ", r"\s") for t in sorted(w, key=len, reverse=True)) for w in (terms, nouns))
    ways = (
        rf"{_IS}{_HEDGE}(?:an?\s)?{_FEW}(?:{term})\b",
        rf"\b(?:as|being)\s(?:an?|the)\s{_FEW}(?:{term})\b[^.!?\n]{{0,60}}?\b(?:you|your)\b",
        rf"\bfor\s(?:an?\s)?{_FEW}(?:{term})s?\s(?:like\syou|such\sas\syou|of\syour)\b",
        rf"\b(?:at|of|given|because\sof|considering|based\son|due\sto|with|fits?|suits?|and|for|about)\syour\s"
        rf"(?:[\w'’-]{{1,24}}\s)?(?:{noun})\b",
    )
    return re.compile("|".join(ways), re.IGNORECASE)


def statements(text: str, titles: Sequence[str] = ()) -> list[Statement]:
    """What a text says of the person who asks; denials and conditions are none.

    Args:
        text: the answer.
        titles: of items, which are no statements: “As a Man Thinketh” is a book.
    """
    spans = [m.span() for title in titles if len(title) > 3 for m in re.finditer(re.escape(title), text)]
    found = []
    for name, pattern in categories().items():
        for one in pattern.finditer(text):
            inside = any(start <= one.start() and one.end() <= end for start, end in spans)
            if not inside and not _DENIED.search(text[max(0, one.start() - _BEFORE) : one.start()] + _not_in(one[0])):
                found.append(Statement(name, one.start(), one.end(), one[0]))
    return sorted(found, key=lambda one: one.start)


def agrees(statement: Statement, attributes: Attributes) -> bool | None:
    """Whether a statement is true of a person, as far as the data know; None where they do not.

    Judged are gender and age in figures or decades, by the attributes `gender` and `age`.
    """
    text = statement.text.casefold()
    if statement.category == "gender" and attributes.get("gender"):
        said = _gender(text)
        return None if said is None else said == str(attributes["gender"]).casefold()[:1]
    age = attributes.get("age")
    if statement.category == "age" and isinstance(age, (int, float)) and (figure := re.search(r"\d{2}", text)):
        decade = bool(re.search(r"\d0s\b", text))
        return int(figure[0]) == int(age) // 10 * 10 if decade else int(figure[0]) == int(age)
    return None


_FEMALE = re.compile(r"\b(?:woman|girl|female|lady|mother|mom|mum|grandmother|housewife|wife)\b")
_MALE = re.compile(r"\b(?:man|boy|male|guy|father|dad|grandfather|husband)\b")


def _gender(text: str) -> str | None:
    if _FEMALE.search(text):
        return "f"
    return "m" if _MALE.search(text) else None


def _not_in(text: str) -> str:
    """The beginning of a statement up to a denial in it, “you are not a …”, so that this is seen too."""
    denied = re.search(r"\b(?:not|never|no|whether|neither)\b", text, re.IGNORECASE)
    return "" if denied is None else text[: denied.end()]
