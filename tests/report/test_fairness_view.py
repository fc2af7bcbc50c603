"""Fairness in a report: effects against their limit, groups and what is suppressed, genres, selections, mitigations."""

from __future__ import annotations

from typing import Any

from audit.findings import Finding, not_applicable
from audit.policy import Rule
from audit.report.fairness import fairness_view
from audit.report.markdown import fairness
from audit.report.plots import forest


def found(metric: str, estimate: float, *, width: float = 0.05, **fields: Any) -> Finding:
    params = fields.pop("params")
    effect = fields.pop("effect", None)
    return Finding(
        "fairness",
        metric,
        fields.pop("title", metric),
        params,
        estimate=estimate,
        ci=(estimate - width, estimate + width),
        n=40,
        effect=effect,
        effect_ci=None if effect is None else (effect - width, effect + width),
        **fields,
    )


def stated(value: str, effect: float, **fields: Any) -> Finding:
    params = {"part": "sweep", "attribute": "gender", "value": value, "form": "clean"}
    return found("excess_distance", effect + 0.1, effect=effect, floor=0.1, threshold=0.02, params=params, **fields)


def test_nothing_about_fairness_is_no_view() -> None:
    assert fairness_view([]) is None
    assert fairness_view([not_applicable("fairness", "snsr", "t", "why", {})]) is None
    assert fairness_view([Finding("quality", "ndcg", "t", estimate=0.5, ci=(0.4, 0.6))]) is None


def test_stated_values_stand_by_attribute_and_size_in_the_band_of_the_limit() -> None:
    view = fairness_view([stated("male", 0.01, verdict="pass"), stated("female", 0.3, verdict="fail")])
    assert view is not None
    (chart,) = view.charts
    assert chart.band == (None, 0.02), "an effect below 0 passes: the band has no lower end"
    ((attribute, marks),) = chart.marks
    assert attribute == "gender"
    assert [m.label for m in marks] == ["female", "male"]
    assert marks[0].span == (0.25, 0.3, 0.35)
    drawn = str(forest(chart))
    assert "gender, female 0.300 [0.250, 0.350], fail" in drawn
    assert drawn.count('class="v-') == 2


def test_a_chart_says_how_many_lines_found_no_room() -> None:
    view = fairness_view([stated(f"v{n}", n / 100) for n in range(60)])
    assert view is not None
    assert view.charts[0].left_out == 20
    assert sum(len(marks) for _, marks in view.charts[0].marks) == 40


def test_room_goes_to_what_tells_most_wherever_it_stands() -> None:
    def lean(attribute: str, value: str, name: str, size: float) -> Finding:
        params = {"part": "stereotypes", "attribute": attribute, "value": value, "against": "the others", "name": name}
        return found("association", size, p=0.5, p_adjusted=0.001 if abs(size) > 0.4 else 1.0, params=params)

    weak = [lean("gender", "female", f"genre {n}", n / 1000) for n in range(60)]
    view = fairness_view([*weak, lean("gender", "female", "Action", -0.9), lean("age", "young", "Crime", 0.5)])
    assert view is not None
    (chart,) = view.charts
    drawn = {(name, m.label) for name, marks in chart.marks for m in marks}
    assert {("gender: female", "Action"), ("age: young", "Crime")} <= drawn
    assert chart.left_out == 22


def refused(value: str, share: float, **fields: Any) -> Finding:
    params = {"part": "sweep", "attribute": "gender", "value": value, "kind": "invalid"}
    return Rule(metric="fairness.invalid_gap", max=0.02).judge(found("invalid_gap", share, params=params, **fields))


def test_refusals_are_drawn_where_there_are_any_and_a_signal_says_what_is_missing() -> None:
    assert fairness_view([refused("female", 0.0)]).charts == ()  # type: ignore[union-attr]
    view = fairness_view([refused("female", 0.0), refused("non-binary", 0.4, unmet=("p is 0.1",))])
    assert view is not None
    (chart,) = view.charts
    assert chart.signals == [("gender: non-binary", "p is 0.1")]
    assert "non-binary 0.400 [0.350, 0.450], open, beyond the limit and not decided" in str(forest(chart))


def test_markdown_holds_the_same_and_escapes_it() -> None:
    base = {"part": "groups", "attribute": "job", "measure": "ndcg"}
    view = fairness_view(
        [
            refused("a | <b>", 0.4, unmet=("p is 0.1",)),
            found("group_quality", 0.4, params={**base, "group": "poet"}),
            not_applicable("fairness", "quality_gap", "t", "too few: miner (3)", {**base, "group": "(small)"}),
            found("selection_rate", 0.3, params={"part": "hiring", "attribute": "sex", "group": "F"}),
        ]
    )
    assert view is not None
    text = "\n\n".join(fairness(view))
    assert "Beyond the limit, and not decided: gender: a " in text
    assert "<b>" not in text
    assert "a | " not in text
    assert "Suppressed: too few: miner (3)." in text.replace("\\", "")
    assert "Not legal advice." in text


def test_a_foreign_label_is_escaped() -> None:
    view = fairness_view([stated("<script>alert(1)</script>", 0.1)])
    assert view is not None
    drawn = str(forest(view.charts[0]))
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn


def test_genres_show_the_users_own_lean_beside() -> None:
    def lean(group: str, value: float) -> Finding:
        params = {
            "part": "stereotypes",
            "attribute": "gender",
            "group": group,
            "against": "the others",
            "feature": "genres",
            "name": "Romance",
        }
        return found("amplification", value, effect=value - 0.2, floor=0.2, params=params)

    view = fairness_view([lean("F", 0.5), lean("M", -0.5)])
    assert view is not None
    (chart,) = view.charts
    ((section, (mark,)),) = chart.marks
    assert section == "gender: F", "of two groups one is drawn: the other leans as far the other way"
    assert mark.beside == 0.2
    assert 'class="beside"' in str(forest(chart))


def test_groups_have_gap_and_adjusted_gap_and_say_what_is_suppressed() -> None:
    base = {"part": "groups", "attribute": "job"}
    quality = found("group_quality", 0.4, params={**base, "group": "poet", "measure": "ndcg"})
    gap = found(
        "quality_gap", 0.1, mde=0.2, p=0.1, params={**base, "group": "poet", "measure": "ndcg", "adjusted": False}
    )
    equal = found("quality_gap", 0.02, params={**base, "group": "poet", "measure": "ndcg", "adjusted": True})
    small = not_applicable("fairness", "quality_gap", "t", "too few: miner (3)", {**base, "group": "(small)"})
    view = fairness_view([quality, gap, equal, small])
    assert view is not None
    (table,) = view.groups
    (line,) = table.lines
    assert (line.quality, line.gap, line.adjusted) == (quality, gap, equal)
    assert table.suppressed == "too few: miner (3)"


def test_exposure_is_held_against_four_fifths_and_five_quarters() -> None:
    params = {"part": "exposure", "column": "genres", "reference": "history", "group": "War"}
    view = fairness_view([found("exposure_ratio", 0.5, threshold=0.8, verdict="fail", params=params)])
    assert view is not None
    assert (view.charts[0].band, view.charts[0].middle) == ((0.8, 1.25), 1.0)


def test_selections_stand_with_their_ratio() -> None:
    params = {"part": "hiring", "attribute": "sex", "group": "F"}
    rate = found("selection_rate", 0.3, params=params)
    ratio = found("impact_ratio", 0.75, params={**params, "rate": "selection"})
    view = fairness_view([rate, ratio])
    assert view is not None
    assert [(s.group, s.rate, s.ratio) for s in view.selections] == [("F", "selection", ratio)]


def test_a_mitigation_shows_what_was_held_to_a_limit_and_what_surely_changed() -> None:
    held = stated("female", 0.3, verdict="fail")
    free = found("gini", 0.5, params={"part": "exposure"})

    def changed(of: Finding, p: float) -> Finding:
        params = {"defense": "strip", "finding": of.id, "of": of.metric}
        return found("mitigation_change", -0.2, p=p, p_adjusted=p, params=params)

    view = fairness_view([held, free, changed(held, 0.5), changed(free, 0.5)])
    assert view is not None
    assert [after.params["of"] for _, after in view.moved[0].held] == ["excess_distance"]
    assert view.moved[0].others == ()
    passed = stated("male", 0.0, verdict="pass")
    view = fairness_view([passed, changed(passed, 0.5)])
    assert view is not None
    assert view.moved[0].held == (), "what passes and stays as it is tells nothing"
    view = fairness_view([held, free, changed(held, 0.5), changed(free, 0.001)])
    assert view is not None
    assert [after.params["of"] for _, after in view.moved[0].held] == ["excess_distance"]
    assert [f.params["of"] for f in view.moved[0].others] == ["gini"]
