"""Plants of hallucination: what they are said to be, counted."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from planted_world import USERS, near, written

from audit.controls.false_statements import (
    MadeUpTitles,
    because,
    citations,
    conflicts,
    genres,
    made_up_title,
    pasts,
    year_of,
    years,
)
from audit.controls.worlds import Ideal
from audit.controls.wrapping import Writes
from audit.data.dataset import Dataset
from audit.grounding import Matcher
from audit.knowledge import item_document
from audit.types import Passage, Request


@pytest.mark.parametrize("size", [0.0, 0.1, 1.0])
def test_titles_are_made_up_at_their_rate_and_near_nothing(
    size: float, world: Dataset, requests: list[Request]
) -> None:
    target, matcher = MadeUpTitles(Ideal(world), size, "s"), Matcher(world.catalog)
    entries = [entry for answer in target.recommend(requests) for entry in answer.ranked]
    strange = [entry.title for entry in entries if entry.item_id is None]
    assert near(len(strange), len(entries), size)
    assert {matcher.match(title).status for title in strange} <= {"absent"}
    assert made_up_title("s", 1) != made_up_title("s", 2)


@pytest.mark.parametrize("size", [0.0, 0.1, 1.0])
def test_years_are_false_at_their_rate(size: float, world: Dataset, requests: list[Request]) -> None:
    target = Writes(Ideal(world), world.catalog, "years", years(size, "s"))
    true = {item.title.rsplit(" (", 1)[0]: year_of(item) for item in world.catalog.items_in_order}
    said = [
        (title, int(year))
        for answer in target.recommend([written(asked) for asked in requests])
        for title, year in re.findall(r"\d\. (.+) - It came out in (\d+)\.", answer.text or "")
    ]
    assert len(said) == 5 * USERS
    assert near(sum(true[title] != year for title, year in said), len(said), size)


def test_passages_put_years_right_for_whom_they_are_read(world: Dataset, requests: list[Request]) -> None:
    items = world.catalog.items_in_order[:5]
    bare = requests[0]
    given = replace(bare, passages=(Passage("p", "any"),))
    clean = years(0.0, "s")(bare, items)
    assert years(1.0, "s", unread=0.0)(given, items) == clean
    assert years(1.0, "s", unread=1.0)(given, items) == years(1.0, "s")(bare, items) != clean


def test_pasts_are_invented_at_their_rate(world: Dataset, requests: list[Request]) -> None:
    target = Writes(Ideal(world), world.catalog, "pasts", pasts(0.2, "s"))
    invented_ones = 0
    for asked, answer in zip(requests, target.recommend([written(r) for r in requests]), strict=True):
        own = {event.item.title.rsplit(" (", 1)[0] for event in asked.user.history}
        [reason] = re.findall('Since you liked "([^"]+)"', answer.text or "")
        invented_ones += reason not in own
    assert near(invented_ones, USERS, 0.2)


def test_genres_are_false_at_their_rate(world: Dataset, requests: list[Request]) -> None:
    target = Writes(Ideal(world), world.catalog, "genres", genres(0.1, "s", world.catalog))
    true = {item.title.rsplit(" (", 1)[0]: item.attributes["genres"] for item in world.catalog.items_in_order}
    said = [
        (title, genre.title())
        for answer in target.recommend([written(asked) for asked in requests])
        for title, genre in re.findall(r"\d\. (.+) - It is an? (\w+) film\.", answer.text or "")
    ]
    assert len(said) == 5 * USERS
    assert near(sum(genre not in true[title] for title, genre in said), len(said), 0.1)


def test_what_is_said_against_passages_and_cited_of_none_stands_at_its_rate(
    world: Dataset, requests: list[Request]
) -> None:
    rows = {item.title.rsplit(" (", 1)[0]: item for item in world.catalog.items_in_order[:3]}
    given = tuple(item_document(item).passage for item in rows.values())
    against, cited = conflicts(0.2, "s", world.catalog), citations(0.1, "s")
    wrong, numbers = [], []
    for asked in requests:
        request = replace(asked, passages=given)
        said = re.findall(r"- (.+) - It came out in (\d+)\.", against(request, ()))
        assert [title for title, _ in said] == list(rows)
        wrong += [year_of(rows[title]) != int(year) for title, year in said]
        numbers += [int(n) for n in re.findall(r"\[(\d+)\]", cited(request, world.catalog.items_in_order[:5]))]
    assert near(sum(wrong), 3 * USERS, 0.2)
    assert len(numbers) == 5 * USERS
    assert near(sum(number > 3 for number in numbers), len(numbers), 0.1)
    assert min(numbers) == 1


def test_a_reason_is_one_sentence(world: Dataset) -> None:
    one, other = world.catalog.items_in_order[:2]
    assert because(one, other) == 'Since you liked "Amber Anchor", you should try "Amber Bridge".'
