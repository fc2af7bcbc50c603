"""The hallucination audit, to be read in two minutes: first whether its checker can be believed, then what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audit.findings import Finding, Param, Verdict
from audit.report.fairness import Chart, Mark, Moved, moved_by
from audit.report.hallucination_words import CONTRASTS, LENGTHS, TASKS, contrast, measure, part_of
from audit.text import count

LEAST_EXISTENCE_F1, LEAST_PRECISION, MOST_FALSE_ALARMS = 0.95, 0.9, 0.02
VERDICTS = ("supported_rate", "contradicted_rate", "unverifiable_rate")


@dataclass(frozen=True)
class Gate:
    """One thing that the checker must be good at before its figures are concluded from.

    Attributes:
        title: what it must do.
        finding: how well it does; None where that was not measured.
        limit: what is needed.
        at_most: whether the limit is an upper one.
    """

    title: str
    finding: Finding | None
    limit: float
    at_most: bool

    @property
    def met(self) -> bool | None:
        """Whether the estimate is good enough; None where there is none."""
        if self.finding is None or self.finding.estimate is None:
            return None
        return self.finding.estimate <= self.limit if self.at_most else self.finding.estimate >= self.limit

    @property
    def verdict(self) -> Verdict:
        """As a shape and a colour."""
        return "not_applicable" if self.met is None else "pass" if self.met else "fail"

    @property
    def word(self) -> str:
        """The same in words."""
        return {None: "not measured", True: "met", False: "missed"}[self.met]


@dataclass(frozen=True)
class KindLine:
    """One kind of planted error, or of a change that is none.

    Attributes:
        kind: its name.
        figures: by metric.
    """

    kind: str
    figures: Mapping[str, Finding]

    @property
    def n(self) -> int:
        """Answers of this kind."""
        return max(f.n for f in self.figures.values())


@dataclass(frozen=True)
class Table:
    """Findings side by side.

    Attributes:
        columns: heads, each with a word below it.
        lines: a title, and one finding per column; None where it was not measured.
        notes: what was counted, by title, where that is worth its room.
    """

    columns: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, tuple[Finding | None, ...]], ...]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checker:
    """What the checker's own audit says.

    Attributes:
        gates: as published.
        kinds: by kind of planted error.
        columns: metrics of the kinds.
        confusion: what claims of known truth were ruled; None where that was not measured.
        reasons: why figures should not be concluded from, as the parts say it; none if all gates are met.
    """

    gates: tuple[Gate, ...]
    kinds: tuple[KindLine, ...]
    columns: tuple[str, ...]
    confusion: Table | None
    reasons: tuple[str, ...]

    @property
    def audited(self) -> bool:
        """Whether anything was measured."""
        return any(gate.met is not None for gate in self.gates)

    @property
    def believed(self) -> bool:
        """Whether every gate was measured and met."""
        return not self.reasons and all(gate.met for gate in self.gates)

    @property
    def verdict(self) -> Verdict:
        """As a shape and a colour."""
        missed = any(gate.met is False for gate in self.gates)
        return "pass" if self.believed else "fail" if missed or self.reasons else "inconclusive"

    @property
    def answer(self) -> str:
        """The same in a sentence."""
        missed = sum(gate.met is False for gate in self.gates)
        if self.believed:
            return "Yes: it meets its gates on planted errors."
        if missed:
            return (
                f"No: it misses {count(missed, 'gate')} of {len(self.gates)}, so nothing is concluded from its figures."
            )
        if self.reasons:
            return "No, so nothing is concluded from its figures."
        if not self.audited:
            return "Not known: it was not audited in this run."
        return "Not fully known: not every gate could be measured."


@dataclass(frozen=True)
class ItemLine:
    """Made-up titles of one kind of answer, between two bounds.

    Attributes:
        label: of the answers.
        low: titles near an item count as that item.
        high: they count as made up; None where there is no such bound.
        corrected: for the checker's errors; None where that was not possible.
    """

    label: str
    low: Finding
    high: Finding | None
    corrected: Finding | None


@dataclass(frozen=True)
class Stack:
    """Supported, contradicted and unverifiable claims: all claims, split in three.

    Attributes:
        label: of which claims.
        parts: the findings, in the order of `VERDICTS`.
    """

    label: str
    parts: tuple[Finding, Finding, Finding]


@dataclass(frozen=True)
class HallucinationView:
    """Everything about hallucination, arranged for reading."""

    checker: Checker
    items: tuple[ItemLine, ...]
    item_table: Table
    claims: Stack | None
    corrected: Finding | None
    predicates: tuple[Stack, ...]
    answers: tuple[Finding, ...]
    arms: Table | None
    uplift: Chart | None
    retrieval: tuple[Finding, ...]
    moved: tuple[Moved, ...]


def hallucination_view(findings: Iterable[Finding]) -> HallucinationView | None:
    """Arrange the findings about hallucination; None where nothing was measured."""
    measured = [f for f in findings if f.module == "hallucination" and f.estimate is not None]
    if not measured:
        return None
    moved = tuple(moved_by(measured))
    measured = [f for f in measured if f.metric != "mitigation_change"]
    uplift = [f for f in measured if f.metric == "rag_uplift"]
    items = [f for f in measured if part_of(f) == "items"]
    claims = [f for f in measured if part_of(f) == "claims"]
    return HallucinationView(
        checker=_checker(measured),
        items=tuple(_items(items)),
        item_table=_item_table(items),
        claims=_stack("All claims", claims),
        corrected=next((f for f in claims if f.metric == "contradicted_rate" and f.params.get("corrected")), None),
        predicates=tuple(_predicates(claims)),
        answers=tuple(f for f in claims if f.metric in _ANSWER_RATES and _only(f, "kind")),
        arms=_arms(uplift),
        uplift=_uplift(uplift),
        retrieval=tuple(f for f in measured if f.metric in ("retrieval_recall", "retrieval_mrr")),
        moved=moved,
    )


_ALWAYS = frozenset({"part", "protocol"})


def _only(finding: Finding, *free: str) -> bool:
    """Whether a finding is about all there is, but for these params."""
    return all(name in _ALWAYS or name in free or value in (None, False) for name, value in finding.params.items())


def _is(finding: Finding, **params: Param) -> bool:
    """Whether a finding has these params; None stands for one that it need not have."""
    return all(finding.params.get(name) == value for name, value in params.items())


# The checker --------------------------------------------------------------------------------------------------------


def _checker(measured: Sequence[Finding]) -> Checker:
    ours = [f for f in measured if part_of(f) == "checker"]
    gates = (
        Gate("Tells made-up titles from items (F1)", _whole(ours, "existence_f1"), LEAST_EXISTENCE_F1, False),
        Gate(
            "Of what it calls contradicted, is false in truth",
            _whole(ours, "checker_precision"),
            LEAST_PRECISION,
            False,
        ),
        Gate(
            "Finds something wrong in an answer without an error",
            _whole(ours, "checker_false_alarm_rate"),
            MOST_FALSE_ALARMS,
            True,
        ),
    )
    kinds: dict[str, dict[str, Finding]] = {}
    for f in ours:
        if kind := f.params.get("kind"):
            kinds.setdefault(str(kind), {})[f.metric] = f
    present = {metric for figures in kinds.values() for metric in figures}
    columns = [metric for metric in _KIND_COLUMNS if metric in present]
    reasons = dict.fromkeys(reason for f in measured if part_of(f) != "checker" for reason in f.unmet)
    lines = tuple(KindLine(kind, figures) for kind, figures in kinds.items())
    return Checker(gates, lines, tuple(columns), _confusion(ours), tuple(reasons))


_KIND_COLUMNS = ("checker_recall", "checker_precision", "checker_f1", "checker_false_alarm_rate")


def _confusion(ours: Sequence[Finding]) -> Table | None:
    cells = {(f.params.get("truth"), f.params.get("ruled")): f for f in ours if f.metric == "checker_confusion"}
    if not cells:
        return None
    ruled = ("supported", "contradicted", "unverifiable", "not_extracted")
    heads = ("ruled supported", "contradicted", "unverifiable", "not extracted")
    truths = {"supported": "True", "contradicted": "False", "unverifiable": "Nobody can tell"}
    lines = [(title, tuple(cells.get((truth, name)) for name in ruled)) for truth, title in truths.items()]
    return Table(tuple((head, "") for head in heads), tuple((title, found) for title, found in lines if any(found)))


def _whole(findings: Sequence[Finding], metric: str) -> Finding | None:
    """The finding of a metric that is about the most: the one with the fewest params of its own."""
    found = [f for f in findings if f.metric == metric and not f.params.get("kind")]
    return min(found, key=lambda f: sum(value is not None for value in f.params.values()), default=None)


# Items --------------------------------------------------------------------------------------------------------------


def _items(items: Sequence[Finding]) -> list[ItemLine]:
    rates = [f for f in items if f.metric == "hallucinated_item_rate" and f.params.get("k") is None]
    rates = [f for f in rates if f.params.get("state") in (None, "not_in_catalog")]
    rates = [f for f in rates if f.params.get("average") in (None, "micro")]
    lines = []
    for task in _tasks(rates):
        mine = [f for f in rates if f.params.get("task") == task]
        bounds = {f.params.get("bound") or "low": f for f in mine if not f.params.get("corrected")}
        corrected = {f.params.get("bound") or "low": f for f in mine if f.params.get("corrected")}
        if low := bounds.get("low"):
            lines.append(ItemLine(_head(task), low, bounds.get("high"), corrected.get("low")))
    return lines


def _item_table(items: Sequence[Finding]) -> Table:
    """What else is wrong with what is recommended, by task."""
    tasks = _tasks(items)
    lines = []
    for title, metric, params in _ITEM_LINES:
        found = [f for f in items if f.metric == metric and _is(f, **params)]
        figures = tuple(next((f for f in found if f.params.get("task") == task), None) for task in tasks)
        if any(figures):
            lines.append((title, figures))
    return Table(tuple((_head(task), "") for task in tasks), tuple(lines))


_ALL_CONSTRAINTS: Mapping[str, Param] = {"kind": None, "margin": None}
_ITEM_LINES: tuple[tuple[str, str, Mapping[str, Param]], ...] = (
    ("Answers with a made-up title", "hallucinated_answer_rate", {"bound": "low"}),
    ("Titles said twice", "duplicate_item_rate", {}),
    ("Items that the user already has", "consumed_item_rate", {}),
    ("Items that may not be had", "ineligible_rate", {"column": None}),
    (
        "Titles that break a stated wish",
        "constraint_violation_rate",
        {**_ALL_CONSTRAINTS, "per": "title", "stated": True},
    ),
    ("The same, where nobody states the wish", "constraint_violation_rate", {**_ALL_CONSTRAINTS, "stated": False}),
    ("Answers that break a stated wish", "constraint_violation_rate", {**_ALL_CONSTRAINTS, "per": "answer"}),
    ("Answers with another number of titles than asked for", "wrong_count_rate", {}),
    ("Answers that recommend anything", "respond_rate", {}),
    ("Answers that decline", "unanswered_rate", {"outcome": "refused"}),
    ("Answers in which no list was found", "unanswered_rate", {"outcome": "unparsable"}),
    ("Answers that failed", "unanswered_rate", {"outcome": "error"}),
    ("Answers that are empty", "unanswered_rate", {"outcome": "empty"}),
)


def _tasks(findings: Sequence[Finding]) -> list[Param]:
    found = dict.fromkeys(f.params.get("task") for f in findings)
    order = list(TASKS)
    return sorted(found, key=lambda task: (order.index(str(task)) if task in order else len(order), str(task)))


def _head(task: Param) -> str:
    return TASKS.get(str(task), str(task or "answers")).capitalize()


# Claims -------------------------------------------------------------------------------------------------------------


def _stack(label: str, claims: Sequence[Finding], predicate: object = None) -> Stack | None:
    mine = [f for f in claims if f.params.get("predicate") == predicate and _only(f, "predicate")]
    found = [next((f for f in mine if f.metric == metric), None) for metric in VERDICTS]
    supported, contradicted, unverifiable = found
    if supported is None or contradicted is None or unverifiable is None:
        return None
    return Stack(label, (supported, contradicted, unverifiable))


def _predicates(claims: Sequence[Finding]) -> list[Stack]:
    names = dict.fromkeys(f.params.get("predicate") for f in claims if f.params.get("predicate"))
    stacks = [_stack(PREDICATES.get(str(name), str(name)), claims, name) for name in names]
    return [stack for stack in stacks if stack is not None]


PREDICATES: Mapping[str, str] = {
    "series_of": "series",
    "in_history": "what the user had",
    "user_likes": "what the user likes",
    "similar_to": "similar to",
    "constraint_ok": "meets the wish",
    "passage": "other statements",
}
"""Predicates of claims whose own name says too little."""

_ANSWER_RATES = (
    "respond_rate",
    "refused_rate",
    "unparsable_rate",
    "empty_rate",
    "error_rate",
    "contradicted_answer_rate",
    "self_contradiction_rate",
)


# What passages change -----------------------------------------------------------------------------------------------


def _arms(uplift: Sequence[Finding]) -> Table | None:
    """Measures by contrasts of arms; task quality and lengths stand in it, so that saying less is seen."""
    cells = {(f.params.get("of"), contrast(f)): f for f in uplift}
    shown = [pair for pair in CONTRASTS if any(found == pair for _, found in cells)]
    if not shown:
        return None
    measures = list(dict.fromkeys(of for of, _ in cells))
    measures.sort(key=lambda of: of in LENGTHS)
    lines = tuple((measure(str(of)), tuple(cells.get((of, pair)) for pair in shown)) for of in measures)
    columns = tuple(CONTRASTS[pair] for pair in shown)
    # Of a note the first part: the two levels. Lengths are said in every note, and have lines of their own here.
    notes = {title: first.note.partition("; ")[0] for title, figures in lines if (first := figures[0]) is not None}
    return Table(columns, lines, notes)


def _uplift(uplift: Sequence[Finding]) -> Chart | None:
    """The same as a chart; lengths are on another scale and stay in the table."""
    sections: list[tuple[str, tuple[Mark, ...]]] = []
    for pair, (letters, words) in CONTRASTS.items():
        marks = tuple(
            Mark(measure(str(f.params.get("of"))), f, (f.ci[0], f.estimate, f.ci[1]))
            for f in uplift
            if contrast(f) == pair and f.params.get("of") not in LENGTHS and f.ci and f.estimate is not None
        )
        if marks:
            sections.append((f"{letters}: {words}", marks))
    if not sections:
        return None
    limit = next((f.threshold for f in uplift if f.threshold is not None), None)
    return Chart(
        "What passages change",
        "Right of 0 is better: fewer titles made up, fewer false claims, more hits. A has no passages, B retrieved "
        "ones, C the right ones, D irrelevant ones as long, E retrieved ones with one false fact.",
        None if limit is None else (limit, None),
        0.0,
        tuple(sections),
    )
