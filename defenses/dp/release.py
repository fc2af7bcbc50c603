"""The two ends of a private training: who is in it, and what is written when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import ConfigError, TargetError
from audit.guarantee import CARD, Guarantee, Members
from audit.targets.weights import Model
from defenses.dp import loop
from defenses.dp.secret import Secret, forget
from defenses.dp.terms import Terms

if TYPE_CHECKING:
    import torch

WEIGHTS = "adapter_model.safetensors"


def members(everyone: Sequence[str], *, secret: Secret, share: float, given: str | None) -> Members:
    """Who is trained on and who is left out: by coins of this training, or as another had it, with its canaries.

    Raises:
        ConfigError: `given` is no list of members, or one of other people.
    """
    if given is None:
        inside, outside = secret.split(everyone, share)
        return Members(frozenset(inside), frozenset(outside))
    read = Members.read(Path(given))
    if read is None:
        raise ConfigError(
            f"dp.members: {given!r} is no members.json and no folder with one; leave it out for a new split"
        )
    if unknown := len((read.inside | read.outside) - set(everyone)):
        raise ConfigError(
            f"dp.members: {unknown} users of {given!r} have nothing to train on in this dataset; train on the dataset "
            "that the split was made for"
        )
    return read


def conclude(
    out: Path,
    terms: Terms,
    *,
    model: Model,
    parameters: Mapping[str, torch.Tensor],
    plan: Mapping[str, Any],
    secret: Secret,
    base: str,
    seconds: float,
    outside: Sequence[str] = (),
) -> dict[str, Any]:
    """Check the adapter in `out`, write its card and `training.json`, and delete what is private.

    Killed anywhere in here, a training begins again behind its last step and ends the same.

    Returns:
        The numbers that a command prints.

    Raises:
        TargetError: the file of weights does not hold what was trained.
    """
    check_weights(model, out / WEIGHTS)
    card = terms.card(
        terms.steps,
        trainable=sum(p.numel() for p in parameters.values()),
        parameters=sum(p.numel() for p in model.parameters()),
        base=base,
        weights=hashlib.sha256((out / WEIGHTS).read_bytes()).hexdigest(),
        outside=outside,
        void=["the secret of noise and sampling is known"] if secret.known else [],
    )
    metrics = _summary(card, seconds)
    report = json.dumps({"plan": plan, "guarantee": CARD, "metrics": metrics}, indent=2, default=str) + "\n"
    (out / "training.json").write_text(report, encoding="utf-8")
    card.write(out)
    loop.clear(out)
    forget(out)
    return metrics


def check_weights(model: Model, path: Path) -> None:
    """Raise TargetError unless a file holds the adapter of a model, up to its rounding."""
    import torch
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import load_file

    live = get_peft_model_state_dict(model, save_embedding_layers=False)
    written = load_file(path)
    same = set(live) == set(written) and all(
        torch.equal(live[name].detach().to(tensor.dtype), tensor) for name, tensor in written.items()
    )
    if not same:
        raise TargetError(f"train: {path} does not hold the adapter that was trained; start the command again")


def _summary(card: Guarantee, seconds: float) -> dict[str, Any]:
    return {
        "epsilon": card.epsilon,
        **{f"epsilon_{name}": value for name, value in card.epsilon_by.items()},
        "delta": card.delta,
        "noise": card.noise_multiplier,
        "units": card.units,
        "steps": card.steps,
        "seconds": round(seconds),
    }
