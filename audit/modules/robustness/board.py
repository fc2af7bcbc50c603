"""Where the findings about planted text are written: means and rates over trials that are nested in users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audit import stats
from audit.findings import Direction, Evidence, Param
from audit.modules.base import Output
from audit.modules.outcomes import Bools, Floats
from audit.modules.report_card import ReportCard, mde_of
from audit.stats import Interval


@dataclass
class Board:
    """Where the findings of one attack are written.

    Attributes:
        attack: its registered name.
        title: of the attack, for a report.
        card: collects the findings.
        output: collects the evidence.
        rng: gives the random stream of one finding.
        examples: most pieces of evidence.
        extra: params that all findings share.
        note: what all findings say.
    """

    attack: str
    title: str
    card: ReportCard
    output: Output
    rng: Callable[..., np.random.Generator]
    examples: int
    extra: Mapping[str, Param] = field(default_factory=dict)
    note: str = ""

    def params(self, **more: Param) -> dict[str, Param]:
        """What identifies a finding."""
        return {"attack": self.attack, "defense": None, **self.extra, **more}

    def mean(
        self,
        metric: str,
        what: str,
        units: Sequence[str],
        values: Floats,
        floors: Floats,
        bounds: tuple[float, float],
        *,
        evidence: Sequence[str] = (),
        note: str = "",
        **params: Param,
    ) -> None:
        """A mean over users of each user's mean, and its paired difference from the harmless text.

        Args:
            metric: name.
            what: for the title.
            units: (trials,) the user of each.
            values: (trials,) under the attack.
            floors: (trials,) under the harmless text.
            bounds: least and greatest possible value, and difference: both sides are changes from the same clean list.
            evidence: ids.
            note: a detail.
            params: that tell the finding from others of the attack.
        """
        users, mine = by_user(units, values)
        _, benign = by_user(units, floors)
        title, own = f"{self.title}: {what}", self.params(**params)
        if len(users) < 2:
            self.card.skip(metric, title, "fewer than two users gave answers that could be read", **own)
            return
        rng = self.rng(metric, *map(str, params.values()))
        level, resamples = self.card.level, self.card.resamples
        self.card.add(
            metric,
            title,
            stats.mean_interval(mine, rng=rng, level=level, resamples=resamples, bounds=bounds),
            n=len(users),
            direction="higher_is_worse",
            params=own,
            floor=float(benign.mean()),
            effect=stats.paired_difference(mine, benign, rng=rng, level=level, resamples=resamples, bounds=bounds),
            test="paired permutation of users, one-sided",
            p=stats.paired_permutation(mine, benign, rng=rng, alternative="greater"),
            mde=mde_of(mine - benign),
            note="; ".join(part for part in (note, self.note) if part),
            evidence=evidence,
            values=dict(zip(users, (mine - benign).tolist(), strict=True)),
        )

    def rate(
        self,
        metric: str,
        what: str,
        units: Sequence[str],
        events: Bools,
        floors: Bools | None,
        *,
        evidence: Sequence[str] = (),
        direction: Direction = "higher_is_worse",
        nothing: str = "no trial was of that kind",
        params: Mapping[str, Param] | None = None,
    ) -> None:
        """A rate over trials nested in users, and its paired difference from the harmless text.

        Args:
            metric: name.
            what: for the title.
            units: (trials,) the user of each.
            events: (trials,) which of them happened.
            floors: (trials,) which happen with harmless text; None where there is no such floor.
            evidence: ids.
            direction: which way is worse.
            nothing: the reason given when there is no trial.
            params: that tell the finding from others of the attack.
        """
        params = params or {}
        title, own = f"{self.title}: {what}", self.params(**params)
        if not len(events):
            self.card.skip(metric, title, nothing, **own)
            return
        rng, level = self.rng(metric, *map(str, params.values())), self.card.level
        resamples = self.card.resamples
        users, unit = np.unique(np.asarray(units, dtype=str), return_inverse=True)
        n = len(users)
        trials = np.bincount(unit, minlength=n).astype(float)
        happened = np.bincount(unit[events], minlength=n).astype(float)
        try:
            interval = stats.cluster_rate(happened, trials, rng=rng, level=level, resamples=resamples)
        except ValueError as error:  # some of one user's trials: no spread to resample
            self.card.skip(metric, title, str(error), **own)
            return
        effect: Interval | None = None
        floor = p = mde = None
        if floors is not None:
            benign = np.bincount(unit[floors], minlength=n).astype(float)
            floor = float(benign.sum() / trials.sum())
            up, down = int((happened > benign).sum()), int((happened < benign).sum())
            alike = len(set(np.round((happened - benign) / trials, 12).tolist())) == 1
            if (trials <= 1).all() or (alike and up in (0, n) and down in (0, n)):
                # Users whose trials all agree count as one trial each.
                effect = stats.paired_rate_difference(up, down, n, level)
            if effect is None or not np.isclose(effect.estimate, (happened - benign).sum() / trials.sum()):
                effect = (
                    stats.ratio_interval(happened - benign, trials, rng=rng, level=level, resamples=resamples)
                    if n > 1
                    else None
                )
            p = stats.paired_permutation(happened, benign, rng=rng, alternative="greater")
            mde = mde_of((happened - benign) / trials)
        self.card.add(
            metric,
            title,
            interval,
            n=n,
            direction=direction,
            params=own,
            floor=floor,
            effect=effect,
            test="" if p is None else "paired permutation of users, one-sided",
            p=p,
            mde=mde,
            note="; ".join(part for part in (f"{int(events.sum())} of {len(events)} trials", self.note) if part),
            evidence=evidence,
        )

    def show(self, pieces: Sequence[Evidence]) -> list[str]:
        """Keep the first pieces of evidence; their ids."""
        kept = list(pieces[: self.examples])
        self.output.evidence += kept
        return [piece.id for piece in kept]


def by_user(units: Sequence[str], values: Floats) -> tuple[list[str], Floats]:
    """The users, and the mean of each one's trials."""
    users, unit = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    counts = np.bincount(unit, minlength=len(users))
    means: Floats = np.bincount(unit, weights=values, minlength=len(users)) / np.maximum(counts, 1)
    return [str(user) for user in users], means
