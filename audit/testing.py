"""Assertions on a finished run, for tests that a team writes itself.

    def test_typos_cost_little(audit_run):
        assert_passes(audit_run, "robustness.asr", max=0.1, value="effect", attack="typos")

Without a limit a finding is held to the policy of the run. What was not measured fails, and says why: an assertion
about nothing would pass for ever. What is open fails, too, and names the n that would settle it, unless it is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from audit.errors import nearest
from audit.findings import Finding, Param
from audit.text import count, interval, number, one_line, percent

if TYPE_CHECKING:
    from audit.policy import Policy
    from audit.run import Run

MOST_SHOWN = 10
"""Findings that one message tells in full; the others are counted."""

EVIDENCE_SHOWN = 3


def assert_passes(
    run: Run,
    metric: str,
    *,
    max: float | None = None,
    min: float | None = None,
    value: Literal["estimate", "effect"] = "estimate",
    by: Literal["interval", "estimate"] = "interval",
    allow_inconclusive: bool = False,
    where: Mapping[str, Param] | None = None,
    **params: Param,
) -> list[Finding]:
    """Assert that every finding of a metric keeps a limit.

    Args:
        run: a finished run, such as the fixture `audit_run`.
        metric: `module.metric`.
        max: the largest acceptable value. Without `max` and `min` the policy of the run judges.
        min: the value that must be exceeded.
        value: what is held to the limit: the estimate, or the effect above the noise floor.
        by: what must clear it: the whole interval, or the estimate alone.
        allow_inconclusive: whether a finding whose interval holds the limit may stand.
        where: params that a finding must have; for names that are arguments here, such as `metric` and `value`.
        params: the same, shorter: `attack="typos"`.

    Returns:
        The findings that were judged, each with its verdict.

    Raises:
        AssertionError: a finding fails or is open, or there is none, with estimate, interval, floor, n, limit, and how
            to open the evidence.
        ValueError: both `max` and `min`.
    """
    if max is not None and min is not None:
        raise ValueError(f"max: {max:g} and min: {min:g}; give one of them, and assert twice for both")
    chosen = {**(where or {}), **params}
    found = [f for f in run.measured if f.name == metric and all(f.params.get(k) == v for k, v in chosen.items())]
    if not found:
        raise AssertionError(_not_measured(run, metric, chosen))
    if max is None and min is None:
        return _held(run, run.policy.judge(found), f"{metric}{_shown(chosen)}", allow_inconclusive)
    from audit.policy import Policy, Rule

    rule = Rule(metric=metric, max=max, min=min, value=value, by=by)
    if value == "effect" and all(f.effect is None for f in found if f.verdict != "not_applicable"):
        raise AssertionError(f"{metric}{_shown(chosen)} has no noise floor in run {run.id}; use value='estimate'")
    policy = Policy(name="this assertion", rules=(rule,))
    return _held(run, policy.judge(found), f"{metric}{_shown(chosen)}", allow_inconclusive, policy)


def assert_robust(run: Run, *, allow_inconclusive: bool = False, **params: Param) -> list[Finding]:
    """Assert that no finding of the module robustness fails the policy of the run; `attack="typos"` narrows it."""
    return _module(run, "robustness", params, allow_inconclusive)


def assert_fair(run: Run, *, allow_inconclusive: bool = False, **params: Param) -> list[Finding]:
    """Assert that no finding of the module fairness fails the policy of the run; `attribute="gender"` narrows it."""
    return _module(run, "fairness", params, allow_inconclusive)


def assert_no_hallucination(run: Run, *, allow_inconclusive: bool = False, **params: Param) -> list[Finding]:
    """Assert that no finding of the module hallucination fails the policy of the run."""
    return _module(run, "hallucination", params, allow_inconclusive)


def assert_private(run: Run, *, allow_inconclusive: bool = False, **params: Param) -> list[Finding]:
    """Assert that no finding of the module privacy fails the policy of the run."""
    return _module(run, "privacy", params, allow_inconclusive)


def assert_faithful(run: Run, *, allow_inconclusive: bool = False, **params: Param) -> list[Finding]:
    """Assert that no finding of the module explanation fails the policy of the run."""
    return _module(run, "explanation", params, allow_inconclusive)


def explain(run: Run, finding: Finding, *, limit: str = "") -> str:
    """A finding as a failing test tells it: verdict, numbers, limit, reason, and how to open the evidence.

    Args:
        run: that it belongs to.
        finding: with its verdict.
        limit: what it is held to, in words.
    """
    word = {"fail": "fails", "inconclusive": "is inconclusive", "waived": "is waived"}.get(str(finding.verdict), "")
    head = f"{finding.name}{_shown(finding.params)} {word or f'is {finding.verdict}'} in run {run.id}"
    lines = [one_line(head), f"  what      {one_line(finding.title)}"]
    if finding.estimate is not None:
        span = f", {percent(finding.level)} interval {interval(finding.ci)}" if finding.ci is not None else ""
        lines.append(f"  estimate  {number(finding.estimate)}{span}, n = {count(finding.n, finding.unit)}")
    if finding.effect is not None:
        lines.append(
            f"  effect    {number(finding.effect)} {interval(finding.effect_ci)} above a noise floor of "
            f"{number(finding.floor)}"
        )
    if limit:
        lines.append(f"  limit     {one_line(limit)}")
    if finding.reason:
        lines.append(f"  why       {one_line(finding.reason)}")
    if finding.verdict == "inconclusive" and finding.n_to_settle is not None:
        lines.append(f"  settle    about {count(finding.n_to_settle, finding.unit)} would settle it")
    for key in finding.evidence[:EVIDENCE_SHOWN]:
        lines.append(f"  evidence  recaudit show {run.id} --evidence {key} --store {run.store.shown}")
    if (more := len(finding.evidence) - EVIDENCE_SHOWN) > 0:
        lines.append(f"            and {count(more, 'more case')}")
    return "\n".join(lines)


def limit_of(policy: Policy, finding: Finding) -> str:
    """What a policy holds a judged finding to, in words."""
    rule = policy.judged_by(finding)
    if rule is None:
        return ""
    limit = f"at most {rule.max:g}" if rule.max is not None else f"more than {rule.min:g}"
    held = {"interval": "the whole interval", "estimate": "the estimate"}.get(rule.by, f"the {rule.by} bound")
    of = " of the effect" if rule.value == "effect" else ""
    return f"{limit}, by {held}{of} (policy {policy.name!r})"


def _module(run: Run, module: str, params: Mapping[str, Param], allow_inconclusive: bool) -> list[Finding]:
    found = [f for f in run.findings if f.module == module and all(f.params.get(k) == v for k, v in params.items())]
    what = f"{module}{_shown(params)}"
    if not found:
        raise AssertionError(_not_measured(run, module, params))
    return _held(run, found, what, allow_inconclusive)


def _held(
    run: Run, found: Sequence[Finding], what: str, allow_inconclusive: bool, policy: Policy | None = None
) -> list[Finding]:
    judged = [f for f in found if f.verdict not in (None, "not_applicable")]
    if not judged:
        untestable = [f for f in found if f.verdict == "not_applicable"]
        why = one_line(untestable[0].reason) if untestable else f"no rule of the policy {run.policy.name!r} judges it"
        raise AssertionError(f"{what} has no verdict in run {run.id}: {why}")
    bad = {"fail"} if allow_inconclusive else {"fail", "inconclusive"}
    broken = sorted((f for f in judged if f.verdict in bad), key=lambda f: f.verdict != "fail")
    if broken:
        held_to = policy or run.policy
        told = [explain(run, f, limit=limit_of(held_to, f)) for f in broken[:MOST_SHOWN]]
        if (more := len(broken) - MOST_SHOWN) > 0:
            told.append(f"and {count(more, 'more finding')}; see `recaudit show {run.id} --store {run.store.shown}`")
        raise AssertionError("\n".join(told))
    return judged


def _not_measured(run: Run, name: str, params: Mapping[str, Param]) -> str:
    """Why there is nothing to assert on."""
    module, _, metric = name.partition(".")
    head = f"{name}{_shown(params)} was not measured in run {run.id}"
    modules = {f.module for f in run.measured}
    if module not in modules:
        return f"{head}: the module {module} did not run; {nearest(module, modules)}"
    metrics = {f.name for f in run.measured if f.module == module}
    if metric and name not in metrics:
        return f"{head}; {nearest(name, metrics)}"
    having = [f for f in run.measured if f.module == module and (not metric or f.name == name)]
    for key, wanted in params.items():
        known = sorted({str(f.params[key]) for f in having if key in f.params})
        if str(wanted) not in known:
            offered = nearest(str(wanted), known) if known else f"no such finding has {key!r}"
            return one_line(f"{head}: {key}={wanted}: {offered}")
    return f"{head}: no finding has all of these together"


def _shown(params: Mapping[str, Param]) -> str:
    listed = ", ".join(f"{k}={v}" for k, v in sorted(params.items()) if v is not None)
    return f" ({listed})" if listed else ""
