"""The loop of a private training: who is in a step, their gradients, a step, and sometimes a checkpoint.

What is written while it runs (weights, moments, losses, the secret) is private: only what stands there at the end was
made to be shown. So checkpoints and the secret are deleted when the training is done, and the losses with them: a loss
on the people who were trained on is not covered by the guarantee.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from audit.errors import TargetError
from audit.guarantee import CARD
from audit.types import canonical_json
from defenses.dp.optimizer import Gradients, PrivateSteps, check_step
from defenses.dp.secret import Secret, forget
from defenses.dp.terms import Terms

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, float], None]
"""Called after each step with (step, steps, mean loss of its units); the loss is private."""

COMPANY = 0.05
"""Largest relative change of a unit's gradient by its company that rounding may explain."""


class Source(Protocol):
    """Where gradients come from."""

    @property
    def parameters(self) -> Mapping[str, torch.Tensor]:
        """What is trained: float32, in a fixed order."""
        ...

    def gradients(self, units: Sequence[int]) -> Iterable[tuple[Gradients, Sequence[float]]]:
        """Of some units, in micro-batches: gradients (units, *shape) per parameter, and the loss of each unit.

        The gradient of a unit must depend on nobody else of the batch: that is what clipping it is worth.
        """
        ...


def run(
    source: Source,
    terms: Terms,
    *,
    out: Path,
    plan: Mapping[str, Any],
    secret: Secret,
    rate: Callable[[int], float],
    progress: Progress | None = None,
    checkpoint_every: int = 5,
) -> list[float]:
    """Train, from the last checkpoint in `out` on if there is one.

    Args:
        source: of gradients; its parameters are changed.
        terms: of the training.
        out: folder for checkpoints; it exists.
        plan: what the training depends on; a checkpoint of another plan is refused.
        secret: of the training, the same in every sitting.
        rate: learning rate of a step, from 0.
        progress: called after each step.
        checkpoint_every: steps between checkpoints.

    Returns:
        Mean loss of the units of each step; a step of nobody has the loss of the step before. Private.

    Raises:
        TargetError: the checkpoint is of other settings, or the weights did not move.
    """
    parameters = source.parameters
    check_step(noise=terms.noise, clip=terms.clip, expected=float(terms.batch), make=PrivateSteps)
    check_company(source, range(min(terms.units, 4)))
    steps = PrivateSteps(
        list(parameters.values()), noise=terms.noise, clip=terms.clip, expected=float(terms.batch), secret=secret
    )
    before = {name: p.detach().clone() for name, p in parameters.items()}
    full = json.loads(canonical_json({**plan, "terms": asdict(terms)}))
    done, history = restore(out, full, parameters, steps)
    for step in range(done, terms.steps):
        losses: list[float] = []
        steps.descend(_parts(source, secret.sample(terms.units, terms.rate, step), losses), step=step, rate=rate(step))
        # A loss of nobody is no number that JSON has.
        history.append(sum(losses) / len(losses) if losses else (history[-1] if history else 0.0))
        if progress is not None:
            progress(step + 1, terms.steps, history[-1])
        if (step + 1) % checkpoint_every == 0 or step + 1 == terms.steps:
            save(out, full, parameters, steps, step + 1, history)
    if done < terms.steps and all(bool((before[name] == p).all()) for name, p in parameters.items()):
        raise TargetError("dp: the training moved no weight; the adapter is not connected to the loss")
    return history


def check_company(source: Source, units: Sequence[int]) -> None:
    """Compare the gradient of each of some units alone with its gradient among the others.

    Where they differ (a loss that is the mean over all tokens of a batch, batch normalisation), clipping a gradient
    bounds nobody's influence. Nothing is learnt from it, and nothing shown but that they differ.

    Raises:
        TargetError: they differ.
    """
    import torch

    together: list[list[torch.Tensor]] = [[] for _ in source.parameters]
    for part, _ in source.gradients(units):
        for kept, gradient in zip(together, part, strict=True):
            kept.append(gradient.float())
    among = [torch.cat(kept) for kept in together]
    for n, unit in enumerate(units):
        ((alone, _),) = source.gradients([unit])
        size = float(sum(g.float().square().sum() for g in alone)) ** 0.5
        gap = float(sum((g[0].float() - other[n]).square().sum() for g, other in zip(alone, among, strict=True))) ** 0.5
        # A model in bfloat16 rounds each sum at three digits, and the sums of a batch run in another order.
        if gap > COMPANY * max(size, 1e-12):
            raise TargetError(
                f"dp: the gradient of one unit changes by {gap / max(size, 1e-12):.2g} of its length with who else is "
                "in the batch, so clipping bounds nobody's influence; take the loss per sequence, then the sum"
            )


def _parts(source: Source, units: Sequence[int], losses: list[float]) -> Iterable[Gradients]:
    if units:
        for gradients, told in source.gradients(units):
            losses += told
            yield gradients


def save(
    out: Path,
    plan: Mapping[str, Any],
    parameters: Mapping[str, torch.Tensor],
    steps: PrivateSteps,
    done: int,
    history: Sequence[float],
) -> None:
    """Write a checkpoint beside the old one, publish it by a rename, then drop the old one."""
    from safetensors.torch import save_file

    tensors = {f"weight.{name}": p.detach().contiguous() for name, p in parameters.items()}
    tensors |= {f"moment.{key}": value.contiguous() for key, value in steps.state().items()}
    partial = out / ".checkpoint.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    save_file(tensors, partial / "state.safetensors")
    state = {"plan": plan, "step": done, "history": list(history)}
    (partial / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
    old = checkpoints(out)
    partial.rename(out / f"checkpoint-{done:06d}")
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)


def restore(
    out: Path, plan: Mapping[str, Any], parameters: Mapping[str, torch.Tensor], steps: PrivateSteps
) -> tuple[int, list[float]]:
    """Read the newest checkpoint: (steps done, losses); (0, []) when there is none.

    Raises:
        TargetError: it belongs to a training with other settings, or cannot be read.
    """
    import torch
    from safetensors.torch import load_file

    found = checkpoints(out)
    if not found:
        return 0, []
    try:
        state = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
        told, done, history = state["plan"], int(state["step"]), [float(x) for x in state["history"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TargetError(f"train: {found[-1]} cannot be read ({error}); remove {out} and start anew") from None
    if canonical_json(told) != canonical_json(plan):
        raise TargetError(f"train: {out} holds a training with other settings; remove it or choose another folder")
    tensors = load_file(found[-1] / "state.safetensors")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight.{name}"])
    steps.restore({k.removeprefix("moment."): v for k, v in tensors.items() if k.startswith("moment.")})
    return done, history


def checkpoints(out: Path) -> list[Path]:
    """Whole checkpoints in a folder, oldest first."""
    return sorted(p for p in out.glob("checkpoint-*") if (p / "state.json").is_file())


def refuse_finished(out: Path) -> None:
    """Raise TargetError where a folder holds the result of a finished private training.

    Training it anew would be a second training on the same people, with noise of its own, that no card counts.
    """
    if (out / CARD).exists() and not checkpoints(out):
        forget(out)
        raise TargetError(
            f"train: {out} holds a finished private training; a further one on the same people costs them as much "
            "again: choose another folder, and say with the option trainings which one it is"
        )


def clear(out: Path) -> None:
    """Delete the checkpoints of a finished training."""
    for folder in checkpoints(out):
        shutil.rmtree(folder, ignore_errors=True)
