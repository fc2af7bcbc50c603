"""The HTML report: one self-contained file that runs no script and loads nothing.

Every printed expression passes `visible` (controls and direction overrides are written out) and is then escaped by
Jinja2; a Content-Security-Policy forbids scripts and requests should anything slip through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from audit import text
from audit.findings import Finding, Verdict
from audit.report import (
    claims,
    compliance,
    explanation_words,
    facts,
    hallucination_plots,
    plots,
    privacy_plots,
    robustness_plots,
    words,
)
from audit.report.compliance import FrameworkView
from audit.report.could_see import CouldSee, could_see
from audit.report.evidence import IN_ALL, Exhibit, Shown, collect, explained
from audit.report.heat import heat
from audit.report.summary import Remark, headline, summary, users_to_settle
from audit.report.view import Group, Row, RunView
from audit.store import RunUsage

if TYPE_CHECKING:
    from audit.run import Run


@dataclass(frozen=True)
class Page:
    """One run as the template reads it."""

    view: RunView
    anchor: str
    target: str
    date: str
    verdict: Verdict
    headline: str
    summary: Sequence[Remark]
    totals: Sequence[int]
    evidence: Mapping[str, Shown]
    explained: Sequence[Exhibit]
    missing: Sequence[str]
    compliance: Sequence[FrameworkView]
    usage: RunUsage
    could_see: CouldSee | None
    facts: Sequence[tuple[str, str]]
    config: str


def render(runs: Sequence[Run]) -> str:
    """The report of one run, or of several with an overview before them."""
    share = max(IN_ALL // max(len(runs), 1), 1)
    verdicts = words.verdicts_of([finding for run in runs for finding in run.findings])
    pages = [_page(run, f"r{i}", share, verdicts) for i, run in enumerate(runs, 1)]
    levels = sorted({f"{f.level:.0%}" for run in runs for f in run.findings}) or ["95%"]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=f"{runs[0].name}: RecAudit report" if len(runs) == 1 else f"RecAudit report on {len(runs)} runs",
            runs=pages,
            verdicts=verdicts,
            caveat=compliance.CAVEAT,
            recalled=compliance.RECALLED,
            level=text.listed(levels),
            legend=plots.LEGEND,
        )
    )


def _page(run: Run, anchor: str, pieces: int, verdicts: Sequence[Verdict | None]) -> Page:
    view = RunView(run)
    evidence = collect(view, limit=pieces)
    return Page(
        view=view,
        anchor=anchor,
        target=facts.target(run),
        date=facts.date(run),
        verdict=run.verdict,
        headline=headline(run),
        summary=summary(view),
        totals=[sum(f.verdict == v for f in run.findings) for v in verdicts],
        evidence=evidence,
        explained=explained(view, [exhibit.id for shown in evidence.values() for exhibit in shown.exhibits]),
        missing=run.gate().missing,
        compliance=compliance.compliance_view(run),
        usage=run.usage,
        could_see=could_see(view.users, [m.id for m in view.modules]),
        facts=facts.table(run),
        config=facts.config(run),
    )


@cache
def environment() -> Environment:
    """The templates, with every filter that they use."""
    environment = Environment(
        loader=PackageLoader("audit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    environment.filters.update(
        axis=plots.axis,
        gaps=compliance.gaps,
        look=compliance.look,
        state_word=compliance.STATES.__getitem__,
        bounds=hallucination_plots.bounds,
        by_operator=lambda name: explanation_words.OPERATORS.get(name, name),
        control=words.control,
        count=text.count,
        curves=robustness_plots.curves,
        epsilon_bars=privacy_plots.epsilon_bars,
        price_curve=privacy_plots.price_curve,
        roc_panels=privacy_plots.roc_panels,
        forest=plots.forest,
        heat=heat,
        css=lambda verdict: (verdict or "measured").replace("_", "-"),
        interval=text.interval,
        in_percent=lambda metric: words.is_rate(metric) or metric == "checker_confusion",
        limit=_limit,
        line=text.one_line,
        meaning=words.meaning,
        method=_method,
        number=text.number,
        p=text.p_value,
        percent=text.percent,
        ruled=claims.VERDICTS.__getitem__,
        ruled_shape=claims.SHAPES.__getitem__,
        scale=plots.scale_of,
        sentence=_sentence,
        settle=_settle,
        shape=words.VERDICT_SHAPES.__getitem__,
        short=words.short,
        spoken=plots.spoken,
        stacked=hallucination_plots.stacked,
        strip=plots.strip,
        tradeoff=robustness_plots.tradeoff,
        units=_units,
        verdict_lead=_lead,
        within=_within,
        word=words.VERDICT_WORDS.__getitem__,
    )
    return environment


def _safe(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _within(finding: Finding, group: Group) -> str:
    """The title without the part that the group's head line already says."""
    title = text.one_line(finding.title)
    start = f"{text.one_line(group.title)}: "
    return title.removeprefix(start)[:1].upper() + title.removeprefix(start)[1:]


def _limit(row: Row) -> str:
    return text.threshold(row.finding.threshold, at_most=row.at_most)


def _sentence(words_: str) -> str:
    line = text.one_line(words_)
    line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _lead(verdict: Verdict | None) -> str:
    return {"fail": "Why it fails.", "inconclusive": "Why it is open."}.get(verdict or "", "")


def _units(finding: Finding) -> str:
    return text.count(finding.n, text.one_line(finding.unit))


def _method(finding: Finding) -> str:
    named = [text.one_line(finding.ci_method)] if finding.ci_method else []
    if finding.effect_ci_method and finding.effect_ci_method != finding.ci_method:
        named.append(f"{text.one_line(finding.effect_ci_method)} for the effect")
    return ", ".join([f"{finding.level:.0%}", *named])


def _settle(finding: Finding, view: RunView) -> str:
    users = users_to_settle(finding, view.users)
    units = text.count(finding.n_to_settle or 0, text.one_line(finding.unit))
    if users is None or finding.unit != "user" or finding.n == view.users:
        return f"about {units}"
    return f"about {units} of this kind: draw about {users:,} users"
