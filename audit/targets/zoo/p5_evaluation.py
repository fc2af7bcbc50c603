"""How good a P5-style target is, and whether it reads the history, and in order.

HR@10 alone would flatter it: a popularity list reaches half of it. So the same users are asked with the history
shuffled, emptied, and taken from another user, and the weights ship only if all four rules hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from audit import stats
from audit.data.splits import leave_one_out
from audit.targets.zoo.history_use import histories_by_condition
from audit.targets.zoo.p5 import P5, Form
from audit.targets.zoo.p5_answers import top
from audit.targets.zoo.p5_target import P5Target
from audit.targets.zoo.p5_vocabulary import REFUSALS, SEEN, UNSEEN, WISHES
from audit.targets.zoo.protocol import gains, hits, leave_one_out_ranks

if TYPE_CHECKING:
    from audit.data.dataset import Dataset, FloatArray, IntArray

K = 10

RULES = {
    "true": "HR@10 with the user's own history at least 0.15",
    "emptied": "with the history emptied at most 0.11",
    "other": "with another user's history at most 0.06",
    "order": "own history minus the same shuffled at least 0.04",
}
"""What weights must pass to be shipped, on the test items of MovieLens-100K."""


def evaluate(folder: Path, dataset: Dataset, *, rng: np.random.Generator) -> dict[str, Any]:
    """Both forms of the weights in `folder`, on the test items.

    Args:
        folder: as training writes it.
        dataset: that of the training.
        rng: shuffles histories, draws unknown words, and draws the bootstrap.

    Returns:
        `indexing`, `users`, `valid` (HR@10 and NDCG@10 of the decoder form on the validation items), for each form the
        figures of `history_use`, `wishes` of the decoder form, and `rules`: which of `RULES` it passes.
    """
    targets = {form: P5.load(folder, dataset.catalog, form) for form in get_args(Form)}
    decoder = targets["decoder"]
    valid = leave_one_out_ranks(decoder.score, dataset, "valid")
    report: dict[str, Any] = {
        "indexing": decoder.vocabulary.indexing.scheme,
        "levels": list(decoder.vocabulary.indexing.levels),
        "users": len(valid),
        "valid": {"hr@10": _shown(_mean(hits(valid, K), rng)), "ndcg@10": _shown(_mean(gains(valid, K), rng))},
    }
    report |= {form: history_use(target, dataset, rng=rng) for form, target in targets.items()}
    return report | {"wishes": wishes(decoder, dataset, rng=rng), "rules": rules(report["decoder"])}


def history_use(target: P5, dataset: Dataset, *, rng: np.random.Generator) -> dict[str, Any]:
    """HR@10 on the test items under changes of the prompt, with 95 % intervals over users.

    The mask stays that of the user's own history throughout. `unmasked` is the own history without a mask.

    Returns:
        `hr@10` by condition; `ndcg@10` of `true` and `unmasked`; `order`, the paired difference true - shuffled.
    """
    split = leave_one_out(dataset)
    contexts = [split.context(user, "test") for user in split.test]
    window = target.prompts.far + target.prompts.near
    words = [f"w{number}" for number in rng.integers(10**6, size=5)]
    changed = histories_by_condition(contexts, rng=rng, window=window)
    conditions: dict[str, tuple[Sequence[IntArray], str]] = {
        **{name: (histories, SEEN[0]) for name, histories in changed.items()},
        "unseen_instruction": (contexts, UNSEEN),
        "no_instruction": (contexts, ""),
        "five_unknown_words": (contexts, " ".join([SEEN[0], *words])),
    }
    found: dict[str, FloatArray] = {}
    for name, (histories, instruction) in conditions.items():
        ranks = _ranks(target, dataset, histories, instruction)
        found[name] = hits(ranks, K)
        if name == "true":
            ndcg = {name: _shown(_mean(gains(ranks, K), rng))}
    plain = unmasked_ranks(target, contexts, list(split.test.values()))
    ndcg["unmasked"] = _shown(_mean(np.where(plain <= K, 1 / np.log2(1 + plain), 0.0), rng))
    found["unmasked"] = (plain <= K).astype(np.float64)
    return {
        "hr@10": {name: _shown(_mean(values, rng)) for name, values in found.items()},
        "ndcg@10": ndcg,
        "order": _shown(stats.paired_difference(found["true"], found["shuffled"], rng=rng)),
    }


def wishes(target: P5, dataset: Dataset, *, rng: np.random.Generator, users: int = 200) -> dict[str, Any]:
    """How far words steer: share of a genre in the first ten, plain, when it is asked for, and when it is ruled out.

    Each user is asked about one genre, drawn among those of the catalogue in proportion to its items.

    Args:
        target: what to ask.
        dataset: whose items have genres; without any the answer is empty.
        rng: draws the users and the genres, and draws the bootstrap.
        users: how many are asked.

    Returns:
        The mean share by wording, with 95 % intervals over users; the same for the word alone, put at the front.
    """
    split = leave_one_out(dataset)
    genres = [item.attributes.get("genres", ()) for item in target.catalog.items_in_order]
    offered = [genre for kinds in genres if isinstance(kinds, tuple) for genre in kinds]
    if not offered:
        return {}
    drawn = [list(split.test)[i] for i in rng.permutation(len(split.test))[:users]]
    wished = [offered[rng.integers(len(offered))] for _ in drawn]
    frames = {"plain": "{text}", "asked": WISHES[0], "ruled_out": REFUSALS[0], "word_alone": "{genre} {text}"}
    found = {}
    for name, frame in frames.items():
        shares = []
        for user, genre in zip(drawn, wished, strict=True):
            context = split.context(user, "test")
            row = target.score([context], frame.format(text=SEEN[0], genre=genre))
            row[0, context] = -np.inf
            shares.append(np.mean([genre in genres[i] for i in top(row, K)[0]]))
        found[name] = _shown(_mean(np.array(shares), rng))
    return found


def rules(figures: Mapping[str, Any]) -> dict[str, bool]:
    """Which of `RULES` the figures of one form pass."""
    rate = {name: value["estimate"] for name, value in figures["hr@10"].items()}
    return {
        "true": rate["true"] >= 0.15,
        "emptied": rate["emptied"] <= 0.11,
        "other": rate["other"] <= 0.06,
        "order": rate["true"] - rate["shuffled"] >= 0.04,
    }


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that `recaudit train p5` prints."""
    lines: dict[str, Any] = {"valid_hr@10": report["valid"]["hr@10"]["estimate"]}
    for name, value in report["decoder"]["hr@10"].items():
        lines[f"test_hr@10_{name}"] = value["estimate"]
    lines["test_ndcg@10"] = report["decoder"]["ndcg@10"]["true"]["estimate"]
    lines |= {f"genre_share_{name}": value["estimate"] for name, value in report["wishes"].items()}
    lines["order_blind_test_hr@10"] = report["encoder"]["hr@10"]["true"]["estimate"]
    failed = [RULES[name] for name, passed in report["rules"].items() if not passed]
    return lines | {"rules": f"missed: {'; '.join(failed)}" if failed else "all passed"}


def _ranks(target: P5, dataset: Dataset, histories: Sequence[IntArray], instruction: str) -> Mapping[str, float]:
    """Ranks of the test items with each user's history exchanged for another; the mask stays the user's own."""
    left = iter(histories)
    return leave_one_out_ranks(lambda batch: target.score([next(left) for _ in batch], instruction), dataset, "test")


def unmasked_ranks(target: P5Target, contexts: Sequence[IntArray], held_out: Sequence[int]) -> FloatArray:
    """Rank of each held-out item among the whole catalogue, the history included."""
    scores = target.score(contexts)
    own = scores[np.arange(len(scores)), held_out][:, None]
    ranks: FloatArray = 1.0 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return ranks


def _mean(values: FloatArray, rng: np.random.Generator) -> stats.Interval:
    return stats.mean_interval(values, rng=rng)


def _shown(interval: stats.Interval) -> dict[str, Any]:
    return {"estimate": round(interval.estimate, 4), "ci": [round(interval.low, 4), round(interval.high, 4)]}
