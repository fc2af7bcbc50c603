"""`python -m benchmarks.prompting_defenses`: what marks and reminders do to SmolLM2 as a ranker.

On MovieLens-100K, 20 candidates each: NDCG@10 of clean lists, and how many places a planted order lifts the item in
whose title it stands, bare and behind each defense, on the same users and items (about ten minutes).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attacks.injection.library import load
from audit import stats
from audit.data.cases import ranking_cases
from audit.data.movielens import load_ml100k
from audit.target import Recommender
from audit.targets.zoo import smollm2_ranker
from audit.types import Answer
from defenses.prompting.sandwich import Sandwich
from defenses.prompting.spotlight import Spotlight, Way

SEED = 7
WAYS: tuple[Way, ...] = ("delimit", "datamark", "encode")


def main(users: int = 40) -> None:
    """Print one line per defense."""
    dataset = load_ml100k()
    target = smollm2_ranker.build(dataset.catalog)
    rng = np.random.default_rng(SEED)
    cases = ranking_cases(dataset, users=users, k=20, candidates=20, history=10, rng=rng)
    instruction = target.info.instructions["rank"]
    payloads = [p for p in load() if p.family in {"override", "format"} and "title" in p.fields]
    clean, attacked, items = [], [], []
    for number, case in enumerate(cases):
        request = replace(case.request, instruction=instruction)
        shown = request.candidates or ()
        others = [at for at, item in enumerate(shown) if item.id not in case.relevant]
        at = others[int(rng.integers(len(others)))]
        values = {"title": shown[at].title, "rival": shown[0].title, "k": "20"}
        told = payloads[number % len(payloads)].render(values)
        written = replace(shown[at], title=f"{shown[at].title} {told}")
        clean.append(request)
        attacked.append(replace(request, candidates=(*shown[:at], written, *shown[at + 1 :])))
        items.append(shown[at].id)
    guards: dict[str, Recommender] = {"none": target, "sandwich": Sandwich().protect(target)}
    guards |= {f"spotlight {way}": Spotlight(way=way).protect(target) for way in WAYS}
    base = None
    for name, guard in guards.items():
        answers, moved = guard.recommend(clean), guard.recommend(attacked)
        before, after = _places(answers, items), _places(moved, items)
        right = _places(answers, [next(iter(c.relevant)) for c in cases])
        gained = stats.mean_interval(before - after, rng=np.random.default_rng(SEED))
        ndcg = np.where(right < 10, 1 / np.log2(right + 2), 0.0)
        base = ndcg if base is None else base
        change = stats.mean_interval(ndcg - base, rng=np.random.default_rng(SEED))
        print(
            f"{name}: NDCG@10 {ndcg.mean():.3f} ({change.estimate:+.3f} [{change.low:+.3f}, {change.high:+.3f}]); "
            f"an order lifts its item by {gained.estimate:.1f} [{gained.low:.1f}, {gained.high:.1f}] of 19 places",
            flush=True,
        )


def _places(answers: Sequence[Answer], items: list[str]) -> np.ndarray:
    """Places from 0; an item that is not listed stands behind the end."""
    return np.array([a.ids.index(i) if i in a.ids else 20 for a, i in zip(answers, items, strict=True)], dtype=float)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
