"""The plain-language part of a report: one verdict sentence, and a short answer to each question an owner asks.

Every sentence is made from findings alone. It claims no more than the intervals allow: `is better` needs an interval
above 0, and what was not shown is said to be not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.findings import Finding
from audit.policy import by_severity
from audit.report import explanation_remarks, fairness_remarks, hallucination_remarks, privacy_remarks, words
from audit.report.view import PARTS, RunView, named
from audit.text import clip, count, interval, listed, number, one_line, percent, rounded_up

if TYPE_CHECKING:
    from audit.run import Run


@dataclass(frozen=True)
class Remark:
    """One question of the summary and its answer, as plain text."""

    question: str
    answer: str


def headline(run: Run) -> str:
    """The verdict of a run in one sentence that needs no knowledge of statistics."""
    gate = run.gate()
    sentence = _verdict_sentence(run)
    if run.record.status in {"running", "stopped"}:
        return f"This run is unfinished, so it decides nothing yet. So far: {sentence}"
    if gate.missing and not gate.failed:
        names = listed([name if "." in name else words.module(name)[0].lower() for name in gate.missing])
        return f"Not ready to ship: the policy asks for {names}, which this run did not test."
    return sentence


def _verdict_sentence(run: Run) -> str:
    gate = run.gate()
    passed = sum(f.verdict == "pass" for f in run.findings)
    if gate.failed:
        worst = gate.failed[0]
        verb = "fails" if len(gate.failed) == 1 else "fail"
        naming = "It is" if len(gate.failed) == 1 else "The gravest is"
        return (
            f"Not ready to ship: {count(len(gate.failed), 'check')} {verb}. "
            f"{naming} “{clip(one_line(worst.title), 120)}” ({worst.severity} severity)."
        )
    if gate.open:
        verb = "is" if len(gate.open) == 1 else "are"
        return (
            f"Nothing failed, but {count(len(gate.open), 'check')} {verb} open at this sample size: "
            "the data can show neither a pass nor a failure."
        )
    if gate.waived:
        verb = "stops" if len(gate.waived) == 1 else "stop"
        return (
            f"Not passed, but allowed by this policy: {count(len(gate.waived), 'check')} that {verb} it otherwise "
            f"{'is' if len(gate.waived) == 1 else 'are'} waived for now, the first by "
            f"{clip(one_line(_owner(gate.waived[0])), 60)}."
        )
    if passed:
        return f"Ready to ship by this policy: {_all(passed)} passed."
    return "Nothing could be judged: no check of the policy applies to what was measured."


def _owner(finding: Finding) -> str:
    return "nobody" if finding.waiver is None else f"{finding.waiver.owner} until {finding.waiver.expires}"


def _all(passed: int) -> str:
    return "the one check" if passed == 1 else f"all {passed} checks"


def summary(view: RunView) -> list[Remark]:
    """A remark for each; a question about which nothing is known is left out, except what could not be tested."""
    findings = view.run.findings
    made = [
        ("Is it any good?", _quality(view)),
        ("Does it use the history?", _history(findings)),
        ("How noisy is it?", _noise(findings)),
        ("Which attack hurts most?", _attacks(findings)),
        ("Can a seller lift an item?", _lifted(findings)),
        ("Which defense helps?", _defended(view)),
        ("Is anyone treated differently?", fairness_remarks.treated(findings)),
        ("Is anyone served worse?", fairness_remarks.served(findings)),
        ("Who gets the exposure?", fairness_remarks.exposed(findings)),
        ("Is anyone selected less often?", fairness_remarks.selected(findings)),
        ("Does it make things up?", hallucination_remarks.made_up(findings)),
        ("Do passages help?", hallucination_remarks.grounded(findings)),
        ("What is promised to whom it learnt from?", privacy_remarks.promised(findings)),
        ("Does it give people away?", privacy_remarks.given_away(findings)),
        ("Can its reasons be believed?", explanation_remarks.believed(findings)),
        ("Can its answers be read?", _validity(findings)),
        ("What was not tested?", _untested(findings)),
        ("What next?", _next(view)),
    ]
    return [Remark(question, answer) for question, answer in made if answer]


# Is it any good? ----------------------------------------------------------------------------------------------------


def _quality(view: RunView) -> str:
    findings = [f for f in view.run.findings if f.module == "quality"]
    parts = []
    if hit := _first(findings, "hr"):
        k = hit.params.get("k")
        parts.append(
            f"The next item a user really chose is among the first {k} for {percent(hit.estimate or 0.0)} of "
            f"{count(hit.n, 'user')} {_span(hit)}"
        )
    elif auc := _first(findings, "uauc"):
        parts.append(
            f"It puts a liked item above a disliked one of the same user in {percent(auc.estimate or 0.0)} of pairs "
            f"{_span(auc)}, where guessing gives 50%"
        )
    lifts = [f for f in findings if f.metric == "lift_over_anchor" and f.ci is not None]
    for metric in ("ndcg", "uauc", "auc"):
        if chosen := [f for f in lifts if f.params.get("metric") == metric]:
            parts.append(_against(chosen, metric))
            break
    return _sentences(parts)


def _against(lifts: Sequence[Finding], metric: str) -> str:
    better = [_anchor(f) for f in lifts if f.ci and f.ci[0] > 0]
    worse = [_anchor(f) for f in lifts if f.ci and f.ci[1] < 0]
    level = [_anchor(f) for f in lifts if f.ci and f.ci[0] <= 0 <= f.ci[1]]
    said = []
    if better:
        said.append(f"better than {listed(better)}")
    if worse:
        said.append(f"worse than {listed(worse)}")
    text = f"On the same cases it is {' and '.join(said)} ({words.short(metric)})" if said else ""
    if level:
        shown = f"not shown to differ from {listed(level)}"
        return f"{text}, and {shown}" if text else f"On the same cases it is {shown} ({words.short(metric)})"
    return text


def _anchor(finding: Finding) -> str:
    name = one_line(finding.params.get("anchor"))
    shown = {"ease": "EASE", "sasrec": "SASRec", "popularity": "plain popularity"}.get(name, f"“{name}”")
    return f"{shown} by {number(abs(finding.estimate or 0.0))}" if finding.ci and not _spans_zero(finding) else shown


# Does it use the history? -------------------------------------------------------------------------------------------


def _history(findings: Sequence[Finding]) -> str:
    uses = [f for f in findings if f.name == "quality.history_use"]
    without = [f for f in uses if f.params.get("ablation") == "history_emptied" and f.ci is not None]
    # Where several metrics were taken, the one that the policy judges decides, not the one that looks best.
    emptied = next(iter(sorted(without, key=lambda f: f.threshold is None)), None)
    if emptied is None:
        skipped = next((f for f in uses if f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason)}." if skipped else ""
    what = words.short(str(emptied.params.get("metric", "quality")))
    size = f"{number(abs(emptied.estimate or 0.0))} {_span(emptied)}"
    if emptied.ci and emptied.ci[0] > 0:
        return f"Yes: with the history taken away, {what} falls by {size}."
    if emptied.ci and emptied.ci[1] < 0:
        gain = f"{number(abs(emptied.estimate or 0.0))} {interval((-emptied.ci[1], -emptied.ci[0]))}"
        return f"It reads it and does worse for it: with the history taken away, {what} rises by {gain}."
    effects = {f.name: f for f in findings if f.params.get("ablation") == emptied.params["ablation"]}
    moved, changed = effects.get("quality.history_effect"), effects.get("quality.history_change_rate")
    if changed is not None and changed.verdict == "fail" and changed.ci:
        return (
            f"No: with the history taken away, {percent(changed.estimate or 0.0)} of {changed.n} users get another "
            f"answer, and at most {percent(changed.ci[1])} of all users would."
        )
    others = "".join(
        f" {words.short(str(f.params.get('metric')))} does fall without it, by {number(f.estimate)} {_span(f)}."
        for f in without
        if f is not emptied and f.ci and f.ci[0] > 0
    )
    change = f"{what} lost without it is {number(emptied.estimate)} {_span(emptied)}, which may be nothing"
    if moved is None:
        return f"That is not shown: the {change}.{others}"
    if not moved.estimate:
        return f"That is not shown: the answers stay as they were when it is taken away, and the {change}.{others}"
    return (
        f"That is not shown to help: without it the answers change ({one_line(moved.note)}), but the {change}.{others}"
    )


# How noisy is it? ---------------------------------------------------------------------------------------------------


def _noise(findings: Sequence[Finding]) -> str:
    controls = [f for f in findings if f.params.get("control") and f.metric == "rbo_loss" and f.estimate is not None]
    if not controls:
        return ""
    again = next((f for f in controls if f.params["control"] == "repeat"), None)
    others = sorted((f for f in controls if f is not again), key=lambda f: -(f.estimate or 0.0))
    parts = []
    if again is not None:
        parts.append(
            "The same question asked twice gets the same order"
            if not again.estimate
            else f"The same question asked twice moves the order by {percent(again.estimate)} on average"
        )
    if others:
        most = others[0]
        parts.append(
            f"Of the harmless changes, “{one_line(named(most, str(most.params['control'])))}” moves it most, by "
            f"{percent(most.estimate or 0.0)}"
            if most.estimate
            else "No harmless change moves it"
        )
    return _sentences([*parts, "Effects of attacks are counted above such a floor only"])


# Which attack hurts most? -------------------------------------------------------------------------------------------


_HARM = ("asr", "auc_drop", "uauc_drop", "ndcg_drop", "flip_rate")


def _attacks(findings: Sequence[Finding]) -> str:
    attacks = [f for f in findings if f.params.get("attack") and f.effect is not None and f.effect_ci is not None]
    # An adversary who knows what the user will choose is a bound from the laboratory, not somebody to fear.
    attacks = [f for f in attacks if f.params.get("labels") != "known"] or attacks
    if not attacks:
        return ""
    tried = len({f.params["attack"] for f in attacks})
    many = count(tried, "attack") + " tried"
    metric = next((m for m in _HARM if any(f.metric == m for f in attacks)), None)
    harmful = [f for f in attacks if f.metric == metric]
    parts = []
    if harmful:
        worst = max(harmful, key=lambda f: f.effect or 0.0)
        lost = f"{_amount(worst)} beyond its noise floor of {_plain(worst, worst.floor)}"
        if worst.effect_ci and worst.effect_ci[0] > 0:
            parts.append(f"Of {many}, “{_attack(worst)}” costs most: {lost}")
        else:
            parts.append(
                f"None of the {many} is shown to cost quality beyond the noise floor"
                if tried > 1
                else "The one attack tried is not shown to cost quality beyond the noise floor"
            )
            if (worst.effect or 0.0) > 0:
                parts.append(f"The largest estimate is {lost}, by “{_attack(worst)}”")
    moved = [f for f in attacks if f.metric == "rbo_loss" and f.effect_ci and f.effect_ci[0] > 0]
    if moved and metric is not None:
        most = max(moved, key=lambda f: f.effect or 0.0)
        parts.append(
            f"Answers do move: “{_attack(most)}” shifts the order by {percent(most.effect or 0.0)} more than a "
            "harmless change does"
        )
    parts.append(_broken(findings))
    return _sentences(parts)


def _lifted(findings: Sequence[Finding]) -> str:
    whole = [f for f in findings if f.metric == "psr" and f.effect is not None and not set(f.params) & set(PARTS)]
    if not whole:
        return ""
    worst = max(whole, key=lambda f: f.effect or 0.0)
    shown = (
        f"“{_attack(worst)}” puts its item before {percent(worst.estimate or 0.0)} of the users who would not have "
        f"seen it; harmless text of the same length does so for {percent(worst.floor or 0.0)}"
    )
    if worst.effect_ci and worst.effect_ci[0] > 0:
        return _sentences([f"Yes: {shown}"])
    tried = count(len({f.params["attack"] for f in whole}), "kind") + " of planted text"
    return _sentences([f"None of {tried} is shown to do more than harmless text", f"The largest estimate: {shown}"])


def _defended(view: RunView) -> str:
    compared = next((m.defenses for m in view.modules if m.defenses), None)
    if compared is None or not [line for line in compared.lines if line.name]:
        return ""
    tried = [line for line in compared.lines if line.name]
    bare = next((line for line in compared.lines if not line.name), None)
    under = f"under the worst of {count(compared.attacks, 'attack')} for each user"
    helping = []
    for line in tried:
        robust = line.figures["robust_utility"]
        if robust.effect_ci is not None and robust.effect_ci[0] > 0:
            helping.append(line)
    if not helping:
        most = tried[0].figures["robust_utility"]
        return _sentences(
            [
                f"None of {count(len(tried), 'defense')} is shown to leave more {under} than no defense does",
                f"The largest estimate is “{one_line(tried[0].title)}” with {number(most.effect)} "
                f"{interval(most.effect_ci)} more",
            ]
        )
    best = helping[0]
    robust, cost = best.figures["robust_utility"], best.figures.get("utility_cost")
    before = bare.figures["robust_utility"].estimate if bare else robust.floor
    parts = [
        f"“{one_line(best.title)}” leaves most {under}: {compared.what} {number(robust.estimate)} {_span(robust)}, "
        f"where no defense leaves {number(before)}"
    ]
    if cost is not None:
        calls = best.figures.get("calls_per_answer")
        asked = f", and asks the target {calls.estimate:.3g} times for an answer" if calls and calls.estimate else ""
        parts.append(f"Without an attack it costs {number(cost.estimate)} {_span(cost)}{asked}")
    others = len(helping) - 1
    if others:
        parts.append(f"{count(others, 'other defense')} {'is' if others == 1 else 'are'} shown to help too")
    return _sentences(parts)


def _broken(findings: Sequence[Finding]) -> str:
    """Answers that an attack made unreadable: a harm of its own, which no ranking metric shows."""
    lost = [f for f in findings if f.metric == "invalid_rate" and f.estimate]
    attacks = [f for f in lost if f.params.get("attack")]
    if not attacks:
        return ""
    worst = max(attacks, key=lambda f: f.estimate or 0.0)
    benign = max((f.estimate or 0.0 for f in lost if f.params.get("control")), default=0.0)
    against = f"a harmless change breaks up to {percent(benign)}" if benign else "no harmless change breaks any"
    return f"“{_attack(worst)}” leaves {percent(worst.estimate or 0.0)} of readable answers unreadable; {against}"


def _attack(finding: Finding) -> str:
    return one_line(named(finding, str(finding.params["attack"])))


def _amount(finding: Finding) -> str:
    what = {
        "asr": "of NDCG lost",
        "auc_drop": "pooled AUC lost",
        "uauc_drop": "UAUC lost",
        "ndcg_drop": "NDCG lost",
        "flip_rate": "of what was right turned wrong",
    }[finding.metric]
    bounds = finding.effect_ci or (0.0, 0.0)
    span = f"[{_plain(finding, bounds[0])}, {_plain(finding, bounds[1])}]"
    return f"{_plain(finding, finding.effect)} {span} {what}"


def _plain(finding: Finding, value: float | None) -> str:
    return percent(value or 0.0) if words.is_rate(finding.metric) else number(value)


# Can its answers be read? -------------------------------------------------------------------------------------------


def _validity(findings: Sequence[Finding]) -> str:
    parts = []
    for task, label in (("rank", ""), ("score", ""), ("answer", " in free text")):
        of_task = [f for f in findings if f.module == "quality" and f.params.get("task") == task and f.n]
        lost = {
            what: f.estimate or 0.0
            for metric, what in (
                ("unparsable_rate", "unreadable"),
                ("refused_rate", "refused"),
                ("error_rate", "failed"),
            )
            if (f := _first(of_task, metric)) is not None
        }
        if lost:
            total = sum(lost.values())
            kinds = listed([f"{percent(share)} {what}" for what, share in lost.items() if share])
            named_kinds = f" ({kinds})" if sum(share > 0 for share in lost.values()) > 1 else ""
            single = next((what for what, share in lost.items() if share), "unreadable, refused or failed")
            how = single if not named_kinds else "lost"
            parts.append(
                f"Every answer{label} could be read"
                if total == 0
                else f"{percent(total)} of the answers{label} {'' if how == 'failed' else 'were '}{how}{named_kinds}"
            )
        short = _first(of_task, "wrong_length_rate")
        if short is not None and short.estimate:
            parts.append(f"{percent(short.estimate)} {_span(short)} are shorter than asked for")
        absent = _first(of_task, "absent_rate")
        told = any(f.module == "hallucination" and f.metric == "hallucinated_item_rate" for f in findings)
        if absent is not None and absent.estimate and not told:  # else it stands above, on more answers
            parts.append(
                f"{percent(absent.estimate)} {_span(absent)} of the titles{label} exist nowhere in the catalogue"
            )
    return _sentences(parts)


# What was not tested? -----------------------------------------------------------------------------------------------


def _untested(findings: Sequence[Finding]) -> str:
    skipped: dict[str, list[str]] = {}
    for f in findings:
        if f.verdict == "not_applicable":
            skipped.setdefault(one_line(f.reason).rstrip("."), []).append(f"“{clip(one_line(f.title), 80)}”")
    if not skipped:
        return "Everything that was asked for could be tested."
    total = sum(len(titles) for titles in skipped.values())
    reason, titles = max(skipped.items(), key=lambda entry: len(entry[1]))
    shown = titles if len(titles) <= 3 else [*titles[:2], f"{len(titles) - 2} more"]
    others = f" {count(total - len(titles), 'other check')} could not run either; the reasons are below."
    rest = others if total > len(titles) else ""
    return f"{listed(shown)}: {reason}.{rest} What was not tested does not count as passed."


# What next? ---------------------------------------------------------------------------------------------------------


def _next(view: RunView) -> str:
    gate = view.run.gate()
    parts = []
    if gate.failed:
        first = gate.failed[0]
        more = f"; {count(len(gate.failed) - 1, 'further failure')} below" if len(gate.failed) > 1 else ""
        parts.append(f"Start with “{clip(one_line(first.title), 120)}”{more}")
    if gate.open:
        parts.append(_settling(view, gate.open))
    if not parts and any(f.verdict == "pass" for f in view.run.findings):
        parts.append("Keep this run as the baseline and compare the next version with it: `recaudit diff`")
    return _sentences(parts)


def _settling(view: RunView, unsettled: Sequence[Finding]) -> str:
    """How many users would settle the open checks, now that some findings count only a part of the users."""
    needed = sorted(users for f in unsettled if (users := users_to_settle(f, view.users)) is not None)
    if not needed:
        return f"{count(len(unsettled), 'open check')} sits on the limit: no sample size in reach would settle it"
    half = needed[(len(needed) - 1) // 2]
    if len(needed) == 1:
        return f"About {needed[0]:,} users would settle the open check"
    if half == needed[-1]:
        return f"About {half:,} users would settle the {len(needed)} open checks"
    few = sum(users <= half for users in needed)
    every = f"all {len(needed)}" if len(needed) == len(unsettled) else f"{len(needed)} of them"
    return (
        f"About {half:,} users would settle {few} of the {len(unsettled)} open checks, about {needed[-1]:,} would "
        f"settle {every}"
    )


def users_to_settle(finding: Finding, users: int) -> int | None:
    """Users to draw so that an open finding would be settled, rounded up to two digits.

    A finding may rest on part of the users only (a flip rate on those with a clean hit), so its own n is scaled up by
    the share of the users it had in this run.
    """
    if finding.n_to_settle is None or finding.n == 0:
        return None
    scale = max(users / finding.n, 1.0) if finding.unit == "user" else 1.0
    return rounded_up(finding.n_to_settle * scale)


# Small things -------------------------------------------------------------------------------------------------------


def _first(findings: Iterable[Finding], metric: str) -> Finding | None:
    return next((f for f in by_severity(list(findings)) if f.metric == metric and f.estimate is not None), None)


def _span(finding: Finding) -> str:
    if finding.ci is None:
        return ""
    if words.is_rate(finding.metric) or finding.metric == "uauc":
        return f"[{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return interval(finding.ci)


def _spans_zero(finding: Finding) -> bool:
    return finding.ci is not None and finding.ci[0] <= 0 <= finding.ci[1]


def _sentences(parts: Iterable[str]) -> str:
    kept = [p[0].upper() + p[1:] for p in parts if p]
    return " ".join(p if p.endswith((".", "!", "?")) else f"{p}." for p in kept)
