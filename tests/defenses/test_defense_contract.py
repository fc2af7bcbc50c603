"""What holds for every registered defense, whoever wrote it: the registry is enumerated.

Defenses that bring a language model or trained weights are held to it in their own tests, with tiny models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from inspect import signature
from typing import Any

import pytest
from helpers import ODD_TITLES, Scripted
from world import make_world

from audit import registry
from audit.defense import Certifies, Defended, Defense, Detects
from audit.edits import Zone
from audit.target import Input, Insight, describe
from audit.types import Answer, Catalog, Event, Item, Ranked, Request, Task, User

BRING_A_MODEL = {"adversarial-training", "dp", "dpo", "paraphrase", "perplexity-filter"}
"""Defenses that cannot be built without a language model or trained weights."""

EVERYTHING = frozenset(Input) - {Input.IMAGES}
TASKS: tuple[Task, ...] = ("rank", "score")


@cache
def world() -> Any:
    return make_world(users=40)


def films(count: int, start: int = 0) -> tuple[Item, ...]:
    return tuple(world().catalog.items_in_order[start : start + count])


def asked(task: Task, user: str, history: int = 8, candidates: int = 6, **fields: Any) -> Request:
    events = tuple(Event(item, float(1 + n % 5), float(n)) for n, item in enumerate(films(history, start=20)))
    return Request(
        User(user, events, note=fields.pop("note", "I like slow films about the sea.")),
        task=task,
        instruction=fields.pop("instruction", "Judge the films for this person."),
        candidates=films(candidates),
        k=4,
        **fields,
    )


def clean(task: Task, count: int = 12) -> list[Request]:
    return [asked(task, f"u{n}", history=4 + n % 6) for n in range(count)]


def sensitive(request: Request) -> Answer:
    """Scores that every part of the request moves a little, always the same for the same request."""
    items = request.candidates or ()
    digest = int(request.digest[:8], 16)
    scores = {item.id: ((digest >> n) % 97 + 1) / 99 for n, item in enumerate(items)}
    entries = [Ranked(item.id, item.title, scores[item.id]) for item in items]
    if request.task == "rank":
        entries = sorted(entries, key=lambda e: (-(e.score or 0.0), e.item_id or ""))[: request.k]
    return Answer(tuple(entries))


def target(answer: Any = sensitive) -> Scripted:
    return Scripted(
        answer,
        tasks=TASKS,
        honours=EVERYTHING,
        reveals=frozenset({Insight.SCORES}),
        instructions=dict.fromkeys(TASKS, "Judge the films for this person."),
        fingerprint="contract",
    )


def build(name: str) -> Defense:
    factory = registry.load("defenses", name, where="test")
    sources = {
        "catalog": lambda: world().catalog,
        "popularity": lambda: world().popularity,
        "dataset": lambda: world(),
        "validation": lambda: tuple(clean("rank", 30)),
    }
    wanted = signature(factory).parameters
    defense: Defense = factory(**{key: give() for key, give in sources.items() if key in wanted})
    return defense


ALL = sorted(registry.available("defenses"))


NAMES = [name for name in ALL if name not in BRING_A_MODEL]


def protected(name: str, task: Task, answer: Any = sensitive) -> Defended:
    defense = build(name)
    bare = target(answer)
    if reason := defense.info.lacking(describe(bare), task):
        pytest.skip(reason)
    made = defense.protect(bare)
    assert isinstance(made, Defended)
    return made


def test_there_are_defenses_of_every_family() -> None:
    families = {build(name).info.family for name in NAMES}
    assert {"input", "prompt", "profile", "smoothing", "output"} <= families


@pytest.mark.parametrize("name", ALL)
def test_the_declaration_is_complete(name: str) -> None:
    if name in BRING_A_MODEL:
        assert registry.load("defenses", name, where="test").__doc__
        return
    info = build(name).info
    assert info.id == name
    assert all((info.title, info.why, info.reference, info.limits))
    assert info.guards
    assert info.guards <= set(Zone)
    assert Zone.OPERATOR not in info.guards  # whoever writes the instruction owns the target
    assert info.calls >= 1
    assert all(tag.count(":") == 2 for tag in info.controls)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_defended_target_is_a_target(name: str, task: Task) -> None:
    made = protected(name, task)
    requests = clean(task)
    before = [r.digest for r in requests]
    answers = made.recommend(requests)
    assert len(answers) == len(requests)
    assert [r.digest for r in requests] == before
    for request, answer in zip(requests, answers, strict=True):
        offered = [item.id for item in request.candidates or ()]
        if answer.outcome == "ok":
            assert set(answer.ids) <= set(offered)
            assert len(set(answer.ids)) == len(answer.ids)
            if task == "score":
                assert list(answer.ids) == offered
                assert all(s is not None and math.isfinite(s) for s in answer.scores)
            else:
                assert 0 < len(answer.ids) <= request.k
        assert answer.outcome in {"ok", "refused"}
    inner = describe(made.target)
    assert made.info.fingerprint not in (None, inner.fingerprint)
    assert name in made.info.name
    assert Insight.GRADIENTS not in made.info.reveals


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_equal_draws_are_equal_and_company_does_not_matter(name: str, task: Task) -> None:
    requests = clean(task, 6)
    together = protected(name, task).recommend_draws(requests, [3] * 6)
    again = protected(name, task)
    alone = [again.recommend_draws([r], [3])[0] for r in reversed(requests)][::-1]

    def read(answers: Sequence[Answer]) -> list[Any]:
        return [(a.ranked, a.outcome, a.usage.calls) for a in answers]

    assert read(together) == read(alone)
    made = protected(name, task)
    if not made.info.randomised:
        assert read(made.recommend_draws(requests, range(6))) == read(made.recommend_draws(requests, [0] * 6))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_costs_is_counted(name: str) -> None:
    made = protected(name, "rank")
    bare = made.target
    assert isinstance(bare, Scripted)
    fitting = len(bare.asked)  # what it is fitted on is asked once, before any answer
    answers = made.recommend(clean("rank", 4))
    for answer in answers:
        if answer.outcome == "ok":
            assert answer.usage.calls >= 1
    assert sum(a.usage.calls for a in answers) >= len(bare.asked) - fitting


@pytest.mark.parametrize("outcome", ["refused", "unparsable", "error"])
@pytest.mark.parametrize("name", NAMES)
def test_a_target_that_gives_no_answer_is_not_made_to_look_as_if_it_did(name: str, outcome: Any) -> None:
    made = protected(name, "rank", lambda _: Answer(outcome=outcome, detail="as planted"))
    assert all(a.outcome != "ok" for a in made.recommend(clean("rank", 3)))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_odd_requests_get_an_answer_or_a_counted_outcome(name: str, task: Task) -> None:
    plain = asked(task, "u0")
    odd = tuple(Item(f"odd{n}", title or " ") for n, title in enumerate(ODD_TITLES))
    requests = [
        replace(plain, user=replace(plain.user, history=())),
        replace(plain, user=replace(plain.user, history=plain.user.history[:1])),
        replace(plain, user=replace(plain.user, note="")),
        replace(plain, instruction=""),
        replace(plain, candidates=plain.candidates[:1] if plain.candidates else None),
        replace(plain, candidates=odd),
        replace(plain, user=replace(plain.user, history=tuple(Event(item) for item in odd))),
        replace(plain, user=replace(plain.user, note="\n".join(ODD_TITLES))),
    ]
    answers = protected(name, task).recommend(requests)
    assert len(answers) == len(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.outcome in {"ok", "refused", "unparsable", "error"}
        if answer.outcome == "ok":
            assert set(answer.ids) <= {item.id for item in request.candidates or ()}
        else:
            assert answer.detail


@pytest.mark.parametrize("name", NAMES)
def test_a_target_that_reads_nothing_it_works_on_is_refused_in_words(name: str) -> None:
    info = build(name).info
    deaf = replace(describe(target()), honours=frozenset({Input.IMAGES}))
    for task in TASKS:
        reason = info.lacking(deaf, task)
        assert reason or not info.needs
        assert reason is None or name in reason


@pytest.mark.parametrize("name", NAMES)
def test_alarms_and_certificates_are_well_formed(name: str) -> None:
    made = protected(name, "score")
    requests = clean("score", 3)
    if isinstance(made, Detects):
        suspicion = made.suspicion(requests)
        assert len(suspicion) == len(requests)
        assert all(map(math.isfinite, suspicion))
        assert math.isfinite(made.threshold)
        assert list(made.suspicion(requests[1:])) == pytest.approx(list(suspicion)[1:])
    if isinstance(made, Certifies):
        certificates = made.certify_all(requests)
        assert [c.digest for c in certificates] == [r.digest for r in requests]
        for request, certificate in zip(requests, certificates, strict=True):
            offered = {item.id for item in request.candidates or ()}
            assert certificate.covered or certificate.reason
            assert certificate.calls >= 1
            assert (certificate.alpha == 0) == (certificate.method == "exact")
            for claim in certificate.claims:
                assert claim.item_id in offered
                assert all(-1 <= r <= certificate.units for r in claim.radius.values())
                assert 0 <= claim.lower <= claim.upper <= 1


def test_the_catalogue_may_hold_one_item() -> None:
    lone = Catalog([Item("1", "Alone (1999)")])
    for name in NAMES:
        factory = registry.load("defenses", name, where="test")
        if (
            set(signature(factory).parameters) & {"dataset", "validation"}
            or "catalog" not in signature(factory).parameters
        ):
            continue
        made = factory(catalog=lone).protect(target())
        request = Request(User("u", (Event(lone["1"]),)), task="rank", candidates=(lone["1"],), k=1)
        (answer,) = made.recommend([request])
        assert answer.outcome in {"ok", "refused", "error", "unparsable"}
