"""Lower bounds against mechanisms whose ε is known exactly, whole and broken."""

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from membership_world import Remembers, card, coin, people
from part_world import a_context
from scipy.optimize import brentq
from scipy.stats import norm

from audit.guarantee import Guarantee, Members
from audit.modules.privacy.lower_bound import LowerBound
from audit.modules.privacy.promise import Promise
from audit.policy import Rule, load

DELTA = 1e-5
SIGMA = 2.0
"""Of the toys, in units of the clipping norm."""


def gaussian_epsilon(sigma: float, delta: float = DELTA) -> float:
    """ε of one release of a clipped sum with noise σC: Balle and Wang, ICML 2018, theorem 8."""

    def excess(epsilon: float) -> float:
        shift = epsilon * sigma
        return norm.cdf(0.5 / sigma - shift) - math.exp(epsilon) * norm.cdf(-0.5 / sigma - shift) - delta

    return brentq(excess, 0.0, 200.0)


class Released:
    """A toy of one noisy step over users whose gradients are at right angles to each other: a sum of canaries.

    Each user's gradient has norm 10 in a direction of its own; of those in training the sum is released, and the target
    is as sure of a user as the released sum points their way. With clipping per user to C = 1 and noise of standard
    deviation σ it is the Gaussian mechanism, once per user.
    """

    def __init__(self, users, members: Members, *, seed: int = 0, noise: bool = True, per_user: bool = True) -> None:
        rng = np.random.default_rng(seed)
        inside = np.array([user in members.inside for user in users], dtype=float)
        batch = inside.sum()
        if per_user:
            released = inside * 1.0
        else:
            # The mean gradient of the batch has norm 10 / √n, is clipped as a whole, and multiplied by n again.
            length = 10.0 / math.sqrt(batch)
            released = inside * 10.0 / batch * min(1.0, 1.0 / length) * batch
        if noise:
            released = released + SIGMA * rng.normal(size=len(users))
        self.sure = dict(zip(users, (released - released.mean()) / (released.std() + 1e-9), strict=True))


class Toy(Remembers):
    """A yes/no target that is as sure of a user's rows as the toy's release says."""

    def __init__(self, released: Released, *args, **options) -> None:
        super().__init__(*args, 0.0, **options)
        self.released = released

    def sureness(self, user: str) -> float:
        return self.released.sure[user]


@cache
def bounds(way: str, seed: int, place: Path, epsilon: float | None = None):
    data = people(600)
    members = coin(data, seed)
    broken = {"whole": {}, "noise off": {"noise": False}, "clipped per batch": {"per_user": False}}[way]
    claimed = card(epsilon=gaussian_epsilon(SIGMA) if epsilon is None else epsilon, delta=DELTA, noise_multiplier=SIGMA)
    target = Toy(Released(data.user_ids, members, seed=seed, **broken), data, members, guarantee=claimed)
    run = a_context(target, place / f"{way}-{seed}", dataset=data, task="score")
    part = LowerBound(neighbours=0, rows=1)
    assert part.lacking(run) is None
    return part.run(run, examples=0).findings


RULE = Rule(metric="privacy.epsilon_lower_bound", value="effect", max=0.0, severity="critical")
"""As the policy holds it: no bound may lie above the card's ε."""


def test_the_toy_is_the_mechanism_it_claims_to_be() -> None:
    assert gaussian_epsilon(1.0) == pytest.approx(4.38, abs=0.01)  # Balle and Wang's tight calibration at σ = 1
    assert 1.9 < gaussian_epsilon(SIGMA) < 2.2


@pytest.mark.parametrize("way", ["noise off", "clipped per batch"])
def test_a_broken_pipeline_is_caught(tmp_path: Path, way: str) -> None:
    findings = bounds(way, 0, tmp_path)
    one_run = next(f for f in findings if f.params["method"] == "one-run")
    assert one_run.estimate > gaussian_epsilon(SIGMA)
    assert one_run.effect > 0
    assert one_run.p_adjusted < 0.05
    assert one_run.note.startswith("the DP pipeline is broken")
    assert RULE.judge(one_run).verdict == "fail"
    two = next(f for f in findings if f.params["method"] == "two-hypothesis")
    assert RULE.judge(two).verdict == "fail"


def test_a_whole_pipeline_passes(tmp_path: Path) -> None:
    """Three trainings, two bounds each: with the error of a twentieth per training, one may be wrong by chance."""
    wrong = 0
    for seed in range(3):
        findings = bounds("whole", seed, tmp_path)
        assert len(findings) == 2
        wrong += any(f.effect > 0 for f in findings)
        for finding in findings:
            if finding.effect <= 0:
                assert "no violation seen, which does not prove" in finding.note
                assert RULE.judge(finding).verdict == "pass"
    assert wrong <= 1


def test_a_ceiling_below_the_claim_is_said(tmp_path: Path) -> None:
    """However broken, 500 users cannot contradict ε = 8."""
    for finding in bounds("noise off", 0, tmp_path, epsilon=8.0):
        assert finding.effect < 0
        assert "this many could not contradict the claim" in finding.note


def run_with(folder: Path, guarantee: Guarantee | None, members: Members | None = None, strength: float = 3.0):
    data = people()
    target = Remembers(data, members or coin(data), strength, guarantee=guarantee)
    return a_context(target, folder, dataset=data, task="score")


def test_a_card_for_rows_is_held_to_what_it_means_for_users(tmp_path: Path) -> None:
    """The coin was thrown for users: ε = .2 a row is 1.6 for users of eight rows, which a strong memory contradicts."""
    rows = card(unit="example", epsilon=0.2, delta=1e-9, cap=8, group=8)
    findings = LowerBound(neighbours=0).run(run_with(tmp_path, rows), examples=0).findings
    one_run = next(f for f in findings if f.params["method"] == "one-run")
    assert one_run.floor == pytest.approx(8 * 0.2)
    assert "0.2 for a single row, which is 1.6 for users' 8" in one_run.note
    assert one_run.effect > 0


@pytest.mark.parametrize(
    ("guarantee", "said"),
    [
        (None, "no card whose"),
        (card(void=("sampling was not Poisson",)), "void"),
        (card(unit="example", epsilon=4.0, delta=1e-3, cap=20), "promises nothing to users of 20 rows"),
    ],
)
def test_without_a_promise_there_is_a_bound_and_nothing_to_contradict(tmp_path: Path, guarantee, said) -> None:
    for finding in LowerBound(neighbours=0).run(run_with(tmp_path, guarantee), examples=0).findings:
        assert finding.estimate > 0
        assert (finding.effect, finding.floor, finding.p) == (None, None, None)
        assert said in finding.note
        assert RULE.judge(finding).verdict is None or not RULE.fits(finding)


def test_a_split_that_no_fair_coin_made_has_no_one_run_bound(tmp_path: Path) -> None:
    data = people()
    few = frozenset(data.user_ids[::5])
    run = run_with(tmp_path, card(), Members(few, frozenset(data.user_ids) - few))
    one_run = next(f for f in LowerBound(neighbours=0).run(run, examples=0).findings if f.params["method"] == "one-run")
    assert one_run.verdict == "not_applicable"
    assert "fair coin" in one_run.reason


def test_options_of_the_bound(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="delta"):
        LowerBound(delta=1.0)
    findings = LowerBound(neighbours=0, score="lira").run(run_with(tmp_path, card()), examples=0).findings
    assert "'lira' was not computed" in findings[-1].reason


# The card ----------------------------------------------------------------------------------------------------------


def promise(folder: Path, guarantee, metric: str = "epsilon_claimed", **options):
    part, run = Promise(**options), run_with(folder, guarantee)
    reason = part.lacking(run)
    if reason is not None:
        return reason
    return next(f for f in part.run(run, examples=0).findings if f.metric == metric)


def test_the_card_is_told_unit_first(tmp_path: Path) -> None:
    finding = promise(tmp_path, card(outside=("the catalogue",), trainings=3, accountant="opacus prv 1.6"))
    assert (finding.estimate, finding.n, finding.unit) == (1.0, 120, "user")
    assert finding.params == {"part": "guarantee", "unit": "user"}
    assert finding.note.startswith("hides one user with all their rows, at most 8 rows")
    for part in ("δ = 1e-05", "σ = 1.4", "q = 0.05", "60 steps", "opacus prv 1.6", "3 trainings", "the catalogue"):
        assert part in finding.note
    assert Rule(metric="privacy.epsilon_claimed", where={"unit": "user"}, max=3).judge(finding).verdict == "pass"


def test_a_promise_to_rows_is_never_shown_as_one_to_users(tmp_path: Path) -> None:
    finding = promise(tmp_path, card(unit="example", cap=5, epsilon=1.0, delta=1e-6))
    assert (finding.unit, finding.params["unit"]) == ("example", "example")
    assert "not each user" in finding.title
    # The sheet's figures for k = 5 at ε = 1, δ = 1e-6.
    assert "group privacy leaves ε = 5, δ = 0.00027" in finding.note
    assert not Rule(metric="privacy.epsilon_claimed", where={"unit": "user"}, max=3).fits(finding)
    assert "nothing, for δ would exceed 1" in promise(tmp_path, card(unit="example", cap=20, delta=1e-6)).note


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"void": ("the weights beside the card are not those it was written for",)}, "the weights beside the card"),
        ({"delta": 0.01}, "is not below 1 / 120"),
    ],
)
def test_a_void_guarantee_passes_no_limit(tmp_path: Path, fields, said) -> None:
    finding = promise(tmp_path, card(**fields))
    assert finding.verdict == "not_applicable"
    assert finding.estimate is None
    assert "the guarantee is void" in finding.reason
    assert said in finding.reason
    # A promise that does not hold is worse than none: the policy stops it, whatever else was measured.
    broken = promise(tmp_path / "held", card(**fields), "guarantee_void")
    judged = default_rule("privacy.guarantee_void").judge(broken)
    assert (judged.estimate, judged.verdict, judged.severity) == (1.0, "fail", "critical")
    assert said in broken.facts["flaws"]
    assert broken.facts["hides"].startswith("one user")


def test_a_promise_that_nothing_voids_is_not_stopped(tmp_path: Path) -> None:
    held = promise(tmp_path, card(), "guarantee_void")
    assert default_rule("privacy.guarantee_void").judge(held).verdict == "pass"
    assert not held.facts


def default_rule(metric: str) -> Rule:
    (rule,) = [rule for rule in load("default", Path()).rules if rule.metric == metric]
    return rule


def test_no_card_no_noise_and_no_sense(tmp_path: Path) -> None:
    assert "no guarantee.json" in promise(tmp_path, None)
    assert "promises nothing: ε is infinite (trained without noise)" in promise(
        tmp_path, card(epsilon=math.inf, void=("trained without noise",))
    )
    assert "cannot be" in promise(tmp_path, card(epsilon=-1.0))
    assert "cannot be" in promise(tmp_path, card(epsilon=math.nan))


def test_a_card_beside_the_list_of_members_is_not_taken_for_the_targets_own(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    coin(people()).write(folder)
    card().write(folder)
    finding = promise(tmp_path, None, members=str(folder))
    assert "whether the target has these weights is not known" in finding.note
    (folder / "guarantee.json").write_text("{", encoding="utf-8")
    assert "cannot be read" in promise(tmp_path, None, members=str(folder))


def test_weights_that_were_exchanged_void_the_card(tmp_path: Path) -> None:
    """As targets with adapters read their cards: of other weights a card says nothing."""
    import hashlib

    from audit.targets.promised import promised

    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(b"trained")
    card(weights=hashlib.sha256(b"trained").hexdigest()).write(tmp_path)
    assert promised(tmp_path)[0].holds
    weights.write_bytes(b"trained further")
    finding = promise(tmp_path / "run", promised(tmp_path)[0])
    assert "not those it was written for" in finding.reason
    # Also where the card is only found beside the list of members.
    coin(people()).write(tmp_path)
    assert "not those it was written for" in promise(tmp_path / "other", None, members=str(tmp_path)).reason
    assert json.loads((tmp_path / "guarantee.json").read_text())["void"] == []
    assert replace(card(), void=("x",)).holds is False
