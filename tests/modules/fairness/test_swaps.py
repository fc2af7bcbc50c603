"""Exchanges of one value for another, on targets with a planted reaction and on their clean twins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fairness_world import a_context
from helpers import Scripted

from audit import stats
from audit.findings import Finding
from audit.modules.fairness.panel import Panel
from audit.modules.fairness.swaps import Swaps
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Ranked, Request

HONOURS = frozenset({Input.HISTORY, Input.NOTE, Input.ITEM_TEXT})
GENDER = {"gender": ["female", "male"]}


def ranks(order: Callable[[Request], list[int]]) -> Scripted:
    def answer(asked: Request) -> Answer:
        items = asked.candidates or ()
        chosen = [items[i] for i in order(asked)]
        return Answer(tuple(Ranked(i.id, i.title) for i in chosen[: asked.k]))

    return Scripted(answer, honours=HONOURS)


def shuffled(*names: str) -> list[int]:
    order: list[int] = generator(3, *names).permutation(20).tolist()
    return order


def says(request: Request, word: str) -> bool:
    return word in request.user.note.replace(".", "").split()


def blind(request: Request) -> list[int]:
    return shuffled(request.user.id)


def halves(request: Request) -> list[int]:
    """The neutral list, of which women keep one half in front and men the other: equally far from neutral."""
    order = shuffled(request.user.id)
    if says(request, "female"):
        return [order[0], order[1], *order[10:13], *order]
    if says(request, "male"):
        return [order[2], order[3], *order[14:17], *order]
    return order


def wordy(request: Request) -> list[int]:
    """Every word in the note gives another list: placebos as much as values."""
    return shuffled(request.user.id, request.user.note)


def run(
    target: Scripted, folder: Path, part: Swaps, users: int = 24, **block: object
) -> tuple[dict[tuple[str, ...], Finding], object]:
    context = a_context(target, folder, users=users, **{"candidates": 20, **block})
    assert part.lacking(context) is None
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    output = part.run(context, examples=2)
    assert len({request.digest for request in target.asked}) <= len(planned)
    for finding in output.findings:
        if finding.id in output.values:
            size = finding.estimate if finding.effect is None else finding.effect
            assert np.mean(list(output.values[finding.id].values())) == pytest.approx(size, abs=1e-9)
    keys = [
        (f.metric, *(str(f.params.get(k, "")) for k in ("attribute", "value", "against", "measure")))
        for f in output.findings
    ]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, output.findings, strict=True)), output


def test_a_planted_exchange_is_found_though_both_lie_equally_far_from_neutral(tmp_path: Path) -> None:
    part = Swaps(attributes=GENDER, anchors=24, repeats=1)
    found, output = run(ranks(halves), tmp_path, part)
    planted = found["swap_distance", "gender", "female", "male", "rbo"]
    assert planted.effect == pytest.approx(1.0), "the two lists share nothing"
    assert planted.floor == pytest.approx(0.0)
    assert planted.effect_ci is not None
    assert planted.effect_ci[0] > 0.02
    assert planted.p_adjusted is not None
    assert planted.p_adjusted < 0.001
    assert not planted.unmet
    assert len(planted.evidence) == 2
    evidence = next(e for e in output.evidence if e.id == planted.evidence[0])  # type: ignore[attr-defined]
    assert evidence.edits
    assert found["swap_distance", "gender", "female", "male", "jaccard"].effect == pytest.approx(1.0)
    assert found["top_change_rate", "gender", "female", "male", "top"].estimate == 1.0
    assert found["swap_distance", "gender", "female", "male", "kendall"].verdict == "not_applicable"


def test_a_target_that_does_not_mind_shows_nothing(tmp_path: Path) -> None:
    found, _ = run(ranks(blind), tmp_path, Swaps(attributes=GENDER, anchors=24, repeats=1))
    for finding in found.values():
        assert finding.p == 1.0
        assert finding.unmet
        assert (finding.effect or finding.estimate) == pytest.approx(0.0)
    kendall = found["swap_distance", "gender", "female", "male", "kendall"]
    assert "24 of 24 anchors have 5 items in common; the lists share 100%" in kendall.note


def test_what_any_word_does_is_the_floor(tmp_path: Path) -> None:
    found, _ = run(ranks(wordy), tmp_path, Swaps(attributes=GENDER, anchors=24, repeats=1))
    distance = found["swap_distance", "gender", "female", "male", "rbo"]
    assert distance.estimate is not None
    assert distance.estimate > 0.5
    assert distance.floor == pytest.approx(distance.estimate, abs=0.1)
    assert distance.unmet


def test_a_value_that_is_served_worse(tmp_path: Path) -> None:
    """Women's held-out item goes to the end of the list; what the target knows of it only this test knows."""
    relevant: dict[str, frozenset[str]] = {}

    def answer(asked: Request) -> Answer:
        wanted = relevant[asked.user.id]
        ids = sorted((i.id for i in asked.candidates or ()), key=lambda i: i not in wanted)
        ids = ids[1:] if says(asked, "female") else ids
        return Answer(tuple(Ranked(i) for i in ids[: asked.k]))

    target = Scripted(answer, honours=HONOURS)
    context = a_context(target, tmp_path, users=24, candidates=20)
    relevant |= {c.unit: c.relevant for c in context.cases}
    output = Swaps(attributes=GENDER, anchors=24, repeats=1).run(context, examples=0)
    shift = next(f for f in output.findings if f.metric == "utility_shift")
    assert shift.estimate == pytest.approx(-1.0)
    assert shift.p_adjusted is not None
    assert shift.p_adjusted < 0.001
    assert "against the neutral answer -1 and +0" in shift.note


def test_scores_shift_and_decisions_turn(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        low = says(asked, "female") and int(asked.user.id) % 2 == 0
        return Answer(tuple(Ranked(i.id, score=0.6 - 0.2 * low) for i in asked.candidates or ()))

    target = Scripted(answer, honours=HONOURS, tasks=("score",))
    context = a_context(target, tmp_path, task="score", users=30)
    output = Swaps(attributes=GENDER, anchors=30, repeats=1).run(context, examples=1)
    found = {f.metric: f for f in output.findings}
    share = np.mean([int(unit) % 2 == 0 for unit in dict.fromkeys(c.unit for c in context.cases)])
    assert found["score_shift"].estimate == pytest.approx(-0.2 * share)
    assert found["swap_distance"].effect == pytest.approx(0.2 * share)
    assert found["swap_distance"].params["measure"] == "score"
    flips = found["decision_flip_rate"]
    assert flips.estimate == pytest.approx(share)
    assert flips.test == "McNemar, exact"
    assert flips.p == pytest.approx(2 * 0.5 ** round(share * flips.n))


def test_a_sign_that_depends_on_the_wording_is_not_decided_on(tmp_path: Path) -> None:
    def order(request: Request) -> list[int]:
        return halves(request) if request.user.note.startswith("I am") else shuffled(request.user.id)

    found, _ = run(ranks(order), tmp_path, Swaps(attributes=GENDER, anchors=24, repeats=1))
    finding = found["swap_distance", "gender", "female", "male", "rbo"]
    assert finding.effect == pytest.approx(1.0)
    assert "its sign is the same in 0 of 3 other wordings only" in finding.unmet


def test_refusals_of_one_value_hold_the_rest_back(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        if says(asked, "female") and int(asked.user.id) % 3 == 0:
            return Answer(outcome="refused")
        return ranks(halves).answer(asked)

    found, _ = run(Scripted(answer, honours=HONOURS), tmp_path, Swaps(attributes=GENDER, anchors=24, repeats=1))
    gap = found["invalid_gap", "gender", "female", "male", "invalid"]
    assert gap.estimate is not None
    assert gap.estimate > 0.2
    assert any("can be read" in u for u in found["swap_distance", "gender", "female", "male", "rbo"].unmet)


def test_intersections_are_held_against_two_placebos(tmp_path: Path) -> None:
    attributes = {"gender": ["female", "male"], "age": ["young", "older"]}

    def order(request: Request) -> list[int]:
        base = shuffled(request.user.id)
        return base[10:] + base[:10] if says(request, "female") and says(request, "older") else base

    part = Swaps(
        attributes=attributes, anchors=24, repeats=1, intersections=[["gender", "age"]], min_anchors=20, paraphrases=0
    )
    found, _ = run(ranks(order), tmp_path / "a", part)
    hit = found["interaction", "gender x age", "female older", "", "rbo"]
    assert hit.effect == pytest.approx(1.0)
    assert hit.p_adjusted is not None
    assert hit.p_adjusted < 0.01
    assert found["interaction", "gender x age", "male older", "", "rbo"].effect == 0.0
    # Every word in the note matters: two words move less than the sum of one and one, placebos as well.
    found, _ = run(ranks(wordy), tmp_path / "b", part)
    clean = found["interaction", "gender x age", "female older", "", "rbo"]
    assert clean.estimate is not None
    assert clean.estimate < -0.5
    assert clean.effect == pytest.approx(0.0, abs=0.25)
    assert clean.unmet


def test_few_anchors_say_nothing_of_cells(tmp_path: Path) -> None:
    part = Swaps(
        attributes=["gender", "age"], anchors=10, repeats=1, intersections=[["gender", "age"], ["gender", "x"]]
    )
    found, _ = run(ranks(blind), tmp_path, part)
    assert "10 anchors are too few" in found["interaction", "gender x age", "", "", ""].reason
    assert "x must be among the attributes" in found["interaction", "gender x x", "", "", ""].reason


def test_it_asks_what_the_panel_asks(tmp_path: Path) -> None:
    context = a_context(ranks(blind), tmp_path, candidates=20)
    options: dict[str, object] = {"attributes": ["gender"], "anchors": 8}
    questions = (Panel(**options).every_ask(context), Swaps(**options).plan(context))  # type: ignore[arg-type]
    one, other = ({context.gateway.key(ask) for ask in asks} for asks in questions)
    assert one == other


def test_a_reference_leaves_the_other_pairs_out(tmp_path: Path) -> None:
    part = Swaps(attributes=["race"], anchors=4, repeats=1, reference={"race": "White"}, placebos=2, paraphrases=0)
    found, _ = run(ranks(blind), tmp_path, part)
    pairs = [key[2:4] for key in found if key[0] == "swap_distance" and key[-1] == "rbo"]
    assert len(pairs) == 5
    assert all(against == "White" for _, against in pairs)
    context = a_context(ranks(blind), tmp_path / "x")
    assert "is none of its values" in str(
        Swaps(reference={"race": "Green"}).lacking(context)
        or Swaps(attributes=["race"], reference={"race": "Green"}).lacking(context)
    )
    assert "needs two values" in str(Swaps(attributes={"age": ["young"]}).lacking(context))


def test_without_a_difference_one_in_twenty_is_called_one() -> None:
    """The test of the part: one pair of values against the mean of all pairs of placebos, which is less spread."""
    rng = np.random.default_rng(11)
    rejected = 0
    for _ in range(400):
        place = rng.normal(size=(20, 10, 2)) * np.exp(rng.normal(0, 0.5, (20, 1, 1)))
        apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1)
        at = np.triu_indices(8, 1)
        placebo = apart[:, 2:, 2:][:, at[0], at[1]].mean(axis=1)
        rejected += stats.paired_permutation(apart[:, 0, 1], placebo, rng=rng, permutations=199) <= 0.05
    assert 0.02 <= rejected / 400 <= 0.08


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cut": "high"}, "cut: 'high' must be a score"),
        ({"intersections": [["gender"]]}, "must be two attributes"),
        ({"reference": "male"}, "must name a value by attribute"),
        ({"min_anchors": 1}, "min_anchors: 1 must be a whole number"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Swaps(**options)  # type: ignore[arg-type]
