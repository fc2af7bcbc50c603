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

Row = dict[str, Any]
ITEMS = 8


def attribution(*, orders: int = 32, seed: int = 3) -> list[Row]:
    """Benchmark (k): seconds per set of players, on one thread.

    Args:
        orders: of Captum's sampling; fewer take less time and give the same seconds per set.
        seed: of the user.
    """
    import torch

    from audit.modules.explanation.captum_check import shapley_sampling
    from audit.modules.explanation.methods import attributions_of
    from audit.modules.explanation.values import Values, explained

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            context, target = _context(Path(folder), seed)
            values = Values(context, explained(context, 1).cases, "delete")
            target.lm.engine.runner.cache.clear()
            started = time.perf_counter()
            (ours,) = attributions_of("shapley", values, np.random.default_rng(0), 1 << ITEMS)
            spent = (time.perf_counter() - started) / ours.evaluations
            # Captum's is asked twice, for yes and for no: the time of one is half.
            started = time.perf_counter()
            theirs = shapley_sampling(target, values, 0, samples=orders, seed=seed)
            other = (time.perf_counter() - started) / 2 / (orders * ITEMS + 1)
            context.gateway.store.close()
    finally:
        torch.set_num_threads(threads)
    near = float(np.max(np.abs(ours.phi - theirs)))
    what = (
        f"exact Shapley values of {ITEMS} items on tallrec, {1 << ITEMS} sets, against Captum's loop; Captum's "
        f"{orders} orders are off by {near:.2g} at most of {ours.total:.2g}"
    )
    return [{"id": "k", "what": what, "ours": spent, "other": other, "ratio": other / spent, "unit": "s per set"}]


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
