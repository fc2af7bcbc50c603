"""How a claim is meant: denied, softened, approximate, asked, or not said of this item at all."""

from __future__ import annotations

import re
from typing import NamedTuple

_NEGATION = re.compile(
    r"\b(?:not|never|no longer|isn['’]t|wasn['’]t|aren['’]t|weren['’]t|doesn['’]t|didn['’]t|don['’]t|hasn['’]t"
    r"|haven['’]t|neither|nor"
    r"|cannot|can['’]t|won['’]t|without|hardly|nothing like|far from|less (?:of )?an?"
    r"|rather than|instead of|anything but|no)\b(?! (?:only|just|merely|least|to mention|doubt|wonder|less|surprise))",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\sand (?:was|is|has|it|runs|stars|came|won|lasts|costs)\b|"
    r"[;:()\u2014]|\s[-\u2013]\s|,\s(?:but|and|yet|so|while|though|it|this|which|who)\b|\b(?:but|although"
    r"|though|while|because"
    r"|since|yet|however)\b",
    re.IGNORECASE,
)
_SOFTENED = re.compile(
    r"\b(?:I (?:think|believe|guess|suppose|assume|suspect|seem to recall)(?! (?:that )?you)|(?:if"
    r"|as far as) I (?:\w+ )?(?:remember|recall|know)"
    r"|if memory serves|if I['’]m not mistaken|(?:I['’]m|I am) not (?:entirely |completely |quite "
    r"|fully )?(?:sure|certain)|not sure|probably|perhaps"
    r"|maybe|possibly|presumably|reportedly|supposedly|allegedly|apparently|likely|(?:seems?|appears?|is said"
    r"|is believed|is thought|is rumou?red) to"
    r"|to my knowledge|from memory)\b(?! (?:enjoy|like|love|appreciate|you))",
    re.IGNORECASE,
)
_MODAL = re.compile(r"\b(?:may|might|could|should|must|would)(?: well)?(?: (?:have been|be|have))?\s*$", re.IGNORECASE)
_ABOUT = re.compile(
    r"\b(?:about|around|circa|ca\.|c\.|roughly|approximately|approx\.?|nearly|almost|some|sometime in"
    r"|somewhere in|somewhere around)"
    r"\s(?:the\s)?$|~\s?$",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"\d0['’]?s\b|ies\b|\bor so\b", re.IGNORECASE)
_OTHERS = re.compile(
    r"(?:\b(?:fans?|lovers?|love|loves|loved|like|likes|liked|enjoy|enjoys|enjoyed|prefer|prefers|preferred"
    r"|preference|into|taste|tastes"
    r"|interest|interests|appetite|passion|unlike|than|(?<!the )most|other|typical|usual|average|history|watched|many"
    r"|your|similar|into|remake"
    r"|adaptation|based on|inspired by|homage to|enthusiasts?|follows?|about|parody of|spoof of|sequel to"
    r"|prequel to|tired of|bored of)"
    r"\b\s?(?:[\w'’-]{1,20}\s){0,4})$",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:who|whose \w+)(?:['’]s| has| had| also| once| later| just| previously){0,2}\s$", re.IGNORECASE
)
_RELATED = re.compile(
    r"\b(?:(?:its|his|her|their|whose)\s(?:\w+\s)?|(?:the|an?|another)\s(?:\w+\s)?)"
    r"(?:sequel|prequel|remake|follow-?up|successor|predecessor|spin-?off|soundtrack|score|theme song|adaptation"
    r"|film version|TV series|source novel|original (?:film|novel|book))"
    r"s?\b(?!\s(?:to|of)\b)(?:(?!\b(?:it|this|the (?:film|movie|book))\b)[^;]){0,60}$",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|whether|unless|in case|had it|imagine|suppose)\b", re.IGNORECASE)
_MOOD = re.compile(r"\bif you(?:['’]re| are)(?: \w+)? (?:in the mood|looking|after|craving|searching)\b", re.IGNORECASE)
_TRAILING = re.compile(
    r"^[^.;]{0,40}?[,(\u2014-]\s?(?=I |if |as far|probably|perhaps|maybe|though I|but I)", re.IGNORECASE
)
_MEMORY = re.compile(r"\bif (?:I|my|memory)\b", re.IGNORECASE)


class Modality(NamedTuple):
    """How a claim is meant."""

    polarity: bool
    hedged: bool
    approximate: bool


def modality(page: str, sentence: tuple[int, int], said: tuple[int, int], named: tuple[int, int]) -> Modality:
    """How a wording in a sentence is meant.

    Args:
        page: the text.
        sentence: span of the sentence.
        said: span of the wording.
        named: span of its object.
    """
    before = page[sentence[0] : named[0]]
    clause = before
    for cut in _CLAUSE.finditer(before):
        clause = before[cut.end() :]
    hedged = _SOFTENED.search(before) is not None or _MODAL.search(page, sentence[0], said[0]) is not None
    behind = page[named[1] : sentence[1]]
    if not hedged and (trail := _TRAILING.match(behind)):
        hedged = _SOFTENED.match(behind, trail.end()) is not None
    near = page[max(sentence[0], named[0] - 30) : named[0]]
    approximate = (
        _ABOUT.search(near) is not None
        or _LOOSE.search(page, named[0], named[1]) is not None
        or re.match(r"\s(?:or so|or thereabouts)\b|-ish\b", page[named[1] : named[1] + 16]) is not None
    )
    return Modality(_NEGATION.search(clause) is None, hedged, approximate)


def is_question(page: str, sentence: tuple[int, int]) -> bool:
    """Whether a sentence asks."""
    return page[max(sentence[0], sentence[1] - 8) : sentence[1]].rstrip("\"'”’)] ").endswith("?")


def is_asserted(page: str, sentence: tuple[int, int], said: tuple[int, int]) -> bool:
    """Whether a wording asserts something rather than making a condition of it.

    “If you are in the mood for a western” offers one; “if it was released in 1990” does not.
    """
    before = page[sentence[0] : said[0]]
    condition = _CONDITION.search(before)
    if condition is None or _MEMORY.match(before, condition.start()) or _MOOD.search(before):
        return True
    # "If you like Heat, this film was released in 1995": behind the comma it is asserted.
    return "," in before[condition.end() :]


def is_of_others(page: str, sentence: tuple[int, int], at: int) -> bool:
    """Whether what begins at `at` is said of a taste, other items or a person: “fans of”, “its sequel”, “who won”."""
    begin = max(sentence[0], at - 90)
    if _OTHERS.search(page, begin, at) is not None or _PERSON.search(page, begin, at) is not None:
        return True
    return _RELATED.search(page, begin, at) is not None
