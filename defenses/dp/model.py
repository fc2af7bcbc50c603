"""Private training of any causal or encoder-decoder Hugging Face model with LoRA."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.errors import ConfigError
from audit.guarantee import Unit
from audit.targets.language_model import LanguageModel
from audit.targets.weights import Model
from audit.targets.zoo.adapter import writing
from defenses.dp import loop
from defenses.dp.accounting import Accountant
from defenses.dp.ghost import GhostRows
from defenses.dp.gradients import Row, Rows
from defenses.dp.release import WEIGHTS, conclude, members
from defenses.dp.secret import Secret
from defenses.dp.terms import Mode, Terms


def train(
    base: LanguageModel,
    users: Mapping[str, Sequence[Row]],
    *,
    out: Path,
    seed: int = 0,
    epsilon: float = 8.0,
    delta: float | None = None,
    unit: Unit = "user",
    steps: int | None = None,
    epochs: float = 3.0,
    batch: int = 32,
    rows: int = 1,
    clip: float = 0.5,
    share: float = 0.5,
    split: str | None = None,
    trainings: int = 1,
    accountant: Accountant = "prv",
    sampling: str = "poisson",
    peak: float = 1e-3,
    rank: int = 8,
    alpha: int = 16,
    modules: Sequence[str] | str = "all-linear",
    mode: Mode = "hooks",
    physical: int = 8,
    checkpoint_every: int = 5,
    progress: loop.Progress | None = None,
    secret: Secret | None = None,
    planted: Mapping[str, Sequence[Row]] | None = None,
    canaries: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train an adapter with (ε, δ)-differential privacy; it, its card and its members are written to `out`.

    Args:
        base: causal or encoder-decoder model, which is changed: it ends with the adapter on it.
        users: the rows of each user, oldest first; the order of the users must be the same in every sitting.
        out: folder; a training that was killed goes on from its last checkpoint there.
        seed: of the initial adapter, which is public.
        epsilon: ε; infinity trains without noise.
        delta: δ; None for 1 / (10 units).
        unit: `user`, or `example`, which protects one row and not the person.
        steps: of the training; None for as many as `epochs` give.
        epochs: how often a unit is used on average.
        batch: units per step on average.
        rows: the most rows of one user, their latest; further ones are left out.
        clip: C, the largest norm of a unit's gradient.
        share: chance of a user to be trained on; the others are left out for the audit.
        split: file or folder with the `members.json` of another training, to split as it did.
        trainings: how many trainings on the same people this one is.
        accountant: `prv` or `rdp`.
        sampling: `poisson`; anything else is refused.
        peak: learning rate.
        rank: of LoRA.
        alpha: LoRA's scale is alpha / rank.
        modules: names of the layers with an adapter, or `all-linear`.
        mode: how per-sample gradients are found, which changes memory and time, never the result; `ghost` finds
            their lengths alone, and needs one row per unit.
        physical: the most rows in one pass; it changes memory, never the result.
        checkpoint_every: steps between checkpoints.
        progress: called after each step with (step, steps, loss); the loss is private.
        secret: a known one, for tests: there is no guarantee then.
        planted: further units, whatever the coin says: canaries, see `audit.data.canaries.canary_texts`.
        canaries: what was planted, for `members.json`.

    Returns:
        As `defenses.dp.tallrec.train`.

    Raises:
        ConfigError: a value that is out of range or would void the guarantee.
        TargetError: `out` holds a training with other settings, or cannot be written.
    """
    if rows < 1:
        raise ConfigError(f"dp.rows: {rows!r} must be at least 1")
    if not peak > 0:
        raise ConfigError(f"dp.peak: {peak!r} must be positive")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        loop.refuse_finished(out)
        secret = secret or Secret.kept(out)
        kept = {user: list(theirs)[-rows:] for user, theirs in users.items() if theirs}
        who = members(list(kept), secret=secret, share=share, given=split)
        if canaries is not None:
            who = replace(who, canaries=canaries)
        units = [theirs for user, theirs in kept.items() if user in who.inside]
        units += [list(theirs)[-rows:] for theirs in (planted or {}).values() if theirs]
        if unit == "example":
            units = [[row] for theirs in units for row in theirs]
        terms = Terms.settle(
            unit=unit,
            units=len(units),
            rows=rows,
            epsilon=epsilon,
            delta=delta,
            batch=batch,
            steps=steps if steps is not None else max(round(epochs * len(units) / batch), 1),
            clip=clip,
            trainings=trainings,
            accountant=accountant,
            sampling=sampling,
        )
        model = adapted(base.model, rank=rank, alpha=alpha, modules=modules, seed=seed)
        source = (
            GhostRows(model, units, pad=base.pad, physical=physical)
            if mode == "ghost"
            else Rows(model, units, pad=base.pad, mode=mode, physical=physical)
        )
        lora = {"rank": rank, "alpha": alpha, "modules": modules if isinstance(modules, str) else list(modules)}
        plan = {"lora": lora, "peak": peak, "seed": seed, "base": base.identity}
        if not loop.checkpoints(out):
            # A command that goes on from a checkpoint with other settings is refused below, and leaves the list alone.
            who.write(out)
        started = time.monotonic()
        try:
            history = loop.run(
                source,
                terms,
                out=out,
                plan=plan | {"members": _digest(units)},
                secret=secret,
                rate=lambda _: peak,
                progress=progress,
                checkpoint_every=checkpoint_every,
            )
        finally:
            source.close()
        _export(model, out)
        metrics = conclude(
            out,
            terms,
            model=model,
            parameters=source.parameters,
            plan=plan,
            secret=secret,
            base=base.identity,
            seconds=time.monotonic() - started,
        )
    return metrics | {"loss": float(np.mean(history[-5:]))}


def adapted(model: Model, *, rank: int, alpha: int, modules: Sequence[str] | str, seed: int) -> Model:
    """The model under a fresh adapter that a seed decides: A uniform as in a linear layer, B zero."""
    import torch
    from peft import LoraConfig, get_peft_model

    kind = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    chosen = modules if isinstance(modules, str) else list(modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=chosen, task_type=kind)
    wrapped = get_peft_model(model, config)
    rng = np.random.default_rng([seed, 0, 0])
    with torch.no_grad():
        for name, parameter in sorted((n, p) for n, p in wrapped.named_parameters() if p.requires_grad):
            bound = float(parameter.shape[1] ** -0.5) if "lora_A" in name else 0.0
            parameter.copy_(torch.tensor(rng.uniform(-bound, bound, tuple(parameter.shape))))
    return wrapped


def _export(model: Model, out: Path) -> None:
    partial = out / ".adapter.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, safe_serialization=True, save_embedding_layers=False)
    for name in ("adapter_config.json", WEIGHTS):
        (partial / name).replace(out / name)
    shutil.rmtree(partial)


def _digest(units: Sequence[Sequence[Row]]) -> str:
    told = [[[list(row.prompt), list(row.answer)] for row in unit] for unit in units]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
