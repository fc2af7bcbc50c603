"""Findings as JUnit XML, the format in which CI systems show tests: a suite per module, a case per finding.

JUnit knows pass, failure and skip. Only a finding that was held to a limit and cleared it is a pass; what is open, was
measured without a limit, or could not be tested is skipped with its reason, so that it never counts as passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET  # written, never read: nothing foreign is parsed

from audit.findings import Finding, Verdict
from audit.report import words
from audit.report.plain import figures, label, opened_by, plain

if TYPE_CHECKING:
    from audit.run import Run

_SKIPPED: dict[Verdict | None, str] = {
    "inconclusive": "open",
    "waived": "waived",
    "not_applicable": "not testable",
    None: "measured, and no rule of the policy speaks of it",
}


def render(runs: Sequence[Run]) -> str:
    """One document over the runs."""
    root = ET.Element("testsuites", name="RecAudit")
    suites = [suite for run in runs for suite in _suites(run, several=len(runs) > 1)]
    root.extend(suites)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    root.set("time", f"{sum(run.usage.seconds for run in runs):.3f}")
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suites(run: Run, *, several: bool) -> list[ET.Element]:
    prefix = f"{plain(run.name)} {plain(run.id)}: " if several else ""
    suites = []
    if missing := run.gate().missing:
        cases = [_required(module) for module in missing]
        suites.append(_suite(run, f"{prefix}policy", cases))
    for module in dict.fromkeys(f.module for f in run.findings):
        cases = [_case(run, f) for f in run.findings if f.module == module]
        suites.append(_suite(run, prefix + plain(module), cases))
    return suites


def _suite(run: Run, name: str, cases: Sequence[ET.Element]) -> ET.Element:
    counted = {kind: sum(case.find(kind) is not None for case in cases) for kind in ("failure", "skipped")}
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(counted["failure"]),
        errors="0",
        skipped=str(counted["skipped"]),
        timestamp=run.record.created[:19],
    )
    known = {
        "run": run.id,
        "target": run.record.target.get("name"),
        "policy": run.policy.name,
        "seed": run.record.seed,
        "recaudit": run.record.versions.get("recaudit"),
    }
    properties = ET.SubElement(suite, "properties")
    for key, value in known.items():
        if value is not None:
            ET.SubElement(properties, "property", name=key, value=plain(value))
    suite.extend(cases)
    return suite


def _case(run: Run, finding: Finding) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"recaudit.{plain(finding.module)}.{plain(finding.metric)}",
        # Titles repeat; the label is the identity.
        name=f"{plain(finding.title)} · {label(finding)}",
    )
    reason = plain(finding.reason)
    body = "\n".join(_body(run, finding))
    if finding.verdict == "fail" or (finding.verdict == "inconclusive" and run.policy.certainty):
        undecided = "" if finding.verdict == "fail" else "open, and the policy asks for certainty: "
        failure = ET.SubElement(case, "failure", type=finding.severity, message=f"{undecided}{reason}")
        failure.text = body
    elif finding.verdict == "pass":
        ET.SubElement(case, "system-out").text = body
    elif finding.waiver is not None:
        waiver = finding.waiver
        said = f"waived by {plain(waiver.owner)} until {plain(waiver.expires)}: {plain(waiver.reason)}"
        skipped = ET.SubElement(case, "skipped", type="waived", message=said)
        skipped.text = f"{reason}\n{body}"
    else:
        kind = _SKIPPED[finding.verdict]
        skipped = ET.SubElement(case, "skipped", type=kind, message=f"{kind}: {reason}" if reason else kind)
        skipped.text = body
    return case


def _body(run: Run, finding: Finding) -> list[str]:
    lines = [figures(finding, run.policy), plain(finding.note), plain(words.meaning(finding))]
    if finding.controls:
        lines.append("bears on " + ", ".join(plain(words.control(tag)) for tag in finding.controls))
    return [line for line in (*lines, *opened_by(run, finding)) if line]


def _required(module: str) -> ET.Element:
    case = ET.Element("testcase", classname="recaudit.policy.require", name=f"{plain(module)} is tested")
    message = f"the policy requires the module {plain(module)}, and the run did not test it"
    ET.SubElement(case, "failure", type="required", message=message).text = message
    return case
