"""What each field of a request moves, against what its owner has disclosed and against what should move nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audit import metrics, stats
from audit.edits import Edit, apply
from audit.findings import Finding
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.explanation.field_changes import ATTRIBUTE, KINDS, FieldChange, declared, field_edits, spoken
from audit.modules.explanation.module import INFO
from audit.modules.report_card import ReportCard, mde_of
from audit.modules.sheet import Sheet
from audit.types import Answer, Case

OPERATORS = ("delete", "placeholder", "swap")
SENSITIVE = (
    "age", "caste", "disability", "ethnicity", "gender", "health", "income", "language", "marital_status",
    "nationality", "orientation", "politics", "race", "region", "religion", "sex", "union", "zip", "zip_code",
)  # fmt: skip
"""Attributes that no answer should rest on without its owner saying why: those of Article 9 GDPR and of Article 21 of
the EU Charter, and a place to live, which stands in for them."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fields:
    """Every field is taken away, and exchanged for another user's; the answers are compared.

    Attributes:
        users: how many users' requests are asked.
        operators: `delete`, `swap`; a field knows no `placeholder`, and is deleted where nothing else is named.
        disclosed: the main parameters that the owner has disclosed, by the names of fields: `history`, `attributes`
            (all of them) or `attributes.NAME`, `note`, `passages`, `turns`, `candidate_order`, `instruction`. None
            where nothing is known of it.
        sensitive: names of attributes that are reported as protected.
        least: the smallest influence above the floor that is called one.
    """

    users: int = 20
    operators: Sequence[str] = ("delete", "swap")
    disclosed: Sequence[str] | None = None
    sensitive: Sequence[str] = SENSITIVE
    least: float = 0.01

    def __post_init__(self) -> None:
        if isinstance(self.users, bool) or not isinstance(self.users, int) or self.users < 2:
            raise ValueError(f"users: {self.users!r} must be a whole number of at least 2; intervals need two users")
        for name in ("operators", "disclosed", "sensitive"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ValueError(f"{name}: {value!r} must be a list, such as [{value}]")
        if unknown := [o for o in self.operators if o not in OPERATORS]:
            raise ValueError(f"operators: {unknown[0]!r} must be one of {', '.join(OPERATORS)}")
        if not self.operators:
            raise ValueError("operators: at least one of delete and swap is needed")
        for name in self.disclosed or ():
            if name not in KINDS and not (name.startswith(ATTRIBUTE) and name != ATTRIBUTE):
                raise ValueError(f"disclosed: {name!r} must be one of {', '.join(KINDS)}, or attributes.NAME")
        if not 0 <= self.least < 1:
            raise ValueError(f"least: {self.least!r} must be at least 0 and below 1")

    @property
    def asked(self) -> tuple[str, ...]:
        """The operators that a field knows."""
        return tuple(o for o in ("delete", "swap") if o in self.operators) or ("delete",)

    def lacking(self, context: Context) -> str | None:
        """The target must rank or score, and there must be two users."""
        if context.task == "answer":
            return "the target answers in free text, and what is compared here are lists or scores"
        if len(self._cases(context)) < 2:
            return "fewer than 2 users are under audit, and an interval needs 2"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every case twice, and every change of it."""
        cases = self._cases(context)
        edits = self._edits(context, cases)
        asks = [Ask(case.request, repeat) for case in cases for repeat in (0, 1)]
        return asks + [
            Ask(apply(change, case.request))
            for case, changes in zip(cases, edits, strict=True)
            for change in changes.values()
        ]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and compare."""
        cases = self._cases(context)
        edits = self._edits(context, cases)
        told = context.gateway.ask(self.plan(context), label="fields")
        first, second, rest = told[: 2 * len(cases) : 2], told[1 : 2 * len(cases) : 2], iter(told[2 * len(cases) :])
        changed = [{change: next(rest) for change in changes} for changes in edits]
        seen = [n for n, answer in enumerate(first) if _readable(answer)]
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        if len(seen) < 2:
            card.skip(
                "field_influence", _TITLE, f"{len(seen)} of {len(cases)} clean questions were answered", part=PART
            )
            return Output(card.findings)
        sheet = Sheet(context, card, output, examples)
        for change in dict.fromkeys(change for n in seen for change in edits[n]):
            those = [n for n in seen if change in edits[n]]
            if len(those) < 2:
                reason = f"{len(those)} of {len(seen)} answered requests hold such a field that can be changed"
                card.skip(
                    "field_influence", _title(change), reason, part=PART, field=change.field, operator=change.operator
                )
                continue
            rows = [_Row(cases[n], edits[n][change], first[n], second[n], changed[n][change]) for n in those]
            self._report(sheet, change, rows, len(cases) - len(seen))
        card.findings = card.corrected()
        consequences = self._consequences(card, context)
        return Output([*card.findings, *consequences.corrected()], output.evidence, card.values | consequences.values)

    def _cases(self, context: Context) -> list[Case]:
        """The first request of each of the first users."""
        firsts: dict[str, Case] = {}
        for case in context.cases:
            firsts.setdefault(case.unit, case)
        return list(firsts.values())[: self.users]

    def _edits(self, context: Context, cases: Sequence[Case]) -> list[dict[FieldChange, tuple[Edit, ...]]]:
        wordings = context.info.paraphrases.get(context.task, ())
        requests = [case.request for case in cases]
        return [
            field_edits(
                request,
                [*requests[n + 1 :], *requests[:n]],
                wordings,
                self.asked,
                context.rng("explanation", "fields", cases[n].id),
            )
            for n, request in enumerate(requests)
        ]

    def _report(self, sheet: Sheet, change: FieldChange, rows: Sequence[_Row], unanswered: int) -> None:
        context, card = sheet.context, sheet.card
        rng = context.rng("explanation", "fields", change.field, change.operator)
        moved, floor = (np.array(values) for values in zip(*((r.moved, r.floor) for r in rows), strict=True))
        # Scores have no bounds that hold for every target.
        ranks = context.task == "rank"
        interval = stats.mean_interval(
            moved, rng=rng, level=card.level, resamples=card.resamples, bounds=(0.0, 1.0) if ranks else None
        )
        effect = stats.paired_difference(
            moved, floor, rng=rng, level=card.level, resamples=card.resamples, bounds=(-1.0, 1.0) if ranks else None
        )
        tops = sum(r.top_changed for r in rows)
        lost = sum(not _readable(r.edited) for r in rows)
        note = (
            f"when {change.said}, the {'first item' if ranks else 'decision'} changes for {tops} of {len(rows)} users"
            f"{self._said(change.field)}{_declaration(change.field, context)}"
        )
        note += f"; {lost} changed requests were not answered, which counts as 1" if lost else ""
        note += f"; {unanswered} users whose clean request was not answered are left out" if unanswered else ""
        most = sorted(rows, key=lambda r: r.floor - r.moved)[: min(2, sheet.examples)]
        shown = [
            sheet.compare(
                r.case.id, f"When {change.said}", r.case.request, r.edits, f"the answers are {r.moved:.3g} apart"
            )
            for r in most
            if r.moved > r.floor
        ]
        card.add(
            "field_influence", _title(change), interval, n=len(rows), direction="neither", floor=float(floor.mean()),
            effect=effect, test="paired permutation, one-sided", mde=mde_of(moved - floor),
            p=stats.paired_permutation(moved, floor, rng=rng, alternative="greater"),
            params={"part": PART, "field": change.field, "operator": change.operator}, note=note, evidence=shown,
            values={r.case.id: r.moved - r.floor for r in rows},
        )  # fmt: skip

    def _said(self, field: str) -> str:
        if self.disclosed is None:
            return ""
        return "; disclosed" if self._is_disclosed(field) else "; not disclosed"

    def _is_disclosed(self, field: str) -> bool:
        named = self.disclosed or ()
        return field in named or (field.startswith(ATTRIBUTE) and "attributes" in named)

    def _found(self, finding: Finding) -> bool:
        p, effect = finding.p_adjusted, finding.effect or 0.0
        return p is not None and p < 1 - finding.level and effect >= self.least

    def _consequences(self, measured: ReportCard, context: Context) -> ReportCard:
        """What follows from the measured influences: undisclosed fields, and protected attributes."""
        card = ReportCard(measured.module, measured.level, measured.controls)
        by_field: dict[str, list[Finding]] = {}
        for finding in measured.findings:
            if finding.estimate is not None:
                by_field.setdefault(str(finding.params["field"]), []).append(finding)
        self._undisclosed(card, by_field, measured)
        protected = [
            f for f in by_field if f.startswith(ATTRIBUTE) and _plain(f) in {s.casefold() for s in self.sensitive}
        ]
        for finding in (finding for field in protected for finding in by_field[field]):
            said = spoken(str(finding.params["field"]))
            self._again(
                card, measured, finding, "protected_influence", f"What moves with {said}, a protected attribute",
                f"{finding.note}; that it moves answers does not say to whose cost: the fairness module does (snsr, "
                "quality_gap); what stands in for it, such as a name in the note, is not looked at here",
            )  # fmt: skip
        if not protected:
            reason = "no request holds a protected attribute; name others under fields.sensitive, if there are any"
            card.skip("protected_influence", "What protected attributes move", reason, part=PART)
        return card

    def _undisclosed(self, card: ReportCard, by_field: Mapping[str, Sequence[Finding]], measured: ReportCard) -> None:
        title = "What moves answers and is not disclosed"
        if self.disclosed is None:
            reason = "fields.disclosed does not say which main parameters the owner has disclosed"
            card.skip("undisclosed_influence", title, reason, part=PART)
            return
        idle = [
            field
            for field, findings in by_field.items()
            if self._is_disclosed(field) and not any(self._found(f) for f in findings)
        ]
        untold = [name for name in self.disclosed if not any(_covers(name, field) for field in by_field)]
        note = f"disclosed, but without influence found: {', '.join(idle)}" if idle else ""
        note += "; " * bool(note and untold)
        note += f"disclosed, but in no request, so not measured: {', '.join(untold)}" if untold else ""
        hidden = [field for field in by_field if not self._is_disclosed(field)]
        for field in hidden:
            # The operator under which it moves most, so its p is corrected for having been chosen.
            finding = max(by_field[field], key=lambda f: f.effect or 0.0)
            chosen = replace(finding, p=min(1.0, (finding.p or 0.0) * len(by_field[field])))
            said = "has" if self._found(finding) else "was not found to have"
            words = f"{spoken(field)} is not disclosed, and {said} influence beyond the floor"
            self._again(
                card, measured, chosen, "undisclosed_influence", f"{title}: {spoken(field)}",
                "; ".join(part for part in (words, finding.note, note) if part),
            )  # fmt: skip
        if not hidden:
            reason = "every field that the requests hold is disclosed" + (f"; {note}" if note else "")
            card.skip("undisclosed_influence", title, reason, part=PART)

    @staticmethod
    def _again(card: ReportCard, measured: ReportCard, of: Finding, metric: str, title: str, note: str) -> None:
        assert of.effect is not None and of.effect_ci is not None  # noqa: S101, PT018 - fields that were measured
        values = measured.values[of.id]
        card.add(
            metric, title, stats.Interval(of.effect, *of.effect_ci, of.level, of.effect_ci_method), n=of.n,
            direction="higher_is_worse", params=of.params, test=of.test, p=of.p, mde=of.mde, note=note,
            evidence=of.evidence, values=values,
        )  # fmt: skip


PART = "fields"
_TITLE = "What each field of a request moves"


@dataclass(frozen=True)
class _Row:
    """One user: the clean answer, its repeat, and the answer to the changed request."""

    case: Case
    edits: tuple[Edit, ...]
    clean: Answer
    repeat: Answer
    edited: Answer

    @property
    def moved(self) -> float:
        return answers_apart(self.case, self.clean, self.edited)

    @property
    def floor(self) -> float:
        return answers_apart(self.case, self.clean, self.repeat)

    @property
    def top_changed(self) -> bool:
        if not _readable(self.edited):
            return True
        if self.case.request.task == "score":
            a, b = _scores(self.clean), _scores(self.edited)
            return any((a[i] > 0.5) != (b[i] > 0.5) for i in a.keys() & b.keys())
        return _names(self.clean, 1) != _names(self.edited, 1)


def answers_apart(case: Case, a: Answer, b: Answer) -> float:
    """How far two answers lie apart: 1 - RBO of the first k of two rankings, the mean difference of the scores.

    1 where only one of them can be read: a field that decides whether there is an answer has moved all of it.
    """
    if not (_readable(a) and _readable(b)):
        return float(_readable(a) != _readable(b))
    if case.request.task == "score":
        x, y = _scores(a), _scores(b)
        both = sorted(x.keys() & y.keys())
        return float(np.mean([abs(x[i] - y[i]) for i in both])) if both else 1.0
    k = case.request.k
    first, second = _names(a, k), _names(b, k)
    return 0.0 if first == second else 1.0 - metrics.rbo(first, second)


def _readable(answer: Answer) -> bool:
    return answer.outcome == "ok" and bool(answer.ranked)


def _names(answer: Answer, k: int) -> tuple[str, ...]:
    """Ids of the first k; a title that is no item stands for itself."""
    return tuple(r.item_id if r.item_id is not None else f"\0{r.title}" for r in answer.ranked[:k])


def _scores(answer: Answer) -> dict[str, float]:
    return {r.item_id: r.score for r in answer.ranked if r.item_id is not None and r.score is not None}


def _title(change: FieldChange) -> str:
    return f"What moves when {change.said}"


def _plain(field: str) -> str:
    return field.removeprefix(ATTRIBUTE).casefold()


def _covers(name: str, field: str) -> bool:
    return name == field or (name == "attributes" and field.startswith(ATTRIBUTE))


def _declaration(field: str, context: Context) -> str:
    return "; the target declares that it does not read it" if declared(field, context.info.honours) is False else ""
