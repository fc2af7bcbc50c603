"""Private training of the TALLRec reference: an adapter learnt from users each of whom can deny having been there.

One unit is a user: the latest targets of their training part behind one shared history, packed into one sequence as in
the plain training. Each user of a step has a forward and a backward pass of their own. The gradient of a user is then
exact, it depends on nobody else by construction, and it is clipped as a whole, however many targets it comes from; the
hooks of opacus would find the same by more memory. Clipping, noise, the division by the expected batch, and the
accounts are those of opacus (`defenses.dp.optimizer`, `defenses.dp.accounting`).

Against the plain training: it starts from the base model, for the shipped adapter has read everybody's ratings; LoRA on
the queries and values alone, since noise grows with the number of weights; and a constant learning rate behind a short
warm-up, as steps are few.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.data.canaries import Canaries, canary_users, plan_canaries
from audit.data.splits import WindowGroup, windows
from audit.errors import ConfigError
from audit.guarantee import Unit
from audit.targets.packing import Group
from audit.targets.zoo import tallrec_training
from audit.targets.zoo.adapter import Adapter, writing
from defenses.dp import loop, release
from defenses.dp.optimizer import Gradients
from defenses.dp.release import conclude
from defenses.dp.secret import Secret
from defenses.dp.terms import Terms

if TYPE_CHECKING:
    import torch

    from audit.data.dataset import Dataset
    from audit.targets.lm import CausalLM

OUTSIDE = ("the catalogue with its titles", "the time at which the training part ends, which all events decide")


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters that cost no privacy.

    Attributes:
        rank: of LoRA.
        alpha: LoRA's scale is alpha / rank.
        modules: layers with an adapter.
        peak: highest learning rate.
        warmup: steps of linear warm-up.
        history: events in a history.
        pairwise: weight of the pairwise term beside the cross-entropy, see `tallrec_training`.
    """

    rank: int = 8
    alpha: int = 16
    modules: tuple[str, ...] = ("q_proj", "v_proj")
    peak: float = 2e-3
    warmup: int = 3
    history: int = 10
    pairwise: float = 0.5

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        return self.peak * min(1.0, (step + 1) / self.warmup)


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int = 0,
    epsilon: float = 8.0,
    delta: float | None = None,
    unit: Unit | str = "user",
    steps: int | None = None,
    epochs: float = 2.0,
    batch: int = 32,
    rows: int = 8,
    clip: float = 0.5,
    share: float = 0.5,
    members: str | None = None,
    trainings: int = 1,
    accountant: str = "prv",
    sampling: str = "poisson",
    peak: float | None = None,
    workers: int = 1,
    checkpoint_every: int = 5,
    progress: loop.Progress | None = None,
    recipe: Recipe | None = None,
    base: CausalLM | None = None,
    secret: Secret | None = None,
    canaries: int = 0,
    extra_users: Sequence[WindowGroup] = (),
) -> dict[str, Any]:
    """Train the adapter with (ε, δ)-differential privacy and write it, its card and its members to `out`.

    It goes on from the last checkpoint in `out` if there is one. `members.json`, and until the training is done the
    checkpoints and `secret.key`, are private; the rest may be published.

    Args:
        dataset: with ratings and times; its training part is used.
        out: folder for checkpoints, the adapter, `guarantee.json`, `members.json` and `training.json`.
        seed: of the initial adapter, which is public. Who is in a step, the noise and the split do not come from it.
        epsilon: ε; `.inf` trains without noise, for comparison.
        delta: δ; None for 1 / (10 units).
        unit: `user`, or `example` for a single target, which protects one rating and not the person.
        steps: of the training; None for as many as `epochs` give.
        epochs: how often a unit is used on average.
        batch: units per step on average.
        rows: the most targets of one user, their latest.
        clip: C.
        share: chance of a user to be trained on; the others are left out for the audit. 1 trains on all.
        members: file or folder with the `members.json` of another training, to split as it did; None draws a split.
        trainings: how many trainings on the same people this one is, searches for settings included.
        accountant: `prv` or `rdp`.
        sampling: `poisson`; anything else is refused.
        peak: highest learning rate; None for that of the recipe.
        workers: threads, each with a user of its own; the result does not depend on their number.
        checkpoint_every: steps between checkpoints.
        progress: called after each step with (step, steps, loss); the loss is private.
        recipe: other hyper-parameters.
        base: the model to adapt, which is changed; None loads SmolLM2.
        secret: a known one, for tests: there is no guarantee then. None draws one from the operating system.
        canaries: invented users with a secret, about half of whom are planted, see `audit.data.canaries`; 0 plants
            those of `members`, if there are any.
        extra_users: further users, each a unit, that are trained on whatever the coin says.

    Returns:
        What was promised and done: `epsilon`, `epsilon_prv`, `epsilon_rdp`, `delta`, `noise`, `units`, `steps`,
        `seconds` of this sitting, and `loss`, the mean of the last five steps, which is private and not written down.

    Raises:
        ConfigError: a value that is out of range or would void the guarantee.
        TargetError: `out` holds a training with other settings, or cannot be written.
    """
    recipe = recipe or Recipe()
    if peak is not None:
        recipe = Recipe(**{**vars(recipe), "peak": peak})
    if accountant not in ("prv", "rdp"):
        raise ConfigError(f"dp.accountant: {accountant!r} must be prv or rdp")
    if unit not in ("user", "example"):
        raise ConfigError(f"dp.unit: {unit!r} must be user or example")
    if not recipe.peak > 0:
        raise ConfigError(f"dp.peak: {recipe.peak!r} must be positive")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        loop.refuse_finished(out)
        secret = secret or Secret.kept(out)
        everyone = latest(dataset, rows=rows, history=recipe.history)
        who = release.members(list(everyone), secret=secret, share=share, given=members)
        planted: list[WindowGroup] = []
        if canaries:
            others = min(3, rows - 1)  # A unit has no more rows than anybody.
            drawn = plan_canaries(
                dataset, secret.rng("canaries", 0), count=canaries, history=recipe.history, others=others
            )
            who = replace(who, canaries=drawn.to_dict())
        if who.canaries:
            planted = canary_users(Canaries.from_dict(who.canaries), dataset)
        groups = [everyone[user] for user in everyone if user in who.inside] + planted + list(extra_users)
        if unit == "example":
            groups = [single for group in groups for single in singles(group)]
        terms = Terms.settle(
            unit="user" if unit == "user" else "example",
            units=len(groups),
            rows=rows,
            epsilon=epsilon,
            delta=delta,
            batch=batch,
            steps=steps if steps is not None else max(round(epochs * len(groups) / batch), 1),
            clip=clip,
            trainings=trainings,
            accountant="prv" if accountant == "prv" else "rdp",
            sampling=sampling,
        )
        base = base or _smollm2()
        source = Users(base, groups, recipe, seed, workers)
        plan = {"recipe": vars(recipe), "seed": seed, "dataset": dataset.digest, "base": base.identity}
        if not loop.checkpoints(out):
            # A command that goes on from a checkpoint with other settings is refused below, and leaves the list alone.
            who.write(out)
        started = time.monotonic()
        history = loop.run(
            source,
            terms,
            out=out,
            # Of the people themselves, only a digest: the plan is compared, not read.
            plan=plan | {"members": _digest(groups)},
            secret=secret,
            rate=recipe.rate,
            progress=progress,
            checkpoint_every=checkpoint_every,
        )
        source.adapter.export(out)
        metrics = conclude(
            out,
            terms,
            model=source.lm.model,
            parameters=source.parameters,
            plan=plan,
            secret=secret,
            base=base.identity,
            seconds=time.monotonic() - started,
            outside=OUTSIDE,
        )
    return metrics | {"loss": float(np.mean(history[-5:]))}


class Users:
    """A fresh adapter and the gradients of each user's own loss.

    Args:
        base: the model to adapt.
        groups: one per unit.
        recipe: hyper-parameters.
        seed: of the adapter.
        workers: threads.
    """

    def __init__(
        self, base: CausalLM, groups: Sequence[WindowGroup], recipe: Recipe, seed: int, workers: int = 1
    ) -> None:
        from peft import LoraConfig, get_peft_model

        from audit.targets.lm import CausalLM

        config = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=0.0,
            target_modules=list(recipe.modules),
            task_type="CAUSAL_LM",
        )
        # The adapter is float32 whatever the model is: late steps are smaller than a step of bfloat16.
        model = get_peft_model(base.model, config)
        self.lm = CausalLM(model, base.tokenizer, identity=base.identity)
        self.adapter = Adapter(self.lm, clip=1.0)
        self.adapter.draw(np.random.default_rng([seed, 0, 0]))
        self.groups = groups
        self.pairwise = recipe.pairwise
        self.workers = workers
        self.direction = tallrec_training.answer_direction(self.lm)

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """See `loop.Source`."""
        return self.adapter.live

    def gradients(self, units: Sequence[int]) -> Iterator[tuple[Gradients, Sequence[float]]]:
        """See `loop.Source`; one user at a time."""
        from concurrent.futures import ThreadPoolExecutor

        packed = tallrec_training.encode(self.lm, [self.groups[i] for i in units])
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(self._one, packed, [self.groups[i].labels for i in units])

    def _one(self, group: Group, labels: Sequence[int]) -> tuple[Gradients, Sequence[float]]:
        import torch

        # A thread has its own switch, and whoever called may have turned it off.
        with torch.enable_grad():
            scores = self.lm.hidden([group]).float() @ self.direction
            # The mean over the user's own targets: how many there are must not make them louder.
            loss = tallrec_training.group_loss(scores, labels, 1 / len(labels), self.pairwise)
            found = torch.autograd.grad(loss, list(self.parameters.values()))
        return [gradient[None] for gradient in found], [float(loss.detach())]


def latest(dataset: Dataset, *, rows: int, history: int) -> dict[str, WindowGroup]:
    """By user, the latest events of the training part behind the history before the first of them.

    Users without an event behind a whole history are not in it; they are never trained on.

    Raises:
        ConfigError: `rows` is not positive.
        DataError: there is no window at all, see `audit.data.splits.windows`.
    """
    if rows < 1:
        raise ConfigError(f"dp.rows: {rows!r} must be at least 1")
    frame = windows(dataset, history=history)
    by_user = frame[frame["part"] == "train"].groupby("user", sort=True)["position"]
    found = {}
    for user, positions in by_user:
        chosen = np.sort(positions.to_numpy())[-rows:]
        events = dataset.events(str(user))
        shown = [events[i] for i in chosen]
        found[str(user)] = WindowGroup(
            user=str(user),
            history=events[chosen[0] - history : chosen[0]],
            targets=tuple(event.item for event in shown),
            labels=tuple(int(dataset.liked(event.rating)) for event in shown),
            part="train",
        )
    return found


def singles(group: WindowGroup) -> list[WindowGroup]:
    """The targets of a group, each with the history to itself."""
    return [
        WindowGroup(group.user, group.history, (target,), (label,), group.part)
        for target, label in zip(group.targets, group.labels, strict=True)
    ]


def _digest(groups: Sequence[WindowGroup]) -> str:
    told = [[g.user, [e.item.id for e in g.history], [t.id for t in g.targets], g.labels] for g in groups]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _smollm2() -> CausalLM:
    from audit.targets import weights
    from audit.targets.lm import CausalLM
    from audit.targets.zoo import smollm2

    return CausalLM.of(weights.load(smollm2.folder()))
