"""The JSON Schemas of what RecAudit writes and reads: a run, and an audit's configuration.

Both are made from the types themselves, with the descriptions of their docstrings, so that neither can disagree with
what is written. The files in `audit/schemas/` are their copies for editors and other programs.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

from pydantic import TypeAdapter

from audit.config import AuditConfig
from audit.findings import Finding, Roc, Waived
from audit.policy.assessment import State
from audit.store import RunRecord, RunUsage

HOME = "https://github.com/recaudit/recaudit/blob/main/audit/schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FIELD = re.compile(r"^    (\w+): (.*\n(?:     .*\n?)*)", re.M)

_ADDED_LATER = {"facts", "roc"}
"""Fields of a finding that are left out where there is nothing to say."""

_OF_A_RUN: dict[str, dict[str, Any]] = {
    "schema": {"const": 1, "description": "Version of this format. Fields may be added without a new one."},
    "outcomes": {
        "type": "object",
        "additionalProperties": {"type": "integer", "minimum": 0},
        "description": "How many answers of the run ended in each outcome: `ok`, `refused`, `unparsable`, `error`.",
    },
    "findings": {
        "type": "array",
        "items": {"$ref": "#/$defs/Finding"},
        "description": "Every finding, with the verdict of the run's own policy, in the order of the modules.",
    },
    "usage": {"$ref": "#/$defs/RunUsage", "description": "What the run has cost."},
    "controls": {
        "type": "array",
        "items": {"$ref": "#/$defs/Control"},
        "description": "Each control of the policy's frameworks with what bears on it. No claim of compliance.",
    },
}

_IDS = {"type": "array", "items": {"type": "string"}}
_CONTROL: dict[str, dict[str, Any]] = {
    "control": {"type": "string", "description": "Framework, edition and number: `owasp-llm:2026:LLM05`."},
    "title": {"type": "string", "description": "In RecAudit's own words."},
    "recalled": {"type": "boolean", "description": "Whether number and title were not checked against the text."},
    "state": {"enum": [*get_args(State)], "description": "The worst verdict of the findings that bear on it."},
    "findings": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "verdict": {"type": "string"}},
            "required": ["id", "verdict"],
        },
        "description": "Findings with a verdict that bear on it, worst first.",
    },
    "measured": {**_IDS, "description": "Ids of findings that bear on it and that no rule judges."},
    "untested": {**_IDS, "description": "What was not tested of what would bear on it, and why."},
    "beyond": {"type": "string", "description": "What an audit from outside cannot see of it."},
}


def run_schema() -> dict[str, Any]:
    """Of what `recaudit report --format json` writes: the object of one run, or a list of several."""
    made = {cls: TypeAdapter(cls).json_schema() for cls in (Finding, RunRecord, RunUsage, Roc, Waived)}
    definitions = {cls.__name__: _described(cls, schema) for cls, schema in made.items() if cls is not RunRecord}
    for schema in definitions.values():
        schema.pop("$defs", None)
    finding = definitions["Finding"]
    finding["properties"] = {
        "id": {
            "type": "string",
            "pattern": "^[0-9a-f]{12}$",
            "description": "Identity across runs: of module, metric and params.",
        },
        **finding["properties"],
    }
    finding["required"] = [name for name in finding["properties"] if name not in _ADDED_LATER]
    finding["properties"]["level"] |= {"exclusiveMinimum": 0, "exclusiveMaximum": 1}
    for name in ("p", "p_adjusted"):
        finding["properties"][name] = {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}],
            "description": finding["properties"][name]["description"],
        }
    record = _described(RunRecord, made[RunRecord])["properties"]
    run = {
        "type": "object",
        "description": "One run.",
        "properties": {
            "schema": _OF_A_RUN["schema"],
            **{name: record[name] for name in _RECORD},
            **{name: _OF_A_RUN[name] for name in ("usage", "outcomes")},
            "verdict": {
                "enum": ["fail", "inconclusive", "waived", "pass", "not_applicable"],
                "description": "Of the whole run: the worst of its findings, or `fail` where something that the "
                "policy requires was not tested.",
            },
            "controls": _OF_A_RUN["controls"],
            "findings": _OF_A_RUN["findings"],
        },
    }
    run["required"] = list(run["properties"])
    definitions["Control"] = {
        "type": "object",
        "description": "One control of a framework.",
        "properties": _CONTROL,
        "required": list(_CONTROL),
    }
    # Of both everything is written, so that nobody has to know a default.
    definitions["RunUsage"]["required"] = list(RunUsage().to_dict())
    definitions["RunUsage"]["properties"] = {
        name: {**definitions["RunUsage"]["properties"][name], "minimum": 0} for name in RunUsage().to_dict()
    }
    return {
        "$schema": DRAFT,
        "$id": f"{HOME}/run.schema.json",
        "title": "RecAudit run, or a list of runs",
        "anyOf": [{"$ref": "#/$defs/Run"}, {"type": "array", "items": {"$ref": "#/$defs/Run"}}],
        "$defs": {"Run": run, **definitions},
    }


_RECORD = ("id", "name", "created", "status", "target", "config", "policy", "versions", "seed", "notes")


def config_schema() -> dict[str, Any]:
    """Of `audit.yaml`. It allows the short forms that reading a configuration allows, too."""
    schema = AuditConfig.model_json_schema()
    modules = schema["properties"]["modules"]
    options = {"type": ["object", "null"], "additionalProperties": True}
    modules["anyOf"] = [
        {"type": "object", "additionalProperties": options},
        {"type": "array", "items": {"type": "string"}},
        {"type": "null"},
    ]
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}).values():
            field.pop("title", None)
    return {"$schema": DRAFT, "$id": f"{HOME}/config.schema.json", **schema, "title": "RecAudit audit.yaml"}


def _described(cls: type, schema: dict[str, Any]) -> dict[str, Any]:
    """Descriptions from the docstring, which says each thing once."""
    text, _, listed = (inspect.getdoc(cls) or "").partition("Attributes:")
    said = {name: " ".join(words.split()) for name, words in _FIELD.findall(f"{listed}\n")}
    schema.pop("title", None)
    schema["description"] = " ".join(text.split())
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field.pop("default", None)
        if name in said:
            field["description"] = said[name][0].upper() + said[name][1:]
    return schema
