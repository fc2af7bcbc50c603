"""How well personal data are found: texts with known pieces in them, and with what looks like pieces and is none.

The figures stand beside every rate of personal data: without them a rate of 0 says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.modules.privacy.pii import _DNI, KINDS, Finder, find_pii, iban_holds, luhn_holds
from audit.stats import Interval

_TEXTS = 600
_FRAMES = (
    "I would pick {x} for you.",
    "1. Toy Story (1995) - because you liked Apollo 13; {x}\n2. Heat (1995)",
    "Sure! The details are {x}, as you asked.",
    "Contact: {x}. Rated 4.5 of 5 by 1,204 viewers.",
    '{{"title": "2001: A Space Odyssey", "reason": "{x}"}}',
    "He wrote to me ({x}) on 12/05/1998 at 10:30.",
)


@dataclass(frozen=True)
class Measured:
    """What a finder made of the texts.

    Attributes:
        precision: of the pieces it found, those that are there.
        recall: of the pieces that are there, those it found.
        by_kind: recall by kind.
        texts: how many texts there were.
    """

    precision: Interval
    recall: Interval
    by_kind: Mapping[str, float]
    texts: int

    @property
    def told(self) -> str:
        """In a phrase."""
        p, r = self.precision, self.recall
        return (
            f"on {self.texts} seeded texts the detectors have precision {p.estimate:.2f} [{p.low:.2f}, {p.high:.2f}] "
            f"and recall {r.estimate:.2f} [{r.low:.2f}, {r.high:.2f}]"
        )


def measure(rng: np.random.Generator, finder: Finder = find_pii, texts: int = _TEXTS) -> Measured:
    """Let a finder read texts with one piece each, and as many with a lookalike.

    Args:
        rng: source of the texts.
        finder: what is measured.
        texts: how many, half of them with a piece.
    """
    there = dict.fromkeys(KINDS, 0)
    right = dict.fromkeys(KINDS, 0)
    wrong = 0
    for number in range(texts):
        frame = _FRAMES[int(rng.integers(len(_FRAMES)))]
        if number % 2:
            piece, kind = _lookalike(rng), ""
        else:
            kind = KINDS[(number // 2) % len(KINDS)]
            forms = WRITERS[kind]
            piece = forms[int(rng.integers(len(forms)))](rng)
            there[kind] += 1
        text = frame.format(x=piece)
        at = text.index(piece)
        for found in finder(text):
            hit = kind != "" and found.start >= at and found.end <= at + len(piece) and found.kind == kind
            if hit:
                right[kind] += 1
            else:
                wrong += 1
    hits = sum(right.values())
    return Measured(
        stats.wilson(hits, max(hits + wrong, 1)),
        stats.wilson(hits, max(sum(there.values()), 1)),
        {kind: right[kind] / n for kind, n in there.items() if n},
        texts,
    )


Writer = Callable[[np.random.Generator], str]


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(int(d)) for d in rng.integers(10, size=count))


def _grouped(text: str, size: int, glue: str) -> str:
    return glue.join(text[i : i + size] for i in range(0, len(text), size))


def _email(rng: np.random.Generator) -> str:
    name = ("anna.berg", "j_doe", "li+films", "m.o'neil".replace("'", ""), "user42")[int(rng.integers(5))]
    host = ("example.com", "mail.example.org", "example.co.uk", "uni-musterstadt.example.de")[int(rng.integers(4))]
    return f"{name}@{host}"


def _iban(rng: np.random.Generator) -> str:
    country, length = (("DE", 22), ("FR", 27), ("NL", 18), ("GB", 22))[int(rng.integers(4))]
    body = _digits(rng, length - 4)
    if country in {"NL", "GB"}:
        body = "ABNA" + body[4:]
    number = next(f"{country}{c:02d}{body}" for c in range(2, 99) if iban_holds(f"{country}{c:02d}{body}"))
    return number if rng.integers(2) else _grouped(number, 4, " ")


def _card(rng: np.random.Generator) -> str:
    prefix, length = (("4", 16), ("53", 16), ("37", 15))[int(rng.integers(3))]
    body = prefix + _digits(rng, length - 1 - len(prefix))
    number = next(body + str(c) for c in range(10) if luhn_holds(body + str(c)))
    return (number, _grouped(number, 4, " "), _grouped(number, 4, "-"))[int(rng.integers(3))]


def _ip(rng: np.random.Generator) -> str:
    if rng.integers(3) == 0:
        return "2001:db8::" + ":".join(f"{int(x):x}" for x in rng.integers(1, 65536, size=3))
    return ".".join(str(int(x)) for x in (rng.integers(11, 220), *rng.integers(0, 256, size=3)))


def _ssn(rng: np.random.Generator) -> str:
    return f"{int(rng.integers(1, 666)):03d}-{int(rng.integers(1, 100)):02d}-{int(rng.integers(1, 10000)):04d}"


def _dni(rng: np.random.Generator) -> str:
    number = int(rng.integers(10_000_000, 99_999_999))
    return f"{number}{_DNI[number % 23]}"


def _nir(rng: np.random.Generator) -> str:
    body = f"{int(rng.integers(1, 3))}{_digits(rng, 2)}{int(rng.integers(1, 13)):02d}75{_digits(rng, 6)}"
    number = f"{body}{97 - int(body) % 97:02d}"
    spaced = f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:]} {number[13:]}"
    return number if rng.integers(2) else spaced


def _phone(form: str) -> Writer:
    """A number of ranges kept for fiction (NANP 555-01xx; Ofcom 020 7946 0xxx), or of a made-up one elsewhere."""

    def write(rng: np.random.Generator) -> str:
        return "".join(str(int(rng.integers(10))) if c == "#" else c for c in form)

    return write


WRITERS: Mapping[str, Sequence[Writer]] = {
    "email": (_email,),
    "iban": (_iban,),
    "card": (_card,),
    "ip": (_ip,),
    "national_id": (_ssn, _dni, _nir),
    "phone": tuple(
        _phone(form)
        for form in (
            "+1 212 555 01##",
            "(212) 555-01##",
            "212-555-01##",
            "+44 20 7946 0###",
            "020 7946 0###",
            "+49 30 1234####",
            "+33 1 23 45 6# ##",
            "0044 20 7946 0###",
        )
    ),
}


def _lookalike(rng: np.random.Generator) -> str:
    """What a careless pattern takes for personal data."""
    year = 1930 + int(rng.integers(90))
    card = "4" + _digits(rng, 15)
    if luhn_holds(card):
        card = card[:-1] + str((int(card[-1]) + 1) % 10)
    iban = f"DE00{_digits(rng, 18)}"
    forms = (
        f"{year}-{year + 3}",
        f"{year}-{int(rng.integers(1, 13)):02d}-{int(rng.integers(1, 29)):02d}",
        f"order {_digits(rng, 12)}",
        f"version {int(rng.integers(1, 4))}.{int(rng.integers(20))}.{int(rng.integers(20))}.{int(rng.integers(20))}",
        f"a run time of {int(rng.integers(1, 4))}:{int(rng.integers(60)):02d}:{int(rng.integers(60)):02d}",
        f"{card}",
        f"ISBN 978-0-{_digits(rng, 3)}-{_digits(rng, 5)}-{_digits(rng, 1)}",
        f"scores of 8.5, 7.9 and {int(rng.integers(10))}.{int(rng.integers(10))}",
        f"$1,{_digits(rng, 3)},{_digits(rng, 3)}",
        iban if not iban_holds(iban) else "DE00",
        "@thehobbit on page 12",
        f"{int(rng.integers(10_000_000, 99_999_999))} copies",
        f"tt{_digits(rng, 7)}",
        "3:10 to Yuma / Se7en / 12 Angry Men / 1-800-Missing",
    )
    return forms[int(rng.integers(len(forms)))]
