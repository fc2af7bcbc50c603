"""The attribution engine on targets whose inner workings are known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from helpers import Scripted
from part_world import a_context, small_world

from audit.edits import apply
from audit.modules.explanation.explained import explained
from audit.modules.explanation.methods import attributions, attributions_of, evaluations_needed
from audit.modules.explanation.players import Player, kept, players, removals, swaps_for
from audit.modules.explanation.values import Values
from audit.stats import shapley
from audit.target import Insight
from audit.types import Answer, Item, Passage, Ranked, Turn

SEEN = frozenset({Insight.SCORES})


def weight(item_id):
    """A known weight of each item of the world, from -1 to 1."""
    return math.sin(float(item_id))


def scored(request, score):
    offered = sorted(request.candidates, key=lambda c: -score(c))
    return Answer(tuple(Ranked(c.id, c.title, score(c)) for c in offered[: request.k]))


def linear(request):
    """The candidate of the lowest id leads by 50 and the sum of the weights of the history."""
    first = min(c.id for c in request.candidates)
    total = sum(weight(e.item.id) for e in request.user.history)
    return scored(request, lambda c: 50.0 + total if c.id == first else -int(c.id) / 1e3)


def a_linear(tmp_path, answer=linear, *, history=6, users=4, **info):
    info = {"reveals": SEEN, **info}
    context = a_context(Scripted(answer, **info), tmp_path, users=max(users, 2), candidates=8, history=history)
    return context.head(users)


def test_on_a_linear_target_every_item_is_worth_its_weight(tmp_path):
    context = a_linear(tmp_path)
    found = explained(context, 4)
    assert len(found.cases) == 4
    values = Values(context, found.cases, "delete")
    assert values.scale == "score margin"
    for method in ("shapley", "leave-one-out"):
        for case, one in zip(found.cases, attributions_of(method, values, np.random.default_rng(0), 256), strict=True):
            truth = [weight(event.item.id) for event in case.request.user.history]
            assert one.phi == pytest.approx(truth, abs=1e-9)
            assert one.exact == (method == "shapley")
    assert "before" in found.cases[0].said


def odd_request_value(ids):
    """A game with interactions of all orders."""
    return math.sin(sum(int(i) ** 2 for i in ids)) + len(ids) / 3


def tangled(request):
    first = min(c.id for c in request.candidates)
    ids = [e.item.id for e in request.user.history]
    return scored(request, lambda c: 50.0 + odd_request_value(ids) if c.id == first else -int(c.id) / 1e3)


def test_exact_values_equal_brute_force_over_all_orders_and_add_up(tmp_path):
    context = a_linear(tmp_path, tangled, history=5, users=2)
    values = Values(context, explained(context, 2).cases, "delete")
    for case, one in zip(values.cases, attributions_of("shapley", values, np.random.default_rng(0), 64), strict=True):
        ids = [e.item.id for e in case.request.user.history]
        truth = np.zeros(5)
        for order in permutations(range(5)):
            for k, i in enumerate(order):
                # What is left stays in the order of the history.
                before, after = sorted(order[:k]), sorted(order[: k + 1])
                truth[i] += odd_request_value([ids[j] for j in after]) - odd_request_value([ids[j] for j in before])
        assert one.phi == pytest.approx(truth / 120, abs=1e-9)
        assert one.phi.sum() == pytest.approx(one.total, abs=1e-4)


def test_a_dummy_gets_exactly_nothing_and_duplicates_the_same(tmp_path):
    def answer(request):
        first = min(c.id for c in request.candidates)
        ids = [e.item.id for e in request.user.history]
        # The first item of the history counts nothing, of the others only how many different ones there are.
        worth = 0.5 * len({i for i in ids if i != "100"}) ** 2
        return scored(request, lambda c: 50.0 + worth if c.id == first else -int(c.id) / 1e3)

    context = a_linear(tmp_path, answer, history=4, users=1)
    case = context.cases[0]
    history = case.request.user.history
    dummy, twin = replace(history[0], item=Item("100", "A dummy")), history[1]
    request = replace(case.request, user=replace(case.request.user, history=(dummy, twin, twin, history[2])))
    context = replace(context, cases=[replace(case, request=request)])
    values = Values(context, explained(context, 1).cases, "delete")
    phi = attributions("shapley", values, values.cases[0], np.random.default_rng(0), 256).phi
    assert phi[0] == 0.0
    assert phi[1] == pytest.approx(phi[2], abs=1e-12)
    # Leave-one-out finds nothing in either of the twins, for the other is still there.
    alone = attributions("leave-one-out", values, values.cases[0], np.random.default_rng(0), 256).phi
    assert alone[1] == alone[2] == 0.0
    assert phi[1] == pytest.approx(5 / 12)  # by hand, from the six orders of the three that count


def test_above_eight_items_orders_are_sampled_with_errors_that_hold(tmp_path):
    context = a_linear(tmp_path, tangled, history=10, users=6)
    values = Values(context, explained(context, 6).cases, "delete")
    found = attributions_of("shapley", values, np.random.default_rng(1), 400)
    inside = []
    for case, one in zip(values.cases, found, strict=True):
        ids = [e.item.id for e in case.request.user.history]
        game = [odd_request_value([ids[i] for i in sorted(s)]) for s in shapley.subsets(10)]
        assert not one.exact
        assert one.evaluations <= 400
        assert one.phi.sum() == pytest.approx(one.total)
        truth = shapley.exact_shapley(game)
        low, high = one.interval(0.95)
        inside += ((low <= truth) & (truth <= high)).tolist()
    assert np.mean(inside) >= 0.88  # 60 intervals of 95 %, in groups of ten that err together


def test_a_linear_target_needs_the_fewest_orders(tmp_path):
    context = a_linear(tmp_path, history=12, users=1)
    values = Values(context, explained(context, 1).cases, "delete")
    one = attributions("shapley", values, values.cases[0], np.random.default_rng(0), 4000)
    assert one.evaluations == 2 + 2 * 11 * 8


@pytest.mark.parametrize("history", [0, 1])
def test_histories_of_no_and_one_item(tmp_path, history):
    context = a_linear(tmp_path, history=3, users=1)
    case = context.cases[0]
    user = replace(case.request.user, history=case.request.user.history[:history])
    context = replace(context, cases=[replace(case, request=replace(case.request, user=user))])
    values = Values(context, explained(context, 1).cases, "delete")
    for method in ("shapley", "leave-one-out", "random", "position", "popularity"):
        one = attributions(method, values, values.cases[0], np.random.default_rng(0), 256)
        assert one.usable
        assert len(one.phi) == history


def test_a_history_of_two_hundred_items_says_what_it_would_cost(tmp_path):
    context = a_linear(tmp_path, history=3, users=1)
    case = context.cases[0]
    items = context.dataset.catalog.items_in_order
    long = tuple(replace(case.request.user.history[0], item=items[i % 100]) for i in range(200))
    request = replace(case.request, user=replace(case.request.user, history=long))
    context = replace(context, cases=[replace(case, request=request)])
    values = Values(context, explained(context, 1).cases, "delete")
    one = attributions("shapley", values, values.cases[0], np.random.default_rng(0), 256)
    assert not one.usable
    assert "allow 798" in one.unmet
    assert evaluations_needed("shapley", 200, 256) == 0
    assert attributions("leave-one-out", values, values.cases[0], np.random.default_rng(0), 256).usable


def test_equal_questions_are_asked_once(tmp_path):
    context = a_linear(tmp_path, history=6, users=3)
    values = Values(context, explained(context, 3).cases, "delete")
    for method in ("shapley", "leave-one-out", "reverse", "shapley"):
        attributions_of(method, values, np.random.default_rng(0), 256)
    target = context.gateway.target
    assert len({r.digest for r in target.asked}) == 3 * 64
    assert len(target.asked) == 3 * (64 + 2)  # two true repeats of the clean answer


# What cannot be explained ---------------------------------------------------------------------------------------------


def test_a_first_item_that_changes_is_unstable_and_one_without_a_lead_too(tmp_path):
    calls: list[int] = []

    def moody(request):
        calls.append(1)
        order = request.candidates if len(calls) % 2 else request.candidates[::-1]
        return Answer(tuple(Ranked(c.id, c.title) for c in order))

    found = explained(a_linear(tmp_path / "a", moody, reveals=frozenset()), 4)
    assert (len(found.cases), len(found.unstable), len(found.unanswered)) == (0, 4, 0)
    found = explained(a_linear(tmp_path / "b", lambda r: scored(r, lambda c: 0.25)), 4)
    assert (len(found.cases), len(found.unstable), len(found.unanswered)) == (0, 4, 0)


def test_a_lead_within_the_noise_of_repeats_is_unstable(tmp_path):
    rng = np.random.default_rng(0)

    def noisy(request):
        ids = [c.id for c in request.candidates]
        noise = {i: 0.3 * rng.normal() for i in ids}
        return scored(request, lambda c: {ids[0]: 1.0, ids[1]: 0.9}.get(c.id, -9.0) + noise[c.id])

    assert len(explained(a_linear(tmp_path, noisy, users=30), 30).unstable) > 15


def test_an_answer_that_cannot_be_read_is_counted(tmp_path):
    found = explained(a_linear(tmp_path / "a", lambda r: Answer(outcome="refused", detail="no")), 3)
    assert (len(found.cases), len(found.unstable), len(found.unanswered)) == (0, 0, 3)
    found = explained(a_linear(tmp_path / "b", lambda r: Answer((Ranked(None, "A film of its own"),))), 3)
    assert len(found.unanswered) == 3


def test_a_set_whose_answer_is_refused_has_no_value_and_its_case_no_attribution(tmp_path):
    def fussy(request):
        return linear(request) if request.user.history else Answer(outcome="refused", detail="no history")

    context = a_linear(tmp_path, fussy, users=1)
    values = Values(context, explained(context, 1).cases, "delete")
    assert np.isnan(values.of([[frozenset()]])[0][0])
    assert not attributions("shapley", values, values.cases[0], np.random.default_rng(0), 256).usable
    assert attributions("leave-one-out", values, values.cases[0], np.random.default_rng(0), 256).usable


# Scales ---------------------------------------------------------------------------------------------------------------


def test_without_scores_the_place_in_the_list_is_the_value(tmp_path):
    def list_only(request):
        ranked = linear(request).ranked
        if len(request.user.history) < 6:
            ranked = (ranked[1], ranked[0], *ranked[2:])
        return Answer(tuple(Ranked(r.item_id, r.title) for r in ranked))

    context = a_linear(tmp_path, list_only, reveals=frozenset(), users=1)
    values = Values(context, explained(context, 1).cases, "delete")
    everyone = frozenset(range(6))
    assert values.scale == "reciprocal rank"
    assert values.of([[everyone, everyone - {2}]])[0].tolist() == [1.0, 0.5]
    assert values.decisions([[everyone, everyone - {2}]])[0].tolist() == [True, False]


def test_a_removed_item_that_comes_back_in_the_list_changes_no_decision(tmp_path):
    def leaves_out_what_was_had(request):
        had = {e.item.id for e in request.user.history}
        pool = sorted(small_world().catalog.items_in_order, key=lambda item: item.id not in everything)
        return Answer(tuple(Ranked(i.id, i.title) for i in pool if i.id not in had))

    context = a_linear(tmp_path, linear, users=1)
    everything = {e.item.id for e in context.cases[0].request.user.history}
    context = a_linear(tmp_path / "b", leaves_out_what_was_had, reveals=frozenset(), users=1)
    values = Values(context, explained(context, 1).cases, "delete")
    everyone = frozenset(range(6))
    answers = values.answers([[everyone - {2}]])[0][0]
    assert answers[0].ids[0] == values.cases[0].request.user.history[2].item.id, "it comes back first"
    assert values.decisions([[everyone, everyone - {2}]])[0].tolist() == [True, True]


def test_a_score_target_that_says_the_same_of_all_its_items_is_explained(tmp_path):
    def alike(request):
        return Answer(tuple(Ranked(c.id, c.title, 0.25 + 0.01 * len(request.user.history)) for c in request.candidates))

    context = a_context(Scripted(alike, tasks=("score",), reveals=SEEN), tmp_path, task="score", users=3)
    found = explained(context, 3)
    assert (len(found.cases), found.unstable, found.unanswered) == (3, (), ())
    assert all(case.yes is False for case in found.cases)


def test_a_yes_no_target_is_asked_about_the_one_item_on_the_scale_of_logits(tmp_path):
    def yes(request):
        total = sum(weight(e.item.id) for e in request.user.history)
        chance = {c.id: 1 / (1 + math.exp(-(total + weight(c.id)))) for c in request.candidates}
        return Answer(tuple(Ranked(c.id, c.title, chance[c.id]) for c in request.candidates))

    target = Scripted(yes, tasks=("score",), reveals=SEEN)
    context = a_context(target, tmp_path, task="score", users=3)
    values = Values(context, explained(context, 3).cases, "delete")
    assert values.scale == "logit of yes"
    for case, one in zip(
        values.cases, attributions_of("leave-one-out", values, np.random.default_rng(0), 99), strict=True
    ):
        assert case.request.candidates == (case.item,)
        assert case.said in (f"It says yes to {case.item.title}", f"It says no to {case.item.title}")
        assert one.phi == pytest.approx([weight(e.item.id) for e in case.request.user.history], abs=1e-6)


def test_a_target_that_draws_at_random_is_measured_by_shares_with_their_errors(tmp_path):
    class Dice(Scripted):
        """Names its favourite first with probability 0.9, and 0.5 once the latest item is gone."""

        def recommend_draws(self, requests, draws):
            found = []
            for request, draw in zip(requests, draws, strict=True):
                rng = np.random.default_rng([draw, int(request.digest[:12], 16)])
                last = context_last.get(request.user.id)
                here = any(e.item.id == last for e in request.user.history)
                ids = sorted(c.id for c in request.candidates)
                named = ids[0] if rng.random() < (0.9 if here else 0.5) else ids[1]
                found.append(Answer((Ranked(named, named),)))
            return found

        def recommend(self, requests):
            return self.recommend_draws(requests, [0] * len(requests))

    context = a_linear(tmp_path, linear, users=4)
    context_last = {c.unit: c.request.user.history[-1].item.id for c in context.cases}
    context = a_context(Dice(randomised=True), tmp_path / "dice", users=4, candidates=8, history=6)
    found = explained(context, 4)
    values = Values(context, found.cases, "delete", draws=60)
    assert values.scale == "share of samples"
    sets = [[frozenset(range(6)), frozenset(range(5))]] * len(found.cases)
    for case, v, se in zip(found.cases, values.of(sets), values.errors(sets), strict=True):
        favourite = case.item.id == min(c.id for c in case.request.candidates)
        assert v == pytest.approx([0.9, 0.5] if favourite else [0.1, 0.5], abs=0.2)
        assert se == pytest.approx([math.sqrt(0.09 / 60), math.sqrt(0.25 / 60)], rel=0.5)


# Players --------------------------------------------------------------------------------------------------------------


def a_request():
    request = a_linear_request()
    user = replace(request.user, attributes={"age": 30}, note="Something calm")
    return replace(
        request, user=user, instruction="Recommend.", passages=(Passage("p", "Text"),), turns=(Turn("user", "Hi"),)
    )


def a_linear_request():
    events = small_world().events("001")[:4]
    from audit.types import Request, User

    offered = small_world().catalog.items_in_order[-3:]
    return Request(User("001", events), candidates=offered)


def test_the_parts_of_every_field_are_players_and_can_be_taken_away():
    request = a_request()
    fields = ("history", "attributes", "note", "passages", "turns", "instruction", "candidates")
    found = players(request, fields)
    assert [p.field for p in found[:5]] == ["history[0]", "history[1]", "history[2]", "history[3]", "attributes.age"]
    assert len(found) == 10
    swaps = swaps_for(request, found, small_world(), np.random.default_rng(0))
    bare = kept(request, found, frozenset(), "delete", swaps)
    assert bare.user.history == ()
    assert (bare.user.attributes, bare.user.note, bare.instruction) == ({}, "", "")
    assert (bare.passages[0].text, bare.turns[0].text) == ("", "")
    assert sorted(c.id for c in bare.candidates) == sorted(c.id for c in request.candidates)
    assert all(a != b for a, b in zip(bare.candidates, request.candidates, strict=True))
    swapped = kept(request, found, frozenset(), "swap", swaps)
    assert swapped.user.attributes["age"] != 30
    assert kept(request, found, frozenset(range(10)), "delete", swaps) is request
    with pytest.raises(ValueError, match="did you mean 'history'"):
        players(request, ("histori",))
    with pytest.raises(ValueError, match="did you mean 'swap'"):
        removals(request, found[:1], "swop")  # type: ignore[arg-type]


@pytest.mark.parametrize("operator", ["delete", "placeholder", "swap"])
def test_what_is_left_is_what_the_edits_of_the_evidence_make(operator):
    request = a_request()
    found = players(request, ("history", "attributes", "note", "candidates"))
    swaps = swaps_for(request, found, small_world(), np.random.default_rng(0))
    for subset in shapley.subsets(len(found)):
        gone = [player for number, player in enumerate(found) if number not in subset]
        left = kept(request, found, subset, operator, swaps)
        assert left == apply(removals(request, gone, operator, swaps), request)
        assert left.digest == apply(removals(request, gone, operator, swaps), request).digest


def test_what_is_left_keeps_its_order_and_what_stands_in_keeps_its_place():
    request = a_linear_request()
    found = players(request)
    events = request.user.history
    assert kept(request, found, frozenset({1, 3}), "delete").user.history == (events[1], events[3])
    held = kept(request, found, frozenset({1, 3}), "placeholder").user.history
    assert [e.item.title for e in held] == ["(not shown)", events[1].item.title, "(not shown)", events[3].item.title]
    assert [e.rating for e in held] == [e.rating for e in events]


def test_a_swap_is_as_popular_unseen_and_the_same_each_time():
    data, request = small_world(), a_linear_request()
    found = players(request)
    swaps = swaps_for(request, found, data, np.random.default_rng(4))
    assert swaps == swaps_for(request, found, data, np.random.default_rng(4))
    assert len({s.id for s in swaps.values()}) == 4
    had = {e.item.id for e in data.events("001")} | {c.id for c in request.candidates}
    order = sorted(data.catalog, key=lambda i: (data.popularity[i], i))
    for player in found:
        assert swaps[player.field].id not in had
        own, other = order.index(request.user.history[player.position].item.id), order.index(swaps[player.field].id)
        assert own * 10 // len(order) == other * 10 // len(order) or abs(own - other) < 30


def test_the_explained_item_never_stands_in_for_another():
    data, request = small_world(), replace(a_linear_request(), candidates=None)
    found = players(request)
    drawn = swaps_for(request, found, data, np.random.default_rng(4))["history[0]"].id
    for seed in range(4, 40):
        swaps = swaps_for(request, found, data, np.random.default_rng(seed), explained=drawn)
        assert drawn not in {s.id for s in swaps.values()}


def test_a_user_who_has_had_everything_cannot_be_given_swaps():
    data, request = small_world(), a_linear_request()
    events = tuple(replace(request.user.history[0], item=i) for i in data.catalog.items_in_order[:118])
    request = replace(request, user=replace(request.user, history=events), candidates=None)
    assert swaps_for(request, players(request), data, np.random.default_rng(0)) is None
    with pytest.raises(ValueError, match="swaps_for"):
        removals(request, [Player("history[0]", "x")], "swap")
