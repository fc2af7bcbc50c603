"""Forgetting: targets that do, targets that only say so, and targets that never remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Scripted
from memory_targets import Store
from part_world import a_context, small_world

from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.guarantee import Members
from audit.modules.base import Output
from audit.modules.privacy.unlearning import Unlearning
from audit.target import Recommender


def output_of(target: Recommender, tmp_path: Path, **options: Any) -> Output:
    context = a_context(target, tmp_path)
    part = Unlearning(**{"rows": 3, **options})
    assert part.lacking(context) is None
    return part.run(context, examples=2)


def one(output: Output, when: str, by: str) -> Finding:
    (found,) = [f for f in output.findings if (f.params["when"], f.params["by"]) == (when, by)]
    return found


def test_who_forgets_is_cleared(tmp_path: Path) -> None:
    output = output_of(Store(small_world()), tmp_path)
    before = one(output, "before", "")
    assert before.estimate is not None
    assert before.estimate > 0.45
    for by in ("retrain", "forget"):
        after = one(output, "after", by)
        assert after.ci is not None
        assert after.ci[0] < 0 < after.ci[1]
        assert after.p_adjusted is not None
        assert after.p_adjusted > 0.05
        assert "no trace either" not in after.note


def keeper() -> Store:
    """One that starts from what it knew, and says whom it never saw."""
    users = small_world().user_ids
    target = Store(small_world().without_users(users[1::2]), keeps=True)
    target.members = Members(frozenset(users[::2]), frozenset(users[1::2]))
    return target


def test_training_from_the_old_weights_is_caught(tmp_path: Path) -> None:
    output = output_of(keeper(), tmp_path)
    after = one(output, "after", "retrain")
    assert after.estimate == one(output, "before", "").estimate
    assert after.p_adjusted is not None
    assert after.p_adjusted < 0.001
    assert after.evidence
    assert abs(one(output, "after", "forget").estimate or 0.0) < 0.2


def test_forgetting_that_is_only_said_is_caught(tmp_path: Path) -> None:
    output = output_of(Store(small_world(), forgets="says"), tmp_path)
    assert (one(output, "after", "forget").p_adjusted or 1.0) < 0.001
    assert (one(output, "after", "retrain").p_adjusted or 0.0) > 0.05


def test_where_nothing_was_remembered_nothing_is_shown_to_be_forgotten(tmp_path: Path) -> None:
    class Blank(Store):
        def retrain(self, dataset: Dataset) -> Store:
            return Blank(dataset.without_users(dataset.user_ids[1:]), forgets="says")

    after = one(output_of(Blank(small_world(), forgets="says"), tmp_path), "after", "retrain")
    assert "no trace either, so that nothing is shown to have been forgotten" in after.note
    assert "NDCG of the others" in after.note


def test_nobody_is_named(tmp_path: Path) -> None:
    output = output_of(keeper(), tmp_path)
    told = json.dumps([f.to_dict() for f in output.findings] + [e.to_dict() for e in output.evidence])
    assert all("…" in e.case for e in output.evidence)
    assert not any(item.title in told for item in small_world().catalog.items_in_order)


def test_values_average_to_the_estimate(tmp_path: Path) -> None:
    output = output_of(Store(small_world()), tmp_path)
    for finding in output.findings:
        assert np.mean(list(output.values[finding.id].values())) == pytest.approx(finding.estimate)


def test_an_adapter_trained_without_them(tmp_path: Path) -> None:
    """The lists of both trainings say who was taken out; the target is asked with either adapter."""
    world = small_world()
    inside, outside = world.user_ids[:40], world.user_ids[40:]
    for name, people in (("with", inside), ("without", inside[12:])):
        (tmp_path / name).mkdir()
        Members(frozenset(people), frozenset(outside)).write(tmp_path / name)

    class Swaps(Store):
        def with_adapter(self, adapter: Path | None) -> Store:
            assert adapter == tmp_path / "without"
            return Store(world.without_users({*outside, *inside[:12]}))

    target = Swaps(world.without_users(outside))
    options = {"members": str(tmp_path / "with"), "adapter": str(tmp_path / "without")}
    output = output_of(target, tmp_path, **options)
    assert (one(output, "before", "").estimate or 0) > 0.45
    assert abs(one(output, "after", "adapter").estimate or 0) < 0.25
    assert "12 forgotten and 20 others" in one(output, "after", "adapter").note


def test_why_it_cannot_be_asked(tmp_path: Path) -> None:
    fixed = a_context(Scripted(), tmp_path / "a")
    assert "the target cannot be trained here" in str(Unlearning().lacking(fixed))
    (tmp_path / "w").mkdir()
    Members(frozenset("a"), frozenset("b")).write(tmp_path / "w")
    assert "has no adapter" in str(Unlearning(adapter=str(tmp_path / "w")).lacking(fixed))
    few = a_context(Store(small_world(30)), tmp_path / "b", dataset=small_world(30), users=20)
    assert "people to forget" in str(Unlearning(share=0.4).lacking(few))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"forget": 3}, "forget: 3 must be a whole number of at least 8"),
        ({"share": 1.0}, "share: 1.0 must be from .1 to .9"),
        ({"rows": True}, "rows"),
        ({"candidates": 1}, "candidates"),
        ({"adapter": "nowhere"}, "adapter: 'nowhere' holds no members.json"),
    ],
)
def test_options_that_cannot_be(option: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Unlearning(**option)
