"""Two runs, compared: what got better, what got worse, and what cannot be told apart from noise.

Findings are paired by their identity (module, metric, params). Where both runs kept what each case gave, the comparison
is paired within the cases; otherwise it reads the two intervals as if the samples were independent. All comparisons are
corrected together, so that fifty unchanged findings do not show two or three changes by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audit import metrics, stats
from audit.findings import Finding, Verdict
from audit.stats import Interval
from audit.stats.differences import independent_difference, z_test
from audit.types import Answer

if TYPE_CHECKING:
    from audit.run import Run

Outcome = Literal["better", "worse", "changed", "no evidence of change", "not compared"]
"""`changed`: the quantity has no better side. `no evidence of change` is not proof that nothing changed."""

MOST_REQUESTS = 2000
"""Shared requests whose answers are compared; more are sampled, to bound time and memory."""


@dataclass(frozen=True)
class FindingChange:
    """One finding in both runs.

    Attributes:
        old: in the first run.
        new: in the second run.
        outcome: see `Outcome`.
        difference: new minus old of what the finding is read by (the effect where it has one, else the estimate).
        method: `paired` within cases, or `independent` intervals; empty where nothing was compared.
        n: cases that were paired.
        p: two-sided p-value of no change.
        p_adjusted: `p` after Holm over all comparisons of the two runs.
        reason: for what was not compared, why.
    """

    old: Finding
    new: Finding
    outcome: Outcome
    difference: Interval | None = None
    method: Literal["paired", "independent", ""] = ""
    n: int = 0
    p: float | None = None
    p_adjusted: float | None = None
    reason: str = ""

    @property
    def verdicts(self) -> tuple[Verdict | None, Verdict | None]:
        """Before and after."""
        return self.old.verdict, self.new.verdict

    @property
    def newly_failing(self) -> bool:
        """Whether it fails now and did not before."""
        return self.new.verdict == "fail" and self.old.verdict != "fail"

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "id": self.new.id,
            "name": self.new.name,
            "params": dict(self.new.params),
            "title": self.new.title,
            "outcome": self.outcome,
            "old": _read_by(self.old),
            "new": _read_by(self.new),
            "difference": None if self.difference is None else self.difference.estimate,
            "ci": None if self.difference is None else [self.difference.low, self.difference.high],
            "level": self.new.level,
            "method": self.method,
            "n": self.n,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "old_verdict": self.old.verdict,
            "new_verdict": self.new.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class AnswerChange:
    """The answers of both runs to the very same requests.

    Attributes:
        shared: requests (and repeats) that both runs asked.
        compared: how many of them were compared.
        users: whose requests they are.
        identical: pairs with the same outcome and the same list.
        overlap: RBO of the two lists where both are readable, as a mean over users; 1 is the same list.
        jaccard: the same with Jaccard, which does not look at the order.
        lost: readable in the first run only.
        gained: readable in the second run only.
        p: two-sided p-value of no change in readability.
        test: name of that test.
    """

    shared: int
    compared: int = 0
    users: int = 0
    identical: int = 0
    overlap: Interval | None = None
    jaccard: Interval | None = None
    lost: int = 0
    gained: int = 0
    p: float = 1.0
    test: str = ""


@dataclass(frozen=True)
class Diff:
    """Everything that differs between two runs.

    Attributes:
        old: the first run.
        new: the second run.
        changes: findings that both have, in the order of the second run.
        only_old: findings that the second run lacks.
        only_new: findings that the first run lacks.
        answers: to the requests that both asked.
        settings: (name, old, new) of each setting, library or declaration that differs.
    """

    old: Run
    new: Run
    changes: tuple[FindingChange, ...]
    only_old: tuple[Finding, ...]
    only_new: tuple[Finding, ...]
    answers: AnswerChange
    settings: tuple[tuple[str, str, str], ...]

    def of(self, *outcomes: Outcome) -> list[FindingChange]:
        """Changes with one of these outcomes."""
        return [c for c in self.changes if c.outcome in outcomes]

    @property
    def verdict_changes(self) -> list[FindingChange]:
        """Findings whose verdict is another one now."""
        return [c for c in self.changes if c.old.verdict != c.new.verdict]

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible form."""
        return {
            "old": {"id": self.old.id, "name": self.old.name, "verdict": self.old.verdict},
            "new": {"id": self.new.id, "name": self.new.name, "verdict": self.new.verdict},
            "answers": asdict(self.answers),
            "changes": [c.to_dict() for c in self.changes],
            "only_old": [f.id for f in self.only_old],
            "only_new": [f.id for f in self.only_new],
            "settings": [{"name": name, "old": old, "new": new} for name, old, new in self.settings],
        }


def compare(old: Run, new: Run, rng: np.random.Generator) -> Diff:
    """Compare two runs; they may lie in different stores.

    Args:
        old: the run to compare with.
        new: the run to judge.
        rng: for the bootstrap, the permutations, and the sample of requests where there are very many.
    """
    before = {f.id: f for f in old.findings}
    after = {f.id: f for f in new.findings}
    pairs = [(before[key], f) for key, f in after.items() if key in before]
    return Diff(
        old=old,
        new=new,
        changes=tuple(_corrected([_change(old, new, a, b, rng) for a, b in pairs])),
        only_old=tuple(f for key, f in before.items() if key not in after),
        only_new=tuple(f for key, f in after.items() if key not in before),
        answers=_answers(old, new, rng),
        settings=tuple(_settings(old, new)),
    )


# Findings -----------------------------------------------------------------------------------------------------------


def _read_by(finding: Finding) -> float | None:
    return finding.estimate if finding.effect is None else finding.effect


def _change(old: Run, new: Run, a: Finding, b: Finding, rng: np.random.Generator) -> FindingChange:
    refuse = partial(FindingChange, a, b, "not compared")
    for run, finding in (("first", a), ("second", b)):
        if finding.verdict == "not_applicable" or finding.estimate is None:
            return refuse(reason=f"not testable in the {run} run: {finding.reason}")
    if a.level != b.level:
        return refuse(reason=f"the intervals have different levels, {a.level:.0%} and {b.level:.0%}")
    if (a.effect is None) != (b.effect is None):
        return refuse(reason="only one of the runs has a noise floor for it")
    first, second = old.store.values(old.id, a.id), new.store.values(new.id, b.id)
    shared = sorted(first.keys() & second.keys())
    if len(shared) >= 2 and _is_mean(first, a) and _is_mean(second, b):
        x, y = np.array([first[c] for c in shared]), np.array([second[c] for c in shared])
        difference = stats.paired_difference(y, x, rng=rng, level=b.level)
        p = stats.paired_permutation(y, x, rng=rng)
        return FindingChange(a, b, "no evidence of change", difference, "paired", len(shared), p)
    one, two = _interval(a), _interval(b)
    if one is None or two is None:
        return refuse(reason="there is no interval to compare")
    difference = independent_difference(two, one)
    return FindingChange(a, b, "no evidence of change", difference, "independent", 0, z_test(difference))


def _is_mean(values: Mapping[str, float], finding: Finding) -> bool:
    """Whether the finding is the mean of these values; if it is not, pairing them would compare something else."""
    mean = float(np.mean(list(values.values())))
    return bool(np.isclose(mean, _read_by(finding) or 0.0, rtol=1e-6, atol=1e-9))


def _interval(f: Finding) -> Interval | None:
    value, ci = (f.estimate, f.ci) if f.effect is None else (f.effect, f.effect_ci)
    return None if value is None or ci is None else Interval(value, min(ci[0], value), max(ci[1], value), f.level, "")


def _corrected(changes: Sequence[FindingChange]) -> Iterable[FindingChange]:
    tested = [c.p for c in changes if c.p is not None]
    adjusted = iter(stats.holm(tested).tolist() if tested else ())
    for change in changes:
        if change.p is None or change.difference is None:
            yield change
            continue
        p = float(next(adjusted))
        outcome: Outcome = "no evidence of change"
        if p <= 1.0 - change.new.level + 1e-12:
            rose = change.difference.estimate > 0
            worse = {"higher_is_worse": rose, "higher_is_better": not rose}.get(change.new.direction)
            outcome = "changed" if worse is None else "worse" if worse else "better"
        yield replace(change, p_adjusted=p, outcome=outcome)


# Answers ------------------------------------------------------------------------------------------------------------


def _answers(old: Run, new: Run, rng: np.random.Generator) -> AnswerChange:
    shared = sorted(old.store.asked(old.id) & new.store.asked(new.id))
    if not shared:
        return AnswerChange(0)
    chosen = shared
    if len(shared) > MOST_REQUESTS:
        chosen = [shared[i] for i in sorted(rng.choice(len(shared), MOST_REQUESTS, replace=False))]
    digests = [digest for digest, _ in chosen]
    first, second = old.store.answers_to(old.id, digests), new.store.answers_to(new.id, digests)
    asked = new.store.requests(digests)
    overlaps: dict[str, list[tuple[float, float]]] = {}
    readable: dict[str, list[tuple[bool, bool]]] = {}
    identical = 0
    for key in chosen:
        request = asked[key[0]]
        a, b = (_entries(answers[key], request.k) for answers in (first, second))
        user = request.user.id
        readable.setdefault(user, []).append((bool(a), bool(b)))
        identical += a == b and first[key].outcome == second[key].outcome
        if a and b:
            overlaps.setdefault(user, []).append((1.0, 1.0) if a == b else (metrics.rbo(a, b), metrics.jaccard(a, b)))
    pairs = [pair for of_user in readable.values() for pair in of_user]
    p, test = _readability(readable, rng)
    mean = partial(_mean_over_users, overlaps, rng)
    return AnswerChange(
        shared=len(shared),
        compared=len(chosen),
        users=len(readable),
        identical=identical,
        overlap=mean(lambda pair: pair[0]),
        jaccard=mean(lambda pair: pair[1]),
        lost=sum(a and not b for a, b in pairs),
        gained=sum(b and not a for a, b in pairs),
        p=p,
        test=test,
    )


def _entries(answer: Answer, k: int) -> tuple[str, ...]:
    """The list to compare, best first; scores are turned into the order they give. Empty where nothing is readable.

    An entry that matched no item is known by its title: the same invention twice is no change.
    """
    if answer.outcome != "ok":
        return ()
    ranked = answer.ranked
    if ranked and all(entry.score is not None for entry in ranked):
        ranked = tuple(sorted(ranked, key=lambda entry: -(entry.score or 0.0)))
    return tuple(entry.item_id if entry.item_id is not None else f"title:{entry.title}" for entry in ranked[:k])


def _readability(readable: Mapping[str, Sequence[tuple[bool, bool]]], rng: np.random.Generator) -> tuple[float, str]:
    """Test whether more or fewer answers can be read. The requests of one user are no independent trials."""
    if all(len(pairs) == 1 for pairs in readable.values()):
        single = [pairs[0] for pairs in readable.values()]
        lost, gained = sum(a and not b for a, b in single), sum(b and not a for a, b in single)
        return stats.mcnemar_exact(lost, gained), "McNemar exact"
    before = [float(np.mean([a for a, _ in pairs])) for pairs in readable.values()]
    after = [float(np.mean([b for _, b in pairs])) for pairs in readable.values()]
    return stats.paired_permutation(before, after, rng=rng), "permutation of users"


def _mean_over_users(
    overlaps: Mapping[str, Sequence[tuple[float, float]]],
    rng: np.random.Generator,
    pick: Callable[[tuple[float, float]], float],
) -> Interval | None:
    means = [float(np.mean([pick(pair) for pair in pairs])) for pairs in overlaps.values()]
    return stats.mean_interval(means, rng=rng, bounds=(0.0, 1.0)) if means else None


# Settings -----------------------------------------------------------------------------------------------------------


def _settings(old: Run, new: Run) -> Iterable[tuple[str, str, str]]:
    before, after = _flat(_described(old)), _flat(_described(new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield name, before.get(name, "—"), after.get(name, "—")


def _described(run: Run) -> dict[str, Any]:
    config = {k: v for k, v in run.record.config.items() if k not in {"base", "name"}}
    # The wording and the weights matter; what the target declares is long and follows from them.
    declared = {k: run.record.target.get(k) for k in ("name", "fingerprint")}
    return {**config, "target_declared": declared, "versions": dict(run.record.versions), "rules": run.record.policy}


def _flat(data: Mapping[str, Any], start: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{start}{key}."))
        else:
            found[f"{start}{key}"] = "none" if value is None else str(value)
    return found
