"""Whether the target can forget a person: membership of some who were trained on, before and after they are taken out.

Training anew without them is exact forgetting, if it starts from nothing. A training that starts from its old weights,
a cache that outlives it, or a shortcut that only claims to forget leaves the forgotten as recognisable as before.

A target that can be trained is trained here: on people drawn by a coin, then without some of them; both are twins, the
target itself is left alone. Of a target with an adapter, the adapter that was trained without them can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audit import metrics, stats
from audit.data.dataset import Dataset
from audit.errors import TargetError
from audit.findings import Evidence, Param
from audit.gateway import Ask
from audit.guarantee import Members
from audit.modules.base import Context, Output
from audit.modules.privacy import scores
from audit.modules.privacy.known import Split, check_members, masked, members_of
from audit.modules.privacy.module import INFO
from audit.modules.privacy.rows import Question, Shape, draw_questions
from audit.modules.privacy.signals import Kind, Source, kind_of, read
from audit.modules.report_card import ReportCard
from audit.target import Adapted, Forgets, Recommender, Retrains
from audit.text import percent

Floats = npt.NDArray[np.float64]
_FEWEST = 8
"""Forgotten and others; with fewer an AUC says nothing."""
_SHOWN = 3


@dataclass(frozen=True)
class Unlearning:
    """Whether the target can forget a person.

    Attributes:
        members: who was trained on: a file or a folder with `members.json`; None for what the target itself says. Where
            nobody says, a coin of the audit decides whom the twins are trained on. A training that starts from its old
            weights has then seen the others as well, so that no trace of the forgotten stands out: name them.
        adapter: folder of an adapter that was trained without those to be forgotten, with its `members.json`; None to
            train twins here.
        forget: how many are forgotten, at most half of those trained on.
        share: chance of a user to be trained on, for twins, where nobody says who was.
        rows: the most rows of one user, the latest.
        history: the most events in a history.
        candidates: items that an item stands among, for targets that rank.
    """

    members: str | None = None
    adapter: str | None = None
    forget: int = 50
    share: float = 0.5
    rows: int = 8
    history: int = 10
    candidates: int = 20

    def __post_init__(self) -> None:
        check_members(self.members)
        for name, least in (("forget", _FEWEST), ("rows", 1), ("history", 1), ("candidates", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0.1 <= self.share <= 0.9:
            raise ValueError(f"share: {self.share!r} must be from .1 to .9; others must be left to compare with")
        if self.adapter is not None:
            try:
                found = Members.read(Path(self.adapter))
            except TargetError as error:
                raise ValueError(f"adapter: {error}") from None
            if found is None:
                raise ValueError(
                    f"adapter: {self.adapter!r} holds no members.json, which says who is forgotten; name the folder "
                    "that the training without them wrote"
                )

    def lacking(self, context: Context) -> str | None:
        """There must be a way to train, and enough people."""
        target = context.gateway.target
        if kind_of(context, "auto") is None:
            return "the target gives neither lists nor scores by which members could be told"
        if self.adapter is None:
            if not isinstance(target, Retrains):
                return (
                    "the target cannot be trained here, so that nothing can be forgotten; for a target with an "
                    "adapter, name in modules.privacy.unlearning.adapter one that was trained without some people"
                )
        else:
            if not isinstance(target, Adapted):
                return "the target has no adapter that could be exchanged for the one without the forgotten"
            if members_of(context, self.members) is None:
                return "nobody says who was trained on before; name the members.json in modules.privacy.members"
        split = self._split(context)
        if min(len(split.inside), len(split.outside)) < _FEWEST:
            return (
                f"{len(split.inside)} people to forget and {len(split.outside)} others are too few; {_FEWEST} of each "
                "are needed"
            )
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Nothing: twins are other targets, and not charged to the run's budget."""
        return []

    def run(self, context: Context, *, examples: int) -> Output:
        """Train or load, then try to tell the forgotten from others, before and after."""
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        split, kind = self._split(context), kind_of(context, "auto") or "ranks"
        shape = Shape(context.task, self.rows, self.history, 0, self.candidates)
        questions = draw_questions(context, split, shape, ranked=kind == "ranks")
        before: _Seen | None = None
        for by, build in self._stages(context, split):
            seen = _seen(build(), kind, questions, split, context)
            _Judge(context, card, output, examples, by, seen, before).all()
            before = before or seen
        return Output(card.corrected(), output.evidence, card.values)

    def _split(self, context: Context) -> Split:
        """Those to be forgotten, as `inside`, and those who never were in a training."""
        users = context.dataset.user_ids
        if self.adapter is not None:
            before, after = members_of(context, self.members), Members.read(Path(self.adapter))
            if before is None or after is None:
                return Split((), (), 0, Members(frozenset(), frozenset()))
            gone, strange = before.inside - after.inside, before.outside - after.inside
        else:
            rng = context.rng("privacy", "unlearning", "people")
            known = members_of(context, self.members)
            coins = dict(zip(users, (rng.random(len(users)) < self.share).tolist(), strict=True))
            # Those whom the target itself never saw, if they are known: what it keeps from its past is not theirs.
            inside = [u for u in users if (coins[u] if known is None else u in known.inside)]
            strange = frozenset(u for u in users if (not coins[u] if known is None else u in known.outside))
            order = rng.permutation(len(inside))[: min(self.forget, len(inside) // 2)].tolist()
            gone = frozenset(inside[i] for i in order)
        who = Members(frozenset(gone), frozenset(strange))
        return Split(tuple(u for u in users if u in gone), tuple(u for u in users if u in strange), 0, who)

    def _stages(self, context: Context, split: Split) -> Iterator[tuple[str, Callable[[], Recommender]]]:
        """How the target came to be as it is, and how it is built: first with those to be forgotten."""
        target = context.gateway.target
        if self.adapter is not None:
            place = Path(self.adapter)
            yield "", lambda: target
            yield "adapter", lambda: _exchanged(target, place)
            return
        if not isinstance(target, Retrains):
            return
        data = _learnable(context.dataset)
        twin = target.retrain(data.without_users(split.outside))
        yield "", lambda: twin
        # Asked of the twin, as an owner asks the model that is in use: what it keeps from its past shows.
        again = twin if isinstance(twin, Retrains) else target
        yield "retrain", lambda: again.retrain(data.without_users({*split.outside, *split.inside}))
        if isinstance(twin, Forgets):
            yield "forget", lambda: twin.forget(split.inside)


@dataclass(frozen=True)
class _Seen:
    """What one model shows.

    Attributes:
        inside: score by forgotten user, masked; the higher, the more it looks trained on.
        outside: the same of the others.
        utility: NDCG of the items that the cases hold out, of those who were not forgotten; None where there is none.
        lost: rows that could not be read.
        asked: questions, beside the gateway.
    """

    inside: dict[str, float]
    outside: dict[str, float]
    utility: float | None
    lost: int
    asked: int


def _seen(target: Recommender, kind: Kind, questions: Sequence[Question], split: Split, context: Context) -> _Seen:
    source = Source.beside(target)
    by_user: dict[tuple[bool, str], list[float]] = {}
    lost = 0
    for question, row in zip(questions, read(source, kind, questions), strict=True):
        for tokens in row:
            if tokens is None:
                lost += 1
            else:
                by_user.setdefault((question.member, masked(question.user)), []).append(scores.loss(tokens))
    sides: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for (member, user), values in by_user.items():
        sides[0 if member else 1][user] = float(np.mean(values))
    gone = frozenset(split.inside)
    rest = [case for case in context.cases if case.unit not in gone and case.relevant and case.request.task == "rank"]
    answers = source.ask([Ask(case.request) for case in rest])
    gains = [
        metrics.ndcg(answer.ids, case.relevant, case.request.k) if answer.outcome == "ok" else 0.0
        for case, answer in zip(rest, answers, strict=True)
    ]
    return _Seen(*sides, float(np.mean(gains)) if gains else None, lost, len(questions) + len(rest))


@dataclass(frozen=True)
class _Judge:
    context: Context
    card: ReportCard
    output: Output
    examples: int
    by: str
    seen: _Seen
    before: _Seen | None

    def all(self) -> None:
        """How far the forgotten are told from people who were never there: AUC minus one half."""
        a, b = (np.array(list(side.values())) for side in (self.seen.inside, self.seen.outside))
        params: dict[str, Param] = {"when": "before" if self.before is None else "after", "by": self.by}
        title = _TITLES[self.by]
        if min(len(a), len(b)) < _FEWEST:
            reason = f"{len(a)} to be forgotten and {len(b)} others have rows that could be read; {_FEWEST} are needed"
            self.card.skip("unlearning_gap", title, reason, **params)
            return
        gap = _gap(a, b, self.card.level)
        after = self.before is not None
        labels = np.repeat([1.0, 0.0], [len(a), len(b)])
        rng = self.context.rng("privacy", "unlearning", self.by)
        self.card.add(
            "unlearning_gap",
            title,
            gap,
            n=len(a) + len(b),
            direction="higher_is_worse" if after else "neither",
            params=params,
            floor=0.0,
            effect=gap,
            test="permutation of users, one-sided" if after else "",
            p=stats.membership_test(np.concatenate([a, b]), labels, rng=rng) if after else None,
            note=self._note(a, b),
            evidence=self._evidence(b) if after else (),
            values={user: v for user, v in zip(self.seen.inside, (stats.placements(a, b) - 0.5).tolist(), strict=True)},
        )

    def _note(self, a: Floats, b: Floats) -> str:
        said = [f"{len(a)} forgotten and {len(b)} others; AUC {stats.placements(a, b).mean():.3f}"]
        if self.before is not None:
            was = _gap(np.array(list(self.before.inside.values())), np.array(list(self.before.outside.values())), 0.95)
            said.append(f"before it was {0.5 + was.estimate:.3f}")
            if was.low <= 0:
                said.append("which is no trace either, so that nothing is shown to have been forgotten")
        if self.seen.utility is not None:
            told = f"NDCG of the others {self.seen.utility:.3f}"
            if self.before is not None and self.before.utility is not None:
                told += f", before {self.before.utility:.3f}"
            said.append(told)
        if self.seen.lost:
            said.append(f"{self.seen.lost} rows could not be read")
        return "; ".join([*said, f"{self.seen.asked:,} questions beside the budget"])

    def _evidence(self, outside: Floats) -> list[str]:
        """Those who are remembered best; nobody is named, and nothing of a history is shown."""
        shown = []
        ranked = sorted(self.seen.inside.items(), key=lambda pair: (-pair[1], pair[0]))
        for user, score in ranked[: min(self.examples, _SHOWN)]:
            below = float(np.mean(outside < score))
            evidence = Evidence(
                case=user,
                title=f"Taken out, and more at home than {percent(below)} of those who never were in the training",
                note=f"score {score:.3g}, the others' median {np.median(outside):.3g}",
            )
            self.output.evidence.append(evidence)
            shown.append(evidence.id)
        return shown


_TITLES = {
    "": "People to be forgotten, told from others before",
    "retrain": "Forgotten people, told from others after training without them",
    "forget": "Forgotten people, told from others after asking it to forget them",
    "adapter": "Forgotten people, told from others with the adapter that was trained without them",
}


def _gap(a: Floats, b: Floats, level: float) -> stats.Interval:
    area = stats.membership_auc(a, b, level)
    return replace(area, estimate=area.estimate - 0.5, low=area.low - 0.5, high=area.high - 0.5)


def _learnable(dataset: Dataset) -> Dataset:
    """All events but the last of each user, so that what the target is good for can be measured on it."""
    kept = np.ones(len(dataset.interactions), dtype=bool)
    kept[[int(dataset.rows(user)[-1]) for user in dataset.user_ids if len(dataset.rows(user)) >= 3]] = False
    return replace(dataset, interactions=dataset.interactions[kept].reset_index(drop=True))


def _exchanged(target: Recommender, adapter: Path) -> Recommender:
    found = target.with_adapter(adapter) if isinstance(target, Adapted) else None
    if found is None:
        raise TargetError(
            f"modules.privacy.unlearning.adapter: {adapter.name!r} cannot be put on this target, which cannot be built "
            "again; audit it as kind hf or zoo, with its adapter"
        )
    return found
