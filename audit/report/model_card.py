"""A run as a model card in the form of the Hugging Face Hub (Mitchell et al. 2019): what is measured is filled in.

What only the owner knows, such as the intended use, is left as the Hub's template leaves it. The front matter carries a
`model-index` for ranking quality alone: it has room for a value, not for an interval, a floor or a verdict, and a rate
of failure without them would say less than it seems to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import yaml

from audit.errors import ConfigError
from audit.findings import Finding
from audit.policy import by_severity
from audit.report import facts
from audit.report.markdown_parts import badge, table
from audit.report.plain import params, plain, sentences
from audit.report.view import RunView
from audit.text import count, interval, number
from audit.text import markdown as md

if TYPE_CHECKING:
    from audit.run import Run

LEFT = "[More Information Needed]"
"""What the Hub's template writes where the owner of a model has to."""

_INDEXED = ("hr", "ndcg", "mrr", "auc", "uauc")
_MOST = 40


def render(runs: Sequence[Run]) -> str:
    """The card of one run.

    Raises:
        ConfigError: several runs; a card is of one model.
    """
    if len(runs) != 1:
        raise ConfigError(f"--format model-card: {len(runs)} runs are given, and a card is of one model; name one run")
    run = runs[0]
    front = yaml.safe_dump(_front(run), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(_body(run)) + "\n"


def _front(run: Run) -> dict[str, Any]:
    front: dict[str, Any] = {"tags": ["recommendation", "recaudit"]}
    # The index names datasets as the Hub does; files of the owner have no such name.
    named = run.record.config.get("dataset", {}).get("name")
    if named and (results := [_indexed(f) for f in run.findings if _is_headline(f)]):
        dataset = plain(named)
        front["model-index"] = [
            {
                "name": plain(facts.target(run)),
                "results": [
                    {
                        # The Hub knows no task of recommendation; `other` is its word for what it has no name for.
                        "task": {"type": "other", "name": "Recommendation"},
                        "dataset": {"type": re.sub(r"[^A-Za-z0-9._/-]+", "-", dataset), "name": dataset},
                        "metrics": results,
                    }
                ],
            }
        ]
    return front


def _is_headline(finding: Finding) -> bool:
    return finding.module == "quality" and finding.metric in _INDEXED and finding.estimate is not None


def _indexed(finding: Finding) -> dict[str, Any]:
    assert finding.estimate is not None  # noqa: S101 - for the type checker: `_is_headline` asked
    metric: dict[str, Any] = {
        "type": finding.metric,
        "value": round(finding.estimate, 4),
        "name": plain(finding.title),
        "verified": False,  # the Hub's own word for results of its own service
    }
    if args := {name: value for name, value in finding.params.items() if isinstance(value, int | float)}:
        metric["args"] = args
    return metric


def _body(run: Run) -> list[str]:
    view = RunView(run)
    record = run.record
    failed = [f for f in by_severity(run.findings) if f.verdict == "fail"]
    undecided = [f for f in by_severity(run.findings) if f.verdict in {"inconclusive", "waived"}]
    untested = [f for f in run.findings if f.verdict == "not_applicable"]
    measured = [f for f in run.findings if f.estimate is not None]
    groups = [f for f in measured if f.module == "fairness"]
    rest = [f for f in measured if f.module != "fairness" and _is_telling(f)]
    return [
        f"# Model card for {md(facts.target(run))}",
        f"Figures by RecAudit, run `{run.id}` of {md(facts.date(run))}. They are measured on this target and these "
        "data; nothing here says that the model fits a use.",
        f"## Model details\n\n- **Name:** {md(facts.target(run))}\n"
        f"- **Fingerprint:** {md(record.target.get('fingerprint') or 'the target tells none')}\n"
        f"- **Developed by:** {LEFT}\n- **License:** {LEFT}",
        f"## Uses\n\n### Direct use\n\n{LEFT}\n\n### Out-of-scope use\n\n{LEFT}",
        "## Bias, risks, and limitations",
        "### What failed\n\n"
        + (_limits(failed) or f"Nothing that was held to a limit of the policy {md(run.policy.name)} failed."),
        "### What is not decided\n\n" + (_limits(undecided) or "Nothing that was held to a limit is open."),
        "### What was not tested\n\n" + _untested(run, untested),
        f"### Recommendations\n\n{LEFT}",
        f"## Training details\n\n{LEFT}",
        "## Evaluation",
        f"### Testing data\n\n{md(view.dataset)}{', ' + count(view.users, 'user') if view.users else ''}"
        f"{', ' + md(view.protocol) if view.protocol else ''}." + "".join(f"\n- {md(note)}" for note in record.notes),
        "### Metrics\n\nEvery value stands with its interval; a verdict is given where the policy sets a limit.",
        "### Results\n\n" + (_table(rest) or "No quantity was measured."),
        "### Results by group\n\n" + (_table(groups) or "Not measured: the module fairness did not run."),
        "## Environmental impact\n\n"
        f"The audit itself: {run.usage.queries:,} queries, {run.usage.tokens:,} tokens. Training: {LEFT}",
        f"## Model card authors\n\n{LEFT}",
    ]


def _is_telling(finding: Finding) -> bool:
    """What the policy judges, and the quantities of quality."""
    return finding.verdict is not None or finding.module == "quality"


def _limits(findings: Sequence[Finding]) -> str:
    lines = []
    for f in findings[:_MOST]:
        waiver = f"Waived by {plain(f.waiver.owner)} until {plain(f.waiver.expires)}" if f.waiver else ""
        why = md(sentences(plain(f.reason), waiver))
        lines.append(f"- **{md(f.title)}** ({f.severity}): {number(f.estimate)} {interval(f.ci)}. {why}")
    if len(findings) > _MOST:
        lines.append(f"- and {count(len(findings) - _MOST, 'more finding')} in the report")
    return "\n".join(lines)


def _untested(run: Run, findings: Sequence[Finding]) -> str:
    lines = [f"- {md(name)}: the policy requires it, and it was not tested" for name in run.gate().missing]
    lines += [f"- {md(f.title)}: {md(f.reason)}" for f in findings[:_MOST]]
    if len(findings) > _MOST:
        lines.append(f"- and {count(len(findings) - _MOST, 'more check')} in the report")
    return "\n".join(lines) or "Every check of the modules that ran could be made; other modules were not asked for."


def _table(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = [
        (
            md(f.title),
            md(", ".join(f"{name}={value}" for name, value in params(f).items())),
            f"{number(f.estimate)} {interval(f.ci)}",
            f"{f.n:,} {md(f.unit)}",
            badge(f.verdict),
        )
        for f in by_severity(findings)[:_MOST]
    ]
    made = table(["What", "Under", "Value and interval", "n", "Verdict"], rows)
    more = len(findings) - _MOST
    return made + (f"\n\nand {count(more, 'more quantity', 'more quantities')} in the report" if more > 0 else "")
