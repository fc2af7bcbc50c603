"""One limit, and the verdict that it gives a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import model_validator

from audit import stats
from audit.findings import Finding, Severity, Verdict
from audit.policy.selector import Selector

MIN_UNITS = 20
"""Units below which a bootstrap interval carries no verdict: at 20 its error is 7 instead of 5 %, at 10 it is 11."""


class Rule(Selector):
    """One limit.

    Attributes:
        metric: `module.metric`.
        where: params a finding must have for the rule to fit.
        max: the largest acceptable value.
        min: the smallest acceptable value.
        value: what is held to the limit: the estimate, or the effect above the noise floor (findings without a floor
            do not fit such a rule).
        by: what has to clear the limit. `interval`: the whole interval, so a finding that holds the limit is open.
            `estimate`: the point estimate. `low` or `high`: that bound of the interval, and nothing is left open. With
            `max:`, `high` puts the burden of proof on the target (what is not shown to hold fails), `low` on the audit
            (what is not shown to break passes).
        conditions: which verdicts a finding's unmet conditions (`Finding.unmet`) keep open: `fail` alone, or `both`,
            for metrics whose pass is a claim that rests on the conditions too.
        severity: of a failure.
        controls: tags of control frameworks with their edition.
        why: what a failure means for users.
        pack: which of several policies the rule is from; empty where there is only one. Each policy gives its verdict,
            and the worst counts.
    """

    max: float | None = None
    min: float | None = None
    value: Literal["estimate", "effect"] = "estimate"
    by: Literal["interval", "estimate", "low", "high"] = "interval"
    conditions: Literal["fail", "both"] = "fail"
    severity: Severity = "medium"
    controls: tuple[str, ...] = ()
    why: str = ""
    pack: str = ""

    @model_validator(mode="after")
    def _one_limit(self) -> Rule:
        if (self.max is None) == (self.min is None):
            raise ValueError(f"{self.metric}: give either max: or min:, not both and not neither")
        return self

    def fits(self, finding: Finding) -> bool:
        """Whether this rule judges that finding."""
        return super().fits(finding) and (self.value == "estimate" or finding.effect is not None)

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
        if self.by in {"low", "high"}:
            low, high = (low, low) if self.by == "low" else (high, high)
        passed = high <= limit if self.max is not None else low > limit
        failed = low > limit if self.max is not None else high <= limit
        method = finding.effect_ci_method if effect else finding.ci_method
        weak = _weakness(method, finding.n) if self.by != "estimate" else ""
        verdict: Verdict = "inconclusive" if weak or not (passed or failed) else "pass" if passed else "fail"
        held_back = bool(finding.unmet) and (verdict == "fail" or (verdict == "pass" and self.conditions == "both"))
        words = f"lies beyond the limit {limit:g}; {_HELD_BACK}"
        if held_back and verdict == "pass":
            words = f"lies within the limit {limit:g}; it does not pass, because"
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
                f"{'the effect' if effect else 'the value'}, {estimate:.3g} "
                f"[{interval[0]:.3g}, {interval[1]:.3g}], {words} "
                f"{'; '.join(finding.unmet)}"
                if held_back
                else self._reason(verdict, estimate, interval, limit, finding, n_more)
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
        elif self.by in {"low", "high"}:
            bound = interval[0] if self.by == "low" else interval[1]
            end = "lower" if self.by == "low" else "upper"
            text = (
                f"{what} is {estimate:.3g}; the {end} bound of its {finding.level:.0%} interval {span}, {bound:.3g}, "
                f"is {'within' if verdict == 'pass' else 'beyond'} the limit ({held}), and the rule asks for that bound"
            )
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


def held_back(finding: Finding) -> bool:
    """Whether a judged finding lies beyond its limit and is open only for what is unmet: a signal, not a finding.

    Open findings within reach of their limit have unmet conditions, too; those are not signals of anything.
    """
    return finding.verdict == "inconclusive" and bool(finding.unmet) and _HELD_BACK in finding.reason
