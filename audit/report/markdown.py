"""The Markdown report: the same story, compact enough for a comment on a pull request.

Whatever comes from a target, a data file or a configuration passes `text.markdown` or stands in a code block whose
fence it cannot close.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from audit.edits import Change
from audit.findings import CLAIM_VERDICTS
from audit.report import (
    claims,
    compliance,
    explanation_markdown,
    facts,
    hallucination_markdown,
    privacy_markdown,
    words,
)
from audit.report.attributions import Chart
from audit.report.claims import Claimed
from audit.report.could_see import could_see
from audit.report.defenses import DefenseView
from audit.report.evidence import Exhibit, Reply, collect, explained
from audit.report.fairness import FairnessView
from audit.report.markdown_parts import badge, cell, fenced, fold, mitigations, table
from audit.report.summary import headline, summary, users_to_settle
from audit.report.view import ModuleView, Row, RunView
from audit.text import clip, count, interval, number, threshold, visible
from audit.text import markdown as md

if TYPE_CHECKING:
    from audit.run import Run

_CLAIMS, _BARS = 8, 8
PIECES = 20
"""Pieces of evidence in one report; a comment has a bounded length."""


def render(runs: Sequence[Run]) -> str:
    """The report of one run, or of several with an overview before them."""
    parts = [] if len(runs) == 1 else [_overview(runs)]
    parts += [_run(run) for run in runs]
    return "\n\n---\n\n".join(parts) + "\n"


def _overview(runs: Sequence[Run]) -> str:
    verdicts = words.verdicts_of([finding for run in runs for finding in run.findings])
    rows = [
        (
            md(run.name),
            md(facts.target(run)),
            badge(run.verdict),
            *(str(sum(f.verdict == v for f in run.findings)) for v in verdicts),
        )
        for run in runs
    ]
    return f"# RecAudit: {len(runs)} runs\n\n" + table(
        ["Run", "Target", "Verdict", *map(badge, verdicts)], rows, len(verdicts)
    )


def _run(run: Run) -> str:
    view = RunView(run)
    verdicts = words.verdicts_of(run.findings)
    people = f", {count(view.users, 'user')}" if view.users else ""
    protocol = f" · {md(view.protocol)}" if view.protocol else ""
    parts = [
        f"# RecAudit: {md(run.name)}",
        f"**{words.VERDICT_SHAPES[run.verdict]} {md(headline(run))}**",
        f"Target {md(facts.target(run))} · {md(view.dataset)}{people}{protocol} · {md(facts.date(run))}",
        "\n".join(f"- **{remark.question}** {md(remark.answer)}" for remark in summary(view)),
        table(
            ["Module", *map(badge, verdicts)],
            [(md(m.title), *(str(m.counted(v)) for v in verdicts)) for m in view.modules],
            len(verdicts),
        ),
    ]
    if view.pressing:
        parts += ["## What fails, and what is open", _pressing(view), fold("Why, with cases", _reasons(view))]
    parts.append(
        fold(f"Everything that was measured ({len(view.rows)})", "\n\n".join(_module(m) for m in view.modules))
    )
    if some := explained(view):
        parts.append(fold(f"Some answers explained ({len(some)})", "\n".join(_exhibit(e) for e in some)))
    parts += [_compliance(framework) for framework in compliance.compliance_view(run)]
    untestable = [f for m in view.modules for f in m.untestable]
    if untestable:
        rows = [(md(f.title), md(f.reason)) for f in untestable]
        parts.append(
            fold(f"Not testable ({len(untestable)}): none of these counts as passed", table(["Check", "Why"], rows))
        )
    if seen := could_see(view.users, [m.id for m in view.modules]):
        cells = [tuple(map(md, row)) for row in seen.rows]
        parts.append(
            fold(
                "What this audit could have seen", "\n\n".join((md(seen.lead), table(seen.head, cells), md(seen.aside)))
            )
        )
    parts.append(fold("Run facts", _facts(run)))
    return "\n\n".join(parts)


_NAMED = 5
"""Findings named for one control; the HTML report names all."""


def _compliance(view: compliance.FrameworkView) -> str:
    rows = []
    for result in view.results:
        verdict = compliance.look(result.state)
        mark = " \\[recalled\\]" if result.control.recalled else ""
        bearing = [f"{words.VERDICT_SHAPES[f.verdict]} {md(f.title)}" for f in result.findings[:_NAMED]]
        if len(result.findings) > _NAMED:
            bearing.append(f"and {count(len(result.findings) - _NAMED, 'further finding')} with a verdict")
        if result.measured:
            bearing.append(f"{count(len(result.measured), 'finding')} measured without a limit")
        if missing := compliance.gaps(result):
            bearing.append(f"*{md(missing)}*")
        state = f"{words.VERDICT_SHAPES[verdict]} {compliance.STATES[result.state]}"
        rows.append((f"`{result.tag}` {md(result.control.title)}{mark}", state, "<br>".join(bearing)))
    name = f"{md(view.framework.title)} ({md(view.framework.edition)})"
    recalled = f"\n\n\\[recalled\\]: {compliance.RECALLED}." if any(r.control.recalled for r in view.results) else ""
    note = f" {md(view.framework.note)}" if view.framework.note else ""
    body = table(["Control", "State", "What bears on it"], rows)
    return fold(f"Compliance: {name}", f"{compliance.CAVEAT}{note}\n\n{body}{recalled}")


def _figures(row: Row) -> tuple[str, ...]:
    f = row.finding
    effect = "—" if f.effect is None else f"{number(f.effect)} {interval(f.effect_ci)}"
    side = " on effect" if row.on_effect and f.threshold is not None else ""
    limit = md(threshold(f.threshold, at_most=row.at_most)) + side
    return f"**{number(f.estimate)}** {interval(f.ci)}", number(f.floor), effect, limit, f"{f.n:,}"


_HEAD = ["Verdict", "Check", "Estimate", "Floor", "Above floor", "Limit", "n"]


def _pressing(view: RunView) -> str:
    rows = []
    for row in view.pressing:
        f = row.finding
        users = users_to_settle(f, view.users)
        rows.append((badge(f.verdict), md(f.title), *_figures(row), "—" if users is None else f"≈ {users:,} users"))
    return table([*_HEAD, "Settled by"], rows, 6)


def _reasons(view: RunView) -> str:
    evidence = collect(view, limit=PIECES)
    parts = []
    for row in view.pressing:
        f = row.finding
        shown = evidence[f.id]
        lines = [f"**{md(f.title)}** ({f.severity}). {md(f.reason)}."]
        lines += [_exhibit(e) for e in shown.exhibits[:1]]
        rest = len(shown.exhibits[1:]) + len(shown.elsewhere) + shown.more
        if shown.exhibits and rest:
            lines.append(f"- {count(rest, 'more piece')} of evidence in the HTML report or the store")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _exhibit(exhibit: Exhibit) -> str:
    lines = [f"- {md(exhibit.case)}: {md(exhibit.note or exhibit.title)}"]
    lines += _attributed(exhibit.attribution) if exhibit.attribution else []
    lines += [f"  - {_change(change)}" for change in exhibit.changes[:4]]
    if len(exhibit.changes) > 4:
        lines.append(f"  - and {count(len(exhibit.changes) - 4, 'more change')}")
    for label, reply in (("before" if exhibit.after else "answer", exhibit.before), ("after", exhibit.after)):
        if reply is not None:
            lines.append(f"  - {label}: {_reply(reply)}")
            lines += _claims(reply.claims) if reply.claims else []
    return "\n".join(lines)


def _attributed(view: Chart) -> list[str]:
    """What moved an answer, the highest value first, with what cannot be told apart."""
    why = f": {md(view.why)}" if view.why else ""
    method = f"; {md(view.method)}" if view.method else ""
    lines = [f"  - {md(view.badge)}{why}"] if view.badge else []
    lines += [f"  - what moved this answer, in {md(view.scale)}{method}:"]
    for line in view.lines[:_BARS]:
        tied = f", tied: {line.tied}" if line.tied else ""
        note = f" ({md(clip(line.note, 160))})" if line.note else ""
        lines.append(
            f"    - {line.blocks} {md(line.label)}: {' '.join(filter(None, (line.value, line.span)))}{tied}{note}"
        )
    rest = len(view.lines[_BARS:]) + view.more
    lines += [f"    - and {count(rest, 'more bar')}"] if rest else []
    return [*lines, *([f"  - {md(view.limits)}"] if view.limits else [])]


def _claims(view: Claimed) -> list[str]:
    """The claims of an answer, contradicted ones first, each with what decided."""
    by_verdict = sorted(view.lines, key=lambda line: CLAIM_VERDICTS.index(line.verdict))
    lines = []
    for line in by_verdict[:_CLAIMS]:
        why = f": {md(clip(line.note, 160))}" if line.note else ""
        row = f" ({md(clip(line.evidence, 160))})" if line.evidence else ""
        verdict = f"{claims.SHAPES[line.verdict]} {claims.VERDICTS[line.verdict]}"
        lines.append(f"    - \\[{line.number}\\] {verdict}: {md(line.what)}; {md(line.decided)}{why}{row}")
    rest = len(view.lines) - _CLAIMS + sum(n for _, n in view.more)
    return [*lines, f"    - and {count(rest, 'more claim')}"] if rest > 0 else lines


def _marked(view: Claimed) -> str:
    """The text with its claims in bold and numbered, on one line."""
    pieces = []
    for piece in view.stretches:
        shown = md(piece.text)
        ends = "".join(f" \\[{n}{claims.SHAPES[verdict]}\\]" for n, verdict in piece.ends)
        pieces.append(f"**{shown}**{ends}" if piece.verdict and shown else f"{shown}{ends}")
    return " ".join(piece for piece in pieces if piece)


def _change(change: Change) -> str:
    marks = {"delete": "~~{}~~", "insert": "**{}**", "equal": "{}"}
    pieces = [
        marks[how].format(shown) for how, text in change.pieces if (shown := md(clip(" ".join(text.split()), 120)))
    ]
    return f"{md(change.field)}: {' '.join(pieces)}"


def _reply(reply: Reply) -> str:
    if reply.outcome != "ok":
        return md(f"{reply.outcome}: {reply.detail}")
    if reply.claims:
        return _marked(reply.claims)
    if reply.free:
        return md(clip(reply.text, 400)) or "an empty text"
    listed = [
        f"{line.rank}. {md(clip(line.title, 60))}{'' if line.id else ' (not in the catalogue)'}" for line in reply.lines
    ]
    return "; ".join(listed[:5]) + (" …" if len(listed) > 5 else "") or "an empty list"


def _module(module: ModuleView) -> str:
    parts = [f"### {md(module.title)}"]
    if module.curves:
        lines = [
            (md(c.title), ", ".join(f"{q}: {number(v)} {interval((low, high))}" for q, v, low, high in c.points))
            for c in module.curves
        ]
        parts.append(table(["Attack", "Lost after so many true queries"], lines))
    if module.defenses:
        parts += defenses(module.defenses)
    if module.fairness:
        parts += fairness(module.fairness)
    if module.hallucination:
        parts += hallucination_markdown.section(module.hallucination)
    if module.privacy:
        parts += privacy_markdown.section(module.privacy)
    if module.explanation:
        parts += explanation_markdown.section(module.explanation)
    for group in module.groups:
        rows = [(badge(r.finding.verdict), md(r.finding.title), *_figures(r)) for r in group.rows]
        parts += [f"**{md(group.title)}** {md(group.hint)}".strip(), table(_HEAD, rows, 5)]
    return "\n\n".join(parts)


def fairness(view: FairnessView) -> list[str]:
    """What the charts of the HTML report draw, as tables; then groups, selections and mitigations."""
    parts = []
    for chart in view.charts:
        rows = [
            (
                badge(mark.finding.verdict),
                md(f"{name}: {mark.label}"),
                f"{number(mark.span[1])} {interval((mark.span[0], mark.span[2]))}",
                "·" if mark.beside is None else number(mark.beside),
            )
            for name, marks in chart.marks
            for mark in marks
        ]
        beside = any(mark.beside is not None for _, marks in chart.marks for mark in marks)
        heads = ["Verdict", "Who", "Value", *(["Their own histories"] if beside else [])]
        title = f"**{md(chart.title)}** ({count(len(rows), 'line')})"
        signals = "\n".join(
            f"- Beyond the limit, and not decided: {md(who)}, because {md(missing)}" for who, missing in chart.signals
        )
        parts += [
            *([signals] if signals else []),
            fold(title.replace("**", ""), table(heads, [row[: len(heads)] for row in rows], len(heads) - 2)),
        ]
    for groups in view.groups:
        heads = ["Group", "Users", "Gets", "Less than others", "At equal histories", "Smallest gap to be seen"]
        lines = [
            (
                md(g.group),
                "·" if g.quality is None else f"{g.quality.n:,}",
                cell(g.quality),
                cell(g.gap),
                cell(g.adjusted),
                number(g.gap.mde if g.gap else None),
            )
            for g in groups.lines
        ]
        small = f" Suppressed: {md(groups.suppressed)}." if groups.suppressed else ""
        title = f"**Users by {md(groups.attribute)}** ({words.short(groups.measure)}).{small}"
        parts += [title, table(heads, lines, 5)]
    if view.selections:
        heads = ["Category", "By", "Rate", "People", "Share", "Impact ratio"]
        lines = [
            (md(s.group), md(s.attribute), s.rate, f"{s.share.n:,}", cell(s.share), cell(s.ratio))
            for s in view.selections
        ]
        parts += ["**Who is selected.** Not legal advice.", table(heads, lines, 3)]
    return [*parts, *mitigations(view.moved)]


def defenses(view: DefenseView) -> list[str]:
    """A line per defense, and one table per row of the comparison."""
    lines = [
        (
            md(f"{line.name}: {line.title}" if line.name else line.title),
            *(cell(line.figures.get(metric)) for metric in view.columns),
        )
        for line in view.lines
    ]
    under = f"under the worst of {count(view.attacks, 'attack')}"
    parts = ["**Which defense holds**"]
    if lines:
        parts = [
            f"**Which defense holds** ({md(view.what)}, {under})",
            table(["Defense", *map(words.short, view.columns)], lines, len(view.columns)),
        ]
    for grid in view.grids:
        rows = [(md(title), cell(bare), *map(cell, figures)) for title, bare, figures in grid.lines]
        heads = ["Attack", "No defense", *map(md, grid.defenses)]
        parts += [md(f"{grid.title}."), table(heads, rows, len(heads) - 1)]
    if view.certified:
        radii = [f"r = {f.params['r']}" for f in view.certified[0].figures]
        rows = [(md(f"{line.title}: {line.what}"), *map(cell, line.figures)) for line in view.certified]
        parts += ["Certified, of the smoothed target.", table(["Certified", *radii], rows, len(radii))]
    return parts


def _facts(run: Run) -> str:
    listed = "\n".join(f"- {name}: {md(fact)}" for name, fact in facts.table(run))
    notes = "".join(f"\n- {md(note)}" for note in run.record.notes)
    return f"{listed}{notes}\n\n{fenced(visible(facts.config(run)), 'yaml')}"
