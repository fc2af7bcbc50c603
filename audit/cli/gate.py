"""What `recaudit gate` prints: what stops the run, what is waived, and control by control what bears on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.cli.show import STYLES, WORDS, named
from audit.cli.terminal import cell, console, put, table
from audit.text import count, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.findings import Finding
    from audit.policy import ControlResult, Gate, Policy

_MOST = 4
"""Findings named in one row of the table of controls; the report holds all."""


def print_gate(policy: Policy, outcome: Gate, judged: Sequence[Finding]) -> None:
    """The outcome as text, on standard output."""
    for need in outcome.missing:
        what = "check" if "." in need else "module"
        put(f"fail: require: {visible(need)}: the policy requires this {what}, and the run did not test it")
    for finding in outcome.failed:
        put(f"fail: {finding.severity}: {named(finding)}: {finding.reason}")
    for finding in outcome.open:
        put(f"open: {named(finding)}: {finding.reason}")
    for finding in outcome.waived:
        put(f"waived: {named(finding)}: {finding.reason}")
    for waiver in outcome.expired:
        put(f"waiver expired: {waiver}: by {waiver.owner}, ended on {waiver.expires}; renew it or mend what fails")
    for waiver in outcome.idle:
        put(f"waiver without use: {waiver}: by {waiver.owner}; it fits nothing that would stop the gate, so remove it")
    _controls(policy, judged)
    word = WORDS.get(outcome.verdict, outcome.verdict)
    certainty = "; the policy asks for certainty" if outcome.exit_code == 4 else ""
    waived = f", {len(outcome.waived)} waived" if outcome.waived else ""
    put(
        f"{word}: {len(outcome.failed)} failed, {len(outcome.open)} open{waived} under the policy "
        f"{policy.name!r}{certainty}"
    )


def as_json(run: str, policy: Policy, outcome: Gate, judged: Sequence[Finding]) -> dict[str, Any]:
    """The outcome as JSON-compatible data."""
    from audit.policy import assess

    return {
        "run": run,
        "policy": policy.name,
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
        "missing": list(outcome.missing),
        "failed": [finding.to_dict() for finding in outcome.failed],
        "open": [finding.to_dict() for finding in outcome.open],
        "waived": [finding.to_dict() for finding in outcome.waived],
        "expired_waivers": [waiver.model_dump(mode="json") for waiver in outcome.expired],
        "unused_waivers": [waiver.model_dump(mode="json") for waiver in outcome.idle],
        "controls": [result.to_dict() for result in assess(policy, judged)],
    }


def _controls(policy: Policy, judged: Sequence[Finding]) -> None:
    from audit.policy import assess
    from audit.report.compliance import STATES

    results = assess(policy, judged)
    for framework in policy.frameworks:
        ours = [result for result in results if result.framework is framework]
        rows = table("control", "state", "what bears on it")
        for result in ours:
            mark = " [recalled]" if result.control.recalled else ""
            rows.add_row(
                cell(f"{result.control.id}{mark}\n{result.control.title}"),
                cell(STATES[result.state], STYLES.get(result.state, "dim")),
                cell(_bearing(result)),
            )
            rows.add_section()
        rows.columns[1].no_wrap = True
        put("")
        put(f"{visible(framework.title)} ({visible(framework.edition)}): evidence that bears on each control")
        console().print(rows)
        put(_footnote(ours))
        put("")


def _bearing(result: ControlResult) -> str:
    if result.state == "not_tested":
        return result.why
    lines = [f"{WORDS.get(f.verdict, f.verdict)}: {named(f)}" for f in result.findings[:_MOST]]
    if len(result.findings) > _MOST:
        lines.append(f"and {count(len(result.findings) - _MOST, 'further finding')} with a verdict")
    if result.measured:
        lines.append(f"{count(len(result.measured), 'finding')} measured without a limit")
    if result.untested:
        lines.append(f"not tested: {' '.join(result.untested)}")
    return "\n".join(lines)


def _footnote(results: Sequence[ControlResult]) -> str:
    text = "This is evidence, not a judgement of compliance; what else each control needs is in the report."
    if any(result.control.recalled for result in results):
        text += " [recalled]: number and title are from memory; check them against the published text."
    return text
