"""The exposure of planted secrets, on targets whose memory is known and on twins that remember nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_targets import OfMembers, Recites, Remembers, members_with, noise, rng
from part_world import a_context, small_world

from audit.data.canaries import Canaries as Drawn
from audit.data.canaries import canary_events, plan_canaries
from audit.findings import Finding
from audit.guarantee import Members
from audit.modules.base import Output
from audit.modules.privacy.canaries import Canaries
from audit.stats.exposure import expected_exposure
from audit.targets.zoo.ease import Ease
from audit.types import Answer


def drawn(seed: int = 0, **options: Any) -> Drawn:
    return plan_canaries(small_world(), rng(seed), **{"count": 160, **options})


def output_of(target: Any, tmp_path: Path, **options: Any) -> Output:
    context = a_context(target, tmp_path, task=target.info.tasks[0])
    part = Canaries(**options)
    assert part.lacking(context) is None
    return part.run(context, examples=3)


def one(output: Output, metric: str, **params: Any) -> Finding:
    (found,) = [
        f for f in output.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())
    ]
    return found


def lacking(target: Any, tmp_path: Path, **options: Any) -> str | None:
    return Canaries(**options).lacking(a_context(target, tmp_path, task=target.info.tasks[0]))


@pytest.mark.parametrize("scored", [False, True])
def test_a_planted_memory_is_found_at_its_size(tmp_path: Path, scored: bool) -> None:
    """What was planted ten times is remembered always, four times half of the time, once never."""
    found = drawn()
    output = output_of(Remembers(found, {1: 0.0, 4: 0.5, 10: 1.0}.__getitem__, scored=scored), tmp_path)
    null = expected_exposure(64)
    always = one(output, "exposure", times=10)
    assert always.estimate == 6.0
    assert always.floor == pytest.approx(null)
    assert always.p_adjusted is not None
    assert always.p_adjusted < 0.01
    half = one(output, "exposure", times=4)
    assert half.ci is not None
    assert half.ci[0] < (6 + null) / 2 < half.ci[1]
    never = one(output, "exposure", times=1)
    assert never.ci is not None
    assert never.ci[0] < null < never.ci[1]
    assert never.p is not None
    assert never.p > 0.05
    # A memory that ranks the secret first beats each control but those that are first by chance.
    area = one(output, "canary_auc", times=10)
    assert area.ci is not None
    assert area.ci[0] < 1 - 1 / 128 < area.ci[1]
    assert one(output, "canary_auc", times=1).ci[0] < 0.5  # type: ignore[index]
    assert not any(f.unmet for f in output.findings)
    assert "of at most 6.00 among all 64 secrets" in always.note
    assert "are a group" in always.note


def test_a_clean_twin_and_its_controls_lie_at_the_null(tmp_path: Path) -> None:
    found = drawn(seed=2)
    output = output_of(Remembers(found, lambda _: 0.0), tmp_path)
    for finding in output.findings:
        assert finding.ci is not None
        assert finding.ci[0] < (finding.floor or 0.0)
        assert finding.p_adjusted is None or finding.p_adjusted > 0.05


def test_a_real_recommender_remembers_what_it_read_ten_times(tmp_path: Path) -> None:
    """EASE fitted on the canaries, and its twin fitted without them."""
    found, world = drawn(seed=3), small_world()
    with_them = Ease.fit(world.with_users(canary_events(found, world)), hold_out=None)
    without = Ease.fit(world, hold_out=None)
    for target, remembers in ((with_them, True), (without, False)):
        told = tmp_path / str(remembers)
        told.mkdir()
        members_with(found).write(told)
        output = output_of(target, told, members=str(told))
        often = one(output, "exposure", times=10)
        assert often.p is not None
        assert (often.p < 0.001) == remembers
        control = one(output, "exposure", group="control")
        assert control.ci is not None
        assert control.ci[0] < expected_exposure(64) < control.ci[1]


def test_a_target_that_ties_everything_knows_nothing(tmp_path: Path) -> None:
    refuses = OfMembers(members_with(drawn()))
    refuses.recommend = lambda requests: [Answer(outcome="refused") for _ in requests]  # type: ignore[attr-defined]
    output = output_of(refuses, tmp_path)
    once = one(output, "exposure", times=1)
    assert once.estimate == pytest.approx(expected_exposure(64))
    assert once.p == 1.0
    assert "answers could not be read and rank all secrets alike" in once.note


def test_an_item_that_a_list_leaves_out_stands_behind_all_it_holds(tmp_path: Path) -> None:
    found = drawn()
    short = Remembers(found, lambda _: 1.0, answer=lambda order, _: order[:1])
    assert one(output_of(short, tmp_path), "exposure", times=1).estimate == 6.0


def test_notes_are_read_by_their_log_probabilities(tmp_path: Path) -> None:
    found = drawn(form="note")
    output = output_of(Recites(found, remembers=True), tmp_path)
    once = one(output, "exposure", times=1)
    assert once.estimate == 6.0
    assert "among a sample of 64 of the 100,000 secrets" in once.note
    (tmp_path / "clean").mkdir()
    clean = one(output_of(Recites(found, remembers=False), tmp_path / "clean"), "exposure", times=1)
    assert clean.ci is not None
    assert clean.ci[0] < expected_exposure(64) < clean.ci[1]


def test_controls_that_were_trained_on_leave_it_open(tmp_path: Path) -> None:
    found = drawn()
    everyone = replace(found, members=tuple(replace(c, inserted=True) for c in found.members))
    target = Remembers(everyone, lambda _: 1.0)
    target.members = members_with(found)
    output = output_of(target, tmp_path)
    assert "the controls, which were never planted" in one(output, "exposure", times=10).unmet[0]


def test_a_limit_on_candidates_lowers_what_can_be_seen(tmp_path: Path) -> None:
    target = Remembers(drawn(), lambda _: 1.0, max_candidates=32)
    once = one(output_of(target, tmp_path), "exposure", times=1)
    assert once.estimate == 5.0
    assert "of at most 5.00 among a sample of 32 of the 64 secrets" in once.note


def test_no_secret_and_no_canary_is_shown(tmp_path: Path) -> None:
    found = drawn(form="note")
    output = output_of(Recites(found, remembers=True), tmp_path)
    told = json.dumps([f.to_dict() for f in output.findings] + [e.to_dict() for e in output.evidence])
    told += json.dumps({k: dict(v) for k, v in output.values.items()})
    assert output.evidence
    assert not any(c.secret in told or c.id in told for c in found.members)


def test_values_average_to_the_effect(tmp_path: Path) -> None:
    output = output_of(Remembers(drawn(), lambda times: times / 10), tmp_path)
    compared = [f for f in output.findings if f.id in output.values]
    assert {f.metric for f in compared} == {"exposure", "canary_auc"}
    for finding in compared:
        assert np.mean(list(output.values[finding.id].values())) == pytest.approx(finding.effect)


def test_what_is_planned_is_what_is_asked(tmp_path: Path) -> None:
    context = a_context(Remembers(drawn(), lambda _: 1.0), tmp_path)
    part = Canaries()
    assert len(part.plan(context)) == 160
    before = context.gateway.estimate(part.plan(context)).queries
    part.run(context, examples=0)
    assert before == 160
    assert context.gateway.estimate(part.plan(context)).queries == 0


def test_why_it_cannot_be_asked(tmp_path: Path) -> None:
    found = drawn()
    target = Remembers(found, lambda _: 1.0)
    target.members = None
    assert "nobody says what was planted in its training; draw secrets with" in str(lacking(target, tmp_path))
    target.members = members_with(None)
    assert "its list of members has no canaries" in str(lacking(target, tmp_path))
    target.members = Members(frozenset("a"), frozenset("b"), found.to_dict() | {"space": ["x"]})
    assert "canaries.space: must be a list" in str(lacking(target, tmp_path))
    target.members = members_with(replace(found, members=found.inside))
    assert "none of its" in str(lacking(target, tmp_path))
    assert "was left out as a control" in str(lacking(target, tmp_path))
    target.members = members_with(replace(found, members=(*found.inside[:2], *found.outside)))
    assert "2 canaries were planted" in str(lacking(target, tmp_path))
    target.members = members_with(drawn(form="note"))
    assert "the target gives no log-probabilities" in str(lacking(target, tmp_path))


@pytest.mark.parametrize("sample", [0, True, 2.5])
def test_options_that_cannot_be(sample: object) -> None:
    with pytest.raises(ValueError, match="sample"):
        Canaries(sample=sample)  # type: ignore[arg-type]


def test_the_noise_of_these_targets_is_even() -> None:
    values = [noise("x", str(n)) for n in range(2000)]
    assert abs(float(np.mean(values)) - 0.5) < 4 * 0.2887 / 2000**0.5
