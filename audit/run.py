"""A run as stored: its findings with their verdicts, what it cost, and the evidence behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from audit.errors import ConfigError
from audit.findings import Evidence, Finding, Verdict
from audit.policy import Gate, Policy, assess, gate
from audit.store import RunRecord, RunUsage, Store

SCHEMA = 1


@dataclass(frozen=True)
class Run:
    """One run, read from its store.

    Attributes:
        record: name, configuration, target, versions.
        store: where it lies.
    """

    record: RunRecord
    store: Store

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.id

    @property
    def name(self) -> str:
        """The name from the configuration."""
        return self.record.name

    @cached_property
    def policy(self) -> Policy:
        """The policy as it was when the run was made."""
        return Policy.model_validate(dict(self.record.policy))

    @cached_property
    def measured(self) -> list[Finding]:
        """What the modules found, before any policy judged it."""
        return self.store.findings(self.id)

    @cached_property
    def findings(self) -> list[Finding]:
        """All findings, each with the verdict of the run's own policy."""
        return self.policy.judge(self.measured)

    @property
    def verdict(self) -> Verdict:
        """Of the whole run: the worst of its findings, or `fail` where a required module is missing."""
        return self.gate().verdict

    @cached_property
    def usage(self) -> RunUsage:
        """What the run cost."""
        return self.store.usage(self.id)

    def gate(self, policy: Policy | None = None) -> Gate:
        """Hold the run to its own policy, or to another."""
        if policy is None:
            return gate(self.policy, self.findings)
        return gate(policy, policy.judge(self.measured))

    def evidence(self, ids: Sequence[str] | None = None) -> Mapping[str, Evidence]:
        """Evidence by id."""
        return self.store.evidence(self.id, ids)

    def to_json(self) -> dict[str, Any]:
        """The run as JSON-compatible data. `findings` depends on the audit alone, not on when or how often it ran."""
        return {
            "schema": SCHEMA,
            "id": self.id,
            "name": self.name,
            "created": self.record.created,
            "status": self.record.status,
            "target": dict(self.record.target),
            # Without the folder it was read from: a report is made to be passed on.
            "config": {key: value for key, value in self.record.config.items() if key != "base"},
            "policy": dict(self.record.policy),
            "versions": dict(self.record.versions),
            "seed": self.record.seed,
            "notes": list(self.record.notes),
            "usage": self.usage.to_dict(),
            "outcomes": self.store.outcomes(self.id),
            "verdict": self.verdict,
            "controls": [result.to_dict() for result in assess(self.policy, self.findings)],
            "findings": [f.to_dict() for f in self.findings],
        }

    def save(self, path: str | Path) -> Path:
        """Write a report; the ending tells the format: `.html`, `.md`, `.json`, `.sarif` or `.xml` (JUnit).

        Raises:
            ConfigError: another ending, or a folder that cannot be written.
        """
        target = Path(path)
        from audit.report import kind_of, render

        kind = kind_of(target, "report")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(render([self], kind), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"report: cannot write {target}: {error.strerror}") from error
        return target


def as_json(run: Run) -> str:
    """`Run.to_json` as text, for files and pipes."""
    return json.dumps(run.to_json(), ensure_ascii=False, indent=2, sort_keys=False) + "\n"
