"""`recaudit schema`."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from audit.cli.terminal import put


class SchemaOf(StrEnum):
    """What there is a schema of."""

    RUN = "run"
    CONFIG = "config"
    POLICY = "policy"


def schema(
    of: Annotated[SchemaOf, typer.Argument(help="run: what `report --format json` writes; config: audit.yaml.")],
) -> None:
    """Print a JSON Schema (draft 2020-12), for editors and for programs that read runs."""
    from audit.policy.schema import policy_schema
    from audit.report.json_schema import config_schema, run_schema

    made = {SchemaOf.RUN: run_schema, SchemaOf.CONFIG: config_schema, SchemaOf.POLICY: policy_schema}[of]()
    put(json.dumps(made, indent=1, ensure_ascii=False))
