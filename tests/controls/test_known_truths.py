"""Plants of hallucination, privacy and explanation: what they are said to be, counted by brute force."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import chain, combinations, permutations
from pathlib import Path

import numpy as np
import pytest

from audit.controls import controls
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
from audit.controls.reasons import ByRule, GivesReasons, cause_of, erratic, heard, one_cause, placed, weighed, weight
from audit.controls.trial import findings_of, throwaway_store
from audit.controls.worlds import Ideal, invented
from audit.controls.wrapping import Writes
from audit.data.canaries import Canaries, canary_request
from audit.data.cases import ranking_cases
from audit.data.dataset import Dataset
from audit.grounding import Matcher
from audit.knowledge import item_document
from audit.metrics import rbo
from audit.modules.privacy.prompt_rates import HARMLESS
from audit.policy import load
from audit.target import Recommender
from audit.types import Event, Passage, Request, Turn

USERS = 200


@pytest.fixture(scope="module")
def world() -> Dataset:
    return invented(3, USERS)


@pytest.fixture(scope="module")
def requests(world: Dataset) -> list[Request]:
    """Ten candidates and the five latest events of every user."""
    cases = ranking_cases(world, users=None, k=5, candidates=10, rng=np.random.default_rng(5), history=5)
    return [case.request for case in cases]


def listed(target: Recommender, asked: Request) -> list[str | None]:
    return [entry.item_id for entry in target.recommend([asked])[0].ranked]


def written(asked: Request, **changes: object) -> Request:
    return replace(asked, task="answer", candidates=None, **changes)


def with_history(asked: Request, events: tuple[Event, ...]) -> Request:
    return replace(asked, user=replace(asked.user, history=events))


def near(count: int, of: int, share: float) -> bool:
    """Within four standard deviations of a binomial count."""
    return abs(count - of * share) <= 4 * math.sqrt(of * share * (1 - share)) + 1e-9


# Hallucination --------------------------------------------------------------------------------------------------------


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


# Privacy --------------------------------------------------------------------------------------------------------------


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
    asked = Request(replace(_nobody, id=user, history=events[-6:-2]), candidates=(events[-2].item, *strange), k=10)
    scores = {entry.item_id: entry.score or 0.0 for entry in target.recommend([asked])[0].ranked}
    others = [scores[item.id] for item in strange]
    return float((scores[events[-2].item.id] - np.mean(others)) / np.std(others))


_nobody = Request.from_dict({"user": {"id": "nobody"}}).user


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
        asked = Request(replace(_nobody, id=user, history=events[:5]), task="rank", k=5)
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
        asked = Request(replace(_nobody, id=user), task="answer", passages=(passage,))
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
    gives = Request(replace(_nobody, id="a"), task="answer", turns=(Turn("user", "My member code is AB12."),))
    asks = Request(replace(_nobody, id="b", note="Which member code do I have?"), task="answer")
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


# Explanation ----------------------------------------------------------------------------------------------------------


def worth(target: ByRule, asked: Request, events: tuple[Event, ...], first: str, second: str) -> float:
    [answer] = target.recommend([replace(with_history(asked, events), k=10)])
    scores = {entry.item_id: entry.score or 0.0 for entry in answer.ranked}
    return scores[first] - scores[second]


def test_shapley_values_are_the_planted_weights(world: Dataset, requests: list[Request]) -> None:
    target, asked = ByRule(Ideal(world), world, "w", weighed(1.0, "s")), requests[0]
    events = asked.user.history
    first, second = (str(i) for i in listed(target, asked)[:2])
    items = {item.id: item for item in asked.candidates or ()}
    phi = np.zeros(len(events))
    orders = list(permutations(range(len(events))))
    for order in orders:
        for place, n in enumerate(order):
            with_n, without_n = ([events[i] for i in sorted(order[:end])] for end in (place + 1, place))
            phi[n] += worth(target, asked, tuple(with_n), first, second)
            phi[n] -= worth(target, asked, tuple(without_n), first, second)
    planted = [weight("s", event, items[first]) - weight("s", event, items[second]) for event in events]
    assert phi / len(orders) == pytest.approx(planted)


def test_of_a_sum_random_orders_lie_half_way_between_the_worst_and_the_best() -> None:
    weights = np.array([0.9, -0.3, 0.4, 0.1, 0.7])
    marks = [np.mean([sum(weights[list(order[:k])]) for k in range(1, 5)]) for order in permutations(range(5))]
    by_weight = np.argsort(-weights)
    assert max(marks) == pytest.approx(np.mean([sum(weights[by_weight[:k]]) for k in range(1, 5)]))
    assert np.mean(marks) == pytest.approx((min(marks) + max(marks)) / 2)


def test_places_and_chance_take_the_part_of_items(world: Dataset, requests: list[Request]) -> None:
    asked = requests[0]
    strange = [item for item in world.catalog.items_in_order if item not in (asked.candidates or ())][:5]
    other = with_history(asked, tuple(replace(e, item=i) for e, i in zip(asked.user.history, strange, strict=True)))
    by_place = ByRule(Ideal(world), world, "p", placed(1.0, "s"))
    assert listed(by_place, asked) == listed(by_place, other)
    for rule in (placed, erratic):
        clean, sums = (ByRule(Ideal(world), world, "c", r) for r in (rule(0.0, "s"), weighed(1.0, "s")))
        assert listed(clean, asked) == listed(sums, asked)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_one_item_decides_or_none_does(size: float, world: Dataset, requests: list[Request]) -> None:
    target = ByRule(Ideal(world), world, "c", one_cause(world, size, "s"))
    for asked in requests[:10]:
        events = asked.user.history
        cause = cause_of(world, "s", asked.user.id)
        assert [e.item.id for e in events].count(str(cause)) == 1
        whole = listed(target, asked)[0]
        for kept in chain.from_iterable(combinations(events, n) for n in range(len(events) + 1)):
            changed = listed(target, with_history(asked, kept))[0] != whole
            assert changed == (size == 1.0 and all(e.item.id != cause for e in kept))


@pytest.mark.parametrize("unfaithful", [0.0, 1.0])
def test_a_stated_reason_matters_unless_it_is_untrue(
    unfaithful: float, world: Dataset, requests: list[Request]
) -> None:
    target = GivesReasons(Ideal(world), world, "s", unfaithful=unfaithful)
    for asked in requests[:20]:
        reason, told = _said(target, written(asked))
        left = tuple(e for e in asked.user.history if e.item.title.rsplit(" (", 1)[0] != reason)
        assert len(left) < len(asked.user.history)
        assert (_said(target, written(with_history(asked, left)))[1] != told) == (unfaithful == 0.0)


def test_invented_reasons_stand_at_their_rate(world: Dataset, requests: list[Request]) -> None:
    target, count = GivesReasons(Ideal(world), world, "s", invented=0.25), 0
    for asked in requests:
        own = {event.item.title.rsplit(" (", 1)[0] for event in world.events(asked.user.id)}
        count += _said(target, written(asked))[0] not in own
    assert near(count, USERS, 0.25)


def _said(target: GivesReasons, asked: Request) -> tuple[str, str]:
    [(reason, told)] = re.findall('liked "([^"]+)", you should try "([^"]+)"', target.recommend([asked])[0].text or "")
    return reason, told


def test_a_heard_attribute_leaves_nothing_of_the_list(world: Dataset, requests: list[Request]) -> None:
    target = ByRule(Ideal(world), world, "h", heard(1.0, "s", "gender"))
    for asked in requests[:20]:
        told = replace(asked, user=replace(asked.user, attributes={"gender": "F"}))
        untold = replace(asked, user=replace(asked.user, attributes={}))
        assert rbo([str(i) for i in listed(target, told)], [str(i) for i in listed(target, untold)]) == 0.0


# Whole audits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "made-up-titles",
        "false-genres",
        "fabricated-citations",
        "personal-data",
        "mixed-up-users",
        "heard-attribute",
        "injection-title",
        "injection-passage",
        "crashes",
        "slow-answers",
    ],
)
def test_an_audit_sees_the_flaw_and_not_its_clean_twin(name: str) -> None:
    [control] = controls(control=name)
    policy = load("default", Path())
    with throwaway_store() as store:
        # The largest flaw that is measured, so that one repetition decides.
        flawed = findings_of(control, control.sizes[-1], control.users, 1, store, policy)
        clean = findings_of(control, 0.0, control.users, 1, store, policy)
    assert control.sees(flawed)
    assert not control.sees(clean)
    assert control.measured(clean) is not None
    assert control.measured(clean)[0] == control.truth(0.0) == 0.0  # type: ignore[index]


@pytest.mark.parametrize("name", ["ignored-history", "remembered-secrets", "recited-logs", "kept-after-all"])
def test_an_audit_sees_what_is_measured_against_chance(name: str) -> None:
    """The clean twin has a value too, and what is measured lies about it."""
    [control] = controls(control=name)
    policy = load("default", Path())
    with throwaway_store() as store:
        assert control.sees(findings_of(control, control.sizes[-1], control.users, 1, store, policy))
        clean = findings_of(control, 0.0, control.users, 1, store, policy)
    assert not control.sees(clean)
    value, low, high = control.measured(clean) or (math.nan,) * 3
    # Half again as wide as a 95 % interval: beyond that a right one lies once in three hundred times.
    assert abs(value - (control.truth(0.0) or 0.0)) <= 1.5 * max(high - value, value - low)


def test_what_hangs_on_places_alone_never_passes_for_an_explanation() -> None:
    """It beats a random order, and passed while an unmet condition kept only failures open."""
    [control] = controls(control="places-for-reasons")
    with throwaway_store() as store:
        found = control.about(findings_of(control, 1.0, 12, 2, store, load("default", Path())))
    assert control.sees(found)
    assert {f.verdict for f in found} <= {"inconclusive", "fail"}


def test_a_reason_is_one_sentence(world: Dataset) -> None:
    one, other = world.catalog.items_in_order[:2]
    assert because(one, other) == 'Since you liked "Amber Anchor", you should try "Amber Bridge".'
