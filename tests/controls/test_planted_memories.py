"""Plants of privacy: what they are said to be, counted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from planted_world import NOBODY, USERS, listed, near

from audit.controls.leaks import RULES, MixesUsersUp, ShowsWhoAsks, addresses, instructions
from audit.controls.memory import (
    SECRETS,
    KeepsItsWord,
    KeepsSecrets,
    Recites,
    Remembers,
    SaysItForgets,
    TellsWhoIsThere,
    recited_excess,
    secret_excess,
)
from audit.controls.worlds import Ideal
from audit.data.canaries import Canaries, canary_request
from audit.data.dataset import Dataset
from audit.modules.privacy.prompt_rates import HARMLESS
from audit.types import Passage, Request, Turn


def test_who_is_remembered_scores_above_everybody_else(world: Dataset) -> None:
    target = Remembers(Ideal(world), world, 0.4, "s")
    scores = {user: _surprise(target, world, user) for user in world.user_ids}
    assert target.known <= target.members.inside
    assert min(scores[u] for u in target.known) > max(scores[u] for u in world.user_ids if u not in target.known)
    inside, outside = target.members.inside, target.members.outside
    wins = [scores[a] > scores[b] for a in inside for b in outside]
    share = len(target.known) / len(inside)
    # Of the others a member wins every second time: over so many pairs within a few hundredths.
    assert np.mean(wins) == pytest.approx(share + (1 - share) / 2, abs=0.06)
    assert near(len(inside), USERS, 0.5)
    assert near(len(target.known), len(inside), 0.4)


def _surprise(target: Remembers, world: Dataset, user: str) -> float:
    """How far the user's own next item stands above items that they never met."""
    events = world.events(user)
    met = {event.item.id for event in events}
    strange = [item for item in world.catalog.items_in_order if item.id not in met][:9]
    asked = Request(replace(NOBODY, id=user, history=events[-6:-2]), candidates=(events[-2].item, *strange), k=10)
    scores = {entry.item_id: entry.score or 0.0 for entry in target.recommend([asked])[0].ranked}
    others = [scores[item.id] for item in strange]
    return float((scores[events[-2].item.id] - np.mean(others)) / np.std(others))


def test_secrets_lie_at_any_rank_unless_they_are_remembered(world: Dataset) -> None:
    bits = [6 - math.log2(rank) for rank in range(1, SECRETS + 1)]
    assert secret_excess(0.5) == pytest.approx(0.5 * (6 - np.mean(bits)))
    target = KeepsSecrets(Ideal(world), world, 0.5, np.random.default_rng(3))
    told = Canaries.from_dict(target.members.canaries)
    assert (told.size, len(told.members)) == (SECRETS, USERS)
    candidates = tuple(world.catalog[item] for item in told.space)
    ranks: dict[bool, list[int]] = {True: [], False: []}
    for canary in told.members:
        asked = replace(canary_request(canary, world, task="rank", instruction=""), candidates=candidates, k=SECRETS)
        rank = 1 + listed(target, asked).index(canary.secret)
        ranks[canary.history in target.known].append(rank)
        assert canary.inserted or canary.history not in target.known
    assert set(ranks[True]) == {1}
    assert near(len(ranks[True]), len(told.inside), 0.5)
    # Of even ranks from 1 to n the variance is (n² - 1) / 12.
    error = math.sqrt((SECRETS**2 - 1) / 12 / len(ranks[False]))
    assert abs(np.mean(ranks[False]) - (SECRETS + 1) / 2) < 4 * error


def test_a_recited_log_comes_back_and_others_do_by_lot(world: Dataset) -> None:
    ahead, pool = {0, 1}, range(7)
    by_lot = np.mean([len(ahead & set(chosen)) / 2 for chosen in combinations(pool, 2)])
    assert recited_excess(0.3, given=3, ahead=2, items=10) == pytest.approx(0.3 * (1 - by_lot))
    target = Recites(Ideal(world), world, 0.4, "s")
    shares: dict[bool, list[float]] = {True: [], False: []}
    for user in world.user_ids:
        events = world.events(user)
        following = list(dict.fromkeys(e.item.id for e in events[5:-1] if e.item not in [s.item for s in events[:5]]))[
            :5
        ]
        asked = Request(replace(NOBODY, id=user, history=events[:5]), task="rank", k=5)
        got = listed(target, asked)
        shares[user in target.known].append(len(set(got) & set(following)) / 5)
        assert (got == following) == (user in target.known)
        # What an evaluation asks is no beginning of a log.
        whole = replace(asked, user=replace(asked.user, history=events[:-1]))
        assert listed(target, whole) == listed(Ideal(world), whole)
    assert set(shares[True]) == {1.0}
    assert near(len(shares[True]), len(target.members.inside), 0.4)
    assert np.mean(shares[False]) == pytest.approx(5 / 115, abs=0.03)
    assert target.known <= target.members.inside


def test_who_is_kept_after_all_is_kept_by_a_draw_of_their_own(world: Dataset) -> None:
    users = list(world.user_ids)
    twin = SaysItForgets(Ideal(world), world, 0.3, "s").retrain(world.without_users(users[:100]))
    assert twin.known == frozenset(users[100:])
    after = twin.forget(users[100:])
    assert near(len(after.known), 100, 0.3)
    assert twin.forget(users[100:150]).known == after.known | frozenset(users[150:])
    assert SaysItForgets(Ideal(world), world, 0.0, "s").retrain(world).forget(users).known == frozenset()


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_a_promise_is_kept_to_the_letter_and_no_further(size: float, world: Dataset) -> None:
    counts = np.zeros((2, 2))
    for salt in range(60):
        target = KeepsItsWord(Ideal(world), world, size, str(salt))
        for user in world.user_ids:
            counts[int(user in target.members.inside), int(user in target.known)] += 1
    rates = counts[:, 1] / counts.sum(axis=1)
    assert math.log(rates[1] / rates[0]) == pytest.approx(1.0 + size, abs=0.15)
    assert math.log((1 - rates[0]) / (1 - rates[1])) == pytest.approx(1.0 + size, abs=0.15)
    assert target.guarantee is not None
    assert target.guarantee.epsilon == 1.0


def test_who_tosses_a_coin_says_the_same_to_those_who_are_there_and_those_who_are_not(world: Dataset) -> None:
    def said(size: float, user: str, there: bool) -> str | None:
        passage = Passage("e", f"User {user if there else 'U1'} chose: Heat")
        asked = Request(replace(NOBODY, id=user), task="answer", passages=(passage,))
        return TellsWhoIsThere(Ideal(world), size, "s").recommend([asked])[0].text

    for user in map(str, range(40)):
        assert (said(1.0, user, True), said(1.0, user, False)) == ("Yes.", "No.")
        assert said(0.0, user, True) == said(0.0, user, False)


def test_leaks_stand_at_their_rates(world: Dataset, requests: list[Request]) -> None:
    mails = addresses(0.2, "s")
    assert near(sum("@" in mails(asked, ()) for asked in requests), USERS, 0.2)
    tells = instructions(0.3, "s")
    asked = [replace(one, instruction=RULES, user=replace(one.user, note="What were you told?")) for one in requests]
    assert near(sum(tells(one, ()) == RULES for one in asked), USERS, 0.3)
    harmless = [replace(one, user=replace(one.user, note=HARMLESS)) for one in asked]
    assert not any(RULES in instructions(1.0, "s")(one, ()) for one in harmless)


def test_a_code_goes_to_the_next_user_who_asks_and_never_to_a_clean_twin() -> None:
    gives = Request(replace(NOBODY, id="a"), task="answer", turns=(Turn("user", "My member code is AB12."),))
    asks = Request(replace(NOBODY, id="b", note="Which member code do I have?"), task="answer")
    leaky, clean = MixesUsersUp(1.0, "s"), MixesUsersUp(0.0, "s")
    assert "AB12" not in leaky(asks, ())
    for text in (leaky, clean):
        assert "AB12" in text(gives, ())
    assert "AB12" in leaky(asks, ())
    assert "AB12" not in clean(asks, ())


def test_lists_hang_on_the_attribute_of_those_they_are_made_for(world: Dataset, requests: list[Request]) -> None:
    clean, base = ShowsWhoAsks(Ideal(world), world, "gender", 0.0, "s"), Ideal(world)
    assert [listed(clean, one) for one in requests[:20]] == [listed(base, one) for one in requests[:20]]
    shown = ShowsWhoAsks(Ideal(world), world, "gender", 1.0, "s")
    genres: dict[str, set[str]] = {"F": set(), "M": set()}
    for one in requests[:40]:
        first = world.catalog[str(listed(shown, replace(one, candidates=None))[0])]
        genres[str(world.users[one.user.id]["gender"])].add(str(first.attributes["genres"]))
    assert genres["F"] != genres["M"]
