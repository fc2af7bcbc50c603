"""The findings of a checker that was audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audit.claims.benchmark.scoring import MISSED, VERDICTS, Bound, CheckerAudit, Read
from audit.claims.benchmark.writer import STYLES
from audit.findings import Direction, Evidence, Param
from audit.modules.base import Context, Output
from audit.modules.hallucination import gates
from audit.modules.hallucination.module import INFO
from audit.modules.report_card import ReportCard
from audit.stats import Interval
from audit.text import clip

MADE_UP = ("merged-title", "sequel", "subtitle")
NO_ERROR = ("typo", "alias", "hidden-fact", "outside-fact")
"""Kinds of changes that are no error, or none that anybody could know of: nothing may be held against them."""
PERHAPS = ("year-1", "genre", "creator")
"""Kinds that are errors by convention: where years are taken strictly, where a column lists all there is."""
EASY = "planted errors are easier to find than natural ones, and no person has labelled natural answers"

_CAUGHT = "Planted errors of this kind that the checker finds"
_HELD = "Planted changes of this kind, which are no error, that the checker takes for one"
_WORDS: Mapping[str, str] = {"supported": "true", "contradicted": "false", "unverifiable": "not to be checked"}
_COLUMNS = (*VERDICTS, "not extracted")


def conclude(context: Context, audit: CheckerAudit, *, examples: int) -> Output:
    """One finding per property of the checker.

    Args:
        context: of the run.
        audit: what the checker made of answers of known truth.
        examples: pieces of evidence kept per finding.
    """
    desk = _Desk(context, audit, examples)
    desk.claims()
    desk.titles()
    desk.alarms()
    desk.extraction()
    desk.kinds()
    desk.matrix()
    return Output(desk.card.findings, desk.evidence)


class _Desk:
    def __init__(self, context: Context, audit: CheckerAudit, examples: int) -> None:
        self.context, self.audit, self.examples = context, audit, examples
        self.card = ReportCard(INFO.id, context.level, INFO.controls)
        self.evidence: list[Evidence] = []
        self.reads = np.array(audit.reads, dtype=object)
        unmet = gates.gate(audit)
        self.told = "; ".join(unmet) if unmet else "it meets its gates"

    def claims(self) -> None:
        """Precision, recall and F1 of `contradicted`, over all planted claims."""
        scores = gates.contradicted(self.audit)
        false, true, missed = (int(x.sum()) for x in (scores.false, scores.true, scores.missed))
        counts = (
            f"of {self.audit.planted:,} planted claims in {len(self.audit.reads)} answers {true + missed} are false; "
            f"{true} of them and {false} others were ruled contradicted; {EASY}"
        )
        wrong = [read for read in self.audit.reads if read.alarms]
        params: dict[str, Param] = {}
        self._add(
            "checker_precision", "Of what the checker rules contradicted, what is false in truth",
            scores.precision, scores.true + scores.false, params, counts, self._show(wrong, "Taken for false"),
        )  # fmt: skip
        overlooked = [read for read, n in zip(self.audit.reads, scores.missed, strict=True) if n]
        self._add(
            "checker_recall", "Of planted false claims, what the checker rules contradicted",
            scores.recall, scores.true + scores.missed, params, counts, self._show(overlooked, "Overlooked"),
        )  # fmt: skip
        skipped = "; ".join(f"no planted {kind}: {why}" for kind, why in self.audit.benchmark.skipped.items())
        note = "; ".join(part for part in (self.told, counts, skipped) if part)
        self._add("checker_f1", "False claims found, precision and recall in one", scores.f1, scores.all, params, note)

    def titles(self) -> None:
        """How well made-up titles are told from items."""
        near, titles = gates.undecided(self.audit)
        bounds: Sequence[tuple[Bound, str]] = (
            ("decided", f"; {near} of {titles} titles are near an item and left undecided, so they are not counted"),
            ("low", ", titles near an item taken for it"),
            ("high", ", titles near an item taken for made up"),
        )
        for bound, how in bounds:
            scores = gates.invented(self.audit, bound)
            true, false, missed = (int(x.sum()) for x in (scores.true, scores.false, scores.missed))
            counts = (
                f"{true} of {true + missed} made-up titles were found, and {false} items were taken for made up{how}"
            )
            params: dict[str, Param] = {} if bound == "decided" else {"bound": bound}
            self._add("existence_f1", "Made-up titles told from items", scores.f1, scores.all, params, counts)
            if bound == "decided":
                self._add(
                    "existence_precision", "Of titles called made up, what is nobody's",
                    scores.precision, scores.true + scores.false, params, counts,
                )  # fmt: skip
                self._add(
                    "existence_recall", "Of made-up titles, what the checker finds",
                    scores.recall, scores.true + scores.missed, params, counts,
                )  # fmt: skip

    def alarms(self) -> None:
        """Clean answers in which something was found."""
        alarms = gates.false_alarms(self.audit)
        wrong = [read for read in self.audit.reads if not read.answer.kind and read.alarms]
        note = f"{int(alarms.sum())} of {len(alarms)} answers in which all is true"
        shown = self._show(wrong, "A false alarm")
        self._share("checker_false_alarm_rate", "Answers without an error in which the checker finds one",
                    alarms, {}, note, "higher_is_worse", shown)  # fmt: skip

    def extraction(self) -> None:
        """Planted claims that were read out of the answers."""
        rows = self.audit.confusion.sum(axis=1)
        for style in ("", *STYLES):
            chosen = np.array([style in ("", read.answer.style) for read in self.audit.reads])
            hits, trials = rows[chosen, :MISSED].sum(axis=1), rows[chosen].sum(axis=1)
            extra = int(self.audit.extra[chosen].sum())
            title = f"Planted claims that are extracted{f', {style}' if style else ''}"
            note = f"{int(hits.sum())} of {int(trials.sum())}; beside them {extra} claims that nobody planted"
            self._add(
                "extraction_recall", title, _rate(hits, trials), trials, {"style": style} if style else {}, note
            )  # fmt: skip

    def kinds(self) -> None:
        """By kind of planted error: how many are found, and how much else is found beside them."""
        for kind in sorted({read.answer.kind for read in self.audit.reads} - {""}, key=self._place):
            rows = self.audit.rows(kind)
            reads = [read for read in self.audit.reads if read.answer.kind == kind]
            params: dict[str, Param] = {"kind": kind}
            if kind in NO_ERROR or (kind in PERHAPS and not self._is_error(kind)):
                held = np.array([int(read.accused) for read in reads])
                passed = sum(read.caught is True for read in reads)
                left = len(reads) - passed - int(held.sum())
                note = (
                    f"{int(held.sum())} of {len(reads)}; {passed} are read as they should be, and {left} left undecided"
                )
                wrong = self._show([read for read in reads if read.accused], "Taken for an error")
                self._share("checker_false_alarm_rate", _HELD, held, params, note, "higher_is_worse", wrong)
                continue
            caught = np.array([int(read.caught is True) for read in reads])
            shown = self._show([read for read in reads if read.caught is False], "Overlooked")
            note = f"{int(caught.sum())} of {len(reads)} answers with one such error"
            self._share("checker_recall", _CAUGHT, caught, params, note, "higher_is_better", shown)
            if kind == "consumed":
                continue
            # What was caught, and whatever else was held against the same answers.
            scores = gates.invented(self.audit, "low", rows) if kind in MADE_UP else self._claims(rows)
            true, false = int(scores.true.sum()), int(scores.false.sum())
            counts = f"{true} right and {false} wrong in {len(reads)} answers with one such error"
            what = "made up" if kind in MADE_UP else "contradicted"
            self._add(
                "checker_precision", f"Of what is called {what} in answers with this error, what is",
                scores.precision, scores.true + scores.false, params, counts,
            )  # fmt: skip
            self._add(
                "checker_f1", "Errors of this kind, precision and recall in one", scores.f1, scores.all, params, counts
            )

    def matrix(self) -> None:
        """What claims are, and what they were ruled."""
        counts = self.audit.confusion
        for row, truth in enumerate(VERDICTS):
            trials = counts[:, row].sum(axis=1)
            for column, ruled in enumerate(_COLUMNS):
                hits = counts[:, row, column]
                title = f"Claims that are {_WORDS[truth]}: {ruled}"
                note = f"{int(hits.sum())} of {int(trials.sum())} claims"
                params: dict[str, Param] = {"truth": truth, "ruled": ruled.replace(" ", "_")}
                direction: Direction = "higher_is_better" if truth == ruled else "higher_is_worse"
                self._add("checker_confusion", title, _rate(hits, trials), trials, params, note, direction=direction)

    def _is_error(self, kind: str) -> bool:
        """Whether this change is an error with these options."""
        claims = (c for read in self.audit.reads for c in read.answer.claims if c.kind == kind)
        return any(claim.truth == "contradicted" and not claim.tolerated for claim in claims)

    def _place(self, kind: str) -> int:
        """In the order in which they were planted."""
        return next(n for n, read in enumerate(self.audit.reads) if read.answer.kind == kind)

    def _claims(self, rows: NDArray[np.bool_]) -> gates.Scores:
        return gates.contradicted(self.audit, rows)

    def _add(
        self,
        metric: str,
        title: str,
        interval: Callable[[np.random.Generator, float, int], Interval | None],
        trials: ArrayLike,
        params: Mapping[str, Param],
        note: str,
        shown: Sequence[str] = (),
        direction: Direction = "higher_is_better",
    ) -> None:
        named: dict[str, Param] = {"part": "checker", **params}
        rng = self.context.rng(INFO.id, "checker", metric, *(str(value) for value in params.values()))
        found = interval(rng, self.context.level, self.card.resamples)
        if found is None:
            self.card.skip(metric, title, f"there is nothing to count: {note}", **named)
            return
        n = int(np.count_nonzero(np.asarray(trials)))
        self.card.add(
            metric, title, found, n=n, direction=direction, params=named, unit="planted answer", note=note,
            evidence=shown,
        )  # fmt: skip

    def _share(
        self,
        metric: str,
        title: str,
        hits: NDArray[np.int64],
        params: Mapping[str, Param],
        note: str,
        direction: Direction,
        shown: Sequence[str] = (),
    ) -> None:
        """A share of answers."""
        ones = np.ones(len(hits), dtype=np.int64)
        self._add(metric, title, _rate(hits, ones), ones, params, note, shown, direction)

    def _show(self, reads: Sequence[Read], title: str) -> list[str]:
        """Planted answers that were misread, with what was made of them."""
        found = []
        for read in reads[: self.examples]:
            ruled = zip(read.answer.claims, read.matched, strict=True)
            said = [
                f"{c.predicate} {c.object}: {c.truth}, ruled {'nothing' if r is None else r.verdict}"
                for c, r in ruled
                if (r is None or r.verdict != c.truth) and not c.tolerated
            ]
            said += [
                f"{r.claim.predicate} {r.claim.object}: nobody planted it, ruled {r.verdict}"
                for r in read.extra
                if r.verdict == "contradicted"
            ]
            said += [
                f"{t.title}: {'made up' if t.item_id is None else 'an item'}, read as {state}"
                for t, state in zip(read.answer.titles, read.states, strict=True)
                if (t.item_id is None) != (state == "absent")
            ]
            kind = f"planted: {read.answer.kind}. " if read.answer.kind else ""
            note = f"{kind}{'; '.join(said) or 'nothing of it was found'}. Answer: {clip(read.answer.text, 600)}"
            one = Evidence(case=read.answer.request.user.id, title=title, note=note)
            self.evidence.append(one)
            found.append(one.id)
        return found


def _rate(
    hits: NDArray[np.int64], trials: NDArray[np.int64]
) -> Callable[[np.random.Generator, float, int], Interval | None]:
    def interval(rng: np.random.Generator, level: float, resamples: int) -> Interval | None:
        return gates.rate(hits, trials, rng, level, resamples)

    return interval
