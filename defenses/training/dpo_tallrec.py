"""DPO alignment of the TALLRec reference on what an audit found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import ConfigError
from audit.exchanges import Exchange
from audit.targets.zoo import tallrec
from defenses.training import dpo
from defenses.training.preferences import pairs

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM
    from audit.types import Request

WORDS = (f" {tallrec.ANSWERS[0]}", f" {tallrec.ANSWERS[1]}")
"""The two decisions, as they follow a prompt that ends in a colon."""


def train(
    *,
    out: Path,
    seed: int,
    exchanges: Sequence[Exchange],
    steps: int = 100,
    start: str | None = None,
    beta: float = 0.1,
    peak: float = 1e-4,
    batch: int = 8,
    progress: dpo.Progress | None = None,
    models: tuple[CausalLM, CausalLM] | None = None,
) -> dict[str, Any]:
    """Train an adapter that stays with its clean decisions, resumable, and write it to `out`.

    Args:
        out: folder for checkpoints and the finished adapter.
        seed: of the order of the pairs.
        exchanges: scored requests before and after an attack, such as the evidence of a stored run.
        steps: optimizer steps in all.
        start: folder of the adapter to align; None for the shipped one.
        beta: β of the loss.
        peak: highest learning rate.
        batch: pairs per step.
        progress: called after each step.
        models: policy and reference, both the target as it is; None loads them twice.

    Returns:
        As `dpo.align`, and how many pairs are attacked ones, and of those, on how many the target had changed its mind.

    Raises:
        ConfigError: an option out of range, or too few usable exchanges.
        TargetError: the adapter cannot be read, or `out` not be written.
    """
    recipe = dpo.Recipe(beta=beta, peak=peak, batch=batch)
    made = pairs(exchanges, prompt, WORDS)
    attacked = [pair for pair in made if pair.asked == "attacked"]
    policy, reference = models or (loaded(start), loaded(start))
    plan = {"defense": "dpo", "base": reference.identity}
    metrics = dpo.align(
        dpo.trainable(policy),
        reference,
        made,
        out=out,
        seed=seed,
        steps=steps,
        recipe=recipe,
        plan=plan,
        progress=progress,
    )
    metrics |= {"attacked": len(attacked), "flipped": sum(pair.flipped for pair in attacked)}
    dpo.report(out, {**plan, "recipe": asdict(recipe), "seed": seed, "steps": steps}, metrics)
    return metrics


def prompt(request: Request, candidate: int) -> str:
    """The prompt that asks about one candidate."""
    return tallrec.TEMPLATE.render(request, candidate=candidate).text


def loaded(start: str | None) -> CausalLM:
    """The base model under an adapter.

    Raises:
        ConfigError: there is no such folder.
        TargetError: it holds no adapter of this base.
    """
    from audit.targets import weights
    from audit.targets.lm import CausalLM
    from audit.targets.zoo import smollm2

    folder = tallrec.ADAPTER if start is None else Path(start)
    if not folder.is_dir():
        raise ConfigError(
            f"train tallrec: start {start!r} is not a folder; give one that `recaudit train tallrec` wrote"
        )
    return CausalLM.of(weights.load(smollm2.folder(), adapter=folder))
