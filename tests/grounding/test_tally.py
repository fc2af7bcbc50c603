from __future__ import annotations

from audit.grounding import Tally, tally
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User

_CATALOG = Catalog(Item(str(i), f"Film {i}") for i in range(10))
_USER = User("u", history=(Event(_CATALOG["0"]), Event(_CATALOG["1"])))


def _answer(*ids: str | None) -> Answer:
    return Answer(tuple(Ranked(i, f"Film {i}") for i in ids))


def test_structured_faults() -> None:
    request = Request(_USER, candidates=(_CATALOG["2"], _CATALOG["3"], _CATALOG["1"], _CATALOG["9"]), k=3)
    found = tally(_answer("2", "2", None, "77", "1", "5"), request, _CATALOG)
    assert found == Tally(
        answers=1,
        entries=6,
        matched=4,
        absent=1,
        foreign=1,
        duplicates=1,
        outside_candidates=1,
        history_repeats=1,
        too_many=1,
    )


def test_outcomes_are_no_short_lists() -> None:
    request = Request(_USER, k=3)
    answers = [Answer(outcome="refused"), Answer(outcome="unparsable"), Answer(outcome="error"), Answer(), _answer("4")]
    total = sum((tally(a, request, _CATALOG) for a in answers), Tally())
    assert total == Tally(answers=5, refused=1, unparsable=1, errors=1, empty=1, too_few=2, entries=1, matched=1)


def test_a_list_of_all_candidates_is_long_enough() -> None:
    request = Request(User("u"), candidates=(_CATALOG["2"], _CATALOG["3"]), k=10)
    assert tally(_answer("3", "2"), request, _CATALOG).too_few == 0


def test_scores_may_repeat_the_history_but_not_lack_a_candidate() -> None:
    request = Request(_USER, task="score", candidates=(_CATALOG["0"], _CATALOG["3"]))
    found = tally(_answer("0"), request, _CATALOG)
    assert (found.history_repeats, found.too_few) == (0, 1)


def test_an_item_the_request_brought_along_is_not_foreign() -> None:
    request = Request(User("u"), candidates=(Item("new", "New Film"),))
    assert tally(_answer("new"), request, _CATALOG).foreign == 0


def test_two_unknown_titles_are_no_duplicates() -> None:
    answer = Answer((Ranked(None, "One"), Ranked(None, "Two"), Ranked(None, "one!"), Ranked(None), Ranked(None)))
    assert tally(answer, Request(User("u")), _CATALOG).duplicates == 1


def test_every_count_is_in_the_dictionary() -> None:
    assert set(Tally().to_dict()) == set(Tally.__dataclass_fields__)
