"""Two runs, compared: what got better, what got worse, and what cannot be told apart from noise.

Findings are paired by their identity (module, metric, params). Where both runs kept what each case gave, and asked
mostly the same cases, the comparison is paired within the cases: McNemar's exact test where every case says yes or no,
a permutation of the signs elsewhere. Otherwise it reads the two intervals as if the samples were independent. All
comparisons are corrected together, so that fifty unchanged findings do not show two or three changes by luck. What
shows no change says how large a change would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audit import stats
from audit.diff_answers import AnswerChange, compare_answers
from audit.errors import StoreError
from audit.findings import Finding, Verdict
from audit.stats import Interval
from audit.stats.differences import independent_difference, minimum_detectable_shift, z_test
from audit.stats.resampling import Floats

if TYPE_CHECKING:
    from audit.run import Run
    from audit.store import RunRecord, Store

Outcome = Literal["better", "worse", "changed", "no evidence of change", "not compared"]
"""`changed`: the quantity has no better side. `no evidence of change` is not proof that nothing changed."""

MOSTLY = 0.5
"""Share of each run's cases that both must have for a paired comparison: with a few common cases the many others would
be thrown away. It is decided by who was asked, before any value is looked at."""

_SCREEN = 0.01
"""A permutation test whose first draw gives more than this is not repeated with the many permutations that a corrected
p-value needs; the second draw stands by itself, so that the first cannot make a false alarm."""


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
        moved: how many of them differ between the runs.
        test: name of the test behind `p`.
        p: two-sided p-value of no change.
        p_adjusted: `p` after Holm over all comparisons of the two runs.
        mde: smallest change that this comparison would have seen with power .8, had it been the only change among all
            that were compared; None where none could have been seen, or where no case moved and the spread is unknown.
        reason: for what was not compared, why.
    """

    old: Finding
    new: Finding
    outcome: Outcome
    difference: Interval | None = None
    method: Literal["paired", "independent", ""] = ""
    n: int = 0
    moved: int = 0
    test: str = ""
    p: float | None = None
    p_adjusted: float | None = None
    mde: float | None = None
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
            "level": self.new.level if self.difference is None else self.difference.level,
            "method": self.method,
            "n": self.n,
            "moved": self.moved,
            "test": self.test,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "mde": self.mde,
            "old_verdict": self.old.verdict,
            "new_verdict": self.new.verdict,
            "reason": self.reason,
        }


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
    def comparisons(self) -> int:
        """How many findings were tested for a change: what the p-values are corrected over."""
        return sum(c.p is not None for c in self.changes)

    @property
    def newly_failing(self) -> list[FindingChange]:
        """Findings that fail now and did not before."""
        return [c for c in self.changes if c.newly_failing]

    @property
    def no_longer_judged(self) -> list[Finding]:
        """Findings of the first run with a verdict that the second run lacks, or could not test."""
        without = (None, "not_applicable")
        gone = [f for f in self.only_old if f.verdict not in without]
        return [*gone, *(c.old for c in self.changes if c.old.verdict not in without and c.new.verdict in without)]

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
            "comparisons": self.comparisons,
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
    pairs = [_pair(old, new, before[key], f) for key, f in after.items() if key in before]
    tests = sum(not pair.refused for pair in pairs)
    return Diff(
        old=old,
        new=new,
        changes=tuple(_corrected([_change(pair, tests, rng) for pair in pairs])),
        only_old=tuple(f for key, f in before.items() if key not in after),
        only_new=tuple(f for key, f in after.items() if key not in before),
        answers=compare_answers(old, new, rng),
        settings=tuple(_settings(old, new)),
    )


def baseline(name: str, new: RunRecord, store: Store) -> RunRecord:
    """The run to compare another with.

    Args:
        name: id or unique prefix of an id; `previous` for the newest finished run before `new` that has the same name
            in its configuration; or such a name (`quickstart-main`) for the newest finished run that bears it.
        new: the run that will be compared with it, which is never its own baseline.
        store: where to look.

    Raises:
        StoreError: there is no such run.
    """
    heads = store.heads()
    others = [h for h in heads if h.id != new.id and h.status == "finished"]
    if name == "previous":
        found = next((h for h in others if h.name == new.name and h.created < new.created), None)
        if found is None:
            raise StoreError(
                f"previous: {store.shown} holds no finished run of {new.name!r} before {new.id}; name a run"
            )
        return store.run(found.id)
    # Ids win over names, so that nobody can hide a run by giving another one its id for a name.
    if any(h.id.startswith(name) for h in heads) or name == "latest":
        return store.run(name)
    return store.run(next((h.id for h in others if h.name == name), name))


# Findings -----------------------------------------------------------------------------------------------------------


def _read_by(finding: Finding) -> float | None:
    return finding.estimate if finding.effect is None else finding.effect


@dataclass(frozen=True)
class _Pair:
    """One finding of both runs, with what there is to compare.

    Attributes:
        old: in the first run.
        new: in the second run.
        values: what each common case gave, before and after, shape (n,); None where the intervals have to do.
        intervals: before and after, for where there are no values.
        refused: why it cannot be compared at all; empty where it can.
    """

    old: Finding
    new: Finding
    values: tuple[Floats, Floats] | None = None
    intervals: tuple[Interval, Interval] | None = None
    refused: str = ""


def _pair(old: Run, new: Run, a: Finding, b: Finding) -> _Pair:
    for run, finding in (("first", a), ("second", b)):
        if finding.verdict == "not_applicable" or finding.estimate is None:
            return _Pair(a, b, refused=f"not testable in the {run} run: {finding.reason}")
    if (a.effect is None) != (b.effect is None):
        return _Pair(a, b, refused="only one of the runs has a noise floor for it")
    first, second = old.store.values(old.id, a.id), new.store.values(new.id, b.id)
    shared = sorted(first.keys() & second.keys())
    enough = len(shared) >= max(2.0, MOSTLY * len(first), MOSTLY * len(second))
    if enough and _is_mean(first, a) and _is_mean(second, b):
        return _Pair(a, b, (np.array([first[c] for c in shared]), np.array([second[c] for c in shared])))
    one, two = _interval(a), _interval(b)
    if one is None or two is None:
        return _Pair(a, b, refused="there is no interval to compare")
    if a.level != b.level:
        return _Pair(a, b, refused=f"the intervals have different levels, {a.level:.0%} and {b.level:.0%}")
    return _Pair(a, b, intervals=(one, two))


def _change(pair: _Pair, tests: int, rng: np.random.Generator) -> FindingChange:
    """Test one finding for a change; `tests` is how many are tested together."""
    # Of two levels the more cautious one: looks in between may have cost one run some of its own.
    level = max(pair.old.level, pair.new.level)
    alone = (1.0 - level) / max(tests, 1)
    outcome: Outcome = "no evidence of change"
    if pair.values is not None:
        return FindingChange(pair.old, pair.new, outcome, **_paired(*pair.values, level, alone, rng))
    if pair.intervals is not None:
        difference = independent_difference(pair.intervals[1], pair.intervals[0])
        mde = minimum_detectable_shift(difference, alpha=alone)
        p = z_test(difference)
        return FindingChange(pair.old, pair.new, outcome, difference, "independent", test="z", p=p, mde=mde)
    return FindingChange(pair.old, pair.new, "not compared", reason=pair.refused)


def _paired(x: Floats, y: Floats, level: float, alone: float, rng: np.random.Generator) -> dict[str, Any]:
    """The fields of a comparison within cases.

    Args:
        x: what each case gave before, shape (n,).
        y: after, shape (n,).
        level: of the interval.
        alone: what p must not exceed for a change that is the only one among all that are tested.
        rng: for the bootstrap and the permutations.
    """
    n, moved = len(x), int(np.count_nonzero(x != y))
    if set(np.unique((x, y)).tolist()) <= {0.0, 1.0}:
        gained, lost = int(np.count_nonzero(y > x)), int(np.count_nonzero(y < x))
        difference = stats.paired_rate_difference(gained, lost, n, level)
        test, p = "McNemar exact", stats.mcnemar_exact(gained, lost)
        mde = stats.minimum_detectable_exact_mcnemar(moved / n, n, alpha=alone)
    else:
        difference = stats.paired_difference(y, x, rng=rng, level=level)
        test, p = "permutation of signs", stats.paired_permutation(y, x, rng=rng)
        if p <= _SCREEN:
            many = stats.permutations_for(10, alone)
            p = stats.paired_permutation(y, x, rng=rng, permutations=many)
        # The smallest p that n signs can give is 2 of all their patterns.
        seen = moved > 0 and 2.0 ** (1 - n) <= alone
        mde = stats.minimum_detectable_difference(float(np.std(y - x, ddof=1)), n, alpha=alone) if seen else None
    return {"difference": difference, "method": "paired", "n": n, "moved": moved, "test": test, "p": p, "mde": mde}


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
        if p <= 1.0 - change.difference.level + 1e-12:
            rose = change.difference.estimate > 0
            worse = {"higher_is_worse": rose, "higher_is_better": not rose}.get(change.new.direction)
            outcome = "changed" if worse is None else "worse" if worse else "better"
        yield replace(change, p_adjusted=p, outcome=outcome)


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
