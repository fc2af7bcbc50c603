"""From answers to constrained requests to findings: which titles and which answers break what they were asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from audit.findings import Param
from audit.modules.hallucination.constraints import KINDS, Kept, Stated
from audit.modules.hallucination.item_outcomes import ItemOutcome
from audit.modules.hallucination.item_rates import NAMED, Rates, quoted
from audit.modules.hallucination.title_marks import wish_marks

METRIC = "constraint_violation_rate"
TITLE = "Recommended titles that break a stated constraint"
PARAMS: Mapping[str, Param] = {"per": "title", "kind": None, "margin": None, "stated": True}

_BROKEN: tuple[Kept, ...] = ("near", "far")


def constraints(rates: Rates, stated: Sequence[Stated], outcomes: Sequence[ItemOutcome], reason: str) -> None:
    """Titles and answers that break the constraint they were asked with.

    Args:
        rates: of the task, with the answers to the same cases without a constraint.
        stated: the cases and their constraints.
        outcomes: what came back, one per stated case.
        reason: why there are none, where there are none.
    """
    if stated:
        _Desk(rates, stated, outcomes).write()
    else:
        rates.sheet.card.skip(METRIC, TITLE, reason, task=rates.task, **PARAMS)


@dataclass(frozen=True)
class _Desk:
    rates: Rates
    stated: Sequence[Stated]
    outcomes: Sequence[ItemOutcome]

    def write(self) -> None:
        rows = [n for n, one in enumerate(self.stated) if one.constraint.kind != "count"]
        if rows:
            self._titles(rows, _BROKEN, "", {})
            self._titles(rows, ("near",), ", by a little", {"margin": "near"})
            self._titles(rows, ("far",), ", by more than a little", {"margin": "far"})
            self._unstated(rows)
        for kind in KINDS:
            if own := [n for n in rows if self.stated[n].constraint.kind == kind]:
                self._titles(own, _BROKEN, f" ({kind.replace('_', ' ')})", {"kind": kind})
        self._answers()

    @cached_property
    def kept(self) -> list[list[Kept]]:
        """Per answer and title, whether it keeps the constraint."""
        return [
            [one.constraint.judge(item) for item in self.rates.items(outcome)]
            for one, outcome in zip(self.stated, self.outcomes, strict=True)
        ]

    @cached_property
    def counted(self) -> list[Kept]:
        """Per answer, whether it has as many titles as a count asks for; other constraints say nothing of that."""
        return [
            one.constraint.judge_count(outcome.items) if one.constraint.kind == "count" and outcome.answered else "kept"
            for one, outcome in zip(self.stated, self.outcomes, strict=True)
        ]

    @cached_property
    def shown(self) -> list[str]:
        """Evidence: the request without and with the constraint."""
        ids: list[str] = []
        for one, outcome, per, count in zip(self.stated, self.outcomes, self.kept, self.counted, strict=True):
            faults = [quoted(t.written) for t, x in zip(outcome.titles, per, strict=True) if x in _BROKEN]
            faults = [f"{outcome.items} titles"] if count != "kept" else faults
            if not faults or len(ids) >= self.rates.sheet.examples:
                continue
            wish, sheet = one.constraint.says, self.rates.sheet
            note, title = f"{wish} Broken by {', '.join(faults[:NAMED])}", "Breaks a stated constraint"
            if one.constraint.kind == "count":
                # Only this request was asked: the one without the sentence has another k.
                ids.append(sheet.show(one.case.id, title, one.request, note))
                continue
            marks = wish_marks(outcome, wish, per, self.rates.catalog)
            ids.append(sheet.compare(one.case.id, title, one.case.request, list(one.edits), note, claims=marks))
        return ids

    def _titles(self, rows: Sequence[int], which: Sequence[Kept], words: str, params: Mapping[str, Param]) -> None:
        per = [self.kept[n] for n in rows]
        found = [x for one in per for x in one]
        self.rates.rate(
            METRIC, f"{TITLE}{words}", [sum(x in which for x in one) for one in per],
            [len(one) - one.count("unknown") for one in per], params={**PARAMS, **params}, shown=self.shown,
            units=[self.outcomes[n].unit for n in rows],
            note=f"{len(rows)} cases; {found.count('near')} titles near, {found.count('far')} far; "
            f"{found.count('unknown')} more that nobody can judge",
        )  # fmt: skip

    def _unstated(self, rows: Sequence[int]) -> None:
        """How often the same constraints are broken where nobody states them."""
        before = {one.case: one for one in self.rates.outcomes}
        without = [before[self.stated[n].case.id] for n in rows]
        per = [
            [self.stated[n].constraint.judge(item) for item in self.rates.items(one)]
            for n, one in zip(rows, without, strict=True)
        ]
        self.rates.rate(
            METRIC, "Recommended titles that would break the same constraint where nobody states it",
            [sum(x in _BROKEN for x in one) for one in per], [len(one) - one.count("unknown") for one in per],
            params={**PARAMS, "stated": False}, direction="neither", units=[one.unit for one in without],
            note="a target that does not heed the constraint breaks it this often",
        )  # fmt: skip

    def _answers(self) -> None:
        broken = [
            int(count in _BROKEN or any(x in _BROKEN for x in per))
            for per, count in zip(self.kept, self.counted, strict=True)
        ]
        asked = [one.constraint.kind for one in self.stated]
        kinds = ", ".join(f"{asked.count(kind)} {kind.replace('_', ' ')}" for kind in KINDS if kind in asked)
        silent = sum(not outcome.answered for outcome in self.outcomes)
        unsure = sum(
            not bad and "unknown" in per and one.constraint.kind != "count"
            for bad, per, one in zip(broken, self.kept, self.stated, strict=True)
        )
        self.rates.rate(
            METRIC, "Answers that break a stated constraint", broken, [1] * len(self.stated),
            params={**PARAMS, "per": "answer"}, shown=self.shown, units=[one.unit for one in self.outcomes],
            note=f"constraints: {kinds}; {silent} answers without a title break none; {unsure} break nothing that can "
            "be seen and hold titles that nobody can judge",
        )  # fmt: skip
