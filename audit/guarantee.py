"""What a differentially private training promises, and who was in it: files beside the weights.

`guarantee.json` is the card of the guarantee; reports and policies read it. `members.json` says which units were
trained on and which were held out for the audit; it is private, and stays with who trained.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from audit.errors import TargetError

Unit = Literal["user", "example"]
"""Whose presence is hidden: a user with all their rows, or a single row."""

CARD = "guarantee.json"
MEMBERS = "members.json"


@dataclass(frozen=True)
class Guarantee:
    """(ε, δ) of one training, and all that it rests on.

    Attributes:
        unit: whose presence is hidden.
        cap: the most rows of one unit that were used.
        epsilon: the larger of what was aimed at and what the accountant says of the steps that were run.
        delta: δ.
        epsilon_by: ε of the steps that were run, by accountant (`prv`, `rdp`).
        target_epsilon: what was aimed at; infinity for a training without noise.
        noise_multiplier: σ, in units of the clipping norm.
        clip: C, the largest norm of one unit's gradient.
        sample_rate: q, chance of a unit to be in a step.
        steps: that were run, empty batches included.
        expected_batch: units per step on average.
        units: how many there are.
        sampling: `poisson`, or anything else, which voids the guarantee.
        adjacency: what two neighbouring data sets differ in.
        group: rows per user that group privacy was accounted for; 1 where the unit is what was clipped.
        accountant: which, with its version.
        trainable: parameters that were trained.
        parameters: of the whole model.
        base: identity of the model the training began with.
        weights: SHA-256 of the file of weights the card is about.
        outside: what the guarantee does not cover, in phrases.
        trainings: how many trainings on the same people this one is, searches for settings included; they compose.
        void: why there is no guarantee after all, in phrases; empty where there is one.
    """

    unit: Unit
    cap: int
    epsilon: float
    delta: float
    epsilon_by: Mapping[str, float]
    target_epsilon: float
    noise_multiplier: float
    clip: float
    sample_rate: float
    steps: int
    expected_batch: float
    units: int
    sampling: str = "poisson"
    adjacency: str = "add or remove one unit"
    group: int = 1
    accountant: str = ""
    trainable: int = 0
    parameters: int = 0
    base: str = ""
    weights: str = ""
    outside: tuple[str, ...] = ()
    trainings: int = 1
    void: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether there is a guarantee at all."""
        return not self.void and math.isfinite(self.epsilon)

    def write(self, folder: Path) -> None:
        """Write the card beside the weights."""
        told = {name: None if value == math.inf else value for name, value in asdict(self).items()}
        (folder / CARD).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Guarantee | None:
        """The card of a folder of weights; None where there is none.

        Raises:
            TargetError: there is one that cannot be read.
        """
        told = _json(folder / CARD)
        if told is None:
            return None
        known = {f.name for f in fields(cls)}
        if missing := {"unit", "epsilon", "delta", "noise_multiplier", "sample_rate", "steps"} - set(told):
            raise TargetError(f"{folder / CARD}: {', '.join(sorted(missing))} missing; train again to have it written")
        values: dict[str, Any] = {name: value for name, value in told.items() if name in known}
        try:
            for name in ("epsilon", "target_epsilon"):
                values[name] = math.inf if values.get(name) is None else values[name]
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = f"cannot be read as a guarantee: {where}: {first['msg']}; train again to have it written"
            raise TargetError(f"{folder / CARD}: {said}") from error


@dataclass(frozen=True)
class Members:
    """Who was trained on, and who of the same people was left out by a coin before training.

    Attributes:
        inside: ids of users that were trained on.
        outside: ids of users that could have been.
        canaries: secrets that were planted in training, by group: `inside` (with how often), `outside` (never).
    """

    inside: frozenset[str]
    outside: frozenset[str]
    canaries: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it beside the weights."""
        told = {"inside": sorted(self.inside), "outside": sorted(self.outside), "canaries": dict(self.canaries)}
        (folder / MEMBERS).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, place: Path) -> Members | None:
        """Of a folder of weights, or of such a file itself; None where there is none.

        Raises:
            TargetError: it cannot be read, or names a user twice.
        """
        path = place / MEMBERS if place.is_dir() else place
        told = _json(path)
        if told is None:
            return None
        lists = [told.get("inside"), told.get("outside")]
        if not all(isinstance(ids, list) and all(isinstance(one, str) for one in ids) for ids in lists):
            raise TargetError(f"{path}: inside and outside must be lists of user ids, as strings")
        inside, outside = (frozenset(ids) for ids in lists if ids is not None)
        if both := inside & outside:
            raise TargetError(f"{path}: {len(both)} users, such as {min(both)!r}, are both inside and outside")
        canaries = told.get("canaries") or {}
        if not isinstance(canaries, dict):
            raise TargetError(
                f"{path}: canaries must map groups to what was planted, not be a {type(canaries).__name__}"
            )
        return cls(inside, outside, canaries)


@runtime_checkable
class Promises(Protocol):
    """A target that was trained with a guarantee, or whose owner says who was trained on."""

    @property
    def guarantee(self) -> Guarantee | None:
        """The card; None where none was given."""
        ...

    @property
    def members(self) -> Members | None:
        """Who was trained on; None where it is not known."""
        ...


def _json(path: Path) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise TargetError(f"{path}: cannot be read: {error}") from error
    if not isinstance(read, dict):
        raise TargetError(f"{path}: must hold one JSON object")
    return read
