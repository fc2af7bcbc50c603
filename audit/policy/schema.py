"""The JSON Schema of a policy file, for editors that complete and check YAML."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel

from audit import registry
from audit.policy.framework import Bearing, Control, Framework
from audit.policy.load import PolicyFile, known_metrics, packs
from audit.policy.rule import Rule
from audit.policy.selector import Requirement
from audit.policy.waiver import Waiver

ID = "https://github.com/recaudit/recaudit/blob/main/audit/schemas/policy.schema.json"


def policy_schema() -> dict[str, Any]:
    """The schema (draft 2020-12), made from the model that reads policies, so that the two cannot disagree.

    Names that are known here (metrics, modules, packs, attacks) are offered for completion; others are allowed, because
    a plugin of yours may bring them. Whether they exist is checked when the policy is read.
    """
    schema = PolicyFile.model_json_schema()
    definitions = schema["$defs"]
    _described(PolicyFile, schema)
    for model in (Rule, Waiver, Requirement, Framework, Control, Bearing):
        _described(model, definitions[model.__name__])
    metrics = sorted(known_metrics())
    modules = sorted(registry.available("modules"))
    for name in ("Rule", "Waiver"):
        definitions[name]["properties"]["metric"] |= _offered(metrics, r"^[a-z0-9_]+\.[a-z0-9_]+$")
    definitions["Bearing"]["properties"]["metric"] |= _offered(
        [*metrics, *(f"{module}.*" for module in modules)], r"^[a-z0-9_]+\.([a-z0-9_]+|\*)$"
    )
    for name in ("Rule", "Waiver", "Requirement", "Bearing"):
        definitions[name]["properties"]["where"]["properties"] = {
            "attack": {"anyOf": [{"enum": sorted(registry.available("attacks"))}, {"type": ["string", "null"]}]}
        }
    del definitions["Rule"]["properties"]["pack"]  # set when several policies are taken together
    definitions["Rule"]["oneOf"] = [{"required": ["max"]}, {"required": ["min"]}]
    schema["properties"]["extends"] |= {"anyOf": [{"enum": packs()}, {"type": "string"}]}
    schema["properties"]["without"]["items"] = _offered(metrics, r"^[a-z0-9_]+\.[a-z0-9_]+$")
    schema["properties"]["require"]["items"] = {
        "anyOf": [{"enum": [*modules, *metrics]}, {"type": "string"}, {"$ref": "#/$defs/Requirement"}]
    }
    definitions["Requirement"]["properties"]["metric"] |= _offered([*modules, *metrics], r"^[a-z0-9_]+(\.[a-z0-9_]+)?$")
    schema["anyOf"] = [{"required": ["rules"]}, {"required": ["extends"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        **schema,
        "title": "RecAudit policy",
    }


def _offered(names: list[str], pattern: str) -> dict[str, Any]:
    return {"anyOf": [{"enum": names}, {"type": "string", "pattern": pattern}]}


def _described(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Descriptions from the docstrings, which say each thing once; those of inherited fields from where they are."""
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            text, _, listed = (inspect.getdoc(base) or "").partition("Attributes:")
            said |= {name: " ".join(words.split()) for name, words in _FIELD.findall(f"{listed}\n")}
    schema["description"] = " ".join(text.split())
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if name in said:
            field["description"] = said[name][0].upper() + said[name][1:]


_FIELD = re.compile(r"^    (\w+): (.*\n(?:     .*\n?)*)", re.M)
"""A field in a docstring's list, with the lines that go on further in."""
