"""Years, running times and prices as people write them, as ranges of numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from audit.grounding.titles import fold

MAX_CHARS = 200
"""Characters of a quantity that are read: nobody says one in more."""

_NUMBERS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen".split()
    )
} | {word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
_DECADES = {
    word: 10 * value
    for value, word in enumerate("twenties thirties forties fifties sixties seventies eighties nineties".split(), 2)
}
_CENTURIES = {"eighteenth": 18, "nineteenth": 19, "twentieth": 20, "twenty-first": 21, "twenty first": 21}
_UNIT = "|".join(word for word, value in _NUMBERS.items() if 0 < value < 10)
_TENS = "|".join(word for word, value in _NUMBERS.items() if value >= 20)
_WORDED = rf"(?:{_TENS})(?:[- ](?:{_UNIT}))?|{'|'.join(_NUMBERS)}"
_NUMBER = rf"\d+(?:[.,]\d+)?|{_WORDED}"

_BELOW = re.compile(
    r"\b(?:before|prior to|pre|earlier than|older than|under|below|less than|shorter than|fewer than)\b"
)
_UP_TO = re.compile(
    r"\b(?:until|till|up to|at most|not? (?:more|later|longer|newer|greater) than|not (?:after|over|above)|within)\b|"
    r"\bor (?:less|earlier|shorter|under|before|older)\b"
)
_ABOVE = re.compile(r"\b(?:after|post|later than|newer than|over|above|more than|longer than|greater than)\b")
_FROM = re.compile(
    r"\b(?:since|at least|not? (?:less|earlier|shorter|older|fewer) than|not (?:before|under|below))\b|"
    r"\bstarting (?:in|from|at)\b|\bonwards?\b|\bor (?:more|later|longer|over|after|newer)\b"
)
_YEAR = re.compile(r"(?<![\d.,])(1[5-9]\d\d|20\d\d)(?![\d])")
_SHORT_YEAR = re.compile(r"(?<![\w])['’](\d\d)(?![\ds])")
_DECADE = re.compile(r"(?<!\d)(?:(1[5-9]\d|20\d)0|['’]?([2-9])0)['’]?s\b")
_DECADE_WORD = re.compile(rf"\b({'|'.join(_DECADES)})\b")
_CENTURY = re.compile(rf"\b(?:(1[5-9]|2[01])(?:st|nd|rd|th)|({'|'.join(_CENTURIES)}))[- ]century\b")
_THIRD = re.compile(r"\b(early|mid|middle|late)\b")
_THIRDS = {"early": (0, 4), "mid": (3, 7), "middle": (3, 7), "late": (5, 9)}
_BETWEEN = re.compile(r"^\W*(?:between\s+|from\s+)?['’]?\d{2,4}\s*(?:[-–—/]|to|and|until|through)\s*['’]?\d{2,4}\W*$")

_HALF_HOUR = re.compile(r"\bhalf an hour\b")
_HOURS = re.compile(
    rf"\b({_NUMBER}|an?)[- ]?(?:(and a half|and a quarter)[- ])?"
    r"(?:hours?|hrs?|h)(?![a-z])\.?(?:\s(and a half|and a quarter))?"
)
_MINUTES = re.compile(rf"(?<![a-z])({_NUMBER})[- ]?(?:minutes?|mins?|m|['’′])(?![a-z])")
_AFTER_HOURS = re.compile(r"^[\s,]*(?:and\s+)?(\d{1,2})\b")
_CLOCK = re.compile(r"^\D*?(\d{1,2}):([0-5]\d)(?::([0-5]\d))?\D*$")
_ISO = re.compile(r"^pt(?:(\d+)h)?(?:(\d+)m)?(?:\d+s)?$")
_PAGES = re.compile(rf"(?<![a-z])({_NUMBER})[- ]pages?\b")
_PLAIN = re.compile(r"^\W*(\d+(?:[.,]\d+)*)\W*$")

_CURRENCIES = {
    "$": "usd", "us$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd", "bucks": "usd",
    "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur",
    "£": "gbp", "gbp": "gbp", "pound": "gbp", "pounds": "gbp",
    "¥": "jpy", "jpy": "jpy", "yen": "jpy",
}  # fmt: skip
_CURRENCY = re.compile(r"us\$|[$€£¥]|\b(?:usd|eur|gbp|jpy|dollars?|bucks|euros?|pounds?|yen)\b")
_AMOUNT = re.compile(rf"(?<![a-z])({_NUMBER})")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_FREE = re.compile(r"\b(?:free|no charge|no cost)\b")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; one number where they are equal.

    Attributes:
        low: may be minus infinity (“before 1990”).
        high: may be infinity.
        unit: of prices the currency, empty where none is named; of lengths `minutes` or `pages`.
    """

    low: float
    high: float
    unit: str = ""

    @property
    def is_open(self) -> bool:
        """Whether one end is free."""
        return math.isinf(self.low) or math.isinf(self.high)

    def distance(self, other: Range) -> float:
        """The gap to another range; 0 where they meet."""
        return max(0.0, other.low - self.high, self.low - other.high)


@lru_cache(maxsize=1 << 14)
def years(text: str) -> Range | None:
    """The years that a text names: `1994`, `'94`, `the early nineties`, `before 1980`, `1994-1996`; None for none."""
    text = _plain(text)
    found = _years(text)
    if found is None:
        return None
    return _compared(text, found, step=1)


@lru_cache(maxsize=1 << 14)
def lengths(text: str) -> Range | None:
    """Minutes or pages that a text names: `two and a half hours`, `1h 52m`, `90-minute`, `over 300 pages`."""
    text = _plain(text)
    if (found := _PAGES.search(text)) is not None:
        return _compared(text, _one(_value(found[1]), "pages"), step=1)
    amount = _minutes(text)
    return None if amount is None else _compared(text, _one(amount, "minutes"), step=0)


@lru_cache(maxsize=1 << 14)
def price(text: str) -> Range | None:
    """A price with its currency: `$19.99`, `20 euros`, `under £5`, `free`."""
    text = _GROUPED.sub("", _plain(text))
    if _FREE.search(text):
        return Range(0.0, 0.0)
    amounts = [_value(found) for found in _AMOUNT.findall(text)]
    if not amounts or len(amounts) > 2:
        return None
    money = _CURRENCY.search(text)
    return _compared(text, Range(min(amounts), max(amounts), "" if money is None else _CURRENCIES[money[0]]), step=0)


def number(text: str) -> float | None:
    """A bare number; None for anything else."""
    found = _PLAIN.match(_GROUPED.sub("", text.strip()))
    return None if found is None or found[1].count(".") + found[1].count(",") > 1 else _value(found[1])


def _plain(text: str) -> str:
    return " ".join(fold(text[:MAX_CHARS]).split())


def _years(text: str) -> Range | None:
    spans = [_decade(text, match) for match in _DECADE.finditer(text)]
    spans += [_decade(text, match) for match in _DECADE_WORD.finditer(text)]
    for match in _CENTURY.finditer(text):
        nth = int(match[1]) if match[1] else _CENTURIES[match[2]]
        spans.append(Range(100.0 * (nth - 1), 100.0 * nth - 1))
    if not spans:
        spans = [_one(float(match)) for match in _YEAR.findall(text)]
        spans += [_one(float(_full_year(int(match)))) for match in _SHORT_YEAR.findall(text)]
    if not spans:
        return None
    if len(spans) > 1 and not _BETWEEN.match(text) and not text.startswith(("between", "from")):
        return None  # two years that are no span say two things
    return Range(min(span.low for span in spans), max(span.high for span in spans))


def _decade(text: str, match: re.Match[str]) -> Range:
    if match.re is _DECADE_WORD:
        first = 1900 + _DECADES[match[1]]
    else:
        first = 10 * int(match[1]) if match[1] else 1900 + 10 * int(match[2])
    third = [found[1] for found in _THIRD.finditer(text, 0, match.start())]
    start, end = _THIRDS[third[-1]] if third else (0, 9)
    return Range(float(first + start), float(first + end))


def _full_year(short: int) -> int:
    return 2000 + short if short < 30 else 1900 + short


def _minutes(text: str) -> float | None:
    if (clock := _CLOCK.match(text)) is not None:
        first, second, third = (int(part) if part else None for part in clock.groups())
        return (
            None if first is None or second is None else 60.0 * first + second if third is None or first < 10 else None
        )
    if (iso := _ISO.match(text)) is not None and any(iso.groups()):
        return 60.0 * int(iso[1] or 0) + int(iso[2] or 0)
    if _HALF_HOUR.search(text):
        return 30.0
    hours, minutes = _HOURS.search(text), _MINUTES.search(text)
    if hours is None:
        return None if minutes is None else _value(minutes[1])
    more = {"and a half": 30.0, "and a quarter": 15.0}.get(hours[2] or hours[3] or "", 0.0)
    total = 60.0 * (1.0 if hours[1] in ("a", "an") else _value(hours[1])) + more
    if minutes is not None and minutes.start() >= hours.end():
        return total + _value(minutes[1])
    if (bare := _AFTER_HOURS.match(text[hours.end() :])) is not None:
        return total + int(bare[1])
    return total


def _compared(text: str, found: Range, step: int) -> Range:
    if _BETWEEN.match(text):
        return found
    # The wider wordings first: "no later than" holds "later than".
    if _UP_TO.search(text):
        return Range(-math.inf, found.high, found.unit)
    if _FROM.search(text):
        return Range(found.low, math.inf, found.unit)
    if _BELOW.search(text):
        return Range(-math.inf, found.low - step, found.unit)
    if _ABOVE.search(text):
        return Range(found.high + step, math.inf, found.unit)
    return found


def _one(value: float, unit: str = "") -> Range:
    return Range(value, value, unit)


def _value(text: str) -> float:
    if text[0].isdigit():
        return float(text.replace(",", "."))
    return float(sum(_NUMBERS[word] for word in re.split(r"[- ]", text)))
