"""Whole audits of planted targets: they see the flaw, and nothing in the clean twin."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from audit.controls import controls
from audit.controls.trial import findings_of, throwaway_store
from audit.policy import load


@pytest.mark.parametrize(
    "name",
    [
        "made-up-titles",
        "false-genres",
        "fabricated-citations",
        "personal-data",
        "mixed-up-users",
        "heard-attribute",
        "injection-title",
        "injection-passage",
        "crashes",
        "slow-answers",
    ],
)
def test_an_audit_sees_the_flaw_and_not_its_clean_twin(name: str) -> None:
    [control] = controls(control=name)
    policy = load("default", Path())
    with throwaway_store() as store:
        # The largest flaw that is measured, so that one repetition decides.
        flawed = findings_of(control, control.sizes[-1], control.users, 1, store, policy)
        clean = findings_of(control, 0.0, control.users, 1, store, policy)
    assert control.sees(flawed)
    assert not control.sees(clean)
    assert control.measured(clean) is not None
    assert control.measured(clean)[0] == control.truth(0.0) == 0.0  # type: ignore[index]


@pytest.mark.parametrize("name", ["ignored-history", "remembered-secrets", "recited-logs", "kept-after-all"])
def test_an_audit_sees_what_is_measured_against_chance(name: str) -> None:
    """The clean twin has a value too, and what is measured lies about it."""
    [control] = controls(control=name)
    policy = load("default", Path())
    with throwaway_store() as store:
        assert control.sees(findings_of(control, control.sizes[-1], control.users, 1, store, policy))
        clean = findings_of(control, 0.0, control.users, 1, store, policy)
    assert not control.sees(clean)
    value, low, high = control.measured(clean) or (math.nan,) * 3
    # Half again as wide as a 95 % interval: beyond that a right one lies once in three hundred times.
    assert abs(value - (control.truth(0.0) or 0.0)) <= 1.5 * max(high - value, value - low)
