"""What holds of every claim that is read, whatever the answer."""

from __future__ import annotations

import gc
import json
import re
import time
import weakref

import pytest
from films import FILMS, GROUNDER, REQUEST, claims
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit.claims.extraction.extract import extract
from audit.grounding import Grounder

_WORDINGS = """
Heat|Alien|If Lucy Fell|Net, The| (1995)| (1979)|1. |- |. |, | and | - |**|*|"|“|”|<b>|</b>|&amp;|It is |not |
a horror film|crime, drama|It was released in |1995|the early nineties|directed by |Michael Mann|J. R. R. Tolkien|
Since you liked |Because you watched |You have not seen |I think |about |it runs |170 minutes|two and a half hours|
Genre: |Its country is |USA|{"title": "|"}|", "year": |[|]|{|It won |an Academy Award|It stars |Al Pacino|
available on |Netflix|similar to |costs $9.99|\\u00e9|\\n|é|日本|?|!|   |(|)|Dr. |$"""
_MARKS = ["|", "\n", "\n\n", "\t", "\u2028", "\nUser: ", "<|im_end|>"]
_PIECES = st.sampled_from([*_WORDINGS.replace("\n", "").split("|"), *_MARKS])
_ANSWERS = st.lists(_PIECES, max_size=40).map("".join) | st.text(max_size=80)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@settings(max_examples=300, deadline=None)
@given(_ANSWERS)
@example('[{"title": "Heat", "director": "Cl\\u00e9ment Mann"}]')
@example("**Heat** (**1995**) - a _crime_ *film* directed by **Michael** Mann")
def test_the_words_of_a_claim_stand_in_its_span(text: str) -> None:
    found = claims(text)
    for claim in found:
        assert 0 <= claim.start < claim.end <= len(text)
        span = text[claim.start : claim.end]
        # Escapes are read in JSON, and only there.
        decoded = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), span).replace("\\n", "  ")
        seen = f"{span} {decoded}"
        missing = [word for word in _words(claim.object) if word not in seen]
        assert not missing, (claim, span)
        assert claim.item_id is None or claim.item_id in FILMS
        assert (claim.subject == "") == (claim.predicate in ("in_history", "user_likes"))
    assert found == claims(text)
    places = [(claim.start, claim.predicate) for claim in found]
    assert [start for start, _ in places] == sorted(start for start, _ in places)


@settings(max_examples=100, deadline=None)
@given(_ANSWERS)
def test_what_stands_behind_the_end_of_the_answer_changes_nothing(text: str) -> None:
    whole = "1. Heat - a crime film.\n" + text.replace("<|im_end|>", "").replace("\nUser: ", "")
    assert claims(whole + "<|im_end|>\n2. Alien (1979) is a horror film.") == claims(whole)


@settings(max_examples=60, deadline=None)
@given(
    title=st.sampled_from(["Heat", "Alien", "Fargo"]),
    year=st.integers(1900, 2029),
    reason=st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=40),
)
def test_json_is_read_whether_or_not_it_is_ascii(title: str, year: int, reason: str) -> None:
    rows = [{"title": title, "year": year, "reason": f"{reason} It was directed by Clément Né. "}]
    for escaped in (True, False):
        text = json.dumps(rows, ensure_ascii=escaped)
        found = {(c.predicate, c.object) for c in claims(text)}
        assert ("year", str(year)) in found
    assert claims(json.dumps(rows))[0].subject == title


def test_a_creator_with_an_escape_is_whole_and_so_is_its_span() -> None:
    text = '[{"title": "Heat", "director": "Cl\\u00e9ment N\\u00e9"}]'
    (claim,) = claims(text)
    assert claim.object == "Clément Né"
    assert text[claim.start : claim.end] == 'director": "Cl\\u00e9ment N\\u00e9'


@pytest.mark.parametrize(
    "unit",
    ["1. **Heat** (1995) - a crime film directed by Michael Mann.\n", "Alien was a horror film and it was good and ",
     '{"a": ', "**A", "A ", "Since you liked Alien, Heat and ", "(1995", "| a ", '"', "a"],
)  # fmt: skip
def test_time_grows_with_the_length_of_the_answer(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        claims(text)
        return time.process_time() - started

    short, long = min(seconds(10_000) for _ in range(3)), seconds(80_000)
    assert long < 8 * 4 * short + 0.5


def test_a_thousand_claims_take_less_than_five_seconds() -> None:
    line = "Heat (1995) - A crime film directed by Michael Mann. Since you liked Toy Story, try it."
    text = "\n".join(f"{n}. {line}" for n in range(250))
    started = time.process_time()
    assert len(claims(text)) == 1000
    assert time.process_time() - started < 5.0


def test_a_catalogue_that_is_no_longer_used_is_let_go() -> None:
    grounder = Grounder(FILMS)
    extract("1. Heat (1995)", REQUEST, grounder)
    gone = weakref.ref(grounder)
    del grounder
    gc.collect()
    assert gone() is None
    assert GROUNDER.catalog is FILMS
