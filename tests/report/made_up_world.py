"""A stored audit of hallucination as its parts write one: a checker, items, claims, and retrieval arms."""

from __future__ import annotations

from typing import Any

from audit.findings import ClaimMark, Evidence, Finding, Param
from audit.types import Answer, Event, Item, Request, User

ASKED = Request(
    user=User("u1", (Event(Item("1", "Alien (1979)"), 5.0), Event(Item("2", "Heat (1995)"), 4.0))), task="answer"
)
TEXT = (
    "Since you liked Alien and The Matrix, I recommend these:\n\n"
    "1. **Fargo** (1996) - a crime comedy by the Coen brothers.\n"
    "2. **Babe** (1991) - a horror film by Chris Noonan that won seven awards.\n"
    "3. **The Glass Harbour** (2003) - a quiet drama.\n"
)


def mark(part: str, verdict: str, predicate: str, subject: str = "", **fields: Any) -> ClaimMark:
    start = TEXT.index(part)
    return ClaimMark(start, start + len(part), verdict, predicate, part, subject, **fields)  # type: ignore[arg-type]


MARKS = (
    mark(
        "liked Alien", "supported", "in_history", decided_by="structured", source="history", evidence="Alien (1979), 5"
    ),
    mark("The Matrix", "contradicted", "in_history", decided_by="structured", note="not in the request's history"),
    mark("1996", "supported", "year", "Fargo", decided_by="structured", source="3", evidence="Fargo (1996). Crime."),
    mark(
        "1991",
        "contradicted",
        "year",
        "Babe",
        decided_by="structured",
        source="4",
        evidence="Babe (1995). Children's, Comedy, Drama.",
        note="the year is 1995",
    ),
    mark("horror film", "contradicted", "genre", "Babe", decided_by="nli", evidence="Babe (1995). Children's, Comedy."),
    mark("seven awards", "unverifiable", "award", "Babe", note="the catalogue has no such column"),
    mark("The Glass Harbour", "contradicted", "exists", decided_by="structured", note="no row has this title"),
)
SHOWN = Evidence("u1", "Claims that the facts contradict", ASKED.digest, note="3 of 7 claims", claims=MARKS)
ANSWER = Answer((), text=TEXT)


def found(metric: str, estimate: float, params: dict[str, Param], *, width: float = 0.03, **fields: Any) -> Finding:
    ends = (max(estimate - width, 0.0), min(estimate + width, 1.0))
    return Finding(
        "hallucination", metric, fields.pop("title", metric.replace("_", " ").capitalize()), params, estimate=estimate,
        ci=fields.pop("ci", ends), n=fields.pop("n", 100), unit=fields.pop("unit", "answer"), **fields,
    )  # fmt: skip


def checker(f1: float = 0.97, precision: float = 0.93, alarms: float = 0.01) -> list[Finding]:
    part: dict[str, Param] = {"part": "checker"}
    kinds = {"year ±1": 0.2, "year ±20": 1.0, "other creator": 0.4, "sequel": 0.95, "typo": 1.0}
    return [
        found("existence_f1", f1, part, n=600),
        found("checker_precision", precision, part, n=300),
        found("checker_recall", 0.71, part, n=300),
        found("checker_f1", 0.8, part, n=300),
        found("checker_false_alarm_rate", alarms, part, n=300, width=0.01),
        *(found("checker_recall", recall, {**part, "kind": kind}, n=20) for kind, recall in kinds.items()),
        *(found("checker_precision", 0.9, {**part, "kind": kind}, n=20) for kind in kinds),
    ]


def items(task: str, low: float, high: float, unmet: tuple[str, ...] = ()) -> list[Finding]:
    shared: dict[str, Param] = {
        "task": task,
        "state": "not_in_catalog",
        "average": "micro",
        "k": None,
        "corrected": False,
    }
    wish: dict[str, Param] = {"task": task, "kind": None, "margin": None, "stated": True}
    world = "31 of 500 in 100 answers; the catalogue holds 1682 items, the newest of 1998"
    return [
        found("hallucinated_item_rate", low, {**shared, "bound": "low"}, note=world, unmet=unmet, unit="user"),
        found("hallucinated_item_rate", high, {**shared, "bound": "high"}, unmet=unmet, unit="user"),
        found("hallucinated_item_rate", low * 0.9, {**shared, "bound": "low", "corrected": True}, unmet=unmet),
        found("hallucinated_item_rate", low, {**shared, "bound": "low", "average": "macro"}, unmet=unmet),
        found("hallucinated_item_rate", low * 0.8, {**shared, "bound": "low", "k": 5}, unmet=unmet),
        found("hallucinated_answer_rate", min(3 * low, 1.0), {"task": task, "bound": "low"}),
        found("duplicate_item_rate", 0.04, {"task": task}),
        found("consumed_item_rate", 0.11, {"task": task}),
        found("constraint_violation_rate", 0.35, {**wish, "per": "title"}),
        found("constraint_violation_rate", 0.42, {**wish, "per": "title", "stated": False}),
        found("constraint_violation_rate", 0.6, {**wish, "per": "answer"}),
        found("wrong_count_rate", 0.2, {"task": task}),
        found("respond_rate", 0.93, {"task": task, "part": "items"}),
        found("unanswered_rate", 0.05, {"task": task, "outcome": "refused"}),
        found("unanswered_rate", 0.02, {"task": task, "outcome": "unparsable"}),
    ]


def claims(supported: float, contradicted: float, unmet: tuple[str, ...] = (), **fields: Any) -> list[Finding]:
    part: dict[str, Param] = {"part": "claims"}

    def three(s: float, x: float, params: dict[str, Param], **more: Any) -> list[Finding]:
        return [
            found("supported_rate", s, params, title="Claims that the facts support", **more),
            found("contradicted_rate", x, params, title="Claims that the facts contradict", **more),
            found("unverifiable_rate", round(1 - s - x, 6), params, title="Claims that nothing could decide", **more),
        ]

    note = "62 of 410 claims in 88 of 100 answers; of 100 answers 5 refused, 7 without a claim"
    return [
        *three(supported, contradicted, part, n=88, note=note, unmet=unmet, **fields),
        found("contradicted_rate", contradicted * 1.2, {**part, "corrected": True}, unmet=unmet, note="0.151 before"),
        *three(0.6, 0.3, {**part, "predicate": "year"}, n=70),
        *three(0.5, 0.1, {**part, "predicate": "genre"}, n=60),
        *three(0.0, 0.02, {**part, "predicate": "award"}, n=12),
        *three(0.3, 0.3, {**part, "hedged": True}, n=9),
        found("claim_coverage", 0.6, part),
        found("claims_per_answer", 4.1, part, ci=(3.2, 5.0)),
        found("respond_rate", 0.88, part, title="Answers that assert something that can be checked"),
        found("refused_rate", 0.05, part, title="Refusals (free text)"),
        found("contradicted_answer_rate", 0.4, part, title="Answers with a claim that the facts contradict"),
        found("contradicted_answer_rate", 0.2, {**part, "kind": "input"}, title="Answers that contradict the request"),
        found("self_contradiction_rate", 0.02, part, title="Answers that contradict themselves"),
        found("factscore", 0.35, {**part, "gamma": 10.0}),
        found("deepeval_hallucination", 0.1, {**part, "reference": "rows"}),
    ]


def arms(uplift: float = 0.08, placebo: float = 0.05, items_: float = -0.2, false_fact: float = -0.3) -> list[Finding]:
    def pair(of: str, from_: str, to: str, gain: float, width: float = 0.03) -> Finding:
        return found(
            "rag_uplift", gain, {"part": "grounding", "of": of, "from": from_, "to": to, "k": 5}, title=f"{of}, {to}",
            ci=(gain - width, gain + width),
            note=f"0.120 → {0.12 - gain:.3f}; items per answer 5.00 → {5 + items_:.2f}",
        )  # fmt: skip

    search: dict[str, Param] = {"part": "grounding", "queries": "exact facts", "search": "hybrid"}
    return [
        pair("hallucinated_item_rate", "none", "retrieved", uplift),
        pair("hallucinated_item_rate", "placebo", "retrieved", placebo),
        pair("hallucinated_item_rate", "none", "placebo", 0.01),
        pair("hallucinated_item_rate", "retrieved", "oracle", 0.02),
        pair("hallucinated_item_rate", "retrieved", "poisoned", -0.02),
        pair("contradicted_rate", "none", "retrieved", 0.01),
        pair("items_per_answer", "none", "retrieved", items_, 0.1),
        pair("hr", "none", "retrieved", 0.03),
        pair("false_fact_rate", "retrieved", "poisoned", false_fact),
        found("retrieval_recall", 0.92, {**search, "k": 5}, unit="query"),
        found("retrieval_mrr", 0.85, {**search, "k": 20}, unit="query"),
    ]
