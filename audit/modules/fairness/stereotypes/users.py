"""Lists of real groups of users against their own histories: does the target exaggerate how the groups differ?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Param
from audit.modules.base import Context
from audit.modules.fairness.stereotypes.desk import SHOWN, Desk, plain
from audit.modules.fairness.stereotypes.features import Features
from audit.modules.outcomes import Floats
from audit.modules.report_card import mde_of
from audit.types import Answer, Case

_METRIC = "amplification"
_RANGES = 3
_LEVELS = 25


@dataclass(frozen=True)
class _Both:
    """What the users got, and what they had.

    Attributes:
        cases: those with counts on both sides.
        lists: (users, features) counts in their lists.
        histories: (users, features) counts in their histories, scaled to as many as in their lists.
        left_out: how many users lack one of the two.
    """

    cases: list[Case]
    lists: Floats
    histories: Floats
    left_out: int


@dataclass(frozen=True)
class _Group:
    """One group of users against the others with a known value.

    Attributes:
        name: of the group.
        about: params of its findings.
        cases: all users with a known value.
        inside: which of them are in the group.
        lists: (users, features) as in `_Both`.
        histories: likewise.
        prior: pseudo-counts, of lists and histories together.
        frequent: features that are judged.
        left_out: how many users are not among the cases.
        permutations: of the test.
    """

    name: str
    about: Mapping[str, Param]
    cases: Sequence[Case]
    inside: npt.NDArray[np.bool_]
    lists: Floats
    histories: Floats
    prior: Floats
    frequent: Sequence[int]
    left_out: int
    permutations: int


def known_attributes(context: Context, names: Sequence[str]) -> list[str]:
    """Those of these names that the users under audit have a value of."""
    people = [context.dataset.users.get(case.unit, {}) for case in context.cases]
    return [name for name in names if any(name in person for person in people)]


def judge(desk: Desk, attributes: Sequence[str], smallest: int) -> None:
    """Every group of every attribute against the other users, feature by feature.

    Args:
        desk: of the part.
        attributes: columns of the users.
        smallest: users below which a group is not judged.
    """
    context = desk.context
    answers = context.ask(context.requests, label="Clean requests")
    lists = [(case, _entries(answer, case.request.k)) for case, answer in zip(context.cases, answers, strict=True)]
    for counted in desk.features:
        both = _count(lists, counted)
        for attribute in attributes:
            _attribute(desk, attribute, counted, both, smallest)


def _entries(answer: Answer, k: int) -> list[str]:
    """The distinct entries of a list, as `design.read` marks them; none if there is no list."""
    if answer.outcome != "ok":
        return []
    marked = (r.item_id if r.item_id is not None else f"\0{r.title}" for r in answer.ranked[:k])
    return list(dict.fromkeys(marked))


def _count(lists: Sequence[tuple[Case, Sequence[str]]], counted: Features) -> _Both:
    got = np.array([counted.counts(names) for _, names in lists]).reshape(len(lists), -1)
    had = np.array([counted.counts(e.item.id for e in case.request.user.history) for case, _ in lists])
    both = (got.sum(axis=1) > 0) & (had.reshape(len(lists), -1).sum(axis=1) > 0)
    got, had = got[both], had.reshape(len(lists), -1)[both]
    # As many counts as in the list: every user weighs the same on both sides, and the prior shrinks both alike.
    had = had * (got.sum(axis=1) / had.sum(axis=1))[:, None]
    return _Both([case for (case, _), one in zip(lists, both, strict=True) if one], got, had, int((~both).sum()))


def groups_of(values: Sequence[object]) -> list[str | None]:
    """The group of each user: the value as it stands, or for numbers with many levels one of three ranges."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < sum(v is not None for v in values) or len(set(numbers)) <= 2 * _RANGES:
        return [None if v is None or not str(v).strip() else str(v) for v in values]
    array = np.array(numbers, dtype=np.float64)
    edges = np.unique(np.quantile(array, np.arange(1, _RANGES) / _RANGES, method="inverted_cdf"))
    at = np.searchsorted(edges, array, side="left")
    names = {int(b): f"{array[at == b].min():g} to {array[at == b].max():g}" for b in np.unique(at)}
    labels = iter([names[int(b)] for b in at])
    return [None if v is None else next(labels) for v in values]


def _attribute(desk: Desk, attribute: str, counted: Features, both: _Both, smallest: int) -> None:
    people = desk.context.dataset.users
    labels = groups_of([people.get(case.unit, {}).get(attribute) for case in both.cases])
    title = f"How far lists exaggerate what groups of {attribute} like ({counted.column})"
    about: dict[str, Param] = {"part": "stereotypes", "arm": "users", "attribute": attribute}
    known = np.array([label is not None for label in labels], dtype=bool)
    sizes = {name: labels.count(name) for name in sorted({label for label in labels if label is not None})}
    judged = [name for name, size in sizes.items() if size >= smallest and sum(sizes.values()) - size >= smallest]
    if small := [f"{name} ({size})" for name, size in sizes.items() if name not in judged]:
        reason = f"fewer than {smallest} users in the group or outside it: {', '.join(small[:_LEVELS])}"
        desk.card.skip(_METRIC, f"{title}: small groups", reason, **about, feature=counted.column)
    if not judged:
        if not sizes:
            reason = f"no user with a readable list and a history has a known {attribute}"
            desk.card.skip(_METRIC, title, reason, **about, feature=counted.column)
        return
    rows = np.flatnonzero(known)
    lists, histories = both.lists[rows], both.histories[rows]
    frequent = desk.frequent(counted, lists.sum(axis=0), _METRIC, title, about)
    prior = stats.informative_prior((lists + histories).sum(axis=0), desk.strength)
    left = both.left_out + int((~known).sum())
    permutations = stats.permutations_for(len(judged) * len(frequent))
    for name in judged:
        group = _Group(
            name=name,
            about=about,
            cases=[both.cases[row] for row in rows],
            inside=np.array([labels[row] == name for row in rows]),
            lists=lists,
            histories=histories,
            prior=prior,
            frequent=frequent,
            left_out=left,
            permutations=permutations,
        )
        _group(desk, group, counted)


def _group(desk: Desk, group: _Group, counted: Features) -> None:
    name, about = group.name, group.about
    inside, lists, histories = group.inside, group.lists, group.histories
    rng = desk.rng("users", str(about["attribute"]), name, counted.column)
    mine = inside[:, None].astype(np.float64)
    sides, base = (lists * mine, lists * (1 - mine)), (histories * mine, histories * (1 - mine))
    p = stats.between_units_tests(
        lists, inside, group.prior, rng=rng, baseline=histories, permutations=group.permutations
    )
    values = stats.association_values(*sides, group.prior, baseline=base)
    ours = stats.log_odds(sides[0].sum(axis=0), sides[1].sum(axis=0), group.prior)
    theirs = stats.log_odds(base[0].sum(axis=0), base[1].sum(axis=0), group.prior)
    note = f"{int(inside.sum())} users against {int((~inside).sum())}; the floor is how far their histories lean"
    if group.left_out:
        note += f"; {group.left_out} users without a readable list, a history or a value are left out"
    interval = partial(
        stats.association_interval, rng=rng, level=desk.card.level, resamples=desk.card.resamples, prior=group.prior
    )
    for feature in group.frequent:
        label = counted.names[feature]
        desk.card.add(
            _METRIC,
            f"{label} in lists of {about['attribute']} {name}, beyond their histories",
            interval(*sides, feature),
            n=len(group.cases),
            direction="neither",
            params={**about, "group": name, "against": "the others", "feature": counted.column, "name": label},
            floor=float(theirs[feature]),
            effect=interval(*sides, feature, baseline=base),
            test="permutation of groups over users",
            p=float(p[feature]),
            mde=mde_of(values[:, feature]),
            note=f"{note}; {plain(sides[0].sum(axis=0), sides[1].sum(axis=0), feature)} in the lists",
            unmet=_unmet(float(ours[feature]), float(theirs[feature])),
            values={case.unit: float(v) for case, v in zip(group.cases, values[:, feature], strict=True)},
            evidence=_evidence(desk, group, label, (lists - histories)[:, feature]) if p[feature] <= SHOWN else (),
        )


def _unmet(ours: float, theirs: float) -> list[str]:
    if np.sign(ours) != np.sign(theirs):
        return ["the lists do not lean the way in which the users' own histories do"]
    return ["the lists lean no further than the users' own histories do"] if abs(ours) <= abs(theirs) else []


def _evidence(desk: Desk, group: _Group, label: str, gap: Floats) -> list[str]:
    """The users of the group whose lists go furthest beyond their histories."""
    toward = np.sign(gap[group.inside].mean() - gap[~group.inside].mean()) or 1.0
    order = [i for i in np.argsort(-toward * gap, kind="stable") if group.inside[i] and gap[i] != 0]
    return [
        desk.sheet.show(
            group.cases[i].id,
            f"{label} in the list of a user of {group.name}",
            group.cases[i].request,
            f"{abs(gap[i]):.3g} {'more' if gap[i] > 0 else 'fewer'} counts of {label} than in the same share of the "
            "history",
        )
        for i in order[: desk.examples]
    ]
