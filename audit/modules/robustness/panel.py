"""One arm against the clean answers: the findings that rankings and scores have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audit import stats
from audit.findings import Direction, Param
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.robustness.comparison import Compared, Comparison
from audit.stats import Interval, Look


@dataclass(frozen=True)
class Panel:
    """Where the findings about one arm are written.

    Attributes:
        comparison: the clean side.
        arm: the edited side.
        floor: the benign control whose change is the noise floor; None when the arm is itself a benign control.
        card: collects the findings.
        evidence: ids of the cases that lost most.
        unreadable: ids of the cases whose answer became unreadable.
        look: which look at the data this is; None when the cases are looked at once.
    """

    comparison: Comparison
    arm: Compared
    floor: Compared | None
    card: ReportCard
    evidence: Sequence[str] = ()
    unreadable: Sequence[str] = ()
    look: Look | None = None

    @cached_property
    def params(self) -> dict[str, Param]:
        """What identifies the findings of this arm."""
        name = self.arm.arm.id
        params: dict[str, Param] = {"control": name}
        if self.floor is not None:
            params = {"attack": self.arm.attack, "defense": None, "floor": self.floor.arm.id}
        if self.comparison.context.task == "rank":
            params["k"] = self.comparison.context.cases[0].request.k
        return {**params, **self.arm.params}

    @cached_property
    def note(self) -> str:
        """How much was edited and searched."""
        arm, total = self.arm.arm, len(self.comparison.context.cases)
        parts = [] if arm.repeat and not arm.changed else [f"{arm.changed} of {total} requests edited"]
        if len(self.arm.draws) > 1:
            parts.append(f"mean of {len(self.arm.draws)} seeds")
        if self.look is not None and self.look.early:
            parts.append(f"settled at a planned look after {self.look.n} users, interval at {self.look.level:.2%}")
        return "; ".join(parts)

    def titled(self, what: str) -> str:
        """Title of a finding."""
        return f"{self.arm.arm.title}: {what}"

    def noted(self, detail: str) -> str:
        """A detail, then what all findings of the arm say."""
        return "; ".join(part for part in (detail, self.note) if part)

    def tested(self, p: float) -> float:
        """The p-value, made good for the looks that were planned: one look may spend only its part of the error."""
        return p if self.look is None else min(1.0, p * self.look.penalty)

    def rng(self, metric: str) -> np.random.Generator:
        """The random stream of one finding."""
        return self.comparison.context.rng("robustness", self.arm.arm.id, metric)

    def mean(
        self,
        metric: str,
        what: str,
        values: Floats,
        floors: Floats | None,
        bounds: tuple[float, float],
        *,
        among: Bools,
    ) -> None:
        """A mean over users, and its paired difference from the floor with a sign-flip test.

        Args:
            metric: name.
            what: for the title.
            values: (cases,) under the arm.
            floors: (cases,) under the benign control.
            bounds: least and greatest possible value.
            among: (cases,) which cases count: those whose clean answer could be read.
        """
        cases = [case.id for case, counts in zip(self.comparison.context.cases, among, strict=True) if counts]
        if len(cases) < 2:
            self.card.skip(metric, self.titled(what), "fewer than two clean answers could be read", **self.params)
            return
        values, floors = values[among], None if floors is None else floors[among]
        rng, level = self.rng(metric), self.card.level
        effect: Interval | None = None
        p = mde = None
        if floors is not None:
            width = bounds[1] - bounds[0]
            effect = stats.paired_difference(
                values, floors, rng=rng, level=level, resamples=self.card.resamples, bounds=(-width, width)
            )
            p = self.tested(stats.paired_permutation(values, floors, rng=rng, alternative="greater"))
            mde = mde_of(values - floors)
        kept = values if floors is None else values - floors
        self.card.add(
            metric,
            self.titled(what),
            stats.mean_interval(values, rng=rng, level=level, resamples=self.card.resamples, bounds=bounds),
            n=len(values),
            direction="higher_is_worse",
            params=self.params,
            floor=None if floors is None else float(floors.mean()),
            effect=effect,
            test="" if p is None else "paired permutation, one-sided",
            p=p,
            mde=mde,
            note=self.note,
            evidence=self.evidence,
            values=dict(zip(cases, kept.tolist(), strict=True)),
        )

    def share(
        self,
        metric: str,
        what: str,
        among: Bools,
        events: Bools,
        floors: Bools | None,
        users: np.ndarray[tuple[int], np.dtype[np.str_]],
        direction: Direction,
    ) -> None:
        """A rate over trials that are nested in users, and its paired difference from the floor.

        Args:
            metric: name.
            what: for the title.
            among: (trials,) which trials count.
            events: (trials,) which of them happened.
            floors: (trials,) which happen under the benign control.
            users: (trials,) whose trial it is; with one trial a user the test is McNemar's, else users are permuted.
            direction: which way is worse.
        """
        rng, level = self.rng(metric), self.card.level
        unit = np.unique(users, return_inverse=True)[1]
        count = int(unit.max()) + 1 if len(unit) else 0

        def per_user(rows: Bools) -> Floats:
            return np.bincount(unit[rows], minlength=count).astype(float)

        trials = per_user(among)
        n = int((trials > 0).sum())
        if n == 0:
            self.card.skip(
                metric,
                self.titled(what),
                "no answers that could be read on both sides were of that kind",
                **self.params,
            )
            return
        happened = per_user(among & events)
        effect: Interval | None = None
        floor = p = mde = None
        test = ""
        if floors is not None:
            benign = per_user(among & floors)
            floor = float(benign.sum() / trials.sum())
            single = bool((trials <= 1).all())
            only_attack, only_floor = int((happened > benign).sum()), int((happened < benign).sum())
            if single:
                effect = stats.paired_rate_difference(only_attack, only_floor, n, level)
            elif n > 1:
                effect = stats.ratio_interval(
                    happened - benign, trials, rng=rng, level=level, resamples=self.card.resamples
                )
                if effect.method == "constant" and abs(effect.estimate) in {0.0, 1.0}:
                    # The trials of a user all agree, so each user is one trial.
                    effect = stats.paired_rate_difference(only_attack, only_floor, n, level)
            # Gains are shown beside the flips, not tested: the question is what an attack costs.
            if direction == "neither":
                pass
            elif single:
                test = "McNemar exact, one-sided"
                p = self.tested(stats.mcnemar_exact(only_attack, only_floor, "greater"))
                mde = stats.minimum_detectable_rate_difference((only_attack + only_floor) / n, n)
            else:
                test = "paired permutation of users, one-sided"
                p = self.tested(stats.paired_permutation(happened, benign, rng=rng, alternative="greater"))
                mde = mde_of(((happened - benign) / np.maximum(trials, 1))[trials > 0])
        self.card.add(
            metric,
            self.titled(what),
            stats.cluster_rate(happened, trials, rng=rng, level=level, resamples=self.card.resamples),
            n=n,
            direction=direction,
            params=self.params,
            floor=floor,
            effect=effect,
            test=test,
            p=p,
            mde=mde,
            note=self.noted(f"{int(happened.sum())} of {int(trials.sum())}"),
            evidence=self.evidence if direction == "higher_is_worse" else (),
        )

    def invalid(self, clean: Bools, after: Bools) -> None:
        """How many readable answers became unreadable: a bucket of its own, neither success nor robustness.

        Args:
            clean: (cases,) whether the clean answer could be read.
            after: (draws, cases) whether the edited answer could.
        """
        what = self.titled("answers that became unreadable")
        readable, lost = int(clean.sum()), int((clean & ~after).sum())
        if readable == 0:
            self.card.skip("invalid_rate", what, "no clean answer was readable", **self.params)
            return
        level, rng = self.card.level, self.rng("invalid_rate")
        trials = np.full(readable, len(after))
        self.card.add(
            "invalid_rate",
            what,
            stats.cluster_rate(
                (~after)[:, clean].sum(axis=0), trials, rng=rng, level=level, resamples=self.card.resamples
            ),
            n=readable,
            direction="higher_is_worse",
            params=self.params,
            note=f"{lost} of {readable * len(after)}",
            evidence=self.unreadable,
        )
