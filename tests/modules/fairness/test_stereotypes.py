"""Stereotypes on planted targets: a flaw of known size is found, its clean twin and its mirror are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairness_world import a_context, small_world
from helpers import Scripted

from audit.data.dataset import Dataset
from audit.errors import ConfigError
from audit.modules.fairness.stereotypes import Stereotypes
from audit.modules.fairness.stereotypes.users import groups_of
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Catalog, Item, Ranked, Request

K = 5
READS = frozenset({Input.HISTORY, Input.ITEM_TEXT, Input.NOTE})


def draw(catalog: Catalog, weigh: Callable[[Item], float], request: Request, salt: str = "") -> Answer:
    """k items by chance; equal requests get equal answers, and any other request independent ones."""
    items = catalog.items_in_order
    weights = np.array([weigh(item) for item in items])
    rng = generator(0, request.digest, salt)
    chosen = rng.choice(len(items), size=request.k, replace=False, p=weights / weights.sum())
    return Answer(tuple(Ranked(items[i].id, items[i].title) for i in chosen))


def planted(factor: float = 3.0, *, group: str = "female", genre: str = "Romance") -> Scripted:
    """Lists one genre `factor` times as often where the note says one word."""

    def answer(request: Request) -> Answer:
        said = f" {group} " in f" {request.user.note} "
        return draw(
            small_world().catalog,
            lambda item: factor if said and genre in item.attributes["genres"] else 1.0,
            request,
        )

    return Scripted(answer, honours=READS)


def associations(output, **params):
    found = [f for f in output.findings if f.metric == "association" and f.p is not None]
    return [f for f in found if all(f.params.get(k) == v for k, v in params.items())]


GENDER = {"attributes": {"gender": ["female", "male"]}, "anchors": 40, "repeats": 2, "arms": ["counterfactual"]}


def test_a_planted_stereotype_is_found_at_its_size(tmp_path):
    context = a_context(planted(), tmp_path, users=40)
    output = Stereotypes(**GENDER, strength=1e-6).run(context, examples=3)
    (romance,) = associations(output, value="female", name="Romance")
    # 20 of 120 films, three times as likely: odds of 60 : 100 against 20 : 100; fewer, as films are not drawn twice.
    assert romance.ci[0] < np.log(3) < romance.ci[1]
    assert romance.p_adjusted < 0.01
    assert romance.unmet == ()
    assert romance.evidence
    assert len(romance.evidence) <= 3
    assert romance.unit == "anchor"
    assert romance.n == 40
    assert np.mean(list(output.values[romance.id].values())) == pytest.approx(romance.estimate)
    (mirror,) = associations(output, value="male", name="Romance")
    assert mirror.estimate == pytest.approx(-romance.estimate)
    others = [f for f in associations(output, value="female") if f.params["name"] != "Romance"]
    assert len(others) == 5
    assert sum(f.estimate < 0 for f in others) >= 4  # what one genre gains the others lose
    assert all(abs(f.estimate) < romance.estimate for f in others)


def test_its_clean_twin_is_decided_on_nowhere(tmp_path):
    context = a_context(planted(factor=1.0), tmp_path, users=40)
    output = Stereotypes(**GENDER).run(context, examples=3)
    assert len(associations(output)) == 12
    assert all(f.p_adjusted > 0.05 and f.unmet for f in associations(output))


def test_of_several_values_the_planted_one_stands_out(tmp_path):
    context = a_context(planted(4.0, group="older", genre="Western"), tmp_path, users=40)
    output = Stereotypes(attributes=["age"], anchors=40, repeats=2, arms=["counterfactual"]).run(context, examples=1)
    ranked = sorted(associations(output, name="Western"), key=lambda f: -f.estimate)
    assert ranked[0].params["value"] == "older"
    assert ranked[0].p_adjusted < 0.01
    assert {f.params["against"] for f in ranked} == {"the others"}


def test_what_only_one_wording_shows_is_held_back(tmp_path):
    def answer(request: Request) -> Answer:
        usual = request.user.note.startswith("I am") and "female" in request.user.note
        return draw(
            small_world().catalog,
            lambda item: (
                (4.0 if usual else 0.25)
                if "Romance" in item.attributes["genres"] and "female" in request.user.note
                else 1.0
            ),
            request,
        )

    context = a_context(Scripted(answer, honours=READS), tmp_path, users=40)
    output = Stereotypes(**GENDER).run(context, examples=1)
    (romance,) = associations(output, value="female", name="Romance")
    assert romance.p_adjusted < 0.01
    assert any("other wordings" in reason for reason in romance.unmet)


def test_it_asks_only_what_its_plan_says_and_what_the_same_panel_asks(tmp_path):
    target = planted()
    context = a_context(target, tmp_path, users=20)
    part = Stereotypes(attributes=["gender"], anchors=10, repeats=1)
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    part.run(context, examples=1)
    assert {request.digest for request in target.asked} == {ask.request.digest for ask in part.plan(context)}
    assert len(planned) == len(target.asked)
    before = len(target.asked)
    part.run(context, examples=1)
    assert len(target.asked) == before


def test_rare_features_and_unreadable_anchors_are_said(tmp_path):
    inner = planted()

    def answer(request: Request) -> Answer:
        if request.user.id.endswith("1") and " male " in f" {request.user.note} ":
            return Answer(outcome="refused")
        return inner.answer(request)

    context = a_context(Scripted(answer, honours=READS), tmp_path, users=20)
    part = Stereotypes(attributes={"gender": ["female", "male"]}, anchors=20, repeats=1, fewest=60)
    output = part.run(context, examples=1)
    (skipped,) = [f for f in output.findings if "rare values" in f.title and f.params["arm"] == "counterfactual"]
    assert "fewer than 60 times" in skipped.reason
    assert all(f.n < 20 and "are left out" in f.note for f in associations(output))


def test_words_of_titles_count_too_even_outside_the_catalogue(tmp_path):
    def answer(request: Request) -> Answer:
        title = "The Midnight Wedding" if "female" in request.user.note else "The Iron Fist"
        return Answer((*inner.answer(request).ranked[:2], Ranked(None, title)))

    inner = planted(1.0)
    context = a_context(Scripted(answer, honours=READS), tmp_path, users=30)
    part = Stereotypes(**{**GENDER, "anchors": 30}, feature=None, keywords=["wedding", "fist"])
    output = part.run(context, examples=1)
    (wedding,) = associations(output, value="female", name="wedding")
    assert wedding.estimate > 0.05
    assert wedding.p_adjusted < 0.01
    assert wedding.params["feature"] == "title"


# Real groups ----------------------------------------------------------------------------------------------------------


def leaning_world(users: int = 120) -> Dataset:
    """Women watch Romance twice as often as men; everything else by chance."""
    world = small_world()
    rng = np.random.default_rng(3)
    items = world.catalog.items_in_order
    romance = np.array(["Romance" in item.attributes["genres"] for item in items])
    rows, people = [], {}
    for number in range(users):
        user = f"{number:03d}"
        people[user] = {"gender": "FM"[number % 2], "age": int(rng.integers(18, 70))}
        weights = np.where(romance & (number % 2 == 0), 2.0, 1.0)
        taste = rng.dirichlet(np.full(6, 4.0))[np.repeat(np.arange(6), 20)]
        seen = rng.choice(len(items), size=30, replace=False, p=(w := weights * (0.1 + taste)) / w.sum())
        rows += [(user, items[i].id, 4.0, float(1000 * number + at)) for at, i in enumerate(seen)]
    frame = pd.DataFrame(rows, columns=["user", "item", "rating", "time"])
    return replace(world, interactions=frame, users=people)


def mirror(power: float = 1.0) -> Scripted:
    """Lists genres as often as the user's history has them, to a power: 1 for a mirror, more to exaggerate."""

    def answer(request: Request) -> Answer:
        genres = [genre for event in request.user.history for genre in event.item.attributes["genres"]]
        return draw(
            small_world().catalog,
            lambda item: (genres.count(item.attributes["genres"][0]) / len(genres) + 1e-3) ** power,
            request,
        )

    return Scripted(answer, honours=READS)


def amplified(output, **params):
    found = [f for f in output.findings if f.metric == "amplification" and f.p is not None]
    return [f for f in found if all(f.params.get(k) == v for k, v in params.items())]


USERS = {"attributes": ["gender"], "arms": ["users"]}


def test_a_target_that_mirrors_its_users_amplifies_nothing(tmp_path):
    context = a_context(mirror(), tmp_path, dataset=leaning_world(), users=120, k=10)
    output = Stereotypes(**USERS).run(context, examples=2)
    (romance,) = amplified(output, group="F", name="Romance")
    assert romance.floor > 0.25  # the users do differ
    assert abs(romance.effect) < 0.25
    assert romance.p_adjusted > 0.05
    assert romance.unmet
    assert all(f.p_adjusted > 0.05 for f in amplified(output))


def test_a_target_that_exaggerates_is_found(tmp_path):
    context = a_context(mirror(3.0), tmp_path, dataset=leaning_world(), users=120, k=10)
    output = Stereotypes(**USERS).run(context, examples=2)
    (romance,) = amplified(output, group="F", name="Romance")
    assert romance.effect > 0.2
    assert romance.effect_ci[0] > 0
    assert romance.estimate == pytest.approx(romance.floor + romance.effect)
    assert romance.p_adjusted < 0.05
    assert romance.unmet == ()
    assert romance.evidence
    assert np.mean(list(output.values[romance.id].values())) == pytest.approx(romance.effect)


def test_the_users_lists_exactly_their_own_history_are_no_amplification(tmp_path):
    """The very history as the list: the difference is 0 and not only small."""

    def answer(request: Request) -> Answer:
        seen = list(dict.fromkeys(event.item for event in request.user.history))
        return Answer(tuple(Ranked(item.id, item.title) for item in seen[: request.k]))

    context = a_context(Scripted(answer, honours=READS), tmp_path, dataset=leaning_world(), users=120, k=40)
    for finding in amplified(Stereotypes(**USERS).run(context, examples=1)):
        assert finding.effect == pytest.approx(0, abs=1e-9)


def test_small_groups_are_said_and_ages_fall_into_three_ranges(tmp_path):
    context = a_context(mirror(), tmp_path, dataset=leaning_world(), users=80, k=10)
    output = Stereotypes(attributes=["age", "gender"], arms=["users"], smallest=35).run(context, examples=1)
    skipped = [f for f in output.findings if "small groups" in f.title]
    assert [f.params["attribute"] for f in skipped] == ["age"]
    assert "fewer than 35 users" in skipped[0].reason
    assert groups_of([20, 30, 40, 50, 60, 70, 80, None]) == ["20 to 40"] * 3 + ["50 to 60"] * 2 + ["70 to 80"] * 2 + [
        None
    ]
    assert groups_of(["F", None, "M", " "]) == ["F", None, "M", None]


# What cannot be asked -------------------------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_said(tmp_path):
    deaf = a_context(Scripted(planted().answer), tmp_path / "a", users=10)
    assert "neither a note" in Stereotypes(attributes=["gender"], arms=["counterfactual"]).lacking(deaf)
    assert Stereotypes(attributes=["gender"]).lacking(deaf) is None  # real groups can still be looked at
    output = Stereotypes(attributes=["gender"], smallest=2).run(deaf, examples=1)
    assert any(f.metric == "association" and "neither a note" in f.reason for f in output.findings)
    full = a_context(planted(), tmp_path / "b", users=10, candidates=5)
    assert "all candidates" in Stereotypes(attributes=["gender"]).lacking(full)
    with pytest.raises(ConfigError, match=r"stereotypes: feature: 'genre' is no column.*genres"):
        Stereotypes(feature="genre").lacking(deaf)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": None}, "feature: it is empty"),
        ({"keywords": "love"}, "keywords: 'love' must be a list"),
        ({"keywords": ["a", "A"]}, "each word once"),
        ({"arms": ["both"]}, "arms: .* must be a list of counterfactual and users"),
        ({"fewest": 0}, "fewest: 0 must be at least 1"),
        ({"smallest": 1}, "smallest: 1 must be at least 2"),
        ({"strength": 0}, "strength: 0 must be above 0"),
        ({"anchors": 1}, "anchors: 1 must be"),
    ],
)
def test_a_mistake_in_an_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Stereotypes(**options)
