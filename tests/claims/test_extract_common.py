"""The shapes of answers, and the wordings, in which recommenders say things of items."""

from __future__ import annotations

import pytest
from films import FILMS, GROUNDER, REQUEST, claims, said

from audit.claims.extraction.extract import Extractor, extract
from audit.grounding import Grounder
from audit.types import Catalog, Event, Item, Request, User


@pytest.mark.parametrize(
    "text",
    [
        "1. Heat (1995) - A crime film directed by Michael Mann.\n2. Alien (1979) - It is a horror film.",
        '"Heat" (1995) is a crime film. It was directed by Michael Mann. I also suggest "Alien" (1979), a horror film.',
        '[{"title": "Heat", "year": 1995, "genre": "crime", "director": "Michael Mann"},\n'
        ' {"title": "Alien", "year": 1979, "reason": "It is a horror film."}]',
        '{"picks": [{"title": "Heat", "facts": {"year": 1995, "genres": ["crime"], "director": "Michael Mann"}},'
        ' {"year": "1979", "title": "Alien", "reason": "A \\"good\\" one.\\nIt is a horror film."}]}',
        "| Title | Year | Genre | Director |\n|---|---|---|---|\n| Heat | 1995 | crime | Michael Mann |\n"
        "| Alien | 1979 | horror | |",
        "**Heat** (1995)\n- Genre: crime\n- Director: Michael Mann\n\n**Alien** (1979)\n- Genre: horror",
        "- Heat: 1995, crime, directed by *Michael Mann*\n- Alien: 1979; horror; a classic",
        "Title: Heat\nYear: 1995\nGenre: crime\nDirector: Michael Mann\n\nTitle: Alien\nYear: 1979\nGenre: horror",
        '[{"title": "Heat (1995)", "reason": "A crime film by Michael Mann."},'
        ' {"title": "Alien (1979)", "genre": "horror"}]',
        "1. **Heat** by Michael Mann (a crime film from 1995)\n2. **Alien** (a horror film from 1979)",
        "<ol><li><b>Heat</b> (1995) - a <i>crime</i> film by Michael Mann</li><li>Alien (1979), a horror film</ol>",
    ],
    ids=["list", "prose", "json", "nested json", "table", "labels", "short", "blocks", "years in json", "by", "html"],
)
def test_every_way_of_writing_gives_the_same_claims(text: str) -> None:
    assert sorted(said(text), key=str) == [
        ("creator", "Michael Mann", "heat"),
        ("genre", "crime", "heat"),
        ("genre", "horror", "alien"),
        ("year", "1979", "alien"),
        ("year", "1995", "heat"),
    ]


@pytest.mark.parametrize(
    ("reason", "predicate", "objects"),
    [
        ("It was released in December 1995.", "year", ["1995"]),
        ("A 90s classic.", "year", ["90s"]),
        ("One of the best films of the 1990s.", "year", ["the 1990s"]),
        ("It came out in the early nineties.", "year", ["the early nineties"]),
        ("With its 1995 release it was late.", "year", ["1995"]),
        ("A gripping crime thriller about a thief.", "genre", ["crime", "thriller"]),
        ("Crime, Drama", "genre", ["Crime", "Drama"]),
        ("A sci-fi/horror classic.", "genre", ["sci-fi", "horror"]),
        ("A mix of comedy and romance.", "genre", ["comedy", "romance"]),
        ("Not only a crime film but also a drama.", "genre", ["crime", "drama"]),
        ("Directed by Joel and Ethan Coen.", "creator", ["Joel", "Ethan Coen"]),
        ("Ridley Scott's 1995 masterpiece.", "creator", ["Ridley Scott"]),
        ("Written by J. R. R. Tolkien.", "creator", ["J. R. R. Tolkien"]),
        ("Ridley Scott directed the film well.", "creator", ["Ridley Scott"]),
        ("It stars Al Pacino, Robert De Niro and Val Kilmer.", "cast", ["Al Pacino", "Robert De Niro", "Val Kilmer"]),
        ("With De Niro in the lead.", "cast", ["De Niro"]),
        ("Frances McDormand plays a policewoman.", "cast", ["Frances McDormand"]),
        ("It runs for 2 hours and 50 minutes.", "runtime", ["2 hours and 50 minutes"]),
        ("A 90-minute film.", "runtime", ["90-minute"]),
        ("It is over three hours long.", "runtime", ["over three hours"]),
        ("The film is in French.", "language", ["French"]),
        ("A Swedish-language film.", "language", ["Swedish"]),
        ("The second film in the Mariachi trilogy.", "series_of", ["Mariachi"]),
        ("A sequel to Fargo.", "series_of", ["Fargo"]),
        ("It won the Academy Award for Best Picture.", "award", ["the Academy Award for Best Picture"]),
        ("It won both the Hugo Award and the Nebula Award.", "award", ["the Hugo Award", "the Nebula Award"]),
        ("An Oscar-winning drama.", "award", ["Oscar"]),
        ("You can watch it on Netflix.", "platform", ["Netflix"]),
        ("It is on Hulu and Disney+.", "platform", ["Hulu", "Disney+"]),
        ("It costs $9.99.", "price", ["$9.99"]),
        ("Price: 12 euros", "price", ["12 euros"]),
        ("Similar to Fargo.", "similar_to", ["Fargo"]),
        ("In the vein of Alien and Fargo.", "similar_to", ["Alien", "Fargo"]),
        ("It meets your wish for a film under two hours.", "constraint_ok", ["wish for a film under two hours"]),
        ("It is within your budget.", "constraint_ok", ["your budget"]),
        ("Its country is France.", "passage", ["France"]),
    ],
)
def test_what_is_said_of_an_entry(reason: str, predicate: str, objects: list[str]) -> None:
    text = f"1. Heat - {reason}"
    found = [c for c in claims(text) if c.predicate == predicate]
    assert [c.object for c in found] == objects
    for claim in found:
        assert claim.item_id == "heat"
        assert claim.object in text[claim.start : claim.end]


@pytest.mark.parametrize(
    "reason",
    [
        "A must-see. Gripping from start to finish!",
        "Was it released in 1994?",
        "A must for fans of science fiction.",
        "Its sequel came out in 1986 and was directed by James Cameron.",
        "Its soundtrack won a Grammy.",
        "The star, who won an Oscar, is great.",
        "Set in 1912, during the war, it shows a family and a crime.",
        "Fans of horror films will love it.",
        "If you like comedy films, skip this.",
        "Unlike most war films it is quiet.",
        "The romance is sweet, the music great, the action never stops.",
        "In the first 20 minutes nothing happens.",
        "It grossed $187 million in 1995.",
        "Based on a 1962 novel by John Doe.",
        "It won my heart.",
        "It features great performances.",
        "Perfect for a rainy night.",
    ],
)
def test_opinions_plots_and_questions_claim_nothing(reason: str) -> None:
    found = said(f"1. Heat - {reason}")
    assert [c for c in found if c[0] not in ("creator", "user_likes")] == []


@pytest.mark.parametrize(
    ("sentence", "predicate", "objects", "polarity"),
    [
        ("Because you liked Toy Story and Heat, you might enjoy this.", "in_history", ["Toy Story", "Heat"], True),
        ("Since you enjoyed Alien, Heat is a natural next step.", "in_history", ["Alien"], True),
        ("As you have seen Net, The, you know the tone.", "in_history", ["Net, The"], True),
        ("Based on your history of watching Toy Story, this fits.", "in_history", ["Toy Story"], True),
        ("You watched many comedies, including Fargo (1996) and Heat.", "in_history", ["Fargo", "Heat"], True),
        ("Since you loved The Lost Voyage of Zog, try this.", "in_history", ["The Lost Voyage of Zog"], True),
        ("You haven't seen Alien yet.", "in_history", ["Alien"], False),
        ("Given your love of animated films, this fits.", "user_likes", ["animated films"], True),
        ("As a fan of crime dramas, you know it.", "user_likes", ["crime dramas"], True),
    ],
)
def test_what_is_said_of_the_user(sentence: str, predicate: str, objects: list[str], polarity: bool) -> None:
    found = [c for c in claims(sentence) if c.predicate == predicate]
    assert [c.object for c in found] == objects
    assert all(c.subject == "" and c.item_id is None and c.polarity == polarity for c in found)


@pytest.mark.parametrize(
    "sentence",
    [
        "If you liked Alien, you'll love this.",
        "You might like Alien.",
        "You did not like Alien.",
        "You will enjoy Fargo.",
        "Have you seen Alien?",
        "I think you like it.",
        "Here are films you have not seen yet.",
    ],
)
def test_conditions_and_offers_say_nothing_of_the_user(sentence: str) -> None:
    assert not [c for c in claims(sentence) if c.predicate in ("in_history", "user_likes")]


@pytest.mark.parametrize(
    ("reason", "polarity", "hedged", "approximate"),
    [
        ("It was released in 1995.", True, False, False),
        ("It was not released in 1995.", False, False, False),
        ("I think it came out in 1995.", True, True, False),
        ("It came out in 1995, if I remember correctly.", True, True, False),
        ("It may have been released in 1995.", True, True, False),
        ("It was released around 1995.", True, False, True),
        ("It is neither a comedy nor a western. It was released in 1995.", True, False, False),
        ("It is not a comedy and was released in 1995.", True, False, False),
        ("I think you will like it. It was released in 1995.", True, False, False),
    ],
)
def test_how_it_is_meant(reason: str, polarity: bool, hedged: bool, approximate: bool) -> None:
    (claim,) = [c for c in claims(f"1. Heat - {reason}") if c.predicate == "year"]
    assert (claim.polarity, claim.hedged, claim.approximate) == (polarity, hedged, approximate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Heat - Like Alien, it was released in 1995.", ("1995", "heat")),
        ('Try "Heat". Unlike Alien, which was released in 1979, it is slow.', ("1979", "alien")),
        ('You might also like "Fargo". It came out in 1996.', ("1996", "fargo")),
        ("If Lucy Fell was released in 1996.", ("1996", "lucy")),
        ('"Heat" is good. While Heat was released in 1995, Fargo is newer.', ("1995", "heat")),
        ("1. Heat - Its sequel was a flop, but it was released in 1995.", ("1995", "heat")),
        ('1. Heat - "The Insider" was released in 1999.', ("1999", None)),
        ('Try "Heat". I also recommend "Heat 2". It came out in 2030.', ("2030", None)),
        ("I recommend Alien. I recommend The Lost Voyage of Zog. It was released in 1987.", ("1987", None)),
        ("1. Alien\n\nA film from 1979.\n\n2. Heat\n\nA film from 1995, or so.", ("1979", "alien")),
    ],
)
def test_whom_it_is_said_of(text: str, expected: tuple[str, str | None]) -> None:
    assert expected in [(c.object, c.item_id) for c in claims(text) if c.predicate == "year"]


def test_neither_of_two_genres() -> None:
    found = [c for c in claims("1. Heat - It is neither a comedy nor a western. It isn't a musical.")]
    assert [(c.object, c.polarity) for c in found] == [("comedy", False), ("western", False), ("musical", False)]


def test_remarks_on_all_entries_are_nobody_s() -> None:
    assert [c[2] for c in said("1. Heat (1995)\n2. Alien (1979)\n\nBoth were directed by Ridley Scott.")] == [
        "heat",
        "alien",
    ]


@pytest.mark.parametrize(
    "tail",
    ["\nUser: And from 1980?\nAssistant: Fargo (1996) is a comedy film.", "<|im_end|>\nFargo (1996) is a comedy film."],
)
def test_what_the_model_writes_after_its_answer_is_not_audited(tail: str) -> None:
    assert said("1. Heat (1995) - a crime film." + tail) == said("1. Heat (1995) - a crime film.")


def test_further_columns_are_labels_of_their_predicate() -> None:
    books = Catalog([Item("dune", "Dune", attributes={"imprint": "Chilton", "pages": 412, "cover": "hard"})])
    request = Request(User("u"), task="answer")
    text = "1. Dune - Imprint: Chilton. Its cover is soft. Runtime: 412 pages"
    plain = extract(text, request, Grounder(books))
    assert [(c.predicate, c.attribute, c.object) for c in plain] == [
        ("passage", "imprint", "Chilton"),
        ("passage", "cover", "soft"),
        ("runtime", "", "412 pages"),
    ]
    named = Extractor(Grounder(books), {"series_of": ["imprint"]}).extract(text, request)
    assert (named[0].predicate, named[0].attribute) == ("series_of", "")


def test_a_title_the_request_shows_under_another_name_is_known_in_the_history() -> None:
    renamed = Item("story", "Spielzeuge")
    request = Request(User("u", (Event(renamed),)), task="answer")
    (claim,) = extract("Since you liked Spielzeuge, try this.", request, GROUNDER)
    assert (claim.predicate, claim.object) == ("in_history", "Spielzeuge")


def test_nothing_gives_nothing() -> None:
    assert extract("", REQUEST, GROUNDER) == []
    assert extract("1. Heat (1995)", REQUEST, Grounder(Catalog([])))[0].item_id is None
    assert len(FILMS) == 6
