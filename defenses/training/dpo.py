"""Direct preference optimisation of a LoRA adapter on (clean ≻ attacked) pairs, with the loss of `trl`.

Source: Rafailov et al., "Direct Preference Optimization", NeurIPS 2023, equation 7; preference pairs against injected
text as in Chen et al., "SecAlign", CCS 2025 (arXiv 2410.05451). The reference model is a second copy of the target as
it was, never the base model without its adapter, which knows nothing of the task.

`trl` builds the batches and computes the loss. The loop is our own: checkpoints are safetensors and a resumed training
ends with the weights of an unbroken one, and neither holds for the loop that comes with it, which pickles.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.errors import ConfigError
from audit.targets.zoo.adapter import Adapter, writing
from defenses.training.preferences import Pair

if TYPE_CHECKING:
    import torch

    from audit.targets.lm import CausalLM

Progress = Callable[[int, int, float], None]
"""Called after each step with (step, steps, loss)."""


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters.

    Attributes:
        beta: β of the loss: how much a departure from the reference costs.
        peak: highest learning rate.
        warmup: steps of linear warm-up; a linear decay to zero follows.
        batch: pairs per step.
        clip: largest norm of the gradient.

    Raises:
        ConfigError: a number out of range.
    """

    beta: float = 0.1
    peak: float = 1e-4
    warmup: int = 5
    batch: int = 8
    clip: float = 1.0

    def __post_init__(self) -> None:
        for name, fine, rule in (
            ("beta", 0 < self.beta < float("inf"), "a positive number"),
            ("peak", 0 < self.peak < 1, "between 0 and 1"),
            ("warmup", self.warmup >= 0, "at least 0"),
            ("batch", self.batch >= 1, "at least 1"),
            ("clip", self.clip > 0, "positive"),
        ):
            if not fine:
                raise ConfigError(f"dpo.{name}: {getattr(self, name)!r} must be {rule}")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        return self.peak * (steps - step) / max(steps - self.warmup, 1)


def align(
    policy: CausalLM,
    reference: CausalLM,
    pairs: Sequence[Pair],
    *,
    out: Path,
    seed: int,
    steps: int,
    recipe: Recipe,
    plan: dict[str, Any],
    progress: Progress | None = None,
    checkpoint_every: int = 10,
) -> dict[str, Any]:
    """Train the adapter of `policy` in place and write it to `out`; goes on from the last checkpoint there.

    Args:
        policy: in a PEFT wrapper; its trainable parameters are the adapter.
        reference: the target as it was, a model of its own.
        pairs: see `defenses.training.preferences`.
        out: folder for checkpoints and the finished adapter.
        seed: of the order of the pairs.
        steps: in all.
        recipe: hyper-parameters.
        plan: what else the training depends on; a checkpoint of other settings is refused.
        progress: called after each step.
        checkpoint_every: steps between checkpoints.

    Returns:
        `steps`, `pairs`, `epochs`, mean `loss` of the last ten steps, and `seconds` over all sittings.

    Raises:
        ConfigError: there are fewer pairs than a batch, or no step.
        TargetError: `out` cannot be written, or holds the checkpoint of another training.
    """
    if steps < 1 or len(pairs) < recipe.batch:
        raise ConfigError(
            f"train: {steps} steps of {recipe.batch} over {len(pairs)} pairs are nothing to train on; ask for at least "
            "one step, and give at least as many pairs as a batch has"
        )
    plan = {**plan, "recipe": asdict(recipe), "seed": seed, "steps": steps, "pairs": [asdict(p) for p in pairs]}
    adapter = Adapter(policy, clip=recipe.clip)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        done, history, seconds = adapter.restore(out, plan)
        loss_of = preference_loss(policy, reference, pairs, beta=recipe.beta, scratch=out)
        for step in range(done, steps):
            started = time.monotonic()
            loss = loss_of(order(len(pairs), recipe.batch, seed, step))
            adapter.descend([_gradients(loss, adapter.parameters)], recipe.rate(step, steps))
            seconds += time.monotonic() - started
            history.append(float(loss.detach()))
            if progress is not None:
                progress(step + 1, steps, history[-1])
            if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
                adapter.save(out, plan, step + 1, history, seconds)
        adapter.export(out)
    return {
        "steps": steps,
        "pairs": len(pairs),
        "epochs": steps * recipe.batch / len(pairs),
        "loss": float(np.mean(history[-10:])),
        "seconds": round(seconds),
    }


def order(total: int, size: int, seed: int, step: int) -> list[int]:
    """Pairs of a step: each epoch is a permutation of its own, cut into batches; a last short batch is dropped."""
    epoch, batch = divmod(step, total // size)
    permutation = np.random.default_rng([seed, epoch]).permutation(total)
    return [int(i) for i in permutation[batch * size : (batch + 1) * size]]


def preference_loss(
    policy: CausalLM, reference: CausalLM, pairs: Sequence[Pair], *, beta: float, scratch: Path
) -> Callable[[Sequence[int]], torch.Tensor]:
    """The DPO loss of some pairs, by their indices: -log σ(β [log π/π_ref (chosen) - log π/π_ref (rejected)]), mean.

    Only the first token of each word counts, for there the target is read. `trl` would add the end of the text to
    both, and the loss could fall by what the model expects behind "Yes" instead of by which word it says.

    Args:
        policy: in a PEFT wrapper.
        reference: in a PEFT wrapper, too.
        pairs: at least one.
        beta: β.
        scratch: a folder that `trl` wants to be named; nothing is written into it.
    """
    import datasets
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    collate = DataCollatorForPreference(pad_token_id=policy.pad)
    rows = [{"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected} for p in pairs]
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        trainer: Any = DPOTrainer(
            model=policy.model,
            # Without the wrapper, whose adapter stays in place: trl reads the states of the reference itself.
            ref_model=reference.model.get_base_model(),
            args=_arguments(DPOConfig, beta, scratch),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=policy.tokenizer,
            data_collator=collate,
        )
    finally:
        if shown:
            datasets.enable_progress_bars()
    tokens = list(trainer.train_dataset)

    def loss(chosen: Sequence[int]) -> torch.Tensor:
        batch = collate([_first_token(tokens[i]) for i in chosen])
        found: torch.Tensor = trainer.compute_loss(
            trainer.model, {k: v.to(policy.model.device) for k, v in batch.items()}
        )
        return found

    return loss


def _arguments(config: Any, beta: float, scratch: Path) -> Any:  # noqa: ANN401 - trl is untyped
    """Settings of `trl` that its loss depends on; nothing is written, reported, or cast."""
    return config(
        output_dir=str(scratch),
        beta=beta,
        loss_type=["sigmoid"],
        max_length=None,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        bf16=False,
        gradient_checkpointing=False,
        disable_dropout=True,
        precompute_ref_log_probs=False,
    )


def _first_token(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_ids": list(row["prompt_ids"]),
        "chosen_ids": list(row["chosen_ids"])[:1],
        "rejected_ids": list(row["rejected_ids"])[:1],
    }


def _gradients(loss: torch.Tensor, parameters: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    import torch

    return torch.autograd.grad(loss, list(parameters))


def trainable(lm: CausalLM) -> CausalLM:
    """The same model, whose adapter alone requires gradients."""
    for name, parameter in lm.model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return lm


def report(out: Path, plan: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Write `training.json`: what was done, and from what."""
    text = json.dumps({"plan": plan, "metrics": metrics}, indent=2) + "\n"
    (out / "training.json").write_text(text, encoding="utf-8")
