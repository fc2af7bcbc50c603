"""What each quantity of the explanation audit means to somebody who did not build it."""

from __future__ import annotations

from collections.abc import Mapping

from audit.findings import Finding
from audit.modules.explanation.module import PLACES

PREFIX = "why:"
"""Begins the keys of this module's groups."""

MEANINGS: Mapping[str, str] = {
    "comprehensiveness": "What the recommendation loses when the items that an attribution names first are taken away. "
    "It counts only against the floor, which takes items away in a random order.",
    "sufficiency": "What the recommendation loses when only the items named first are left. Less is better.",
    "deletion_auc": "How much of the recommendation is left on the way from the whole history to none, most important "
    "items first. Less is better.",
    "insertion_auc": "How much of the recommendation is there on the way from no history to the whole, most important "
    "items first. More is better.",
    "faithfulness_gain": "How much closer an attribution's order comes to the best order than one that knows nothing "
    "of the target, such as the latest first: 0 for no closer. A method that is not above 0 against place and recency "
    "is not faithful.",
    "sanity": "What attributions must not do: stay the same for another item or for a network that learnt nothing, "
    "give worth to an empty place, or tell one item twice apart.",
    "stability": "How alike attributions stay when nothing changes that matters: another order, another wording, "
    "another draw. 1 is the same order of items, 0 no likeness.",
    "position_effect": "How much of an item's worth comes from where it stands in the history. Away from 0, place is "
    "read as preference.",
    "unstable_rate": "Recommendations that change when the same is asked again, or whose lead is within that noise. "
    "They are not explained.",
    "attribution_agreement": "How alike the attributions of two methods, or of this tool and Captum, order the items: "
    "1 is the same order.",
    "completeness_gap": "How far the attributions of words miss the effect that they should add up to, as a share of "
    "it.",
    "counterfactual_success": "Recommendations for which a set of items was found without which another one is made, "
    "and fresh answers confirm it. The floor takes as many items away by chance.",
    "counterfactual_size": "How many items must go before the recommendation changes, where such a set was found.",
    "counterfactual_verified": "Of the sets that the search found, those that still change the recommendation when "
    "everything is asked again.",
    "stated_precision": "Of the items that the target's own words name as reasons, those among the three that move its "
    "recommendation most. The floor names items by chance.",
    "stated_matters": "Items named as reasons without which the recommendation changes, against items that are not "
    "named; or how often a recommendation stays and merely gets another reason.",
    "stated_invented_rate": "Of the items that its own words say the user has had, those that the user never had.",
    "field_influence": "How far the answers move when a part of the request is taken away or exchanged. The floor is "
    "what asking again moves.",
    "undisclosed_influence": "Influence, above the floor, of a part of the request that the owner has not disclosed as "
    "a main parameter.",
    "protected_influence": "Influence, above the floor, of a protected attribute. It does not say to whose cost.",
    "mitigation_change": "What a mitigation changes of another quantity, on the same units, above the floor.",
}

SHORT: Mapping[str, str] = {
    "deletion_auc": "Deletion AUC",
    "insertion_auc": "Insertion AUC",
    "faithfulness_gain": "Gain",
    "unstable_rate": "Not stable",
    "counterfactual_success": "Set found and confirmed",
    "counterfactual_size": "Items that must go",
    "counterfactual_verified": "Held when asked again",
    "stated_precision": "Among the top 3",
    "stated_matters": "Matters",
    "stated_invented_rate": "Never had",
    "field_influence": "Influence",
    "undisclosed_influence": "Not disclosed",
    "protected_influence": "Protected",
}

METHODS: Mapping[str, str] = {"shapley": "Shapley values", "leave-one-out": "Leave-one-out"}
OPERATORS: Mapping[str, str] = {"delete": "items removed", "placeholder": "items hidden", "swap": "items exchanged"}
AGAINST: Mapping[str, str] = {
    "random": "a random order",
    "recency": "the latest first",
    "position": "the first first",
    "profile": "the mean of each place",
    "popularity": "the most popular first",
    "reverse": "its own order reversed",
}
_OWN: Mapping[str, str] = {
    "unstable_rate": "faithfulness",
    "attribution_agreement": "tokens",
    "completeness_gap": "tokens",
    **dict.fromkeys(("counterfactual_success", "counterfactual_size", "counterfactual_verified"), "counterfactuals"),
    **dict.fromkeys(("stated_precision", "stated_matters", "stated_invented_rate"), "stated"),
    **dict.fromkeys(("field_influence", "undisclosed_influence", "protected_influence"), "fields"),
}
_HINTS: Mapping[str, str] = {
    "faithfulness": "An attribution is worth its gain over orders that know nothing of the target.",
    "tokens": "Signs inside the model, not causes.",
    "counterfactuals": "Floor: as many items taken away by chance.",
    "stated": "Floor: items that its words do not name.",
    "fields": "Floor: what asking again moves.",
}


def part_of(finding: Finding) -> str:
    """Which part of the module a finding belongs to."""
    return str(finding.params.get("part") or _OWN.get(finding.metric, "faithfulness"))


def section(finding: Finding) -> tuple[str, str, str]:
    """Which group a finding belongs to: its key, the group's title, and a hint for reading it."""
    part = part_of(finding)
    if finding.metric == "mitigation_change":
        name = str(finding.params.get("defense"))
        return f"{PREFIX}mitigation:{name}", f"Changed behind {name}", ""
    # A count of items, and areas, have scales of their own: on one axis they would flatten the shares.
    sub = {"counterfactual_size": 1, "deletion_auc": 2, "insertion_auc": 2, "faithfulness_gain": 1}.get(
        finding.metric, 3 if finding.metric in ("sanity", "stability", "position_effect", "unstable_rate") else 0
    )
    title = PLACES[part].title if part in PLACES else part
    more = {1: "gains" if part == "faithfulness" else "sizes", 2: "areas", 3: "checks"}.get(sub)
    return f"{PREFIX}{part}:{sub}", f"{title}: {more}" if more else title, _HINTS.get(part, "")


def place(key: str) -> tuple[int, str]:
    """Where a group stands among those of the module, by its key."""
    part, _, sub = key.removeprefix(PREFIX).partition(":")
    return (list(PLACES).index(part) if part in PLACES else len(PLACES)), sub


def named(name: str) -> str:
    """The name of a part of a request, as people say it."""
    known = {
        "candidate_order": "order of the candidates",
        "turns": "earlier turns",
        "passages": "retrieved passages",
        "note": "the user's own words",
    }
    return known.get(name, name.removeprefix("attributes.").replace("_", " "))
