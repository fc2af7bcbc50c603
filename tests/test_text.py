"""Foreign text made harmless, and numbers as people read them."""

from __future__ import annotations

import json

import pytest

from audit import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\x9b2J", r"\x9b2J"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("Amélie 七人の侍 שלום", "Amélie 七人の侍 שלום"),
        ("two\nlines\tand tabs", "two\nlines\tand tabs"),
    ],
)
def test_controls_are_written_out_and_languages_are_left_alone(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a | b", r"a \| b"),
        ("`code`", r"\`code\`"),
        ("<img onerror=x>", "&lt;img onerror=x&gt;"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("http://evil.example", "http&#58;//evil.example"),
        ("ask @admin", "ask &#64;admin"),
        ("NDCG@10", "NDCG@10"),
        ("one\n# two", r"one \# two"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_markdown_shows_text_as_it_is(raw: str, shown: str) -> None:
    assert text.markdown(raw) == shown


def test_json_keeps_its_meaning_without_the_characters() -> None:
    value = {"a": "x\x9b\u202e\U000e0041 é"}
    safe = text.json_safe(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(safe) == value
    assert not {"\x9b", "\u202e", "\U000e0041"} & set(safe)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (-0.2, "−0.200"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (0.0001, "<0.001"),
        (-0.0001, ">−0.001"),
        (12.34, "12.3"),
        (54321.0, "54,321"),
        (None, "—"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.063, "6.3%"), (0.5, "50%"), (0.0, "0%"), (1.0, "100%"), (0.0004, "under 0.1%"), (0.9995, "over 99.9%")],
)
def test_shares_are_never_rounded_to_certainty(value: float, shown: str) -> None:
    assert text.percent(value) == shown


@pytest.mark.parametrize(("n", "shown"), [(7.2, 8), (1542, 1600), (100, 100), (101, 110), (343, 350)])
def test_sample_sizes_are_rounded_up(n: float, shown: int) -> None:
    assert text.rounded_up(n) == shown


def test_lists_and_counts_read_well() -> None:
    assert text.listed(["a", "b", "c"]) == "a, b and c"
    assert text.count(1, "query", "queries") == "1 query"
    assert text.count(1200, "query", "queries") == "1,200 queries"
