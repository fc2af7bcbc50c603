"""What an answer says of the user: items they had, tastes, and items that others are likened to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from audit.claims.extraction.found import Found
from audit.claims.extraction.subjects import Title

_ADVERBS = (
    r"(?:(?:also|really|previously|already|recently|once|clearly|particularly|especially|rather|truly|all|just|both|so|greatly"
    r"|highly|thoroughly)\s){0,3}"
)
_DID = (
    r"(?:liked|loved|enjoyed|watched|seen|saw|rated|read|played|bought|purchased|own|owned|listened to|finished|viewed"
    r"|appreciated|adored|reviewed|gave|had)"
)
_PAST = re.compile(
    rf"\b(?P<who>you(?:['’]ve|['’]d| have| had)?|having|after)\s(?P<not>(?:never|not|haven['’]t|have not"
    rf"|didn['’]t|did not)\s)?{_ADVERBS}"
    rf"(?P<did>{_DID}|watching|seeing|reading)\s(?:and\s{_ADVERBS}{_DID}\s)?",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"\byou (?:haven['’]t|have not|didn['’]t|did not|never)\s(?:yet\s)?(?P<did>watch|watched|seen|see|read|played"
    r"|play|heard|tried)\s",
    re.IGNORECASE,
)
_NOW = re.compile(
    r"\byou(?:\s(?:also|really|clearly|obviously|evidently|seem to|tend to|usually|generally|already"
    r"|particularly|especially|do))?\s"
    r"(?:like|love|enjoy|prefer|appreciate|favou?r)\s|\byou(?:['’]re"
    r"| are)\s(?:\w+ly\s)?(?:an?\s)?(?:\w+\s)?(?:fan of|into|fond of|lover of)\s"
    r"|\bas an?\s(?:\w+\s)?(?:fan|lover|admirer|enthusiast) of\s",
    re.IGNORECASE,
)
_YOURS = re.compile(
    r"\byour\s(?:\w+\s){0,2}?(?:love|enjoyment|appreciation|fondness|interest|taste|preference|passion|rating"
    r"|ratings|viewing|history|liking"
    r"|affection|enthusiasm)\s(?:of|for|in|with)\s(?:watching\s|seeing\s)?"
    r"|\byou have an?\s(?:\w+\s)?(?:taste|love|preference|passion|liking|penchant|soft spot|fondness) for\s"
    r"|\bas someone who (?:loves|likes|enjoys|appreciates|prefers)\s",
    re.IGNORECASE,
)
_SUCH_AS = re.compile(r"[^.;:!?()\n]{2,70}?\b(?:including|such as|like|especially|e\.g\.)\s", re.IGNORECASE)
_LIKENED = re.compile(
    r"(?:\b(?:is |was |feels |very |quite |most |somewhat )?(?:similar (?:in \w+ )?to|reminiscent of|akin to"
    r"|comparable to|evokes|recalls"
    r"|in the (?:same )?(?:vein|style|spirit|tradition|mould|mold) (?:of|as)|(?:much|just|a lot|feels?|is|was"
    r"|not unlike) like)|(?:^|(?<=[-\u2013\u2014:,]\s))like)\s",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"(?:\b(?:if|whether|once|unless|until|when|whenever|should|could|would|did|do|had|have|has|can|will|might"
    r"|may|sure|hope|think|believe|bet"
    r"|guarantee|suspect|guess|know|something|anything|wish|told me|sounds like|say|assuming)(?:\s(?:that"
    r"|like))?\s?)$",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:(?:the\s)?(?:films?|movies?|books?|novels?|series|shows?|games?|albums?|titles?|items?|likes of"
    r"|works?)(?:\s(?:such as|like|called))?"
    r"|such as|like|watching|both|for example|e\.g\.|including|,|:)\s",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"[\"”’*_\s]{0,3}(?:[\(\[](?:18|19|20)\d\d[\)\]])?\s{0,2}(?P<joint>,\s?(?:and|as well as)\s|,\s|\sand\s"
    r"|and\s|&\s|\s&\s|\sas well as\s|as well as\s|\sor\s|or\s)(?:also\s|especially\s)?"
)
_FOLLOWED = re.compile(
    r"[\"”’*_\s]{0,4}(?:[\(\[][^()\n]{0,60}[\)\]])?\s{0,2}(?:is|was|are|should|may|might|will|would|could"
    r"|offers?|has|comes?|makes?|seems?|looks?|fits?|gives?|feels?"
    r"|delivers?|belongs|stands|sounds|can|must|deserves|follows|tells)\b"
)
_UP = r"[^\W\d_a-zß-öø-ÿ]"
_PHRASE = re.compile(
    rf"{_UP}[\w'’.!-]*(?::?\s(?:{_UP}[\w'’!-]*|of|the|and(?=\s{_UP})|in|a|to|for|on|at|&|de|la|\d{{1,4}})){{0,9}}"
)
_STOP = re.compile(
    rf"(?:I|You|This|It|The|He|She|They|We|That|Your|My|One|So|These|Those)\b(?:['’]\w+)?(?:\s(?!{_UP})|$)"
)
_QUOTED = re.compile(r"[\"“«'‘]([^\"“”«»\n]{1,120}?)[\"”»'’](?!\w)")
_YEAR_AT_END = re.compile(r"\s?[(\[](?:18|19|20)\d\d[)\]]$")
_TASTE_VERB = re.compile(r"\b(?:lik|lov|enjoy|appreciat|ador|watched)", re.IGNORECASE)
_HAD = re.compile(r"watch|seen|saw|read|played|viewed|own|bought|finished", re.IGNORECASE)
_TASTE = re.compile(r"[^\n,.;:!?()\[\]\u2014]{3,80}")
_TASTE_END = re.compile(
    r"\s(?:and|so|because|but|this|which|with|you|I|it|here|as|since|then|we|these|\u2013|-)\s|\s[-\u2013\u2014]",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"(?:it|this|that|them|these|those|one|some|him|her|both|all|each|many|most|more|what|how|to|in|on|for|so"
    r"|as|a lot|very|much|most|of|yet|before|already|or|and|at|with|from"
    r"|the (?:film|movie|book|series|game|first|last|original)s?)\b",
    re.IGNORECASE,
)


def personal(
    page: str, sentence: tuple[int, int], titles: list[Title], known: Callable[[str], bool]
) -> Iterator[Found]:
    """The statements of one sentence about the user and about likeness.

    Args:
        page: the text.
        sentence: its span.
        titles: those in the sentence.
        known: whether a string is a title of the catalogue or of the user's history.
    """
    at, text = sentence[0], page[slice(*sentence)]
    reader = _Objects(page, sentence, titles, known)
    for trigger in (_NEVER, _PAST, _NOW, _YOURS):
        for found in trigger.finditer(text):
            if trigger is not _YOURS and _UNSURE.search(text, max(0, found.start() - 30), found.start()):
                continue
            begin, behind = at + found.start(), at + found.end()
            if trigger is _PAST and found["not"] and not _HAD.search(found["did"]):
                continue  # whoever did not like it may have had it
            meant = trigger is not _NEVER and not (trigger is _PAST and found["not"])
            objects = reader.titles(behind, guess=trigger in (_PAST, _NEVER))
            if not objects and (such := _SUCH_AS.match(page, behind, sentence[1])):
                objects = reader.titles(such.end(), guess=False)
            for start, end in objects:
                yield Found("in_history", begin, end, start, end, polarity=meant)
            # "You have not seen yet" names no taste, "you liked dark thrillers" does.
            tells = trigger in (_NOW, _YOURS) or _TASTE_VERB.search(found[0]) is not None
            if tells and not objects and (taste := reader.taste(behind)) is not None:
                yield Found("user_likes", begin, taste[1], *taste, polarity=meant)
    for found in _LIKENED.finditer(text):
        for start, end in reader.titles(at + found.end(), guess=False):
            yield Found("similar_to", at + found.start(), end, start, end)


class _Objects:
    """Reads the titles behind a wording."""

    def __init__(self, page: str, sentence: tuple[int, int], titles: list[Title], known: Callable[[str], bool]) -> None:
        self._page, self._end, self._known = page, sentence[1], known
        self._titles = {title.start: title for title in titles}

    def titles(self, at: int, *, guess: bool) -> list[tuple[int, int]]:
        """Spans of the titles enumerated at a place; `guess` also takes what only looks like a title."""
        found: list[tuple[int, int]] = []
        joint = ""
        while True:
            span = self._one(at, guess=guess and joint.strip() != ",")
            if span is None:
                return found
            if joint.strip() == "," and _FOLLOWED.match(self._page, span[1], self._end):
                return found  # "Since you liked Alien, Heat is …"
            found.append(span)
            more = _JOINT.match(self._page, span[1], self._end)
            if more is None:
                return found
            joint, at = more["joint"], more.end()

    def taste(self, at: int) -> tuple[int, int] | None:
        """Span of a taste: “crime dramas”."""
        found = _TASTE.match(self._page, at, self._end)
        if found is None or _PRONOUN.match(self._page, at):
            return None
        end = found.end()
        if cut := _TASTE_END.search(self._page, at, end):
            end = cut.start()
        while end > at and self._page[end - 1].isspace():
            end -= 1
        return (at, end) if end - at >= 3 else None

    def _one(self, at: int, *, guess: bool) -> tuple[int, int] | None:
        page = self._page
        for _ in range(3):
            if filler := _FILLER.match(page, at, self._end):
                if (span := self._known_at(at)) is not None:
                    return span
                at = filler.end()
        while at < self._end and page[at] in " \n":
            at += 1
        if at >= self._end:
            return None
        if quoted := _QUOTED.match(page, at, self._end):
            return quoted.span(1)
        if page[at] in "\"“'‘«":
            at += 1
        if (title := self._titles.get(at)) is not None and title.end <= self._end:
            longer = self._known_at(at)
            return longer if longer is not None and longer[1] > title.end else (title.start, title.end)
        if (span := self._known_at(at)) is not None:
            return span
        if guess and (phrase := _PHRASE.match(page, at, self._end)) and not _STOP.match(page, at, phrase.end() + 1):
            end = phrase.end()
            while end > at and page[end - 1] in ".,!":
                end -= 1
            return at, end
        return None

    def _known_at(self, at: int) -> tuple[int, int] | None:
        """The longest known title that begins here; titles of common words are sure of their place here."""
        page = self._page
        if at >= self._end or not (page[at].isupper() or page[at].isdigit() or page[at].lower() == page[at].upper()):
            return None
        limit = min(self._end, at + 120)
        ends = [found.end() for found in re.finditer(r"[\w)!?.'’]+", page[at:limit])][:16]
        for end in reversed(ends):
            piece = page[at : at + end]
            stop = end - 1 if piece.endswith(".") else end  # the full stop ends the sentence
            if piece.endswith((", a", ", an", ", the")):
                continue  # "Neuromancer, a novel": an article that was moved has a capital
            if stop > 0 and self._known(page[at : at + stop]):
                year = _YEAR_AT_END.search(page, at + 1, at + stop)
                return at, year.start() if year else at + stop
        return None
