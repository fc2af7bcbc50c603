"""What holds for every attack without search, whoever wrote it: the registry is enumerated."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import Any

import numpy as np
import pytest
from helpers import ODD_TITLES, any_request, catalog, request, requests
from hypothesis import given
from hypothesis import strategies as st

from audit import registry
from audit.attack import Perturbation
from audit.edits import Edit, HistoryInsert, HistoryReplace, TextEdit, apply, from_dict, to_dict
from audit.target import Input, TargetInfo
from audit.types import Catalog, Event, Item, Request, User

NAMES = sorted(
    name
    for name in registry.available("attacks")
    if isinstance(kind := registry.load("attacks", name, where="test"), type) and issubclass(kind, Perturbation)
)
READS_ALL = TargetInfo("all", honours=frozenset(Input))
READS_TITLES = TargetInfo("titles", honours=frozenset({Input.HISTORY, Input.ITEM_TEXT}))
READS_NOTHING = TargetInfo("nothing", honours=frozenset())


def build(name: str, items: Catalog) -> Perturbation:
    factory = registry.load("attacks", name, where="test")
    known = {"popularity": {item_id: n % 7 for n, item_id in enumerate(items)}}
    attack: Perturbation = factory(items, **{k: v for k, v in known.items() if k in signature(factory).parameters})
    return attack


def craft(attack: Perturbation, asked: list[Request], seed: int = 0, **given: Any) -> list[tuple[Edit, ...]]:
    relevant = given.get("relevant", ())
    return attack.craft_all(asked, given.get("target", READS_ALL), relevant, np.random.default_rng(seed))


WORDED = [replace(r, instruction="Please rank these films for Anna.") for r in requests(6)]


@pytest.mark.parametrize("name", NAMES)
def test_edits_are_deterministic_storable_and_of_few_edits(name: str) -> None:
    attack = build(name, catalog())
    crafted = craft(attack, WORDED)
    assert crafted == craft(attack, WORDED)
    assert all(crafted)
    assert [tuple(from_dict(to_dict(e)) for e in edits) for edits in crafted] == crafted
    for edits, asked in zip(crafted, WORDED, strict=True):
        attack.info.threat_model.check(edits)
        assert apply(edits, asked).digest != asked.digest


@pytest.mark.parametrize("name", NAMES)
def test_edits_of_one_request_do_not_depend_on_the_others(name: str) -> None:
    attack = build(name, catalog())
    others = [WORDED[0], *requests(3, history=1, candidates=None, instruction="Choose wisely now."), WORDED[4]]
    assert craft(attack, WORDED[:1]) == craft(attack, WORDED)[:1]
    assert craft(attack, others)[4] == craft(attack, WORDED)[4]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in {"negation", "profile-popular"}])
def test_another_seed_makes_other_edits(name: str) -> None:
    attack = build(name, catalog())
    assert craft(attack, WORDED, seed=1) != craft(attack, WORDED, seed=2)


@pytest.mark.parametrize("name", NAMES)
def test_items_of_the_question_are_never_inserted(name: str) -> None:
    small = catalog(12)  # 4 in the history, 5 candidates, 1 true next item: two are left
    asked = [replace(r, instruction="Rank films.") for r in requests(20)]
    attack = build(name, small)
    for edits in craft(attack, asked, relevant=[frozenset({"i9"})] * 20):
        inserted = {e.event.item.id for e in edits if isinstance(e, HistoryInsert | HistoryReplace)}
        assert inserted <= {"i10", "i11"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_edited_that_the_target_does_not_read(name: str) -> None:
    attack = build(name, catalog())
    if attack.info.needs & {Input.HISTORY}:
        assert attack.info.lacking(READS_NOTHING, "rank") is not None
    else:
        assert craft(attack, WORDED, target=READS_NOTHING) == [()] * len(WORDED)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("title", ODD_TITLES)
def test_odd_titles_and_tiny_catalogues_are_attacked_without_harm(name: str, title: str) -> None:
    item = Item("only", title)
    attack = build(name, Catalog([item]))
    asked = [
        Request(User("empty")),
        Request(User("u", (Event(item),)), candidates=(item,), instruction=title),
        Request(User("n", note=title), candidates=()),
    ]
    for target in (READS_ALL, READS_TITLES):
        for edits, one in zip(craft(attack, asked, target=target), asked, strict=True):
            after = apply(edits, one)
            assert bool(edits) == (after.digest != one.digest)


@pytest.mark.parametrize("name", NAMES)
@given(asked=st.lists(any_request, max_size=3), seed=st.integers(0, 99))
def test_any_request_can_be_attacked(name: str, asked: list[Request], seed: int) -> None:
    attack = build(name, catalog(5))
    for target in (READS_ALL, READS_TITLES):
        for edits, one in zip(craft(attack, asked, seed, target=target), asked, strict=True):
            for edit in edits:
                assert edit.zone in attack.info.threat_model.zones
                assert not isinstance(edit, TextEdit) or edit.field
            apply(edits, one)


def test_an_attack_on_an_empty_history_is_still_an_attack() -> None:
    edits = craft(build("random-items", catalog()), [request(history=0)])
    assert len(edits[0]) == 3
    assert len(apply(edits[0], request(history=0)).user.history) == 3
