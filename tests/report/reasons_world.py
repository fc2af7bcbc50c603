"""A stored audit of explanations as its parts write one: attributions, counterfactual sets, own words, fields."""

from __future__ import annotations

from typing import Any

from audit.edits import HistoryDrop
from audit.findings import Attributed, Bar, ClaimMark, Evidence, Finding, Param
from audit.types import Answer, Event, Item, Ranked, Request, User

TITLES = ("Alien (1979)", "Heat (1995)", "Fargo (1996)", "Babe (1995)", "Clue (1985)", "Jaws (1975)")
ASKED = Request(
    User("u1", tuple(Event(Item(str(n), title), 4.0) for n, title in enumerate(TITLES))),
    candidates=(Item("20", "Aliens (1986)"), Item("21", "Casino (1995)"), Item("22", "Twister (1996)")),
    k=3,
)
WITHOUT = HistoryDrop(0)
EDITED = WITHOUT.apply(ASKED)
BEFORE = Answer(tuple(Ranked(i.id, i.title, s) for i, s in zip(ASKED.candidates or (), (2.1, 1.4, 0.2), strict=True)))
AFTER = Answer(tuple(Ranked(i, t, s) for i, t, s in (("21", "Casino (1995)", 1.3), ("20", "Aliens (1986)", 0.4))))
BARS = Attributed(
    (
        Bar("Alien (1979)", 1.62, note="removed here"), Bar("Heat (1995)", -0.31), Bar("Fargo (1996)", 0.12, tied=1),
        Bar("Babe (1995)", 0.10, tied=1), Bar("Clue (1985)", 0.0), Bar("Jaws (1975)", 0.44),
    ),
    "lead in score over Casino (1995)",
    method="one item removed at a time",
    limits="items were taken out of the request alone: what the target was trained on stays",
)  # fmt: skip
SENTENCE = (
    "Removing “Alien (1979)” from the history changes this recommendation to “Casino (1995)” (checked in 9 of 10 runs)"
)
SET = Evidence(
    "u1", "It recommends Aliens (1986)", ASKED.digest, EDITED.digest, edits=(WITHOUT,), note=SENTENCE, attribution=BARS
)
SHAPLEY = Evidence(
    "u1",
    "It recommends Aliens (1986) before Casino (1995)",
    ASKED.digest,
    note="v falls by 1.9 without the history",
    attribution=Attributed(
        (
            Bar("Alien (1979)", 1.4, 1.1, 1.7), Bar("Jaws (1975)", 0.5, 0.3, 0.7),
            Bar("Fargo (1996)", 0.2, -0.1, 0.5, 1), Bar("Babe (1995)", 0.15, -0.2, 0.4, 1),
            Bar("Heat (1995)", -0.4, -0.6, -0.2),
        ),
        "logit margin",
        method="Shapley values, items removed",
        faithful=True,
        badge="better than the latest first (gain 0.14 [0.05, 0.22], corrected p 0.004)",
        limits="covers the history in the request, not the training",
    ),
)  # fmt: skip
WORDS = Evidence(
    "u1/answer",
    "Its own reasons, and what moves its recommendation",
    ASKED.digest,
    note="its own words name 2 items of the history as reasons; 1 of them mattered",
    claims=(ClaimMark(0, 5, "supported", "in_history", "Alien"),),
)
PIECES = [SET, SHAPLEY, WORDS]


def found(metric: str, estimate: float, params: dict[str, Param], *, width: float = 0.1, **fields: Any) -> Finding:
    ends = (round(estimate - width, 6), round(estimate + width, 6))
    return Finding(
        "explanation", metric, fields.pop("title", metric.replace("_", " ").capitalize()), params, estimate=estimate,
        ci=fields.pop("ci", ends), n=fields.pop("n", 20), **fields,
    )  # fmt: skip


def attributions(faithful: bool = True) -> list[Finding]:
    rows = []
    for method, good in (("shapley", faithful), ("leave-one-out", False)):
        params: dict[str, Param] = {
            "part": "faithfulness", "method": method, "made_by": "delete", "operator": "swap",
        }  # fmt: skip
        says = "better than the latest first (gain 0.14 [0.05, 0.22], corrected p 0.004)"
        if not good:
            says = "not shown: not better than the latest first (gain 0.02 [-0.06, 0.10], corrected p 0.6)"
        called = "faithful" if good else "not called faithful"
        note = f"{called}: {says}; in units of the logit margin; the floor is a random order"
        unmet = () if good else (f"the method was {says}",)
        rows += [
            found("comprehensiveness", 0.8, params, floor=0.5, effect=0.3, effect_ci=(0.1, 0.5), note=note, unmet=unmet,
                  direction="higher_is_better", evidence=(SHAPLEY.id,), title=f"{method}: what is lost"),
            found("sufficiency", 0.3, params, floor=0.6, effect=-0.3, effect_ci=(-0.5, -0.1)),
            found("deletion_auc", 0.35, params, floor=0.5),
            found("insertion_auc", 0.7, params, floor=0.5),
            *(
                found("faithfulness_gain", gain if good else gain / 8, {**params, "against": against}, width=0.09,
                      p=0.001, p_adjusted=0.004 if good else 0.6, direction="higher_is_better")
                for against, gain in (("random", 0.4), ("position", 0.25), ("recency", 0.14), ("popularity", 0.31))
            ),
        ]  # fmt: skip
    own: dict[str, Param] = {"part": "faithfulness"}
    return [
        *rows,
        found("unstable_rate", 0.1, own, title="Recommendations that do not stand when the same is asked again"),
        found(
            "position_effect", 0.2, {**own, "method": "leave-one-out", "operator": "delete"}, p=0.001, p_adjusted=0.002
        ),
        found("stability", 0.8, {**own, "of": "order", "method": "leave-one-out", "operator": "delete"}, floor=0.0),
        found("sanity", 0.1, {**own, "check": "unrelated title", "method": "leave-one-out", "operator": "delete"}),
    ]


def sets(success: float = 0.9) -> list[Finding]:
    rows = []
    for operator in ("delete", "swap"):
        params: dict[str, Param] = {"part": "counterfactuals", "operator": operator}
        rows.append(
            found("counterfactual_success", success, params, floor=success / 9, effect=success * 8 / 9,
                  effect_ci=(success * 0.7, success), direction="higher_is_better", evidence=(SET.id,),
                  note="18 of 20 answers; 2 with none within the budget; 31 sets tried per answer")
        )  # fmt: skip
        if success:
            rows += [
                found("counterfactual_verified", 0.95, params, width=0.05, direction="higher_is_better"),
                found("counterfactual_size", 1.3, params, direction="neither", note="1 item: 14, 2 items: 4"),
            ]
    return rows


def words(matters: float = 0.2, floor: float = 0.25) -> list[Finding]:
    params: dict[str, Param] = {"part": "stated", "operator": "delete"}
    ends = (matters - floor - 0.15, matters - floor + 0.15)
    return [
        found("stated_precision", 0.3, {**params, "top": 3}, floor=0.3, direction="higher_is_better"),
        found("stated_matters", matters, {**params, "of": "recommendation"}, floor=floor, effect=matters - floor,
              effect_ci=ends, p=0.4, p_adjusted=0.01 if ends[0] > 0 else 0.8, direction="higher_is_better",
              evidence=(WORDS.id,), note="4 of 21 named items change it, in 18 answers"),
        found("stated_matters", 0.7, {**params, "of": "reason"}, direction="neither"),
        found("stated_invented_rate", 0.12, {"part": "stated"}, unit="answer", note="3 of 24 named items"),
    ]  # fmt: skip


def fields(undisclosed: float = 0.2) -> list[Finding]:
    rows = []
    told = {"history": "; disclosed", "attributes.age": "; not disclosed", "note": "; disclosed"}
    for field, moved in (("history", 0.6), ("attributes.age", undisclosed), ("note", 0.0)):
        for operator in ("delete", "swap"):
            params: dict[str, Param] = {"part": "fields", "field": field, "operator": operator}
            rows.append(
                found("field_influence", moved + 0.02, params, floor=0.02, effect=moved,
                      effect_ci=(moved - 0.1, moved + 0.1), p=0.001, p_adjusted=0.002,
                      note=f"the first item changes for 12 of 20 users{told[field]}")
            )  # fmt: skip
    age: dict[str, Param] = {"part": "fields", "field": "attributes.age", "operator": "delete"}
    sure = 0.003 if undisclosed else 0.9
    return [
        *rows,
        found("undisclosed_influence", undisclosed, age, p=sure, p_adjusted=sure),
        found("protected_influence", undisclosed, age, p=sure, p_adjusted=sure),
    ]


def everything() -> list[Finding]:
    return [*attributions(), *sets(), *words(), *fields()]
