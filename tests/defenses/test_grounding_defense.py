"""Grounding by retrieval: what is put before the target, what may leave it, and what it costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted
from world import make_world

from audit.errors import ConfigError
from audit.knowledge.prompting import query_of
from audit.target import Input
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, User
from defenses.grounding import Grounding

WORLD = make_world(users=10)
FILMS = WORLD.catalog
HORROR = [item for item in FILMS.items_in_order if "Horror" in item.attributes["genres"]]
TOLD = {"answer": "Recommend films.", "rank": "Rank films."}


def asked(task: Any = "answer", **fields: Any) -> Request:
    return Request(User("u", tuple(Event(item, 5.0) for item in HORROR[:4])), task=task, k=3, **fields)


def reader(answer: Any, *honours: Input, **info: Any) -> Scripted:
    reads = frozenset({Input.HISTORY, *honours})
    return Scripted(answer, honours=reads, tasks=("rank", "answer"), instructions=TOLD, fingerprint="f", **info)


def says(text: str) -> Any:
    return lambda request: Answer(text=text)


def test_passages_are_about_what_may_suit_and_was_not_had() -> None:
    target = reader(says("1. Amber Anchor"), Input.PASSAGES, Input.INSTRUCTION)
    Grounding(FILMS).protect(target).recommend([asked()])
    (seen,) = target.asked
    assert len(seen.passages) == 5
    had = {event.item.id for event in seen.user.history}
    for number, passage in enumerate(seen.passages, start=1):
        assert passage.text.startswith(f"[{number}] ")
        assert "Horror" in passage.text
        assert passage.id.removeprefix("item:") not in had
    assert seen.instruction.startswith("Recommend films. Use the numbered passages.")


def test_a_search_is_for_what_was_liked_and_not_for_its_year() -> None:
    liked, other = Item("a", "Iron Forest (1995)", attributes={"genres": ("Western",), "year": 1995}), HORROR[0]
    events = (Event(other, 1.0), Event(liked, 5.0))
    assert query_of(Request(User("u", events, note=" something calm "))) == "something calm Iron Forest Western"
    assert query_of(Request(User("u"))) == ""


def test_the_note_is_searched_for_first() -> None:
    target = reader(says("x"), Input.PASSAGES)
    request = Request(User("u", note="Do you have Golden Journey?"), task="answer")
    Grounding(FILMS, k=1).protect(target).recommend([request])
    assert "Golden Journey" in target.asked[0].passages[0].text
    assert target.asked[0].instruction == ""  # it reads none, so nothing is asked of it


@pytest.mark.parametrize("channel", [Input.INSTRUCTION, Input.NOTE])
def test_a_target_without_passages_has_them_where_it_reads(channel: Input) -> None:
    target = reader(says("1. Amber Anchor"), channel)
    Grounding(FILMS, k=2).protect(target).recommend([asked()])
    (seen,) = target.asked
    text = seen.instruction if channel == Input.INSTRUCTION else seen.user.note
    assert not seen.passages
    assert "\n[1] " in text
    assert "\n[2] " in text
    assert text.startswith("Recommend films.") == (channel == Input.INSTRUCTION)


def test_a_target_that_reads_nothing_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="reads no passages, no instruction and no note"):
        Grounding(FILMS).protect(reader(says("x")))


def test_candidates_are_what_passages_are_about() -> None:
    target = reader(lambda r: Answer(tuple(Ranked(i.id) for i in r.candidates[: r.k])), Input.PASSAGES)
    few, many = FILMS.items_in_order[:3], FILMS.items_in_order[10:90]
    Grounding(FILMS).protect(target).recommend([asked("rank", candidates=few), asked("rank", candidates=many)])
    first, second = target.asked
    assert [p.id for p in first.passages] == [f"item:{item.id}" for item in few]
    assert {p.id.removeprefix("item:") for p in second.passages} <= {item.id for item in many}
    assert len(second.passages) == 5


def test_own_documents_are_found_and_equal_requests_get_equal_passages(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Festival\n\nThe zeppelin festival shows silent films.\n")
    target = reader(says("x"), Input.PASSAGES)
    defense = Grounding(FILMS, documents=[tmp_path / "notes.md"])
    made = defense.protect(target)
    request = Request(User("u", note="the zeppelin festival"), task="answer")
    made.recommend([request])
    assert target.asked[0].passages[0].id == "notes.md#festival"
    assert made.info.fingerprint != Grounding(FILMS).protect(target).info.fingerprint
    assert made.edits([request]) == made.edits([request])


def test_lists_are_kept_to_the_catalogue_and_slips_are_mapped() -> None:
    entries = (Ranked(None, "Zorro Returns Again"), Ranked(None, "Amber Ancohr"), Ranked(None, "Amber Bridge (1971)"))
    target = reader(lambda r: Answer((*entries, Ranked("103"))[: r.k]), Input.PASSAGES)
    (answer,) = Grounding(FILMS).protect(target).recommend([asked("rank")])
    assert None not in answer.ids
    assert "101" in answer.ids
    assert "103" in answer.ids  # the next valid one, asked for anew
    assert answer.usage.calls == 2
    (loose,) = Grounding(FILMS, constrain="none").protect(target).recommend([asked("rank")])
    assert loose.ids[:2] == (None, None)


TEXT = (
    "Here you are:\n\n1. Amber Anchor (1970): calm.\n2. Zorro Invented Twice (1999): loud.\n   It has bats.\n"
    "3. Amber Bridge (1971) [2]\n\nEnjoy!"
)


def test_free_text_loses_the_lines_that_name_nothing_real() -> None:
    target = reader(says(TEXT), Input.PASSAGES)
    (answer,) = Grounding(FILMS).protect(target).recommend([asked()])
    assert answer.text == "Here you are:\n\n1. Amber Anchor (1970): calm.\n2. Amber Bridge (1971) [2]\n\nEnjoy!"
    assert answer.usage.calls == 1  # it reads no instruction that could be made stricter
    clean = reader(says(answer.text), Input.PASSAGES)
    assert Grounding(FILMS).protect(clean).recommend([asked()])[0].text == answer.text


def test_an_invented_title_is_asked_about_again_without_quoting_it() -> None:
    def answer(request: Request) -> Answer:
        strict = "Name only items that the passages describe." in request.instruction
        return Answer(text="1. Amber Anchor (1970)" if strict else TEXT)

    target = reader(answer, Input.PASSAGES, Input.INSTRUCTION)
    (found,) = Grounding(FILMS).protect(target).recommend([asked()])
    assert found.text == "1. Amber Anchor (1970)"
    assert found.usage.calls == 2
    assert all("Zorro" not in r.instruction for r in target.asked)
    (once,) = Grounding(FILMS, again=0).protect(target).recommend([asked()])
    assert "Zorro" not in (once.text or "")


def test_an_answer_of_nothing_real_is_a_refusal_and_prose_is_left_alone() -> None:
    invented = reader(says("- Zorro Invented Twice\n- Purple Rivers of Nowhere"), Input.PASSAGES)
    (answer,) = Grounding(FILMS).protect(invented).recommend([asked()])
    assert answer.outcome == "refused"
    assert answer.detail == "every title named is absent from the catalogue"
    prose = 'You may like "Zorro Invented Twice" as much as "Amber Anchor".'
    (left,) = Grounding(FILMS).protect(reader(says(prose), Input.PASSAGES)).recommend([asked()])
    assert left.text == prose


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, "k: 0 must be a whole number of at least 1"),
        ({"again": True}, "again: True must be"),
        ({"constrain": "drp"}, "constrain: 'drp' is no choice"),
        ({"documents": "notes.md"}, "defenses.grounding.documents: 'notes.md' must be a list"),
    ],
)
def test_options_that_cannot_be_used_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Grounding(FILMS, **options)


def test_an_empty_catalogue_without_documents_is_an_error_in_words() -> None:
    from audit.errors import DataError

    with pytest.raises(DataError, match="hold any text"):
        Grounding(Catalog([])).protect(reader(says("x"), Input.PASSAGES))
    odd = Catalog([Item("1", "千と千尋の神隠し"), Item("2", "Up")])
    target = reader(says("1. 千と千尋の神隠し\n2. Up"), Input.PASSAGES)
    assert Grounding(odd).protect(target).recommend([Request(User("u"), task="answer")])[0].outcome == "ok"
