"""The privacy audit in Markdown: the same as on the page, in tables."""

from __future__ import annotations

from collections.abc import Sequence

from audit.findings import Finding
from audit.report import words
from audit.report.fairness import Chart
from audit.report.hallucination import Table
from audit.report.markdown_parts import badge, cell, mitigations, table
from audit.report.privacy import PrivacyView
from audit.report.privacy_pledge import Pledge
from audit.text import interval, number, percent
from audit.text import markdown as md


def section(view: PrivacyView) -> list[str]:
    """What was promised, what is proven against it, then members, memory and answers."""
    parts = _pledge(view.pledge) if view.pledge else []
    if view.proven:
        rows = [
            (
                md(one.label),
                f"≥ {one.finding.estimate or 0.0:.2f}",
                "·" if one.ceiling is None else f"{one.ceiling:.2f}",
                "·" if view.claimed is None else f"{view.claimed:.3g}",
                md(one.finding.note),
            )
            for one in view.proven
        ]
        heads = ["Attack", "ε proven", "Most that could be proven", "Promised", "Which says"]
        parts += [table(heads, rows), "Below the promise no violation is seen, which does not show that it holds."]
    if view.bias:
        parts.append(
            "\n".join(f"- **Nothing is concluded on who was trained on:** {md(reason)}" for reason in view.bias)
        )
    parts += _chart(view.members) + _table(view.rates, "While few of the others are accused")
    if view.unresolvable:
        parts.append("\n".join(f"- {md(reason)}" for reason in view.unresolvable))
    parts += _chart(view.prompted) + _table(view.prompted_rates, "At a threshold chosen on other people")
    parts += _chart(view.canaries) + _table(view.canary_table, "Planted secrets against others")
    parts += _table(view.extraction, "Histories") + _chart(view.inference)
    parts += _listed(view.leaks, "Answers") + _listed(view.forgotten, "People who asked to be forgotten")
    return [*parts, *mitigations(view.moved)]


def _pledge(pledge: Pledge) -> list[str]:
    shape = words.VERDICT_SHAPES[pledge.verdict]
    parts = [f"**{shape} What does its training promise?** {md(pledge.answer)}"]
    if pledge.terms:
        parts.append("\n".join(f"- {head}: {md(said)}" for head, said in pledge.terms))
    return parts


def _chart(chart: Chart | None) -> list[str]:
    if chart is None:
        return []
    beside = any(mark.beside is not None for _, marks in chart.marks for mark in marks)
    rows = [
        (
            badge(mark.finding.verdict),
            md(f"{name}: {mark.label}" if name else mark.label),
            f"{number(mark.span[1])} {interval((mark.span[0], mark.span[2]))}",
            "·" if mark.beside is None else number(mark.beside),
        )[: 4 if beside else 3]
        for name, marks in chart.marks
        for mark in marks
    ]
    heads = ["Verdict", "By", "Value", *(["○"] if beside else [])]
    return [f"**{md(chart.title)}** {md(chart.hint)}", table(heads, rows, len(heads) - 2)]


def _table(shown: Table | None, title: str) -> list[str]:
    if shown is None:
        return []
    rows = [(md(name), *map(_value, figures), md(shown.notes.get(name, ""))) for name, figures in shown.lines]
    return [table([title, *(head for head, _ in shown.columns), "Which says"], rows)]


def _listed(findings: Sequence[Finding], title: str) -> list[str]:
    rows = [(md(f.title), badge(f.verdict), _value(f), number(f.floor), f"{f.n:,}", md(f.note)) for f in findings]
    return [table([title, "Verdict", "Value", "Floor", "n", "Which says"], rows)] if rows else []


def _value(finding: Finding | None) -> str:
    """In percent where it is a share."""
    if finding is None or finding.estimate is None or not words.is_rate(finding.metric):
        return cell(finding)
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return f"{percent(finding.estimate)}{ends}"
