"""Policies as files: what they extend, several together, requirements, waivers, the schema for editors."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from audit.cli import main
from audit.errors import ConfigError
from audit.findings import Finding, not_applicable
from audit.policy import Policy, Rule, Waiver, gate, load, packs
from audit.policy.schema import policy_schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "audit" / "schemas" / "policy.schema.json"
DAY = date(2026, 11, 25)
MAX = Rule(metric="quality.ndcg", max=0.5)


def finding(estimate: float = 0.7, low: float = 0.6, high: float = 0.8, **fields: Any) -> Finding:
    given = {"module": "quality", "metric": "ndcg", "title": "NDCG", "n": 100, "ci_method": "wilson"}
    return Finding(**{**given, "estimate": estimate, "ci": (low, high), **fields})


def waiver(**fields: Any) -> Waiver:
    given = {"metric": "quality.ndcg", "owner": "Jane", "reason": "It is being mended.", "expires": DAY}
    return Waiver(**{**given, **fields})


def write(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return name


# Bounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "limit", "expected"),
    [
        ("high", {"max": 0.75}, "fail"),  # [.6, .8] is not shown to stay below .75
        ("high", {"max": 0.8}, "pass"),
        ("low", {"max": 0.75}, "pass"),  # nor shown to exceed it
        ("low", {"max": 0.59}, "fail"),
        ("low", {"min": 0.65}, "fail"),
        ("low", {"min": 0.59}, "pass"),
        ("high", {"min": 0.65}, "pass"),
        ("high", {"min": 0.8}, "fail"),
        ("interval", {"max": 0.75}, "inconclusive"),
    ],
)
def test_a_rule_may_name_the_bound_that_it_holds_to_the_limit(by: Any, limit: dict[str, float], expected: str) -> None:
    judged = Rule(metric="quality.ndcg", by=by, **limit).judge(finding())
    assert judged.verdict == expected
    if by != "interval":
        assert f"{'upper' if by == 'high' else 'lower'} bound of its 95% interval [0.6, 0.8]" in judged.reason


def test_a_bound_of_an_interval_that_cannot_be_trusted_decides_nothing() -> None:
    assert Rule(metric="quality.ndcg", max=1, by="high").judge(finding(ci_method="bca", n=5)).verdict == "inconclusive"


# Waivers --------------------------------------------------------------------------------------------------------------


def test_a_waived_failure_is_neither_failed_nor_passed() -> None:
    held = Policy(name="p", rules=(MAX,), waivers=(waiver(),))
    [judged] = held.judge([finding()], on=DAY)
    assert judged.verdict == "waived"
    assert judged.waiver is not None
    assert (judged.waiver.owner, judged.waiver.expires, judged.waiver.verdict) == ("Jane", "2026-11-25", "fail")
    assert "Without the waiver it fails: the value is 0.7" in judged.reason
    outcome = gate(held, [judged], on=DAY)
    assert (outcome.verdict, outcome.exit_code, outcome.failed, outcome.waived) == ("waived", 0, (), (judged,))
    assert Finding.from_dict(json.loads(json.dumps(judged.to_dict()))) == judged


def test_after_its_last_day_a_waiver_lifts_nothing_and_says_so() -> None:
    held = Policy(name="p", rules=(MAX,), waivers=(waiver(),))
    after = date(2026, 11, 26)
    [judged] = held.judge([finding()], on=after)
    assert (judged.verdict, judged.waiver) == ("fail", None)
    assert "The waiver by Jane ended on 2026-11-25" in judged.reason
    outcome = gate(held, [judged], on=after)
    assert (outcome.exit_code, outcome.expired, outcome.idle) == (1, held.waivers, ())


def test_a_renewed_waiver_speaks_before_the_one_that_ended() -> None:
    held = Policy(name="p", rules=(MAX,), waivers=(waiver(expires="2026-01-01"), waiver(expires="2027-01-01")))
    [judged] = held.judge([finding()], on=DAY)
    assert judged.verdict == "waived"
    assert gate(held, [judged], on=DAY).idle == held.waivers[:1]


def test_a_waiver_is_matched_by_metric_and_params() -> None:
    held = Policy(name="p", rules=(MAX,), waivers=(waiver(where={"k": 5}),))
    judged = held.judge([finding(params={"k": 5}), finding(params={"k": 10})], on=DAY)
    assert [f.verdict for f in judged] == ["waived", "fail"]


def test_a_waiver_that_fits_nothing_or_only_what_passes_is_said() -> None:
    strangers = (waiver(where={"k": 1}), waiver())
    held = Policy(name="p", rules=(MAX,), waivers=strangers)
    assert gate(held, held.judge([finding(0.3, 0.2, 0.4)], on=DAY), on=DAY).idle == strangers


def test_an_open_finding_is_waived_only_where_it_would_stop_the_gate() -> None:
    unsure = finding(0.5, 0.4, 0.6)
    for certainty, verdict, code in ((False, "inconclusive", 0), (True, "waived", 0)):
        held = Policy(name="p", rules=(MAX,), waivers=(waiver(),), certainty=certainty)
        judged = held.judge([unsure], on=DAY)
        assert judged[0].verdict == verdict
        assert gate(held, judged, on=DAY).exit_code == code


def test_what_is_missing_cannot_be_waived() -> None:
    held = Policy(name="p", rules=(MAX,), waivers=(waiver(),), require=("quality.ndcg",))
    assert gate(held, [], on=DAY).exit_code == 1


# Requirements ---------------------------------------------------------------------------------------------------------


def test_modules_metrics_and_checks_can_be_required() -> None:
    needs = ("quality", "quality.mrr", {"metric": "quality.ndcg", "where": {"k": 5}})
    held = Policy(name="p", rules=(MAX,), require=needs)
    untested = not_applicable("quality", "mrr", "MRR", "no reason", {})
    outcome = gate(held, [finding(params={"k": 10}), untested])
    assert outcome.missing == ("quality.mrr", "quality.ndcg (k=5)")
    assert gate(held, [finding(params={"k": 5}), finding(metric="mrr")]).missing == ()


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_policy_may_extend_another(tmp_path: Path) -> None:
    text = "name: m\nextends: default\nwithout: [quality.auc]\nrules: [{metric: quality.uauc, min: 0.6}]\n"
    mine, default = load(write(tmp_path, text), tmp_path), load("default", tmp_path)
    assert mine.rules[0].min == 0.6
    assert [r.min for r in mine.rules if r.metric == "quality.uauc"] == [0.6]
    assert not [r for r in mine.rules if r.metric == "quality.auc"]
    assert len(mine.rules) == len(default.rules) - 1
    assert mine.require == default.require
    write(tmp_path, "name: n\nextends: mine.yaml\nrequire: []\n", "next.yaml")
    assert load("next.yaml", tmp_path).rules == mine.rules
    assert load("next.yaml", tmp_path).require == ()


def test_of_several_policies_every_one_has_to_be_met(tmp_path: Path) -> None:
    write(tmp_path, "name: lax\nrequire: [quality]\nrules: [{metric: quality.ndcg, max: 0.9}]\n", "lax.yaml")
    write(tmp_path, "name: tight\ncertainty: true\nrules: [{metric: quality.ndcg, max: 0.7}]\n", "tight.yaml")
    for order in (["lax.yaml", "tight.yaml"], ["tight.yaml", "lax.yaml"]):
        both = load(order, tmp_path)
        assert both.certainty
        [judged] = both.judge([finding(0.8, 0.75, 0.85)])
        assert (judged.verdict, judged.threshold) == ("fail", 0.7)
        rule = both.judged_by(judged)
        assert rule is not None
        assert (rule.pack, rule.max) == ("tight", 0.7)
    assert Policy.model_validate(both.model_dump(mode="json")) == both


def test_frameworks_on_the_same_rules_judge_once(tmp_path: Path) -> None:
    both = load(["default", "owasp-llm-2026", "eu-ai-act"], tmp_path)
    assert both.rules == load("default", tmp_path).rules
    assert [f.id for f in both.frameworks] == ["owasp-llm", "eu-ai-act"]


_WAIVER = "waivers: [{metric: quality.ndcg, %s}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_WAIVER % "reason: r, expires: 2027-01-01", "waivers.0.owner is missing; add `owner:`"),
        (_WAIVER % "owner: o, reason: r", "waivers.0.expires is missing"),
        (_WAIVER % "owner: ' ', reason: r, expires: 2027-01-01", "waivers.0.owner: it is empty"),
        (_WAIVER % "owner: o, reason: r, expires: soon", "waivers.0.expires: 'soon' does not fit"),
        (_WAIVER % "owner: o, raeson: r, expires: 2027-01-01", "waivers.0.*(reason is missing|did you mean 'reason')"),
        (
            "waivers: [{metric: quality.ndgc, owner: o, reason: r, expires: 2027-01-01}]",
            "waivers.0.metric: 'quality.ndgc' is unknown; did you mean 'quality.ndcg'",
        ),
        (
            "rules: [{metric: robustness.asr, max: 1, where: {attack: tpyos}}]",
            "rules.0.where.attack: 'tpyos' is not an attack; did you mean 'typos'",
        ),
        ("require: [quality.ndgc]", "require: 'quality.ndgc' is not a metric; did you mean 'quality.ndcg'"),
        ("require: [{metric: quality, where: {k: 5}}]", "require: 'quality' is not a metric, and `where:` narrows"),
        ("require: [{metirc: quality}]", "require.0.*metric"),
        ("without: [quality.hr]", "without: 'quality.hr' has no rule in 'default'"),
        ("extends: mine.yaml", "goes round in a circle"),
        ("extends: strickt", "did you mean 'strict'"),
        (
            "frameworks: [{id: f, edition: '1', title: T, controls: [{id: A, title: t, bears: [{metric: qualty.*}]}]}]",
            "frameworks.0.controls.0.bears.0.metric: 'qualty.\\*' is unknown",
        ),
        (
            "frameworks: [{id: f, edition: '1', title: T, controls: [{id: A, title: t}]}]",
            "A: give bears: \\(findings\\), or say in beyond:",
        ),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    head = "name: m\n" + ("" if "extends" in text else "extends: default\n")
    with pytest.raises(ConfigError, match=said) as caught:
        load(write(tmp_path, f"{head}{text}\n"), tmp_path)
    assert "\n" not in str(caught.value)


# The schema -----------------------------------------------------------------------------------------------------------


def test_the_published_schema_is_current() -> None:
    hint = "write it anew: `recaudit policies schema > audit/schemas/policy.schema.json`"
    assert json.loads(SCHEMA.read_text()) == policy_schema(), hint


def test_the_schema_takes_every_pack_and_refuses_what_loading_refuses() -> None:
    schema = json.loads(SCHEMA.read_text())
    check = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    check.check_schema(schema)
    for name in packs():
        check.validate(yaml.safe_load((ROOT / "audit" / "policies" / f"{name}.yaml").read_text()))
    refused = [
        {"name": "m"},
        {"name": "m", "rules": [{"metric": "quality.ndcg"}]},
        {"name": "m", "rules": [{"metric": "quality.ndcg", "min": 0, "max": 1}]},
        {"name": "m", "extends": "default", "waivers": [{"metric": "quality.ndcg", "owner": "o", "reason": "r"}]},
        {"name": "m", "rules": [{"metric": "quality.ndcg", "max": 1, "by": "luck"}]},
        {"name": "m", "extends": "default", "wavers": []},
    ]
    assert [data for data in refused if check.is_valid(data)] == []


def test_every_field_of_the_schema_says_what_it_is() -> None:
    schema = policy_schema()
    for model in [schema, *schema["$defs"].values()]:
        for name, field in model["properties"].items():
            assert field.get("description"), f"{model['description']}: {name}"


def test_the_policy_of_the_page_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    found = re.search(r"```text\n(# my-policy.yaml.*?)```", page, re.S)
    assert found is not None
    write(tmp_path, found[1], "my-policy.yaml")
    assert main(["policies", "check", str(tmp_path / "my-policy.yaml")]) == 0
    assert "1 waiver" in capsys.readouterr().out
