"""Policies: limits with three outcomes, and gates with exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from audit import registry
from audit.errors import ConfigError
from audit.findings import Finding, Verdict, not_applicable
from audit.policy import Policy, Rule, by_severity, gate, held_back, known_metrics, load, packs


def finding(estimate: float = 0.5, low: float = 0.4, high: float = 0.6, **fields: Any) -> Finding:
    return Finding("quality", fields.pop("metric", "ndcg"), "T", estimate=estimate, ci=(low, high), n=100, **fields)


def verdict(rule: Rule, found: Finding) -> Verdict | None:
    return rule.judge(found).verdict


def policy(*rules: Rule, **fields: Any) -> Policy:
    return Policy(name="p", rules=rules, **fields)


MAX = Rule(metric="quality.ndcg", max=0.5)
MIN = Rule(metric="quality.ndcg", min=0.5)


@pytest.mark.parametrize(
    ("low", "high", "at_most", "more_than"),
    [
        (0.30, 0.49, "pass", "fail"),
        (0.30, 0.50, "pass", "fail"),  # exactly at the limit is still acceptable as a maximum, and not above a minimum
        (0.30, 0.51, "inconclusive", "inconclusive"),
        (0.50, 0.60, "inconclusive", "inconclusive"),
        (0.51, 0.60, "fail", "pass"),
        (0.50, 0.50, "pass", "fail"),
    ],
)
def test_the_whole_interval_must_clear_the_limit(low: float, high: float, at_most: str, more_than: str) -> None:
    found = finding((low + high) / 2, low, high)
    assert verdict(MAX, found) == at_most
    assert verdict(MIN, found) == more_than


@pytest.mark.parametrize(
    ("estimate", "at_most", "more_than"), [(0.49, "pass", "fail"), (0.5, "pass", "fail"), (0.51, "fail", "pass")]
)
def test_by_estimate_asks_the_point_alone(estimate: float, at_most: str, more_than: str) -> None:
    wide = finding(estimate, 0.0, 1.0)
    bare = replace(wide, ci=None)
    for found in (wide, bare):
        assert verdict(MAX.model_copy(update={"by": "estimate"}), found) == at_most
        assert verdict(MIN.model_copy(update={"by": "estimate"}), found) == more_than


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_an_interval_never_both_passes_and_fails(one: float, other: float, limit: float) -> None:
    low, high = sorted((one, other))
    found = finding((low + high) / 2, low, high)
    assert {
        verdict(Rule(metric="quality.ndcg", max=limit), found),
        verdict(Rule(metric="quality.ndcg", min=limit), found),
    } in (
        {"pass", "fail"},
        {"inconclusive"},
    )


def test_an_open_question_says_how_many_would_settle_it() -> None:
    # Half the width is .1 at n = 100; at distance .03 the limit is left out once .1 / sqrt(n / 100) < .03: n > 1111.1.
    judged = Rule(metric="quality.ndcg", max=0.53, why="It matters.").judge(finding())
    assert (judged.verdict, judged.threshold, judged.n_to_settle) == ("inconclusive", 0.53, 1112)
    assert "1,112 units would settle it" in judged.reason
    assert judged.reason.endswith("It matters.")
    at_the_limit = MAX.judge(finding(0.5))
    assert (at_the_limit.verdict, at_the_limit.n_to_settle) == ("inconclusive", None)
    assert MAX.judge(finding(0.3, 0.2, 0.4)).n_to_settle is None


def test_what_lies_beyond_the_limit_does_not_fail_while_a_condition_is_unmet() -> None:
    unmet = finding(0.7, 0.6, 0.8, unmet=("its sign turns on held-out anchors",))
    judged = MAX.judge(unmet)
    assert judged.verdict == "inconclusive"
    assert judged.n_to_settle is None, "more units would not mend it"
    assert "beyond the limit 0.5" in judged.reason
    assert "because its sign turns on held-out anchors" in judged.reason
    assert verdict(MIN, unmet) == "pass", "an unmet condition takes no pass away by itself"
    assert verdict(MAX, finding(0.3, 0.2, 0.4, unmet=("its sign turns",))) == "pass"


def test_a_rule_may_keep_a_pass_open_while_a_condition_is_unmet() -> None:
    rule = MAX.model_copy(update={"conditions": "both"})
    judged = rule.judge(finding(0.3, 0.2, 0.4, unmet=("the checker misses half of them",)))
    assert (judged.verdict, judged.n_to_settle) == ("inconclusive", None)
    assert "within the limit 0.5; it does not pass, because the checker misses half of them" in judged.reason
    assert not held_back(judged), "it is no signal of a flaw"
    assert verdict(rule, finding(0.3, 0.2, 0.4)) == "pass"
    assert verdict(rule, finding(0.7, 0.6, 0.8, unmet=("its sign turns",))) == "inconclusive"
    assert verdict(rule, finding(0.7, 0.6, 0.8)) == "fail"


def test_an_effect_is_what_exceeds_the_floor() -> None:
    rule = Rule(metric="quality.ndcg", max=0.2, value="effect")
    noisy = finding(0.9, 0.8, 1.0, floor=0.85, effect=0.05, effect_ci=(0.0, 0.1))
    assert rule.judge(noisy).verdict == "pass"
    assert MAX.judge(noisy).verdict == "fail"
    assert rule.fits(noisy)
    assert not rule.fits(finding())


def test_a_verdict_brings_severity_controls_and_a_reason() -> None:
    rule = Rule(metric="quality.ndcg", max=0.2, severity="critical", controls=("a:1", "b:2"), why="Users suffer.")
    judged = rule.judge(finding(controls=("a:1",)))
    assert (judged.verdict, judged.severity, judged.controls) == ("fail", "critical", ("a:1", "b:2"))
    assert (
        judged.reason
        == "the value is 0.5; its 95% interval [0.4, 0.6] lies beyond the limit (at most 0.2). Users suffer."
    )
    assert "Users suffer" not in rule.model_copy(update={"max": 0.9}).judge(finding()).reason


def test_the_first_rule_that_fits_judges() -> None:
    rules = (
        Rule(metric="quality.ndcg", where={"k": 5}, max=0.9),
        Rule(metric="quality.ndcg", max=0.1),
        Rule(metric="quality.ndcg", max=0.9),
    )
    at_5, at_10, other = finding(params={"k": 5}), finding(params={"k": 10}), finding(metric="mrr")
    judged = policy(*rules).judge([at_5, at_10, other])
    assert [f.verdict for f in judged] == ["pass", "fail", None]
    assert judged[2] is other


def test_where_asks_for_every_param() -> None:
    rule = Rule(metric="quality.ndcg", where={"attack": "typos", "defense": None}, max=1)
    assert rule.fits(finding(params={"attack": "typos", "defense": None, "k": 5}))
    assert rule.fits(finding(params={"attack": "typos"}))
    assert not rule.fits(finding(params={"attack": "typos", "defense": "x"}))
    assert not rule.fits(finding(params={"defense": None}))


def test_what_could_not_be_tested_stays_so() -> None:
    untested = not_applicable("quality", "ndcg", "T", "no reason", {})
    assert policy(Rule(metric="quality.ndcg", max=1)).judge([untested]) == [untested]
    assert MAX.judge(finding(0.3, 0.2, 0.4)).verdict == "pass"


@pytest.mark.parametrize(
    ("verdicts", "certainty", "require", "code", "whole"),
    [
        (["pass", "pass"], True, (), 0, "pass"),
        (["pass", None], True, (), 0, "pass"),
        (["pass", "not_applicable"], True, (), 0, "pass"),
        (["pass", "inconclusive"], False, (), 0, "inconclusive"),
        (["pass", "inconclusive"], True, (), 4, "inconclusive"),
        (["fail", "inconclusive"], True, (), 1, "fail"),
        (["pass"], False, ("quality",), 0, "pass"),
        (["pass"], False, ("quality", "robustness"), 1, "fail"),
        (["not_applicable"], False, ("quality",), 1, "fail"),
        ([], False, ("quality",), 1, "fail"),
        ([None], False, (), 0, "not_applicable"),
    ],
)
def test_a_gate_turns_verdicts_into_an_exit_code(
    verdicts: list[Verdict | None], certainty: bool, require: tuple[str, ...], code: int, whole: str
) -> None:
    found = [finding(verdict=v, severity="high", metric=f"m{n}") for n, v in enumerate(verdicts)]
    result = gate(policy(MAX, certainty=certainty, require=require), found)
    assert (result.exit_code, result.verdict) == (code, whole)
    assert [f.verdict for f in result.failed] == [v for v in verdicts if v == "fail"]
    assert [f.verdict for f in result.open] == [v for v in verdicts if v == "inconclusive"]
    assert set(result.missing) <= set(require)


def test_a_reader_sees_the_worst_first() -> None:
    order = [("fail", "critical"), ("fail", "low"), ("inconclusive", "high"), ("pass", "high"), (None, "info")]
    found = [finding(verdict=v, severity=s) for v, s in order]  # type: ignore[arg-type]
    assert by_severity(found[::-1]) == found


# Files ----------------------------------------------------------------------------------------------------------------


def write(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text)
    return "mine.yaml"


def test_a_file_is_a_policy(tmp_path: Path) -> None:
    name = write(tmp_path, "name: mine\ncertainty: true\nrules:\n  - {metric: quality.ndcg, min: 0.1}\n")
    loaded = load(name, tmp_path)
    assert (loaded.name, loaded.certainty, loaded.rules[0].min) == ("mine", True, 0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: m\nrules: [{metric: quality.ndgc, min: 0}]",
            r"mine.yaml: rules.0.metric: 'quality.ndgc' is unknown; did you mean 'quality.ndcg'",
        ),
        (
            "name: m\nrequire: [qualty]\nrules: [{metric: quality.ndcg, min: 0}]",
            "require: 'qualty' is not a module; did you mean 'quality'",
        ),
        ("name: m\nrules: [{metric: quality.ndcg, min: 0, max: 1}]", "either max: or min:, not both"),
        ("name: m\nrules: [{metric: quality.ndcg}]", "either max: or min:"),
        (
            "name: m\nrules: [{metric: quality.ndcg, maks: 1}]",
            "rules.0.maks: no field has this name; did you mean 'max'",
        ),
        ("name: m\nrules: [{metric: quality.ndcg, max: .nan}]", "rules.0.max: nan does not fit"),
        ("name: m\nrules: [{metric: quality.ndcg, max: high}]", "rules.0.max: 'high' does not fit"),
        ("name: m\nrules: [{metric: quality.ndcg, max: 1, by: luck}]", "rules.0.by: 'luck' does not fit"),
        ("name: m\nrules: []", "rules: "),
        ("name: m", "rules is missing; add `rules:`"),
        ("rules: [", "mine.yaml: line 1: not valid YAML"),
        ("- a", "holds list, not a mapping"),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load(write(tmp_path, text), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_rule_without_a_limit_cannot_be_made() -> None:
    with pytest.raises(ValidationError):
        Rule(metric="quality.ndcg")


def test_a_pack_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a built-in policy nor a file; did you mean 'default'"):
        load("defualt", tmp_path)
    with pytest.raises(ConfigError, match="there is no such file"):
        load("nowhere.yaml", tmp_path)


@pytest.mark.parametrize("name", packs())
def test_every_built_in_pack_names_metrics_that_exist(name: str, tmp_path: Path) -> None:
    pack = load(name, tmp_path)  # raises on an unknown metric or module
    assert pack.name == name
    assert pack.description
    assert {rule.metric for rule in pack.rules} <= known_metrics()
    # A later rule that an earlier one always answers for would never speak.
    for later, rule in enumerate(pack.rules):
        for earlier in pack.rules[:later]:
            shadowed = earlier.metric == rule.metric and earlier.where.items() <= rule.where.items()
            assert not shadowed or earlier.value != rule.value == "estimate", (earlier, rule)


def test_the_default_pack_speaks_about_every_module(tmp_path: Path) -> None:
    spoken = {rule.metric.partition(".")[0] for rule in load("default", tmp_path).rules}
    assert spoken == set(registry.available("modules"))
