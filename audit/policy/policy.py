"""A policy: rules that judge findings, what must have been tested, and what somebody answers for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from audit.findings import VERDICTS, Finding
from audit.policy.framework import Framework
from audit.policy.rule import Rule
from audit.policy.selector import Requirement
from audit.policy.waiver import Waiver, today


class Policy(BaseModel):
    """A set of rules.

    Attributes:
        name: of the policy; of several taken together, joined by ` + `.
        description: for whom it is.
        certainty: whether an open finding alone makes the gate exit with 4.
        require: modules (`fairness`) and checks (`robustness.flip_rate`, or with `where:`) that must have been tested.
        rules: of each pack, the first that fits a finding judges it.
        waivers: failures that somebody answers for, until a date.
        frameworks: controls, each with the findings that bear on it. They give no verdicts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    certainty: bool = False
    require: tuple[Requirement, ...] = ()
    rules: tuple[Rule, ...] = Field(min_length=1)
    waivers: tuple[Waiver, ...] = ()
    frameworks: tuple[Framework, ...] = ()

    def rules_for(self, finding: Finding) -> list[Rule]:
        """The rules that judge a finding: of each pack the first that fits."""
        first: dict[str, Rule] = {}
        for rule in self.rules:
            if rule.pack not in first and rule.fits(finding):
                first[rule.pack] = rule
        return list(first.values())

    def verdict_on(self, finding: Finding) -> tuple[Finding, Rule | None]:
        """A finding with its verdict before waivers, and the rule that gave it: the worst where packs differ."""
        if finding.verdict == "not_applicable":
            return finding, None
        judged = [(rule.judge(finding), rule) for rule in self.rules_for(finding)]
        if not judged:
            return finding, None
        return min(judged, key=lambda pair: _weight(pair[0]))

    def judge(self, findings: Sequence[Finding], on: date | None = None) -> list[Finding]:
        """Give each finding its verdict. What no rule speaks about stays without one; untestable stays untestable.

        Args:
            findings: as measured.
            on: the day that waivers are held to; default: today. Besides it, verdicts depend on nothing but the
                findings and the policy.
        """
        day = on or today()
        return [self._waived(self.verdict_on(finding)[0], day) for finding in findings]

    def judged_by(self, finding: Finding) -> Rule | None:
        """The rule that a judged finding has its verdict and its limit from; None where no rule speaks about it."""
        rules = self.rules_for(finding)
        if len(rules) < 2:
            return rules[0] if rules else None
        # Judged anew without its verdict, which the rules do not look at.
        return self.verdict_on(replace(finding, verdict=None))[1]

    def stops(self, finding: Finding) -> bool:
        """Whether a finding, judged and not waived, stops the gate."""
        return finding.verdict == "fail" or (finding.verdict == "inconclusive" and self.certainty)

    def waiver_for(self, finding: Finding) -> Waiver | None:
        """The waiver that speaks about a finding; of several the one that holds longest."""
        return max((w for w in self.waivers if w.fits(finding)), key=lambda w: w.expires, default=None)

    def _waived(self, finding: Finding, on: date) -> Finding:
        if not self.stops(finding):
            return finding
        waiver = self.waiver_for(finding)
        return finding if waiver is None else waiver.apply(finding, on)


def _weight(finding: Finding) -> int:
    return VERDICTS.index(finding.verdict) if finding.verdict is not None else len(VERDICTS)
