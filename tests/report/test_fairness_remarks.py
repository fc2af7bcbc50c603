"""The plain words about fairness: nothing is called fair, a signal is no finding, what could not be seen is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit.findings import Finding, not_applicable
from audit.policy import Rule, held_back
from audit.report.fairness_remarks import exposed, selected, served, treated

WITHIN = Rule(metric="fairness.excess_distance", value="effect", max=0.02)


def swept(effect: float, low: float, high: float, **fields: Any) -> Finding:
    params = {"part": "sweep", "attribute": "gender", "value": fields.pop("value", "female")}
    return Finding(
        "fairness",
        "excess_distance",
        "t",
        params,
        estimate=effect + 0.1,
        ci=(low + 0.1, high + 0.1),
        n=40,
        floor=0.1,
        effect=effect,
        effect_ci=(low, high),
        mde=0.08,
        threshold=0.02,
        **fields,
    )


def test_a_finding_names_attribute_group_size_and_floor() -> None:
    said = treated([swept(0.3, 0.2, 0.4, verdict="fail"), swept(0.1, 0.05, 0.2, verdict="fail", value="male")])
    assert said.startswith("Yes: “female” (gender) moves the answer by 0.300 [0.200, 0.400] beyond its floor.")
    assert "1 other finding" in said


def test_a_signal_is_not_a_finding() -> None:
    signal = WITHIN.judge(swept(0.3, 0.2, 0.4, unmet=("its sign turns in other words",)))
    assert held_back(signal)
    said = treated([signal])
    assert said.startswith("Not decided: “female” (gender) moves the answer by 0.300 [0.200, 0.400]")
    assert said.endswith("but its sign turns in other words.")


def test_what_lies_within_reach_of_its_limit_is_no_signal_whatever_is_unmet() -> None:
    near = WITHIN.judge(swept(0.01, -0.05, 0.06, unmet=("its corrected p-value is 1, not below 0.05",)))
    assert near.verdict == "inconclusive"
    assert not held_back(near)
    assert treated([near]).startswith("No difference beyond harmless words was decided on, in 1 comparison.")


def test_a_signal_is_said_beside_a_finding() -> None:
    signal = WITHIN.judge(swept(0.3, 0.2, 0.4, value="male", unmet=("its sign turns",)))
    said = treated([swept(0.1, 0.05, 0.2, verdict="fail"), signal])
    assert said.startswith("Yes: “female” (gender) moves")
    assert "Not decided: “male” (gender) moves the answer by 0.300" in said


def test_nothing_found_says_what_could_not_be_seen() -> None:
    said = treated([swept(0.01, -0.05, 0.06, verdict="inconclusive"), swept(0.0, -0.01, 0.01, verdict="pass")])
    assert "No difference beyond harmless words was decided on, in 2 comparisons" in said
    assert "Effects below 0.080 could go unseen with so few" in said
    assert "fair" not in said


def test_refusals_come_first() -> None:
    refused = Finding(
        "fairness",
        "invalid_gap",
        "t",
        {"attribute": "gender", "value": "non-binary"},
        estimate=0.4,
        ci=(0.3, 0.5),
        threshold=0.02,
        verdict="fail",
    )
    said = treated([swept(0.0, -0.01, 0.01, verdict="pass"), refused])
    assert said.startswith(
        "“non-binary” (gender) is refused, or cannot be read, 40 percentage points more often [0.300, 0.500]."
    )


def test_refusals_that_are_held_back_are_not_passed_over() -> None:
    refused = Finding(
        "fairness",
        "invalid_gap",
        "t",
        {"attribute": "gender", "value": "non-binary", "kind": "invalid"},
        estimate=0.35,
        ci=(0.18, 0.57),
        n=20,
        unmet=("its corrected p-value is 0.094, not below 0.05",),
    )
    judged = Rule(metric="fairness.invalid_gap", max=0.02).judge(refused)
    said = treated([swept(0.3, 0.2, 0.4, verdict="fail"), judged])
    assert said.endswith(
        "Not decided: “non-binary” (gender) is refused, or cannot be read, 35 percentage points more often "
        "[0.180, 0.570], but its corrected p-value is 0.094, not below 0.05."
    )


def test_what_could_not_be_asked_says_why() -> None:
    assert treated([not_applicable("fairness", "excess_distance", "t", "it reads no note", {})]) == (
        "Not tested: it reads no note."
    )
    assert treated([]) == served([]) == exposed([]) == ""


def gap(estimate: float, low: float, high: float, **fields: Any) -> Finding:
    params = {"attribute": "gender", "group": "F", "adjusted": False, "measure": "ndcg"}
    return Finding(
        "fairness",
        "quality_gap",
        "NDCG that F get less",
        params,
        estimate=estimate,
        ci=(low, high),
        p=0.2,
        mde=0.03,
        threshold=0.05,
        note="0.1 for 30 users",
        **fields,
    )


def test_gaps_are_named_with_what_they_rest_on() -> None:
    assert served([gap(0.2, 0.1, 0.3, verdict="fail")]).startswith("Yes. NDCG that F get less: 0.200 [0.100, 0.300].")
    open_gap = served([gap(0.02, -0.01, 0.06, verdict="inconclusive")])
    assert "The one group that could be judged is not shown" in open_gap
    assert "a gap below 0.030 could go unseen" in open_gap
    held = Rule(metric="fairness.quality_gap", max=0.05).judge(gap(0.2, 0.1, 0.3, unmet=("p is 0.1",)))
    assert served([held]).startswith("Not decided. NDCG that F get less: 0.200 [0.100, 0.300], but p is 0.1.")
    adjusted = gap(0.9, 0.8, 1.0, verdict="fail")
    assert served([replace(adjusted, params={**adjusted.params, "adjusted": True})]) == ""


def test_exposure_names_the_groups_and_the_reference() -> None:
    def ratio(group: str, value: float, verdict: Any) -> Finding:
        params = {"part": "exposure", "group": group, "column": "genres", "reference": "history"}
        return Finding(
            "fairness",
            "exposure_ratio",
            "t",
            params,
            estimate=value,
            ci=(value, value),
            threshold=0.8,
            verdict=verdict,
        )

    said = exposed([ratio("War", 0.5, "fail"), ratio("Drama", 1.1, "pass")])
    assert said == "Less than four fifths of their share of what users chose before: “War” by genres (0.500)."
    said = exposed([ratio("Drama", 1.1, "pass"), ratio("Fantasy", 0.6, "inconclusive")])
    assert said.startswith("No group of items is shown")
    assert said.endswith(
        "1 group is open at this sample size; the lowest is “Fantasy” by genres with 0.600 [0.600, 0.600]."
    )


def test_selections_are_answered_with_their_interval_and_counts() -> None:
    params = {"part": "hiring", "attribute": "sex", "group": "F", "rate": "selection"}
    ratio = Finding(
        "fairness",
        "impact_ratio",
        "Impact ratio, sex F",
        params,
        estimate=0.6,
        ci=(0.5, 0.7),
        direction="higher_is_better",
        threshold=0.8,
        note="30 of 100",
    )
    said = selected([replace(ratio, verdict="fail")])
    assert said == "Yes. Impact ratio, sex F: 0.600 [0.500, 0.700]. 30 of 100."
    assert selected([replace(ratio, verdict="pass", estimate=0.95)]).startswith("Not shown, in 1 comparison.")
    assert selected([]) == ""
