"""Whatever a model writes can be read: lists, titles, mentions and claims, in time that grows with the text."""

from __future__ import annotations

from fuzz_inputs import TEXTS, fuzzed, spoiled, swiftly
from hypothesis import given
from hypothesis import strategies as st

from audit.claims.extraction.extract import extract
from audit.grounding import Grounder, is_refusal, parse_list
from audit.types import Catalog, Event, Item, Request, User

CATALOG = Catalog(
    [
        Item(
            "heat", "Heat (1995)", attributes={"year": 1995, "genres": ("Crime", "Drama"), "director": "Michael Mann"}
        ),
        Item("alien", "Alien (1979)", attributes={"year": 1979, "genres": ("Horror", "Sci-Fi"), "studio": "Fox"}),
        Item("net", "Net, The (1995)", attributes={"year": 1995, "genres": ("Sci-Fi", "Thriller")}),
        Item("story", "Toy Story (1995)", attributes={"year": 1995, "genres": ("Animation", "Children's")}),
        Item("odd", "=1+1 <b>{title}</b> | \u202e"),
    ]
)
GROUNDER = Grounder(CATALOG)
REQUEST = Request(User("u", (Event(CATALOG["story"]),)), task="answer", k=3)

_LISTS = (
    '["Heat", "Alien"]',
    'Sure!\n```json\n{"recommendations": [{"title": "Heat", "year": 1995, "reason": "tense"}]}\n```\nEnjoy.',
    "1. **Heat** (1995) - a fine film\n   - Genre: Crime\n2) [Alien](https://example.org) : also fine",
    "| # | Title | Year |\n|---|---|---|\n| 1 | Heat | 1995 |\n| 2 | Up | 2009 |",
    "<ol><li><b>Heat</b> (1995)</li><li>Fast &amp; Furious</li></ol>",
    "You liked:\n- Up\n\nI recommend “Heat” — tense, or *Alien*.",
    "<think>1. Up</think>I'm sorry, as an AI language model I cannot recommend Heat<|im_end|>",
)
_CLAIMS = (
    "Heat (1995) is a crime film directed by Michael Mann; it runs 170 minutes and won an Academy Award.",
    "Since you liked Toy Story, I think the early nineties' Net, The costs $9.99. It is not a horror film.",
    '{"title": "Heat", "year": 1996, "genre": "Comedy"}',
    "| Title | Genre |\n|---|---|\n| Heat | Crime, Drama |",
    "It stars Al Pacino, Robert De Niro, and J. R. R. Tolkien. Is it a comedy? Perhaps.",
)
# What backtracks: a few characters, many times, then something that does not fit.
_REPEATED = st.builds(
    lambda piece, times, tail: piece * times + tail,
    st.sampled_from(
        ["(", ")", "[", "{", '"', "'", "*", "_", "- ", "1. ", "| ", "\n", " ", "<b>", "&", "\\", "a ", "A. ", "the ",
         "not ", "and ", ", ", "Heat ", "Heat, ", "1995 ", "I can't ", "genre: ", "It is a ", "“", "`", "\u0301", ".",
         "…", "#", "=", "🎬", "by A ", "<think>", '{"a":', '["', "19", "Mr. ", "you liked ", "minutes ", "$1 ", "or "]
    ),
    st.integers(1, 1500),
    TEXTS,
)  # fmt: skip
ANSWERS = spoiled(*_LISTS, *_CLAIMS) | _REPEATED | TEXTS


@fuzzed
@given(ANSWERS)
def test_the_parser_reads_any_answer(text: str) -> None:
    found = swiftly(lambda: parse_list(text))
    for entry in found.entries:
        assert 0 <= entry.start <= entry.end <= len(text)
    assert isinstance(swiftly(lambda: is_refusal(text)), bool)


@fuzzed
@given(ANSWERS)
def test_the_matcher_names_only_items_that_exist(text: str) -> None:
    listed = swiftly(lambda: GROUNDER.ground_list(text, k=5))
    titles = swiftly(lambda: GROUNDER.ground_titles([text, text[:30]]))
    mentions = swiftly(lambda: GROUNDER.ground_mentions(text))
    named = [entry.item_id for found in (listed, titles) for entry in found.ranked if entry.item_id is not None]
    assert set(named) <= set(CATALOG)
    for mention in mentions:
        assert text[mention.start : mention.end]


@fuzzed
@given(ANSWERS)
def test_claims_are_read_from_any_answer(text: str) -> None:
    for claim in swiftly(lambda: extract(text, REQUEST, GROUNDER)):
        assert 0 <= claim.start < claim.end <= len(text)
        assert claim.item_id is None or claim.item_id in CATALOG
