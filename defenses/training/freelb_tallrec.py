"""FreeLB training of the TALLRec reference: more steps of its own loss, with gradients taken along an ascent.

All tokens of a packed prompt are perturbed together: the instruction, the history, and the films asked about. Lengths
are in units of the mean norm of the tokens' embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.data.splits import WindowGroup, window_groups
from audit.errors import ConfigError
from audit.targets.packing import pack
from audit.targets.zoo import tallrec_training
from audit.targets.zoo.adapter import Adapter, writing
from audit.targets.zoo.tallrec_training import Recipe
from defenses.training import freelb
from defenses.training.dpo import report, trainable
from defenses.training.dpo_tallrec import loaded
from defenses.training.freelb import Ascent

if TYPE_CHECKING:
    import torch

    from audit.data.dataset import Dataset
    from audit.targets.lm import CausalLM

ID = "adversarial-training"
_CHECKPOINT_EVERY = 10


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int,
    steps: int = 100,
    start: str | None = None,
    peak: float = 2e-4,
    ascents: int = 3,
    rate: float = 0.5,
    noise: float = 0.5,
    norm: float = 1.0,
    progress: Callable[[int, int, float], None] | None = None,
    recipe: Recipe | None = None,
    model: CausalLM | None = None,
) -> dict[str, Any]:
    """Harden an adapter by some more steps along the ascent, resumable, and write it to `out`.

    Args:
        dataset: with ratings and times; its training part is used.
        out: folder for checkpoints and the finished adapter.
        seed: of the order of the examples and the perturbations.
        steps: in all.
        start: folder of the adapter to harden; None for the shipped one.
        peak: highest learning rate.
        ascents: K, passes per step.
        rate: length of a step of the ascent, in mean norms of a token's embedding.
        noise: size of the first perturbation, in the same unit.
        norm: radius of the ball, in the same unit.
        progress: called after each step with (step, steps, loss).
        recipe: of the plain training, whose loss and batches these are; None for its defaults.
        model: the target's model, which is changed; None loads it.

    Returns:
        `steps`, `groups`, mean `loss` along the ascent of the last 25 steps, and `seconds` over all sittings.

    Raises:
        ConfigError: an option out of range, or nothing to train on.
        TargetError: the adapter cannot be read, or `out` cannot be written or holds another training.
    """
    import torch

    ascent = Ascent(ascents, rate, noise, norm)
    recipe = recipe or Recipe()
    groups = window_groups(dataset, "train", history=recipe.history, targets=recipe.targets)
    if steps < 1 or not groups or not 0 < peak < 1:
        raise ConfigError(
            f"train tallrec: {steps} steps at the rate {peak} over {len(groups)} groups of {dataset.name}: steps must "
            "be at least 1, peak between 0 and 1, and the data hold ratings enough for a training part"
        )
    lm = trainable(model or loaded(start))
    settings = {"defense": ID, "ascent": asdict(ascent), "recipe": asdict(recipe), "peak": peak, "base": lm.identity}
    plan = {**settings, "seed": seed, "steps": steps, "dataset": dataset.digest}
    adapter = Adapter(lm, clip=recipe.clip)
    with writing(out), torch.random.fork_rng(devices=[]):
        out.mkdir(parents=True, exist_ok=True)
        done, history, seconds = adapter.restore(out, plan)
        for step in range(done, steps):
            started = time.monotonic()
            # By step, not one running state: a resumed training draws the same perturbations.
            torch.manual_seed(seed * 100_003 + step)
            chosen = tallrec_training.order(len(groups), recipe.groups, seed, step)
            loss = _backward(lm, [groups[i] for i in chosen], recipe, ascent)
            adapter.descend([_taken(adapter.parameters)], peak * (steps - step) / steps)
            seconds += time.monotonic() - started
            history.append(loss)
            if progress is not None:
                progress(step + 1, steps, loss)
            if (step + 1) % _CHECKPOINT_EVERY == 0 or step + 1 == steps:
                adapter.save(out, plan, step + 1, history, seconds)
        adapter.export(out)
        metrics = {
            "steps": steps,
            "groups": steps * recipe.groups,
            "loss": float(np.mean(history[-25:])),
            "seconds": round(seconds),
        }
        report(out, plan, metrics)
    return metrics


def _backward(lm: CausalLM, groups: Sequence[WindowGroup], recipe: Recipe, ascent: Ascent) -> float:
    """Gradients of the plain training's loss along an ascent; one packed group is one example."""
    import torch

    coded = tallrec_training.encode(lm, groups)
    packed = pack(coded, pad=lm.pad, dtype=lm.dtype)
    mask = torch.zeros(packed.input_ids.shape, dtype=torch.bool)
    for row, group in enumerate(coded):
        mask[row, : len(group)] = True
    embedded = lm.embed(packed.input_ids).detach()
    unit = float(embedded.float().norm(dim=-1)[mask].mean())
    yes, no = tallrec_training.answer_tokens(lm)
    shares = tallrec_training.shares([g.labels for g in groups], recipe.pairwise)

    def loss(shifts: freelb.Shifts) -> torch.Tensor:
        logits = lm.logits_of(packed, embedded + shifts[0].to(embedded.dtype)).float()
        scores = torch.split(logits[:, yes] - logits[:, no], [len(g.labels) for g in groups])
        parts = [
            tallrec_training.group_loss(own, g.labels, *share)
            for own, g, share in zip(scores, groups, shares, strict=True)
        ]
        return torch.stack(parts).sum()

    return freelb.backward(loss, [mask], embedded.shape[-1], ascent.scaled(unit))


def _taken(parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The gradients that were added up, which are then gone."""
    taken = []
    for parameter in parameters:
        if parameter.grad is None:
            raise RuntimeError("an adapter parameter has no part in the loss")
        taken.append(parameter.grad)
        parameter.grad = None
    return taken
