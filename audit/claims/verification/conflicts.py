"""Whether an answer contradicts itself: two claims of one subject that cannot both be so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from audit.claims.claim import Claim
from audit.claims.columns import key, role
from audit.claims.verification.comparisons import APPROXIMATE, MINUTES, PAGES, SHARE, YEAR_TOLERANCE
from audit.claims.verification.genres import Genres, plain
from audit.claims.verification.people import one_of, people
from audit.claims.verification.quantities import Range, lengths, price, years
from audit.grounding.titles import normalise

MAX_CLAIMS = 200
"""Claims about one subject that are compared with each other: pairs grow with the square, and answers may be long."""

_GENRES = Genres()


@dataclass(frozen=True)
class Conflict:
    """Two claims that exclude each other, in the order of the text.

    Attributes:
        first: the earlier claim.
        second: the later one.
        reason: why they exclude each other, in a few words.
    """

    first: Claim
    second: Claim
    reason: str


def conflicts(claims: Sequence[Claim]) -> list[Conflict]:
    """The pairs of claims that contradict each other.

    Compared are only claims of one subject and one predicate: a year, a length, a price with another one, further apart
    than what is tolerated of a single one; who made it, where both are said of the same deed in different sentences;
    and anything that is both asserted and denied. Two genres or two actors are no contradiction.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for claim in claims:
        if (subject := _subject(claim)) is not None:
            groups.setdefault((subject, claim.predicate, key(claim.attribute)), []).append(claim)
    found = []
    for group in groups.values():
        ordered = sorted(group[:MAX_CLAIMS], key=lambda claim: (claim.start, claim.end))
        for first, second in combinations(ordered, 2):
            if reason := _clash(first, second):
                found.append(Conflict(first, second, reason))
    return sorted(found, key=lambda conflict: (conflict.first.start, conflict.second.start))


def _subject(claim: Claim) -> str | None:
    """What a claim is about: its item, a title that is no item's, or what is said of the user."""
    if claim.predicate in ("in_history", "user_likes"):
        return f"user {normalise(claim.object).text}"
    if claim.item_id is not None:
        return f"item {claim.item_id}"
    name = normalise(claim.subject).text
    return f"title {name}" if name else None


def _clash(first: Claim, second: Claim) -> str:
    if first.polarity != second.polarity:
        return f"{first.object!r} is asserted and denied" if _same(first, second) else ""
    if not first.polarity:
        return ""  # not of 1990 and not of 1995 may both be so
    if first.attribute:
        return ""
    if first.predicate in ("year", "runtime", "price"):
        return _apart(first, second)
    if first.predicate == "creator" and first.sentence != second.sentence:
        return _other_maker(first, second)
    return ""


def _apart(first: Claim, second: Claim) -> str:
    read = {"year": years, "runtime": lengths, "price": price}[first.predicate]
    one, two = read(first.object), read(second.object)
    if one is None or two is None or one.unit != two.unit:
        return ""
    slack = _slack(first.predicate, one, two) * (APPROXIMATE if first.approximate or second.approximate else 1)
    return f"{first.object!r} and {second.object!r}" if one.distance(two) > slack else ""


def _slack(predicate: str, one: Range, two: Range) -> float:
    if one.is_open or two.is_open:
        return 0.0
    if predicate == "year":
        return YEAR_TOLERANCE
    if predicate == "price":
        return SHARE * max(one.high, two.high)
    return max(MINUTES if one.unit == "minutes" else PAGES, SHARE * max(one.high, two.high))


def _other_maker(first: Claim, second: Claim) -> str:
    roles = role(first.sentence, first.object)
    if roles != role(second.sentence, second.object):
        return ""  # one wrote it, another directed it
    one, two = people(first.object), people(second.object)
    if not one or not two or any(one_of(name, two)[0] != "other" for name in one):
        return ""
    return f"{first.object!r} and {second.object!r}"


def _same(first: Claim, second: Claim) -> bool:
    """Whether two claims are of one object."""
    if first.predicate == "in_history":
        return True  # its title is the subject by which they are compared
    if plain(first.object) == plain(second.object):
        return True
    if first.predicate == "genre":
        one, two = _GENRES.named(first.object), _GENRES.named(second.object)
        return bool(one.genres) and one == two
    if first.predicate in ("creator", "cast"):
        one_names, two_names = people(first.object), people(second.object)
        return len(one_names) == len(two_names) == 1 and one_of(one_names[0], two_names)[0] == "same"
    if first.predicate == "year":
        said, denied = years(first.object), years(second.object)
        return said is not None and said == denied
    return False
