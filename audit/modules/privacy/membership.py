"""Whether the target shows who was trained on: membership inference at the level of rows and of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from audit import stats
from audit.findings import Evidence, Param
from audit.modules.base import Context, Output
from audit.modules.privacy.measure import Asking, Floats, Table
from audit.modules.privacy.module import INFO
from audit.modules.privacy.roc import roc_of
from audit.modules.report_card import ReportCard
from audit.text import percent

RATES = {"tpr_at_1pct_fpr": 0.01, "tpr_at_01pct_fpr": 0.001}
_NAMES = {
    "loss": "how likely a row is",
    "rank": "how high a row's item stands",
    "min_k": "the least likely words of a row",
    "min_k_pp": "the least likely words of a row, against all others",
    "zlib": "how likely a row is for its length",
    "reference": "how much likelier a row is than to the base",
    "neighbourhood": "how much likelier a row is than others like it",
    "lira": "how much likelier a row is than to models not trained on it",
}
_BLIND = {"base": "the scores of a model without the training", "words": "items and words alone"}


@dataclass(frozen=True)
class Membership(Asking):
    """Whether the target shows who was trained on; options as in `Asking`."""

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask about members and others, and see how far each score tells them apart."""
        table = self.table(context)
        card = ReportCard(INFO.id, context.level, INFO.controls)
        output = Output()
        judge = _Judge(context, table, card, output, examples)
        judge.blind()
        judge.unresolvable()
        for score in table.found:
            judge.users(score)
            judge.rows(score)
        if not table.found:
            reason = f"none of {table.lost:,} rows got an answer that could be read"
            if table.signal == "scores":
                reason += "; scores must be chances of a yes, between 0 and 1"
            card.skip("mia_auc", "Trained-on people told from others", reason, part="membership")
        return Output(card.corrected(), output.evidence, card.values)


@dataclass(frozen=True)
class Blind:
    """How far members are told from others by what never saw the training.

    Attributes:
        name: `base`, the model before its training; `words`, a classifier of items and words.
        interval: of its AUC over users.
        n: users.
        bias: why nothing that follows proves a leak; "" where the split looks like a coin.
    """

    name: str
    interval: stats.Interval
    n: int
    bias: str


def blind_areas(table: Table, level: float) -> list[Blind]:
    """Each blind attack's AUC; both must hold one half."""
    found = []
    for name, values in table.blind.items():
        inside, outside = map(_values, table.sides(values))
        if len(inside) and len(outside):
            area = stats.membership_auc(inside, outside, level)
            found.append(_blind(name, area, len(inside) + len(outside)))
    if table.words is not None:
        estimate, low, high, n = table.words
        found.append(_blind("words", stats.Interval(estimate, low, high, level, "permutation-spread"), n))
    return found


def _blind(name: str, area: stats.Interval, n: int) -> Blind:
    # A classifier that is worse than a coin on users left out of its fit has found nothing.
    off = area.low > 0.5 or (name == "base" and area.high < 0.5)
    said = (
        f"the split is biased: {_BLIND[name]} tell members from others with an AUC of {area.estimate:.2f} "
        f"[{area.low:.2f}, {area.high:.2f}], so that what is found may be a difference of the people and no leak"
    )
    return Blind(name, area, n, said if off else "")


def bias(table: Table, level: float) -> list[str]:
    """Why no attack on this split proves a leak; empty where the split looks like a coin."""
    return [one.bias for one in blind_areas(table, level) if one.bias]


@dataclass
class _Judge:
    context: Context
    table: Table
    card: ReportCard
    output: Output
    examples: int
    biased: list[str] = field(default_factory=list)
    floors: dict[str, float] = field(default_factory=dict)

    def blind(self) -> None:
        """What can be told without the training: it must stay at chance, or the split is no coin."""
        for one in blind_areas(self.table, self.card.level):
            self.floors[one.name] = one.interval.estimate
            self.card.add(
                "blind_auc",
                f"Members told from others by {_BLIND[one.name]}",
                one.interval,
                n=one.n,
                direction="neither",
                params=self._params(one.name, "user"),
                floor=0.5,
                note=one.bias or "as a fair coin would have it",
            )
        self.biased = bias(self.table, self.card.level)

    def unresolvable(self) -> None:
        """Rates that no score can be given here, said once."""
        others = len(set(np.asarray(self.table.units)[self.table.members == 0]))
        for metric, fpr in RATES.items():
            if others and not stats.resolvable(fpr, others):
                reason = (
                    f"not resolvable: with {others:,} others a false positive rate below {percent(1 / others)} cannot "
                    f"be seen; {round(1 / fpr):,} others are needed"
                )
                title = f"Members found at {percent(fpr)} of others accused"
                self.card.skip(metric, title, reason, part="membership", level="user", signal=self.table.signal)

    def users(self, score: str) -> None:
        """One number per user: the mean of their rows."""
        inside, outside = self.table.sides(self.table.found[score])
        a, b = _values(inside), _values(outside)
        params = self._params(score, "user")
        if min(len(a), len(b)) < 4:
            reason = f"{len(a)} members and {len(b)} others have this score, and at least 4 of each are needed"
            self.card.skip("mia_auc", self._title(score, "users"), reason, **params)
            return
        if np.ptp(np.concatenate([a, b])) == 0:
            reason = "the score is the same for everybody, so that it cannot tell anybody from others"
            self.card.skip("mia_auc", self._title(score, "users"), reason, **params)
            return
        labels = np.repeat([1.0, 0.0], [len(a), len(b)])
        self.card.add(
            "mia_auc",
            self._title(score, "users"),
            stats.membership_auc(a, b, self.card.level),
            n=len(a) + len(b),
            direction="higher_is_worse",
            params=params,
            floor=self._floor(),
            test="permutation of users, one-sided",
            p=stats.membership_test(np.concatenate([a, b]), labels, rng=self._rng(score, "user")),
            mde=stats.minimum_detectable_auc(len(a), len(b)),
            note=self._note(f"{len(a):,} members and {len(b):,} others, a user being the mean of their rows"),
            unmet=self.biased,
            evidence=self._evidence(score, inside, b),
            values=dict(zip(inside, stats.placements(a, b).tolist(), strict=True)),
            roc=roc_of(a, b, self.card.level),
        )
        for metric, fpr in RATES.items():
            self._rate(metric, fpr, score, inside, b, params)
        self._advantage(score, a, b, params)

    def rows(self, score: str) -> None:
        """Every row by itself; rows of a user come and go together."""
        given = ~np.isnan(self.table.found[score])
        values, members = self.table.found[score][given], self.table.members[given]
        units = np.asarray(self.table.units)[given]
        sides = [len(set(units[members == side])) for side in (1.0, 0.0)]
        if min(sides) < 4 or len(units) == len(set(units)) or np.ptp(values) == 0:
            # With one row per user the rows are the users; and what says the same of all is said there already.
            return
        params, rng = self._params(score, "row"), self._rng(score, "row")
        interval = stats.auc_interval(
            values, members, units, rng=rng, level=self.card.level, resamples=self.card.resamples
        )
        self.card.add(
            "mia_auc",
            self._title(score, "rows"),
            interval,
            n=len(values),
            unit="row",
            direction="higher_is_worse",
            params=params,
            floor=0.5,
            test="permutation of users, one-sided",
            p=stats.membership_test(values, members, units, rng=rng),
            note=self._note(
                f"{int(members.sum()):,} rows of {sides[0]:,} members and {int((1 - members).sum()):,} of {sides[1]:,} "
                "others; rows of a user are resampled together"
            ),
            unmet=self.biased,
        )

    def _rate(
        self, metric: str, fpr: float, score: str, inside: Mapping[str, float], b: Floats, params: dict[str, Param]
    ) -> None:
        found = stats.tpr_at_fpr(_values(inside), b, fpr, self.card.level)
        if found is None:
            return
        self.card.add(
            metric,
            f"Members found at {percent(fpr)} of others accused, by {_NAMES[score]}",
            found.interval,
            n=len(inside),
            direction="higher_is_worse",
            params=params,
            floor=fpr,
            note=f"{found.found:,} of {len(inside):,} members at {found.allowed} of {found.outside:,} others; guessing "
            f"finds {percent(fpr)}",
            unmet=self.biased,
            values={unit: float(value > found.threshold) for unit, value in inside.items()},
        )

    def _advantage(self, score: str, a: Floats, b: Floats, params: dict[str, Param]) -> None:
        found = stats.held_out_advantage(a, b, rng=self._rng(score, "advantage"), level=self.card.level)
        self.card.add(
            "mia_advantage",
            f"Members called members less others called so, by {_NAMES[score]}",
            found.interval,
            n=found.inside + found.outside,
            direction="higher_is_worse",
            params=params,
            floor=0.0,
            note=f"threshold chosen on one half, judged on the other: {percent(found.tpr)} of {found.inside} members "
            f"and {percent(found.fpr)} of {found.outside} others; balanced accuracy {found.balanced_accuracy:.2f}",
            unmet=self.biased,
        )

    def _floor(self) -> float:
        """What is told without the training; the base model is asked the same, so it comes first."""
        return self.floors.get("base", self.floors.get("words", 0.5))

    def _params(self, score: str, level: str) -> dict[str, Param]:
        return {"part": "membership", "score": score, "level": level, "signal": self.table.signal}

    def _title(self, score: str, who: str) -> str:
        return f"Trained-on {who} told from others by {_NAMES[score]}"

    def _note(self, counts: str) -> str:
        said = [counts, *self.table.notes]
        if self.table.lost:
            said.append(f"{self.table.lost:,} rows got no readable answer and are left out")
        return "; ".join(said)

    def _rng(self, *names: str) -> np.random.Generator:
        return self.context.rng("privacy", "membership", "judge", *names)

    def _evidence(self, score: str, inside: Mapping[str, float], b: Floats) -> list[str]:
        """Members that stand out most, masked; what they watched is not shown."""
        ids = []
        for unit, value in sorted(inside.items(), key=lambda pair: -pair[1])[: self.examples]:
            above = int(np.count_nonzero(b >= value))
            if above > 0.05 * len(b):
                break
            one = Evidence(
                case=unit,
                title="A member whom the target gives away",
                note=f"{score}: {value:.4g}; {above} of {len(b):,} others reach it, whose median is {np.median(b):.4g}",
            )
            self.output.evidence.append(one)
            ids.append(one.id)
        return ids


def _values(side: Mapping[str, float]) -> Floats:
    return np.array(list(side.values()), dtype=np.float64)
