"""The filter in a world of two tastes: what it flags, how often it errs, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import Scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from taste_world import CATALOG, ask, clean_requests, ids, log_of, make_log, tasteful

from audit.defense import Defense, Detects
from audit.edits import HistoryDrop, apply
from audit.errors import ConfigError
from audit.stats import auc
from audit.target import TargetInfo
from audit.types import Answer, Ranked, Request
from defenses.profile.consistency import ConsistencyFilter, FilteredHistory
from defenses.profile.judge import ENOUGH, norm_of


@cache
def protected(fpr: float = 0.05, validation: int = 200, noise: float = 0.1, **options: Any) -> FilteredHistory:
    return ConsistencyFilter(
        make_log(noise=noise), clean_requests(validation, noise=noise), fpr=fpr, **options
    ).protect(Scripted())


def dropped(defended: FilteredHistory, request: Request) -> set[str]:
    return {ids(request)[edit.position] for edit in defended.edits([request])[0] if isinstance(edit, HistoryDrop)}


# What is flagged -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taste", ["a", "b"])
@pytest.mark.parametrize("measure", ["pmi", "cosine"])
@pytest.mark.parametrize("at", [0, 4, 8])
def test_items_of_the_other_taste_are_dropped_and_those_of_the_same_stay(taste: str, measure: str, at: int) -> None:
    other = {"a": "b", "b": "a"}[taste]
    own = [f"{taste}{n}" for n in range(8)]
    foreign = [*own[:at], f"{other}3", f"{other}6", *own[at:]]
    defended = protected(noise=0.05, measure=measure, window=None)
    assert dropped(defended, ask(foreign)) == {f"{other}3", f"{other}6"}
    assert not dropped(defended, ask([*own, f"{taste}11", f"{taste}12"]))


def test_planted_items_rank_first_and_attacked_histories_raise_the_alarm() -> None:
    defended = protected(noise=0.003)
    clean = clean_requests(150, seed=5, noise=0.003)
    rng = np.random.default_rng(0)
    attacked, scores, labels = [], [], []
    for request in clean:
        # The taste of the majority is that of the user.
        taste = max("ab", key=lambda t: sum(i.startswith(t) for i in ids(request)))
        other = {"a": "b", "b": "a"}[taste]
        free = [i for i in (f"{other}{n}" for n in range(30)) if i not in ids(request)]
        planted = [str(i) for i in rng.choice(free, 1)]
        attacked.append(ask([*ids(request), *planted], request.user.id))
        (found,) = defended.judgements(attacked[-1:])
        scores += (-found.z).tolist()
        labels += [int(ids(attacked[-1])[p] in planted) for p in found.positions]
    assert auc(scores, labels) > 0.9
    suspicion = [*defended.suspicion(attacked), *defended.suspicion(clean)]
    assert auc(suspicion, [1] * 150 + [0] * 150) > 0.85


def test_the_order_of_the_history_does_not_matter() -> None:
    defended = protected()
    rng = np.random.default_rng(3)
    for request in clean_requests(20, seed=9):
        shuffled = ask([ids(request)[i] for i in rng.permutation(10)], request.user.id)
        assert dropped(defended, request) == dropped(defended, shuffled)


def test_alone_and_together_gives_the_same() -> None:
    defended = protected()
    requests = [*clean_requests(20, 9), *clean_requests(20, 4), ask([]), ask(["a1"])]
    assert [defended.edits([r])[0] for r in requests] == list(defended.edits(requests))
    assert [defended.suspicion([r])[0] for r in requests] == defended.suspicion(requests)


def test_a_user_of_the_log_does_not_vouch_for_what_was_planted_there() -> None:
    """The polluted history is in the log itself, a hundred times over; it is judged by the others alone."""
    own = [f"a{n}" for n in range(8)]
    polluted = [*own, "b3", "b6"]
    log = make_log(noise=0.05)
    histories = {user: [list(CATALOG)[i] for i in items] for user, items in log.sequences.items()}
    histories["victim"] = polluted * 100
    defended = ConsistencyFilter(log_of(histories), clean_requests(200, noise=0.05), window=None).protect(Scripted())
    assert dropped(defended, ask(polluted, "victim")) == {"b3", "b6"}


# How often it errs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fpr", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("length", [8, 10, 14])
@pytest.mark.parametrize("validation", [0, 300])
def test_clean_items_are_flagged_as_often_as_promised(fpr: float, length: int, validation: int) -> None:
    """With norms from validation, and from the log's own users, for histories of the length of the norm or another.

    Items of one user are not independent; the deviation allowed is that of whole users, of both samples, four times.
    """
    defended = protected(fpr, validation)
    clean = clean_requests(400, length, seed=8)
    judged = defended.judgements(clean)
    tau = {n: defended.judge.norm(n).tau for n in {len(j.z) for j in judged}}
    shares = np.array([np.mean(j.z < -tau[len(j.z)]) for j in judged])
    calibrators = len(defended.judge.clean)
    error = shares.std(ddof=1) * np.sqrt(1 / len(shares) + 1 / calibrators)
    assert abs(shares.mean() - fpr) < 4 * error + 1 / (calibrators * length)
    # Dropped is less: what stands out beside another foreign item may not without it, and a third is the limit.
    assert np.mean([len(j.flagged) / length for j in judged]) < fpr + 4 * error


@pytest.mark.parametrize("length", [3, 4])
def test_where_many_clean_items_have_no_support_at_all_none_is_flagged(length: int) -> None:
    """A fit cannot be below 0. Where more than the promised share of clean items are there, flagging 0 breaks it."""
    defended = protected(0.02)
    assert defended.judge.norm(length).tau == pytest.approx(-defended.judge.norm(length).z(np.zeros(1))[0])
    assert not any(found.flagged for found in defended.judgements(clean_requests(200, length, seed=8)))


def test_clean_requests_raise_the_alarm_as_often_as_promised() -> None:
    defended = protected(validation=400)
    alarms = np.mean(np.array(defended.suspicion(clean_requests(400, seed=8))) > defended.threshold)
    assert alarms < 0.05 + 4 * np.sqrt(2 * 0.05 * 0.95 / 400)


def test_the_norm_is_that_of_the_length() -> None:
    """Short histories scatter more: the same fit may be usual in one of four and stand out in one of twelve."""
    judge = protected().judge
    assert judge.norm(4).scale > judge.norm(10).scale
    # Nobody shows more than ten events; longer histories are held against the longest there are, all of them.
    assert judge.norm(11) == judge.norm(99) == judge.norm(10)


def test_a_few_long_histories_make_no_norm() -> None:
    mixed = [*clean_requests(ENOUGH - 1, 14, seed=2), *clean_requests(100, 9)]
    judge = ConsistencyFilter(make_log(), mixed).protect(Scripted()).judge
    assert judge.norm(14) == judge.norm(9)
    more = [*clean_requests(ENOUGH, 14, seed=2), *clean_requests(100, 9)]
    assert ConsistencyFilter(make_log(), more).protect(Scripted()).judge.norm(14) != judge.norm(9)


def test_norm_by_hand() -> None:
    norm = norm_of(np.array([1.0, 2.0, 3.0, 4.0, 10.0]), 0.4)
    assert (norm.median, norm.scale) == (3.0, pytest.approx(1.4826))
    # -z, sorted: -4.7, -0.67, 0, 0.67, 1.35; the ceil(6 · 0.6) = 4th.
    assert norm.tau == pytest.approx(1 / 1.4826)
    flat = norm_of(np.array([5.0, 5.0, 5.0, 5.0, 9.0]), 0.4)
    assert flat.scale == pytest.approx(np.sqrt(np.pi / 2) * 0.8)
    same = norm_of(np.full(9, 2.0), 0.4)
    assert same.scale == 0
    assert not (same.z(np.array([0.0, 2.0])) < -same.tau).any()


# What it leaves alone ------------------------------------------------------------------------------------------------

histories = st.lists(st.sampled_from([*list(CATALOG)[:70], "foreign0", "foreign1", ""]), max_size=16)


@settings(max_examples=150, deadline=None)
@given(histories, st.sampled_from([0.05, 0.5, 0.99]), st.sampled_from(["asker", "log3"]))
def test_never_more_than_a_third_and_the_rest_in_order(history: list[str], fpr: float, user: str) -> None:
    defended = protected(fpr)
    request = ask(history, user)
    (edits,) = defended.edits([request])
    assert len(edits) <= len(history) // 3
    after = ids(apply(edits, request))
    assert len(after) == len(history) - len(edits)
    # What is left stands in the old order, and nothing unknown was dropped.
    gone = {edit.position for edit in edits if isinstance(edit, HistoryDrop)}
    assert after == [item for position, item in enumerate(history) if position not in gone]
    assert not {history[position] for position in gone} & {"foreign0", "foreign1", ""}
    assert np.isfinite(defended.suspicion([request])[0])


def test_the_worst_go_first() -> None:
    defended = protected(0.99)
    history = [*(f"a{n}" for n in range(6)), "b3", "b6"]
    (found,) = defended.judgements([ask(history)])
    assert len(found.flagged) == 2  # of eight
    assert {history[position] for position in found.flagged} == {"b3", "b6"}


def one_by_one(defended: FilteredHistory, request: Request) -> list[int]:
    """The positions that are flagged, by the definition: judge, take out the worst, judge the rest again."""
    judge = defended.judge
    index = judge.graph.index
    left = [
        (position, index[item])
        for position, item in enumerate(ids(request))
        if item in index and judge.graph.support(np.array([index[item]]), request.user.id)[0] >= judge.least
    ]
    flagged: list[int] = []
    while len(left) > 1 and len(flagged) < len(request.user.history) // 3:
        (fits,) = judge.fits([np.array([number for _, number in left])], [request.user.id])
        norm = judge.norm(len(left))
        z = norm.z(fits)
        worst = int(np.argmin(z))
        if z[worst] >= -norm.tau:
            break
        flagged.append(left.pop(worst)[0])
    return flagged


@settings(max_examples=100, deadline=None)
@given(st.lists(histories, max_size=6), st.sampled_from([0.05, 0.5]), st.sampled_from(["asker", "log3"]))
def test_many_at_once_are_judged_as_one_by_one(batch: list[list[str]], fpr: float, user: str) -> None:
    defended = protected(fpr)
    requests = [ask(history, user) for history in batch]
    found = [list(judgement.flagged) for judgement in defended.judgements(requests)]
    assert found == [one_by_one(defended, request) for request in requests]


@pytest.mark.parametrize("history", [[], ["a1"], ["b2"], ["foreign"], ["c1", "c2", "c3"], ["a1", "foreign", "c3"]])
def test_nothing_to_compare_with(history: list[str]) -> None:
    """Without a second item that can be judged there is no judgement, and no alarm."""
    defended = protected(0.99)
    (found,) = defended.judgements([ask(history)])
    assert (found.positions, found.flagged) == ((), ())
    assert defended.suspicion([ask(history)]) == [0.0]
    assert not defended.edits([ask(history)])[0]


def test_unknown_and_cold_items_neither_fall_nor_weigh() -> None:
    log = make_log()
    histories = {user: [list(CATALOG)[i] for i in items] for user, items in log.sequences.items()}
    for n, user in enumerate(list(histories)[:4]):
        histories[user] = [*histories[user], "c0"]  # four people have it
        histories[f"more{n}"] = ["c1", "a0"]
    histories["more4"] = ["c1", "a0"]  # and five this one
    defended = ConsistencyFilter(log_of(histories), clean_requests(200), fpr=0.9).protect(Scripted())
    plain = ask([f"a{n}" for n in range(6)])
    padded = ask([*ids(plain), "c0", "foreign", "c9", ""])
    before, after = defended.judgements([plain, padded])
    assert before.positions == after.positions == tuple(range(6))
    assert before.z.tolist() == after.z.tolist()
    assert defended.judgements([ask([*ids(plain), "c1"])])[0].positions == tuple(range(7))
    # Who has it does not count among the five when it is that user who asks.
    assert defended.judgements([ask([*ids(plain), "c1"], "more4")])[0].positions == tuple(range(6))


@pytest.mark.parametrize("fpr", [0.05, 0.3])
def test_what_is_left_stands_unless_a_third_was_flagged(fpr: float) -> None:
    defended = protected(fpr)
    requests = [*clean_requests(150, 12, seed=4), *clean_requests(50, 7, seed=4)]
    once = defended.rewrite(requests)
    capped = 0
    for before, after, edits in zip(requests, once, defended.edits(once), strict=True):
        if len(before.user.history) - len(after.user.history) < len(before.user.history) // 3:
            assert edits == ()
        else:
            capped += bool(edits)
    # With a generous fpr there are histories of which more would go: the limit is a third of what it is given.
    assert capped == 0 if fpr == 0.05 else capped > 0


def test_a_foreign_item_does_not_take_its_neighbours_with_it() -> None:
    """Beside it every other item fits less well; judged together, some of them fall below tau, too."""
    defended = protected(noise=0.0, window=None)
    requests = [ask([*ids(r), "b3" if ids(r)[0][0] == "a" else "a3"]) for r in clean_requests(100, 8, 3, noise=0.0)]
    lost, at_once = 0, 0
    for found in defended.judgements(requests):
        assert found.flagged[0] == 8
        lost += len(found.flagged) - 1
        at_once += int((found.z[:8] < -defended.judge.norm(9).tau).sum())
    assert lost < 0.1 * 800 < at_once


def test_fit_is_the_mean_over_the_other_items() -> None:
    judge = protected().judge
    index = judge.graph.index
    histories = [np.array([index[i] for i in h], dtype=np.int64) for h in (["a0", "a1", "a2", "b0"], ["a3"], [])]
    repeated = np.array([index[i] for i in ("b1", "a1", "b1", "b2")])
    found = judge.fits([*histories, repeated], ["x"] * 4)
    square = judge.graph.affinities(histories[0][None], ["x"])[0]
    np.testing.assert_allclose(found[0], square.sum(axis=1) / 3)
    assert found[1].tolist() == [0.0]
    assert len(found[2]) == 0
    # A repeated item does not vouch for itself: two others are left to each b1.
    one, other = (judge.graph.affinities(repeated[[0, n]][None], ["x"])[0, 0, 1] for n in (1, 3))
    assert found[3][0] == found[3][2] == pytest.approx((one + other) / 2)


# A target like others ------------------------------------------------------------------------------------------------


def test_the_target_sees_the_history_without_what_is_flagged() -> None:
    target = Scripted(lambda request: Answer(tuple(Ranked(i) for i in ids(request))))
    defended = ConsistencyFilter(make_log(noise=0.05), clean_requests(200, noise=0.05), window=None).protect(target)
    history = [*(f"a{n}" for n in range(8)), "b3"]
    (answer,) = defended.recommend([ask(history)])
    assert answer.ids == tuple(history[:-1])
    assert answer.usage.calls == 1


def test_what_the_target_refuses_stays_refused() -> None:
    defended = ConsistencyFilter(make_log(), clean_requests(50)).protect(
        Scripted(lambda request: Answer(outcome="refused", detail="no"))
    )
    assert [a.outcome for a in defended.recommend(clean_requests(5))] == ["refused"] * 5


def test_only_suspicious_histories_are_touched_if_so_wished() -> None:
    always, alarmed = protected(noise=0.003), protected(noise=0.003, when="alarm")
    requests = [*clean_requests(100, seed=6, noise=0.003), ask([*(f"a{n}" for n in range(9)), "b3"])]
    for request, edits, wary in zip(requests, always.edits(requests), alarmed.edits(requests), strict=True):
        alarm = alarmed.suspicion([request])[0] > alarmed.threshold
        assert wary == (edits if alarm else ())
    touched = [bool(edits) for edits in alarmed.edits(requests)]
    assert 0 < sum(touched) < sum(map(bool, always.edits(requests)))
    assert touched[-1]


def test_declaration_and_protocols() -> None:
    defense = ConsistencyFilter(make_log(), clean_requests(30))
    assert isinstance(defense, Defense)
    defended = defense.protect(Scripted(fingerprint="x"))
    assert isinstance(defended, Detects)
    assert defense.info.lacking(TargetInfo("t"), "rank") is None
    assert "history" in str(defense.info.lacking(TargetInfo("t", honours=frozenset()), "rank"))
    assert not defended.info.randomised


def test_all_that_an_answer_depends_on_is_in_the_fingerprint() -> None:
    def fingerprint(*data: Any, **options: Any) -> str | None:
        return ConsistencyFilter(*data, **options).protect(Scripted(fingerprint="x")).info.fingerprint

    log, valid = make_log(), clean_requests(30)
    same = {fingerprint(make_log(), clean_requests(30)) for _ in range(2)}
    others: Sequence[str | None] = [
        fingerprint(make_log(seed=1), valid),
        fingerprint(log, valid[:-1]),
        fingerprint(log, ()),
        fingerprint(log, valid, window=3),
        fingerprint(log, valid, window=None),
        fingerprint(log, valid, shrink=2.0),
        fingerprint(log, valid, measure="cosine"),
        fingerprint(log, valid, fpr=0.1),
        fingerprint(log, valid, least=2),
        fingerprint(log, valid, when="alarm"),
    ]
    assert len(same) == 1
    assert None not in same
    assert len({*others, *same}) == len(others) + 1


def test_without_a_log_it_says_so() -> None:
    defense = ConsistencyFilter()
    assert "give it `dataset`, the log without the users under audit" in str(
        defense.info.lacking(TargetInfo("t"), "rank")
    )
    with pytest.raises(ConfigError, match="needs a log; give it `dataset`"):
        defense.protect(Scripted())


def test_without_enough_clean_users_those_of_the_log_stand_in() -> None:
    own = [f"a{n}" for n in range(8)]
    for count in (0, ENOUGH - 1, ENOUGH):
        defended = protected(validation=count, noise=0.05, window=None)
        assert defended.judge.from_log == (count < ENOUGH)
        assert dropped(defended, ask([*own, "b3"])) == {"b3"}


def test_a_log_that_says_nothing_flags_nothing() -> None:
    empty = ConsistencyFilter(log_of({"u": ["a0"], "v": ["a1"]}), least=1).protect(Scripted())
    assert empty.edits([ask(["a0", "a1", "b0", "b1", "b2", "b3"])]) == [()]
    assert empty.suspicion([ask(["a0", "a1"])])[0] <= empty.threshold


def test_histories_far_longer_than_any_norm() -> None:
    defended = protected()
    rng = np.random.default_rng(0)
    long = ask([*tasteful("a", 30, rng), *tasteful("a", 30, rng)] * 3)
    assert len(defended.edits([long])[0]) <= 60


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 0}, "defenses.consistency-filter.window: 0 must be at least 1"),
        ({"shrink": -1.0}, r"defenses.consistency-filter.shrink: -1.0 must be a number of at least 0"),
        ({"shrink": float("nan")}, r"shrink: nan must be a number of at least 0"),
        ({"measure": "dice"}, "measure: 'dice' must be one of pmi, cosine"),
        ({"fpr": 0.0}, r"fpr: 0.0 must lie between 0 and 1"),
        ({"fpr": 1.0}, r"fpr: 1.0 must lie between 0 and 1"),
        ({"least": 0}, "least: 0 must be at least 1"),
        ({"when": "never"}, "when: 'never' must be one of always, alarm"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ConsistencyFilter(make_log(20), **options)
