"""What a list of recommendations gives away of the person it was made for, beyond what their history tells anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit import stats
from audit.findings import Param
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.privacy.attributes import (
    FOLDS,
    Areas,
    Floats,
    Labels,
    areas,
    bags,
    folds_of,
    guesses,
    labels_of,
    rows_of,
    shuffled_null,
)
from audit.modules.privacy.known import masked
from audit.modules.privacy.module import INFO
from audit.modules.report_card import ReportCard
from audit.target import Input
from audit.types import Case, Item

_KNOWN = ("gender", "age", "occupation")


@dataclass(frozen=True)
class Inference:
    """Guessing attributes of users from their lists.

    Attributes:
        attributes: which; None for those of `gender`, `age` and `occupation` that the data have.
        users: how many users are asked, 0 for all of the run.
        bands: into how many equal bands a figure, such as the age, is cut.
        fewest: users of a value below which the value is left out.
        permutations: exchanges of the values that make up chance.
        repeats: how often the folds are drawn anew.
    """

    attributes: Sequence[str] | None = None
    users: int = 0
    bands: int = 2
    fewest: int = 10
    permutations: int = 199
    repeats: int = 10

    def __post_init__(self) -> None:
        if self.attributes is not None and (isinstance(self.attributes, str) or not self.attributes):
            raise ValueError(f"attributes: {self.attributes!r} must be a list of names, such as [gender, age]")
        # Every fold needs users of each value, on both sides of its cut.
        for name, least in (("users", 0), ("bands", 2), ("fewest", FOLDS), ("permutations", 19), ("repeats", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")

    def lacking(self, context: Context) -> str | None:
        """There must be lists, and attributes of enough users."""
        if context.task == "score":
            return "the run asks for scores of given items, and lists are read (target.task: rank)"
        if not self._attributes(context):
            wanted = ", ".join(self.attributes or _KNOWN)
            return f"the data say of no user under audit any of {wanted} (modules.privacy.inference.attributes)"
        if all(self._labels(context, name, self._cases(context)) is None for name in self._attributes(context)):
            return (
                f"of no attribute do two values have {self.fewest} users each among the {len(self._cases(context))} "
                "under audit; ask more users (dataset.users)"
            )
        return None

    def plan(self, context: Context) -> list[Ask]:
        """The requests of the run, as they are."""
        return [Ask(case.request) for case in self._cases(context)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask, guess, and compare."""
        from audit.grounding import Grounder
        from audit.modules.hallucination.item_outcomes import item_outcomes

        cases = self._cases(context)
        answers = context.ask([case.request for case in cases], label="Lists")
        outcomes = item_outcomes(cases, answers, Grounder(context.dataset.catalog))
        catalog = context.dataset.catalog
        lists: list[list[Item]] = [
            [catalog[t.item_id] for t in o.titles if t.item_id is not None and t.item_id in catalog] for o in outcomes
        ]
        kept = [i for i, items in enumerate(lists) if items]
        card = ReportCard(INFO.id, context.level, INFO.controls)
        for name in self._attributes(context):
            self._judge(context, card, name, [cases[i] for i in kept], [lists[i] for i in kept], len(cases) - len(kept))
        return Output(card.corrected(), [], card.values)

    def _judge(
        self, context: Context, card: ReportCard, name: str, cases: Sequence[Case], lists: list[list[Item]], lost: int
    ) -> None:
        title = f"{name} guessed from lists"
        labels = self._labels(context, name, cases)
        if labels is None:
            reason = f"fewer than two values have {self.fewest} users with a list"
            for against in ("history", "chance"):
                card.skip("attribute_inference", title, reason, part="inference", attribute=name, against=against)
            return
        own = [[event.item for event in cases[i].request.user.history] for i in labels.users.tolist()]
        table = bags([lists[i] for i in labels.users.tolist()], context.dataset)
        past = bags(own, context.dataset)
        rng = context.rng("privacy", "inference", name)
        found = areas(table, past, labels.classes, rng=rng, repeats=self.repeats)
        area, _ = stats.cross_validated(found.lists, 1 / FOLDS, level=card.level, bounds=(0.0, 1.0))
        self._beyond(context, card, labels, cases, found, area, lost)
        # Exchanges are judged in one split each, and so are the true values that they are set against.
        folds = folds_of(labels.classes, rng)
        guessed = guesses(table, labels.classes, folds)
        scores, truth, _ = rows_of(guessed, labels.classes)
        observed = stats.auc(scores, truth)
        null, p = shuffled_null(table, labels, folds, observed, rng=rng, permutations=self.permutations)
        card.add(
            "attribute_inference",
            f"{title}, against chance",
            area,
            n=len(labels.users),
            direction="neither",
            params=self._params(name, "chance"),
            floor=null,
            test=f"{self.permutations} exchanges of the values between users",
            p=p,
            note=f"chance is the mean AUC of exchanged values; {self._told(labels, guessed)}",
        )

    def _beyond(
        self,
        context: Context,
        card: ReportCard,
        labels: Labels,
        cases: Sequence[Case],
        found: Areas,
        area: stats.Interval,
        lost: int,
    ) -> None:
        effect, p = stats.cross_validated(
            found.lists - found.histories, 1 / FOLDS, level=card.level, bounds=(-1.0, 1.0)
        )
        told = "is" if Input.ATTRIBUTES in context.info.honours and _in_requests(cases, labels.name) else "is not"
        notes = [
            f"AUC {found.histories.mean():.3f} from the histories that the target was shown, {found.both.mean():.3f} "
            "from both together; below 0 the lists give away less than the histories",
            f"the target {told} told the attribute",
            f"{labels.left_out} users without a known or common value and {lost} without a readable list are left out",
        ]
        card.add(
            "attribute_inference",
            f"{labels.name} guessed from lists, beyond histories",
            area,
            n=len(labels.users),
            direction="higher_is_worse",
            params=self._params(labels.name, "history"),
            floor=float(found.histories.mean()),
            effect=effect,
            test="corrected resampled t over folds, one-sided",
            p=p,
            note="; ".join(notes),
            values={masked(cases[i].unit): float(v) for i, v in zip(labels.users.tolist(), found.gains, strict=True)},
        )

    def _params(self, name: str, against: str) -> dict[str, Param]:
        return {"part": "inference", "attribute": name, "against": against}

    def _told(self, labels: Labels, found: Floats) -> str:
        counts = np.bincount(labels.classes)
        values = ", ".join(f"{count} {value}" for value, count in zip(labels.values, counts.tolist(), strict=True))
        right = float((found.argmax(axis=1) == labels.classes).mean())
        return (
            f"{values}; the value that a list raises most is right for {right:.1%} of users, the commonest value "
            f"for {labels.majority:.1%}"
        )

    def _cases(self, context: Context) -> Sequence[Case]:
        return context.cases[: self.users or None]

    def _attributes(self, context: Context) -> list[str]:
        people = context.dataset.users
        cases = self._cases(context)
        return [
            name
            for name in self.attributes or _KNOWN
            if any(people.get(case.unit, {}).get(name) not in (None, "") for case in cases)
        ]

    def _labels(self, context: Context, name: str, cases: Sequence[Case]) -> Labels | None:
        values = [context.dataset.users.get(case.unit, {}).get(name) for case in cases]
        return labels_of(name, values, bands=self.bands, fewest=self.fewest)


def _in_requests(cases: Sequence[Case], name: str) -> bool:
    return any(name in case.request.user.attributes for case in cases)
