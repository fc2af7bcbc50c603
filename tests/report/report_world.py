"""A small run with a failure, an open question, evidence, and a target that writes hostile text."""

from __future__ import annotations

from audit.edits import HistoryInsert
from audit.findings import Finding, not_applicable
from audit.policy import Policy, Rule
from audit.types import Event, Item, Request, User

HOSTILE = "<script>alert(1)</script> | `x` \x1b[31mred \u202egnp.exe [a](javascript:alert(1))"

POLICY = Policy(
    name="small",
    rules=(
        Rule(
            metric="robustness.flip_rate", value="effect", max=0.2, severity="high", why="Users lose what they liked."
        ),
        Rule(metric="quality.error_rate", max=0.05, severity="medium"),
        Rule(metric="quality.lift_over_anchor", min=0.0, severity="high"),
    ),
)

CLEAN = Request(
    user=User("u1", (Event(Item("1", "Alien (1979)"), 5.0), Event(Item("2", "Heat (1995)"), 4.0))),
    candidates=(Item("3", "Fargo (1996)"), Item("4", "Babe (1995)")),
    k=2,
)
EDIT = HistoryInsert(1, Event(Item("9", "Jaws (1975)"), 4.0))
EDITED = EDIT.apply(CLEAN)

FLIP = Finding(
    module="robustness",
    metric="flip_rate",
    title="Typing slips: clean hits lost from the first 10",
    params={"attack": "typos", "defense": None, "floor": "repeat", "k": 10},
    estimate=0.5,
    ci=(0.4, 0.6),
    ci_method="wilson",
    n=50,
    floor=0.1,
    effect=0.4,
    effect_ci=(0.3, 0.5),
    test="McNemar exact, one-sided",
    p=0.001,
    p_adjusted=0.004,
    mde=0.12,
    note="25 of 50",
)
ERRORS = Finding(
    module="quality",
    metric="error_rate",
    title="Answers that failed",
    params={"task": "rank"},
    estimate=0.0,
    ci=(0.0, 0.07),
    ci_method="wilson",
    n=50,
)
LIFT = Finding(
    module="quality",
    metric="lift_over_anchor",
    title="NDCG@10 above popularity",
    params={"anchor": "popularity", "metric": "ndcg", "k": 10, "protocol": "leave-one-out"},
    estimate=0.1,
    ci=(0.05, 0.15),
    n=50,
    direction="higher_is_better",
)
HIT = Finding(
    module="quality",
    metric="hr",
    title="HR@10",
    params={"k": 10},
    estimate=0.62,
    ci=(0.5, 0.7),
    n=50,
    direction="higher_is_better",
)
SKIPPED = not_applicable(
    "robustness", "flip_rate", "One inserted not", "the target reads no text", {"attack": "negation"}
)
