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
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from audit.errors import TargetError
from audit.guarantee import CARD
from audit.types import canonical_json
from defenses.dp.optimizer import Clipped, Gradients, PrivateSteps, check_step
from defenses.dp.secret import Secret, forget
from defenses.dp.terms import Terms

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, float], None]
"""Called after each step with (step, steps, mean loss of its units); the loss is private."""

COMPANY = 0.05
"""Largest relative change of a unit's gradient by its company that rounding may explain."""

LENGTH = 1e-3
"""Largest error of a clipped sum, in clipping norms, that rounding may explain where the model is in float32."""


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


@runtime_checkable
class ClippingSource(Source, Protocol):
    """A source that clips and adds up by itself, without the gradient of each unit."""

    def clipped(self, units: Sequence[int], clip: float) -> Iterable[tuple[Clipped, Sequence[float]]]:
        """Of some units, in micro-batches: the sum of their gradients, each clipped, and the loss of each unit.

        It must be what `gradients` gives, clipped and added up; a unit whose gradient is not finite adds nothing.
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
        TargetError: the checkpoint is of other settings, the weights did not move, or a check before failed.
    """
    parameters = source.parameters
    check_step(noise=terms.noise, clip=terms.clip, expected=float(terms.batch), make=PrivateSteps)
    check_company(source, range(min(terms.units, 4)))
    if isinstance(source, ClippingSource):
        check_clipping(source, range(min(terms.units, 4)))
    steps = PrivateSteps(
        list(parameters.values()), noise=terms.noise, clip=terms.clip, expected=float(terms.batch), secret=secret
    )
    before = {name: p.detach().clone() for name, p in parameters.items()}
    full = json.loads(canonical_json({**plan, "terms": asdict(terms)}))
    done, history = restore(out, full, parameters, steps)
    for step in range(done, terms.steps):
        losses: list[float] = []
        parts = _parts(source, secret.sample(terms.units, terms.rate, step), losses, terms.clip)
        steps.descend(parts, step=step, rate=rate(step))
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


def check_clipping(source: ClippingSource, units: Sequence[int]) -> None:
    """Compare what a source clipped and added up by itself with the gradients of the same units, clipped here.

    The bound is half of the shortest gradient's length, so that everybody is clipped. As `check_company`, it learns
    nothing and shows nothing but that they differ.

    Raises:
        TargetError: they differ.
    """
    import torch

    flat = torch.cat([torch.cat([g.flatten(1).double() for g in part], 1) for part, _ in source.gradients(units)])
    norms = flat.norm(dim=1, keepdim=True)
    if not bool((norms > 0).any()):
        return
    clip = float(norms[norms > 0].min()) / 2
    sums = [torch.cat([t.flatten().double() for t in part.total]) for part, _ in source.clipped(units, clip)]
    expected = (flat * (clip / norms.clamp(min=clip))).sum(0)
    gap = float((torch.stack(sums).sum(0) - expected).norm()) / clip
    if not gap <= LENGTH:
        raise TargetError(
            f"dp: a clipped sum is {gap:.2g} clipping norms from that of the gradients themselves, so their lengths "
            "were not found and nobody's influence is bounded; use mode hooks"
        )


def _parts(source: Source, units: Sequence[int], losses: list[float], clip: float) -> Iterable[Gradients | Clipped]:
    if not units:
        return
    found: Iterable[tuple[Gradients | Clipped, Sequence[float]]]
    found = source.clipped(units, clip) if isinstance(source, ClippingSource) else source.gradients(units)
    for part, told in found:
        losses += told
        yield part


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
