"""Shilling: do fake users lift an item in a target that is fitted again on what they did?

For each unpopular item a twin of the target is fitted on the interactions with fake users in them, and one twin on the
clean ones. What the clean twin changes against the target as it stands is the floor: it is what fitting again does by
itself. The questions to the target go through the gateway; twins are other targets, so they are asked directly, and the
findings say how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audit import stats
from audit.attack import Attack
from audit.attack.shilling import Profiles, Shilling, check_size
from audit.data.dataset import Dataset
from audit.findings import Evidence
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.outcomes import Floats
from audit.modules.report_card import ReportCard
from audit.modules.robustness.board import Board
from audit.target import Insight, Recommender, Retrains
from audit.types import Answer, Item, Request

SHILLING_METRICS = ("target_hr_lift", "prediction_shift", "shilling_detection_auc")
"""Metrics that only these attacks have."""

_UNPOPULAR = 0.25
"""Share of the catalogue, the least popular first, from which the items to push are drawn."""


@dataclass(frozen=True)
class _Trial:
    """One user who lacks one of the pushed items, asked for a list and for the score of the item."""

    user: str
    case: str
    item: Item
    ranked: Request
    scored: Request


@dataclass(frozen=True)
class _Sides:
    """What one target answered to each trial: the lists, and scores of the items where it gives any."""

    lists: Sequence[Answer]
    scores: Sequence[float | None]


def shilling(
    attacks: Mapping[str, Attack],
    context: Context,
    card: ReportCard,
    output: Output,
    *,
    items: int = 8,
    fake_share: float = 0.03,
    fillers: int = 30,
    examples: int = 50,
) -> None:
    """Judge every attack that writes fake users; others are left out.

    Args:
        attacks: built, by registered name.
        context: what is audited.
        card: collects the findings.
        output: collects the evidence.
        items: most items to push, one attack on each.
        fake_share: fake users, as a share of the real ones.
        fillers: items each fake user has beside the pushed one.
        examples: pieces of evidence kept per attack.
    """
    check_size(fake_share, fillers)
    chosen = {name: attack for name, attack in attacks.items() if isinstance(attack, Shilling)}
    able: dict[str, Shilling] = {}
    target = context.gateway.target
    for name, attack in chosen.items():
        reason = attack.info.lacking(context.info, context.task)
        if reason is None and not isinstance(target, Retrains):
            reason = f"the target declares {Insight.TRAIN.value}, but has no method `retrain`"
        if reason:
            card.skip("target_hr_lift", attack.info.title, reason, attack=name)
        else:
            able[name] = attack
    if not able or not isinstance(target, Retrains):
        return
    data = _learnable(context)
    trials = _trials(context, data, items)
    if len({trial.user for trial in trials}) < 2:
        for name, attack in able.items():
            reason = "fewer than two users lack an unpopular item that could be pushed"
            card.skip("target_hr_lift", attack.info.title, reason, attack=name)
        return
    now = _through_gateway(context, trials)
    clean = _asked(target.retrain(data), trials, scores=now.scores[0] is not None)
    count = max(1, round(fake_share * len(data.user_ids)))
    for name, attack in able.items():
        board = Board(
            name,
            attack.info.title,
            card,
            output,
            lambda *parts, name=name: context.rng("shilling", name, *parts),
            examples,
            {"fake_share": fake_share, "fillers": fillers},
        )
        _judge(attack, board, context, data, trials, count, fillers, target, now, clean)


def search_queries(attacks: Mapping[str, Attack], context: Context, *, items: int = 8) -> int:
    """Most queries that `shilling` may put to the target with these attacks, for a plan; twins are not the target."""
    able = [a for a in attacks.values() if isinstance(a, Shilling)]
    if not any(a.info.lacking(context.info, context.task) is None for a in able):
        return 0
    return len(context.cases) * items * (2 if _gives_scores(context) else 1)


def _gives_scores(context: Context) -> bool:
    return Insight.SCORES in context.info.reveals and "score" in context.info.tasks


def _learnable(context: Context) -> Dataset:
    """What the target may learn: all interactions but the last of each user and those that the cases hold out."""
    data = context.dataset
    held = np.zeros(len(data.interactions), dtype=bool)
    for user in data.user_ids:
        held[data.rows(user)[-1]] = len(data.rows(user)) >= 3
    wanted = {case.unit: case.relevant for case in context.cases}
    for row, (user, item) in enumerate(zip(data.interactions["user"], data.interactions["item"], strict=True)):
        held[row] |= item in wanted.get(user, ())
    return replace(data, interactions=data.interactions[~held].reset_index(drop=True))


def _trials(context: Context, data: Dataset, items: int) -> list[_Trial]:
    """Each user who lacks it, for each of some unpopular items that have been learned from at all."""
    counts = np.bincount(
        data.interactions["item"].map(data.index).to_numpy(dtype=np.int64), minlength=len(data.catalog)
    )
    order = [i for i in np.argsort(counts, kind="stable") if counts[i] > 0]
    rare = order[: max(items, round(_UNPOPULAR * len(order)))]
    picked = context.rng("shilling", "items").permutation(len(rare))[:items]
    trials = []
    for item in (data.catalog.items_in_order[rare[i]] for i in sorted(picked.tolist())):
        for case in context.cases:
            request = case.request
            asked = {c.id for c in request.candidates or ()}
            if item.id in case.relevant | asked or any(e.item.id == item.id for e in request.user.history):
                continue
            offered = (*(request.candidates or ()), item) if context.info.needs_candidates else None
            trials.append(
                _Trial(
                    case.unit,
                    case.id,
                    item,
                    replace(request, task="rank", candidates=offered),
                    replace(request, task="score", candidates=(item,)),
                )
            )
    return trials


def _through_gateway(context: Context, trials: Sequence[_Trial]) -> _Sides:
    lists = context.gateway.ask([Ask(t.ranked) for t in trials], label="Before fake users")
    scores: list[float | None] = [None] * len(trials)
    if _gives_scores(context):
        scored = context.gateway.ask([Ask(t.scored) for t in trials], label="Before fake users, scores")
        scores = [_score(answer) for answer in scored]
    return _Sides(lists, scores)


def _asked(twin: Recommender, trials: Sequence[_Trial], *, scores: bool) -> _Sides:
    lists = twin.recommend([t.ranked for t in trials])
    if not scores:
        return _Sides(lists, [None] * len(trials))
    return _Sides(lists, [_score(answer) for answer in twin.recommend([t.scored for t in trials])])


def _score(answer: Answer) -> float | None:
    return answer.ranked[0].score if answer.outcome == "ok" and answer.ranked else None


def _hits(trials: Sequence[_Trial], side: _Sides) -> Floats:
    """1 where the pushed item is in the list of the user."""
    pairs = zip(trials, side.lists, strict=True)
    return np.array([float(t.item.id in a.ids[: t.ranked.k]) for t, a in pairs], dtype=np.float64)


def _judge(
    attack: Shilling,
    board: Board,
    context: Context,
    data: Dataset,
    trials: Sequence[_Trial],
    count: int,
    fillers: int,
    target: Retrains,
    now: _Sides,
    clean: _Sides,
) -> None:
    lists: list[Answer] = []
    scores: list[float | None] = []
    seen: list[tuple[Dataset, Profiles]] = []
    queries = 0
    with_scores = now.scores[0] is not None
    for item in dict.fromkeys(trial.item.id for trial in trials):
        part = [trial for trial in trials if trial.item.id == item]
        fakes = attack.profiles(data, item, count, fillers, context.rng("shilling", board.attack, "profiles", item))
        poisoned = data.with_users(fakes)
        side = _asked(target.retrain(poisoned), part, scores=with_scores)
        lists += side.lists
        scores += side.scores
        seen.append((poisoned, fakes))
        queries += len(part) * (2 if with_scores else 1)
    after = _Sides(lists, scores)
    size = np.mean([len(events) for _, fakes in seen for events in fakes.values()])
    board.note = (
        f"{count} fake users of {size:.0f} events each, for each of {len(seen)} unpopular items; "
        f"the refitted twins were asked {queries} questions outside the run's budget"
    )
    _lifted(board, context, trials, now, clean, after)
    _shifted(board, trials, now, clean, after)
    _detected(board, seen)


def _lifted(
    board: Board, context: Context, trials: Sequence[_Trial], now: _Sides, clean: _Sides, after: _Sides
) -> None:
    hit, twin, pushed = (_hits(trials, side) for side in (now, clean, after))
    k = trials[0].ranked.k
    gained = [i for i in range(len(trials)) if pushed[i] > max(hit[i], twin[i])]
    pieces = [
        Evidence(
            case=trials[i].case,
            title=board.title,
            before=trials[i].ranked.digest,
            after=None,
            note=f"{trials[i].item.title} came to rank {after.lists[i].ids.index(trials[i].item.id) + 1} "
            "after the target was fitted with fake users; the request is unchanged",
        )
        for i in gained[: board.examples]
    ]
    board.mean(
        "target_hr_lift",
        f"HR@{k} of the pushed item gained, over users who lack it",
        [trial.user for trial in trials],
        pushed - hit,
        twin - hit,
        (-1.0, 1.0),
        evidence=board.show(pieces),
        note=f"HR@{k} {hit.mean():.3f} → {pushed.mean():.3f}; clean twin {twin.mean():.3f}",
        k=k,
    )


def _shifted(board: Board, trials: Sequence[_Trial], now: _Sides, clean: _Sides, after: _Sides) -> None:
    """The mean change of the score of the pushed item, in the target's own unit (Mobasher et al. 2007, section 4.2)."""
    rows = [
        (trial.user, a, b, c)
        for trial, a, b, c in zip(trials, now.scores, clean.scores, after.scores, strict=True)
        if a is not None and b is not None and c is not None
    ]
    if not rows:
        reason = "the target gives no score of a single item"
        board.card.skip("prediction_shift", f"{board.title}: score of the pushed item", reason, **board.params())
        return
    before, twin, pushed = (np.array([row[n] for row in rows], dtype=np.float64) for n in (1, 2, 3))
    most = float(max(np.abs(pushed - before).max(), np.abs(twin - before).max(), np.abs(pushed - twin).max())) or 1.0
    board.mean(
        "prediction_shift",
        "score of the pushed item gained, in the target's own unit",
        [row[0] for row in rows],
        pushed - before,
        twin - before,
        (-most, most),
        note=f"score {before.mean():.3g} → {pushed.mean():.3g}; clean twin {twin.mean():.3g}",
    )


def _detected(board: Board, seen: Sequence[tuple[Dataset, Profiles]]) -> None:
    """How well one simple statistic tells the fake users: 1 for perfectly, 0.5 for not at all."""
    title = f"{board.title}: how well agreement with others tells the fake users (RDMA)"
    values: list[float] = []
    labels: list[int] = []
    users: list[str] = []
    for number, (data, fakes) in enumerate(seen):
        found = disagreement(data)
        if not found:
            reason = "there are no ratings, so nobody can disagree about one"
            board.card.skip("shilling_detection_auc", title, reason, **board.params())
            return
        for user, value in found.items():
            values.append(value)
            labels.append(int(user in fakes))
            users.append(f"{user}/{number}" if user in fakes else user)
    interval = stats.auc_interval(
        values, labels, users, rng=board.rng("detection"), level=board.card.level, resamples=board.card.resamples
    )
    board.card.add(
        "shilling_detection_auc",
        title,
        interval,
        n=len(set(users)),
        direction="neither",
        params=board.params(),
        note=board.note,
    )


def disagreement(data: Dataset) -> dict[str, float]:
    """RDMA of each user: (1 / N_u) Σ_i |r_ui − r̄_i| / NR_i over the user's N_u ratings, NR_i of them on item i.

    Rating deviation from mean agreement (Chirita, Nejdl and Zamfir, "Preventing shilling attacks in online recommender
    systems", WIDM 2005): high for a profile that disagrees about items on which few have an opinion.

    Returns:
        By user id; users without ratings are left out.
    """
    frame = data.interactions[data.interactions["rating"].notna()]
    if not len(frame):
        return {}
    votes = frame.groupby("item")["rating"].transform("size").to_numpy(dtype=np.float64)
    means = frame.groupby("item")["rating"].transform("mean").to_numpy(dtype=np.float64)
    apart = np.abs(frame["rating"].to_numpy(dtype=np.float64) - means) / votes
    users, unit = np.unique(frame["user"].to_numpy(dtype=str), return_inverse=True)
    sums = np.bincount(unit, weights=apart) / np.bincount(unit)
    return dict(zip(users.tolist(), sums.tolist(), strict=True))
