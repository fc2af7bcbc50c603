"""The hallucination audit in Markdown: the same as on the page, in tables."""

from __future__ import annotations

from audit.findings import Finding
from audit.report import claims, words
from audit.report.hallucination import HallucinationView, Table
from audit.report.markdown_parts import badge, cell, fold, mitigations, table
from audit.text import interval, number, percent
from audit.text import markdown as md


def section(view: HallucinationView) -> list[str]:
    """Whether the checker can be believed; then titles, claims, answers, and what passages change."""
    checker = view.checker
    parts = [f"**{badge(checker.verdict)}: can this checker be believed?** {md(checker.answer)}"]
    parts += ["\n".join(f"- {md(reason)}" for reason in checker.reasons)] if checker.reasons else []
    if checker.audited:
        gates = [
            (
                md(g.title),
                f"{words.VERDICT_SHAPES[g.verdict]} {g.word}",
                cell(g.finding),
                f"{'≤' if g.at_most else '≥'} {g.limit}",
            )
            for g in checker.gates
        ]
        parts.append(table(["On planted errors", "Gate", "Measured", "Needed"], gates, 2))
    if checker.kinds:
        kinds = [(md(k.kind), *(cell(k.figures.get(m)) for m in checker.columns), f"{k.n:,}") for k in checker.kinds]
        heads = ["Kind", *map(words.short, checker.columns), "n"]
        parts.append(
            fold("By kind of planted error, and of changes that are none", table(heads, kinds, len(heads) - 1))
        )
    if view.items:
        rows = [(md(i.label), _rate(i.low), _rate(i.high), _rate(i.corrected), f"{i.low.n:,}") for i in view.items]
        heads = ["Made-up titles in", "Low bound", "High bound", "Corrected for the checker", "n"]
        parts.append(table(heads, rows, 4))
    if view.item_table.lines:
        parts.append(_side_by_side(view.item_table))
    if view.claims:
        split = [(md(s.label), *map(_rate, s.parts), f"{s.parts[0].n:,}") for s in (view.claims, *view.predicates)]
        if view.corrected:
            split.append(
                ("Corrected for the checker's errors", "·", _rate(view.corrected), "·", f"{view.corrected.n:,}")
            )
        heads = [
            "Claims",
            *(f"{claims.SHAPES[v]} {claims.VERDICTS[v]}" for v in ("supported", "contradicted", "unverifiable")),
        ]
        parts += [table([*heads, "Answers"], split, 4), "What cannot be checked is neither true nor made up."]
    if view.answers:
        answers = [(md(f.title), badge(f.verdict), _rate(f), f"{f.n:,}") for f in view.answers]
        parts.append(table(["Answers", "Verdict", "Share", "n"], answers, 2))
    if view.arms:
        parts.append(_side_by_side(view.arms))
    if view.uplift:
        changes = [
            (md(f"{name}: {mark.label}"), f"{number(mark.span[1])} {interval((mark.span[0], mark.span[2]))}")
            for name, marks in view.uplift.marks
            for mark in marks
        ]
        parts += [f"**{md(view.uplift.title)}.** {md(view.uplift.hint)}", table(["Against", "Change"], changes, 1)]
    if view.retrieval:
        found = [(md(f.title), cell(f), f"{f.n:,}") for f in view.retrieval]
        parts.append(table(["The retriever by itself", "Value", "n"], found, 2))
    return [*parts, *mitigations(view.moved)]


def _side_by_side(shown: Table) -> str:
    heads = ["Measured", *(md(f"{head} {below}".strip()) for head, below in shown.columns)]
    rows = [(md(title), *map(_rate, figures)) for title, figures in shown.lines]
    return table(heads, rows, len(heads) - 1)


def _rate(finding: Finding | None) -> str:
    """In percent where it is a share, as in the HTML report."""
    if finding is None or not words.is_rate(finding.metric) or finding.estimate is None:
        return cell(finding)
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    sign = f"{words.VERDICT_SHAPES[finding.verdict]} " if finding.verdict else ""
    return f"{sign}{percent(finding.estimate)}{ends}"
