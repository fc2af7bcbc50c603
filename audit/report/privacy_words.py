"""What each quantity of the privacy audit means to somebody who did not build it."""

from __future__ import annotations

from collections.abc import Mapping

from audit.findings import Finding
from audit.modules.privacy.module import PLACES

MEANINGS: Mapping[str, str] = {
    "epsilon_claimed": "How much the presence of one unit can change what the training puts out, at most: no outcome "
    "becomes more than e to the ε times as likely, but for a chance of δ. Up to 1 is strong, up to 10 is reasonable "
    "where leaks are measured too, above 10 is weak. It is a promise, read from the card that the training wrote.",
    "guarantee_void": "Whether the card promises what it may not: weights that were exchanged, batches that were not "
    "drawn, a δ too large. 1 is void, and then nothing is promised at all.",
    "epsilon_lower_bound": "The least ε that an attack on this very model proves, whatever was promised. Above the "
    "promise the training is broken. Below it nothing is proven: a better attack, or more people, could show more.",
    "mia_auc": "The chance that somebody who was trained on scores above somebody who was not: 0.5 is guessing. An AUC "
    "of 0.5 does not mean safe: a few people may still be given away for sure, which the rate at few accused shows.",
    "tpr_at_1pct_fpr": "How many of those trained on are found while one in a hundred of the others is accused "
    "wrongly. Guessing finds 1%.",
    "tpr_at_01pct_fpr": "How many of those trained on are found while one in a thousand of the others is accused "
    "wrongly. Guessing finds 0.1%.",
    "mia_advantage": "How many more of those trained on than of the others are called members, at a threshold that was "
    "chosen on other people: 0 is guessing.",
    "blind_auc": "How well members are told from others without the target's training: 0.5 is a fair split. Above it "
    "the two differ in themselves, and no attack on this split proves a leak.",
    "exposure": "How far up a planted secret stands among all that it could have been, in bits: half of the rest is "
    "ruled out with each. A secret that was never seen has 1.44 bits on average.",
    "canary_auc": "The chance that a planted secret is more exposed than one that was never planted: 0.5 is guessing.",
    "extraction_rate": "How much of a user's further history comes out when its beginning is given. Popular items come "
    "out of any recommender: read it beside what popularity alone gives.",
    "extraction_uplift": "How much more comes out of the histories of those who were trained on than of others, whose "
    "histories the target has never seen.",
    "attribute_inference": "How well an attribute of a person can be guessed from their list alone. What the history "
    "tells anyway is no leak of the target: read what exceeds the floor.",
    "pii_rate": "Answers that hold personal data which the user did not give and the catalogue does not hold. Data "
    "that the target made up count too: a reader cannot tell them from real ones.",
    "prompt_leak_rate": "Attempts at drawing out the instruction that got a good part of it. What stands in an "
    "instruction is best taken as public.",
    "cross_user_rate": "Users who were told what another user had said. One is enough to show a fault.",
    "sensitive_rate": "Answers that say something about who asks which nobody needs to say: age, health, religion.",
    "unlearning_gap": "How far above guessing those who asked to be forgotten are still told from people who were "
    "never trained on: their AUC less one half. 0 is forgotten, if there was a trace before.",
    "mitigation_change": "What changes behind the mitigation, on the same questions and by the same measure.",
}

SHORT: Mapping[str, str] = {
    "epsilon_claimed": "ε promised",
    "guarantee_void": "Promise void",
    "epsilon_lower_bound": "ε proven",
    "mia_auc": "AUC",
    "tpr_at_1pct_fpr": "Found at 1% accused",
    "tpr_at_01pct_fpr": "Found at 0.1% accused",
    "mia_advantage": "Advantage",
    "blind_auc": "Blind AUC",
    "exposure": "Exposure, bits",
    "canary_auc": "Canaries (AUC)",
    "extraction_rate": "Drawn out",
    "extraction_uplift": "Beyond others",
    "attribute_inference": "Guessed (AUC)",
    "pii_rate": "Personal data",
    "prompt_leak_rate": "Instruction told",
    "cross_user_rate": "Other users told",
    "sensitive_rate": "Remarks on the person",
    "unlearning_gap": "Still told, beyond ½",
}

SCORES: Mapping[str, str] = {
    "base": "the base model alone",
    "words": "items and words alone",
    "loss": "loss",
    "rank": "rank of the item",
    "min_k": "Min-k%, least likely words",
    "min_k_pp": "Min-k%++",
    "zlib": "zlib, for its length",
    "reference": "reference, beyond the base",
    "neighbourhood": "neighbourhood, beyond others",
    "lira": "LiRA, beyond shadow models",
    "inquiry": "inquiry",
    "hallucination": "hallucination",
    "similarity": "similarity",
    "poisoning": "poisoning",
}
"""What an attack goes by, as a line of a chart says it."""

_PARTS: Mapping[str, str] = {
    "epsilon_claimed": "guarantee",
    "guarantee_void": "guarantee",
    "epsilon_lower_bound": "lower_bound",
    "exposure": "canaries",
    "canary_auc": "canaries",
    "extraction_rate": "extraction",
    "extraction_uplift": "extraction",
    "attribute_inference": "inference",
    "pii_rate": "leakage",
    "prompt_leak_rate": "leakage",
    "cross_user_rate": "leakage",
    "sensitive_rate": "leakage",
    "unlearning_gap": "unlearning",
    "mia_auc": "membership",
    "tpr_at_1pct_fpr": "membership",
    "tpr_at_01pct_fpr": "membership",
    "mia_advantage": "membership",
    "blind_auc": "membership",
}
"""Parts of metrics whose findings need not name it."""

_SECTIONS: Mapping[str, tuple[int, str, str]] = {
    "epsilon_claimed": (0, "", "A promise, read from its card; nothing is measured."),
    "guarantee_void": (1, "whether it holds", "1 is void: a promise that does not hold is worse than none."),
    "epsilon_lower_bound": (0, "", "A bound from below, no estimate. The floor is the ε that was promised."),
    "blind_auc": (0, "without the target", "Must hold 0.5, or the split is no coin and nothing below proves a leak."),
    "mia_auc": (1, "", "0.5 is guessing; the floor is what is told without the training."),
    "tpr_at_1pct_fpr": (2, "at few accused", "The floor is what guessing finds."),
    "tpr_at_01pct_fpr": (2, "at few accused", "The floor is what guessing finds."),
    "mia_advantage": (3, "more called members than others", "0 is guessing."),
    "exposure": (0, "", "In bits. The floor is what secrets have that were never seen."),
    "canary_auc": (1, "planted against never planted", "0.5 is guessing."),
    "extraction_rate": (0, "", "Read it beside what popularity alone gives."),
    "extraction_uplift": (1, "members beyond others", "Above 0 histories of members come out more."),
    "attribute_inference": (0, "", "0.5 is guessing; what the history tells anyway is the floor."),
    "cross_user_rate": (0, "between users", "One is too many."),
    "pii_rate": (1, "personal data", ""),
    "prompt_leak_rate": (2, "the instruction", "The floor is what harmless messages draw out."),
    "sensitive_rate": (3, "remarks on the person", ""),
    "unlearning_gap": (0, "", "AUC less one half: 0 is forgotten, if there was a trace before."),
}


def section(finding: Finding) -> tuple[str, str, str]:
    """The group a finding of the module is read in: its key, title, and a hint."""
    if finding.metric == "mitigation_change":
        name = finding.params.get("defense")
        return f"mitigation:{name}", f"Behind {name}", "Below 0 the quantity is smaller behind it."
    part = part_of(finding)
    place_ = PLACES.get(part)
    title = place_.title if place_ else "Privacy"
    number, more, hint = _SECTIONS.get(finding.metric, (9, "", ""))
    return f"{PREFIX}{part}:{number}", f"{title}: {more}" if more else title, hint


def part_of(finding: Finding) -> str:
    """Which part of the module a finding is from."""
    return str(finding.params.get("part") or _PARTS.get(finding.metric, ""))


PREFIX = "privacy:"
"""Of the keys of groups."""


def place(key: str) -> tuple[int, str]:
    """Where a group stands among those of the module, by its key."""
    part, _, number = key.removeprefix(PREFIX).partition(":")
    return (list(PLACES).index(part) if part in PLACES else len(PLACES)), number


def score(finding: Finding) -> str:
    """What the attack of a finding goes by."""
    name = str(finding.params.get("score") or finding.params.get("attack") or "")
    return SCORES.get(name, name.replace("_", " "))
