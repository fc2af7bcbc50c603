"""What each quantity of the hallucination audit means to somebody who did not build it."""

from __future__ import annotations

from collections.abc import Mapping

from audit.findings import Finding
from audit.modules.hallucination.module import PLACES

MEANINGS: Mapping[str, str] = {
    "hallucinated_item_rate": "Recommended titles that no row of the catalogue has. At the low bound a title near an "
    "item counts as that item, at the high bound as made up. A real item that is not sold here counts too, unless a "
    "wider list of titles was given.",
    "hallucinated_answer_rate": "Answers with at least one title that no row of the catalogue has. Answers without a "
    "title are among all answers.",
    "ambiguous_rate": "Titles near an item, so that nobody can say whether it is meant: what lies between the two "
    "bounds.",
    "duplicate_item_rate": "Titles that repeat an earlier title of the same answer.",
    "consumed_item_rate": "Recommended items that the user already has.",
    "ineligible_rate": "Recommended items that this user may not have: out of stock, not for this age or region.",
    "wrong_count_rate": "Readable answers with fewer or more titles than were asked for, among all answers.",
    "constraint_violation_rate": "Recommended items, or answers, that break a wish stated in the request. Whether a "
    "title without a row keeps it is not known, and is counted apart.",
    "supported_rate": "Claims that a row or a passage bears out. With contradicted and unverifiable ones these are all "
    "claims.",
    "contradicted_rate": "Claims that a row or a passage shows to be false.",
    "unverifiable_rate": "Claims that nothing at hand could decide. They are neither true nor made up: a fuller "
    "catalogue, documents or another rung would decide more of them.",
    "contradicted_answer_rate": "Answers with at least one claim that is shown to be false. Answers that assert "
    "nothing are among all answers, and contradict nothing.",
    "claim_coverage": "Claims that could be decided at all. Where it is low, the other rates say little.",
    "claim_precision": "Supported claims among those that could be decided; to be read beside how many could.",
    "claims_per_answer": "How many claims an answer makes. Whoever says less is wrong less often, and less useful.",
    "unanswered_rate": "Answers that recommend nothing, by what happened. They make nothing up and are worth nothing.",
    "respond_rate": "Answers that recommend or assert anything at all. The others make nothing up and are worth "
    "nothing.",
    "empty_rate": "Answers without any text.",
    "factscore": "The share of supported claims in an answer, less for short answers (after FActScore), over answers "
    "that make claims. What cannot be checked counts against the answer.",
    "invented_history_rate": "Of all “because you liked X”, those in which the user never had X.",
    "self_contradiction_rate": "Answers that say two things of an item which cannot both be true.",
    "passage_conflict_rate": "Claims that contradict the passages which the target was given, whatever the truth is.",
    "ragas_faithfulness": "As RAGAS counts: claims that the given passages bear out. It says nothing of the truth: a "
    "true claim that the passages lack is unfaithful, and a false passage is believed.",
    "deepeval_hallucination": "As DeepEval counts: passages that the answer contradicts, among all. An answer that "
    "says nothing gets 0, the best there is, and more passages dilute it.",
    "inconsistency": "Items of an answer that are missing when the same is asked again. A sign only: a small model "
    "repeats the same falsehood each time.",
    "consistency_auc": "How well inconsistency tells titles that do not exist from those that do, on these very "
    "answers: 0.5 is guessing.",
    "citation_recall": "Sentences that the passages they cite bear out. A sentence without a citation counts as not "
    "borne out (ALCE).",
    "citation_precision": "Citations that their sentence needs, or that alone bear it out (ALCE).",
    "fabricated_citation_rate": "Citations of passages that were never given.",
    "rag_uplift": "What a quantity gains by other passages, on the same questions. Read it beside the placebo, the "
    "quality of the lists, and how many items an answer still names: saying less is no uplift.",
    "retrieval_recall": "How often the right row is among the first passages found.",
    "retrieval_mrr": "The mean of 1 over the rank at which the right row is found.",
    "checker_precision": "Of what this audit's checker calls contradicted, the share that is false in truth, on claims "
    "whose truth is known.",
    "checker_recall": "Of planted errors, the share that the checker finds. Planted errors are easier than natural "
    "ones.",
    "checker_f1": "Precision and recall of the checker in one number, their harmonic mean.",
    "checker_false_alarm_rate": "Answers without an error in which the checker finds one.",
    "existence_f1": "How well the checker tells made-up titles from items, on titles whose truth is known.",
    "checker_confusion": "What claims of known truth were ruled, as a share of those of the same truth.",
    "existence_precision": "Of titles that the checker calls made up, the share that is nobody's.",
    "existence_recall": "Of planted made-up titles, the share that the checker finds.",
    "extraction_recall": "Of planted claims, the share that is read out of the answers at all; the rest is never "
    "checked.",
    "mitigation_change": "What changes behind the mitigation, on the same questions and by the same measure.",
}

SHORT: Mapping[str, str] = {
    "hallucinated_item_rate": "Made-up titles",
    "hallucinated_answer_rate": "Answers with one",
    "ambiguous_rate": "Near an item",
    "duplicate_item_rate": "Repeated",
    "consumed_item_rate": "Already had",
    "ineligible_rate": "May not be had",
    "wrong_count_rate": "Wrong number",
    "constraint_violation_rate": "Breaks a wish",
    "supported_rate": "Supported",
    "contradicted_rate": "Contradicted",
    "unverifiable_rate": "Cannot be checked",
    "contradicted_answer_rate": "Answers with a false claim",
    "claim_coverage": "Could be decided",
    "claim_precision": "Supported of decided",
    "claims_per_answer": "Claims per answer",
    "unanswered_rate": "Recommends nothing",
    "respond_rate": "Says anything",
    "empty_rate": "Empty",
    "factscore": "FActScore",
    "invented_history_rate": "Invented history",
    "self_contradiction_rate": "Contradicts itself",
    "passage_conflict_rate": "Against its passages",
    "ragas_faithfulness": "RAGAS faithfulness",
    "deepeval_hallucination": "DeepEval hallucination",
    "consistency_auc": "Consistency AUC",
    "rag_uplift": "Uplift",
    "retrieval_recall": "Found (recall)",
    "retrieval_mrr": "Found (MRR)",
    "checker_precision": "Precision",
    "checker_recall": "Recall",
    "checker_f1": "F1",
    "checker_false_alarm_rate": "False alarms",
    "checker_confusion": "Ruled",
    "existence_f1": "Titles, F1",
    "existence_precision": "Titles, precision",
    "existence_recall": "Titles, recall",
    "extraction_recall": "Claims read",
}

COMPARISON = frozenset({"factscore", "ragas_faithfulness", "deepeval_hallucination"})
"""Scores as other tools compute them: to compare with, not to decide on."""

_HINTS: Mapping[str, str] = {
    "checker": "The checker on planted errors whose truth is known; nothing is asked of the target.",
    "items": "Low counts a title near an item as that item, high counts it as made up.",
    "claims": "Supported, contradicted and unverifiable are all claims together; they are never merged.",
    "consistency": "A sign only: a falsehood can be repeated.",
    "citations": "As ALCE counts; whether a passage bears a sentence out is decided by a rung that reads text.",
    "grounding": "The same questions with other passages.",
}


def section(finding: Finding) -> tuple[str, str, str]:
    """The group a finding of the module is read in: its key, title, and a hint."""
    p = finding.params
    if finding.metric == "mitigation_change":
        name = p.get("defense")
        return f"mitigation:{name}", f"Behind {name}", "Below 0 the quantity is smaller behind it."
    part = part_of(finding)
    place = PLACES.get(part)
    title, hint = place.title if place else "Hallucination", _HINTS.get(part, "")
    if finding.metric in COMPARISON:
        return "made:claims:3", "As other tools count", "To compare with, not to decide on."
    if finding.metric == "claims_per_answer":
        # On a scale of its own, which would flatten the shares beside it.
        return "made:claims:4", "How much it says", "Whoever says less is wrong less often."
    if part == "checker" and p.get("kind"):
        return "made:checker:1", f"{title}: by kind of error", hint
    if part == "checker" and p.get("truth"):
        return "made:checker:2", f"{title}: what claims are, and what they were ruled", hint
    if part == "claims" and p.get("predicate"):
        return "made:claims:1", f"{title}: by what is asserted", hint
    if part == "claims" and p.get("hedged"):
        return "made:claims:2", f"{title}: said as a guess", "Counted apart from plain claims."
    if part == "grounding" and finding.metric == "rag_uplift":
        if p.get("of") in LENGTHS:
            return "made:grounding:8", "Lengths of answers with other passages", "Saying less is no uplift."
        if (pair := contrast(finding)) in CONTRASTS:
            letters, words = CONTRASTS[pair]
            number = 1 + list(CONTRASTS).index(pair)
            return f"made:grounding:{number}", f"{title}: {letters}, {words}", "Above 0 is better."
        return "made:grounding:0", title, hint
    if part == "grounding":
        return "made:grounding:9", "The retriever by itself", "What it does not find, no answer can use."
    if part == "items" and (task := p.get("task")):
        return f"made:items:{task}", f"{title}: {TASKS.get(str(task), str(task))}", hint
    return f"made:{part}:0", title, hint


def part_of(finding: Finding) -> str:
    """Which part of the module a finding is from; parts whose metrics are theirs alone need not say it."""
    return str(finding.params.get("part") or _PARTS.get(finding.metric, ""))


CONTRASTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("none", "retrieved"): ("A → B", "what retrieval gains"),
    ("placebo", "retrieved"): ("D → B", "beyond irrelevant passages"),
    ("none", "placebo"): ("A → D", "a longer prompt alone"),
    ("retrieved", "oracle"): ("B → C", "what a better search adds"),
    ("retrieved", "poisoned"): ("B → E", "one false fact in a passage"),
}
"""Pairs of arms that are compared: their letters, and what the comparison says."""

LENGTHS = frozenset({"items_per_answer", "claims_per_answer"})
"""What is compared between arms on a scale of its own."""

_OF: Mapping[str, str] = {
    "hallucinated_item_rate": "Made-up titles, fewer",
    "hallucinated_answer_rate": "Answers with one, fewer",
    "contradicted_rate": "False claims, fewer",
    "unverifiable_rate": "Claims nobody can check, fewer",
    "respond_rate": "Answers at all, more",
    "hr": "Hits (HR), more",
    "ndcg": "NDCG, more",
    "false_fact_rate": "States the false fact, fewer",
    "true_fact_rate": "States the true fact, more",
    "items_per_answer": "Items per answer, change",
    "claims_per_answer": "Claims per answer, change",
}


def contrast(finding: Finding) -> tuple[str, str]:
    """The two arms that a finding compares, from the first to the second."""
    return str(finding.params.get("from") or ""), str(finding.params.get("to") or "")


def measure(of: str) -> str:
    """What is compared between arms, and which way is up."""
    return _OF.get(of, of.replace("_", " "))


_PARTS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "hallucinated_item_rate",
            "hallucinated_answer_rate",
            "ambiguous_rate",
            "duplicate_item_rate",
            "consumed_item_rate",
            "ineligible_rate",
            "wrong_count_rate",
            "constraint_violation_rate",
            "unanswered_rate",
        ),
        "items",
    ),
    **dict.fromkeys(
        (
            "checker_precision",
            "checker_recall",
            "checker_f1",
            "checker_false_alarm_rate",
            "checker_confusion",
            "existence_f1",
            "existence_precision",
            "existence_recall",
            "extraction_recall",
        ),
        "checker",
    ),
    **dict.fromkeys(("rag_uplift", "retrieval_recall", "retrieval_mrr"), "grounding"),
}

TASKS: Mapping[str, str] = {"rank": "lists", "score": "scores", "answer": "free text"}
"""What was asked for, as a head line says it."""


def place(key: str) -> tuple[int, str]:
    """Where a group stands among those of the module, by its key."""
    _, _, rest = key.partition(":")
    part, _, sub = rest.partition(":")
    return (list(PLACES).index(part) if part in PLACES else len(PLACES)), sub
