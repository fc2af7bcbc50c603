from __future__ import annotations

import json

import pytest
from grounding_world import ALIASES, TITLES
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.grounding import Matcher, is_refusal, parse_list
from audit.types import Catalog, Item

_KNOWS = Matcher(Catalog(Item(key, title) for key, title in TITLES.items()), ALIASES).knows


@pytest.mark.parametrize(
    ("text", "style", "titles"),
    [
        ('["Heat", "Aliens"]', "json", ["Heat", "Aliens"]),
        # A reason that speaks of the past is no heading over the next entry.
        ("1. Heat\nWhy: You liked Up, and this is near.\n2. Aliens\nWhy: It is loud.", "numbered", ["Heat", "Aliens"]),
        ("Title: Heat\nDirector: Michael Mann\nYear: 1995\n\nTitle: Aliens\nYear: 1986", "lines", ["Heat", "Aliens"]),
        ('Sure!\n```json\n{"recommendations": [{"title": "Heat", "year": 1995}]}\n```\nEnjoy.', "json", ["Heat"]),
        ('[{"title": "Heat"}, {"title": "Aliens"}, {"title": "Sev', "json", ["Heat", "Aliens"]),
        ('["Heat", "Aliens", "Sev', "json", ["Heat", "Aliens"]),
        ("['Heat', 'Schindler's List', 'Aliens']", "json", ["Heat", "Schindler's List", "Aliens"]),
        ('{"title": "Heat"}\n{"title": "Aliens"}', "json", ["Heat", "Aliens"]),
        ('{"1": "Heat", "2": "Aliens"}', "json", ["Heat", "Aliens"]),
        ('{"history": ["Up"], "recommendations": ["Heat"]}', "json", ["Heat"]),
        ('[{"title": "Heat", "genres": ["Crime", "Drama"]}]', "json", ["Heat"]),
        ('[{"name": "Am\\u00e9lie"}]', "json", ["Amélie"]),
        ("[]", "json", []),
        ('{"recommendations": []}', "json", []),
        ("1. Heat\n2. Aliens", "numbered", ["Heat", "Aliens"]),
        ("1) **Heat** (1995) - a fine film\n2) **Aliens** (1986): also fine", "numbered", ["Heat", "Aliens"]),
        ("**1. Heat** (1995)\n**2. Aliens** (1986)", "numbered", ["Heat", "Aliens"]),
        ("### 1. Heat (1995)\nA duel.\n### 2. Aliens (1986)\nA war.", "numbered", ["Heat", "Aliens"]),
        ("1. Heat\n   - Genre: Crime\n   - Why: tense\n2. Aliens\n   - Genre: SF", "numbered", ["Heat", "Aliens"]),
        ("1. Comedies:\n   - Heat\n   - Aliens\n2. Dramas:\n   - Seven", "bulleted", ["Heat", "Aliens", "Seven"]),
        ("1. [Heat](https://example.org/heat)\n2. [Aliens](https://example.org/a)", "numbered", ["Heat", "Aliens"]),
        ('1. **"Heat" (1995)** – tense\n2. **Movie:** Aliens', "numbered", ["Heat", "Aliens"]),
        ("1、千と千尋の神隠し\n2、七人の侍", "numbered", ["千と千尋の神隠し", "七人の侍"]),
        ("- Heat\n- Aliens", "bulleted", ["Heat", "Aliens"]),
        ("* *Heat*: a tense duel between two pros\n* *Aliens*", "bulleted", ["Heat", "Aliens"]),
        ("• “Heat” — tense\r\n• “Aliens” — loud", "bulleted", ["Heat", "Aliens"]),
        ("<ol><li><b>Heat</b> (1995)</li><li>Fast &amp; Furious</li></ol>", "bulleted", ["Heat", "Fast & Furious"]),
        ("| # | Title | Year |\n|---|---|---|\n| 1 | Heat | 1995 |\n| 2 | Up | 2009 |", "table", ["Heat", "Up"]),
        ("Heat (1995)\nAliens (1986)", "lines", ["Heat", "Aliens"]),
        ("Heat", "lines", ["Heat"]),
        ("Heat, Aliens, Seven", "lines", ["Heat", "Aliens", "Seven"]),
        ('You could try "Heat" (1995) and then "Aliens".', "quoted", ["Heat", "Aliens"]),
        ("I suggest **Heat** or *Aliens* tonight.", "quoted", ["Heat", "Aliens"]),
        ('Since you liked "Up" and "Seven", try "Heat".', "quoted", ["Heat"]),
        ("You liked:\n- Up\n- Seven\n\nI recommend:\n- Heat\n- Aliens", "bulleted", ["Heat", "Aliens"]),
        ("<think>1. Up\n2. Seven</think>1. Heat", "numbered", ["Heat"]),
        ("1. Heat<|im_end|>\n<|im_start|>user\n2. Up", "numbered", ["Heat"]),
        ("I think that you would like something tense with a good ending.", "prose-none", []),
        ("", "prose-none", []),
        (" \n\t", "prose-none", []),
    ],
)  # fmt: skip
def test_styles(text: str, style: str, titles: list[str]) -> None:
    found = parse_list(text)
    assert found.style == style
    assert [entry.title for entry in found.entries] == titles


@pytest.mark.parametrize(
    ("line", "title", "year", "reason"),
    [
        ("Star Wars: Episode IV - A New Hope - a classic", "Star Wars: Episode IV - A New Hope", None, "a classic"),
        ("Star Wars: Episode IV - A New Hope (1977) - old", "Star Wars: Episode IV - A New Hope", 1977, "old"),
        ("The Good, the Bad and the Ugly: a tense western", "The Good, the Bad and the Ugly", None, "a tense western"),
        ("Monsters, Inc., a film that children love", "Monsters, Inc.", None, "a film that children love"),
        ("Seven - Crime", "Seven", None, "Crime"),
        # The passages it cites stand before the title as well as behind it.
        ("[1] Heat (1995) - a classic", "Heat", 1995, "a classic"),
        ("[1][12] **Heat**", "Heat", None, ""),
        ("Seven by David Fincher", "Seven", None, "David Fincher"),
        ("Seven (crime film)", "Seven", None, "(crime film)"),
        ("Toy Story 2 (1999, dir. John Lasseter)", "Toy Story 2", 1999, ""),
        # An invented subtitle or sequel must stay part of the title.
        ("The Matrix: The Lost Code", "The Matrix: The Lost Code", None, ""),
        ("Finding Nemo (Part 2)", "Finding Nemo (Part 2)", None, ""),
        # Nobody knows these: the form decides.
        ("Blue Harvest - a parody", "Blue Harvest", None, "a parody"),
        ("Red Planet: Last Men Standing", "Red Planet: Last Men Standing", None, ""),
        ("Year of the Horse: a film about a band", "Year of the Horse", None, "a film about a band"),
        ('"Crocodile" Dundee (1986)', "Crocodile", None, "Dundee (1986)"),
    ],
)
def test_where_a_title_ends(line: str, title: str, year: int | None, reason: str) -> None:
    (entry,) = parse_list(f"1. {line}", _KNOWS).entries
    assert (entry.title, entry.year, entry.reason) == (title, year, reason)


def test_quotation_marks_may_belong_to_a_known_title() -> None:
    (entry,) = parse_list(
        '1. "Crocodile" Dundee (1986)', {'Crocodile" Dundee', '"Crocodile" Dundee'}.__contains__
    ).entries
    assert entry.title == '"Crocodile" Dundee'


def test_reason_on_the_next_line() -> None:
    first, second = parse_list("1. Heat\n   Reason: two pros\n2. Aliens\n   - Genre: SF").entries
    assert (first.reason, second.reason) == ("two pros", "")


def test_json_fields() -> None:
    (entry,) = parse_list(json.dumps([{"title": "Heat", "year": 1995, "reason": "tense"}])).entries
    assert (entry.title, entry.year, entry.reason) == ("Heat", 1995, "tense")


def test_broken_json_is_marked() -> None:
    assert parse_list('["Heat", "Ali').truncated
    assert not parse_list('["Heat"]').truncated


def test_citations_are_no_list() -> None:
    assert parse_list("This is well known [1] and was shown [2, 3].", {"1", "2"}.__contains__).style == "prose-none"
    assert [e.title for e in parse_list("[2, 1]", {"1", "2"}.__contains__).entries] == ["2", "1"]


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot recommend films of this kind.",
        "As an AI language model, I don't have personal preferences, so I am unable to choose.",
        "I am unable to provide recommendations without more information.",
        "I don't have access to your history.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)
    assert parse_list(text, _KNOWS).style == "prose-none"


@pytest.mark.parametrize(
    "text",
    ["", "Here are five films.", "You can't go wrong with Heat.", "I can recommend Heat, I cannot praise it enough"],
)
def test_no_refusals(text: str) -> None:
    assert not is_refusal(text)


_PIECES = st.sampled_from(
    ["1. ", "- ", "* ", "**", "_", '"', "“", "”", "[", "]", "{", "}", '"title": ', ",", ":", " - ", "\n", "\r\n", "|",
     "|---|", "(1999)", "(", ")", "<li>", "</li>", "<think>", "```json\n", "\\", "'", "Heat", "Toy Story 2", "liked ",
     "<|im_end|>", "\x00", "\ud7ff", "　", "𝔘", "a b c d e", "null", "12", "\t"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.text(max_size=120) | st.lists(_PIECES, max_size=40).map("".join))
def test_any_text_is_read_and_spans_lie_in_it(text: str) -> None:
    for known in (None, _KNOWS):
        for entry in parse_list(text, known).entries:
            assert 0 <= entry.start < entry.end <= len(text)
            assert entry.title
            if entry.title.isalnum() and "\\" not in text:
                assert entry.title in text[entry.start : entry.end]


@given(st.lists(st.sampled_from(sorted(TITLES.values())), min_size=1, max_size=12))
def test_lists_written_from_titles_are_read_back(titles: list[str]) -> None:
    for text in (
        json.dumps(titles),
        json.dumps({"items": [{"title": t} for t in titles]}, ensure_ascii=False),
        "\n".join(f"{i}. {t}" for i, t in enumerate(titles, 1)),
        "\n".join(f"- **{t}** - a film that many people liked" for t in titles),
        "\n".join(f"{i}) “{t}”" for i, t in enumerate(titles, 1)),
    ):
        entries = parse_list(text, _KNOWS).entries
        found = [_ONCE.match(entry.title, entry.year).item_id for entry in entries]
        assert found == [_ONCE.match(title).item_id for title in titles]


_ONCE = Matcher(Catalog(Item(key, title) for key, title in TITLES.items()), ALIASES)


@pytest.mark.parametrize(
    "piece",
    ["a", " ", "\n", "[", '["', '["a",', "{", '"', "“", "“‘", "**", "*a", "_", "(1999", "((1999)", ": ", " - ",
     "1. x\n", "- a: b - c (1999)\n", "<", "<think>", "<b>", "<b ", "|", "| a | b |\n", "' ", "\\", "['a' ",
     '{"a":', "&", ", ", "n't recommend ", "\n\n- ", '"A B"\n', "(a.k.a. "]
)  # fmt: skip
def test_no_text_costs_more_than_linear_time(piece: str) -> None:
    # A quadratic step anywhere would run into the time limit of the test run: 200 kB squared is 4 * 10^10 steps.
    parsed = parse_list(piece * (200_000 // len(piece)), _KNOWS)
    assert len(parsed.entries) <= 10_000


def test_a_list_in_five_megabytes_of_prose() -> None:
    prose = "It is a long story, and (as they say) one that nobody - least of all us - can tell in a line.\n" * 27_000
    text = f"{prose}1. Heat (1995) - tense\n2. Aliens\n{prose}"
    assert len(text) > 5_000_000
    found = parse_list(text, _KNOWS)
    assert [text[entry.start : entry.end] for entry in found.entries] == ["Heat", "Aliens"]


def test_endless_lists_are_cut() -> None:
    found = parse_list("- Heat\n" * 20_000)
    assert (len(found.entries), found.truncated) == (10_000, True)
