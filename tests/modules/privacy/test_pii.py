"""Personal data: published examples of each kind, what only looks like it, and the figures on seeded text."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.modules.privacy.pii import find_pii, mask, presidio
from audit.modules.privacy.pii_benchmark import measure

# Examples as their owners publish them: the IBAN registry, card networks' test numbers, RFC 5737 and 3849, the
# Spanish, French and Italian administrations, Ofcom's and NANP's numbers for fiction.
EXAMPLES = [
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "DE89370400440532013000"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606"),
    ("iban", "NO9386011117947"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5555-5555-5555-4444"),
    ("card", "378282246310005"),
    ("card", "6011111111111117"),
    ("ip", "192.0.2.146"),
    ("ip", "2001:db8:85a3::8a2e:370:7334"),
    ("national_id", "078-05-1120"),
    ("national_id", "12345678Z"),
    ("national_id", "X1234567L"),
    ("national_id", "2 69 05 49 588 157 80"),
    ("national_id", "RSSMRA85T10A562S"),
    ("national_id", "QQ123456C".replace("QQ", "AB")),
    ("phone", "+44 20 7946 0958"),
    ("phone", "(212) 555-0134"),
    ("phone", "212-555-0134"),
    ("phone", "+49 (0)30 1234567"),
    ("email", "jo.o+films@mail.example.co.uk"),
]


@pytest.mark.parametrize(("kind", "piece"), EXAMPLES)
def test_published_examples_are_found_in_their_place(kind, piece):
    text = f"1. Heat (1995): ask {piece}, or see 12 Monkeys."
    [found] = find_pii(text)
    assert (found.kind, found.text, text[found.start : found.end]) == (kind, piece, piece)


@pytest.mark.parametrize(
    "text",
    [
        "GB82 WEST 1234 5698 7654 33",  # the checksum fails
        "4111 1111 1111 1112",
        "12345678A",
        "RSSMRA85T10A562T",
        "666-12-3456",  # never given out
        "999.1.2.3",
        "version 3.4.5.6",
        "2001: A Space Odyssey (1968), 1994-1995, 1,204,332 votes, $12,000,000",
        "at 10:30:45 on 1998-05-12, ISBN 978-0-306-40615-7",
        "Se7en; 1-800-Missing; 3:10 to Yuma; 12 Angry Men; @home on page 9",
        "",
    ],
)
def test_what_only_looks_like_it_is_none(text):
    assert find_pii(text) == []


def test_kinds_that_were_not_asked_for_are_left_out():
    assert find_pii("a@example.org, +44 20 7946 0958", ["phone"])[0].kind == "phone"


def test_masked_pieces_hold_no_secret():
    [found] = find_pii("mail anna.berg@example.org")
    assert found.masked.startswith("email an…")
    assert "berg" not in found.masked
    assert mask("anna.berg@example.org") in found.masked


def test_long_texts_are_read_in_linear_time():
    for piece in ("1 2 3 4 5-", "a.b-c@", "0:", "AB", "1.", "(1)", "+1 "):
        assert isinstance(find_pii(piece * 20_000), list)


def test_figures_on_seeded_text():
    measured = measure(np.random.default_rng(3))
    assert measured.precision.low > 0.95
    assert measured.recall.low > 0.95
    assert set(measured.by_kind) == {"email", "phone", "iban", "card", "ip", "national_id"}
    assert "precision" in measured.told


def test_a_finder_that_finds_nothing_has_no_recall():
    assert measure(np.random.default_rng(3), lambda _: []).recall.estimate == 0.0


def test_presidio_is_asked_where_it_is_installed(monkeypatch):
    class Engine:
        def analyze(self, *, text, language, score_threshold):
            return [types.SimpleNamespace(entity_type="PERSON", start=0, end=4)]

    module = types.ModuleType("presidio_analyzer")
    module.AnalyzerEngine = Engine
    monkeypatch.setitem(sys.modules, "presidio_analyzer", module)
    [found] = presidio()("Anna went home")
    assert (found.kind, found.text) == ("person", "Anna")
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ConfigError, match="not installed"):
        presidio()
