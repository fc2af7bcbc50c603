"""Policies: thresholds that turn findings into verdicts, and verdicts into an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit import registry, stats
from audit.config import read_yaml, sentence
from audit.errors import ConfigError, nearest
from audit.findings import Finding, Param, Severity, Verdict, overall

MIN_UNITS = 20
"""Units below which a bootstrap interval carries no verdict: at 20 its error is 7 instead of 5 %, at 10 it is 11."""


class Rule(BaseModel):
    """One limit.

    Attributes:
        metric: `module.metric`.
        where: params a finding must have for the rule to fit.
        max: the largest acceptable value.
        min: the smallest acceptable value.
        value: what is held to the limit: the estimate, or the effect above the noise floor (findings without a floor
            do not fit such a rule).
        by: `interval` asks the whole interval to clear the limit; `estimate` asks the point estimate only.
        severity: of a failure.
        controls: tags of control frameworks with their edition.
        why: what a failure means for users.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str
    where: dict[str, Param] = {}
    max: float | None = None
    min: float | None = None
    value: Literal["estimate", "effect"] = "estimate"
    by: Literal["interval", "estimate"] = "interval"
    severity: Severity = "medium"
    controls: tuple[str, ...] = ()
    why: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Rule:
        if (self.max is None) == (self.min is None):
            raise ValueError(f"{self.metric}: give either max: or min:, not both and not neither")
        return self

    def fits(self, finding: Finding) -> bool:
        """Whether this rule judges that finding."""
        return (
            finding.name == self.metric
            and all(finding.params.get(name) == value for name, value in self.where.items())
            and (self.value == "estimate" or finding.effect is not None)
        )

    def judge(self, finding: Finding) -> Finding:
        """The finding with its verdict, the reason in words, and for an open question the n that would settle it."""
        effect = self.value == "effect"
        estimate = finding.effect if effect else finding.estimate
        interval = finding.effect_ci if effect else finding.ci
        if estimate is not None and self.by == "estimate":
            interval = (estimate, estimate)
        if estimate is None or interval is None:
            return finding
        limit = self.max if self.max is not None else self.min
        if limit is None:
            return finding
        low, high = interval
        passed = high <= limit if self.max is not None else low > limit
        failed = low > limit if self.max is not None else high <= limit
        method = finding.effect_ci_method if effect else finding.ci_method
        weak = _weakness(method, finding.n) if self.by == "interval" else ""
        verdict: Verdict = "inconclusive" if weak or not (passed or failed) else "pass" if passed else "fail"
        held_back = verdict == "fail" and bool(finding.unmet)
        if held_back:
            verdict = "inconclusive"
        n_more = None
        if weak:
            n_more = max(MIN_UNITS, finding.n + 1)
        elif verdict == "inconclusive" and not held_back:
            found = stats.Interval(estimate, min(low, estimate), max(high, estimate), finding.level, finding.ci_method)
            n_more = stats.n_to_settle(found, finding.n, limit)
        return replace(
            finding,
            verdict=verdict,
            threshold=limit,
            n_to_settle=n_more,
            severity=self.severity,
            controls=tuple(dict.fromkeys((*finding.controls, *self.controls))),
            reason=weak
            or (
                f"{'the effect' if effect else 'the value'}, {estimate:.3g} [{low:.3g}, {high:.3g}], lies beyond the "
                f"limit {limit:g}; {_HELD_BACK} {'; '.join(finding.unmet)}"
                if held_back
                else self._reason(verdict, estimate, (low, high), limit, finding, n_more)
            ),
        )

    def _reason(
        self,
        verdict: Verdict,
        estimate: float,
        interval: tuple[float, float],
        limit: float,
        finding: Finding,
        n_more: int | None,
    ) -> str:
        what = "the effect above the noise floor" if self.value == "effect" else "the value"
        held = f"at most {limit:g}" if self.max is not None else f"more than {limit:g}"
        span = f"[{interval[0]:.3g}, {interval[1]:.3g}]"
        if self.by == "estimate":
            text = f"{what}, {estimate:.3g}, is {'within' if verdict == 'pass' else 'outside'} the limit ({held})"
        elif verdict == "inconclusive":
            text = f"the {finding.level:.0%} interval {span} holds the limit {limit:g}, so neither side is shown"
            if n_more is not None:
                text += f"; about {n_more:,} units would settle it"
        else:
            side = "clears" if verdict == "pass" else "lies beyond"
            text = f"{what} is {estimate:.3g}; its {finding.level:.0%} interval {span} {side} the limit ({held})"
        return f"{text}. {self.why}".strip() if verdict != "pass" and self.why else text


_HELD_BACK = "it is not decided, because"


def _weakness(method: str, n: int) -> str:
    """Why an interval cannot carry a verdict, or nothing if it can."""
    if method == "constant":
        return "no case differed, so the data show no spread and an interval without width; more cases are needed"
    if method in {"bca", "percentile"} and n < MIN_UNITS:
        return f"{n} units are too few for a bootstrap interval to be trusted; at least {MIN_UNITS} are needed"
    return ""


class Policy(BaseModel):
    """A set of rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    certainty: bool = False
    require: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = Field(min_length=1)

    def judge(self, findings: Sequence[Finding]) -> list[Finding]:
        """Give each finding its verdict. What no rule speaks about stays without one; untestable stays untestable."""
        judged = []
        for finding in findings:
            rule = next((r for r in self.rules if r.fits(finding)), None)
            judged.append(finding if rule is None or finding.verdict == "not_applicable" else rule.judge(finding))
        return judged


@dataclass(frozen=True)
class Gate:
    """The outcome of a policy on a run.

    Attributes:
        verdict: of the run.
        exit_code: 0 all pass, 1 something failed, 4 nothing failed but something is open and the policy asks for
            certainty.
        missing: required modules that the run did not test.
        failed: findings that fail, most severe first.
        open: inconclusive findings.
    """

    verdict: Verdict
    exit_code: int
    missing: tuple[str, ...]
    failed: tuple[Finding, ...]
    open: tuple[Finding, ...]


def gate(policy: Policy, findings: Sequence[Finding]) -> Gate:
    """Hold judged findings to the policy as a whole."""
    tested = {f.module for f in findings if f.verdict != "not_applicable"}
    missing = tuple(name for name in policy.require if name not in tested)
    failed = tuple(f for f in by_severity(findings) if f.verdict == "fail")
    unsettled = tuple(f for f in by_severity(findings) if f.verdict == "inconclusive")
    code = 1 if failed or missing else 4 if unsettled and policy.certainty else 0
    verdict: Verdict = "fail" if missing else overall(findings)
    return Gate(verdict, code, missing, failed, unsettled)


def held_back(finding: Finding) -> bool:
    """Whether a judged finding lies beyond its limit and is open only for what is unmet: a signal, not a finding.

    Open findings within reach of their limit have unmet conditions, too; those are not signals of anything.
    """
    return finding.verdict == "inconclusive" and bool(finding.unmet) and _HELD_BACK in finding.reason


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Findings as a reader wants them: failures first, most severe first, then open, passed, measured, untestable."""
    verdicts: list[Verdict | None] = ["fail", "inconclusive", "pass", None, "not_applicable"]
    severities: list[Severity] = ["critical", "high", "medium", "low", "info"]
    return sorted(findings, key=lambda f: (verdicts.index(f.verdict), severities.index(f.severity)))


def packs() -> list[str]:
    """Names of the built-in policies."""
    return sorted(p.name.removesuffix(".yaml") for p in files("audit.policies").iterdir() if p.name.endswith(".yaml"))


def load(name: str, base: Path) -> Policy:
    """A built-in pack by name, or a file.

    Args:
        name: name of a pack, or path of a YAML file.
        base: folder that a relative path starts from.

    Raises:
        ConfigError: no such pack or file, or a mistake in it, such as an unknown metric (with the nearest known).
    """
    builtin = packs()
    if name in builtin:
        path = Path(str(files("audit.policies").joinpath(f"{name}.yaml")))
    elif name.endswith((".yaml", ".yml")) or (base / name).exists():
        path = base / name
    else:
        raise ConfigError(f"policy: {name!r} is neither a built-in policy nor a file; {nearest(name, builtin)}")
    data = read_yaml(path)
    try:
        policy = Policy.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(sentence(error, Policy, path.name)) from error
    known = known_metrics()
    for i, rule in enumerate(policy.rules):
        if rule.metric not in known:
            raise ConfigError(
                f"{path.name}: rules.{i}.metric: {rule.metric!r} is unknown; {nearest(rule.metric, known)}"
            )
    modules = registry.available("modules")
    for module in policy.require:
        if module not in modules:
            raise ConfigError(f"{path.name}: require: {module!r} is not a module; {nearest(module, modules)}")
    return policy


def known_metrics() -> set[str]:
    """Every `module.metric` that an installed module can report."""
    return {
        f"{name}.{metric}"
        for name in registry.available("modules")
        for metric in registry.load("modules", name, where="policy")().info.metrics
    }
