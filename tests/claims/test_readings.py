"""Years, lengths, prices, persons and genres as people write them."""

from __future__ import annotations

import math

import pytest

from audit.claims.verification.genres import Genres
from audit.claims.verification.people import alike, people
from audit.claims.verification.quantities import Range, lengths, number, price, years

FREE = math.inf


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1994", (1994, 1994)),
        ("(1994)", (1994, 1994)),
        ("1979-05-25", (1979, 1979)),
        ("'94", (1994, 1994)),
        ("’05", (2005, 2005)),
        ("the 1990s", (1990, 1999)),
        ("'80s", (1980, 1989)),
        ("the early nineties", (1990, 1994)),
        ("mid-1990s", (1993, 1997)),
        ("late 80s", (1985, 1989)),
        ("the 19th century", (1800, 1899)),
        ("1994-1996", (1994, 1996)),
        ("between 1990 and 1995", (1990, 1995)),
        ("before 1990", (-FREE, 1989)),
        ("until 1990", (-FREE, 1990)),
        ("no later than 1990", (-FREE, 1990)),
        ("after 1990", (1991, FREE)),
        ("since 1990", (1990, FREE)),
        ("1990 or later", (1990, FREE)),
        ("1994, not 1995", None),
        ("90 minutes", None),
        ("12345", None),
    ],
)
def test_years_as_they_are_written(text, expected):
    assert years(text) == (None if expected is None else Range(*expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90 minutes", (90, 90, "minutes")),
        ("90-minute", (90, 90, "minutes")),
        ("two hours", (120, 120, "minutes")),
        ("2 hours and 15 minutes", (135, 135, "minutes")),
        ("1h 52m", (112, 112, "minutes")),
        ("2h15", (135, 135, "minutes")),
        ("an hour and a half", (90, 90, "minutes")),
        ("two and a half hours", (150, 150, "minutes")),
        ("1.5 hours", (90, 90, "minutes")),
        ("half an hour", (30, 30, "minutes")),
        ("ninety-five minutes", (95, 95, "minutes")),
        ("1:45", (105, 105, "minutes")),
        ("PT2H14M", (134, 134, "minutes")),
        ("over two hours", (120, FREE, "minutes")),
        ("no longer than two hours", (-FREE, 120, "minutes")),
        ("over 300 pages", (301, FREE, "pages")),
        ("117", None),
        ("the 90s", None),
    ],
)
def test_lengths_as_they_are_written(text, expected):
    assert lengths(text) == (None if expected is None else Range(*expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$19.99", (19.99, 19.99, "usd")),
        ("19,99 €", (19.99, 19.99, "eur")),
        ("1,299 dollars", (1299, 1299, "usd")),
        ("under £5", (-FREE, 5, "gbp")),
        ("$10-15", (10, 15, "usd")),
        ("free", (0, 0)),
        ("a bargain", None),
    ],
)
def test_prices_as_they_are_written(text, expected):
    assert price(text) == (None if expected is None else Range(*expected))


@pytest.mark.parametrize(
    ("text", "expected"), [("117", 117.0), (" 1,200 ", 1200.0), ("2.5", 2.5), ("1.2.3", None), ("two", None)]
)
def test_bare_numbers(text, expected):
    assert number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ridley Scott", ("Ridley Scott",)),
        ("Scott, Ridley", ("Scott, Ridley",)),
        ("Joel Coen, Ethan Coen", ("Joel Coen", "Ethan Coen")),
        ("Joel and Ethan Coen", ("Joel Coen", "Ethan Coen")),
        ("Lana Wachowski & Lilly Wachowski", ("Lana Wachowski", "Lilly Wachowski")),
        ("A One, B Two and C Three", ("A One", "B Two", "C Three")),
        ("", ()),
    ],
)
def test_persons_of_a_text(text, expected):
    assert people(text) == expected


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("Ridley Scott", "SCOTT, Ridley", "same"),
        ("Hayao Miyazaki", "Miyazaki Hayao", "same"),
        ("Guillermo del Toro", "Guillermo Del Toro", "same"),
        ("del Toro", "Guillermo del Toro", "surname"),
        ("Samuel Jackson", "Samuel L. Jackson", "same"),
        ("J.R.R. Tolkien", "J. R. R. Tolkien", "same"),
        ("Tolkien", "J. R. R. Tolkien", "surname"),
        ("Robert Downey Jr.", "Robert Downey", "same"),
        ("Steven Soderbergh", "Stephen Soderbergh", "same"),
        ("Penélope Cruz", "Penelope Cruz", "same"),
        ("the Coen brothers", "Joel Coen", "surname"),
        ("the Wachowskis", "Lana Wachowski", "surname"),
        ("Ghibli", "Studio Ghibli", "surname"),
        ("Joan Smith", "John Smith", "other"),
        ("Tony Scott", "Ridley Scott", "other"),
        ("Michael Mann", "Michael Bay", "other"),
        ("Joel Coen", "Ethan Coen", "other"),
        ("", "Ridley Scott", "other"),
        ("...", "Ridley Scott", "other"),
    ],
)
def test_two_names_of_one_person(one, two, expected):
    assert alike(one, two) == expected


@pytest.mark.parametrize(
    ("values", "said", "inside"),
    [
        (("Sci-Fi",), "science fiction", True),
        (("Science Fiction",), "sci-fi", True),
        (("Children's",), "kids", True),
        (("Film-Noir",), "noir", True),
        (("Romantic Comedy",), "romance", True),
        (("Comedy", "Romance"), "rom-com", True),
        (("Comedy",), "rom-com", False),
        (("Slasher",), "horror", True),
        (("Horror",), "slasher", False),
        (("Action & Adventure",), "adventure", True),
        (("Musical",), "music", False),
        (("Kaiju",), "kaiju", True),
        (("Hip-Hop",), "rap", True),
    ],
)
def test_genres_by_other_names(values, said, inside):
    genres = Genres(known=values)
    named = genres.named(said)
    assert (bool(named.genres) and not named.unknown and named.genres <= genres.held(values)) == inside
