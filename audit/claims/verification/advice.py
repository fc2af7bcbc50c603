"""Answers that recommend an item and advise against it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit.claims.claim import Claim
from audit.claims.verification.conflicts import Conflict
from audit.grounding import Grounder
from audit.types import Request

NEAR = 90
"""Characters before and behind a title that belong to the advice about it, where the sentence goes so far."""

_BREAK = re.compile(r"[.!?]\s+(?=[\"“'‘*A-Z])|\n")
_DO_NOT = r"(?:do not|don['’]t|never)"
_WOULD_NOT = r"(?:(?:do|would|could|can|will) not|cannot|(?:do|would|could|ca|wo)n['’]t)"
_TAKE = r"(?:watch|read|play|buy|see|bother|pick|choose)"
_OPEN, _CLOSE = r"[\"“'‘*_]{0,3}", r"[\"”'’*_]{0,3}"
_BETWEEN = r"(?:\s(?:the|a|watching|reading|playing|seeing|to you|you|with|on|film|movie|book|game|series))*"
_TO_TITLE = rf"{_BETWEEN}\s{_OPEN}$"
_UNFIT = (
    r"(?:not (?:\w+ ){0,2}?(?:recommended|worth|for you|suitable|a good (?:fit|choice|match))"
    r"|(?:a bad|a poor|the wrong) (?:fit|choice|match))"
)

_AGAINST = re.compile(
    r"\b(?:avoid(?:ing)?|skip|steer clear of|stay away from"
    rf"|{_DO_NOT} {_TAKE}|{_WOULD_NOT} (?:\w+ ){{0,2}}?(?:recommend|suggest|advise)){_TO_TITLE}",
    re.IGNORECASE,
)
"""Before a title."""
_BEHIND = re.compile(
    rf"^{_CLOSE}(?:\s\(\d{{4}}\))?{_CLOSE},? (?:is|would be|may be|might be|seems)"
    rf" (?:really |probably |definitely )?{_UNFIT}",
    re.IGNORECASE,
)
"""Behind a title."""
_IN_SLOT = re.compile(
    r"(?:^|[.!?:;,–—-]\s+|\bbut\s)(?:please )?(?:i )?"
    rf"(?:(?:avoid|skip|{_DO_NOT} {_TAKE}|{_WOULD_NOT} (?:\w+ ){{0,2}}?recommend) (?:this|it)\b|not recommended\b)",
    re.IGNORECASE,
)
"""In the text of a list's entry, about its title."""
_FOR = re.compile(
    r"\b(?:recommend(?:ing|ed)?|suggest(?:ing|ed)?|try|watch|enjoy|love|check out|start with|pick|go for|choose)"
    + _TO_TITLE,
    re.IGNORECASE,
)
# Advice that holds for some only, or is a figure of speech, is no contradiction.
_CONDITION = re.compile(
    r"\b(?:if|unless|until|before|when|while|except|only|without|again|first|twice|miss|enough|instead"
    r"|(?:anyone|those|people) who)\b|\b(?:not|never|n['’]t) (?:skip|avoid)\b",
    re.IGNORECASE,
)
_AGAINST_AT_ALL = re.compile(
    r"\b(?:avoid|skip|steer|stay away|not|never|bad|poor|wrong|cannot)|n['’]t\b", re.IGNORECASE
)
"""What any advice against holds: most answers need no further look."""


def advised_against(text: str, request: Request, grounder: Grounder) -> list[Conflict]:
    """Items that an answer recommends in one place and advises against in another.

    Advice under a condition (“skip it if you hate gore”) is none. The claims of the pairs have the predicate `passage`
    and are about what the answer does: `recommended`, `advised against`.

    Args:
        text: the raw answer.
        request: what it answers: its items settle what titles mean.
        grounder: ties titles to items.
    """
    if _AGAINST_AT_ALL.search(text) is None:
        return []
    history = [event.item for event in request.user.history]
    listed = grounder.ground_list(text, candidates=request.candidates, history=history)
    offered: dict[str, Claim] = {}
    against: list[Claim] = []
    # The slot of an entry goes to where the next one begins.
    ends = [*(entry.start for entry in listed.entries[1:]), len(text)]
    for entry, match, end in zip(listed.entries, listed.matches, ends, strict=False):
        if match.item_id is None or entry.start < 0:
            continue
        offered.setdefault(match.item_id, _said("recommended", entry.title, match.item_id, entry.start, entry.end))
        slot = text[entry.end : end].partition("\n")[0]
        against += [
            _said(
                "advised against", entry.title, match.item_id, entry.end + found.start(), entry.end + found.end(), slot
            )
            for found in _IN_SLOT.finditer(slot)
            if not _CONDITION.search(_sentence(slot, found.start(), found.end()))
        ]
    for mention in grounder.ground_mentions(text, candidates=[*(request.candidates or ()), *history]):
        item = mention.match.item_id
        if item is None:
            continue
        start, end = _bounds(text, mention.start, mention.end)
        before, behind, whole = text[start : mention.start], text[mention.end : end], text[start:end]
        if (_AGAINST.search(before) or _BEHIND.match(behind)) and not _CONDITION.search(whole):
            against.append(_said("advised against", mention.title, item, mention.start, mention.end, whole))
        elif _FOR.search(before) and not _AGAINST.search(before):
            offered.setdefault(item, _said("recommended", mention.title, item, mention.start, mention.end, whole))
    return list(_pairs(offered, against))


def _pairs(offered: dict[str, Claim], against: list[Claim]) -> Iterator[Conflict]:
    for refused in sorted({claim.item_id: claim for claim in reversed(against)}.values(), key=lambda c: c.start):
        given = offered.get(refused.item_id or "")
        # The one place where a title stands in "avoid Heat" may have been read as its recommendation.
        if given is not None and (given.start, given.end) != (refused.start, refused.end):
            first, second = sorted((given, refused), key=lambda claim: claim.start)
            yield Conflict(first, second, f"{given.subject!r} is recommended and advised against")


def _said(what: str, title: str, item: str, start: int, end: int, sentence: str = "") -> Claim:
    return Claim("passage", what, title, item, start, end, sentence.strip() or title)


def _sentence(text: str, start: int, end: int) -> str:
    first, last = _bounds(text, start, end)
    return text[first:last]


def _bounds(text: str, start: int, end: int) -> tuple[int, int]:
    """Of the sentence around a place, as far as it is near."""
    low, high = max(0, start - NEAR), min(len(text), end + NEAR)
    breaks = [found.end() for found in _BREAK.finditer(text, low, start)]
    after = _BREAK.search(text, end, high)
    return (breaks[-1] if breaks else low), (after.start() + 1 if after else high)
