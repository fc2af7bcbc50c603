"""RETURN-style purification: what is retrieved, which profiles are drawn, and how their answers are counted."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import Scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from taste_world import CATALOG, ask, clean_requests, ids, log_of, make_log

from audit.defense import Defense, Detects
from audit.edits import HistoryDrop, HistoryReplace, apply
from audit.errors import ConfigError
from audit.target import Randomised, TargetInfo
from audit.types import Answer, Ranked, Request
from defenses.profile.graph import ItemGraph
from defenses.profile.purification import PurifiedProfiles, Retriever, ReturnPurification

OWN = [f"a{n}" for n in range(8)]
POLLUTED = ask([*OWN[:3], "b3", *OWN[3:], "b6"])
INDEX = {item_id: n for n, item_id in enumerate(CATALOG)}


def first_taste(request: Request) -> Answer:
    """Recommends b0 to whoever has anything of that taste, else a20; then up to six others, all unowned."""
    first = "b0" if any(i.startswith("b") for i in ids(request)) else "a20"
    return Answer((Ranked(first), *(Ranked(f"a{9 + n}") for n in range(min(len(ids(request)), 6)))))


@cache
def learned() -> tuple[Any, Any]:
    return make_log(noise=0.05), clean_requests(200, noise=0.05)


def protect(target: Any = None, **options: Any) -> PurifiedProfiles:
    options = {"window": None, "neighbours": 20, "fpr": 0.05, **options}
    return ReturnPurification(*learned(), **options).protect(target or Scripted(first_taste, fingerprint="x"))


# What is retrieved ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [1, 5, 1000])
def test_support_is_the_mean_of_the_edges_by_which_the_others_retrieve_an_item(neighbours: int) -> None:
    graph = ItemGraph(make_log(40), window=6, shrink=1.0, measure="pmi")
    retriever = Retriever(graph, neighbours)
    edges = graph.edges.toarray()
    nearest = {}
    for item in range(len(CATALOG)):
        best = np.sort(edges[item][edges[item] > 0])[::-1]
        # Whoever ties with the last of them is retrieved, too.
        nearest[item] = {n for n, w in enumerate(edges[item]) if w > 0 and w >= best[:neighbours][-1]}
    assert {item: set(retriever.nearest[[item]].indices.tolist()) for item in nearest} == nearest
    history = np.array([INDEX[i] for i in ("a0", "a1", "b2", "a4", "b5", "c0")])
    found = retriever.support(history[None], ["stranger"])[0].sum(axis=0) / (len(history) - 1)
    want = [sum(edges[j, t] for j in history if t in nearest[j]) / (len(history) - 1) for t in history]
    np.testing.assert_allclose(found, want)


def test_replacements_are_what_the_kept_items_retrieve_most() -> None:
    retriever = Retriever(ItemGraph(make_log(), window=None, shrink=1.0, measure="pmi"), 20)
    kept, taken = [INDEX[i] for i in OWN], frozenset(INDEX[i] for i in [*OWN, "a9"])
    items, weights = retriever.replacements(kept, taken)
    total = retriever.nearest.toarray()[kept].sum(axis=0)
    total[list(taken)] = 0
    assert items.tolist() == np.argsort(-total, kind="stable")[: len(items)].tolist()
    np.testing.assert_allclose(weights, total[items] / total[items].sum())
    assert retriever.replacements([INDEX["c0"]], frozenset())[0].tolist() == []


# Which profiles are drawn --------------------------------------------------------------------------------------------


def test_equal_draws_are_equal_and_others_independent() -> None:
    defended, twin = protect(rate=0.5), protect(rate=0.5)
    drawn = [defended.profiles(POLLUTED, draw, 5) for draw in range(20)]
    assert drawn == [twin.profiles(POLLUTED, draw, 5) for draw in range(20)]
    assert len({tuple(profiles) for profiles in drawn}) > 10
    assert protect(rate=0.5, seed=1).profiles(POLLUTED, 0, 5) != drawn[0]


@pytest.mark.parametrize("rate", [0.3, 0.8])
def test_every_suspect_is_purified_in_its_share_of_profiles(rate: float) -> None:
    profiles = [p for draw in range(20) for p in protect(rate=rate).profiles(POLLUTED, draw, 50)]
    counts = Counter(len(p) for p in profiles)
    for purified in range(3):
        share = [(1 - rate) ** 2, 2 * rate * (1 - rate), rate**2][purified]
        assert abs(counts[purified] / len(profiles) - share) < 4 * np.sqrt(share * (1 - share) / 1000)


def test_suspects_are_deleted() -> None:
    (profile,) = protect(rate=1.0).profiles(POLLUTED, 0, 5)  # five that are the same are one
    assert all(isinstance(edit, HistoryDrop) for edit in profile)
    assert ids(apply(profile, POLLUTED)) == OWN


def test_or_replaced_by_what_the_rest_retrieves() -> None:
    defended = protect(rate=1.0, how="replace")
    asked = ask(ids(POLLUTED), candidates=tuple(CATALOG[i] for i in ("a9", "a10", "b9")))
    found = defended.profiles(asked, 0, 5)
    assert len({tuple(ids(apply(profile, asked))) for profile in found}) > 1
    for profile in found:
        after = apply(profile, asked)
        assert all(isinstance(edit, HistoryReplace) for edit in profile)
        assert [i for i in ids(after) if i in OWN] == OWN
        new = [ids(after)[place] for place in (3, 9)]
        assert all(i.startswith("a") for i in new)
        assert not {*new} & {*OWN, "a9", "a10"}  # neither in the history nor on offer
        assert len(set(new)) == 2
        # As rated and as old as what they replace.
        before = [(e.rating, e.time) for e in asked.user.history]
        assert [(e.rating, e.time) for e in after.user.history] == before


def test_where_nothing_is_retrieved_a_suspect_is_deleted() -> None:
    """Everything that the kept items retrieve is on offer already."""
    asked = ask(ids(POLLUTED), candidates=tuple(CATALOG.items_in_order))
    (profile,) = protect(rate=1.0, how="replace").profiles(asked, 0, 5)
    assert ids(apply(profile, asked)) == OWN


histories = st.lists(st.sampled_from([*list(CATALOG)[:70], "foreign", ""]), max_size=14)


@settings(max_examples=60, deadline=None)
@given(histories, st.sampled_from(["delete", "replace"]))
def test_never_more_than_a_third_and_nothing_unknown(history: list[str], how: str) -> None:
    defended = protect(how=how, fpr=0.9, rate=0.9)
    request = ask(history)
    for profile in defended.profiles(request, 0, 3):
        assert len(profile) <= len(history) // 3
        after = ids(apply(profile, request))
        assert Counter(after)["foreign"] == Counter(history)["foreign"]
        assert len(after) == len(history) - sum(isinstance(edit, HistoryDrop) for edit in profile)


@pytest.mark.parametrize("history", [[], ["a1"], ["foreign"], ["c1", "c2", "c3"], OWN])
def test_without_a_suspect_there_is_one_profile_and_one_call(history: list[str]) -> None:
    target = Scripted(first_taste, fingerprint="x")
    (answer,) = protect(target, fpr=0.01).recommend([ask(history)])
    assert target.asked == [ask(history)]
    assert answer.usage.calls == 1
    assert answer.ids == first_taste(ask(history)).ids[:10]


# How the answers are counted -----------------------------------------------------------------------------------------


def test_the_majority_of_purified_profiles_decides() -> None:
    """Each copy is clean with probability 0.9²; the plain target is fooled by a single item."""
    assert first_taste(POLLUTED).ids[0] == "b0"
    answers = protect(rate=0.9, profiles=9).recommend_draws([POLLUTED] * 30, range(30))
    assert all(answer.ids[0] != "b0" for answer in answers)
    fooled = [answer.ids.index("b0") > answer.ids.index("a20") for answer in answers if "b0" in answer.ids]
    assert sum(fooled) >= 0.9 * len(fooled)


def test_every_copy_is_a_call() -> None:
    target = Scripted(first_taste, fingerprint="x")
    defended = protect(target, rate=0.5, profiles=7)
    (answer,) = defended.recommend([POLLUTED])
    assert answer.usage.calls == 7
    assert defended.recommend([POLLUTED])[0] == answer  # also when nothing is asked anew
    assert len(target.asked) == len({r.digest for r in target.asked})


def test_a_copy_without_an_answer_votes_for_nobody() -> None:
    def moody(request: Request) -> Answer:
        return Answer(outcome="refused", detail="no") if len(ids(request)) == 8 else first_taste(request)

    (answer,) = protect(Scripted(moody), rate=0.5, profiles=9).recommend([POLLUTED])
    assert answer.outcome == "ok"
    (answer,) = protect(Scripted(moody), rate=1.0).recommend([POLLUTED])
    assert (answer.outcome, answer.usage.calls) == ("refused", 1)


@pytest.mark.parametrize(("high", "low"), [(0.9, 0.2), (-1.5, -40.0)], ids=["probabilities", "log-probabilities"])
def test_scores_are_means_on_the_scale_of_the_target(high: float, low: float) -> None:
    def likes(request: Request) -> Answer:
        fooled = any(i.startswith("b") for i in ids(request))
        return Answer(
            tuple(Ranked(c.id, score=high if (c.id[0] == "b") == fooled else low) for c in request.candidates or ())
        )

    asked = ask(ids(POLLUTED), task="score", candidates=(CATALOG["a20"], CATALOG["b20"]))
    defended = protect(Scripted(likes), rate=0.6, profiles=9)
    (answer,) = defended.recommend([asked])
    # A profile fools the target when it keeps any of the two foreign items.
    fooled = np.mean([any(i.startswith("b") for i in ids(copy)) for copy in defended.copies(asked, 0, 9)])
    assert 0 < fooled < 1
    assert answer.ids == ("a20", "b20")
    assert answer.scores == (
        pytest.approx(fooled * low + (1 - fooled) * high),
        pytest.approx(fooled * high + (1 - fooled) * low),
    )
    assert answer.usage.calls == 9


# A target like others ------------------------------------------------------------------------------------------------


def test_declaration_and_protocols() -> None:
    defense = ReturnPurification(*learned(), profiles=3)
    assert isinstance(defense, Defense)
    assert defense.info.calls == 3
    assert "does not defend the task 'answer'" in str(defense.info.lacking(TargetInfo("t"), "answer"))
    defended = defense.protect(Scripted(first_taste, fingerprint="x"))
    assert isinstance(defended, Detects)
    assert isinstance(defended, Randomised)
    assert defended.info.randomised
    assert defended.suspicion([POLLUTED])[0] > defended.suspicion([ask(OWN)])[0]


def test_all_that_an_answer_depends_on_is_in_the_fingerprint() -> None:
    options: list[dict[str, Any]] = [
        {}, {"profiles": 3}, {"how": "replace"}, {"neighbours": 7}, {"rate": 0.5}, {"seed": 3}, {"rule": "mean"},
        {"places": "rrf"}, {"fpr": 0.2}, {"window": 3}, {"least": 1},
    ]  # fmt: skip
    found = {protect(**given).info.fingerprint for given in options}
    assert len(found) == len(options)
    assert None not in found
    assert protect().info.fingerprint in found


def test_without_a_log_it_says_so() -> None:
    assert "give it `dataset`" in ReturnPurification().info.missing
    with pytest.raises(ConfigError, match="needs a log; give it `dataset`"):
        ReturnPurification().protect(Scripted())
    nothing = ReturnPurification(log_of({"u": ["a0"], "v": ["a1"]}), least=1).protect(Scripted(first_taste))
    assert nothing.profiles(ask(["a0", "a1", "b0"]), 0, 5) == [()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"profiles": 0}, "defenses.return.profiles: 0 must be at least 1"),
        ({"neighbours": 0}, "defenses.return.neighbours: 0 must be at least 1"),
        ({"how": "mask"}, "defenses.return.how: 'mask' must be one of delete, replace"),
        ({"rate": 0.0}, "defenses.return.rate: 0.0 must be above 0 and at most 1"),
        ({"rate": float("nan")}, "defenses.return.rate: nan must be above 0 and at most 1"),
        ({"seed": -1}, "defenses.return.seed: -1 must be at least 0"),
        ({"rule": "first"}, "defenses.return.rule: 'first' must be one of"),
        ({"fpr": 2.0}, "defenses.return.fpr: 2.0 must lie between 0 and 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ReturnPurification(*learned(), **options)
