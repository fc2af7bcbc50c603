"""Defenses in a report: one line each, replay and adaptive apart, the plain sentence no stronger than the interval."""

from __future__ import annotations

import re
from typing import Any

from audit.findings import Finding
from audit.report.defenses import defense_view
from audit.report.html import render
from audit.report.markdown import render as markdown
from audit.report.robustness_plots import tradeoff
from audit.report.summary import summary
from audit.report.view import RunView

TITLES = {None: "No defense", "wall": "A <b>wall</b>", "net": "A net"}


def measured(metric: str, defense: str | None, estimate: float, what: str = "", **fields: Any) -> Finding:
    params = {"defense": defense, "k": 5, **fields.pop("params", {})}
    title = fields.pop("title", f"{TITLES[defense]}: {what or metric}")
    low, high = fields.pop("ci", (max(estimate - 0.1, 0.0), estimate + 0.1))
    return Finding("robustness", metric, title, params=params, estimate=estimate, ci=(low, high), n=30, **fields)


def left(defense: str | None, row: str, attack: str, estimate: float) -> Finding:
    title = f"{attack}: utility left" if defense is None else f"{attack} against {TITLES[defense]}: utility left, {row}"
    return measured("attacked_utility", defense, estimate, title=title, params={"attack": attack, "row": row})


def robust(defense: str | None, estimate: float, effect: tuple[float, float, float] | None = None) -> Finding:
    extra: dict[str, Any] = {}
    if effect:
        extra = {"floor": estimate - effect[0], "effect": effect[0], "effect_ci": effect[1:]}
    return measured("robust_utility", defense, estimate, params={"attacks": 2}, **extra)


def findings(gain: tuple[float, float, float] = (0.3, 0.2, 0.4)) -> list[Finding]:
    return [
        robust(None, 0.1),
        robust("wall", 0.4, gain),
        robust("net", 0.1, (0.0, -0.1, 0.1)),
        measured("clean_utility", None, 0.6),
        measured("clean_utility", "wall", 0.5),
        measured("clean_utility", "net", 0.55),
        measured("utility_cost", "wall", 0.1, params={"measure": "ndcg"}),
        measured("utility_cost", "wall", 0.7, params={"measure": "auc"}),
        measured("calls_per_answer", "wall", 10.0),
        left(None, "undefended", "slips", 0.3),
        left(None, "undefended", "search", 0.1),
        left("wall", "replay", "slips", 0.51),
        left("wall", "adaptive", "slips", 0.42),
        left("net", "replay", "search", 0.33),
        measured("certified_hr", "wall", 0.3, params={"edit": "insertion", "r": 1}),
        measured("certified_hr", "wall", 0.5, params={"edit": "insertion", "r": 0}),
    ]


def test_rows_of_a_pair_are_kept_apart() -> None:
    view = defense_view(findings())
    assert view is not None
    assert [line.title for line in view.lines] == ["No defense", "A <b>wall</b>", "A net"]
    assert view.lines[1].figures["utility_cost"].estimate == 0.1  # not the one in AUC
    adaptive, replay = view.grids
    assert [line[0] for line in adaptive.lines] == ["search", "slips"]  # the worst attack first
    assert adaptive.lines[1][2][0].estimate == 0.42  # type: ignore[union-attr]
    assert replay.lines[1][2][0].estimate == 0.51  # type: ignore[union-attr]
    assert adaptive.lines[0][2] == (None, None)
    assert [f.estimate for f in view.certified[0].figures] == [0.5, 0.3]


def test_without_a_comparison_there_is_no_section(make_run: Any) -> None:
    assert defense_view([robust(None, 0.1)]) is None
    run = make_run([measured("ndcg_drop", None, 0.1, params={"attack": "slips"})])
    assert "Which defense holds" not in render([run])


def test_the_plain_sentence_claims_no_more_than_the_interval(make_run: Any) -> None:
    def said(gain: tuple[float, float, float]) -> str:
        remarks = summary(RunView(make_run(findings(gain))))
        return next(r.answer for r in remarks if r.question == "Which defense helps?")

    helps = said((0.3, 0.2, 0.4))
    assert "leaves most under the worst of 2 attacks" in helps
    assert "asks the target 10 times" in helps
    assert said((0.3, -0.1, 0.7)).startswith("None of 2 defenses is shown to leave more")


def test_reports_show_it_and_escape_titles(make_run: Any) -> None:
    run = make_run(findings())
    page = render([run])
    assert "Which defense holds" in page
    assert "A &lt;b&gt;wall&lt;/b&gt;" in page
    assert "<b>wall" not in page
    assert page.index("Adaptive: the attack run again") < page.index("Replay: the edits found")
    text = markdown([run])
    assert "0.420 [0.320, 0.520]" in text
    assert "| r = 0 | r = 1 |" in text


def test_the_plot_joins_what_nothing_beats() -> None:
    view = defense_view(findings())
    assert view is not None
    drawn = str(tradeoff(view))
    (path,) = re.findall(r'class="front" points="([^"]*)"', drawn)
    assert len(path.split()) == 2  # the bare target and the wall; the net keeps less than the bare target
    assert drawn.count('class="spot best"') == 2
    radii = [float(r) for r in re.findall(r'r="([\d.]+)"', drawn)]
    assert radii[1] > radii[0]  # ten calls against one


def test_planted_text_has_a_table_of_its_own() -> None:
    def promoted(metric: str, defense: str | None, estimate: float, **params: Any) -> Finding:
        whom = f" against {TITLES[defense]}" if defense else ""
        title = f"Plea{whom}: items that came among the first 5"
        return measured(metric, defense, estimate, title=title, params={"attack": "plea", **params})

    view = defense_view(
        [
            promoted("psr", None, 0.6),
            promoted("psr", None, 0.9, family="loud"),
            promoted("defended_psr", "wall", 0.2, row="replay"),
        ]
    )
    assert view is not None
    assert not view.lines
    (grid,) = view.grids
    ((title, bare, figures),) = grid.lines
    assert (title, bare.estimate if bare else None) == ("Plea", 0.6)
    assert grid.defenses == ("wall",)
    assert [f.estimate for f in figures if f] == [0.2]
