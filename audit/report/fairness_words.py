"""What each quantity of the fairness audit means to somebody who did not build it."""

from __future__ import annotations

from collections.abc import Mapping

from audit.findings import Finding
from audit.modules.fairness.module import PLACES

MEANINGS: Mapping[str, str] = {
    "excess_distance": "How much further from the neutral list a stated value moves the answer than asking again "
    "does. The floor is what harmless words move; what exceeds it is the effect.",
    "energy_distance": "Whether a stated value changes the answers at all, in what they hold or in how much they "
    "vary. It is the test; the excess distance is the size.",
    "dispersion": "Whether a stated value makes answers more alike (above 0) or more random (below 0). More "
    "random is not steered.",
    "similarity": "How alike lists for a stated value are to neutral ones. To read, not to decide on.",
    "value_distance": "How far apart the lists of two values lie. Two values can both be near the neutral list "
    "and far from each other.",
    "snsr": "The most similar value less the least similar one (FaiRLLM). It is never 0: read what exceeds the "
    "floor, which is what shuffled labels come to.",
    "snsv": "How much the similarities of the values vary (FaiRLLM). With two values it says what SNSR says.",
    "spelling_effect": "What a misspelt value changes beyond misspelt harmless words.",
    "language_effect": "What a value stated in another language changes, compared item by item.",
    "invalid_gap": "How much more often one group is refused, or gets an answer that cannot be read.",
    "swap_distance": "How far the answer moves when one value is exchanged for another and nothing else. The "
    "floor is one harmless word exchanged for another.",
    "top_change_rate": "How often the first recommendation changes when one value is exchanged for another.",
    "score_shift": "How much scores change when one value is exchanged for another.",
    "decision_flip_rate": "How often a yes becomes a no, or the other way round, when one value is exchanged for "
    "another.",
    "utility_shift": "How much better or worse the list serves the same user when one value is exchanged for another.",
    "interaction": "What a combination of two attributes changes beyond what each does by itself.",
    "association": "How much a genre leans towards a stated value, as a logarithm of odds: 0 is not at all, 0.7 "
    "is twice the odds. The same people ask, so anything but 0 comes from the word.",
    "amplification": "How much more the lists tie a genre to a group than the group's own histories do.",
    "name_effect": "How much further answers lie apart between names of two groups than between names of one group.",
    "dialect_effect": "What a dialect changes beyond casual speech, or beyond slips of the pen of the same size.",
    "group_quality": "How well a group of real users is served.",
    "quality_gap": "How much less a group of real users gets than the others; below 0 it gets more. At equal "
    "histories, what is left among users who told the system as much.",
    "quality_spread": "The best served group less the worst. Many small groups spread by chance: read what "
    "exceeds the floor.",
    "disclosure_effect": "What a group gains, or loses, by saying who it is.",
    "group_calibration": "How far lists are from what their users chose before, by genre. Short lists cannot "
    "hold a taste: the floor is what lists drawn from the user's own history come to.",
    "calibration_gap": "How much further from their taste the lists of one group are, or how much further off "
    "its scores.",
    "exposure_share": "The share of all exposure that a group of items gets; places further up count more.",
    "exposure_ratio": "That share over the share the group has of a reference, which is always named: 1 is as "
    "much as that.",
    "exposure_parity": "Exposure per item of the group over exposure per item of all others.",
    "treatment_ratio": "Exposure of the group for what its users chose next, over the same of all others.",
    "gini": "How unequal exposure is over all items of the catalogue, 0 to 1. Few lists are unequal by "
    "necessity: read what exceeds random lists.",
    "coverage": "The share of the catalogue that anybody is shown.",
    "tail_coverage": "The share of the long tail that anybody is shown.",
    "arp": "How many users chose the recommended items before, on average: their popularity.",
    "aplt": "The share of the long tail in each list.",
    "popularity_lift": "How much more popular lists are than their users' histories, relative to those.",
    "log_popularity_shift": "The same on a logarithmic scale, which sees the long tail.",
    "mgu": "How far the shares of item groups in the lists are from their shares in the histories, on average.",
    "dgu": "The most favoured group of items less the least favoured one.",
    "outside_share": "Exposure that goes to titles outside the catalogue.",
    "selection_rate": "The share of a category that is selected.",
    "scoring_rate": "The share of a category that scores above the median of all.",
    "impact_ratio": "The rate of a category over the highest rate. Below .8 is generally regarded as evidence of "
    "adverse impact, which small samples show by chance: read the interval.",
    "unknown_share": "People of whom the category is not known.",
    "profiling_effect": "How far answers move, in the mode without profiling, when histories and attributes are "
    "exchanged. Here the interval is at 90 %: lying within the margin is what shows that nothing moves.",
    "mitigation_change": "What changes behind the mitigation, for the same users and by the same measure.",
}

SHORT: Mapping[str, str] = {
    "excess_distance": "Moved beyond floor",
    "energy_distance": "Changes at all",
    "snsr": "SNSR",
    "snsv": "SNSV",
    "arp": "ARP",
    "aplt": "APLT",
    "mgu": "MGU",
    "dgu": "DGU",
    "gini": "Gini",
    "invalid_gap": "Refused or unreadable",
}

_HINTS: Mapping[str, str] = {
    "sweep": "Floor: what harmless words move.",
    "swaps": "Floor: one harmless word exchanged for another.",
    "stereotypes": "Logarithms of odds: 0 leans nowhere. For real users the floor is what they chose before.",
    "groups": "A gap is how much less the group gets than the others.",
    "exposure": "Ratios: 1 is as much as the reference.",
    "names": "Floor: two names of one group.",
    "hiring": "Rates and ratios; 1 is the category with the highest rate.",
}

ORDER = tuple(PLACES)
"""Parts in the order in which they are read."""


def section(finding: Finding) -> tuple[str, str, str]:
    """The group a finding of the module is read in: its key, title, and a hint."""
    p = finding.params
    if finding.metric == "mitigation_change":
        name = p.get("defense")
        return f"mitigation:{name}", f"Behind {name}", "Below 0 the quantity is smaller behind it."
    part = str(p.get("part") or "")
    place = PLACES.get(part)
    title = place.title if place else "Fairness"
    about = p.get("attribute") or p.get("column")
    if about:
        title = f"{title}: {about}"
    return f"part:{part}:{about or ''}", title, _HINTS.get(part, "")
