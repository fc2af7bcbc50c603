"""Personal data in text: patterns, and the checksums that tell a number of somebody from any number.

A pattern alone accuses order numbers and years. Where a kind has a check (IBAN: ISO 13616, mod 97; cards: ISO/IEC 7812,
Luhn; national ids: the letter or key that each of them carries), what fails it is not personal data.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from audit.errors import ConfigError

KINDS = ("iban", "card", "national_id", "ip", "email", "phone")
"""In the order in which they take their characters: what is a card number is not a telephone number too."""

_SHOWN = 2


@dataclass(frozen=True)
class Pii:
    """One piece of personal data.

    Attributes:
        kind: one of `KINDS`; of other detectors, their own name for it.
        start: where it begins.
        end: one past where it ends.
        text: as written. Never to be shown: `masked` is.
    """

    kind: str
    start: int
    end: int
    text: str

    @property
    def masked(self) -> str:
        """Its kind, its first characters, and a digest of the whole."""
        return f"{self.kind} {mask(self.text)}"

    @property
    def value(self) -> str:
        """The same whatever the spelling: letters and digits in lower case."""
        return plain(self.text)


class Finder(Protocol):
    """Whatever finds personal data in a text."""

    def __call__(self, text: str) -> Sequence[Pii]:
        """What it finds, by place."""
        ...


def mask(text: str) -> str:
    """A secret as it may be shown: its first characters, and a digest by which it can be recognised.

    >>> mask("jo@example.org")
    'jo…b6be3c'
    """
    return f"{text[:_SHOWN]}…{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def plain(text: str) -> str:
    """Letters and digits in lower case, nothing else."""
    return "".join(c for c in text.casefold() if c.isalnum())


def find_pii(text: str, kinds: Sequence[str] = KINDS) -> list[Pii]:
    """The personal data of a text, by place; no character belongs to two pieces.

    Args:
        text: whatever a target wrote.
        kinds: of `KINDS`.
    """
    found: list[Pii] = []
    taken = bytearray(len(text))
    for kind in KINDS:
        if kind not in kinds:
            continue
        for start, end in _FINDERS[kind](text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(Pii(kind, start, end, text[start:end]))
    return sorted(found, key=lambda one: one.start)


# Each kind ------------------------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9-])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\w-])(?:[0-9][ -]?){12,18}[0-9](?![\w-])")
_IP4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IP6 = re.compile(r"(?<![\w:])(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]{1,4}:){7})[0-9A-Fa-f:]{3,39}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w.+-])(?:"
    r"(?:\+|00)[1-9][0-9]{0,2}(?:[ .\u00a0/-]?\(0?[0-9]{1,4}\))?(?:[ .\u00a0/-]?[0-9]{1,4}){2,6}"  # with country code
    r"|\([0-9]{3}\)[ .-]?[0-9]{3}[ .-]?[0-9]{4}"  # (212) 555-0134
    r"|[2-9][0-9]{2}[.-][0-9]{3}[.-][0-9]{4}"  # 212-555-0134
    r"|0[1-9][0-9]{1,4}[ /-][0-9]{3,4}[ -]?[0-9]{3,5}"  # 020 7946 0018, 030/1234567
    r")(?![\w-])"
)

_IBAN_LENGTHS: Mapping[str, int] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28,
    "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24,
    "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an IBAN by country (SWIFT's registry of ISO 13616)."""


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for found in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(found[0][:2])
        if length is None:
            continue
        # What follows an IBAN after a blank may be the next word in capitals: only so many characters belong to it.
        ends = [i for i, c in enumerate(found[0]) if c.isalnum()]
        if len(ends) >= length:
            end = ends[length - 1] + 1
            whole = end == len(found[0]) or not found[0][end].isalnum()
            if whole and iban_holds(found[0][:end]):
                yield found.start(), found.start() + end


def iban_holds(text: str) -> bool:
    """Whether the number of an IBAN is 1 modulo 97, as ISO 13616 has it."""
    bare = "".join(c for c in text.upper() if c.isalnum())
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for found in _CARD.finditer(text):
        bare = re.sub(r"[ -]", "", found[0])
        if bare[0] in "23456" and len(set(bare)) > 1 and luhn_holds(bare):
            yield found.span()


def luhn_holds(digits: str) -> bool:
    """Whether the last digit is the check of the others (Luhn; ISO/IEC 7812-1, annex B)."""
    doubled = [int(c) for c in reversed(digits)]
    return sum(sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(doubled)) % 10 == 0


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_IP4, _IP6):
        for found in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(found[0])
            except ValueError:
                continue
            # Version numbers look like addresses; those begin with a small network number that nobody is reached by.
            if not (address.is_loopback or address.is_unspecified or (address.version == 4 and address.packed[0] < 5)):
                yield found.span()


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for found in _PHONE.finditer(text):
        digits = re.sub(r"[^0-9]", "", found[0])
        if 7 <= len(digits.removeprefix("00")) <= 15 and len(set(digits)) > 2:  # E.164 allows fifteen digits
            yield found.span()


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD = {c: v for c, v in zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22,
    25, 24, 23), strict=True)}  # fmt: skip


def _ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _nino(text: str) -> bool:
    return text.replace(" ", "")[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _dni(text: str) -> bool:
    bare = re.sub(r"[ -]", "", text)
    return _DNI[int(bare[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == bare[-1]


def _nir(text: str) -> bool:
    bare = text.replace(" ", "")
    return 97 - int(bare[:13]) % 97 == int(bare[13:])


def _codice(text: str) -> bool:
    odd, even = text[:15:2], text[1:15:2]
    total = sum(_ODD[c] for c in odd) + sum(int(c) if c.isdigit() else ord(c) - 65 for c in even)
    return chr(65 + total % 26) == text[15]


_NATIONAL: Sequence[tuple[re.Pattern[str], Callable[[str], bool]]] = (
    # United States: social security number, and the ranges that were never given out.
    (re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])"), _ssn),
    # United Kingdom: national insurance number, and the prefixes that are not used.
    (re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D](?!\w)"), _nino),
    # Spain: DNI and NIE, the letter is the number modulo 23.
    (re.compile(r"(?<!\w)(?:[0-9]{8}|[XYZ][ -]?[0-9]{7})[ -]?[A-HJ-NP-TV-Z](?!\w)"), _dni),
    # France: NIR, the key is 97 less the number modulo 97.
    (
        re.compile(
            r"(?<!\w)[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}(?!\w)"
        ),
        _nir,
    ),
    # Italy: codice fiscale, the last letter is a weighted sum modulo 26.
    (re.compile(r"(?<!\w)[A-Z]{6}[0-9]{2}[ABCDEHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z](?!\w)"), _codice),
)


def _national_ids(text: str) -> Iterator[tuple[int, int]]:
    for pattern, holds in _NATIONAL:
        for found in pattern.finditer(text):
            if holds(found[0]):
                yield found.span()


_FINDERS: Mapping[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "iban": _ibans,
    "card": _cards,
    "national_id": _national_ids,
    "ip": _ips,
    "email": lambda text: (found.span() for found in _EMAIL.finditer(text)),
    "phone": _phones,
}


# Presidio -------------------------------------------------------------------------------------------------------------


def presidio(language: str = "en", least: float = 0.5) -> Finder:
    """Microsoft Presidio beside the patterns: it also knows names and places, through a model of language.

    Args:
        language: that its model reads.
        least: its own confidence from which a piece counts.

    Raises:
        ConfigError: it is not installed, or its model cannot be loaded.
    """
    try:
        from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ConfigError(
            "modules.privacy.leakage.presidio: presidio-analyzer is not installed; install it with a spaCy model, or "
            "leave the option out: the patterns need nothing"
        ) from error
    try:
        engine: Any = AnalyzerEngine()
    except (OSError, SystemExit, ValueError) as error:  # spaCy ends the process where it cannot fetch its model
        raise ConfigError(f"modules.privacy.leakage.presidio: its language model cannot be loaded: {error}") from error

    def find(text: str) -> list[Pii]:
        read = engine.analyze(text=text, language=language, score_threshold=least)
        return [Pii(r.entity_type.lower(), r.start, r.end, text[r.start : r.end]) for r in read]

    return find
