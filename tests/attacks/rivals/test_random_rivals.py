"""RPGP, the genetic search and the learned policy: what they find, what it costs, what they never do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import planted
import pytest
from helpers import Scripted, catalog, request, requests
from planted import READS, TRUTH, WORDED, attack, brittle, drop

from attacks.rivals.genetic import Genetic
from attacks.rivals.policy import Choices, Learner
from attacks.rivals.ppo import PPO
from attacks.rivals.rpgp import Rpgp
from audit.attack import Goal, Objective, Search
from audit.edits import HistoryInsert, TextEdit, apply
from audit.errors import ConfigError
from audit.target import Input, Insight
from audit.types import Answer, Catalog, Item, Request

RIVALS = {
    "rpgp": Rpgp,
    "genetic": Genetic,
    "genetic anywhere": lambda items: Genetic(items, places="any"),
    "ppo": PPO,
}
each = pytest.mark.parametrize("build", RIVALS.values(), ids=RIVALS.keys())
Build = Callable[[Catalog], Search]


@each
@pytest.mark.parametrize("budget", [1, 2, 7, 50])
def test_no_more_is_asked_than_the_budget(build: Build, budget: int) -> None:
    planted.holds_the_budget(build(catalog()), budget)


@each
def test_without_a_budget_it_is_one_blind_draw(build: Build) -> None:
    target = brittle()
    attempt = attack(build(catalog()), target, 0)
    assert attempt.edits
    assert len(target.asked) == 2


@each
def test_a_brittle_word_and_a_brittle_item_are_found(build: Build) -> None:
    found = [attack(build(catalog()), brittle({"Garden": 1.0}, {"i33": 2.0, "i20": 2.0}), 200, s) for s in range(3)]
    assert np.mean([drop(one) for one in found]) >= 3.0


@each
def test_nothing_of_the_question_is_inserted(build: Build) -> None:
    planted.inserts_nothing_of_the_question(build(catalog(12)))


@each
def test_it_repeats_itself(build: Build) -> None:
    planted.repeats_itself(build(catalog()))


@each
def test_odd_questions_are_attacked_without_harm(build: Build) -> None:
    planted.survives_odd_questions(build)


@each
def test_a_target_that_reads_nothing_gives_nothing_away(build: Build) -> None:
    planted.gains_nothing_where_nothing_is_read(build(catalog()))


@each
def test_a_target_that_answers_nothing_readable_is_no_success(build: Build) -> None:
    asked = []

    def answer(one: Request) -> Answer:
        asked.append(one)
        return brittle().answer(one) if len(asked) == 1 else Answer(outcome="refused", detail="no")

    target = Scripted(answer, honours=READS, reveals=frozenset({Insight.SCORES}))
    attempt = attack(build(catalog()), target, 20)
    assert attempt.edits == ()
    assert attempt.trace == ()


@pytest.mark.parametrize("kind", [Rpgp, Genetic, PPO])
def test_words_alone_and_items_alone(kind: type) -> None:
    words = attack(kind(catalog(), edits="words"), brittle({"Garden": 1.0}), 20).edits
    assert words
    assert all(isinstance(e, TextEdit) and e.field == "instruction" for e in words)
    items = attack(kind(catalog(), edits="items"), brittle({"Garden": 1.0}), 20).edits
    assert items
    assert all(isinstance(e, HistoryInsert) for e in items)


@pytest.mark.parametrize("kind", [Rpgp, Genetic, PPO])
def test_options_that_make_no_sense_are_named(kind: type) -> None:
    with pytest.raises(ConfigError, match="edits: 'all' must be one of"):
        kind(catalog(), edits="all")
    with pytest.raises(ValueError, match="delta: 0 must be at least 1"):
        kind(catalog(), delta=0)


def test_rpgp_strikes_where_the_answer_rests() -> None:
    """Only next to the first event and the word "films" is an insertion worth anything."""

    known = {e.item.id for e in WORDED.user.history}, set(WORDED.instruction.split())

    def answer(asked: Request) -> Answer:
        history = [e.item.id for e in asked.user.history]
        text = asked.instruction.split()
        rests = ("i0" in history) + ("films" in text)
        hit = ("i0" in history and not {*history[history.index("i0") + 1 :][:1]} <= known[0]) + (
            "films" in text and not {*text[: text.index("films")][-1:]} <= known[1]
        )
        return brittle({"x": 2.0 - rests + hit}).answer(replace(asked, instruction="x"))

    target = Scripted(answer, honours=READS, reveals=frozenset({Insight.SCORES}))
    attempt = attack(Rpgp(catalog(), delta=2), target, 60)
    after = apply(attempt.edits, WORDED)
    assert after.user.history[0].item.id == "i0"
    assert after.user.history[1] not in WORDED.user.history
    assert drop(attempt) == 2.0
    # All eleven places were measured once; what was left paid for fillings.
    assert sum(len(a.user.history) < 4 or len(a.instruction.split()) < 7 for a in target.asked) == 11


def test_the_genetic_baseline_appends() -> None:
    for seed in range(5):
        after = apply(attack(Genetic(catalog()), brittle(), 10, seed).edits, WORDED)
        assert after.instruction.startswith(WORDED.instruction)
        assert after.user.history[:4] == WORDED.user.history
    (edit,) = attack(Genetic(catalog(), delta=1, edits="words"), brittle(), 3).edits
    assert apply((edit,), WORDED).instruction.split()[:-1] == WORDED.instruction.split()


def many(count: int = 400) -> Catalog:
    return Catalog(
        Item(f"i{n}", f"Winter Garden Number {n}", attributes={"genres": ("noir",) if n % 20 == 0 else ("pop",)})
        for n in range(count)
    )


NOIR = {f"i{n}": 1.0 for n in range(20, 400, 20)}


def mean_drop(search: Search, budget: int, seeds: int = 8) -> float:
    return float(np.mean([drop(attack(search, brittle(items=NOIR), budget, s)) for s in range(seeds)]))


def test_breeding_beats_drawing_at_the_same_budget() -> None:
    """Five per cent of the items are worth something: three of them at once are rarely drawn, but soon bred."""
    draws = mean_drop(Rpgp(many(), edits="items"), 150)
    assert mean_drop(Genetic(many(), edits="items"), 100) > draws


def test_the_policy_learns_what_harmful_items_have_in_common() -> None:
    assert mean_drop(PPO(many(), edits="items"), 150) == 3.0


def test_a_shared_policy_learns_from_all_users() -> None:
    asked = [request(f"u{n}", instruction="Rank films.") for n in range(12)]
    goal = Objective(Goal.DEGRADE, (frozenset({TRUTH}),) * len(asked))

    def drops(shared: bool, skip: int = 0) -> list[float]:
        search = PPO(many(), edits="items", shared=shared, group=4)
        return [drop(a) for a in search.run(brittle(items=NOIR), asked, goal, 20, np.random.default_rng(1), skip=skip)]

    together = drops(True)
    # The last group starts with what the earlier ones have learned.
    assert np.mean(together[8:]) > np.mean(drops(False)[8:]) + 0.5
    assert drops(True) == together
    assert drops(True, skip=5) == together[5:]


def test_a_shared_policy_forgets_between_runs() -> None:
    search = PPO(many(), shared=True)
    goal = Objective(Goal.DEGRADE, (frozenset({TRUTH}),) * 4)
    runs = [list(search.run(brittle(items=NOIR), requests(4), goal, 20, np.random.default_rng(1))) for _ in range(2)]
    assert runs[0] == runs[1]


def test_more_options_that_make_no_sense() -> None:
    for name in ("population", "tournament"):
        with pytest.raises(ValueError, match=f"{name}: 0 must be at least 1"):
            Genetic(catalog(), **{name: 0})
    with pytest.raises(ValueError, match="mutation: 2 must be between 0 and 1"):
        Genetic(catalog(), mutation=2)
    with pytest.raises(ConfigError, match="places: 'middle' must be one of end, any"):
        Genetic(catalog(), places="middle")
    for name in ("clip", "rate", "stop"):
        with pytest.raises(ValueError, match=f"{name}: 0 must be above 0"):
            PPO(catalog(), **{name: 0})
    with pytest.raises(ConfigError, match="variant: 'x' must be one of"):
        Rpgp(catalog(), variant="x")


def test_the_note_is_attacked_where_no_instruction_is_read() -> None:
    asked = replace(WORDED, user=replace(WORDED.user, note="something calm"))
    target = brittle(honours=frozenset({Input.NOTE}))
    for build in RIVALS.values():
        edits = attack(build(catalog()), target, 10, asked=asked).edits
        assert {e.field for e in edits if isinstance(e, TextEdit)} == {"note"}


def test_the_gradient_of_the_policy_is_that_of_its_objective() -> None:
    """Against central differences, at a policy that has moved since it drew, with clipped and unclipped actions."""
    rng = np.random.default_rng(5)
    features = [rng.normal(size=(count, width)) for count, width in ((6, 12), (9, 64), (7, 64))]
    choices = Choices(features[0], np.arange(6) > 2, features[1], features[2])
    learner = Learner(clip=0.2, rate=0.1, entropy=0.05, stop=9.0, epochs=1)
    rollouts = learner.draw(choices, 3, 12, rng).rewarded(rng.normal(size=12))
    for weights in learner.weights.values():
        weights += rng.normal(scale=0.02, size=weights.shape)
    ratio = np.exp(learner.log_probability(choices, rollouts.actions) - rollouts.old)
    assert 0 < (np.abs(ratio - 1) > 0.2).sum() < 12
    gradient = learner.gradient(rollouts)
    for name, weights in learner.weights.items():
        for at in range(0, len(weights), 5):
            sides = []
            for step in (1e-5, -2e-5):
                weights[at] += step
                sides.append(learner.objective(rollouts))
            weights[at] += 1e-5
            assert gradient[name][at] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-5)


def test_an_untaught_policy_draws_words_and_items_alike() -> None:
    choices = Choices(np.zeros((10, 12)), np.arange(10) == 9, np.zeros((4, 64)), np.zeros((3, 64)))
    learner = Learner(clip=0.2, rate=0.1, entropy=0.0, stop=9.0, epochs=1)
    actions = learner.draw(choices, 1, 4000, np.random.default_rng(0)).actions
    # Three standard errors of a half among 4,000 draws.
    assert abs((actions[:, 0, 0] == 9).mean() - 0.5) < 3 * 0.5 / 4000**0.5
    probability = np.exp(learner.log_probability(choices, np.array([[[9, 1]], [[0, 1]]])))
    assert probability == pytest.approx([0.5 / 3, 0.5 / 9 / 4])
