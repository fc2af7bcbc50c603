"""The part: reads selections and scores out of the clean answers, and reports them by category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit import stats
from audit.findings import Param
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.fairness.cards import cards, decided
from audit.modules.fairness.hiring.people import Applications, applications
from audit.modules.fairness.hiring.table import (
    BOTH,
    LEAVE_OUT,
    UNKNOWN,
    People,
    gather,
    hiring_table,
    unit_rates,
    unit_ratios,
)
from audit.modules.outcomes import Bools
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.stats import Interval

Rate = Literal["selection", "scoring"]
_METRIC: Mapping[Rate, str] = {"selection": "selection_rate", "scoring": "scoring_rate"}
_EVIDENCE_BELOW = 0.05


@dataclass(frozen=True)
class Hiring:
    """Selection and scoring rates by sex, race or ethnicity, and both, as NYC Local Law 144 lays them out.

    Attributes:
        people: `items`: requests are jobs and the items are people; `users`: the dataset's users are people, and the
            target scores them.
        sex: column of the sex.
        race: column of race or ethnicity.
        selected: who counts as selected: `{top: k}`, the first k of a request, or `{score_above: x}`. None for the
            whole list of a ranking, and for scores no selection, only the scoring rate.
        categories: by `sex` and `race`, the category of each value, such as `{sex: {F: Female, M: Male}}`; a value
            that is not named there is unknown.
        leave_out: share of the people below which a category is left out of the impact ratios, and still shown.
        limit: the ratio of the rule of thumb whose false alarms are reported.
    """

    people: Literal["items", "users"] = "items"
    sex: str = "sex"
    race: str = "race"
    selected: Mapping[str, float] | None = None
    categories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    leave_out: float = LEAVE_OUT
    limit: float = stats.FOUR_FIFTHS

    def __post_init__(self) -> None:
        if self.people not in ("items", "users"):
            raise ValueError(f"people: {self.people!r} must be 'items' or 'users'")
        if self.selected is not None:
            self._check_selected(self.selected)
        for name in self.categories:
            if name not in ("sex", "race"):
                raise ValueError(f"categories: {name!r} must be 'sex' or 'race'")
        if not 0.0 <= self.leave_out < 0.5:
            raise ValueError(f"leave_out: {self.leave_out} must be a share of at least 0 and below .5")
        if not 0.0 < self.limit < 1.0:
            raise ValueError(f"limit: {self.limit} must be between 0 and 1; the four-fifths rule has .8")

    def _check_selected(self, selected: Mapping[str, float]) -> None:
        if not isinstance(selected, Mapping) or set(selected) not in ({"top"}, {"score_above"}):
            raise ValueError(f"selected: {selected!r} must be {{top: k}} or {{score_above: x}}")
        (kind, value), *_ = selected.items()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"selected: {kind}: {value!r} must be a number")
        if kind == "top" and (value < 1 or value != int(value)):
            raise ValueError(f"selected: top: {value} must be a whole number of at least 1")
        if kind == "top" and self.people == "users":
            raise ValueError("selected: top must be given with people: items; users are scored one by one: score_above")

    def lacking(self, context: Context) -> str | None:
        """People need a category, and a choice between them."""
        if context.task == "answer":
            return "the run asks for free text, which selects nobody (target.task: rank or score)"
        if self.people == "users" and context.task != "score":
            return "people: users are selected by their scores, and the run asks for rankings (target.task: score)"
        holders = context.dataset.catalog.values() if self.people == "items" else None
        found = [i.attributes for i in holders] if holders is not None else list(context.dataset.users.values())
        known = sorted({key for one in found for key in one})
        if self.sex not in known and self.race not in known:
            have = f"they have {', '.join(known)}" if known else "they have none"
            lacks = f"the {self.people} have neither a column {self.sex!r} nor {self.race!r} ({have})"
            return f"{lacks}; name them as sex: and race:"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """The clean requests, which other modules ask too."""
        return [Ask(request) for request in context.requests]

    def run(self, context: Context, *, examples: int) -> Output:
        """Read the clean answers and conclude."""
        answers = context.ask(context.requests, label="Clean requests")
        primary, explored = cards(context)
        output = Output()
        sheet = Sheet(context, primary, output, examples)
        found = applications(
            context,
            answers,
            of_users=self.people == "users",
            columns={"sex": self.sex, "race": self.race},
            categories=self.categories,
            selected=self.selected,
        )
        for name, reason in found.missing.items():
            primary.skip("impact_ratio", f"Impact ratios by {name}", reason, part="hiring", attribute=name)
        rates: list[Rate] = ["selection"] if found.selecting else []
        rates += ["scoring"] if found.scoring else []
        if found.frame.empty or not rates or not found.attributes:
            reason = found.why_not or "no answer selects or scores anybody"
            primary.skip("impact_ratio", "Who is selected", reason, part="hiring")
        else:
            for rate in rates:
                _Judge(context, found, rate, primary, explored, sheet, self).judge()
            _unknown(context, found, explored)
        findings = [*decided(primary), *decided(explored)]
        return Output(findings, output.evidence, {**primary.values, **explored.values})


@dataclass(frozen=True)
class _Judge:
    """One kind of rate, over all tables."""

    context: Context
    found: Applications
    rate: Rate
    primary: ReportCard
    explored: ReportCard
    sheet: Sheet
    options: Hiring

    def judge(self) -> None:
        """Report every category of every table."""
        columns: dict[str, Any] = {name: name if name in self.found.attributes else None for name in ("sex", "race")}
        columns |= {"selected": "selected", "score": "score" if self.rate == "scoring" else None, "person": "person"}
        frame = self.found.frame
        if self.rate == "scoring" and self.options.people == "items":
            # A request that did not score everybody says nothing of those it left out.
            frame = frame[frame["score"].notna()]
        people, _ = gather(frame, **columns)
        table = hiring_table(
            frame,
            **columns,
            leave_out=self.options.leave_out,
            level=self.context.level,
            rng=self._rng("table"),
        )
        labels = dict(people.tables())
        for name, rows in table.groupby("table", sort=False):
            self._table(
                str(name), rows.to_dict("records"), people, labels[str(name)], cast(Mapping[str, float], table.attrs)
            )

    def _table(
        self,
        name: str,
        rows: list[dict[Any, Any]],
        people: People,
        labels: npt.NDArray[np.object_],
        attrs: Mapping[str, float],
    ) -> None:
        best = next((row for row in rows if row["best"]), None)
        compared = [row for row in rows if not pd.isna(row["impact_ratio"])]
        about = self._about_the_rule(compared, best)
        card = self.explored if name == BOTH else self.primary
        for row in rows:
            members: Bools = np.asarray(labels == row["category"], dtype=bool)
            self._rate_of(name, row, people, members, attrs)
            title = f"Impact ratio of the {self.rate} rate, {name} {row['category']}"
            params = self._params(name, row)
            if row["category"] == UNKNOWN:
                continue
            if pd.isna(row["impact_ratio"]) or best is None:
                card.skip("impact_ratio", title, f"{row['note']} ({_counts(row)})", **params)
                continue
            if row["best"]:
                continue
            who, values = unit_ratios(people, members, np.asarray(labels == best["category"], dtype=bool))
            detectable = stats.detectable_ratio(best["rate"], row["people"], best["people"])
            card.add(
                "impact_ratio",
                title,
                Interval(row["impact_ratio"], row["low"], row["high"], self.context.level, row["method"]),
                n=row["people"] + best["people"],
                unit="person",
                direction="higher_is_better",
                params=params,
                test=row["test"],
                p=row["p"],
                mde=None if detectable is None else 1.0 - detectable,
                note=f"{_counts(row)}, against {best['category']} with {_counts(best)}; {about}",
                evidence=self._evidence(name, row, best) if row["p"] < _EVIDENCE_BELOW else (),
                values=dict(zip(np.array(people.ids)[who].tolist(), values.tolist(), strict=True)),
            )

    def _rate_of(
        self, name: str, row: Mapping[str, Any], people: People, members: Bools, attrs: Mapping[str, float]
    ) -> None:
        notes = [_counts(row)]
        if self.rate == "scoring":
            notes.append(
                f"above the median {attrs['median']:.4g} of the full sample; at or above it "
                f"{row['rate_at_or_above']:.1%}; {attrs['ties']:.1%} of all applications score exactly the median"
            )
        notes += [row["note"]] if row["note"] else []
        notes += [self.found.note] if self.found.note else []
        self.explored.add(
            _METRIC[self.rate],
            f"{self.rate.capitalize()} rate, {name} {row['category']}",
            Interval(
                row["rate"], row["rate_low"], row["rate_high"], self.context.level, "wilson" if people.once else "bca"
            ),
            n=row["people"],
            unit="person",
            direction="neither",
            params=self._params(name, row),
            note="; ".join(notes),
            values=dict(zip(np.array(people.ids)[members].tolist(), unit_rates(people, members).tolist(), strict=True)),
        )

    def _about_the_rule(self, compared: list[dict[Any, Any]], best: Mapping[str, Any] | None) -> str:
        """What the bare rule is worth for a table of this size."""
        total = sum(row["people"] for row in compared)
        rate = sum(row["rate"] * row["people"] for row in compared) / total if total else 0.0
        if best is None or len(compared) < 2 or not 0.0 < rate < 1.0:
            return ""
        alarm = stats.four_fifths_false_alarm(
            [row["people"] for row in compared], rate, rng=self._rng("rule", best["table"]), limit=self.options.limit
        )
        if best["rate"] >= 1.0:
            return f"with equal rates the bare {self.options.limit:g} rule would flag {alarm:.0%} of such tables"
        enough = stats.n_per_group_for_ratio(best["rate"], self.options.limit)
        return (
            f"with equal rates the bare {self.options.limit:g} rule would flag {alarm:.0%} of such tables; about "
            f"{enough:,} people per category tell {self.options.limit:g} from 1"
        )

    def _params(self, name: str, row: Mapping[str, Any]) -> dict[str, Param]:
        return {"part": "hiring", "attribute": name, "group": str(row["category"]), "rate": self.rate}

    def _evidence(self, name: str, row: Mapping[str, Any], best: Mapping[str, Any]) -> list[str]:
        """The requests in which the category fares worst beside the best one."""
        return [
            self.sheet.show(case.id, f"{name} {row['category']} beside {best['category']}", case.request, note)
            for case, note in self.found.telling(name, str(row["category"]), str(best["category"]), self.rate)[
                : self.sheet.examples
            ]
        ]

    def _rng(self, *names: str) -> np.random.Generator:
        return self.context.rng("fairness", "hiring", self.rate, *names)


def _unknown(context: Context, found: Applications, card: ReportCard) -> None:
    """The share of people whose category is not known, per attribute."""
    people = found.frame.drop_duplicates("person")
    for name in found.attributes:
        lost = int((people[name] == UNKNOWN).sum())
        card.add(
            "unknown_share",
            f"People whose {name} is unknown",
            stats.wilson(lost, len(people), context.level),
            n=len(people),
            unit="person",
            direction="higher_is_worse",
            params={"part": "hiring", "attribute": name},
            note="; ".join(filter(None, [f"{lost} of {len(people)} people", found.unnamed.get(name, "")])),
            values={str(p): float(v == UNKNOWN) for p, v in zip(people["person"], people[name], strict=True)},
        )


def _counts(row: Mapping[str, Any]) -> str:
    what = f"{row['selected']} of {row['applications']}"
    return what if row["applications"] == row["people"] else f"{what} applications of {row['people']} people"
