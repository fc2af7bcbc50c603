"""The sweep on targets of every kind: scores, attributes, instructions, and those that say nothing at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sweep_targets as planted
from fairness_world import a_context
from helpers import Scripted

from audit.findings import Finding
from audit.modules.base import Output
from audit.modules.fairness.sweep import Sweep
from audit.target import Input
from audit.types import Answer, Ranked, Request


def run(target: Scripted, folder: Path, part: Sweep, **block: Any) -> Output:
    context = a_context(target, folder, **{"users": 20, "k": 10, **block})
    assert part.lacking(context) is None
    return part.run(context, examples=1)


def of(output: Output, metric: str, **params: Any) -> list[Finding]:
    return [f for f in output.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())]


def test_scores_are_compared_as_orders(tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        items = request.candidates or ()
        sign = -1.0 if planted.says(request, "older") else 1.0
        # By the item alone: a stated age turns the order round.
        scores = [0.5 + sign * (int(item.id) - 160) / 200 for item in items]
        return Answer(tuple(Ranked(i.id, score=s) for i, s in zip(items, scores, strict=True)))

    target = Scripted(answer, honours=frozenset({Input.HISTORY, Input.NOTE}), tasks=("score",))
    output = run(target, tmp_path, Sweep(["age"], measure="prag"), task="score", candidates=8)
    (found,) = of(output, "excess_distance", value="older")
    assert found.effect is not None
    assert found.effect > 0.3
    assert of(output, "excess_distance", value="young")[0].effect == 0.0


def test_attributes_are_stated_as_attributes(tmp_path: Path) -> None:
    items = [str(100 + n) for n in range(40)]

    def answer(request: Request) -> Answer:
        first = 5 if request.user.attributes.get("gender") == "F" else 0
        return Answer(tuple(Ranked(i) for i in items[first : first + request.k]))

    target = Scripted(answer, honours=frozenset({Input.HISTORY, Input.ATTRIBUTES}))
    output = run(target, tmp_path, Sweep(["gender", "shoes"], measure="jaccard"))
    (found,) = of(output, "excess_distance", value="F")
    assert found.effect == pytest.approx(2 / 3)
    assert found.params["channel"] == "attributes"
    assert found.unmet == (), "attributes have no other wording"
    (unknown,) = of(output, "snsr", attribute="shoes")
    assert unknown.verdict == "not_applicable"
    assert "no values are known for shoes" in unknown.reason


def test_fans_of_items_by_instruction(tmp_path: Path) -> None:
    items = [str(100 + n) for n in range(60)]

    def answer(request: Request) -> Answer:
        first = 5 if " Black " in request.instruction else 0
        return Answer(tuple(Ranked(i) for i in items[first : first + request.k]))

    target = Scripted(answer, honours=frozenset({Input.INSTRUCTION}), instructions={"rank": "List films."})
    output = run(target, tmp_path, Sweep({"race": ["Black", "White"]}, source="items", anchors=12, measure="jaccard"))
    (found,) = of(output, "excess_distance", value="Black")
    assert found.unit == "anchor"
    assert found.n == 12
    assert found.effect == pytest.approx(2 / 3, abs=0.1), "an anchor that is in the list is dropped from it"
    assert found.unmet == ()


@pytest.mark.parametrize("outcome", ["refused", "unparsable", "error"])
def test_a_target_that_says_nothing_has_no_similarity(tmp_path: Path, outcome: Any) -> None:
    target = Scripted(lambda _: Answer(outcome=outcome), honours=frozenset({Input.NOTE}))
    output = run(target, tmp_path, Sweep(["gender"], typos=True, languages=["de"]))
    assert {f.verdict for f in output.findings if f.metric != "invalid_gap"} == {"not_applicable"}
    for found in of(output, "invalid_gap"):
        assert (found.estimate, found.effect) == (1.0, 0.0)
        assert f"60 {outcome} of 60" in found.note or f"20 {outcome} of 20" in found.note


def test_refusals_that_come_and_go_are_compared_over_repeats(tmp_path: Path) -> None:
    calls = iter(range(10**6))

    def refuses(request: Request) -> bool:
        return planted.seeded(next(calls)).random() < (0.5 if planted.says(request, "male") else 0.05)

    output = run(planted.target(lambda _, o: o, refuses, remote=True), tmp_path, Sweep(["gender"]))
    (found,) = of(output, "invalid_gap", value="male", kind="invalid")
    assert found.effect == pytest.approx(0.45, abs=0.2)
    assert found.test == "paired permutation"
    assert found.p_adjusted is not None
    assert found.p_adjusted < 0.01


def test_one_value_has_no_range(tmp_path: Path) -> None:
    output = run(planted.target(lambda _, o: o), tmp_path, Sweep({"gender": ["female"]}))
    (found,) = of(output, "snsr")
    assert found.verdict == "not_applicable"
    assert len(of(output, "excess_distance")) == 1


def test_titles_outside_the_catalogue_are_counted_and_compared_by_wording(tmp_path: Path) -> None:
    def answer(request: Request) -> Answer:
        known = tuple(Ranked(str(100 + n), "") for n in range(5))
        invented = "Her Film" if planted.says(request, "female") else "The Film"
        return Answer(
            (*known, *(Ranked(None, f"{invented} {n}") for n in range(2 + 2 * planted.says(request, "female"))))
        )

    target = Scripted(answer, honours=frozenset({Input.HISTORY, Input.NOTE}))
    output = run(target, tmp_path, Sweep(["gender"], measure="jaccard"))
    (found,) = of(output, "invalid_gap", value="female", kind="unmatched")
    assert found.effect == pytest.approx(4 / 9 - 2 / 7)
    (similarity,) = of(output, "similarity", value="female", measure="jaccard")
    assert similarity.estimate == pytest.approx(5 / 11)
