"""Output control and isolation: only valid items leave, and no candidate speaks about another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers import Scripted, catalog, items, request
from hypothesis import given
from hypothesis import strategies as st

from attacks.injection.attacks import Injection
from audit.attack import Offer
from audit.edits import apply
from audit.errors import ConfigError
from audit.target import Input
from audit.types import Answer, Catalog, Item, Ranked, Request, Usage
from defenses.output_control import OutputControl
from defenses.pointwise import Pointwise

SELLS = frozenset({Input.ITEM_TEXT, Input.NOTE})


def says(*ids: str | None) -> Answer:
    return Answer(tuple(Ranked(i, f"title {i}", float(-n)) for n, i in enumerate(ids)))


def listing(*ids: str | None) -> Scripted:
    """A target that lists these ids, as many as it is asked for."""
    return Scripted(lambda asked: says(*ids[: asked.k]))


# The allow-list -------------------------------------------------------------------------------------------------------


def test_what_may_not_be_recommended_is_dropped_and_the_next_valid_ones_close_the_gaps() -> None:
    # Candidates are i4 to i8; i1 is history, i30 is no candidate.
    target = listing("i4", None, "i4", "i30", "i1", "i6", "i5", "i7")
    (answer,) = OutputControl(catalog()).protect(target).recommend([request(k=4)])
    assert answer.ids == ("i4",)
    assert [asked.k for asked in target.asked] == [4, 5]  # five candidates: no longer list makes sense
    assert answer.usage.calls == 2


def test_without_candidates_the_catalogue_less_the_history_is_allowed() -> None:
    target = listing("i0", "ghost", "i9", "i9", None, "i10", "i11", "i12", "i13", "i14")
    asked = request(candidates=None, k=3)
    (answer,) = OutputControl(catalog()).protect(target).recommend([asked])
    assert answer.ids == ("i9", "i10")  # asked for 3, then for 6
    (answer,) = OutputControl(catalog(), again=2).protect(target).recommend([asked])
    assert answer.ids == ("i9", "i10", "i11")
    (answer,) = OutputControl(catalog(), allow_history=True).protect(target).recommend([asked])
    assert answer.ids == ("i0", "i9", "i10")
    (answer,) = OutputControl(catalog(), again=0).protect(target).recommend([asked])
    assert answer.ids == ("i9",)
    assert answer.usage.calls == 1


def test_a_valid_list_is_left_as_it_is_and_asked_for_once() -> None:
    target = listing("i8", "i4", "i6")
    (answer,) = OutputControl(catalog()).protect(target).recommend([request(k=3)])
    assert answer.ranked == says("i8", "i4", "i6").ranked
    assert len(target.asked) == 1
    # A list that is short though nothing was dropped is the target's own affair.
    assert OutputControl(catalog()).protect(listing("i8")).recommend([request(k=3)])[0].ids == ("i8",)
    assert len(target.asked) == 1


def test_a_failure_is_handed_on() -> None:
    for outcome in ("refused", "unparsable", "error"):
        target = Scripted(lambda asked, how=outcome: Answer(outcome=how, detail="why"))
        (answer,) = OutputControl(catalog()).protect(target).recommend([request()])
        assert (answer.outcome, answer.detail) == (outcome, "why")
    # A list that is there is not lost because the target fails when it is asked for more.
    answers = iter([says("i4", None), Answer(outcome="refused")])
    (answer,) = OutputControl(catalog()).protect(Scripted(lambda asked: next(answers))).recommend([request(k=2)])
    assert answer.ids == ("i4",)
    assert answer.usage.calls == 2


names = st.sampled_from([None, "ghost", *(f"i{n}" for n in range(14))])


@given(st.lists(names, max_size=20), st.integers(1, 8), st.booleans())
def test_nothing_invalid_ever_leaves(listed: list[str | None], k: int, offered: bool) -> None:
    asked = request(candidates=6 if offered else None, k=k)
    guard = OutputControl(catalog()).protect(listing(*listed))
    (answer,) = guard.recommend([asked])
    had = {event.item.id for event in asked.user.history}
    ids = [i for i in answer.ids if i is not None]
    assert len(ids) == len(answer.ids) == len(set(ids)) <= k
    assert set(ids) <= ({c.id for c in asked.candidates} if asked.candidates else set(catalog()) - had)
    # And in the target's own order.
    first = [i for i in dict.fromkeys(listed) if i in ids]
    assert ids == first


@given(st.permutations(range(8)), st.permutations(range(8)), st.integers(0, 8), st.integers(1, 8))
def test_no_item_jumps_further_than_allowed(ranks: list[int], popular: list[int], jump: int, k: int) -> None:
    shown = items(8)
    asked = replace(request(), candidates=shown, k=k)
    popularity = {f"i{n}": 100 - place for place, n in enumerate(popular)}
    target = listing(*(f"i{n}" for n in ranks))
    (answer,) = OutputControl(catalog(), popularity, max_jump=jump).protect(target).recommend([asked])
    assert len(answer.ids) == k
    for place, item_id in enumerate(answer.ids):
        assert popular.index(int(str(item_id)[1:])) - place <= jump
    if jump == 8:
        assert answer.ids == tuple(f"i{n}" for n in ranks[:k])
    if jump == 0:
        assert answer.ids == tuple(f"i{n}" for n in popular[:k])


def test_a_promotion_is_held_back_by_the_limit_on_jumps_alone() -> None:
    asked = replace(request(), candidates=items(8), k=3)
    popularity = {f"i{n}": 100 - n for n in range(8)}
    promoted = listing("i7", *(f"i{n}" for n in range(7)))
    assert OutputControl(catalog()).protect(promoted).recommend([asked])[0].ids[0] == "i7"
    guard = OutputControl(catalog(), popularity, max_jump=4).protect(promoted)
    assert "i7" not in guard.recommend([asked])[0].ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"again": -1}, "defenses.output-control.again: -1 must be at least 0"),
        ({"max_jump": -1}, "max_jump: -1 must be at least 0"),
        ({"max_jump": 3}, "max_jump: it needs the popularity"),
    ],
)
def test_options_that_make_no_sense_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OutputControl(catalog(), **options)  # type: ignore[arg-type]


# Isolation ------------------------------------------------------------------------------------------------------------


def listens(asked: Request) -> Answer:
    """Scores by number, unless any candidate's text in the same prompt names a winner."""
    shown = asked.candidates or ()
    words = " ".join(f"{item.title} {item.text}" for item in shown).casefold()
    orders = any(word in words for word in ("first", "position 1"))

    def score(item: Item) -> float:
        if orders and len(shown) > 1:
            return float(item.id == "i8")
        return 1 / (2 + int(item.id[1:]))

    entries = [Ranked(item.id, item.title, score(item)) for item in shown]
    if asked.task == "rank":
        entries = sorted(entries, key=lambda e: -(e.score or 0.0))[: asked.k]
    return Answer(tuple(entries))


def listener(**info: object) -> Scripted:
    told = {"score": "Does it fit?", "rank": "Rank."}
    return Scripted(listens, tasks=("rank", "score"), honours=SELLS, instructions=told, **info)


def test_a_payload_that_moves_the_list_moves_nothing_in_isolation() -> None:
    asked = request(candidates=5, k=5, instruction="Rank.")
    assert asked.candidates is not None
    attack = Injection(Catalog(items(12)), families=["override"], fields=["title", "description"])
    target = listener()
    guard = Pointwise().protect(target)
    (clean,) = guard.recommend([asked])
    moved = 0
    for variant in attack.variants:
        edits = attack.rewrite(Offer(asked.candidates[4], asked, items(3), variant), np.random.default_rng(0))
        attacked = apply(edits, asked)
        moved += target.recommend([attacked])[0].ids != clean.ids
        assert guard.recommend([attacked])[0].ids == clean.ids
    assert moved == len(attack.variants)


def test_every_candidate_is_asked_about_alone_in_the_targets_own_words() -> None:
    target = listener()
    guard = Pointwise().protect(target)
    asked = request(candidates=5, k=3, instruction="Rank.")
    (answer,) = guard.recommend([asked])
    assert [len(a.candidates or ()) for a in target.asked] == [1] * 5
    assert {(a.task, a.instruction, a.k) for a in target.asked} == {("score", "Does it fit?", 1)}
    assert answer.ids == ("i4", "i5", "i6")
    assert answer.usage.calls == 5
    # Scores keep the candidates' order and the request's wording.
    (answer,) = guard.recommend([replace(asked, task="score", instruction="Own words")])
    assert answer.ids == ("i4", "i5", "i6", "i7", "i8")
    assert target.asked[-1].instruction == "Own words"


def test_ties_keep_the_order_of_the_candidates() -> None:
    target = Scripted(
        lambda asked: Answer(tuple(Ranked(i.id, i.title, 0.5) for i in asked.candidates or ())), tasks=("score",)
    )
    guard = Pointwise().protect(target)
    assert guard.info.tasks == ("score", "rank")
    assert guard.recommend([request(candidates=4, k=4)])[0].ids == ("i4", "i5", "i6", "i7")


def fails_on(*bad: str) -> Scripted:
    def answer(asked: Request) -> Answer:
        (item,) = asked.candidates or ()
        if item.id in bad:
            return Answer(outcome="refused", detail="no", usage=Usage(3))
        return Answer((Ranked(item.id, item.title, 1.0),), usage=Usage(3))

    return Scripted(answer, tasks=("score", "rank"))


def test_candidates_without_a_score_are_said() -> None:
    asked = request(candidates=4, k=4)
    (answer,) = Pointwise().protect(fails_on("i5")).recommend([asked])
    assert answer.ids == ("i4", "i6", "i7")
    assert answer.detail == "1 of 4 candidates got no score and are not listed"
    assert (answer.usage.calls, answer.usage.prompt_tokens) == (4, 12)
    (answer,) = Pointwise().protect(fails_on("i5")).recommend([replace(asked, task="score")])
    assert (answer.outcome, answer.ranked) == ("refused", ())
    assert answer.detail == "1 of 4 candidates got no score: no"
    (answer,) = Pointwise().protect(fails_on("i4", "i5", "i6", "i7")).recommend([asked])
    assert answer.outcome == "refused"


def test_other_tasks_are_asked_as_they_are_and_a_target_without_scores_is_refused() -> None:
    target = listener()
    asked = [request(candidates=None), request(task="answer")]
    Pointwise().protect(target).recommend(asked)
    assert target.asked == asked
    with pytest.raises(ConfigError, match="does not do the task 'score'"):
        Pointwise().protect(Scripted())


def test_draws_reach_a_randomised_target() -> None:
    class Random(Scripted):
        def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
            assert set(draws) == {3}
            return [listens(r) for r in requests]

    target = Random(tasks=("rank", "score"), randomised=True)
    for guard in (Pointwise().protect(target), OutputControl(catalog()).protect(target)):
        guard.recommend_draws([request(k=2)], [3])  # type: ignore[attr-defined]
