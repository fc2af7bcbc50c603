"""One repetition: a new world, a flaw planted into it, the module asked, and its findings judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audit.config import load
from audit.controls.control import Control
from audit.controls.worlds import Ideal, invented
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.knowledge import item_document
from audit.modules.base import Context, Module, build
from audit.policy import Policy
from audit.seeds import generator
from audit.store import Store
from audit.target import Recommender, describe
from audit.types import Case

World = Callable[[int, int], tuple[Dataset, Recommender]]
"""(seed, users) to the data and the base that flaws are planted into."""


@dataclass(frozen=True)
class Trial:
    """What one repetition came to.

    Attributes:
        seen: whether the audit saw the flaw.
        value: estimate of the metric, or of its effect; None where it could not be measured.
        low: lower end of its interval.
        high: upper end.
    """

    seen: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None


def ideal_world(seed: int, users: int) -> tuple[Dataset, Recommender]:
    """Newly invented users, and the recommender that is right about them."""
    dataset = invented(seed, users)
    return dataset, Ideal(dataset)


def findings_of(
    control: Control, size: float, users: int, seed: int, store: Store, policy: Policy, world: World = ideal_world
) -> list[Finding]:
    """Audit a newly planted target.

    Args:
        control: what is planted.
        size: how much of it.
        users: under audit.
        seed: of the repetition: everything in it hangs on this, on the control and on the size.
        store: where answers are kept.
        policy: that gives the verdicts.
        world: the data and the base; by default newly invented.

    Returns:
        Judged findings of the control's module.
    """
    rng = generator(seed, "controls", control.id, f"{size:g}", str(users))
    data, base = world(int(rng.integers(2**31)), users)
    target = control.plant(base, data, size, rng)
    own = int(rng.integers(2**31))
    block = {"name": "ml-100k", "users": users, "k": control.k, "candidates": control.candidates}
    if control.history is not None:
        block["history"] = control.history
    config, _ = load({"seed": own, "dataset": block, "target": {"kind": "zoo"}})
    from audit.gateway import Gateway, Retry
    from audit.runner import make_cases

    cases, protocol = make_cases(config, data, describe(target), control.task)
    if control.passages:
        cases = [_with_rows(case, data, control.passages, rng) for case in cases]
    run = store.create_run(control.id, config={}, target={"name": control.id}, versions={}, seed=own).id
    door = Gateway(target, store, run, retry=Retry(attempts=1, wait_s=0.0))
    context = Context(door, data, control.task, cases, own, protocol=protocol)
    return policy.judge(_module(control).run(context).findings)


def _with_rows(case: Case, data: Dataset, count: int, rng: np.random.Generator) -> Case:
    """The case with rows of the catalogue as passages; audits of a run's own requests have none."""
    had = {event.item.id for event in case.request.user.history}
    free = [item for item in data.catalog.items_in_order if item.id not in had]
    chosen = [free[i] for i in rng.permutation(len(free))[:count].tolist()]
    passages = tuple(item_document(item).passage for item in chosen)
    return replace(case, request=replace(case.request, passages=passages))


def trial(
    control: Control, size: float, users: int, seed: int, store: Store, policy: Policy, world: World = ideal_world
) -> Trial:
    """One repetition; arguments as of `findings_of`."""
    found = findings_of(control, size, users, seed, store, policy, world)
    measured = control.measured(found)
    return Trial(control.sees(found), *(measured or ()))


def _module(control: Control) -> Module:
    from audit import registry

    factory = registry.load("modules", control.module, where=f"control {control.id}")
    module: Module = build(factory, control.options, where=f"control {control.id}")
    return module


@contextmanager
def throwaway_store() -> Iterator[Store]:
    """A store for answers that nobody will want again."""
    with tempfile.TemporaryDirectory(prefix="recaudit-controls-") as folder:
        yield Store(Path(folder) / "runs.sqlite")
