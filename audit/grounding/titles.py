"""What two spellings of one title have in common.

`normalise` undoes the accidents of writing (accents, case, MovieLens article order, the year behind the title, roman
numerals) and nothing else: two titles with equal normal forms are the same title, so it must not fold what tells titles
apart.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MAX_TITLE_CHARS = 2000
"""Characters of a title that are read; the rest of a longer one is ignored, so that hostile input stays cheap."""

ARTICLES_DROPPED = ("the", "a", "an")

_ARTICLES_MOVED = (
    "the|a|an|le|la|les|el|il|der|die|das|"  # as MovieLens writes them
    "los|las|lo|gli|un|une|una|ein|eine|het|det|den"
)
_TRAILING_ARTICLE = re.compile(
    rf"(?P<body>[^,].*), (?P<article>{_ARTICLES_MOVED}|l'|l’)\s*(?P<subtitle>:.*)?", re.DOTALL
)
_LEADING_ARTICLE = re.compile(rf"(?:{'|'.join(ARTICLES_DROPPED)})\s+(?=\w)")
_YEAR_NOTE = re.compile(r"(?P<year>(?:18|19|20)\d\d)\s*(?:[-–/]\s*(?:\d{2,4}|present)?)?\s*(?:[,;].*)?", re.DOTALL)
_AKA = re.compile(r"(?:a\.?\s?k\.?\s?a\b\.?|also known as)[\s:]*")
_MEDIUM_NOTES = frozenset({"v", "tv", "vg"})
_EDITION_WORDS = frozenset(
    "cut edition version remastered restored uncut extended unrated special anniversary original remake "
    "film movie series miniseries season volume vol part episode chapter book novel album soundtrack".split()
)
_COUNTED = re.compile(r"(?:vol|volume|pt|part|no|nr|ep|episode|season|series|s|v|book|ch|chapter|disc|cd)\d+[a-z]?")
_ROMAN = re.compile(r"(?=[xvi])(?P<tens>x{0,3})(?P<units>ix|iv|v?i{0,3})")
_ROMAN_UNITS = {"": 0, "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9}
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7"}
_MAX_NOTES = 6


@dataclass(frozen=True)
class NormalisedTitle:
    """The normal form of a title.

    Attributes:
        text: tokens joined by one space. Empty only when the title is blank.
        year: the year in brackets behind the title, if any.
        aliases: normal forms of the other names the title itself gives: "(a.k.a. …)" parts, a bracketed second title.
        shorter: normal forms that say less than `text` and yet name the same item: without a bracketed remark,
            or with spelled letters joined (M.A.S.H., mash).
    """

    text: str
    year: int | None = None
    aliases: tuple[str, ...] = ()
    shorter: tuple[str, ...] = ()


def normalise(title: str) -> NormalisedTitle:
    """Reduce a title to what all its spellings share.

    In order: mend UTF-8 read as Latin-1; NFKD; drop diacritics; casefold; move a trailing `(YYYY)` into `year` and
    `(a.k.a. …)` into `aliases`; put a trailing article in front; `&` to `and`; punctuation to spaces; drop a leading
    the, a, an; a roman numeral as last token to arabic; squeeze spaces. Marks that spell in other scripts (dakuten,
    Indic vowel signs, Thai tones) stay. A title of nothing but punctuation keeps its punctuation.

    Args:
        title: any text; only its first `MAX_TITLE_CHARS` characters are read.

    Returns:
        The normal form. `normalise(n.text).text == n.text` does not hold in general: a year is taken away once.
    """
    return _normalise(title[:MAX_TITLE_CHARS])


@lru_cache(maxsize=1 << 15)
def _normalise(title: str) -> NormalisedTitle:
    folded = fold(_mend_encoding(title)).strip()
    body, year, notes = _peel(folded)
    aliases: list[str] = []
    shorter: list[str] = []
    remarks: list[str] = []
    for note in notes:
        if found := _AKA.match(note):
            aliases += [_reduce(name) for name in re.split(r"\s/\s|;", note[found.end() :])]
            continue
        remarks.append(note)
        if numbers(" ".join(word for word in split_words(note) if not _is_spelled_with_digits(word))):
            continue  # "(Vol. 2)" tells items apart, so the title without it is another title
        shorter.append(_reduce(body))
        if not _EDITION_WORDS.intersection(split_words(note)) and len(note) > 3:
            aliases.append(_reduce(note))
    text = " ".join([_reduce(body), *(_reduce(remark) for remark in remarks)]).strip()
    tokens = text.split()
    if len(tokens) > 1 and all(len(token) == 1 for token in tokens):
        shorter.append("".join(tokens))
    return NormalisedTitle(
        text=text or _something(folded),
        year=year,
        aliases=tuple(dict.fromkeys(a for a in aliases if a and a != text)),
        shorter=tuple(dict.fromkeys(s for s in shorter if s and s != text)),
    )


def _is_spelled_with_digits(word: str) -> bool:
    """Whether a word merely holds a digit, as `Se7en` and `ID4` do, and `Vol2` does not: it counts nothing."""
    return word[0].isalpha() and any(c.isdigit() for c in word) and _COUNTED.fullmatch(word) is None


def fold(text: str) -> str:
    """NFKD, without diacritics, casefolded. Fractions and superscripts stand apart from the digit before them."""
    if text.isascii():
        return text.casefold()
    spaced = "".join(f" {c}" if unicodedata.decomposition(c).startswith(("<fraction>", "<super>")) else c for c in text)
    return "".join(c for c in unicodedata.normalize("NFKD", spaced) if not _is_diacritic(c)).casefold()


def split_words(folded: str) -> list[str]:
    """Tokens of folded text: runs of letters, digits and the marks that spell with them; `&` is `and`."""
    words = folded.replace("&", " and ").translate(_TO_SPACE).split()
    return words if folded.isascii() else [unicodedata.normalize("NFC", word) for word in words]


def arabic(token: str) -> str:
    """The number a token stands for if it is a roman numeral up to 39, else the token itself."""
    found = _ROMAN.fullmatch(token)
    if found is None:
        return token
    return str(10 * len(found["tens"]) + _ROMAN_UNITS[found["units"]])


def numbers(text: str) -> tuple[str, ...]:
    """The number tokens of a normal form, sorted: digits, roman numerals and number words on one scale.

    Two titles that differ here are different items however alike they look (Toy Story 2, Toy Story 3; Part One, Part
    Two).
    """
    found = []
    for token in text.split():
        value = _NUMBER_WORDS.get(token, arabic(token))
        if any(c.isdigit() for c in value):
            found.append(value.lstrip("0") or "0")
    return tuple(sorted(found))


def _is_diacritic(char: str) -> bool:
    # Combining class 0-9 and 84-132 hold the marks that spell: vowel signs, virama, nukta, dakuten, Thai and Tibetan.
    # The rest are accents, and the optional points of Hebrew and Arabic.
    if char < "\u0300":
        return False
    if char <= "\u036f":
        return True
    combining = unicodedata.combining(char)
    return combining >= 200 or 10 <= combining <= 36


class _ToSpace(dict[int, int | str | None]):
    """Translation that keeps letters, digits and marks, deletes invisible signs, and makes the rest a space."""

    def __missing__(self, code: int) -> int | str | None:
        category = unicodedata.category(chr(code))
        kept = category[0] in "LNM"
        self[code] = code if kept else None if category == "Cf" else " "
        return self[code]


_TO_SPACE = _ToSpace()


def _mend_encoding(title: str) -> str:
    """Undo UTF-8 that was read as Latin-1 or Windows-1252 (MisÃ©rables); other text is returned as it is."""
    if title.isascii() or not re.search("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u2122]", title):
        return title
    for codec in ("cp1252", "latin-1"):
        try:
            mended = title.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        if any(c.isalnum() for c in mended):  # else it only looked like mangled UTF-8
            return mended
    return title


def _peel(folded: str) -> tuple[str, int | None, list[str]]:
    """Take bracketed parts off the end: the body, the year, and the other parts in reading order."""
    year: int | None = None
    notes: list[str] = []
    body = folded
    for _ in range(_MAX_NOTES):
        if not body.endswith((")", "]")):
            break
        opening = body.rfind("(" if body.endswith(")") else "[")
        if opening <= 0:
            break  # "(500)" alone is the title itself
        note = body[opening + 1 : -1].strip()
        rest = body[:opening].rstrip()
        if not split_words(rest):
            break
        if (found := _YEAR_NOTE.fullmatch(note)) and year is None:
            year = int(found["year"])
        elif note not in _MEDIUM_NOTES:
            notes.insert(0, note)
        body = rest
    return body, year, notes


def _reduce(text: str) -> str:
    """The tokens of a folded title without its brackets."""
    text = text.strip()
    if found := _TRAILING_ARTICLE.fullmatch(text):
        text = f"{found['article']} {found['body']}{found['subtitle'] or ''}"
    text = text.lstrip("\"'“”‘’«»*_ ")
    if article := _LEADING_ARTICLE.match(text):
        text = text[article.end() :]
    tokens = split_words(text)
    if len(tokens) > 1:
        tokens[-1] = arabic(tokens[-1])
    return " ".join(tokens)


def _something(folded: str) -> str:
    """What stands for a title without a letter or digit: its signs."""
    return unicodedata.normalize("NFC", "".join(folded.split()))
