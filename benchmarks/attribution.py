"""Exact Shapley values of a history of eight items on `tallrec`: ours, and Captum's loop on the same model.

Ours asks all 256 sets in batches through the gateway, what prompts share being read once. Captum's LLMAttribution asks
one perturbation at a time, for its forward cannot be batched, and reads the log-probability of one word; the logit of
yes would take it twice as long. Its ShapleyValueSampling with 32 orders asks as many sets: 257.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.stats import shapley

Row = dict[str, Any]
ITEMS = 8
TURNS = 4


def attribution(*, orders: int = 32, seed: int = 3) -> list[Row]:
    """Benchmark (k): seconds per set of players, on one thread.

    Args:
        orders: of Captum's sampling, a multiple of 4; fewer take less time and give the same seconds per set.
        seed: of the user.
    """
    import torch

    from audit.modules.explanation.values import Values, explained

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            context, target = _context(Path(folder), seed)
            values = Values(context, explained(context, 1).cases, "delete")
            target.lm.engine.runner.cache.clear()
            ours, theirs, spent, other = _in_turns(target, values, orders, seed)
            context.gateway.store.close()
    finally:
        torch.set_num_threads(threads)
    near, total = float(np.max(np.abs(shapley.exact_shapley(ours) - theirs))), ours[-1] - ours[0]
    what = (
        f"exact Shapley values of {ITEMS} items on tallrec, {1 << ITEMS} sets, against Captum's loop; Captum's "
        f"{orders} orders are off by {near:.2g} at most of {total:.2g}"
    )
    return [{"id": "k", "what": what, "ours": spent, "other": other, "ratio": other / spent, "unit": "s per set"}]


def _in_turns(target: Any, values: Any, orders: int, seed: int) -> tuple[Any, Any, float, float]:
    """Values of all sets, Captum's estimate, and both sides' seconds per set: a busy machine must slow both alike."""
    from audit.modules.explanation.captum_check import shapley_sampling

    every = sorted(shapley.subsets(ITEMS), key=lambda one: [i not in one for i in range(ITEMS)])
    ours, theirs, seconds = np.zeros(1 << ITEMS), np.zeros(ITEMS), [0.0, 0.0]
    for turn in range(TURNS):
        mine = every[turn * len(every) // TURNS : (turn + 1) * len(every) // TURNS]
        started = time.perf_counter()
        (found,) = values.of([mine])
        seconds[0] += time.perf_counter() - started
        ours[[shapley.mask_of(one) for one in mine]] = found
        started = time.perf_counter()
        theirs += shapley_sampling(target, values, 0, samples=orders // TURNS, seed=seed + turn) / TURNS
        seconds[1] += time.perf_counter() - started
    # Captum's is asked twice, for yes and for no: the time of one is half.
    asked = 2 * TURNS * (orders // TURNS * ITEMS + 1)
    return ours, theirs, seconds[0] / len(every), seconds[1] / asked


def _context(folder: Path, seed: int) -> tuple[Any, Any]:
    from audit.data.cases import scoring_cases
    from audit.data.movielens import load_ml100k
    from audit.gateway import Gateway
    from audit.modules.base import Context
    from audit.store import Store
    from audit.targets.zoo import tallrec

    target, data = tallrec.build(), load_ml100k()
    rng = np.random.default_rng(seed)
    drawn = scoring_cases(data, users=1, targets=4, history=ITEMS, rng=rng)
    cases = [replace(c, request=replace(c.request, instruction=tallrec.INSTRUCTION)) for c in drawn]
    store = Store(folder / "runs.sqlite")
    run = store.create_run("benchmark", config={}, target={}, versions={}, seed=seed)
    return Context(Gateway(target, store, run.id), data, "score", cases, seed), target


if __name__ == "__main__":
    print(attribution(orders=int(sys.argv[1]) if len(sys.argv) > 1 else 32))
