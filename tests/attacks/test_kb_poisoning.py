"""Knowledge-base poisoning: one false fact in a passage about an item, and who falls for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from helpers import ODD_TITLES, Scripted, items, request
from world import make_world

from attacks.kb_poisoning import KbPoisoning
from audit import registry
from audit.attack import Goal, Objective, Offer
from audit.edits import AddPassage, Zone, apply, from_dict, to_dict
from audit.knowledge import KnowledgeBase, item_document
from audit.target import Input
from audit.types import Answer, Catalog, Item, Ranked, Request, User

FILMS = make_world(users=10).catalog
WESTERN = next(item for item in FILMS.items_in_order if item.attributes["genres"] == ("Western",))
HORROR = tuple(item for item in FILMS.items_in_order if item.attributes["genres"] == ("Horror",))


def offers(item: Item, shelf: Sequence[Item] = HORROR, catalog: Catalog = FILMS) -> dict[str, Offer]:
    asked = Request(User("u"), candidates=(item, *items(3)), k=2)
    return {v.id: Offer(item, asked, shelf, v) for v in KbPoisoning(catalog).variants}


def test_it_is_registered_and_stays_in_its_zone() -> None:
    attack = registry.load("attacks", "kb-poisoning", where="test")(FILMS)
    assert attack.info.threat_model.zones == {Zone.RETRIEVED}
    assert set(offers(WESTERN)) == {"genres", "year"}


def test_the_row_takes_what_the_shown_items_have() -> None:
    (edit,) = KbPoisoning(FILMS).rewrite(offers(WESTERN)["genres"], np.random.default_rng(0))
    assert isinstance(edit, AddPassage)
    true = item_document(WESTERN).text
    assert edit.passage.text == true.replace("Genres: Western.", "Genres: Horror.")
    assert from_dict(to_dict(edit)) == edit
    (year,) = KbPoisoning(FILMS).rewrite(offers(WESTERN)["year"], np.random.default_rng(0))
    assert isinstance(year, AddPassage)
    assert str(WESTERN.attributes["year"]) not in year.passage.text
    assert "Genres: Western." in year.passage.text


def test_a_search_finds_the_false_row_before_the_true_one() -> None:
    (edit,) = KbPoisoning(FILMS).rewrite(offers(WESTERN)["genres"], np.random.default_rng(0))
    assert isinstance(edit, AddPassage)
    from audit.knowledge import Document

    base = KnowledgeBase.build(FILMS, [Document("theirs", edit.passage.text)], dense=False)
    found = [hit.document.id for hit in base.retrieve(f"{WESTERN.title} Horror", 2)]
    assert found[0] == "theirs"


def test_it_lifts_an_item_where_passages_are_believed_and_nowhere_else() -> None:
    def believing(asked: Request) -> Answer:
        text = "\n".join(p.text for p in asked.passages)
        liked = [i for i in asked.candidates or () if f"{i.title}. Genres: Horror" in text]
        rest = [i for i in asked.candidates or () if i not in liked]
        return Answer(tuple(Ranked(i.id, i.title) for i in (*liked, *rest)))

    asked = Request(request().user, candidates=(*HORROR[:3], WESTERN), k=4)
    objective = Objective(Goal.PROMOTE, item_id=WESTERN.id)
    for answer, place in ((believing, 0), (lambda r: Answer(tuple(Ranked(i.id) for i in r.candidates or ())), 3)):
        target = Scripted(answer, honours=frozenset({Input.PASSAGES}))
        attempts = list(KbPoisoning(Catalog((*HORROR, WESTERN))).run(
            target, [asked] * 2, objective, 0, np.random.default_rng(0)
        ))  # fmt: skip
        genres = next(a for a in attempts if "Genres: Horror" in str(a.edits))
        assert genres.before.ids.index(WESTERN.id) == 3
        assert genres.after.ids.index(WESTERN.id) == place


def test_a_target_without_passages_is_refused_in_words() -> None:
    reason = KbPoisoning(FILMS).info.lacking(Scripted(honours=frozenset({Input.NOTE})).info, "rank")
    assert reason == "the target does not read passages, which kb-poisoning edits"


@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_items_do_no_harm(title: str) -> None:
    odd = Item("odd", title, attributes={"genres": (), "year": 1999, "minutes": 88.5, "maker": "Ann"})
    catalog = Catalog([odd, Item("o2", "Other", attributes={"year": 2004, "minutes": 3.0})])
    for offer in offers(odd, (), catalog).values():
        edits = KbPoisoning(catalog).rewrite(offer, np.random.default_rng(0))
        KbPoisoning(catalog).info.threat_model.check(edits)
        assert apply(edits, offer.request) is not None
    bare = Catalog([Item("b", title)])
    (offer,) = offers(bare["b"], (), bare).values()
    assert KbPoisoning(bare).rewrite(offer, np.random.default_rng(0)) == ()
