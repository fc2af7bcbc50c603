"""Findings as SARIF 2.1.0 (OASIS, errata 01), the format of code scanning.

A rule is a metric; a result is a finding. What is undecided has the kind `open`, which the standard keeps for exactly
that, and only a failure has a level. GitHub shows every result as an alert, whatever its kind, so for an upload there
`only_failures` leaves out the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.findings import SEVERITIES, Finding, Severity, Verdict, Waived
from audit.policy import Policy, by_severity
from audit.report import source as source_file
from audit.report import words
from audit.report.plain import figures, label, opened_by, params, plain, sentences
from audit.report.source import Source
from audit.text import clip, count, json_safe
from audit.text import markdown as md

if TYPE_CHECKING:
    from audit.run import Run

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS, MOST_TAGS, LONGEST = 25_000, 10, 1000
"""Limits of GitHub code scanning: results of a run, tags of a rule that are shown, characters of a description."""

_HOME = "https://github.com/recaudit/recaudit"
_LEVELS: dict[Severity, str] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "note",
}
_KINDS: dict[Verdict | None, str] = {
    "fail": "fail",
    "inconclusive": "open",
    "waived": "fail",
    "pass": "pass",
    None: "informational",
    "not_applicable": "notApplicable",
}
_OF_SECURITY = {"robustness", "privacy"}
REQUIRED = "policy.require"
"""Rule of a module that the policy requires and the run did not test."""


def render(runs: Sequence[Run], *, source: Path | None = None, only_failures: bool = False) -> str:
    """One log with one SARIF run per run.

    Args:
        runs: at least one.
        source: the configuration as the repository knows it; None for `audit.yaml`.
        only_failures: whether to leave out what did not fail.
    """
    place = source_file.read(source)
    names: dict[str, int] = {}
    logged = []
    for run in runs:
        # An upload replaces what was uploaded before under the same category, so every run needs its own.
        names[run.name] = names.get(run.name, 0) + 1
        suffix = f"-{names[run.name]}" if names[run.name] > 1 else ""
        logged.append(_run(run, place, f"recaudit/{plain(run.name)}{suffix}/{run.id}", only_failures))
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": logged}
    return json_safe(json.dumps(log, ensure_ascii=False, indent=2)) + "\n"


@dataclass(frozen=True)
class _Taxonomies:
    """The controls that the findings of a run bear on, by framework and edition."""

    components: Mapping[str, list[str]]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> _Taxonomies:
        components: dict[str, list[str]] = {}
        for framework, clause in sorted({pair for f in findings for pair in _tags(f)}):
            components.setdefault(framework, []).append(clause)
        return cls(components)

    def reference(self, framework: str, clause: str) -> dict[str, Any]:
        place = list(self.components).index(framework)
        return {
            "id": clause,
            "index": self.components[framework].index(clause),
            "toolComponent": {"name": framework, "index": place},
        }

    def to_sarif(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "isComprehensive": False,
                "shortDescription": {
                    "text": _said(f"Controls of {name} that findings bear on. A tag is no claim of compliance.")
                },
                "taxa": [{"id": clause} for clause in clauses],
            }
            for name, clauses in self.components.items()
        ]


def _tags(finding: Finding) -> tuple[tuple[str, str], ...]:
    """Framework and clause of each control, each once."""
    return tuple(dict.fromkeys(map(_split, finding.controls)))


def _split(tag: str) -> tuple[str, str]:
    """`owasp-llm:2026:LLM07` as `owasp-llm:2026` and `LLM07`."""
    framework, colon, clause = plain(tag).rpartition(":")
    return (framework, clause) if colon and framework and clause else ("controls", plain(tag))


def _run(run: Run, place: Source, category: str, only_failures: bool) -> dict[str, Any]:
    from audit import __version__

    findings = [f for f in by_severity(run.findings) if f.verdict == "fail" or not only_failures]
    missing = run.gate().missing
    room = MOST_RESULTS - len(missing)
    left_out, findings = max(len(findings) - room, 0), findings[:room]
    taxonomies = _Taxonomies.of(findings)
    rules = {
        name: i for i, name in enumerate(sorted({*(plain(f.name) for f in findings), *([REQUIRED] * bool(missing))}))
    }
    record = run.record
    version = str(record.versions.get("recaudit", __version__))
    artifact = {"uri": place.uri, "uriBaseId": "%SRCROOT%", "index": 0}
    described = {
        name: _rule(name, [f for f in findings if plain(f.name) == name], run.policy, taxonomies) for name in rules
    }
    results = [_required(module, rules, artifact, place) for module in missing]
    results += [_result(run, f, rules, artifact, place, taxonomies) for f in findings]
    logged: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "RecAudit",
                "version": version,
                "semanticVersion": version,
                "informationUri": _HOME,
                "supportedTaxonomies": [{"name": name, "index": i} for i, name in enumerate(taxonomies.components)],
                "rules": list(described.values()),
            }
        },
        "automationDetails": {"id": category, "description": {"text": _said(f"Audit of {record.target.get('name')}")}},
        "invocations": [_invocation(run, left_out)],
        "artifacts": [{"location": {k: artifact[k] for k in ("uri", "uriBaseId")}, "roles": ["analysisTarget"]}],
        "taxonomies": taxonomies.to_sarif(),
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {
            "runId": run.id,
            "verdict": run.verdict,
            "policy": plain(run.policy.name),
            "seed": record.seed,
            "target": plain(record.target.get("name")),
            "targetFingerprint": plain(record.target.get("fingerprint") or "") or None,
            "dataset": plain(record.config.get("dataset", {}).get("name") or ""),
            "versions": {plain(k): plain(v) for k, v in record.versions.items()},
        },
    }
    return logged


def _invocation(run: Run, left_out: int) -> dict[str, Any]:
    notes = [*run.record.notes]
    if left_out:
        notes.append(
            f"{count(left_out, 'finding')} left out, the least severe: a run may hold {MOST_RESULTS:,} results"
        )
    began: dict[str, str] = {}
    try:
        moment = datetime.fromisoformat(run.record.created).astimezone(UTC)
        began = {"startTimeUtc": f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"}
    except ValueError:
        pass
    return {
        "executionSuccessful": run.record.status == "finished",
        **began,
        "toolExecutionNotifications": [{"level": "note", "message": {"text": _said(note)}} for note in notes],
    }


def _rule(name: str, findings: Sequence[Finding], policy: Policy, taxonomies: _Taxonomies) -> dict[str, Any]:
    if name == REQUIRED:
        meaning, why, module = "A module that the policy requires was not tested.", "Untested is not passed.", "policy"
        title = "Required module"
    else:
        first = findings[0]
        module = plain(first.module)
        meaning, title = plain(words.meaning(first)), plain(words.short(first.metric))
        why = " ".join(dict.fromkeys(plain(r.why) for r in policy.rules if plain(r.metric) == name and r.why))
    tags = sorted({pair for f in findings for pair in _tags(f)})
    severities = [r.severity for r in policy.rules if plain(r.metric) == name]
    worst = min(severities, key=SEVERITIES.index, default="critical" if name == REQUIRED else "info")
    text = f"{meaning} {why}".strip()
    area = [module, *(["security"] if module in _OF_SECURITY else [])]
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name) if part),
        "shortDescription": {"text": _said(clip(f"{module.capitalize()}: {title}", LONGEST))},
        "fullDescription": {"text": _said(clip(meaning, LONGEST))},
        "help": {"text": _said(clip(text, 4 * LONGEST)), "markdown": _braced(md(clip(text, 4 * LONGEST)))},
        "helpUri": f"{_HOME}/tree/main/docs/reading-a-finding.md",
        "defaultConfiguration": {"level": _LEVELS[worst]},
        "relationships": [{"target": taxonomies.reference(*pair), "kinds": ["relevant"]} for pair in tags],
        # A rule may have 20 tags, of which 10 are shown; all controls stand in `relationships`.
        "properties": {"tags": [*area, *map(":".join, tags)][:MOST_TAGS]},
    }


def _result(
    run: Run,
    finding: Finding,
    rules: Mapping[str, int],
    artifact: Mapping[str, Any],
    place: Source,
    taxonomies: _Taxonomies,
) -> dict[str, Any]:
    waiver = finding.waiver
    kind = _KINDS[finding.verdict if waiver is None else waiver.verdict]
    head = f"{plain(finding.title)}: {words.VERDICT_WORDS[finding.verdict]}"
    message = sentences(head, figures(finding, run.policy), plain(finding.reason), plain(finding.note))
    return {
        "ruleId": plain(finding.name),
        "ruleIndex": rules[plain(finding.name)],
        "kind": kind,
        "level": _LEVELS[finding.severity] if kind == "fail" else "none",
        "message": {"text": _said(clip(message, 4 * LONGEST))},
        "locations": [_location(artifact, place.line(finding.module), finding.metric, label(finding))],
        "partialFingerprints": _fingerprints(finding.id),
        "taxa": [taxonomies.reference(*pair) for pair in _tags(finding)],
        # Present for every result or for none: with any of them, its absence elsewhere would mean "not known".
        "suppressions": [] if waiver is None else [_suppression(waiver)],
        "properties": {
            "verdict": finding.verdict,
            "severity": finding.severity,
            "module": plain(finding.module),
            "metric": plain(finding.metric),
            "params": params(finding),
            "estimate": finding.estimate,
            "ci": list(finding.ci) if finding.ci else None,
            "ciMethod": finding.ci_method,
            "level": finding.level,
            "n": finding.n,
            "unit": plain(finding.unit),
            "floor": finding.floor,
            "effect": finding.effect,
            "effectCi": list(finding.effect_ci) if finding.effect_ci else None,
            "p": finding.p,
            "pAdjusted": finding.p_adjusted,
            "mde": finding.mde,
            "threshold": finding.threshold,
            "nToSettle": finding.n_to_settle,
            "evidence": opened_by(run, finding),
        },
    }


def _suppression(waiver: Waived) -> dict[str, Any]:
    said = f"Waived by {plain(waiver.owner)} until {plain(waiver.expires)}: {plain(waiver.reason)}"
    return {
        "kind": "external",
        "status": "accepted",
        "justification": said,
        "properties": {"owner": plain(waiver.owner), "expires": plain(waiver.expires)},
    }


def _required(module: str, rules: Mapping[str, int], artifact: Mapping[str, Any], place: Source) -> dict[str, Any]:
    return {
        "ruleId": REQUIRED,
        "ruleIndex": rules[REQUIRED],
        "kind": "fail",
        "level": "error",
        "message": {"text": _said(f"The policy requires the module {plain(module)}, and the run did not test it.")},
        "locations": [_location(artifact, place.fallback, module, f"{REQUIRED}[{plain(module)}]")],
        "partialFingerprints": _fingerprints(f"{REQUIRED}:{plain(module)}"),
        "suppressions": [],
    }


def _location(artifact: Mapping[str, Any], line: int, name: str, full: str) -> dict[str, Any]:
    return {
        "physicalLocation": {"artifactLocation": dict(artifact), "region": {"startLine": line}},
        "logicalLocations": [{"name": plain(name), "fullyQualifiedName": full, "kind": "member"}],
    }


def _fingerprints(identity: str) -> dict[str, str]:
    # Many findings share a rule and a line. GitHub tells results apart by `primaryLocationLineHash` and makes one from
    # the line where there is none, which would fold them into one alert.
    return {"recauditFinding/v1": identity, "primaryLocationLineHash": f"{identity}:1"}


def _said(text: str) -> str:
    """A plain-text message: no link and no placeholder can come out of it (§ 3.11.5 and § 3.11.6 of the standard)."""
    return _braced(plain(text).replace("](", "] ("))


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
