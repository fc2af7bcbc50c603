"""Training of the TALLRec reference: LoRA on SmolLM2 with packed targets, resumable at any moment.

Departures from the published recipe, and why: LoRA on all linear layers of the body instead of q and v (the base is 50
times smaller); up to sixteen targets share one history (six times cheaper); no dropout (a resumed training must equal
an unbroken one); and a pairwise term. Binary cross-entropy is lowered most cheaply by learning how often a user says
yes, which leaves the order of the films to chance: UAUC stays near .5 while the pooled AUC looks fine. The pairwise
term compares liked and disliked targets of the same user, where the user's rate cancels.

The order of the examples is a function of seed and step, so a killed training goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.data.splits import WindowGroup, window_groups
from audit.errors import TargetError
from audit.targets.packing import Group
from audit.targets.zoo import tallrec
from audit.targets.zoo.adapter import Adapter, writing

if TYPE_CHECKING:
    import torch

    from audit.data.dataset import Dataset
    from audit.targets.lm import CausalLM

Progress = Callable[[int, int, float], None]
"""Called after each step with (step, steps, loss)."""


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters.

    Attributes:
        rank: of LoRA.
        alpha: LoRA's scale is alpha / rank.
        peak: highest learning rate.
        warmup: steps of linear warm-up.
        floor: share of `peak` that the linear decay ends at.
        groups: histories per step; four with sixteen targets are a batch of 64.
        targets: the most targets behind one history.
        history: events in a history.
        pairwise: weight of the pairwise term beside the cross-entropy.
        clip: largest norm of the gradient.
    """

    rank: int = 8
    alpha: int = 16
    peak: float = 8e-4
    warmup: int = 20
    floor: float = 0.05
    groups: int = 4
    targets: int = 16
    history: int = 10
    pairwise: float = 0.5
    clip: float = 1.0

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        share = (step - self.warmup) / max(steps - self.warmup, 1)
        return self.peak * (1 - (1 - self.floor) * share)


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int = 0,
    steps: int = 500,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    checkpoint_every: int = 25,
    workers: int = 2,
    base: CausalLM | None = None,
) -> dict[str, Any]:
    """Train the adapter and write it to `out`; goes on from the last checkpoint in `out` if there is one.

    Args:
        dataset: with ratings and times; its training part is used.
        out: folder for checkpoints and the finished adapter (`adapter_model.safetensors`, `adapter_config.json`).
        seed: of the initial adapter and the order of the examples.
        steps: to train in all; the learning rate is annealed over them.
        recipe: hyper-parameters.
        progress: called after each step.
        checkpoint_every: steps between checkpoints.
        workers: threads, each with a group of its own; the result does not depend on their number.
        base: the model to adapt, which is changed; None loads SmolLM2.

    Returns:
        What was done: steps, examples, mean loss of the last 25 steps, seconds of training over all sittings.

    Raises:
        TargetError: `out` holds checkpoints of another recipe, seed, data set or number of steps, or cannot be written.
    """
    import torch

    recipe = recipe or Recipe()
    if base is None:
        from audit.targets import weights
        from audit.targets.lm import CausalLM
        from audit.targets.zoo import smollm2

        base = CausalLM.of(weights.load(smollm2.folder()))
    plan = {"recipe": asdict(recipe), "seed": seed, "steps": steps, "dataset": dataset.digest, "base": base.identity}
    groups = window_groups(dataset, "train", history=recipe.history, targets=recipe.targets)
    if not groups or steps < 1:
        raise TargetError(f"tallrec: {steps} steps over {len(groups)} groups of {dataset.name} are nothing to train on")
    threads = torch.get_num_threads()
    # The workers take the cores; more threads inside a matrix product would only wait for each other.
    torch.set_num_threads(1)
    try:
        with writing(out), ThreadPoolExecutor(workers) as pool:
            out.mkdir(parents=True, exist_ok=True)
            trainer = _Trainer(base, recipe, seed, pool)
            done, history, seconds = trainer.adapter.restore(out, plan)
            for step in range(done, steps):
                started = time.monotonic()
                chosen = [groups[i] for i in order(len(groups), recipe.groups, seed, step)]
                loss = trainer.step(chosen, recipe.rate(step, steps))
                seconds += time.monotonic() - started
                history.append(loss)
                if progress is not None:
                    progress(step + 1, steps, loss)
                if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
                    trainer.adapter.save(out, plan, step + 1, history, seconds)
            trainer.adapter.export(out)
            metrics = {
                "steps": steps,
                "groups": steps * recipe.groups,
                "epochs": steps * recipe.groups / len(groups),
                "loss": float(np.mean(history[-25:])),
                "seconds": round(seconds),
            }
            report = json.dumps({"plan": plan, "metrics": metrics}, indent=2) + "\n"
            (out / "training.json").write_text(report, encoding="utf-8")
    finally:
        torch.set_num_threads(threads)
    return metrics


def order(total: int, size: int, seed: int, step: int) -> list[int]:
    """Groups of a step: each epoch is a permutation of its own, cut into batches; a last short batch is dropped."""
    per_epoch = max(total // size, 1)
    epoch, batch = divmod(step, per_epoch)
    permutation = np.random.default_rng([seed, epoch]).permutation(total)
    return [int(i) for i in permutation[batch * size : (batch + 1) * size]]


def encode(lm: CausalLM, groups: Sequence[WindowGroup]) -> list[Group]:
    """The prompts of each group, packed: exactly those of a `score` request."""
    texts: list[str] = []
    for group in groups:
        request = tallrec.question(group.user, group.history, group.targets)
        texts += [tallrec.TEMPLATE.render(request, candidate=i).text for i in range(len(group.targets))]
    ids = iter(lm.encode(texts))
    return [Group.of([next(ids) for _ in group.targets]) for group in groups]


def group_loss(scores: torch.Tensor, labels: Sequence[int], example: float, pairs: float) -> torch.Tensor:
    """Cross-entropy of the yes-minus-no logits plus the logistic loss of the pairs of one group.

    Args:
        scores: (targets,) yes-minus-no logits.
        labels: 1 (liked) or 0 per target.
        example: weight of each target's cross-entropy.
        pairs: weight of softplus(s_disliked - s_liked), averaged over the pairs of the group.
    """
    import torch
    from torch.nn import functional

    truth = torch.tensor(list(labels), dtype=scores.dtype)
    loss = example * functional.binary_cross_entropy_with_logits(scores, truth, reduction="sum")
    liked = truth > 0
    if pairs and liked.any() and not liked.all():
        loss = loss + pairs * functional.softplus(scores[~liked][None, :] - scores[liked][:, None]).mean()
    return loss


def shares(labels: Sequence[Sequence[int]], pairwise: float) -> list[tuple[float, float]]:
    """Weights of each group so that the losses of a batch sum to mean cross-entropy + pairwise * mean over groups."""
    targets = sum(map(len, labels))
    mixed = [0 < sum(group) < len(group) for group in labels]
    return [(1 / targets, pairwise / sum(mixed) if is_mixed else 0.0) for is_mixed in mixed]


class _Trainer:
    """A fresh adapter and the gradients of its loss."""

    def __init__(self, base: CausalLM, recipe: Recipe, seed: int, pool: ThreadPoolExecutor) -> None:
        from peft import LoraConfig, get_peft_model

        from audit.targets.lm import CausalLM

        config = LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        model = get_peft_model(base.model, config, autocast_adapter_dtype=False)
        self.adapter = Adapter(CausalLM(model, base.tokenizer, identity=base.identity), clip=recipe.clip)
        self.adapter.draw(np.random.default_rng([seed, 0, 0]))
        self.recipe = recipe
        self.direction = answer_direction(self.adapter.lm)
        self.pool = pool

    def step(self, groups: Sequence[WindowGroup], rate: float) -> float:
        """One optimizer step; returns the loss before it."""
        packed = encode(self.adapter.lm, groups)
        weights = shares([g.labels for g in groups], self.recipe.pairwise)
        # Each group on a thread of its own: its gradient is a separate sum, and one meeting per step costs less than
        # one per matrix product, above all where other programs use the same cores.
        results = list(self.pool.map(self._group_gradient, packed, [g.labels for g in groups], weights))
        self.adapter.descend([gradients for _, gradients in results], rate)
        return sum(loss for loss, _ in results)

    def _group_gradient(
        self, group: Group, labels: Sequence[int], shares: tuple[float, float]
    ) -> tuple[float, Sequence[torch.Tensor]]:
        import torch

        scores = self.adapter.lm.hidden([group]).float() @ self.direction
        loss = group_loss(scores, labels, *shares)
        return float(loss.detach()), torch.autograd.grad(loss, self.adapter.parameters)


def answer_direction(lm: CausalLM) -> torch.Tensor:
    """(width,) whose product with the last hidden state is the yes-minus-no logit."""
    yes, no = answer_tokens(lm)
    head = lm.model.get_output_embeddings().weight
    direction: torch.Tensor = (head[yes].float() - head[no].float()).detach()
    return direction


def answer_tokens(lm: CausalLM) -> tuple[int, int]:
    """First tokens of " Yes" and " No": the prompt ends in a colon."""
    yes, no = (ids[0] for ids in lm.encode([f" {word}" for word in tallrec.ANSWERS]))
    return yes, no
