"""The vocabulary of a report: verdicts, modules, and what each quantity means to somebody who did not build it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from audit import registry
from audit.errors import RecAuditError
from audit.findings import Finding, Verdict
from audit.report import explanation_words, fairness_words, hallucination_words, privacy_words

VERDICT_WORDS: dict[Verdict | None, str] = {
    "fail": "fail",
    "inconclusive": "open",
    "waived": "waived",
    "pass": "pass",
    None: "measured",
    "not_applicable": "not testable",
}
"""`open` is what a reader calls `inconclusive`: neither side is shown yet."""

# A shape beside the colour and the word, so that a verdict survives print and colour blindness.
VERDICT_SHAPES: dict[Verdict | None, str] = {
    "fail": "✖",
    "inconclusive": "◐",
    "waived": "◇",
    "pass": "✔",
    None: "○",
    "not_applicable": "–",
}

VERDICT_ORDER: tuple[Verdict | None, ...] = ("fail", "inconclusive", "waived", "pass", None, "not_applicable")


def verdicts_of(findings: Iterable[Finding]) -> tuple[Verdict | None, ...]:
    """The columns of a table that counts verdicts: all of them, and `waived` only where something is."""
    waived = any(finding.verdict == "waived" for finding in findings)
    return tuple(v for v in VERDICT_ORDER if waived or v != "waived")


_MEANINGS: dict[str, str] = {
    "hr": "The share of users whose real next item is among the recommended ones.",
    "ndcg": "Ranking quality: 1 when the real next item is always first, less the further down it stands, 0 when it "
    "is never listed.",
    "mrr": "The mean of 1 over the rank of the real next item.",
    "auc": "The chance that a liked item scores above a disliked one, over all users together. A model that knows only "
    "how generous each user is already does well here; read it beside UAUC.",
    "uauc": "The chance that a liked item scores above a disliked one of the same user: 0.5 is guessing.",
    "calibration_error": "How far the stated probabilities are from what users did, on average.",
    "lift_over_anchor": "How much better the target is than a trivial recommender on the very same cases. At or below "
    "0 the target is not worth its cost.",
    "history_use": "Quality lost when the history is taken away. A target that loses nothing does not personalise, "
    "whatever else it does.",
    "history_effect": "How far the answers move when the history is changed; this says that the history is read, not "
    "that it is used well.",
    "history_change_rate": "The share of users whose answer becomes another one when the history is changed. Where "
    "nobody's does, the history is not read; where a target draws its answers, they change without any cause.",
    "slow_rate": "Answers that took longer than the limit in the module's options. It says as much about the machine "
    "as about the target.",
    "unparsable_rate": "Answers from which no list could be read. Each is a user without recommendations.",
    "refused_rate": "Answers in which the target declined to recommend.",
    "error_rate": "Requests that ended in an error or a time-out.",
    "wrong_length_rate": "Answers with fewer items than were asked for.",
    "absent_rate": "Recommended titles that exist nowhere in the catalogue: made up, or too garbled to match.",
    "duplicate_rate": "Entries that repeat an earlier entry of the same list.",
    "history_repeat_rate": "Recommended items that the user already has.",
    "outside_candidates_rate": "Recommended items that exist but were not among the candidates offered.",
    "asr": "The share of ranking quality (NDCG) lost to the edit over all users. It is not how often the attack "
    "succeeds: for that read the flip rate.",
    "ndcg_drop": "Ranking quality lost to the edit, in units of NDCG.",
    "auc_drop": "Discrimination over all users lost to the edit.",
    "uauc_drop": "Discrimination within users lost to the edit.",
    "flip_rate": "Among what was right before the edit, the share that is wrong after it.",
    "gain_rate": "Among what was wrong before the edit, the share that is right after it: churn, not harm.",
    "rbo_loss": "How far the order of the answer moves, with most weight on the first places: 0 is the same list, 1 "
    "shares nothing.",
    "jaccard_loss": "The share of recommended items that are exchanged, whatever their order.",
    "psr": "Promotion success rate: among users who would not have been shown the item, the share who are shown it "
    "once its text is planted.",
    "exposure_lift": "How many more users are shown the item, as a share of all users, once its text is planted.",
    "rank_gain": "How far up the item moves in a list, as a share of the list.",
    "collateral": "What users lose who came for something else, once one item's text is planted.",
    "leak_rate": "How often the target tells what its instruction says.",
    "target_hr_lift": "How many more users are recommended the pushed item after fake users were learned from.",
    "prediction_shift": "How far the score of the pushed item moves after fake users were learned from, in the "
    "target's own unit.",
    "shilling_detection_auc": "How well one simple statistic tells the fake users from real ones: 1 always, 0.5 never.",
    "advantage": "How much more this attack takes from the same users than a rival with the same budget. If it is not "
    "above 0, the cleverness is not worth its cost.",
    "queries": "True questions the search asked the target, per user; the same question twice counts once.",
    "edits": "Edits per attacked user.",
    "text_similarity": "How alike the edited fields are before and after, 1 for equal: on those fields alone, since "
    "the text around them would drown any edit.",
    "odd_characters": "Characters added that a person cannot see or would not type.",
    "attacked_utility": "What the answers are worth to users under the attack, 0 to 1: NDCG, or the share of right "
    "decisions. Answers that cannot be read, and refusals, are worth nothing.",
    "broken_rate": "Of what the defended target gets right without an attack, the share that some run of the "
    "attack, replayed or adaptive, turned wrong.",
    "defense_gain": "What the defense saves under this attack, against the worse of replay and an adversary who "
    "adapts, user by user. At 0 it does nothing; below 0 it does harm.",
    "robust_utility": "What is left to each user under the attack that is worst for them: the line to compare defenses "
    "by.",
    "clean_utility": "What the answers are worth without any attack.",
    "utility_cost": "What the defense costs every user when nobody attacks.",
    "false_alarm_rate": "Clean requests that the defense leaves without an answer.",
    "calls_per_answer": "How often the target is asked for one answer of the defended one.",
    "latency_multiplier": "How many times as long an answer takes behind the defense.",
    "detector_fpr": "False alarms on the clean requests of this audit, at a threshold set on other users.",
    "detector_auroc": "How well the alarm tells attacked requests from their clean forms: 0.5 is guessing.",
    "detector_tpr": "The share of attacks that raise the alarm, at a threshold set on clean requests of other users.",
    "certified_accuracy": "Right decisions that no edit of this kind and size can turn, whatever it is.",
    "certified_hr": "Users whose next item stays in the list under any edit of this kind and size.",
    "certified_overlap": "The part of the list that stays in it under any edit of this kind and size.",
    "certificate_coverage": "Requests that can be certified at all; the others, such as too short histories, count as "
    "not certified.",
    "defended_lift": "How many more users are shown the item behind the defense, once its text is planted.",
    "defended_psr": "Promotion success rate behind the defense.",
    "lift_blocked": "How much of the exposure that planted text gains without the defense is gone behind it.",
    "certificate_violations": "Attacks that succeeded inside a certified radius. One is enough to show a bug of this "
    "tool.",
    "invalid_rate": "Readable answers that became unreadable. Counted apart: it is neither a successful attack nor "
    "robustness.",
}

_SHORT: dict[str, str] = {
    "asr": "ASR (NDCG)",
    "ndcg_drop": "NDCG lost",
    "auc_drop": "AUC lost",
    "uauc_drop": "UAUC lost",
    "flip_rate": "Flip rate",
    "gain_rate": "Gain rate",
    "rbo_loss": "Order moved",
    "jaccard_loss": "Items exchanged",
    "invalid_rate": "Unreadable",
    "psr": "Promoted (PSR)",
    "exposure_lift": "Exposure gained",
    "rank_gain": "Rank gained",
    "collateral": "Others lose",
    "leak_rate": "Leaks",
    "target_hr_lift": "Pushed item HR",
    "prediction_shift": "Score shift",
    "shilling_detection_auc": "Fakes told (AUC)",
    "clean_utility": "Without attack",
    "utility_cost": "Cost without attack",
    "robust_utility": "Worst attack",
    "false_alarm_rate": "Left without answer",
    "calls_per_answer": "Calls per answer",
    "latency_multiplier": "Time ×",
    "certificate_violations": "Broken certificates",
    "queries": "Queries",
    "edits": "Edits per user",
    "text_similarity": "Text kept",
    "odd_characters": "Odd characters",
    "hr": "HR",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "auc": "AUC",
    "uauc": "UAUC",
}

_FRAMEWORKS = {
    "owasp-llm": "OWASP LLM Top 10",
    "eu-ai-act": "EU AI Act",
    "nist-ai-rmf": "NIST AI RMF",
    "mitre-atlas": "MITRE ATLAS",
    "eu-dsa": "EU Digital Services Act",
    "us-cfr": "US Code of Federal Regulations",
    "gdpr": "GDPR",
}


_SHARES = {"hr", "asr", "psr", "tpr_at_1pct_fpr", "tpr_at_01pct_fpr"}
_SHARES |= {"counterfactual_success", "counterfactual_verified", "stated_precision", "stated_matters"}


def is_rate(metric: str) -> bool:
    """Whether a value of this metric is a share that people say in percent."""
    return metric.endswith("_rate") or metric in _SHARES


def meaning(finding: Finding) -> str:
    """What the quantity means; its title where nothing is known about it."""
    own = _MODULES.get(finding.module, {})
    return own.get(finding.metric) or _MEANINGS.get(finding.metric, finding.title)


_MODULES: dict[str, Mapping[str, str]] = {
    "fairness": fairness_words.MEANINGS,
    "hallucination": hallucination_words.MEANINGS,
    "privacy": privacy_words.MEANINGS,
    "explanation": explanation_words.MEANINGS,
}


_SHORTS = (_SHORT, fairness_words.SHORT, hallucination_words.SHORT, privacy_words.SHORT, explanation_words.SHORT)


def short(metric: str) -> str:
    """A column head for a metric."""
    spelt = metric.replace("_", " ").capitalize()
    return next((names[metric] for names in _SHORTS if metric in names), spelt)


def control(tag: str) -> str:
    """`owasp-llm:2026:LLM07` as `OWASP LLM Top 10 (2026), LLM07`; other tags as they are."""
    parts = tag.split(":", 2)
    if len(parts) != 3:
        return tag
    framework, edition, clause = parts
    return f"{_FRAMEWORKS.get(framework, framework)} ({edition}), {clause}"


@cache
def module(name: str) -> tuple[str, str]:
    """Title and question of a module; a stored run may name one that is not installed here."""
    try:
        info = registry.load("modules", name, where="report")().info
    except (RecAuditError, TypeError):
        return name.replace("_", " ").replace("-", " ").capitalize(), ""
    return info.title, info.question
