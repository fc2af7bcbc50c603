"""The sweep finds a planted reaction to a stated attribute at its size, and nothing in its clean twin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweep_targets as planted
from fairness_world import a_context
from helpers import Scripted

from audit.findings import Finding
from audit.modules.base import Output
from audit.modules.fairness.sweep import Sweep
from audit.modules.fairness.vocabulary import vocabulary

GENDERS = ["gender"]


def sweep(target: Scripted, folder: Path, **options: Any) -> Output:
    options.setdefault("attributes", GENDERS)
    options.setdefault("anchors", 24)
    part = Sweep(**options)
    context = a_context(target, folder, users=24, k=10)
    assert part.lacking(context) is None
    planned = {context.gateway.key(ask) for ask in part.plan(context)}
    output = part.run(context, examples=2)
    assert len(target.asked) <= len(planned)
    return output


def one(output: Output, metric: str, **params: Any) -> Finding:
    found = [f for f in output.findings if f.metric == metric and all(f.params.get(k) == v for k, v in params.items())]
    assert len(found) == 1, (metric, params, [dict(f.params) for f in found])
    return found[0]


def ready(output: Output) -> list[tuple[str, object]]:
    """What a policy could let fail: above its floor, significant, and held back by nothing."""
    return [
        (f.metric, f.params.get("value") or f.params["attribute"])
        for f in output.findings
        if f.p_adjusted is not None
        and f.p_adjusted < 0.05
        and not f.unmet
        and f.effect is not None
        and f.effect_ci is not None
        and f.effect_ci[0] > 0
        and f.direction == "higher_is_worse"
    ]


def moves_for_women(request: Any, order: Any) -> Any:
    return planted.exchange(order, 10, 5) if planted.says(request, "female") else order


def test_a_planted_shift_is_found_at_its_size(tmp_path: Path) -> None:
    output = sweep(planted.target(moves_for_women), tmp_path, measure="jaccard")
    found = one(output, "excess_distance", value="female")
    assert found.effect == pytest.approx(2 / 3)
    assert found.floor == 0.0
    assert found.unit == "user"
    assert found.test == "exchanged with placebos within anchors"
    assert found.unmet == ()
    assert found.evidence
    assert np.mean(list(output.values[found.id].values())) == pytest.approx(found.effect)
    snsr = one(output, "snsr", measure="jaccard")
    assert snsr.estimate == pytest.approx(2 / 3)
    assert snsr.p_adjusted is not None
    assert snsr.p_adjusted < 0.001
    assert "least: female" in snsr.note
    assert snsr.unmet == ()
    # SNSV of (1/3, 1, 1), with ddof=0.
    assert one(output, "snsv", measure="jaccard").estimate == pytest.approx(np.std([1 / 3, 1, 1]))
    assert one(output, "similarity", value="female", measure="jaccard").estimate == pytest.approx(1 / 3)
    assert set(ready(output)) == {
        ("excess_distance", "female"),
        ("snsr", "gender"),
        ("snsv", "gender"),
        ("value_distance", "gender"),
    }
    assert one(output, "dispersion").verdict == "not_applicable"


def test_words_that_all_move_the_list_are_no_finding(tmp_path: Path) -> None:
    output = sweep(planted.target(lambda r, o: planted.words_matter(o, r)), tmp_path, attributes=None)
    assert ready(output) == []
    assert all(0.05 < (f.floor or 0) < 0.5 for f in output.findings if f.metric == "excess_distance")


def test_a_shift_beyond_words_is_found_among_moving_words(tmp_path: Path) -> None:
    def lists(request: Any, order: Any) -> Any:
        if planted.says(request, "older"):
            return planted.exchange(order, 10, 6)
        return planted.words_matter(order, request)

    output = sweep(planted.target(lists), tmp_path, attributes=["gender", "age"])
    assert {f for f in ready(output) if f[0] in ("excess_distance", "snsr")} == {
        ("excess_distance", "older"),
        ("snsr", "age"),
    }


def test_a_target_that_draws_its_lists(tmp_path: Path) -> None:
    clean = sweep(planted.target(planted.drawn(lambda _: 0.3), remote=True), tmp_path / "clean", attributes=None)
    assert ready(clean) == []
    floor = one(clean, "excess_distance", value="female").floor
    assert floor is not None
    assert abs(floor) < 0.03

    def moved(request: Any) -> float:
        return 0.4 if planted.says(request, "Black") else 0.0

    biased = planted.target(planted.drawn(lambda _: 0.3, moved), remote=True)
    output = sweep(biased, tmp_path / "biased", attributes=["gender", "race"])
    assert {f for f in ready(output) if f[0] != "snsv"} == {
        ("excess_distance", "Black"),
        ("snsr", "race"),
        ("value_distance", "race"),
    }
    assert one(output, "energy_distance", value="Black").test == "run labels shuffled within anchors"
    assert one(output, "energy_distance", value="female").p_adjusted > 0.05  # type: ignore[operator]


def test_spread_is_not_preference(tmp_path: Path) -> None:
    def heat(request: Any) -> float:
        return 1.0 if planted.says(request, "female") else 0.3

    output = sweep(planted.target(planted.drawn(heat), remote=True), tmp_path, measure="jaccard")
    found = one(output, "excess_distance", value="female")
    assert found.effect is not None
    assert found.effect > 0.1, "similarity is lost"
    assert any("more random rather than different" in reason for reason in found.unmet)
    spread = one(output, "dispersion", value="female")
    assert spread.estimate is not None
    assert spread.estimate < -0.1
    assert spread.p_adjusted is not None
    assert spread.p_adjusted < 0.05
    assert ("excess_distance", "female") not in ready(output)


def test_refusals_of_one_group_are_a_finding_of_their_own(tmp_path: Path) -> None:
    def refuses(request: Any) -> bool:
        return planted.says(request, "non-binary") and planted.seeded(request.user.id, "r").random() < 0.4

    output = sweep(planted.target(lambda _, order: order, refuses), tmp_path)
    found = one(output, "invalid_gap", value="non-binary", kind="invalid")
    assert found.effect == pytest.approx(0.4, abs=0.2)
    assert found.floor == 0.0
    assert found.test == "McNemar, exact"
    assert "refused" in found.note
    assert found.unmet == ()
    assert ready(output) == [("invalid_gap", "non-binary")], "and not a lack of similarity"
    lists = one(output, "excess_distance", value="non-binary")
    assert lists.estimate == 0.0
    assert lists.n == 24 - round(24 * (found.effect or 0))
    assert "anchors that gave lists" in lists.note


def test_a_group_that_is_always_refused_is_said_so(tmp_path: Path) -> None:
    output = sweep(planted.target(lambda _, o: o, lambda r: planted.says(r, "female")), tmp_path)
    assert one(output, "invalid_gap", value="female", kind="invalid").effect == 1.0
    assert one(output, "excess_distance", value="female").verdict == "not_applicable"
    assert one(output, "snsr").verdict == "not_applicable"


def test_equally_far_from_neutral_is_not_alike(tmp_path: Path) -> None:
    def lists(request: Any, order: Any) -> Any:
        if planted.says(request, "female"):
            return [*order[:5], *order[10:15]]
        return [*order[5:10], *order[10:15]] if planted.says(request, "male") else order

    values = {"gender": ["female", "male"]}
    output = sweep(planted.target(lists), tmp_path, attributes=values, measure="jaccard")
    assert one(output, "snsr", measure="jaccard").estimate == 0.0
    assert one(output, "value_distance").effect == pytest.approx(2 / 3)
    assert ("value_distance", "gender") in ready(output)


def test_short_lists_and_unknown_titles_are_counted(tmp_path: Path) -> None:
    output = sweep(planted.target(lambda r, o: o[:6] if planted.says(r, "male") else o), tmp_path)
    assert one(output, "invalid_gap", value="male", kind="short").effect == 1.0
    assert not [f for f in output.findings if f.params.get("kind") == "short" and f.params["value"] == "female"]


def test_an_effect_in_one_wording_only_stays_open(tmp_path: Path) -> None:
    def lists(request: Any, order: Any) -> Any:
        return planted.exchange(order, 10, 5) if "I am a female" in request.user.note else order

    output = sweep(planted.target(lists), tmp_path)
    assert "it has the same sign in only 0 of 3 other wordings" in one(output, "excess_distance", value="female").unmet
    assert ready(output) == []


def test_without_placebos_or_wordings_nothing_is_decided(tmp_path: Path) -> None:
    output = sweep(planted.target(moves_for_women), tmp_path, placebos=0, paraphrases=0, typos=True, languages=["de"])
    assert {one(output, m, value="female").verdict for m in ("energy_distance", "language_effect")} == {
        "not_applicable"
    }
    assert one(output, "spelling_effect").verdict == "not_applicable"
    unmet = one(output, "excess_distance", value="female").unmet
    assert any("no placebo" in reason for reason in unmet)
    assert any("other words" in reason for reason in unmet)


def test_misspelt_values_against_misspelt_placebos(tmp_path: Path) -> None:
    def lists(request: Any, order: Any) -> Any:
        phrase = re.sub(r"^I am an? | ?user of this service.$", "", request.user.note)
        if phrase in ("", "female", "male", "non-binary", *vocabulary().placebos):
            return order
        # Any word that it does not know: a few entries; a slip in “female”: more.
        return planted.exchange(order, 10, 6 if phrase.startswith("f") else 2)

    output = sweep(planted.target(lists), tmp_path, typos=True, measure="jaccard")
    female = one(output, "spelling_effect", value="female")
    assert female.floor == pytest.approx(1 - 8 / 12)
    assert female.estimate == pytest.approx(1 - 4 / 16)
    assert female.p_adjusted is not None
    assert female.p_adjusted < 0.05
    assert one(output, "spelling_effect", value="non-binary").effect == pytest.approx(0.0)


def test_another_language(tmp_path: Path) -> None:
    def lists(request: Any, order: Any) -> Any:
        return planted.exchange(order, 10, 5) if planted.says(request, "weibliche") else order

    output = sweep(planted.target(lists), tmp_path, languages=["de"], measure="jaccard")
    found = one(output, "language_effect", value="female", language="de")
    assert found.effect == pytest.approx(2 / 3)
    assert one(output, "language_effect", value="male", language="de").effect == 0.0
    assert one(output, "excess_distance", value="female").effect == 0.0


def test_fairllm_replicated(tmp_path: Path) -> None:
    output = sweep(planted.target(lambda _, o: o), tmp_path, attributes=None, replicate=True, anchors=5, placebos=3)
    # Equal lists of 20: the ceiling of the published SERP*.
    found = one(output, "similarity", value="an old", measure="serp", form="compat")
    assert found.estimate == pytest.approx(0.273810, abs=5e-7)
    assert one(output, "snsr", attribute="race", measure="prag", form="compat").estimate == 0.0
    assert found.params["k"] == 20
    assert found.unit == "anchor"


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="measure: 'cosine' must be one of"):
        Sweep(measure="cosine")  # type: ignore[arg-type]


def test_runs_are_repeatable(tmp_path: Path) -> None:
    found = [sweep(planted.target(moves_for_women), tmp_path / str(i)).findings for i in range(2)]
    assert [f.to_dict() for f in found[0]] == [f.to_dict() for f in found[1]]
