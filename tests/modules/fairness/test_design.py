"""Grids: every variant of every anchor, asked in random order, and read back in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fairness_world import a_context
from helpers import Scripted
from helpers import request as a_request

from audit.edits import TextEdit
from audit.modules.fairness.design import Anchor, Grid, Variant, neutral, read
from audit.types import Answer, Ranked, Request


def titled(*names: str | None) -> Answer:
    return Answer(tuple(Ranked(None if n is None or n.startswith("?") else n, (n or "").strip("?")) for n in names))


def says(phrase: str) -> Variant:
    return Variant(f"v={phrase}", "value", lambda _: [TextEdit("note", 0, 0, phrase)], "v", phrase)


def note_first(asked: Request) -> Answer:
    """A list that tells which request it answers."""
    return Answer((Ranked(f"{asked.user.id}:{asked.user.note}"),))


def grid(repeats: int = 1) -> Grid:
    anchors = [Anchor(f"a{n}", a_request(f"u{n}")) for n in range(6)]
    return Grid("test", anchors, [neutral(), says("x"), says("y")], repeats)


def test_every_answer_comes_back_in_its_place(tmp_path: Path) -> None:
    target = Scripted(note_first)
    found = grid().run(a_context(target, tmp_path))
    for variant, note in (("neutral", ""), ("v=x", "x"), ("v=y", "y")):
        assert [runs[0].names for runs in found[variant]] == [(f"u{n}:{note}",) for n in range(6)]
    asked = [(r.user.id, r.user.note) for r in target.asked]
    assert sorted(asked) == sorted((f"u{n}", note) for n in range(6) for note in ("", "x", "y"))
    assert asked != sorted(asked, key=lambda pair: pair[1]), "all of one variant first would line up with time"


def test_a_target_that_always_says_the_same_is_not_asked_again(tmp_path: Path) -> None:
    target = Scripted(note_first)
    found = grid(repeats=4).run(a_context(target, tmp_path))
    assert found.repeats == 1
    assert len(target.asked) == 6 * 4 + 6 * 2, "the neutral form four times, the rest once"


@pytest.mark.parametrize("declared", [{"remote": True}, {}])
def test_a_target_that_may_vary_is_asked_every_repeat(tmp_path: Path, declared: dict[str, bool]) -> None:
    seen: list[int] = []

    def varying(asked: Request) -> Answer:
        seen.append(1)
        return titled(f"n{len(seen)}")

    answer: Callable[[Request], Answer] = note_first if declared else varying
    target = Scripted(answer, **declared)
    found = grid(repeats=3).run(a_context(target, tmp_path))
    assert found.repeats == 3
    assert all(len(runs) == 3 for runs in found["v=x"])
    assert len(target.asked) == 6 * 3 * 3


def test_the_plan_is_what_is_asked(tmp_path: Path) -> None:
    target = Scripted(note_first, remote=True)
    context = a_context(target, tmp_path)
    planned = grid(2).asks(context.rng("plan"))
    grid(2).run(context)
    keys = {context.gateway.key(ask) for ask in planned}
    assert len(keys) == len(target.asked) == 36


def test_a_list_is_read_without_repeats_and_without_the_anchor() -> None:
    anchor = Anchor("a", a_request(k=4), drop=frozenset({"i1"}))
    found = read(anchor, anchor.request, titled("i1", "i2", "i2", "?Odd", "i3", "i9"))
    assert found.raw == ("i2", "i2", "\0Odd", "i3")
    assert found.names == ("i2", "\0Odd", "i3")
    assert found.unmatched == 1
    assert found.valid
    assert found.short


def test_a_refusal_is_no_list() -> None:
    anchor = Anchor("a", a_request())
    refused = read(anchor, anchor.request, Answer(outcome="refused"))
    assert not refused.valid
    assert not refused.short
    assert refused.outcome == "refused"
    assert not read(anchor, anchor.request, Answer(())).valid


def test_scores_are_read_as_an_order() -> None:
    anchor = Anchor("a", a_request(task="score", candidates=3))
    items = [item.id for item in anchor.request.candidates or ()]
    found = read(
        anchor, anchor.request, Answer(tuple(Ranked(i, score=s) for i, s in zip(items, (0.2, 0.9, 0.9), strict=True)))
    )
    assert found.names == (items[1], items[2], items[0])
    assert found.scores[items[1]] == 0.9
    assert found.asked == 3


def test_a_grid_needs_its_neutral_form() -> None:
    with pytest.raises(ValueError, match="no neutral variant"):
        Grid("g", [Anchor("a", a_request())], [says("x")])
    with pytest.raises(ValueError, match="same id"):
        Grid("g", [Anchor("a", a_request())], [neutral(), says("x"), says("x")])
