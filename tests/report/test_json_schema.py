"""The published JSON Schemas: they fit what is written, and refuse what is not it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from report_world import FLIP, HIT, POLICY, SKIPPED

from audit.cli import main
from audit.findings import Roc
from audit.policy import load
from audit.report import render
from audit.report.json_schema import config_schema, run_schema
from audit.run import Run

MakeRun = Callable[..., Run]
ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "audit" / "schemas"


def validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def with_frameworks(run: Run) -> Run:
    policy = load("eu-ai-act", ROOT).model_dump(mode="json")
    return Run(replace(run.record, policy=policy), run.store)


@pytest.mark.parametrize(("name", "made"), [("run", run_schema), ("config", config_schema)])
def test_the_published_schemas_are_current(name: str, made: Callable[[], Any], capsys: Any) -> None:
    hint = f"write it anew: `recaudit schema {name} > audit/schemas/{name}.schema.json`"
    assert json.loads((SCHEMAS / f"{name}.schema.json").read_text()) == made(), hint
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out) == made()


def test_runs_of_every_kind_fit(shown: Run, make_run: MakeRun) -> None:
    check = validator("run")
    roc = Roc((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), 10, 10)
    waiver = {"metric": FLIP.name, "owner": "Ann", "reason": "It is being mended.", "expires": "2999-01-01"}
    policy = POLICY.model_dump(mode="json") | {"waivers": [waiver]}
    waived = Run(replace(shown.record, policy=policy), shown.store)
    assert waived.verdict == "waived" or any(f.verdict == "waived" for f in waived.findings)
    curious = make_run([replace(HIT, roc=roc, facts={"claimed": "8"}), SKIPPED], name="curious")
    runs = [shown, waived, curious, with_frameworks(shown), make_run([], name="bare", status="stopped")]
    for run in runs:
        check.validate(json.loads(render([run], "json")))
    check.validate(json.loads(render(runs, "json")))


def test_every_field_that_is_written_is_described(shown: Run) -> None:
    definitions = run_schema()["$defs"]
    assert set(definitions["Run"]["properties"]) == set(shown.to_json())
    assert set(definitions["RunUsage"]["properties"]) == set(shown.usage.to_dict())
    finding = definitions["Finding"]["properties"]
    assert set(finding) - {"facts", "roc"} == set(shown.findings[0].to_dict())
    told = with_frameworks(shown).to_json()["controls"]
    assert set(definitions["Control"]["properties"]) == set(told[0])
    for name in ("Run", "Finding", "RunUsage", "Control"):
        assert [k for k, v in definitions[name]["properties"].items() if not v.get("description")] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("findings", 0, "verdict"), "passed"),
        (("findings", 0, "ci"), [0.1]),
        (("findings", 0, "id"), "nope"),
        (("findings", 0, "p"), 2),
        (("findings", 0, "n"), "fifty"),
        (("status",), "done"),
        (("schema",), 2),
        (("usage", "queries"), -1),
        (("verdict",), None),
    ],
)
def test_what_is_no_run_is_refused(shown: Run, where: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(shown.to_json())
    held: Any = data
    for key in where[:-1]:
        held = held[key]
    held[where[-1]] = value
    assert not validator("run").is_valid(data)
    del held[where[-1]]
    assert not validator("run").is_valid(data), "nothing may be missing"


def test_configurations_of_the_examples_fit_and_mistakes_do_not() -> None:
    check = validator("config")
    files = sorted((ROOT / "examples").rglob("*.yaml"))
    configs = [data for f in files if "dataset" in (data := yaml.safe_load(f.read_text()) or {})]
    assert configs
    for data in configs:
        check.validate(data)
    check.validate({"dataset": {"name": "ml-100k"}, "modules": ["quality"]})
    check.validate({"dataset": {"name": "ml-100k"}, "modules": {"quality": None}})
    for wrong in ({}, {"dataset": {"nam": "x"}}, {"dataset": {"name": "x"}, "seed": -1}, {"dataset": {}, "polcy": "x"}):
        assert not check.is_valid(wrong)
