"""Exact Shapley values of a history of eight items on `tallrec`: ours, and Captum's loop on the same model.

Both sides ask the same quantity, the logit of yes against no, of the same kind of sets, on one thread. Ours asks all
256 sets through the gateway, storing included; what prompts share is computed once. Theirs is ShapleyValueSampling of
Captum over a forward function: with 32 orders it evaluates 257 sets. The function writes and encodes the prompt by the
target's own template, runs the same model in its own number type, and asks for the logits of the last token alone. At
Captum's default, one perturbation at a time, a pass holds one prompt; with more of them it holds a padded batch.

Seconds are of the processor, not of the clock: a machine with other work stretches the clock by chance.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audit.stats import shapley

if TYPE_CHECKING:
    from audit.modules.explanation.explained import Case

Row = dict[str, Any]
ITEMS = 8
TURNS = 4
AT_ONCE = 8
"""Perturbations of a batch, where Captum is allowed one."""
ANSWERS = ("Yes", "No")
ROUNDING = 0.25
"""Nats that two logits of yes may lie apart in bfloat16, whose steps are an eighth at logits of 16 to 32."""


def attribution(*, orders: int = 32, seed: int = 3) -> list[Row]:
    """Benchmarks (k) and (k1): processor seconds per set of players, on one thread.

    Args:
        orders: of Captum's sampling, a multiple of 4; fewer take less time and give the same seconds per set.
        seed: of the user.
    """
    import torch

    from audit.modules.explanation.explained import explained
    from audit.modules.explanation.values import Values

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            context, target = _context(Path(folder), seed)
            values = Values(context, [_alone(case) for case in explained(context, 1).cases], "delete")
            assert values.scale == "logit of yes"
            target.lm.engine.runner.cache.clear()
            turns = _in_turns(target, values, orders, seed)
            context.gateway.store.close()
    finally:
        torch.set_num_threads(threads)
    total = turns.ours[-1] - turns.ours[0]
    # Along every order Captum's shares add up to the same total; what is left is the rounding of the number type.
    gap = abs(float(turns.theirs.sum() - total))
    if gap > ROUNDING:
        raise AssertionError(f"the two sides do not ask the same: {turns.theirs.sum():.3g} against {total:.3g}")
    near = float(np.max(np.abs(shapley.exact_shapley(turns.ours) - turns.theirs)))
    what = f"exact Shapley values of {ITEMS} items on tallrec, {1 << ITEMS} sets, against Captum's loop"
    rows = [
        (
            "k",
            f"{what}; its {orders} orders are off by {near:.2g} at most, their sum by {gap:.2g} of {total:.2g}",
            turns.loop,
        )
    ]
    rows.append(("k1", f"{what} with {AT_ONCE} perturbations in a batch", turns.batched))
    return [
        {
            "id": name,
            "what": said,
            "ours": turns.spent,
            "other": other,
            "ratio": other / turns.spent,
            "unit": "s per set",
        }
        for name, said, other in rows
    ]


def _alone(case: Case) -> Case:
    """Asked about its one item: a set is one prompt on both sides."""
    return replace(case, request=replace(case.request, candidates=(case.item,)))


class _Turns(NamedTuple):
    """What both sides came to.

    Attributes:
        ours: (2^n,) v(S) by bitmask.
        theirs: (n,) Captum's estimate.
        spent: our processor seconds per set.
        loop: Captum's, one perturbation at a time.
        batched: Captum's, `AT_ONCE` perturbations at a time.
    """

    ours: Any
    theirs: Any
    spent: float
    loop: float
    batched: float


def _in_turns(target: Any, values: Any, orders: int, seed: int) -> _Turns:
    """All sets of ours, a share at a time, and after each share one of Captum's orders."""
    every = sorted(shapley.subsets(ITEMS), key=lambda one: [i not in one for i in range(ITEMS)])
    ours, theirs, seconds, asked = np.zeros(1 << ITEMS), np.zeros(ITEMS), np.zeros(3), np.zeros(3)
    for turn in range(TURNS):
        mine = every[turn * len(every) // TURNS : (turn + 1) * len(every) // TURNS]
        started = time.process_time()
        (found,) = values.of([mine])
        seconds[0] += time.process_time() - started
        asked[0] += len(mine)
        ours[[shapley.mask_of(one) for one in mine]] = found
        for place, at_once, samples in ((1, 1, orders // TURNS), (2, AT_ONCE, max(1, orders // TURNS // 2))):
            started = time.process_time()
            phi, evaluated = _captum(target, values, samples=samples, at_once=at_once, seed=seed + turn)
            seconds[place] += time.process_time() - started
            asked[place] += evaluated
            if at_once == 1:
                theirs += phi / TURNS
    return _Turns(ours, theirs, *(seconds / asked).tolist())


def _captum(target: Any, values: Any, *, samples: int, at_once: int, seed: int) -> tuple[Any, int]:
    """Captum's estimate of every item's Shapley value, and how many sets it evaluated."""
    import torch
    from captum.attr import ShapleyValueSampling

    yes, no = (
        target.lm.encode([target.lm.lead(target.render(values.request(0, frozenset())).text) + word])[0][0]
        for word in ANSWERS
    )
    evaluated = 0

    def forward(masks: torch.Tensor) -> torch.Tensor:
        nonlocal evaluated
        evaluated += len(masks)
        sets = [frozenset(int(i) for i in mask.nonzero()[:, 0]) for mask in masks]
        prompts = target.lm.encode([target.render(values.request(0, one)).text for one in sets])
        width = max(map(len, prompts))
        # Padded on the left, so that every prompt ends in the last column.
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
        seen = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        places = (seen.cumsum(1) - 1).clamp(min=0)
        given = {"attention_mask": seen, "position_ids": places} if len(prompts) > 1 else {}
        logits = target.lm.model(input_ids=ids, use_cache=False, logits_to_keep=1, **given).logits[:, -1].double()
        margins: torch.Tensor = logits[:, yes] - logits[:, no]
        return margins

    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = torch.ones((1, ITEMS))
        phi = ShapleyValueSampling(forward).attribute(whole, n_samples=samples, perturbations_per_eval=at_once)
    return phi[0].double().numpy(), evaluated


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
