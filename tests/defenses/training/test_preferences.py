"""Preference pairs, from a stored run or from a blind perturbation."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import Scripted

from audit.edits import TextEdit, apply
from audit.errors import ConfigError
from audit.exchanges import Exchange, exchanges, users
from audit.findings import Evidence
from audit.store import Store
from audit.types import Answer, Event, Item, Ranked, Request, User
from defenses.training.preferences import Pair, disturbed, pairs

FILMS = tuple(Item(f"i{n}", f"Film {n}") for n in range(3))
WORDS = (" Yes", " No")


def asked(user: str = "u", films: tuple[Item, ...] = FILMS) -> Request:
    return Request(User(user, (Event(Item("h", "Past"), 5.0),)), task="score", instruction="Judge.", candidates=films)


def scored(*scores: float) -> Answer:
    return Answer(tuple(Ranked(item.id, item.title, s) for item, s in zip(FILMS, scores, strict=False)))


def render(request: Request, candidate: int) -> str:
    return f"{request.instruction} {(request.candidates or ())[candidate].title}?"


def titled(request: Request, text: str) -> Request:
    return apply([TextEdit("item:i1.title", 0, 0, text)], request)


def test_on_the_attacked_prompt_the_clean_decision_is_chosen() -> None:
    one = Exchange(asked(), scored(0.9, 0.2, 0.5), titled(asked(), "Best! "), scored(0.9, 0.8, 0.5))
    assert pairs([one], render, WORDS) == [
        Pair("Judge. Film 0?", " Yes", " No", "clean"),
        Pair("Judge. Film 1?", " No", " Yes", "clean"),
        Pair("Judge. Best! Film 1?", " No", " Yes", "attacked", flipped=True),
        Pair("Judge. Film 2?", " Yes", " No", "clean"),
    ]


def test_candidates_are_matched_by_id_and_equal_pairs_come_once() -> None:
    turned = Exchange(asked(), scored(0.9, 0.2, 0.5), asked(films=FILMS[::-1][:2]), None)
    found = pairs([turned, turned], render, WORDS)
    assert {(p.prompt, p.chosen) for p in found} == {("Judge. Film 2?", " Yes"), ("Judge. Film 1?", " No")}
    assert len(found) == 2


@pytest.mark.parametrize(
    "one",
    [
        Exchange(asked(), Answer(outcome="refused"), titled(asked(), "x "), scored(0.1, 0.1, 0.1)),
        Exchange(Request(User("u")), scored(0.9), Request(User("u"), instruction="x"), scored(0.1)),
    ],
)
def test_a_run_without_scored_requests_gives_no_pair(one: Exchange) -> None:
    with pytest.raises(ConfigError, match="none of the 1 exchanges is a scored request"):
        pairs([one], render, WORDS)


def test_a_perturbation_is_asked_before_and_after_and_no_change_is_left_out() -> None:
    target = Scripted(lambda request: scored(*(0.9 if "!" in i.title else 0.1 for i in request.candidates or ())))

    def perturb(request: Request, rng: np.random.Generator) -> list[TextEdit]:
        drawn = int(rng.integers(3))
        return [] if request.user.id == "still" else [TextEdit(f"item:i{drawn}.title", 0, 0, "! ")]

    requests = [asked("a"), asked("still"), asked("b")]
    found = disturbed(target, requests, perturb, np.random.default_rng(0), title="shout")
    assert [one.before.user.id for one in found] == ["a", "b"]
    assert users(found) == {"a", "b"}
    assert all(one.clean == scored(0.1, 0.1, 0.1) and one.title == "shout" for one in found)
    assert all(pair.flipped for pair in pairs(found, render, WORDS) if pair.asked == "attacked")
    assert disturbed(target, [asked("still")], perturb, np.random.default_rng(0)) == []


def test_the_evidence_of_a_stored_run_becomes_exchanges(tmp_path) -> None:
    before, after = asked(), titled(asked(), "Best! ")
    clean, attacked = scored(0.9, 0.2, 0.5), scored(0.9, 0.8, 0.5)
    with Store(tmp_path / "runs.sqlite") as store:
        run = store.create_run("r", config={}, target={}, versions={}, seed=7).id
        store.put_answers(run, [("k0", before, 0, clean), ("k1", after, 0, attacked), ("k2", after, 1, clean)])
        evidence = [
            Evidence("u", "planted", before.digest, after.digest),
            Evidence("u", "planted again", before.digest, after.digest),
            Evidence("u", "a repeat", before.digest, before.digest),
            Evidence("u", "never asked", before.digest, "0" * 64),
        ]
        store.save_module(run, "robustness", [], evidence)
        found = exchanges(store, run[:12])
    assert [(e.before, e.after, e.clean, e.attacked) for e in found] == [(before, after, clean, attacked)]
