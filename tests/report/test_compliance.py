"""The section on controls of frameworks: what bears on each, and what was not tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from audit.cli.gate import as_json
from audit.findings import Finding, not_applicable
from audit.policy import Control, Framework, Policy, Rule, Waiver, assess, gate
from audit.report import compliance, render
from audit.run import Run

MakeRun = Callable[..., Run]

CONTROLS = (
    Control(id="A", title="Ranking", bears=({"metric": "quality.ndcg"},)),
    Control(id="B", title="Rate", bears=({"metric": "quality.error_rate"},), beyond="Logs.", recalled=True),
    Control(id="C", title="Groups", bears=({"metric": "fairness.*"},)),
    Control(id="D", title="Contracts", beyond="A lawyer."),
    Control(id="E", title="Tagged", bears=({"metric": "quality.mrr"},)),
    Control(id="F", title="Untestable", bears=({"metric": "quality.auc"},)),
)
FRAMEWORK = Framework(id="frame", edition="1.0", title="A Framework", controls=CONTROLS)


def finding(metric: str, estimate: float, **fields: Any) -> Finding:
    ends = (estimate - 0.05, estimate + 0.05)
    return Finding("quality", metric, metric.upper(), estimate=estimate, ci=ends, ci_method="wilson", n=100, **fields)


@pytest.fixture
def policy() -> Policy:
    rules = (Rule(metric="quality.ndcg", min=0.5), Rule(metric="quality.error_rate", max=0.1))
    return Policy(name="p", rules=rules, frameworks=(FRAMEWORK,))


def states(policy: Policy, *found: Finding) -> dict[str, str]:
    return {r.control.id: r.state for r in assess(policy, policy.judge(found))}


def test_the_state_of_a_control_is_its_worst_finding(policy: Policy) -> None:
    bad, good = finding("ndcg", 0.3, params={"k": 5}), finding("ndcg", 0.9, params={"k": 10})
    assert states(policy, good)["A"] == "pass"
    assert states(policy, good, bad)["A"] == "fail"
    assert states(policy, good, finding("ndcg", 0.5))["A"] == "inconclusive"
    waiver = Waiver(metric="quality.ndcg", owner="Jane", reason="r", expires="2999-01-01")
    assert states(policy.model_copy(update={"waivers": (waiver,)}), good, bad)["A"] == "waived"


def test_what_was_not_tested_says_why_and_never_reads_as_passed(policy: Policy) -> None:
    untested = not_applicable("quality", "auc", "AUC", "the target gives no scores", {})
    results = {r.control.id: r for r in assess(policy, policy.judge([finding("ndcg", 0.9), untested]))}
    assert [results[name].state for name in "BCDEF"] == ["not_tested"] * 5
    assert results["B"].why == "This run measured no quality.error_rate."
    assert results["C"].why == "The module fairness did not run."
    assert results["D"].why == "An audit from outside cannot test it. A lawyer."
    assert results["F"].why == "quality.auc could not be tested: the target gives no scores."
    assert "Not seen from outside: Logs." in compliance.gaps(results["B"])


def test_a_finding_bears_on_the_controls_whose_tags_it_carries(policy: Policy) -> None:
    tagged = finding("hr", 0.4, controls=("frame:1.0:E", "frame:2.0:D"))
    [result] = [r for r in assess(policy, policy.judge([tagged])) if r.state != "not_tested"]
    assert (result.control.id, result.state, result.measured) == ("E", "measured", (tagged,))


def test_the_gate_gives_the_controls_as_data(policy: Policy) -> None:
    judged = policy.judge([finding("ndcg", 0.3), finding("error_rate", 0.02)])
    data = as_json("r1", policy, gate(policy, judged), judged)
    a, b, *_ = data["controls"]
    assert (a["control"], a["state"], a["findings"]) == (
        "frame:1.0:A",
        "fail",
        [{"id": judged[0].id, "verdict": "fail"}],
    )
    assert (b["state"], b["recalled"], b["beyond"]) == ("pass", True, "Logs.")


def test_no_word_of_the_section_says_that_a_control_is_met() -> None:
    assert set(compliance.STATES.values()) & {"met", "compliant", "passed", "conforms"} == set()
    assert "no judgement of compliance" in compliance.CAVEAT


def test_both_kinds_of_report_hold_the_section(make_run: MakeRun, policy: Policy) -> None:
    bad, rate = finding("ndcg", 0.3, params={"k": 5}), finding("error_rate", 0.02)
    hostile = "<script>alert(1)</script>"
    waiver = Waiver(metric="quality.ndcg", owner=hostile, reason=hostile, expires="2999-01-01")
    given = make_run([bad, rate])
    for waivers, word in (((), "speaks against"), ((waiver,), "waived")):
        held = policy.model_copy(update={"waivers": waivers})
        run = Run(replace(given.record, policy=held.model_dump(mode="json")), given.store)
        page, text = render([run], "html"), render([run], "md")
        section = page.partition('id="r1-compliance"')[2].partition("</section>")[0]
        assert word in section
        assert f'href="#r1-c-{bad.id}"' in section
        assert f'id="r1-c-{bad.id}"' in page
        assert "Compliance: A Framework" in text
        assert "`frame:1.0:D` Contracts" in text
        assert f"| {word}" in text.replace("✖ ", "").replace("◇ ", "")
        assert hostile not in page


def test_a_policy_without_frameworks_has_no_section(make_run: MakeRun) -> None:
    assert "Compliance" not in render([make_run([finding("ndcg", 0.3)])], "html")
