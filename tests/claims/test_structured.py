"""The structured rung against the rules of the sheet, one by one."""

from __future__ import annotations

import json
import time

import pytest
from part_world import small_world

from audit.claims import Claim, Facts
from audit.claims.verification.structured import StructuredRung
from audit.types import Catalog, Event, Item, Request, User

ALIEN = Item(
    "1",
    "Alien (1979)",
    attributes={
        "year": 1979,
        "genres": ("Horror", "Sci-Fi"),
        "director": "Ridley Scott",
        "cast": ("Sigourney Weaver", "Tom Skerritt"),
        "runtime": 117,
        "price": "$9.99",
        "language": "en",
        "awards": ("Academy Award for Best Visual Effects",),
        "streaming": ("Disney Plus", "Hulu"),
        "series": "Alien Saga",
        "country": "United Kingdom",
    },
)
HEAT = Item("2", "Heat (1995)", attributes={"genres": ("Action", "Crime"), "director": "Michael Mann"})
OTHERS = (
    Item("3", "Toy Story 2 (1999)", attributes={"genres": ("Animation", "Children's", "Comedy")}),
    Item("4", "Toy Story 3 (2010)", attributes={"genres": ("Animation", "Comedy", "Romance")}),
    Item("5", "Lord of the Rings: The Two Towers, The (2002)", attributes={"genres": ("Fantasy",)}),
)
CATALOG = Catalog([ALIEN, HEAT, *OTHERS])
EVERY = frozenset({"genres", "director", "cast", "awards", "streaming", "series", "language", "country"})
HISTORY = (Event(HEAT), Event(OTHERS[0]), Event(OTHERS[2]))
REQUEST = Request(User("u", HISTORY, note="I like slow westerns."))


def ruling(predicate, said, *, complete=EVERY, item="1", request=REQUEST, rung=None, **fields):
    claim = Claim(predicate, said, "Alien", item, 0, len(said), fields.pop("sentence", said), **fields)
    return (rung or StructuredRung()).rule([claim], Facts(CATALOG, request, frozenset(complete)))[0]


def verdict(*given, **fields):
    ruled = ruling(*given, **fields)
    assert (ruled.rung is None) == (ruled.verdict == "unverifiable"), "what is decided names its rung, and nothing else"
    assert ruled.note or ruled.verdict != "unverifiable", "an open claim says why"
    return {"supported": "S", "contradicted": "X", "unverifiable": "U"}[ruled.verdict]


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ("1979", {}, "S"),
        ("1980", {}, "S"),
        ("1978", {}, "S"),
        ("1981", {}, "X"),
        ("1999", {}, "X"),
        ("'79", {}, "S"),
        ("1981", {"approximate": True}, "S"),
        ("1982", {"approximate": True}, "X"),
        ("the 1970s", {"approximate": True}, "S"),
        ("the late seventies", {}, "S"),
        ("the early seventies", {}, "X"),
        ("the nineties", {"approximate": True}, "X"),
        ("before 1980", {}, "S"),
        ("before 1979", {}, "X"),
        ("after 1979", {}, "X"),
        ("20th century", {}, "S"),
        ("1979", {"polarity": False}, "X"),
        ("1990", {"polarity": False}, "S"),
        ("last week", {}, "U"),
    ],
)
def test_years(said, fields, expected):
    assert verdict("year", said, **fields) == expected


def test_years_by_brute_force():
    rung, strict = StructuredRung(), StructuredRung(strict_years=True)
    for year in range(1960, 2000):
        assert verdict("year", str(year), rung=rung) == ("S" if abs(year - 1979) <= 1 else "X")
        assert verdict("year", str(year), rung=strict) == ("S" if year == 1979 else "X")


def test_a_year_off_by_one_says_so():
    assert ruling("year", "1980").note == "off by 1 year"
    assert ruling("year", "1979").note == ""


def test_the_year_of_a_title_stands_in_for_a_column_that_is_missing():
    ruled = ruling("year", "1995", item="2")
    assert (ruled.verdict, ruled.evidence, ruled.source) == ("supported", "Heat (1995): title 1995", "item:2")
    assert verdict("year", "1999", item="2") == "X"


@pytest.mark.parametrize(
    ("said", "complete", "incomplete"),
    [
        ("horror", "S", "S"),
        ("Horror film", "S", "S"),
        ("science fiction", "S", "S"),
        ("sci-fi horror", "S", "S"),
        ("scary", "S", "S"),
        ("comedy", "X", "U"),
        ("comedies", "X", "U"),
        ("romantic comedy", "X", "U"),
        ("rom-com", "X", "U"),
        ("horror comedy", "X", "U"),
        ("heist", "X", "U"),  # a kind of crime, which the catalogue uses and this row lacks
        ("slasher", "U", "U"),  # a kind of horror, which this row has
        ("western", "U", "U"),  # no row of the catalogue is one, so its rows cannot lack it
        ("roller-skating", "U", "U"),
        ("anti-crime film", "U", "U"),  # what is against crime need not be of it
        ("neo-noir", "U", "U"),
        ("crime thriller", "X", "U"),
        ("gritty crime film", "X", "U"),
        ("", "U", "U"),
    ],
)
def test_genres_by_their_names_and_only_complete_columns_contradict(said, complete, incomplete):
    assert verdict("genre", said) == complete
    assert verdict("genre", said, complete=()) == incomplete


def test_every_genre_of_every_film_by_brute_force():
    """The catalogue's own words: all a film has is supported, all it lacks is contradicted."""
    catalog = small_world().catalog
    named = sorted({genre for item in catalog.values() for genre in item.attributes.get("genres", ())})
    assert len(named) > 3
    claims = [Claim("genre", g.lower(), item.title, item.id, 0, 1, "") for item in catalog.values() for g in named]
    found = StructuredRung().rule(claims, Facts(catalog, REQUEST, frozenset({"genres"})))
    for claim, ruled in zip(claims, found, strict=True):
        own = {genre.lower() for genre in catalog[claim.item_id].attributes.get("genres", ())}
        expected = "supported" if claim.object in own else "contradicted" if own else "unverifiable"
        assert ruled.verdict == expected, (claim.subject, claim.object)


def test_denied_genres():
    assert verdict("genre", "horror", polarity=False) == "X"
    assert verdict("genre", "comedy", polarity=False) == "S"
    assert verdict("genre", "comedy", polarity=False, complete=()) == "U"


def test_genres_of_the_users_own():
    rung = StructuredRung(synonyms={"science fiction": ["speculative"], "Horror": ["dread"]})
    assert verdict("genre", "speculative", rung=rung) == "S"
    assert verdict("genre", "dread", rung=rung) == "S"
    assert verdict("genre", "speculative") == "U"


@pytest.mark.parametrize(
    ("said", "complete", "incomplete"),
    [
        ("Ridley Scott", "S", "S"),
        ("ridley scott", "S", "S"),
        ("Scott", "S", "S"),
        ("Scott, Ridley", "S", "S"),
        ("R. Scott", "S", "S"),
        ("director Ridley Scott", "S", "S"),
        ("Ridley Scot", "S", "S"),
        ("Tony Scott", "X", "U"),
        ("James Cameron", "X", "U"),
        ("Ridley Scott and James Cameron", "X", "U"),
    ],
)
def test_creators_by_surname_and_only_complete_columns_contradict(said, complete, incomplete):
    assert verdict("creator", said) == complete
    assert verdict("creator", said, complete=()) == incomplete


def test_who_wrote_it_is_not_asked_of_the_directors():
    assert verdict("creator", "Dan O'Bannon", sentence="It was written by Dan O'Bannon.") == "U"
    assert verdict("creator", "Ridley Scott", sentence="It was written by Ridley Scott.") == "U"
    assert verdict("creator", "Dan O'Bannon", sentence="It was directed by the great Dan O'Bannon.") == "X"
    both = "A film written by Dan O'Bannon and directed by Ridley Scott."
    assert verdict("creator", "Ridley Scott", sentence=both) == "S"
    assert verdict("creator", "Dan O'Bannon", sentence=both) == "U"


def test_casts_are_partial_unless_said_otherwise():
    assert verdict("cast", "Sigourney Weaver and Tom Skerritt", complete=()) == "S"
    assert verdict("cast", "Weaver", complete=()) == "S"
    assert verdict("cast", "Tom Cruise", complete=()) == "U"
    assert verdict("cast", "Tom Cruise") == "X"


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ("117 minutes", {}, "S"),
        ("122 minutes", {}, "S"),
        ("122.85 minutes", {}, "S"),  # 5 % of 117 are 5.85
        ("123 minutes", {}, "X"),
        ("123 minutes", {"approximate": True}, "S"),
        ("two hours", {}, "S"),
        ("1h 57m", {}, "S"),
        ("two and a half hours", {"approximate": True}, "X"),
        ("under two hours", {}, "S"),
        ("under 115 minutes", {}, "X"),
        ("over two hours", {}, "X"),
        ("117", {}, "S"),
        ("140", {}, "X"),
        ("300 pages", {}, "U"),
        ("an evening", {}, "U"),
    ],
)
def test_lengths(said, fields, expected):
    assert verdict("runtime", said, **fields) == expected


@pytest.mark.parametrize(
    ("said", "fields", "expected"),
    [
        ("$9.99", {}, "S"),
        ("$10", {}, "S"),
        ("ten dollars", {}, "S"),
        ("$11", {}, "X"),
        ("under $20", {}, "S"),
        ("under $5", {}, "X"),
        ("free", {}, "X"),
        ("9.99 euros", {}, "U"),
        ("cheap", {}, "U"),
    ],
)
def test_prices(said, fields, expected):
    assert verdict("price", said, **fields) == expected


@pytest.mark.parametrize(
    ("predicate", "said", "complete", "incomplete"),
    [
        ("language", "English", "S", "S"),
        ("language", "French", "X", "U"),
        ("award", "an Oscar", "S", "S"),
        ("award", "the Palme d'Or", "X", "U"),
        ("platform", "Disney+", "S", "S"),
        ("platform", "Netflix", "X", "U"),
        ("series_of", "Alien franchise", "S", "S"),
        ("series_of", "Alien Nation", "X", "U"),
        ("similar_to", "Aliens", "U", "U"),
        ("passage", "It had a troubled shoot.", "U", "U"),
    ],
)
def test_other_columns(predicate, said, complete, incomplete):
    assert verdict(predicate, said) == complete
    assert verdict(predicate, said, complete=()) == incomplete


def test_a_column_that_the_answer_names():
    assert verdict("passage", "the United Kingdom", attribute="Country") == "S"
    assert verdict("passage", "France", attribute="country") == "X"
    assert verdict("passage", "France", attribute="country", complete=()) == "U"
    assert ruling("passage", "Faber", attribute="publisher").note == "the catalogue has no publisher of it"


def test_columns_of_the_users_own():
    item = Item("b", "Dune", attributes={"Imprint Name": "Chilton", "yr": 1965})
    claims = [Claim("creator", "Chilton", "Dune", "b", 0, 1, ""), Claim("year", "1990", "Dune", "b", 0, 1, "")]
    rung = StructuredRung(columns={"creator": ["imprint-name"], "year": ["yr"]})
    found = rung.rule(claims, Facts(Catalog([item]), Request(User("u"))))
    assert [one.verdict for one in found] == ["supported", "contradicted"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Heat", "S"),
        ("Heat (1995)", "S"),
        ("Toy Story 2", "S"),
        ("Lord of the Rings", "S"),
        ("The Lord of the Rings: The Two Towers", "S"),
        ("Alien", "X"),  # in the catalogue, not in the history
        ("Toy Story 3", "X"),
        ("Toy Story", "U"),  # near its sequel, which it is not
        ("The Matrix Unbound", "X"),
        ("Toy Storry 22", "U"),  # near one, and nobody's
        ("Heat: The Return", "U"),
    ],
)
def test_the_history(said, expected):
    assert verdict("in_history", said, item=None) == expected


def test_the_ruling_on_a_history_shows_it():
    kept, lacked = ruling("in_history", "Heat", item=None), ruling("in_history", "Alien", item=None)
    assert (kept.evidence, kept.source) == ("history: Heat (1995)", "history")
    assert lacked.note == "it is Alien (1979), which the history lacks"
    assert lacked.evidence.startswith("history: Heat (1995), Toy Story 2 (1999), ")


def test_denied_history_and_none():
    assert verdict("in_history", "Heat", polarity=False) == "X"
    assert verdict("in_history", "Alien", polarity=False) == "S"
    assert verdict("in_history", "Heat", request=Request(User("u"))) == "X"


@pytest.mark.parametrize(
    ("said", "expected"),
    [("crime", "S"), ("Michael Mann", "S"), ("Heat", "S"), ("westerns", "S"), ("romance", "U"), ("Tony Scott", "U")],
)
def test_tastes_are_shown_by_the_history_or_the_note_and_never_denied_by_them(said, expected):
    assert verdict("user_likes", said, item=None) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("your request for a horror film under two hours", "S"),
        ("your request for a comedy under two hours", "X"),
        ("released after 1990", "X"),
        ("no later than 1980", "S"),
        ("not a horror film", "X"),
        ("not a comedy, in English, directed by Ridley Scott", "S"),
        ("within a budget of $20", "S"),
        ("horror or comedy", "U"),
        ("suitable for children", "U"),
        ("your budget", "U"),
        ("a comedy, suitable for children", "X"),  # one broken wish is enough
        ("a horror film, suitable for children", "U"),  # one kept wish is not
    ],
)
def test_wishes(said, expected):
    assert verdict("constraint_ok", said) == expected
    opposite = {"S": "X", "X": "S", "U": "U"}[expected]
    assert verdict("constraint_ok", said, polarity=False) == opposite


def test_what_is_not_in_the_catalogue_and_what_has_no_column_is_left_to_the_next_rung():
    strange = ruling("year", "1979", item="99")
    assert (strange.verdict, strange.rung, strange.note) == ("unverifiable", None, "its item is not in the catalogue")
    assert ruling("year", "1979", item=None).note == "it was tied to no item"
    assert ruling("runtime", "2 hours", item="2").note == "the catalogue has no runtime of it"


def test_evidence_is_the_cell_that_decided():
    ruled = ruling("genre", "comedy")
    assert ruled.evidence == "Alien (1979): genres Horror and Sci-Fi"
    assert (ruled.source, ruled.note) == ("item:1", "comedy is not among its genres")
    json.dumps([ruled.evidence, ruled.source, ruled.note])


REMADE = Catalog(
    [
        Item("1", "Fly Away Home (1996)", attributes={"year": 1996, "genres": ("Adventure",)}),
        Item("2", "Fly Away Home (1996)", attributes={"year": 1996, "genres": ("Adventure", "Drama")}),
        Item("3", "Sabrina (1954)", attributes={"year": 1954, "genres": ("Comedy",)}),
        Item("4", "Sabrina (1995)", attributes={"year": 1995, "genres": ("Comedy", "Romance")}),
    ]
)


@pytest.mark.parametrize(
    ("subject", "predicate", "said", "expected"),
    [
        ("Fly Away Home", "year", "1996", "supported"),
        ("Fly Away Home", "genre", "adventure", "supported"),
        ("Fly Away Home", "genre", "romance", "contradicted"),
        ("Fly Away Home", "genre", "drama", "unverifiable"),  # one of the two
        ("Sabrina", "year", "1954", "supported"),
        ("Sabrina", "year", "1995", "supported"),
        ("Sabrina", "year", "1975", "contradicted"),
        ("Sabrina", "genre", "comedy", "supported"),
        ("Sabrina", "genre", "romance", "unverifiable"),
        ("Sabrina the Return", "year", "1995", "unverifiable"),
        ("", "year", "1995", "unverifiable"),
    ],
)
def test_a_title_of_several_items_is_ruled_where_they_agree(subject, predicate, said, expected):
    claim = Claim(predicate, said, subject, None, 0, 1, "")
    [ruled] = StructuredRung().rule([claim], Facts(REMADE, REQUEST, frozenset({"genres"})))
    assert ruled.verdict == expected
    assert ruled.claim is claim
    if subject in ("Sabrina", "Fly Away Home"):
        assert "items" in ruled.note


SHOP = Catalog(
    [
        Item(
            "b",
            "Good Omens",
            attributes={
                "authors": "Terry Pratchett, Neil Gaiman",
                "original_publication_year": 1990,
                "num_pages": 288,
                "language_code": "eng",
                "categories": "Fiction|Fantasy|Humor",
            },
        ),
        Item("k", "EcoKettle", attributes={"brand": "Boilco", "Price": 39.99, "warranty": "2 years", "weight_kg": 1.5}),
        Item("g", "Stardew Valley", attributes={"developer": "ConcernedApe", "platforms": ("PC", "Nintendo Switch")}),
    ]
)


@pytest.mark.parametrize(
    ("item", "predicate", "said", "attribute", "expected"),
    [
        ("b", "creator", "Neil Gaiman and Terry Pratchett", "", "supported"),
        ("b", "creator", "Douglas Adams", "", "contradicted"),
        ("b", "year", "1991", "", "supported"),
        ("b", "runtime", "about 300 pages", "", "supported"),
        ("b", "runtime", "400 pages", "", "contradicted"),
        ("b", "runtime", "two hours", "", "unverifiable"),
        ("b", "language", "English", "", "supported"),
        ("b", "genre", "comic fantasy", "", "supported"),
        ("k", "creator", "Boilco", "", "supported"),
        ("k", "price", "$40", "", "supported"),
        ("k", "price", "under $30", "", "contradicted"),
        ("k", "passage", "2 years", "Warranty", "supported"),
        ("k", "passage", "3 years", "warranty", "contradicted"),
        ("k", "passage", "1.50", "weight-kg", "supported"),
        ("g", "creator", "ConcernedApe", "", "supported"),
        ("g", "platform", "the Switch", "", "supported"),
        ("g", "platform", "Xbox", "", "contradicted"),
    ],
)
def test_books_goods_and_games(item, predicate, said, attribute, expected):
    claim = Claim(predicate, said, "", item, 0, 1, "", attribute=attribute)
    every = frozenset(name for row in SHOP.values() for name in row.attributes)
    [ruled] = StructuredRung().rule([claim], Facts(SHOP, REQUEST, every))
    assert ruled.verdict == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"director": ["regie"]}}, "columns.director: there is no such predicate"),
        ({"columns": {"creator": "regie"}}, "columns.creator: 'regie' must be a list"),
        ({"columns": {"creator": []}}, r"columns.creator: \[\] must be a list"),
        ({"synonyms": {"horror": "dread"}}, "synonyms.horror: 'dread' must be a list"),
    ],
)
def test_options_that_cannot_be_used(options, message):
    with pytest.raises(ValueError, match=message):
        StructuredRung(**options)


@pytest.mark.parametrize("value", [(), "", float("nan"), "  ", ("", " ")])
def test_empty_cells_are_no_facts(value):
    item = Item("x", "Untitled", attributes={"genres": value, "year": value})
    facts = Facts(Catalog([item]), Request(User("u")), frozenset({"genres", "year"}))
    claims = [Claim(p, said, "", "x", 0, 1, "") for p, said in (("genre", "comedy"), ("year", "1990"))]
    assert [one.rung for one in StructuredRung().rule(claims, facts)] == [None, None]


@pytest.mark.parametrize("said", ["", "(", "19" * 5000, "\x00", "٣", "²", "half", "1." * 90, "½ hours", "\ud83d", "'s"])
@pytest.mark.parametrize(
    "predicate",
    ["year", "genre", "creator", "runtime", "price", "language", "in_history", "user_likes", "constraint_ok"],
)
def test_hostile_objects_break_nothing(predicate, said):
    assert ruling(predicate, said).verdict in ("supported", "contradicted", "unverifiable")


def test_long_objects_take_no_longer_than_others():
    started = time.perf_counter()
    for predicate in ("year", "genre", "creator", "runtime", "price", "in_history", "constraint_ok", "award"):
        for text in ("a" * 10**6, "1 " * 10**5, "and " * 10**5, ", a" * 10**5):
            ruling(predicate, text)
    assert time.perf_counter() - started < 5
