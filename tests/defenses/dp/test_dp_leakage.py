"""Trainings as an adversary sees them: overfitted, private, and broken ones that still claim to be private.

The people here are random sequences, which is the worst case: nothing is to be learnt but who was there. So at ε = 8
the plain loss shows nothing and the loss against the base model still does, as ε = 8 allows.

Leaks find the missing noise. They do not find batches that are clipped whole: sixty people like all others leak nothing
that is seen through the noise, and only the odd one would. For that there is the check on made-up gradients.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_dp_steps import NoiseOff
from tiny_private import causal, people

from audit.guarantee import Guarantee, Members
from audit.stats.epsilon_bounds import one_run_bound
from audit.stats.membership import membership_auc
from defenses.dp import loop
from defenses.dp.gradients import Rows
from defenses.dp.model import train
from defenses.dp.secret import Secret

USERS = people(120)
DELTA = 1e-5


def losses(lm: Any) -> dict[str, float]:
    """Mean log-likelihood of each user's row."""
    model = lm.model.eval()
    source = Rows.__new__(Rows)
    source.model, source.wrapped, source.pad = model, model, 0
    with torch.no_grad():
        told = source.losses([row for (row,) in USERS.values()]).tolist()
    return dict(zip(USERS, (-x for x in told), strict=True))


def trained(out: Path, *, epsilon: float, steps: int, peak: float, expect: Any = None) -> dict[str, Any]:
    """Scores of members and others by the target's loss, its gain over the base model, and the base model's loss."""
    lm = causal()
    before = losses(lm)
    train(
        lm,
        USERS,
        out=out,
        secret=Secret.of(0),
        epsilon=epsilon,
        delta=DELTA,
        steps=steps,
        peak=peak,
        batch=16,
        accountant="rdp",
        physical=32,
    )
    members = Members.read(out)
    assert members is not None
    after = losses(lm)
    sides = [sorted(members.inside), sorted(members.outside)]
    scores = {
        "loss": [np.array([after[u] for u in side]) for side in sides],
        "reference": [np.array([after[u] - before[u] for u in side]) for side in sides],
        "blind": [np.array([before[u] for u in side]) for side in sides],
    }
    return {name: membership_auc(*both) for name, both in scores.items()} | {
        "bound": one_run_bound(
            np.concatenate(scores["reference"]), np.repeat([1, 0], [len(s) for s in sides]), delta=DELTA
        )
    }


@pytest.fixture(scope="module")
def overfitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("overfitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "PrivateSteps", NoiseOff)
        patch.setattr(loop, "check_step", lambda **_: None)
        found = trained(out, epsilon=1.0, steps=80, peak=1e-2)
    card = Guarantee.read(out)
    assert card is not None
    return found | {"claimed": card.epsilon}


def test_an_overfitted_adapter_shows_who_was_there_and_an_untrained_one_does_not(overfitted: dict[str, Any]) -> None:
    assert overfitted["loss"].low > 0.9
    assert overfitted["blind"].low < 0.5 < overfitted["blind"].high


def test_a_private_adapter_at_eight_keeps_the_loss_at_chance(tmp_path: Path) -> None:
    found = trained(tmp_path, epsilon=8.0, steps=20, peak=2e-3)
    assert found["loss"].low < 0.5 < found["loss"].high


def test_a_training_that_leaves_the_noise_out_is_caught_by_its_leaks(overfitted: dict[str, Any]) -> None:
    assert overfitted["claimed"] == 1.0
    assert overfitted["bound"].epsilon > 1.0


def test_the_right_training_is_not_accused(tmp_path: Path) -> None:
    found = trained(tmp_path, epsilon=1.0, steps=80, peak=1e-2)
    assert found["bound"].epsilon <= 1.0
