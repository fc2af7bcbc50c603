"""How good a POD-style target is at each of its tasks, and whether it reads the history.

Beside the figures of `history_use`: the same without a mask, under other wordings and none, the right item among
twenty, and whether the sentences are true of the item and of the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit import stats
from audit.data.splits import leave_one_out
from audit.targets.zoo import history_use
from audit.targets.zoo.p5_evaluation import RULES, rules, unmasked_ranks
from audit.targets.zoo.pod import POD
from audit.targets.zoo.pod_explanations import Facts, Told, read
from audit.targets.zoo.pod_prompts import EXPLAIN, LIST, RECOMMEND, RECOMMEND_UNSEEN
from audit.targets.zoo.protocol import hits, leave_one_out_ranks

if TYPE_CHECKING:
    from audit.data.dataset import Dataset, FloatArray, IntArray
    from audit.targets.zoo.p5_prompts import Prompt

K = 10


def evaluate(folder: Path, dataset: Dataset, *, rng: np.random.Generator) -> dict[str, Any]:
    """The weights in `folder`, on the held-out items.

    Args:
        folder: as training writes it.
        dataset: that of the training.
        rng: shuffles histories, draws lists of candidates, and draws the bootstrap.

    Returns:
        `indexing`; what `history_use.evaluate` returns; `unmasked` (HR@10 over the whole catalogue); `wordings`
        (HR@10 without words, and under a wording that training never showed); `pick`; `explanations`; and `rules`:
        which of `p5_evaluation.RULES` it passes.
    """
    target = POD.load(folder, dataset.catalog)
    window = target.prompts.far + target.prompts.near
    report = history_use.evaluate(target.score, dataset, rng=rng, window=window)
    split = leave_one_out(dataset)
    contexts = [split.context(user, "test") for user in split.test]
    held_out = list(split.test.values())
    plain = unmasked_ranks(target, contexts, held_out)
    return {
        "indexing": target.vocabulary.indexing.scheme,
        **report,
        "unmasked": {"hr@10": _rate(plain <= K)},
        "wordings": {"none": _under(target, dataset, ""), "unseen": _under(target, dataset, RECOMMEND_UNSEEN)},
        "pick": picks(target, contexts, held_out, rng=rng),
        "explanations": explanations(target, contexts, held_out),
        "rules": rules(report["test"]),
    }


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that `recaudit train pod` prints."""
    lines: dict[str, Any] = {
        "valid_hr@10": report["valid"]["hr@10"]["estimate"],
        "test_hr@10": report["test"]["hr@10"]["true"]["estimate"],
        "test_ndcg@10": report["test"]["ndcg@10"]["estimate"],
        **history_use.summary(report),
        "test_hr@10_unmasked": report["unmasked"]["hr@10"]["estimate"],
    }
    for part in ("wordings", "pick", "explanations"):
        lines |= {f"{part}_{name}": value["estimate"] for name, value in report[part].items() if value is not None}
    failed = [RULES[name] for name, passed in report["rules"].items() if not passed]
    return lines | {"rules": f"missed: {'; '.join(failed)}" if failed else "all passed"}


def picks(
    target: POD, contexts: Sequence[IntArray], held_out: Sequence[int], *, rng: np.random.Generator
) -> dict[str, Any]:
    """The held-out item among up to nineteen that the user never had, drawn evenly, in a random order.

    Returns:
        `hr@1` and `hr@5` of reading the list; `unread_hr@1` of ranking the same items without it; `first` and `last`,
        how often the first and the last of the list is put first; and `moved`, how often the list backwards has another
        item first.
    """
    size = len(target.catalog)
    lists = []
    for context, item in zip(contexts, held_out, strict=True):
        others = np.setdiff1d(np.arange(size), [*context, item])
        drawn = rng.choice(others, size=min(LIST - 1, len(others)), replace=False)
        lists.append(rng.permutation([item, *drawn]))
    forwards = _read(target, contexts, lists)
    backwards = [row[::-1] for row in _read(target, contexts, [row[::-1] for row in lists])]
    unread = [row[some] for row, some in zip(target.score(contexts), lists, strict=True)]
    places = [int(np.flatnonzero(some == item)[0]) for some, item in zip(lists, held_out, strict=True)]
    rank = np.array([_rank(row, place) for row, place in zip(forwards, places, strict=True)])
    plain = np.array([_rank(row, place) for row, place in zip(unread, places, strict=True)])
    best = [int(row.argmax()) for row in forwards]
    return {
        "hr@1": _rate(rank <= 1),
        "hr@5": _rate(rank <= 5),
        "unread_hr@1": _rate(plain <= 1),
        "first": _rate(np.array([at == 0 for at in best])),
        "last": _rate(np.array([at == len(some) - 1 for at, some in zip(best, lists, strict=True)])),
        "moved": _rate(np.array([at != int(row.argmax()) for at, row in zip(best, backwards, strict=True)])),
    }


def _read(target: POD, contexts: Sequence[IntArray], lists: Sequence[IntArray]) -> list[FloatArray]:
    """Log-probability of each item of each list, in its order, given the list."""
    near = target.prompts.near
    recent = [context[len(context) - min(near, len(context)) :].tolist() for context in contexts]
    asked = [target.prompts.pick(some.tolist(), own, RECOMMEND[0]) for some, own in zip(lists, recent, strict=True)]
    found: list[FloatArray] = [np.empty(0)] * len(asked)
    for rows, values in target.chosen([(prompt, some.tolist()) for prompt, some in zip(asked, lists, strict=True)]):
        for row, value in zip(rows, values.sum(-1), strict=True):
            found[row] = value[: len(lists[row])]
    return found


def _rank(row: FloatArray, place: int) -> float:
    return float(1 + (row > row[place]).sum() + ((row == row[place]).sum() - 1) / 2)


def explanations(target: POD, contexts: Sequence[IntArray], held_out: Sequence[int]) -> dict[str, Any]:
    """Whether the sentences about the held-out items are true.

    Returns:
        Shares, each None where nothing of the kind was said: `well_formed`, of sentences that say what a sentence of
        the training may say; `genre_true` and `year_true`, of those that name one, the item's own; `liked_true`, of
        those that say what the user likes, a genre of `Facts.liked`; `liked_when_due`, how often they say so exactly
        where the item has such a genre. `other_true`: as `liked_true`, with the history of another user in the prompt
        and judged by it; `other_own`: the same sentences judged by the history that was not in the prompt, which is
        what sentences that do not follow the history would reach.
    """
    facts, far = Facts(target.catalog), target.prompts.far
    own = [facts.liked(context[-far:].tolist()) for context in contexts]
    told = _said(target, contexts, held_out)
    moved = [*contexts[1:], *contexts[:1]]
    theirs = [*own[1:], *own[:1]]
    of_others = _said(target, moved, held_out)
    due = [any(genre in facts.genres[item] for genre in liked) for item, liked in zip(held_out, own, strict=True)]
    both = list(zip(told, held_out, strict=True))
    return {
        "well_formed": _share([one is not None for one in told]),
        "genre_true": _share([one.genre in facts.genres[i] for one, i in both if one and one.genre]),
        "year_true": _share([one.year == facts.years[i] for one, i in both if one and one.year]),
        "liked_true": _true(told, own),
        "liked_when_due": _share([bool(one and one.liked) == right for one, right in zip(told, due, strict=True)]),
        "other_true": _true(of_others, theirs),
        "other_own": _true(of_others, own),
    }


def _said(target: POD, contexts: Sequence[IntArray], items: Sequence[int]) -> list[Told | None]:
    prompts: list[Prompt] = [
        target.prompts.explain(item, context.tolist(), EXPLAIN[0])
        for item, context in zip(items, contexts, strict=True)
    ]
    return [read(sentence) for sentence in target.explanations(prompts)]


def _true(told: Sequence[Told | None], liked: Sequence[tuple[str, ...]]) -> dict[str, Any] | None:
    return _share([one.liked in genres for one, genres in zip(told, liked, strict=True) if one and one.liked])


def _under(target: POD, dataset: Dataset, wording: str) -> dict[str, Any]:
    ranks = leave_one_out_ranks(lambda histories: target.score(histories, wording), dataset)
    return _rate(hits(ranks, K) > 0)


def _share(values: Sequence[bool]) -> dict[str, Any] | None:
    return _rate(np.array(values)) if values else None


def _rate(values: np.ndarray[Any, np.dtype[np.bool_]]) -> dict[str, Any]:
    interval = stats.wilson(int(values.sum()), len(values))
    return {"estimate": round(interval.estimate, 4), "ci": [round(interval.low, 4), round(interval.high, 4)]}
