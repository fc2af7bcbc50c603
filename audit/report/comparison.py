"""A comparison of two runs as plain text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from audit.errors import ConfigError, nearest
from audit.report import words
from audit.report.markdown_parts import badge, fold, table
from audit.text import clip, count, interval, json_safe, listed, number, one_line, p_value, percent
from audit.text import markdown as md

if TYPE_CHECKING:
    from audit.diff import Diff, FindingChange

KINDS = ("text", "md", "json")


def render(diff: Diff, kind: str) -> str:
    """Print a comparison.

    Args:
        diff: from `audit.diff.compare`.
        kind: `text`, `md` or `json`.

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"--format: {kind!r} is not a format of a comparison; {nearest(kind, KINDS)}")
    if kind == "json":
        return json_safe(json.dumps(diff.to_dict(), ensure_ascii=False, indent=2)) + "\n"
    return _text(diff) if kind == "text" else _markdown(diff)


def headline(diff: Diff) -> str:
    """What a release manager reads."""
    worse, better, changed = diff.of("worse"), diff.of("better"), diff.of("changed")
    failing = [c for c in diff.changes if c.newly_failing]
    compared = [c for c in diff.changes if c.difference is not None]
    if not compared:
        return "The two runs share no finding that could be compared."
    parts = []
    if worse:
        parts.append(f"{count(len(worse), 'finding is', 'findings are')} worse")
    if better:
        parts.append(f"{count(len(better), 'finding is', 'findings are')} better")
    if changed:
        parts.append(
            f"{count(len(changed), 'finding')} changed that {'has' if len(changed) == 1 else 'have'} no better side"
        )
    text = listed(parts) if parts else f"No evidence of change in any of {count(len(compared), 'finding')}"
    if failing:
        text += f"; {count(len(failing), 'check fails', 'checks fail')} that did not fail before"
        if not worse:
            text += " (a verdict can turn on a change too small to be shown)"
    return f"{text}."


def answers(diff: Diff) -> str:
    """How alike the answers to the same requests are, in words."""
    a = diff.answers
    if not a.shared:
        return (
            "No request was asked in both runs, so answers cannot be compared one by one "
            "(of an evidence pack nobody knows all that was asked)."
        )
    sample = "" if a.compared == a.shared else f" (a random sample of {a.shared:,})"
    text = (
        f"Both runs asked the same {count(a.compared, 'request')}{sample} of {count(a.users, 'user')}; "
        f"{percent(a.identical / a.compared)} of the answers are identical"
    )
    if a.overlap is not None and a.jaccard is not None:
        text += (
            f". Overlap of the lists: RBO {number(a.overlap.estimate)} {interval((a.overlap.low, a.overlap.high))}, "
            f"Jaccard {number(a.jaccard.estimate)} {interval((a.jaccard.low, a.jaccard.high))}"
        )
    return f"{text}. Became unreadable: {a.lost:,}; became readable: {a.gained:,} (p {p_value(a.p)}, {a.test})."


_METHODS = {
    "paired": "paired within the cases that both runs share",
    "independent": "from the two intervals, as if the samples were independent (cautious where the users are the same)",
}


def seen(change: FindingChange) -> str:
    """For a finding that shows no change: how large a change would have been seen. Empty for the others."""
    if change.outcome != "no evidence of change":
        return ""
    if change.mde is not None:
        return f"a change of {number(change.mde)} would have been seen"
    if change.moved == 0 and change.method == "paired":
        return f"none of {count(change.n, 'case')} moved"
    return f"{count(change.n, 'case')} are too few to see any change among so many comparisons"


def _methods(diff: Diff) -> str:
    counts = {m: sum(c.method == m for c in diff.changes) for m in _METHODS}
    used = [f"{n} {_METHODS[m]}" for m, n in counts.items() if n]
    if not used:
        return ""
    return (
        f"Compared: {'; '.join(used)}. p-values are corrected over {count(diff.comparisons, 'comparison')} (Holm); the "
        "smallest change that would have been seen (MDE) is with power 0.8, as the only change among them."
    )


def _telling(diff: Diff) -> list[FindingChange]:
    """Changes to print one by one: shown differences and changed verdicts, worst first."""
    order = ("worse", "changed", "better", "no evidence of change", "not compared")
    chosen = [c for c in diff.changes if c.outcome in {"worse", "better", "changed"} or c.old.verdict != c.new.verdict]
    return sorted(chosen, key=lambda c: (not c.newly_failing, order.index(c.outcome)))


def shift(change: FindingChange) -> str:
    """The difference with its interval."""
    d = change.difference
    return "—" if d is None else f"{number(d.estimate, signed=True)} {interval((d.low, d.high))}"


def _cells(change: FindingChange, escape: Callable[[object], str]) -> tuple[str, ...]:
    old, new = ((f.estimate if f.effect is None else f.effect) for f in (change.old, change.new))
    before, after = change.verdicts
    verdicts = badge(after) if before == after else f"{badge(before)} → {badge(after)}"
    what = " above floor" if change.new.effect is not None else ""
    return (
        change.outcome,
        escape(change.new.title) + what,
        f"{number(old)} → {number(new)}",
        shift(change),
        p_value(change.p_adjusted),
        verdicts,
    )


_REST = ("Finding", "Value", "Difference", "No evidence of change, and")


def _unchanged(change: FindingChange, escape: Callable[[object], str]) -> tuple[str, ...]:
    _, title, value, difference, *_ = _cells(change, escape)
    return title, value, difference, escape(seen(change) or change.reason)


_HEAD = ("Change", "Finding", "Value", "Difference", "p adjusted", "Verdict")


def _markdown(diff: Diff) -> str:
    parts = [
        f"# RecAudit: {md(diff.old.name)} → {md(diff.new.name)}",
        f"**{md(headline(diff))}** Verdict: {badge(diff.old.verdict)} → {badge(diff.new.verdict)}.",
        md(answers(diff)),
    ]
    if telling := _telling(diff):
        parts.append(table(_HEAD, [_cells(c, md) for c in telling]))
    parts.append(md(_methods(diff)))
    rest = [c for c in diff.changes if c not in telling]
    still = [c for c in rest if c.outcome == "no evidence of change"]
    if still:
        parts.append(fold(f"{len(still)} without evidence of change", table(_REST, [_unchanged(c, md) for c in still])))
    if refused := [c for c in rest if c.outcome == "not compared"]:
        why = [(md(c.new.title), md(c.reason)) for c in refused]
        parts.append(fold(f"{len(refused)} not compared", table(("Finding", "Why"), why)))
    if diff.only_old or diff.only_new:
        lines = [f"- only before: {md(f.title)}" for f in diff.only_old]
        lines += [f"- only now: {md(f.title)}" for f in diff.only_new]
        parts.append(fold(f"{len(lines)} findings in one run only", "\n".join(lines)))
    if diff.settings:
        rows = [(md(name), md(clip(old, 80)), md(clip(new, 80))) for name, old, new in diff.settings]
        parts.append(fold(f"{len(rows)} settings differ", table(["Setting", "Before", "Now"], rows)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _text(diff: Diff) -> str:
    verdicts = f"{words.VERDICT_WORDS[diff.old.verdict]} -> {words.VERDICT_WORDS[diff.new.verdict]}"
    lines = [
        f"{one_line(diff.old.name)} ({diff.old.id}) -> {one_line(diff.new.name)} ({diff.new.id})",
        f"{headline(diff)} Verdict: {verdicts}.",
        answers(diff),
    ]
    if telling := _telling(diff):
        lines += ["", *_columns([_HEAD, *(_cells(c, one_line) for c in telling)])]
    lines += ["", _methods(diff)] if _methods(diff) else []
    same = diff.of("no evidence of change")
    lines += ["", f"{len(same)} without evidence of change, which is no proof that nothing changed."]
    judged = [c for c in same if c.new.verdict is not None]
    lines += [f"No evidence of change: {one_line(c.new.title)}; {seen(c)} ({shift(c)})" for c in judged]
    if more := len(same) - len(judged):
        lines.append(f"{count(more, 'more is', 'more are')} held to no limit; --format md and json list them.")
    refused = diff.of("not compared")
    lines += [f"Not compared: {one_line(c.new.title)}: {one_line(c.reason)}" for c in refused]
    for label, found in (("Only before", diff.only_old), ("Only now", diff.only_new)):
        lines += [f"{label}: {one_line(f.title)}" for f in found]
    lines += [
        f"Setting {one_line(name)}: {clip(one_line(old), 60)} -> {clip(one_line(new), 60)}"
        for name, old, new in diff.settings
    ]
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    clipped = [[clip(cell, 60) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in clipped) for i in range(len(clipped[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in clipped]
