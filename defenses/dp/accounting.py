"""What a training of noisy steps costs, by the accountants of opacus, and what it would cost before it is run.

The state of an account is three numbers (σ, q, steps), for all steps are alike. So a training that was killed resumes
its account by knowing how many steps it has done, and loses none and counts none twice.

Sources: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016 (DP-SGD); Mironov 2017 (RDP); Gopi, Lee and
Wutschitz, "Numerical Composition of Differential Privacy", NeurIPS 2021 (PRV).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal

from audit.errors import ConfigError

Accountant = Literal["prv", "rdp"]
ACCOUNTANTS: tuple[Accountant, ...] = ("prv", "rdp")
"""`prv` is tight and numeric, `rdp` looser and quick. The Gaussian approximation (`gdp`) is no bound, so not here."""

MOST = 100.0
"""ε above which the numeric accountant overflows; e to that power bounds nothing anyway."""

TOLERANCE = 0.01
"""How far below the target ε a calibrated training may stay."""


@dataclass(frozen=True)
class Account:
    """Steps of the subsampled Gaussian mechanism.

    Attributes:
        noise: σ, standard deviation of the noise in units of the clipping norm; 0 is no noise, and no privacy.
        rate: q, chance of each unit to be in a step, independently of all others.
        steps: that were run, those with an empty batch included.

    Raises:
        ConfigError: a number out of range.
    """

    noise: float
    rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (0 <= self.noise < math.inf):
            raise ConfigError(f"dp.noise: {self.noise!r} must be a finite number, at least 0")
        if not (0 < self.rate <= 1):
            raise ConfigError(f"dp.rate: {self.rate!r} must be above 0 and at most 1; it is batch / units")
        if self.steps < 0:
            raise ConfigError(f"dp.steps: {self.steps!r} must be at least 0")

    def epsilon(self, delta: float, accountant: Accountant = "prv") -> float:
        """ε at δ by one accountant; infinity without noise, 0 before the first step.

        Raises:
            ConfigError: δ out of range, or an accountant there is none of.
        """
        check_delta(delta)
        if accountant not in ACCOUNTANTS:
            raise ConfigError(f"dp.accountant: {accountant!r} must be one of {', '.join(ACCOUNTANTS)}")
        if self.steps == 0:
            return 0.0
        if self.noise == 0:
            return math.inf
        return _epsilon(self.noise, self.rate, self.steps, delta, accountant)

    def epsilons(self, delta: float) -> dict[str, float]:
        """ε at δ by every accountant."""
        return {name: self.epsilon(delta, name) for name in ACCOUNTANTS}


def calibrate(
    *,
    epsilon: float,
    delta: float,
    rate: float,
    steps: int,
    accountant: Accountant = "prv",
    tolerance: float = TOLERANCE,
) -> float:
    """The least σ, up to a tolerance, with which some steps cost at most ε at δ.

    Args:
        epsilon: target; infinity for a training without noise.
        delta: δ.
        rate: q.
        steps: to be run.
        accountant: `prv` or `rdp`.
        tolerance: how far below the target the training may stay.

    Returns:
        σ; 0 for an infinite ε.

    Raises:
        ConfigError: an argument out of range, or an ε that no noise can reach.
    """
    if not epsilon > 0:
        raise ConfigError(f"dp.epsilon: {epsilon!r} must be positive; .inf trains without noise, for comparison")
    if MOST < epsilon < math.inf:
        raise ConfigError(
            f"dp.epsilon: {epsilon!r} promises nothing, and above {MOST:g} the accountants are not exact; take "
            "less, or .inf to train without noise, for comparison"
        )
    check_delta(delta)
    if steps < 1:
        raise ConfigError(f"dp.steps: {steps!r} must be at least 1")
    if math.isinf(epsilon):
        return 0.0
    try:
        return _calibrated(epsilon, delta, Account(0.0, rate, steps), accountant, tolerance)
    except ValueError as error:
        raise ConfigError(
            f"dp.epsilon: {epsilon!r} cannot be kept over {steps} steps at rate {rate:.3g} ({error}); train fewer "
            "steps, or ask for a larger ε"
        ) from None


def group_privacy(epsilon: float, delta: float, size: int) -> tuple[float, float]:
    """What (ε, δ) per row is worth to a group of rows: (kε, k·e^((k-1)ε)·δ), with δ at most 1.

    A δ of 1 says that there is no guarantee left. Source: Dwork and Roth 2014, theorem 2.2, with the δ of Vadhan 2017,
    lemma 2.2.

    Raises:
        ConfigError: an empty group.
    """
    if size < 1:
        raise ConfigError(f"dp.group: {size!r} must be at least 1")
    log = math.log(size) + (size - 1) * epsilon + math.log(delta)
    return size * epsilon, math.exp(min(log, 0.0))


def check_delta(delta: float, units: int | None = None) -> None:
    """Raise ConfigError unless δ is a chance, and smaller than 1 / units where their number is given."""
    if not 0 < delta < 1:
        raise ConfigError(f"dp.delta: {delta!r} must be between 0 and 1, and well below 1 / units")
    if units is not None and delta >= 1 / units:
        raise ConfigError(
            f"dp.delta: {delta!r} is not below 1/{units}: giving away one of the {units} units whole would be allowed; "
            f"take 1/(10 units) = {1 / (10 * units):.2g} or less"
        )


def named(accountant: Accountant) -> str:
    """The accountant with its version, for the card."""
    from importlib.metadata import version

    return f"opacus {version('opacus')} {accountant}"


@contextmanager
def _no_advice() -> Iterator[None]:
    """Without the advice of opacus on Rényi orders at the edge of its list: there the bound is looser, never wrong."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the (largest|smallest) alpha")
        yield


# Seconds each, and asked again by every sitting and every card of a comparison.
@cache
def _calibrated(epsilon: float, delta: float, run: Account, accountant: Accountant, tolerance: float) -> float:
    from opacus.accountants.utils import get_noise_multiplier

    # The search ends within an absolute distance, which a small target would swallow.
    exact = {"eps_error": min(0.01, epsilon / 100)} if accountant == "prv" else {}
    with _no_advice():
        found: float = get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=run.rate,
            steps=run.steps,
            accountant=accountant,
            epsilon_tolerance=min(tolerance, epsilon / 100),
            **exact,
        )
    return found


@cache
def _epsilon(noise: float, rate: float, steps: int, delta: float, accountant: Accountant) -> float:
    from opacus.accountants import create_accountant

    account = create_accountant(mechanism=accountant)
    account.history = [(noise, rate, steps)]
    with _no_advice():
        return float(account.get_epsilon(delta=delta))
