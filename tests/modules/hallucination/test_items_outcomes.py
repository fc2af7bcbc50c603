"""What becomes of a title, answer by answer."""

from __future__ import annotations

import pytest
from helpers import catalog, items, request
from hypothesis import given
from hypothesis import strategies as st

from audit.grounding import Grounder, Matcher
from audit.modules.hallucination.item_outcomes import MEASURES, counts, item_outcomes
from audit.types import Answer, Case, Catalog, Event, Item, Ranked, Request, User

FILMS = Catalog(
    [
        Item("1", "Crimson Harbor (1971)", attributes={"year": 1971}),
        Item("2", "Toy Story 2 (1999)", attributes={"year": 1999}),
        Item("3", "Hamlet (1990)", attributes={"year": 1990}),
        Item("4", "Hamlet (1996)", attributes={"year": 1996}),
        Item("5", "Distant Anchor (1980)", attributes={"year": 1980}),
    ]
)
GROUNDER = Grounder(FILMS)


def written(text, *, k=5, reference=None, **fields):
    asked = Request(User("u", (Event(FILMS["5"]),)), task="answer", k=k)
    return item_outcomes([Case("c", asked)], [Answer(text=text, **fields)], GROUNDER, reference=reference)[0]


def states(one):
    return [title.state for title in one.titles]


def test_free_text_is_read_title_by_title():
    one = written(
        "1. Crimson Harbor (1971)\n2. Toy Story 3\n3. Zyxwv Quorble Vantage\n4. Hamlet\n5. Distant Anchor (1980)\n"
        "6. Crimson Harbor"
    )
    assert states(one) == ["found", "ambiguous", "absent", "shared", "found", "found"]
    assert (one.items, one.not_listed, one.ambiguous, one.consumed, one.duplicates) == (6, 1, 1, 1, 1)
    assert one.wrong_count
    assert one.unit == "u"
    assert one.head(3).not_listed == 1


def test_a_title_of_two_items_exists_whichever_is_meant_and_a_year_tells_them_apart():
    assert states(written("1. Hamlet\n2. Hamlet (1996)")) == ["shared", "found"]


def test_an_item_with_a_wrong_year_exists():
    one = written("1. Crimson Harbor (1999)\n2. Distant Anchor (1980)")
    assert states(one) == ["found", "found"]
    assert [t.year_conflict for t in one.titles] == [True, False]


def test_a_made_up_film_and_its_made_up_remake_are_two_titles():
    one = written("1. Zyxwv Quorble (1950)\n2. Zyxwv Quorble (1990)\n3. zyxwv quorble (1990)")
    assert [t.duplicate for t in one.titles] == [False, False, True]


def test_a_wider_reference_tells_what_is_not_sold_from_what_does_not_exist():
    wider = Matcher(Catalog([Item("a", "Silver Lantern (2001)"), Item("b", "Copper Lantern Twelve")]))
    one = written("1. Silver Lantern (2001)\n2. Zyxwv Quorble\n3. Copper Lantern Ten", reference=wider)
    assert states(one) == ["out_of_catalog", "nonexistent", "near_reference"]
    assert one.not_listed == 3


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(text="I'm sorry, I can't help with recommendations."), "refused"),
        (Answer(text="What a day it was."), "unparsable"),
        (Answer(text="   "), "ok"),
        (Answer(outcome="refused", text="1. Crimson Harbor"), "refused"),
        (Answer(outcome="error"), "error"),
        (Answer(outcome="unparsable"), "unparsable"),
    ],
)
def test_an_answer_without_titles_is_an_outcome_and_stays_in_the_denominators(answer, outcome):
    asked = Request(User("u"), task="answer", k=5)
    [one] = item_outcomes([Case("c", asked)], [answer], GROUNDER)
    assert one.outcome == outcome
    assert not one.answered
    assert one.empty == (outcome == "ok")
    assert MEASURES["hallucinated_answer_rate"](one) == (0, 1)
    assert MEASURES["respond_rate"](one) == (0, 1)
    assert MEASURES["hallucinated_item_rate"](one) == (0, 0)


def test_a_ranking_counts_by_id_and_a_title_without_one_is_looked_up_again():
    films = catalog()
    asked = request(candidates=5)
    entries = (
        Ranked("i5", "Winter Garden Number 5"),
        Ranked("nobody", ""),
        Ranked(None, "Zyxwv Quorble Vantage"),
        Ranked(None, "Winter Gardem Number 99"),
        Ranked("i0"),
        Ranked("i5"),
    )
    [one] = item_outcomes([Case("c", asked)], [Answer(entries)], Grounder(films))
    assert states(one) == ["found", "absent", "absent", "ambiguous", "found", "found"]
    assert [t.written for t in one.titles][1] == "nobody"
    assert one.asked == 5
    assert (one.consumed, one.duplicates) == (1, 1)


def test_an_item_that_only_the_request_holds_exists():
    own = items(1, start=900)
    asked = Request(User("u"), candidates=own, k=5)
    [one] = item_outcomes([Case("c", asked)], [Answer((Ranked("i900"),))], Grounder(catalog()))
    assert states(one) == ["found"]
    assert not one.wrong_count


def test_counts_are_per_answer():
    asked = Request(User("u"), task="answer", k=2)
    answers = [
        Answer(text="1. Crimson Harbor\n2. Zyxwv Quorble"),
        Answer(outcome="refused"),
        Answer(text="1. Toy Story 3"),
    ]
    outcomes = item_outcomes([Case(f"c{n}", asked) for n in range(3)], answers, GROUNDER)
    hits, trials = counts(outcomes, "hallucinated_item_rate")
    assert (hits.tolist(), trials.tolist()) == ([1, 0, 0], [2, 0, 1])
    hits, trials = counts(outcomes, "hallucinated_item_rate_high")
    assert (hits.tolist(), trials.tolist()) == ([1, 0, 1], [2, 0, 1])
    assert counts([], "respond_rate")[0].shape == (0,)


@given(
    texts=st.lists(
        st.one_of(st.text(max_size=60), st.sampled_from(["1. ", "- ", "[", '{"title": ', "\n", "(1999)"])), max_size=6
    )
)
def test_no_text_breaks_the_reading(texts):
    text = "\n".join(texts)
    one = written(text)
    assert one.outcome in ("ok", "refused", "unparsable")
    assert one.items >= one.not_listed + one.ambiguous
    assert one.items >= one.duplicates


def test_titles_of_one_common_word_and_in_other_scripts_are_looked_up_as_they_stand():
    films = Catalog(
        Item(str(n), title)
        for n, title in enumerate(("Up", "It", "七人の侍", "Амели", "Amélie", "مرحبا بالعالم", "Twins", "Twins"))
    )
    text = "1. Up\n2. It\n3. 七人の侍\n4. Амели\n5. Amelie\n6. مرحبا بالعالم\n7. Twins\n8. Her\n9. Летят журавли"
    [one] = item_outcomes([Case("c", Request(User("u"), task="answer", k=9))], [Answer(text=text)], Grounder(films))
    assert states(one) == [*["found"] * 6, "shared", "absent", "absent"]


def test_places_are_those_of_the_raw_text():
    text = 'Here:\n\n1. **Crimson Harbor** (1971) - a calm film\n2. "Zyxwv Quorble": new'
    asked = Request(User("u"), task="answer", k=2)
    [one] = item_outcomes([Case("c", asked)], [Answer(text=text)], GROUNDER)
    assert [text[slice(*title.place)] for title in one.titles] == ["Crimson Harbor", "Zyxwv Quorble"]
    [ranked] = item_outcomes([Case("c", Request(User("u")))], [Answer((Ranked("1"),))], GROUNDER)
    assert ranked.titles[0].place is None
