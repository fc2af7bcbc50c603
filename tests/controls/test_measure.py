"""Measurement: what is seen is counted, a module that always passes or always fails is caught, a kill loses little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audit.controls import Control, controls, measure, trial
from audit.controls.measured import Cell, Claim, Measured
from audit.controls.registry import available
from audit.errors import ConfigError
from audit.findings import Finding


def of(name: str, **changes: object) -> Control:
    found = controls(control=name)[0]
    return replace(found, users=40, sizes=(0.0, found.claimed), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Four repetitions of each cell: enough to count, and done in seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "EFFORTS", {"quick": measure.Effort(claim=4, other=0, users=())})
        yield


@pytest.fixture(scope="module")
def refusals(few: None) -> Measured:
    control = replace(of("refusals"), sizes=(0.0, 0.6), claimed=0.6)
    return measure.measure([control], "quick", processes=1)


def test_a_flaw_that_nobody_can_miss_is_always_seen_and_its_twin_never(refusals: Measured) -> None:
    (claim,) = refusals.claims()
    # Of 40 users some 24 are refused; the rule fails at 5 and the interval of 11 lies above .05 already.
    assert (claim.planted.seen, claim.planted.repetitions) == (4, 4)
    assert claim.clean.seen == 0
    assert claim.planted.truth == 0.6
    assert claim.planted.bias is not None
    assert abs(claim.planted.bias) < 5 * (claim.planted.bias_se or 0)


def test_repetitions_differ_and_are_the_same_again(refusals: Measured) -> None:
    control = replace(of("refusals"), sizes=(0.0, 0.6), claimed=0.6)
    assert refusals.cells[1].bias_se
    assert measure.measure([control], "quick", processes=1).cells == refusals.cells


def verdicts(word: str) -> object:
    """A module whose findings all get one verdict, whatever they are."""

    def about(control: Control, findings: Sequence[Finding]) -> list[Finding]:
        mine = [f for f in findings if (f.module, f.metric) == (control.module, control.metric)]
        return [replace(f, verdict=word) for f in mine]  # type: ignore[arg-type]

    return about


@pytest.mark.parametrize(("word", "detection", "alarms"), [("pass", "misses", "open"), ("fail", "open", "misses")])
def test_a_module_that_always_says_the_same_is_caught(
    monkeypatch: pytest.MonkeyPatch, word: str, detection: str, alarms: str
) -> None:
    monkeypatch.setattr(Control, "about", verdicts(word))
    control = of("repeats", params={"task": "rank"}, truth=lambda _: None)
    (claim,) = measure.measure([control], "quick", processes=1).claims()
    assert (claim.detection, claim.alarms, claim.verdict) == (detection, alarms, "misses")
    assert (claim.planted.rate, claim.clean.rate) == ((0, 0) if word == "pass" else (1, 1))


def test_a_killed_measurement_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: Measured) -> None:
    control, kept = replace(of("refusals"), sizes=(0.0, 0.6), claimed=0.6), tmp_path / "kept.jsonl"
    made: list[int] = []

    def stop(so_far: int, *_: object) -> None:
        made.append(so_far)
        if so_far >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure.measure([control], "quick", processes=1, kept=kept, on_trial=stop)
    assert made == [5]
    with kept.open("a", encoding="utf-8") as file:
        file.write('["refusals", 0.6, 40, 3, tr')  # the line that the kill cut off
    asked: list[int] = []
    real = trial.trial
    monkeypatch.setattr(measure, "trial", lambda *given: (asked.append(1), real(*given))[1])
    resumed = measure.measure([control], "quick", processes=1, kept=kept)
    assert len(asked) == 3
    assert resumed.cells == refusals.cells


def cell(size: float, users: int, seen: int, n: int = 100, **more: object) -> Cell:
    given = {"control": "c", "module": "quality", "title": "C", "claimed": False, **more}
    return Cell(size=size, users=users, repetitions=n, seen=seen, **given)  # type: ignore[arg-type]


def test_the_size_seen_is_taken_between_measured_users_and_the_bracket_is_said() -> None:
    cells = [cell(0.0, 100, 2), cell(0.2, 100, 60), cell(0.4, 100, 100), cell(0.2, 25, 0), cell(0.4, 25, 100)]
    (at_100,) = Measured(tuple(cells), 7, "quick", {}).seeable(100, ["quality"])
    assert at_100.at_80 == pytest.approx(0.3)  # halfway from 60 to 100 %
    assert at_100.between == (100, 100)
    (between,) = Measured(tuple(cells), 7, "quick", {}).seeable(50, ["quality"])
    share = (25**-0.5 - 50**-0.5) / (25**-0.5 - 100**-0.5)
    assert between.at_80 == pytest.approx(0.36 + share * (0.3 - 0.36))
    assert between.between == (25, 100)
    assert (between.alarms, between.clean) == (2, 100)
    (beyond,) = Measured(tuple(cells), 7, "quick", {}).seeable(10_000, ["quality"])
    assert (beyond.at_80, beyond.between) == (pytest.approx(0.3), (100, 100))
    assert Measured(tuple(cells), 7, "quick", {}).seeable(50, ["privacy"]) == []


def test_what_so_few_users_never_see_is_said_to_be_unseen() -> None:
    cells = (cell(0.0, 100, 0), cell(0.4, 100, 100), cell(0.4, 25, 10))
    (found,) = Measured(cells, 7, "quick", {}).seeable(50, ["quality"])
    assert found.at_80 is None


def test_coverage_is_held_against_both_ends() -> None:
    clean = cell(0.0, 100, 0, 400)
    kept = cell(0.2, 100, 400, 400, claimed=True, truth=0.2, judged=4000, covered=3800)
    assert Claim(clean, kept, (kept,)).verdict == "holds"
    for covered in (3600, 3990):  # too narrow, and wider than it says
        wrong = replace(kept, covered=covered)
        assert Claim(clean, wrong, (wrong,)).covering == "misses"


def test_a_measurement_outlives_a_round_trip(refusals: Measured) -> None:
    assert Measured.from_dict(refusals.to_dict()) == refusals


def test_every_control_is_whole() -> None:
    for control in available().values():
        assert control.planted
        assert control.truth(0.0) is None or isinstance(control.truth(0.0), float | int)
        assert control.claimed in control.sizes


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="repeats"):
        controls(control="repeat")
    with pytest.raises(ConfigError, match="fairness"):
        controls(module="fairnes")
    with pytest.raises(ConfigError, match="tests quality"):
        controls(module="fairness", control="repeats")
