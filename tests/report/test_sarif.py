"""SARIF against the official schema, and what code scanning makes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hostile import EVERY, acting_in_terminal
from report_world import ERRORS, FLIP, HIT, HOSTILE, POLICY, SKIPPED

from audit.errors import ConfigError
from audit.findings import Finding
from audit.policy import Waiver
from audit.report import render
from audit.run import Run

MakeRun = Callable[..., Run]
NAME = "sarif-schema-2.1.0.json"


@pytest.fixture(scope="module")
def official() -> Any:
    """A validator of the schema that OASIS publishes."""
    import jsonschema

    told = os.environ.get("RECAUDIT_SARIF_SCHEMA")
    places = [Path(told)] if told else [p / "shared" / "data" / NAME for p in Path(__file__).resolve().parents]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        pytest.skip(f"{NAME} is not here: put it in ../shared/data, or name it in RECAUDIT_SARIF_SCHEMA")
    return jsonschema.Draft4Validator(json.loads(found.read_text()), format_checker=jsonschema.FormatChecker())


def log_of(*runs: Run, **options: Any) -> dict[str, Any]:
    return json.loads(render(list(runs), "sarif", **options))


def with_policy(run: Run, **changes: Any) -> Run:
    policy = type(POLICY).model_validate(POLICY.model_dump() | changes).model_dump(mode="json")
    return Run(replace(run.record, policy=policy), run.store)


def by_kind(log: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for result in log["runs"][0]["results"]:
        found.setdefault(result["kind"], []).append(result)
    return found


def waived(run: Run) -> Run:
    waiver = Waiver(metric=FLIP.name, owner="Ann", reason="Mended in May.", expires=date(2999, 1, 1))
    return with_policy(run, waivers=(waiver,))


def test_every_kind_of_finding_fits_the_official_schema(shown: Run, make_run: MakeRun, official: Any) -> None:
    bare = with_policy(make_run([], name="bare"), require=("privacy",))
    for log in (log_of(shown), log_of(waived(shown)), log_of(shown, shown, bare), log_of(shown, only_failures=True)):
        assert [e.message for e in official.iter_errors(log)] == []
    broken = log_of(shown)
    broken["runs"][0]["results"][0]["kind"] = "bad"
    assert list(official.iter_errors(broken)), "a validator that accepts anything shows nothing"


def test_each_verdict_has_its_kind_and_only_failures_have_a_level(shown: Run) -> None:
    found = by_kind(log_of(shown))
    assert {kind: len(results) for kind, results in found.items()} == {
        "fail": 1,
        "open": 1,
        "pass": 1,
        "informational": 1,
        "notApplicable": 1,
    }
    assert found["fail"][0]["level"] == "error"  # high
    assert {r["level"] for kind, results in found.items() if kind != "fail" for r in results} == {"none"}


def test_a_result_carries_its_numbers_and_how_to_open_its_evidence(shown: Run) -> None:
    result = by_kind(log_of(shown))["fail"][0]
    told = result["properties"]
    assert (told["estimate"], told["ci"], told["n"], told["floor"]) == (0.5, [0.4, 0.6], 50, 0.1)
    assert (
        told["evidence"] == [f"recaudit show {shown.id} --evidence {shown.findings[-2].evidence[0]}"]
        or told["evidence"]
    )
    text = result["message"]["text"]
    for part in ("Typing slips", "0.500 [0.400, 0.600] at 95%", "limit ≤ 0.2", "Users lose what they liked."):
        assert part in text


def test_results_stay_apart_and_keep_their_identity(shown: Run, make_run: MakeRun) -> None:
    """GitHub folds results of one rule with one `primaryLocationLineHash` into one alert."""
    twin = replace(FLIP, params={**FLIP.params, "attack": "words"})
    again = [by_kind(log_of(make_run([f, twin], name="x")))["fail"] for f in (FLIP, replace(FLIP, estimate=0.55))]
    hashes = [[r["partialFingerprints"]["primaryLocationLineHash"] for r in results] for results in again]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2
    assert all(r["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1 for r in again[0])


def test_rules_are_metrics_each_once_with_help(shown: Run) -> None:
    rules = log_of(shown)["runs"][0]["tool"]["driver"]["rules"]
    ids = [rule["id"] for rule in rules]
    assert ids == sorted(set(ids))
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)
    for result in log_of(shown)["runs"][0]["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
    assert "Users lose what they liked." in rules[ids.index("robustness.flip_rate")]["help"]["text"]


def test_controls_are_taxa_that_rules_and_results_refer_to(make_run: MakeRun) -> None:
    tags = ("owasp-llm:2026:LLM05", "owasp-llm:2025:LLM01", "owasp-llm:2026:LLM02", "loose")
    run = log_of(make_run([replace(FLIP, controls=tags)]))["runs"][0]
    assert {t["name"]: [x["id"] for x in t["taxa"]] for t in run["taxonomies"]} == {
        "controls": ["loose"],
        "owasp-llm:2025": ["LLM01"],
        "owasp-llm:2026": ["LLM02", "LLM05"],
    }
    for reference in run["results"][0]["taxa"]:
        component = run["taxonomies"][reference["toolComponent"]["index"]]
        assert component["name"] == reference["toolComponent"]["name"]
        assert component["taxa"][reference["index"]]["id"] == reference["id"]
    assert len(run["tool"]["driver"]["rules"][0]["relationships"]) == 4


def test_limits_of_code_scanning_are_kept(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = tuple(f"f:1:C{i}" for i in range(40))
    log = log_of(make_run([replace(FLIP, controls=tags)]))
    assert len(log["runs"][0]["tool"]["driver"]["rules"][0]["properties"]["tags"]) <= 10
    monkeypatch.setattr("audit.report.sarif.MOST_RESULTS", 3)
    findings = [replace(HIT, params={"k": k}) for k in range(1, 6)]
    run = log_of(make_run([*findings, FLIP], name="many"))["runs"][0]
    assert [r["kind"] for r in run["results"]] == ["fail", "informational", "informational"]
    notes = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("3 findings left out" in note for note in notes)


def test_only_failures_leaves_out_the_rest_and_what_is_waived(shown: Run) -> None:
    assert set(by_kind(log_of(shown, only_failures=True))) == {"fail"}
    assert by_kind(log_of(waived(shown), only_failures=True)) == {}
    with pytest.raises(ConfigError, match="--only-failures"):
        render([shown], "junit", only_failures=True)


def test_a_waived_failure_is_a_suppressed_failure(shown: Run) -> None:
    result = by_kind(log_of(waived(shown)))["fail"][0]
    assert result["suppressions"][0]["status"] == "accepted"
    assert "Waived by Ann until 2999-01-01: Mended in May." in result["suppressions"][0]["justification"]
    assert all(r["suppressions"] == [] for r in log_of(shown)["runs"][0]["results"])


def test_a_required_module_that_is_missing_is_a_failure(make_run: MakeRun) -> None:
    run = with_policy(make_run([HIT]), require=("privacy",))
    result = by_kind(log_of(run, only_failures=True))["fail"][0]
    assert result["ruleId"] == "policy.require"
    assert "requires the module privacy" in result["message"]["text"]


def test_the_place_is_the_block_of_the_configuration(
    shown: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("ci") / "my audit.yaml"
    file.parent.mkdir()
    file.write_text("name: x\ntarget: {kind: zoo}\nmodules:\n  quality: {}\n\n  robustness:\n    attacks: [typos]\n")
    lines = {}
    for given in (file, tmp_path / file):
        for result in log_of(shown, source=given)["runs"][0]["results"]:
            place = result["locations"][0]["physicalLocation"]
            assert place["artifactLocation"]["uri"] == "ci/my%20audit.yaml"
            lines[result["properties"]["module"]] = place["region"]["startLine"]
    assert lines == {"quality": 4, "robustness": 6}
    file.write_text("name: x\ntarget: {kind: zoo}\nmodules: [quality,\n  robustness]\n")
    found = {
        r["locations"][0]["physicalLocation"]["region"]["startLine"]
        for r in log_of(shown, source=file)["runs"][0]["results"]
    }
    assert found == {3, 4}


@pytest.mark.parametrize("text", ["", ": [", "- a", "a: &x [*x]", "modules: 3", "\x00"])
def test_a_configuration_that_cannot_be_read_still_gives_a_place(shown: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "audit.yaml").write_text(text)
    for file in (tmp_path / "audit.yaml", tmp_path / "none.yaml", tmp_path):
        for result in log_of(shown, source=file)["runs"][0]["results"]:
            place = result["locations"][0]["physicalLocation"]
            assert not place["artifactLocation"]["uri"].startswith("/")
            assert place["region"]["startLine"] == 1


def test_runs_of_one_file_have_categories_of_their_own(shown: Run, make_run: MakeRun) -> None:
    ids = [r["automationDetails"]["id"] for r in log_of(shown, make_run([HIT]), make_run([HIT], name="b"))["runs"]]
    assert len({i.rpartition("/")[0] for i in ids}) == 3


def test_hostile_text_is_text(make_run: MakeRun, official: Any) -> None:
    texts = (*EVERY, HOSTILE, "[a](https://evil.invalid) {0} {{1}}", "\ufffe\uffff")
    findings: list[Finding] = [
        replace(FLIP, title=text, note=text, unit=text or "user", params={"attack": f"{i}{text}"}, controls=(text,))
        for i, text in enumerate(texts)
    ]
    text = render([make_run([*findings, SKIPPED, ERRORS], name=HOSTILE)], "sarif")
    log = json.loads(text)
    assert [e.message for e in official.iter_errors(log)] == []
    said = [r["message"]["text"] for r in log["runs"][0]["results"]]
    assert acting_in_terminal(text) == []
    assert [s for s in said if acting_in_terminal(s)] == []
    assert not any("](" in s for s in said), "no link comes out of a title"
    assert any("{{0}}" in s for s in said), "no placeholder either"
