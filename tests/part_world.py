"""A context for the parts of a module: a tiny world, any target, a store of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from helpers import gateway
from world import make_world

from audit.config import load
from audit.data.dataset import Dataset
from audit.modules.base import Context
from audit.runner import make_cases
from audit.store import Store
from audit.target import Recommender, describe
from audit.types import Task


@cache
def small_world(users: int = 60) -> Dataset:
    """Films of six genres, and users with `age` and `gender`; see `world.make_world`."""
    return make_world(users=users)


def a_context(
    target: Recommender,
    folder: Path,
    *,
    dataset: Dataset | None = None,
    task: Task = "rank",
    users: int = 30,
    seed: int = 7,
    **block: Any,
) -> Context:
    """What a part is run in.

    Args:
        target: what is audited.
        folder: where the store is kept.
        dataset: by default `small_world()`.
        task: what is asked.
        users: how many cases.
        seed: of the run.
        block: further fields of the `dataset:` block, such as `candidates` and `k`.
    """
    data = dataset if dataset is not None else small_world()
    config, _ = load(
        {"seed": seed, "dataset": {"name": "ml-100k", "users": users, "k": 5, **block}, "target": {"kind": "zoo"}}
    )
    cases, protocol = make_cases(config, data, describe(target), task)
    door = gateway(target, Store(folder / "runs.sqlite"))
    return Context(gateway=door, dataset=data, task=task, cases=cases, seed=seed, protocol=protocol)
