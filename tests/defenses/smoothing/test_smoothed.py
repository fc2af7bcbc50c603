"""The voting target: how it asks, what it remembers, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from helpers import Scripted, request

from audit.defense import DefenseInfo
from audit.edits import Zone
from audit.seeds import generator
from audit.target import Randomised
from audit.types import Answer, Ranked, Request, Usage
from defenses.smoothing.smoothed import Copy, Smoothed
from defenses.smoothing.votes import Counting

INFO = DefenseInfo("ours", "t", "w", "r", "smoothing", frozenset({Zone.PLATFORM}), randomised=True)


class DropOne(Smoothed):
    """Copies without one event of the history each, drawn at random."""

    def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
        rng = generator(0, "ours", request.digest, str(draw))
        history = request.user.history
        drawn = rng.integers(len(history), size=n)
        return [replace(request, user=replace(request.user, history=(*history[:i], *history[i + 1 :]))) for i in drawn]


def by_first(asked: Request) -> Answer:
    """Yes where the oldest event is the first item."""
    yes = asked.user.history[0].item.id == "i0"
    return Answer(tuple(Ranked(c.id, c.title, 0.9 if yes else 0.1) for c in asked.candidates or ()))


def protect(answer: Any = by_first, samples: int = 8, **info: Any) -> tuple[Scripted, DropOne]:
    target = Scripted(answer, tasks=("score", "rank"), **info)
    return target, DropOne(target, INFO, {}, samples=samples)


ASKED = request(task="score", candidates=2)


def test_all_copies_of_all_requests_go_out_together_and_each_once() -> None:
    target, smoothed = protect()
    smoothed.recommend([ASKED, request("v", task="score", candidates=2)])
    assert len(target.batches) == 1
    digests = [r.digest for r in target.asked]
    assert len(digests) == len(set(digests)) <= 8


def test_usage_is_the_sum_over_copies_asked_or_not() -> None:
    target, smoothed = protect(
        lambda r: replace(by_first(r), usage=Usage(prompt_tokens=10, seconds=0.5)), samples=16, fingerprint="f"
    )
    (first,) = smoothed.recommend([ASKED])
    asked = len(target.asked)
    assert asked <= 4  # there are only four copies
    assert first.usage == Usage(prompt_tokens=160, seconds=8.0, calls=16)
    (again,) = smoothed.recommend([ASKED])
    assert len(target.asked) == asked  # remembered
    assert again == first  # and at the same price


@pytest.mark.parametrize(("info", "remembers"), [({}, False), ({"fingerprint": "f"}, True)])
def test_answers_are_remembered_where_the_target_says_what_it_is(info: dict[str, Any], remembers: bool) -> None:
    target, smoothed = protect(samples=64, **info)
    smoothed.recommend([ASKED])
    smoothed.recommend([ASKED])
    assert len(target.batches) == (1 if remembers else 2)


def test_a_failure_is_asked_again_and_memory_is_bounded() -> None:
    target = Scripted(lambda _: Answer(outcome="error", detail="down"), tasks=("score",), fingerprint="f")
    smoothed = DropOne(target, INFO, {}, samples=8)
    assert smoothed.recommend([ASKED])[0].outcome == "error"
    smoothed.recommend([ASKED])
    assert len(target.batches) == 2
    target = Scripted(by_first, tasks=("score",), fingerprint="f")
    small = DropOne(target, INFO, {}, samples=64, memo=4)
    small.recommend([ASKED])
    small.recommend([ASKED])
    # An answer with two scores weighs three, so that only the last of four was kept.
    assert len(target.asked) == 4 + 3
    tiny = DropOne(target, INFO, {}, samples=64, memo=1)
    assert tiny.recommend([ASKED])[0].outcome == "ok"


def test_equal_draws_are_equal_and_others_are_not() -> None:
    _, smoothed = protect(samples=5)
    assert isinstance(smoothed, Randomised)
    assert smoothed.recommend_draws([ASKED], [3]) == smoothed.recommend_draws([ASKED], [3])
    scores = {smoothed.recommend_draws([ASKED], [d])[0].scores[0] for d in range(20)}
    assert len(scores) > 1


def test_a_target_that_draws_is_asked_anew_for_every_copy() -> None:
    class Drawing(Scripted):
        def recommend_draws(self, requests: Sequence[Request], draws: Sequence[int]) -> list[Answer]:
            self.draws = list(draws)
            return self.recommend(requests)

    target = Drawing(by_first, tasks=("score",), fingerprint="f", randomised=True)
    smoothed = DropOne(target, INFO, {}, samples=12)
    smoothed.recommend_draws([ASKED, ASKED], [0, 1])
    assert len(target.asked) == 24
    assert len(set(target.draws)) == 24


def test_a_copy_with_nothing_to_ask_is_a_failure() -> None:
    class Empty(DropOne):
        def copies(self, request: Request, draw: int, n: int) -> Sequence[Copy]:
            return [None, *super().copies(request, draw, n - 1)]

    target = Scripted(by_first, tasks=("score",))
    smoothed = Empty(target, INFO, {}, samples=4)
    assert smoothed.recommend([ASKED])[0].usage.calls == 3
    nothing = Empty(target, INFO, {}, samples=1)
    assert nothing.recommend([ASKED])[0].outcome == "error"


def test_refining_sees_all_copies_at_once_and_its_cost_is_counted() -> None:
    seen: list[int] = []

    class Refined(DropOne):
        def refine(self, copies: Sequence[Copy], draws: Sequence[int]) -> Sequence[tuple[Copy, Usage]]:
            seen.append(len(copies))
            return [(copy, Usage(completion_tokens=2, calls=1)) for copy in copies]

    smoothed = Refined(Scripted(by_first, tasks=("score",)), INFO, {}, samples=4)
    answers = smoothed.recommend([ASKED, ASKED])
    assert seen == [8]
    assert answers[0].usage.calls == 8
    assert answers[0].usage.completion_tokens == 8


def test_copies_are_asked_for_lists_as_long_as_votes_are_counted() -> None:
    target = Scripted()
    smoothed = DropOne(target, INFO, {}, samples=4, counting=Counting(depth=2))
    (said,) = smoothed.recommend([request(k=5)])
    assert {r.k for r in target.asked} == {2}
    assert len(said.ranked) == 2


def test_the_fingerprint_holds_samples_and_counting() -> None:
    def fingerprint(**options: Any) -> str | None:
        target = Scripted(fingerprint="f")
        return DropOne(target, INFO, {}, **{"samples": 4, **options}).info.fingerprint

    prints = {fingerprint(), fingerprint(samples=5), fingerprint(counting=Counting(threshold=0.6))}
    assert None not in prints
    assert len(prints) == 3
