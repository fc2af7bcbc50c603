"""The terms of a private training, settled before its first step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from audit.errors import ConfigError
from audit.guarantee import Guarantee, Unit
from defenses.dp.accounting import Account, Accountant, calibrate, check_delta, group_privacy, named

ALWAYS_OUTSIDE = (
    "what the base model had read before",
    "what other people's rows say about a person",
    "the number of units, which counts as public",
    "settings that were chosen by looking at the same people",
    "the rounding of floating-point numbers (secure_mode off)",
)


@dataclass(frozen=True)
class Terms:
    """What is promised, and what has to be done for it.

    Attributes:
        unit: whose presence is hidden.
        units: how many there are.
        rows: the most rows of one user that are used.
        epsilon: target; infinity for a training without noise, for comparison.
        delta: δ.
        batch: units per step on average.
        steps: of the training.
        noise: σ.
        clip: C.
        trainings: how many trainings on the same people this one is.
        accountant: that σ was found with.

    Raises:
        ConfigError: a value out of range, or one that would void the guarantee.
    """

    unit: Unit
    units: int
    rows: int
    epsilon: float
    delta: float
    batch: int
    steps: int
    noise: float
    clip: float = 0.5
    trainings: int = 1
    accountant: Accountant = "prv"

    def __post_init__(self) -> None:
        for name, fine, rule in (
            ("unit", self.unit in ("user", "example"), "user or example"),
            ("epsilon", self.epsilon > 0, "positive; .inf trains without noise, for comparison"),
            ("rows", self.rows >= 1, "at least 1"),
            ("batch", self.batch >= 1, "at least 1"),
            ("steps", self.steps >= 1, "at least 1"),
            ("clip", 0 < self.clip < math.inf, "a positive number"),
            ("trainings", self.trainings >= 1, "at least 1; this training counts"),
        ):
            if not fine:
                raise ConfigError(f"dp.{name}: {getattr(self, name)!r} must be {rule}")
        if self.units < 1:
            raise ConfigError("dp: there is nobody to train on; give more data, or a larger share")
        if self.batch > self.units:
            raise ConfigError(
                f"dp.batch: {self.batch} is more than the {self.units} units there are; take a smaller batch, for with "
                "everybody in every step nothing is gained by sampling"
            )
        check_delta(self.delta, self.units)

    @classmethod
    def settle(
        cls,
        *,
        unit: Unit,
        units: int,
        rows: int,
        epsilon: float,
        delta: float | None,
        batch: int,
        steps: int,
        clip: float,
        trainings: int = 1,
        accountant: Accountant = "prv",
        sampling: str = "poisson",
    ) -> Terms:
        """Find the noise that the promise needs; a δ of None is 1 / (10 units).

        Raises:
            ConfigError: see the class; also for batches that are not drawn as the accountant thinks.
        """
        if sampling != "poisson":
            raise ConfigError(
                f"dp.sampling: {sampling!r} must be 'poisson'; the accountant takes each unit to be in each step by a "
                "coin of its own, and for shuffled batches of fixed size its ε is not valid"
            )
        given = 1 / (10 * max(units, 1)) if delta is None else delta
        values: dict[str, Any] = {
            "unit": unit,
            "units": units,
            "rows": rows,
            "epsilon": epsilon,
            "delta": given,
            "batch": batch,
            "steps": steps,
            "clip": clip,
            "trainings": trainings,
            "accountant": accountant,
        }
        checked = cls(noise=0.0, **values)
        noise = calibrate(epsilon=epsilon, delta=given, rate=checked.rate, steps=steps, accountant=accountant)
        return cls(noise=noise, **values)

    @property
    def rate(self) -> float:
        """q, chance of each unit to be in a step."""
        return self.batch / self.units

    def card(
        self,
        done: int,
        *,
        trainable: int = 0,
        parameters: int = 0,
        base: str = "",
        weights: str = "",
        outside: Sequence[str] = (),
        void: Sequence[str] = (),
    ) -> Guarantee:
        """The card, with ε of the steps that were run: of the accountant that σ was found with, or the target.

        The larger of the two stands on the card, so a training cannot promise less than it did by being stopped.
        """
        by = Account(self.noise, self.rate, done).epsilons(self.delta)
        flaws = list(void)
        if not self.noise:
            flaws.append("trained without noise")
        beyond = [*ALWAYS_OUTSIDE, *outside]
        group = 1
        if self.unit == "example":
            group = self.rows
            if math.isfinite(self.epsilon):
                epsilon, delta = group_privacy(max(self.epsilon, by[self.accountant]), self.delta, group)
                beyond.append(
                    f"a person with {group} rows: for them it is ({epsilon:.3g}, {delta:.2g}), "
                    + ("which is no guarantee" if delta >= 1 / self.units else "by group privacy")
                )
        return Guarantee(
            unit=self.unit,
            cap=self.rows,
            epsilon=max(self.epsilon, by[self.accountant]),
            delta=self.delta,
            epsilon_by=by,
            target_epsilon=self.epsilon,
            noise_multiplier=self.noise,
            clip=self.clip,
            sample_rate=self.rate,
            steps=done,
            expected_batch=float(self.batch),
            units=self.units,
            sampling="poisson",
            adjacency=f"add or remove one {self.unit}",
            group=group,
            accountant=named(self.accountant),
            trainable=trainable,
            parameters=parameters,
            base=base,
            weights=weights,
            outside=tuple(beyond),
            trainings=self.trainings,
            void=tuple(flaws),
        )


Mode = Literal["hooks", "functorch", "ghost"]
"""How per-sample gradients are found; `ghost` finds their lengths alone."""
