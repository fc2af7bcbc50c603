"""Whether citations hold: ALCE's recall and precision (Gao et al. 2023), and numbers of passages that are not there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audit import stats
from audit.claims import Claim, Facts, Rung
from audit.findings import Direction
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.free_text import free_text
from audit.modules.hallucination import rungs as ladder
from audit.modules.hallucination.module import INFO
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet
from audit.target import Input
from audit.types import Case, Request

_CITED = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_ENDS = re.compile(r"(?<=[.!?])(?:\s*\[[\d\s,]+\])*\s+(?!\[\d)|\n+")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_RECALL = "Sentences that their cited passages support"
_PRECISION = "Citations that support their sentence"
_FABRICATED = "Citations of passages that were not given"


@dataclass(frozen=True)
class Cited:
    """A sentence and its citations.

    Attributes:
        text: the sentence without them.
        start: where it begins in the answer.
        end: one past where it ends.
        cites: numbers as written, counted from 1, each once.
    """

    text: str
    start: int
    end: int
    cites: tuple[int, ...]


def sentences(text: str) -> list[Cited]:
    """The sentences of an answer with the passages they cite; what has no words is none."""
    bounds = [0, *(m.end() for m in _ENDS.finditer(text)), len(text)]
    found = []
    for start, end in pairwise(bounds):
        raw = text[start:end]
        bare = re.sub(r"\s+([.!?,;])", r"\1", " ".join(_CITED.sub(" ", raw).split()))
        if _WORDS.search(bare):
            cites = [int(number) for group in _CITED.findall(raw) for number in group.split(",")]
            found.append(Cited(bare, start, end, tuple(dict.fromkeys(cites))))
    return found


@dataclass(frozen=True)
class Counts:
    """Of one answer: sentences and those supported, citations and those precise, citations of nothing."""

    sentences: int = 0
    recalled: int = 0
    citations: int = 0
    precise: int = 0
    fabricated: int = 0


def judge(request: Request, said: Sequence[Cited], facts: Facts, rungs: Sequence[Rung]) -> Counts:
    """ALCE's counts of one answer.

    A sentence is recalled if its cited passages together support it; one without a citation is not. A citation is
    precise if its sentence is recalled and its passage supports it alone, or the others do not without it. A number
    that leads to no passage is never precise.
    """
    passages = {number: passage.text for number, passage in enumerate(request.passages, start=1)}

    def holds(sentence: Cited, numbers: Sequence[int]) -> bool:
        return bool(numbers) and _supported(sentence, "\n".join(passages[n] for n in numbers), facts, rungs)

    recalled = precise = 0
    for sentence in said:
        real = [number for number in sentence.cites if number in passages]
        if not holds(sentence, real):
            continue
        recalled += 1
        for number in real:
            others = [other for other in real if other != number]
            # One passage alone has just been asked.
            precise += not others or holds(sentence, [number]) or not holds(sentence, others)
    cites = [number for sentence in said for number in sentence.cites]
    return Counts(len(said), recalled, len(cites), precise, sum(number not in passages for number in cites))


def _supported(sentence: Cited, text: str, facts: Facts, rungs: Sequence[Rung]) -> bool:
    claim = Claim("passage", sentence.text, "", None, sentence.start, sentence.end, sentence.text)
    given = Facts(facts.catalog, facts.request, facts.complete, {"cited": text})
    for rung in rungs:
        [ruling] = rung.rule([claim], given)
        if ruling is not None and ruling.rung is not None:
            return ruling.verdict == "supported"
    return False


def _told(rung: Rung) -> str:
    """A rung by name; of a judge also what it was asked, and what came of that."""
    counts = getattr(rung, "counts", None)
    if counts is None:
        return rung.name
    own = ", which is the audited model itself" if getattr(rung, "own", False) else ""
    numbers = ", ".join(f"{value} {name}" for name, value in vars(counts).items())
    return f"{rung.name}{own} ({numbers})"


@dataclass(frozen=True)
class Citations:
    """Answers with `[i]` over the passages of the request, the first being `[1]`.

    Attributes:
        answers: how many cases are asked.
        instruction: what they are asked; None for the target's own wording.
        rungs: `nli` or `judge`, which decide whether a passage supports a sentence.
    """

    answers: int = 100
    instruction: str | None = None
    rungs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.answers, bool) or not isinstance(self.answers, int) or self.answers < 1:
            raise ValueError(f"answers: {self.answers!r} must be a whole number of at least 1")
        ladder.check(self.rungs)

    def lacking(self, context: Context) -> str | None:
        """There must be passages, and a target that reads them and writes free text."""
        cases = free_text(context, self.answers, instruction=self.instruction)
        if not cases:
            return "the target writes no free text"
        if Input.PASSAGES not in context.info.honours:
            return "the target reads no passages"
        if not any(case.request.passages for case in cases):
            return "no request holds passages that could be cited"
        return None

    def plan(self, context: Context) -> list[Ask]:
        """Every case with passages."""
        return [Ask(case.request) for case in self._cases(context)]

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and judge."""
        return self.conclude(context, ladder.build(self.rungs, context.dataset, context.info), examples=examples)

    def conclude(self, context: Context, rungs: Sequence[Rung], *, examples: int) -> Output:
        """As `run`, with rungs that are built already."""
        cases = self._cases(context)
        answers = context.ask([case.request for case in cases], label="citations")
        card, output = ReportCard(INFO.id, context.level, INFO.controls), Output()
        sheet = Sheet(context, card, output, examples)
        said = [sentences(a.text or "") if a.outcome == "ok" else [] for a in answers]
        counts = [
            judge(case.request, those, Facts(context.dataset.catalog, case.request), rungs)
            for case, those in zip(cases, said, strict=True)
        ]
        silent = sum(not one.sentences for one in counts)
        note = f"{len(cases)} answers, {silent} of them without a sentence"
        uncited = sum(not sentence.cites for those in said for sentence in those)
        wrong = [(c, one) for c, one in zip(cases, counts, strict=True) if one.fabricated]
        shown = [
            sheet.show(c.id, "Cites what was not given", c.request, f"{one.fabricated} of {one.citations} citations")
            for c, one in wrong[:examples]
        ]
        ids = [case.id for case in cases]
        _add(
            card, context, "fabricated_citation_rate", _FABRICATED, ids,
            [c.fabricated for c in counts], [c.citations for c in counts], "higher_is_worse", note, shown,
        )  # fmt: skip
        if not rungs:
            reason = "whether a passage supports a sentence needs rungs: nli or judge"
            card.skip("citation_recall", _RECALL, reason, part="citations")
            card.skip("citation_precision", _PRECISION, reason, part="citations")
            return Output(card.findings, output.evidence, card.values)
        by = " then ".join(_told(rung) for rung in rungs)
        note = f"{note}; {uncited} sentences without a citation count as unsupported; decided by {by}"
        bad = [(c, one) for c, one in zip(cases, counts, strict=True) if one.recalled < one.sentences]
        shown = [
            sheet.show(
                c.id, "Not supported by what it cites", c.request, f"{x.recalled} of {x.sentences} sentences are"
            )
            for c, x in bad[:examples]
        ]
        _add(
            card, context, "citation_recall", _RECALL, ids,
            [c.recalled for c in counts], [c.sentences for c in counts], "higher_is_better", note, shown,
        )  # fmt: skip
        _add(
            card, context, "citation_precision", _PRECISION, ids,
            [c.precise for c in counts], [c.citations for c in counts], "higher_is_better", note, shown,
        )  # fmt: skip
        return Output(card.findings, output.evidence, card.values)

    def _cases(self, context: Context) -> list[Case]:
        asked = free_text(context, self.answers, instruction=self.instruction)
        return [case for case in asked if case.request.passages]


def _add(
    card: ReportCard,
    context: Context,
    metric: str,
    title: str,
    ids: Sequence[str],
    hits: Sequence[int],
    trials: Sequence[int],
    direction: Direction,
    note: str,
    shown: Sequence[str],
) -> None:
    """ALCE's macro mean over answers; answers without a trial have no share and are said in the note."""
    shares = {case: hit / of for case, hit, of in zip(ids, hits, trials, strict=True) if of}
    if not shares:
        card.skip(metric, title, f"nothing to judge: {note}", part="citations")
        return
    interval = stats.mean_interval(
        list(shares.values()), rng=context.rng("hallucination", metric), level=context.level,
        resamples=card.resamples, bounds=(0.0, 1.0),
    ) if len(shares) > 1 or set(shares.values()) <= {0.0, 1.0} else None  # fmt: skip
    if interval is None:
        card.skip(metric, title, "only one answer has anything to judge, and 2 are needed", part="citations")
        return
    counted = f"{sum(hits)} of {sum(trials)} in {len(shares)} answers; {note}"
    card.add(
        metric, title, interval, n=len(shares), direction=direction, params={"part": "citations"}, unit="answer",
        note=counted, evidence=shown, values=shares,
    )  # fmt: skip
