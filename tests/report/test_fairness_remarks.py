"""The plain words about fairness: nothing is called fair, a signal is no finding, what could not be seen is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit.findings import Finding, not_applicable
from audit.report.fairness_remarks import exposed, served, treated


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
    said = treated([swept(0.3, 0.2, 0.4, verdict="inconclusive", unmet=("its sign turns in other words",))])
    assert said.startswith("That is not decided")
    assert said.endswith("but its sign turns in other words.")


def test_nothing_found_says_what_could_not_be_seen() -> None:
    said = treated([swept(0.01, -0.05, 0.06, verdict="inconclusive"), swept(0.0, -0.01, 0.01, verdict="pass")])
    assert "No difference beyond harmless words was decided on, in 2 comparisons" in said
    assert "Effects below 0.080 could not have been seen" in said
    assert "fair" not in said


def test_refusals_come_first() -> None:
    refused = Finding(
        "fairness",
        "invalid_gap",
        "t",
        {"attribute": "gender", "value": "non-binary"},
        estimate=0.4,
        ci=(0.3, 0.5),
        verdict="fail",
    )
    said = treated([swept(0.0, -0.01, 0.01, verdict="pass"), refused])
    assert said.startswith("“non-binary” (gender) is refused, or cannot be read, 0.400 more often.")


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
    assert "No group of items is shown" in exposed([ratio("Drama", 1.1, "pass")])
