"""The explanation audit in Markdown: the same as on the page, in tables."""

from __future__ import annotations

from audit.findings import Finding
from audit.report import words
from audit.report.explanation import CURVES, ExplanationView
from audit.report.explanation_words import OPERATORS
from audit.report.markdown_parts import badge, cell, mitigations, table
from audit.text import interval, number, percent
from audit.text import markdown as md


def section(view: ExplanationView) -> list[str]:
    """Which attribution can be believed; then gains, sets, own words, and what each part of a request moves."""
    parts = []
    if view.methods:
        rows = [
            (
                f"{md(line.label)}, {md(line.how)}",
                f"{words.VERDICT_SHAPES[line.verdict]} {line.word}",
                md(line.says),
                *(cell(line.figures.get(metric)) for metric in CURVES),
            )
            for line in view.methods
        ]
        parts.append(table(["Attribution", "Badge", "Why", *map(words.short, CURVES)], rows, len(CURVES)))
    if view.gains:
        gains = [
            (md(f"{name}: {mark.label}"), f"{number(mark.span[1])} {interval((mark.span[0], mark.span[2]))}")
            for name, marks in view.gains.marks
            for mark in marks
        ]
        parts += [f"**{md(view.gains.title)}.** {md(view.gains.hint)}", table(["Against", "Gain"], gains, 1)]
    if view.checks:
        checks = [(md(f.title), badge(f.verdict), _figure(f), f"{f.n:,}") for f in view.checks]
        parts.append(table(["Check of the attributions", "Verdict", "Value", "n"], checks, 2))
    if view.counterfactuals:
        shown = view.counterfactuals
        heads = ["What would change it", *(md(f"{head} {below}".strip()) for head, below in shown.columns)]
        parts.append(table(heads, [(md(t), *map(_figure, figures)) for t, figures in shown.lines], len(shown.columns)))
        parts.append("\n".join(f"- {md(title)}: {md(note)}" for title, note in shown.notes.items()))
    if view.stated:
        said = [(md(f.title), badge(f.verdict), _figure(f), number(f.floor), f"{f.n:,}") for f in view.stated]
        parts.append(table(["Its own words", "Verdict", "Value", "Floor", "n"], said, 3))
    if view.fields:
        heads = ["Part of the request", "Disclosed", *(OPERATORS.get(o, o) for o in view.operators)]
        moved = [
            (
                md(line.label) + (" (protected)" if line.protected else ""),
                line.told or "not said",
                *(_effect(line.figures.get(o)) for o in view.operators),
            )
            for line in view.fields
        ]
        parts.append(table(heads, moved, len(view.operators)))
    if view.tokens:
        parts.append(table(["By words", "Value", "n"], [(md(f.title), cell(f), f"{f.n:,}") for f in view.tokens], 2))
    return [*parts, *mitigations(view.moved)]


def _figure(finding: Finding | None) -> str:
    """In percent where it is a share, as in the HTML report."""
    if finding is None or finding.estimate is None or not words.is_rate(finding.metric):
        return cell(finding)
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return f"{percent(finding.estimate)}{ends}"


def _effect(finding: Finding | None) -> str:
    return "·" if finding is None else f"{number(finding.effect)} {interval(finding.effect_ci)}"
