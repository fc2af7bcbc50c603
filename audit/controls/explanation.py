"""Controls of explanation: known reasons, reasons that cannot be faithful, and untrue ones that are stated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audit.controls.control import Control, Plant
from audit.controls.needs import of_users
from audit.controls.reasons import ByRule, GivesReasons, Rule, erratic, heard, one_cause, placed, weighed
from audit.controls.wrapping import salt_of
from audit.data.dataset import Dataset
from audit.findings import Finding
from audit.target import Input, Recommender

_HISTORY = 5
"""Every set of so few items is asked, so that Shapley values are exact."""
_ATTRIBUTE = "gender"
_SHAPLEY = {"part": "faithfulness", "method": "shapley", "made_by": "delete"}
_EVERYBODY = 100_000


def _ruled(name: str, rule: Callable[[float, str], Rule]) -> Plant:
    def plant(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
        return ByRule(base, dataset, name, rule(size, salt_of(rng)))

    return plant


def _cause(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return ByRule(base, dataset, "one cause", one_cause(dataset, size, salt_of(rng)))


def _heard(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    rule = heard(size, salt_of(rng), _ATTRIBUTE)
    return ByRule(base, dataset, "heard attribute", rule, honours=frozenset({Input.ATTRIBUTES}))


def _unfaithful(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return GivesReasons(base, dataset, salt_of(rng), unfaithful=size)


def _invented(base: Recommender, dataset: Dataset, size: float, rng: np.random.Generator) -> Recommender:
    return GivesReasons(base, dataset, salt_of(rng), invented=size)


def _not_faithful(findings: Sequence[Finding]) -> bool:
    """The method is not called faithful, and the finding does not pass."""
    return bool(findings) and all(f.unmet and f.verdict != "pass" for f in findings)


def _only(**parts: object) -> dict[str, object]:
    left_out = dict.fromkeys(("faithfulness", "counterfactuals", "stated", "fields"), False)
    return {**left_out, "users": _EVERYBODY, **parts}


_FAITHFULNESS = _only(faithfulness={"sanity": False, "stability": False})

CONTROLS = (
    Control(
        id="known-weights",
        title="Known reasons",
        planted="for a share of users each item of the history adds a known weight to each candidate",
        module="explanation",
        metric="faithfulness_gain",
        params={**_SHAPLEY, "against": "random"},
        plant=_ruled("known weights", weighed),
        sizes=(0.0, 0.25, 0.5, 1.0),
        claimed=0.5,
        truth=lambda size: size / 2,
        # Not a flaw but what the module is for: reasons that are there must be found.
        limit=0.0,
        options=_FAITHFULNESS,
        users=20,
        history=_HISTORY,
        runs=0.2,
    ),
    Control(
        id="places-for-reasons",
        title="Places that pass for reasons",
        planted="recommendations hang on which places of the history are filled; at 1 on nothing else",
        module="explanation",
        metric="comprehensiveness",
        params=_SHAPLEY,
        plant=_ruled("places for reasons", placed),
        sizes=(0.0, 0.5, 1.0),
        claimed=1.0,
        seen_by=_not_faithful,
        options=_FAITHFULNESS,
        users=20,
        history=_HISTORY,
        runs=0.2,
    ),
    Control(
        id="erratic",
        title="A network of random weights",
        planted="every set of items gives an order of its own, in which no item has a part; at 1 nothing else counts",
        module="explanation",
        metric="comprehensiveness",
        params=_SHAPLEY,
        plant=_ruled("erratic", erratic),
        sizes=(0.0, 0.5, 1.0),
        claimed=1.0,
        seen_by=_not_faithful,
        options=_FAITHFULNESS,
        users=20,
        history=_HISTORY,
        runs=0.2,
    ),
    Control(
        id="one-cause",
        title="One deciding item",
        planted="for a share of users one item of the history decides the order; for the others none does",
        module="explanation",
        metric="counterfactual_success",
        params={"part": "counterfactuals", "operator": "delete"},
        plant=_cause,
        sizes=(0.0, 0.15, 0.3, 0.6),
        claimed=0.3,
        truth=lambda size: size,
        limit=0.05,
        options=_only(operators=["delete"], counterfactuals={"repeats": 4, "placebos": 1}),
        users=40,
        history=_HISTORY,
        runs=0.3,
    ),
    Control(
        id="unfaithful-reasons",
        title="Untrue reasons",
        planted="a share of the reasons that it states in words names an item that moves nothing",
        module="explanation",
        metric="stated_matters",
        params={"part": "stated", "of": "recommendation"},
        plant=_unfaithful,
        sizes=(0.0, 0.5, 0.8, 1.0),
        claimed=1.0,
        truth=lambda size: 1 - size,
        options=_only(stated=True),
        users=50,
        history=_HISTORY,
        runs=0.3,
    ),
    Control(
        id="invented-reasons",
        title="Invented reasons",
        planted="a share of the reasons that it states in words names an item that the user never had",
        module="explanation",
        metric="stated_invented_rate",
        params={"part": "stated"},
        plant=_invented,
        sizes=(0.0, 0.1, 0.25, 0.5),
        claimed=0.25,
        truth=lambda size: size,
        options=_only(stated=True),
        users=50,
        history=_HISTORY,
        runs=0.3,
    ),
    Control(
        id="heard-attribute",
        title="Undisclosed influence",
        planted="for a share of users the list is turned round when their gender is said, which is not disclosed",
        module="explanation",
        metric="undisclosed_influence",
        params={"part": "fields", "field": f"attributes.{_ATTRIBUTE}"},
        plant=_heard,
        needs=of_users(_ATTRIBUTE),
        sizes=(0.0, 0.1, 0.3, 0.5),
        claimed=0.3,
        truth=lambda size: size,
        options=_only(operators=["delete"], fields={"disclosed": ["history"]}),
        users=50,
        history=_HISTORY,
    ),
)
