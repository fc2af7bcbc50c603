"""One piece of evidence as text: what was asked, what was edited, the answers, and the claims marked in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.cli.terminal import cell, console
from audit.errors import ConfigError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from audit.report.attributions import Chart
    from audit.report.claims import Claimed
    from audit.report.evidence import Reply
    from audit.run import Run

_STYLES = {"contradicted": "bold red", "unverifiable": "yellow", "supported": "green"}
_BADGES = {"pass": "green", "fail": "bold red", "measured": "yellow"}
_EDITS = {"delete": "red strike", "insert": "green underline", "equal": ""}


def find(run: Run, prefix: str) -> str:
    """The id that begins so, among the evidence of the run's findings.

    Raises:
        ConfigError: none does, or several do.
    """
    every = {key for finding in run.findings for key in finding.evidence}
    hits = sorted(key for key in every if key.startswith(prefix)) if prefix else []
    if len(hits) == 1 or prefix in hits:
        return prefix if prefix in hits else hits[0]
    if hits:
        raise ConfigError(f"--evidence: {prefix!r} begins the ids of {len(hits)} pieces; give more characters of one")
    if not every:
        raise ConfigError("--evidence: no finding of this run has evidence; see its figures without this option")
    raise ConfigError(f"--evidence: {prefix!r} is no evidence of this run; {nearest(prefix, sorted(every))}")


def print_evidence(run: Run, key: str) -> None:
    """A piece of evidence, on standard output."""
    from audit.report.evidence import opened
    from audit.report.view import RunView

    exhibit = opened(RunView(run), [key])[key]
    out = console()
    out.print(cell(f"{exhibit.case}  {exhibit.title}", "bold"))
    if exhibit.note:
        out.print(cell(exhibit.note))
    if exhibit.attribution:
        _attribution(out, exhibit.attribution)
    for change in exhibit.changes:
        line = cell(f"{change.field}: ", "dim")
        for how, text in change.pieces:
            signs = {"delete": ("[-", "-]"), "insert": ("{+", "+}")}.get(how, ("", ""))
            line.append_text(cell(f"{signs[0]}{text}{signs[1]}", _EDITS[how]))
        out.print(line)
    if exhibit.history:
        out.print(cell(f"history: {exhibit.history}", "dim"))
    label = "Answer before the edit" if exhibit.after else "Answer"
    for name, reply in ((label, exhibit.before), ("Answer after the edit", exhibit.after)):
        if reply is not None:
            out.print()
            out.print(cell(name, "bold"))
            _reply(out, reply)


def _reply(out: Console, reply: Reply) -> None:
    if reply.outcome != "ok":
        out.print(cell(f"{reply.outcome}: {reply.detail}", "red"))
    for line in reply.lines:
        where = line.id or "not in the catalogue"
        out.print(cell(f"{line.rank:>3}. {line.title}  ({where}) {line.move}".rstrip()))
    if reply.more:
        out.print(cell(f"and {reply.more} more", "dim"))
    if reply.claims:
        _claims(out, reply.claims)
    elif reply.text and (reply.free or not reply.lines):
        out.print(cell(reply.text))


def _attribution(out: Console, view: Chart) -> None:
    if view.badge:
        out.print(cell(f"{view.badge}: {view.why}" if view.why else view.badge, _BADGES[view.kind]))
    out.print(cell(f"what moved this answer, in {view.scale}" + (f"; {view.method}" if view.method else ""), "dim"))
    width = max((len(line.label) for line in view.lines), default=0)
    longest = max((len(line.blocks) for line in view.lines), default=0)
    for line in view.lines:
        tied = f"  tied: {line.tied}" if line.tied else ""
        note = f"  ({line.note})" if line.note else ""
        numbers = " ".join(filter(None, (line.value, line.span)))
        out.print(cell(f"  {line.label:<{width}}  {line.blocks:<{longest}}  {numbers}{tied}{note}"))
    if view.more:
        out.print(cell(f"  and {view.more} shorter bars", "dim"))
    if view.limits:
        out.print(cell(view.limits, "dim"))


def _claims(out: Console, view: Claimed) -> None:
    from audit.report.claims import SHAPES, VERDICTS

    text: Any = cell("")
    for piece in view.stretches:
        # A bracket of its own kind, so that what is marked can be told without colour.
        shown = f"⟦{piece.text}⟧" if piece.verdict else piece.text
        text.append_text(cell(shown, f"underline {_STYLES[piece.verdict]}" if piece.verdict else ""))
        for number, verdict in piece.ends:
            text.append_text(cell(f"{number}{SHAPES[verdict]}", _STYLES[verdict]))
    out.print(text)
    out.print()
    for line in view.lines:
        row = cell(f"{line.number:>3} ", "bold")
        row.append_text(cell(f"{SHAPES[line.verdict]} {VERDICTS[line.verdict]}", _STYLES[line.verdict]))
        why = f": {line.note}" if line.note else ""
        row.append_text(cell(f"  {line.what}; {line.decided}{why}"))
        out.print(row)
        if line.evidence:
            source = f"{line.source}: " if line.source else ""
            out.print(cell(f"      {source}{line.evidence}", "dim"))
    for verdict, count in view.more:
        out.print(cell(f"    and {count} more {VERDICTS[verdict]}", "dim"))
