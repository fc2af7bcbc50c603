"""What the explanation audit found, in plain words. Nothing is called a reason that was not tried."""

from __future__ import annotations

from collections.abc import Sequence

from audit.findings import Finding
from audit.report.explanation import ExplanationView, explanation_view, surely
from audit.report.explanation_words import named
from audit.text import count, listed, number, one_line, percent


def believed(findings: Sequence[Finding]) -> str:
    """Whether its reasons can be believed: attributions, counterfactual sets, its own words, what was disclosed."""
    ours = [f for f in findings if f.module == "explanation"]
    view = explanation_view(ours)
    if view is None:
        skipped = next((f for f in ours if f.verdict == "not_applicable"), None)
        return f"Not tested: {one_line(skipped.reason).rstrip('.')}." if skipped else ""
    parts = [_attributions(view), _place(view), _sets(view), *_words(view), _hidden(ours)]
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def _attributions(view: ExplanationView) -> str:
    if not view.methods:
        return ""
    good = [line for line in view.methods if line.faithful]
    if good:
        names = listed(list(dict.fromkeys(line.label for line in good)))
        return f"attributions over the history can be believed here by {names}: {one_line(good[0].says)}"
    return (
        "no attribution over the history is shown to be faithful here, so none should be shown to users: "
        f"{one_line(view.methods[0].says)}"
    )


def _place(view: ExplanationView) -> str:
    found = view.position
    if found is None or found.ci is None or not surely(found):
        return ""
    return (
        f"where an item stands in the history moves its worth ({number(found.estimate, signed=True)}), whatever it is"
    )


def _sets(view: ExplanationView) -> str:
    if view.counterfactuals is None:
        return ""
    label, (success, _, size) = view.counterfactuals.lines[0]
    if success is None:
        return ""
    if not success.estimate:
        return (
            f"for none of {count(success.n, 'recommendation')} were items found without which it would be another one"
        )
    many = "" if size is None or size.estimate is None else f", {size.estimate:.1f} on average,"
    floor = "" if success.floor is None else f"; as many items by chance do so for {percent(success.floor)}"
    return (
        f"for {_share(success)} of the recommendations, items were found{many} without which it is another one "
        f"({label.lower()}){floor}"
    )


def _words(view: ExplanationView) -> list[str]:
    parts = []
    matters = next((f for f in view.stated if f.params.get("of") == "recommendation"), None)
    if matters is not None and matters.effect_ci is not None:
        shares = f"{percent(matters.estimate or 0.0)} against {percent(matters.floor or 0.0)}"
        if matters.effect_ci[0] > 0 and surely(matters):
            parts.append(f"items that its own words name as reasons matter more than others ({shares})")
        else:
            parts.append(
                f"items that its own words name as reasons are not shown to matter more than those they leave out "
                f"({shares}), so its words are no explanation"
            )
    invented = next((f for f in view.stated if f.metric == "stated_invented_rate"), None)
    if invented is not None and invented.estimate:
        parts.append(f"of the items that it says the user has had, {_share(invented)} the user never had")
    return parts


def _hidden(findings: Sequence[Finding]) -> str:
    hidden = [f for f in findings if f.metric == "undisclosed_influence" and f.estimate and surely(f)]
    names = list(dict.fromkeys(named(str(f.params.get("field"))) for f in hidden))
    if not names:
        return ""
    verb = "moves" if len(names) == 1 else "move"
    return f"{listed(names)} {verb} answers and {'is' if len(names) == 1 else 'are'} not disclosed"


def _share(finding: Finding) -> str:
    ends = "" if finding.ci is None else f" [{percent(finding.ci[0])}, {percent(finding.ci[1])}]"
    return f"{percent(finding.estimate or 0.0)}{ends}"
