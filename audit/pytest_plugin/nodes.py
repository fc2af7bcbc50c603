"""What pytest collects of an audit: its modules, and in each the findings that a rule judges.

Where the run is there, every judged finding is a test: `audit.yaml::robustness::flip_rate[attack=typos]`. A finding
that could not be tested is one, too, and so is a rule that no finding fits: both are skipped and say why, because what
was not tested must not read as passed. Where pytest only lists (`--collect-only`), the target is not asked, and nobody
knows yet which findings there will be: each rule stands for its own, under the same module and metric. So
`audit.yaml::robustness::flip_rate` selects the same tests either way, as it does for a parametrised function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from audit.findings import Finding
from audit.pytest_plugin.bench import AuditStopped, Bench
from audit.testing import explain, limit_of
from audit.text import one_line

if TYPE_CHECKING:
    from audit.policy import Policy, Rule
    from audit.run import Run

REQUIRED = "require"
"""The node under which required modules and checks stand."""


class Failed(Exception):
    """A finding that fails, told for a person."""


class Inconclusive(Exception):
    """A finding that is open."""


class AuditItem(pytest.Item):
    """One test: it does what `judge` does."""

    def __init__(
        self,
        *,
        judge: Callable[[], None],
        properties: Mapping[str, object] | None = None,
        **kwargs: Any,  # noqa: ANN401 - pytest's own
    ) -> None:
        super().__init__(**kwargs)
        self._judge = judge
        self.user_properties += [(name, str(value)) for name, value in (properties or {}).items()]

    def runtest(self) -> None:
        """Pass, fail, skip, or fail as expected."""
        self._judge()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401 - pytest's
        """The message alone: where the plugin raised it is of no interest."""
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where pytest says that the test lies."""
        return self.path, None, self.name


class Module(pytest.Collector):
    """One module of an audit."""

    def __init__(self, *, items: Iterable[tuple[str, dict[str, Any]]], **kwargs: Any) -> None:  # noqa: ANN401 - pytest's
        super().__init__(**kwargs)
        self._items = list(items)

    def collect(self) -> Iterator[pytest.Item]:
        """Its tests, in the order of the policy; a name that comes twice gets a number."""
        seen: Counter[str] = Counter()
        for name, fields in self._items:
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
            yield AuditItem.from_parent(self, name=unique, **fields)


class AuditFile(pytest.File):
    """An `audit.yaml`."""

    def __init__(self, *, bench: Bench, **kwargs: Any) -> None:  # noqa: ANN401 - pytest's own
        super().__init__(**kwargs)
        self._bench = bench

    def collect(self) -> Iterator[pytest.Collector]:
        """One node for each module, what is required first."""
        path = self.path.resolve()
        hindered = self.session.testsfailed and not self.config.getoption("continue_on_collection_errors")
        if (self._bench.collects_only or hindered) and not self._bench.has_run(path):
            found = _rules(self._bench.audits[path].policy)
        else:
            try:
                run = self._bench.run_of(path)
            except AuditStopped as stopped:
                raise self.CollectError(str(stopped)) from None
            strict = bool(self.config.getoption("recaudit_strict"))
            found = _findings(run, self._bench.policy_of(path, run), strict=strict)
        grouped: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for module, name, fields in found:
            grouped.setdefault(module, []).append((name, fields))
        for module, items in grouped.items():
            yield Module.from_parent(self, name=module, items=items)


Test = tuple[str, str, dict[str, Any]]
"""Module, name, and what makes the item."""


def _rules(policy: Policy) -> Iterator[Test]:
    """The tests of a policy before anything was asked."""

    def unknown() -> None:
        pytest.skip("the audit has not run")

    for need in policy.require:
        yield REQUIRED, one_line(str(need)), {"judge": unknown}
    for rule in policy.rules:
        yield *_named(rule.metric, rule.where), {"judge": unknown}


def _findings(run: Run, policy: Policy, *, strict: bool) -> Iterator[Test]:
    """The tests of a run: rule by rule, and for each its findings in the order of the run."""
    judged = policy.judge(run.measured)
    missing = set(run.gate(policy).missing)
    for need in map(str, policy.require):
        yield REQUIRED, one_line(need), {"judge": _requirement(run, need, missing=need in missing)}
    groups: dict[int, list[Finding]] = {}
    for finding in judged:
        place = next((i for i, rule in enumerate(policy.rules) if _bears(rule, finding)), None)
        if place is not None:
            groups.setdefault(place, []).append(finding)
    ran = {f.module for f in judged}
    for place, rule in enumerate(policy.rules):
        for finding in groups.get(place, ()):
            fails = strict or policy.certainty
            fields = {"judge": _verdict(run, finding, policy, strict=fails), "properties": _properties(run, finding)}
            yield *_named(finding.name, finding.params), fields
        if place not in groups:
            yield *_named(rule.metric, rule.where), {"judge": _unfit(rule, judged, ran)}


def _bears(rule: Rule, finding: Finding) -> bool:
    """Whether a rule judges a finding, or would have, had it been testable: then some of its params are missing."""
    if finding.verdict != "not_applicable":
        return finding.verdict is not None and rule.fits(finding)
    return finding.name == rule.metric and all(finding.params.get(k, v) == v for k, v in rule.where.items())


def _named(metric: str, params: Mapping[str, object]) -> tuple[str, str]:
    """Module and name of a test. A `::` inside would end the name for pytest."""
    module, _, name = metric.partition(".")
    shown = ",".join(f"{k}={v}" for k, v in sorted(params.items()) if v is not None)
    return module, one_line(f"{name}[{shown}]" if shown else name).replace("::", ":")


def _requirement(run: Run, need: str, *, missing: bool) -> Callable[[], None]:
    def judge() -> None:
        if missing:
            raise Failed(f"the policy requires {need}, and run {run.id} did not test it")

    return judge


def _unfit(rule: Rule, judged: list[Finding], ran: set[str]) -> Callable[[], None]:
    module = rule.metric.partition(".")[0]
    same = any(f.name == rule.metric for f in judged)

    def judge() -> None:
        if module not in ran:
            pytest.skip(f"the module {module} did not run")
        if same:
            pytest.skip(
                f"no finding of {rule.metric} is left for this rule: an earlier one judges them, or none fits it"
            )
        pytest.skip(f"{rule.metric} was not measured")

    return judge


def _verdict(run: Run, finding: Finding, policy: Policy, *, strict: bool) -> Callable[[], None]:
    def judge() -> None:
        if finding.verdict == "not_applicable":
            pytest.skip(one_line(finding.reason))
        if finding.verdict == "waived":
            # With --runxfail this does nothing, and the failure shows.
            pytest.xfail(one_line(finding.reason))
        if finding.verdict == "inconclusive" and not strict:
            raise Inconclusive(one_line(finding.reason))
        if finding.verdict != "pass":
            raise Failed(explain(run, finding, limit=limit_of(policy, finding)))

    return judge


def _properties(run: Run, finding: Finding) -> dict[str, object]:
    """What JUnit XML keeps of a finding."""
    found: dict[str, object] = {"recaudit.run": run.id, "metric": finding.name, "verdict": finding.verdict}
    numbers = {
        "estimate": finding.estimate,
        "ci": None if finding.ci is None else f"[{finding.ci[0]:.6g}, {finding.ci[1]:.6g}]",
        "level": finding.level if finding.ci is not None else None,
        "floor": finding.floor,
        "effect": finding.effect,
        "threshold": finding.threshold,
    }
    found |= {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in numbers.items() if v is not None}
    found |= {"n": finding.n, "unit": finding.unit, "severity": finding.severity}
    if finding.evidence:
        found["evidence"] = " ".join(finding.evidence[:20])
    return found
