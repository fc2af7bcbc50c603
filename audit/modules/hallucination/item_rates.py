"""Rates over titles, nested in users, and over answers, as findings: the same way for every question about items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from audit import stats
from audit.findings import Direction, Param
from audit.modules.hallucination.item_outcomes import ItemOutcome, Title
from audit.modules.hallucination.title_marks import FOUND, title_marks
from audit.modules.sheet import Sheet
from audit.stats import CheckerSample, Interval
from audit.types import Case, Catalog, Item, Task

Floats = npt.NDArray[np.float64]

SHOWN = 80
"""Characters of a title that a note quotes."""
NAMED = 5
"""Titles that a note on a broken constraint names."""
NOTE = 600
"""Characters of a note."""


def state_in_words(title: Title) -> str:
    """What looking a title up has shown; empty for one that was found."""
    return FOUND[title.state][1]


@dataclass(frozen=True)
class Rates:
    """Writes the rates of one task.

    Attributes:
        sheet: where they go.
        task: `rank` or `answer`.
        cases: what was asked.
        outcomes: what came back, one per case.
    """

    sheet: Sheet
    task: Task
    cases: Sequence[Case]
    outcomes: Sequence[ItemOutcome]

    def titles(
        self,
        metric: str,
        title: str,
        counted: Callable[[Title], bool],
        *,
        params: Mapping[str, Param] | None = None,
        direction: Direction = "higher_is_worse",
        shown: Sequence[str] = (),
        note: str = "",
        first: int | None = None,
        unmet: Sequence[str] = (),
    ) -> None:
        """The share of titles that are counted; with `first` among the first so many of each answer."""
        outcomes = self.outcomes if first is None else [one.head(first) for one in self.outcomes]
        self.rate(
            metric, title, [sum(map(counted, one.titles)) for one in outcomes], [one.items for one in outcomes],
            params=params, direction=direction, shown=shown, note="; ".join(filter(None, (self.without, note))),
            unmet=unmet,
        )  # fmt: skip

    def answers(
        self,
        metric: str,
        title: str,
        counted: Callable[[ItemOutcome], bool],
        *,
        params: Mapping[str, Param] | None = None,
        direction: Direction = "higher_is_worse",
        shown: Sequence[str] = (),
        note: str = "",
        unmet: Sequence[str] = (),
    ) -> None:
        """The share of answers that are counted, of all: those that refuse or cannot be read are among them."""
        self.rate(
            metric, title, [int(counted(one)) for one in self.outcomes], [1] * len(self.outcomes), params=params,
            direction=direction, shown=shown, note="; ".join(filter(None, (note, self.without))), unmet=unmet,
        )  # fmt: skip

    def rate(
        self,
        metric: str,
        title: str,
        hits: Sequence[int],
        trials: Sequence[int],
        *,
        params: Mapping[str, Param] | None = None,
        direction: Direction = "higher_is_worse",
        shown: Sequence[str] = (),
        note: str = "",
        unmet: Sequence[str] = (),
        units: Sequence[str] | None = None,
    ) -> None:
        """One rate, from hits and trials per answer.

        Args:
            metric: its name.
            title: what was asked; free text is marked as such.
            hits: per answer.
            trials: per answer.
            params: beside the task.
            direction: which way is worse.
            shown: ids of evidence.
            note: behind the counts.
            unmet: see `Finding`.
            units: the user of each answer; None for those of `outcomes`.
        """
        told: dict[str, Param] = {"task": self.task, **(params or {})}
        users, hit, of = by_unit([one.unit for one in self.outcomes] if units is None else units, hits, trials)
        card = self.sheet.card
        if not users:
            card.skip(metric, self._marked(title), f"there is nothing to judge: {note}", **told)
            return
        rng = self._rng(metric, told)
        card.add(
            metric, self._marked(title), rate_interval(hit, of, rng, card.level, card.resamples), n=len(users),
            direction=direction, params=told, note="; ".join(filter(None, (f"{sum(hits)} of {sum(trials)}", note))),
            unmet=unmet, evidence=shown, values=dict(zip(users, rate_values(hit, of).tolist(), strict=True)),
        )  # fmt: skip

    def macro(
        self,
        metric: str,
        title: str,
        counted: Callable[[Title], bool],
        *,
        params: Mapping[str, Param],
        shown: Sequence[str],
        unmet: Sequence[str],
    ) -> None:
        """The mean over answers of each answer's share of counted titles; answers without titles have none."""
        per_user: dict[str, list[float]] = {}
        for one in self.outcomes:
            if one.answered:
                per_user.setdefault(one.unit, []).append(sum(map(counted, one.titles)) / one.items)
        shares = {user: float(np.mean(those)) for user, those in per_user.items()}
        told: dict[str, Param] = {"task": self.task, **params}
        what, card, values = self._marked(f"{title}, mean over answers"), self.sheet.card, list(shares.values())
        if not values:
            card.skip(metric, what, f"there is nothing to judge: {self.without}", **told)
            return
        if len(values) == 1:
            interval = Interval(values[0], 0.0, 1.0, card.level, "one-unit")
        else:
            interval = stats.mean_interval(
                values, rng=self._rng(metric, told), level=card.level, resamples=card.resamples, bounds=(0.0, 1.0)
            )
        card.add(
            metric, what, interval, n=len(values), direction="higher_is_worse", params=told, note=self.without,
            unmet=unmet, evidence=shown, values=shares,
        )  # fmt: skip

    def corrected(
        self,
        metric: str,
        title: str,
        counted: Callable[[Title], bool],
        judged: Callable[[Title], bool],
        sample: CheckerSample,
        *,
        params: Mapping[str, Param],
        unmet: Sequence[str],
    ) -> None:
        """The share of counted titles among those judged, corrected for the checker's errors; the raw one is said."""
        told: dict[str, Param] = {"task": self.task, **params}
        what, card = self._marked(f"{title}, corrected for the checker's errors"), self.sheet.card
        users, hit, of = by_unit(
            [one.unit for one in self.outcomes],
            [sum(map(counted, one.titles)) for one in self.outcomes],
            [sum(map(judged, one.titles)) for one in self.outcomes],
        )
        if len(users) < 2:
            card.skip(metric, what, f"{len(users)} users have titles, and 2 are needed", **told)
            return
        found = stats.corrected_rate(
            hit, of, sample, rng=self._rng(metric, told), level=card.level, resamples=card.resamples
        )
        sens, spec = found.sensitivity, found.specificity
        if found.corrected is None or sens is None or spec is None:
            card.skip(metric, what, found.reason, **told)
            return
        card.add(
            metric, what, found.corrected, n=len(users), direction="higher_is_worse", params=told, unmet=unmet,
            note=f"raw {found.raw.estimate:.3g}; the checker finds {sens.estimate:.1%} of planted made-up titles and "
            f"lets {spec.estimate:.1%} of items pass; planted errors are easier to find than natural ones",
        )  # fmt: skip

    def show(
        self, title: str, faults: Callable[[ItemOutcome], Sequence[Title]], why: Callable[[Title], str] = state_in_words
    ) -> list[str]:
        """Evidence of the answers with most faults, naming the titles.

        Args:
            title: one line that says what there is to see.
            faults: the titles of an answer that are at fault.
            why: what is wrong with one, in a few words; empty where the title says it.

        Returns:
            Ids of the evidence.
        """
        found = [(n, faults(one)) for n, one in enumerate(self.outcomes)]
        worst = sorted((pair for pair in found if pair[1]), key=lambda pair: (-len(pair[1]), pair[0]))
        shown = []
        for n, those in worst[: self.sheet.examples]:
            told = Counter(f"{quoted(one.written)}{f': {said}' if (said := why(one)) else ''}" for one in those)
            note = "; ".join(f"{text}{f' ({times} times)' if times > 1 else ''}" for text, times in told.items())
            marks = title_marks(self.outcomes[n], self.catalog)
            shown.append(self.sheet.show(self.cases[n].id, title, self.cases[n].request, _cut(note), claims=marks))
        return shown

    def show_answers(
        self, title: str, faulty: Callable[[ItemOutcome], bool], says: Callable[[ItemOutcome], str]
    ) -> list[str]:
        """Evidence of the first answers that are faulty as a whole; ids of it."""
        found = ((case, one) for case, one in zip(self.cases, self.outcomes, strict=True) if faulty(one))
        return [
            self.sheet.show(case.id, title, case.request, says(one), claims=title_marks(one, self.catalog))
            for case, one in islice(found, self.sheet.examples)
        ]

    def items(self, outcome: ItemOutcome) -> list[Item | None]:
        """The items that its titles were tied to; None for those that were not."""
        offered = self._offered[outcome.case]
        return [
            None if t.item_id is None else offered.get(t.item_id) or self.catalog.get(t.item_id) for t in outcome.titles
        ]

    @property
    def catalog(self) -> Catalog:
        """The items that there are."""
        return self.sheet.context.dataset.catalog

    @cached_property
    def without(self) -> str:
        """How many answers hold titles, and what became of the others: they make no rate of titles better."""
        told = [
            (sum(one.outcome == "refused" for one in self.outcomes), "refused"),
            (sum(one.outcome == "unparsable" for one in self.outcomes), "without a list"),
            (sum(one.outcome == "error" for one in self.outcomes), "failed"),
            (sum(one.empty for one in self.outcomes), "empty"),
        ]
        faults = ", ".join(f"{count} {word}" for count, word in told if count)
        return f"{sum(one.answered for one in self.outcomes)} of {len(self.outcomes)} answers hold titles" + (
            f" ({faults})" if faults else ""
        )

    @cached_property
    def _offered(self) -> Mapping[str, Mapping[str, Item]]:
        return {case.id: {item.id: item for item in case.request.candidates or ()} for case in self.cases}

    def _marked(self, title: str) -> str:
        return f"{title} (free text)" if self.task == "answer" else title

    def _rng(self, metric: str, params: Mapping[str, Param]) -> np.random.Generator:
        names = (f"{name}={value}" for name, value in sorted(params.items()))
        return self.sheet.context.rng("hallucination", "items", metric, *names)


def quoted(title: str) -> str:
    """A title as a note quotes it: on one line, and cut if it is long."""
    line = " ".join(title[: 4 * SHOWN].split())
    return f"“{line[:SHOWN]}{'…' if len(line) > SHOWN else ''}”"


def _cut(note: str) -> str:
    return note if len(note) <= NOTE else f"{note[:NOTE]}…"


def by_unit(units: Sequence[str], hits: Sequence[int], trials: Sequence[int]) -> tuple[list[str], Floats, Floats]:
    """Hits and trials added up per unit; units without a trial are left out.

    Returns:
        The units, and their hits and trials, shape (units,) each.
    """
    added: dict[str, list[int]] = {}
    for unit, hit, of in zip(units, hits, trials, strict=True):
        if of:
            pair = added.setdefault(unit, [0, 0])
            pair[0] += hit
            pair[1] += of
    table = np.array(list(added.values()), dtype=np.float64).reshape(-1, 2)
    return list(added), table[:, 0], table[:, 1]


def rate_interval(hits: Floats, trials: Floats, rng: np.random.Generator, level: float, resamples: int) -> Interval:
    """`stats.cluster_rate`; one user alone shows no variation between users, so nothing is known of the rate."""
    if len(trials) == 1 and trials[0] > 1:
        return Interval(float(hits[0] / trials[0]), 0.0, 1.0, level, "one-unit")
    return stats.cluster_rate(hits, trials, rng=rng, level=level, resamples=resamples)


def rate_values(hits: Floats, trials: Floats) -> Floats:
    """One number per unit whose mean is the rate: its own rate where all have as many trials, else a pseudo-value."""
    if len(trials) == 1 or np.all(trials == trials[0]):
        return hits / trials
    return stats.unit_values(lambda weights: (weights @ hits) / (weights @ trials), len(trials))
