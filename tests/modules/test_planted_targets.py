"""Whole audits of targets built to have exactly one property: the findings must say so, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Scripted, write_world

from audit.data.dataset import Dataset
from audit.findings import Finding, Param
from audit.modules.robustness.costs import COST_METRICS
from audit.run import Run
from audit.runner import prepare, run_audit
from audit.store import Store
from audit.target import Input
from audit.types import Answer, Item, Ranked, Request, Usage

K = 5
INSTRUCTION = "Please rank these films for the user."
Order = Callable[[Request], list[Item]]


@pytest.fixture(scope="module")
def config(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    block = write_world(world, tmp_path_factory.mktemp("files"))
    return {"dataset": {**block, "candidates": 10, "sample": 40, "k": K}}


@pytest.fixture(scope="module")
def truth(config: dict[str, Any]) -> dict[str, str]:
    """The true next item of each user: what only a planted target may know."""
    cases = prepare(config, target=Scripted()).cases
    return {case.request.user.id: next(iter(case.relevant)) for case in cases}


@pytest.fixture
def audited(config: dict[str, Any], tmp_path: Path) -> Any:
    """Audit a target that orders the candidates."""
    store = Store(tmp_path / "runs.sqlite")

    def audit(answer: Callable[[Request], Answer], change: dict[str, Any] | None = None, **info: Any) -> Run:
        honours = frozenset({Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT})
        declared = {"honours": honours, "instructions": {"rank": INSTRUCTION}, **info}
        return run_audit({**config, **(change or {})}, target=Scripted(answer, **declared), store=store)

    yield audit
    store.close()


def listing(order: Order) -> Callable[[Request], Answer]:
    return lambda asked: Answer(tuple(Ranked(item.id, item.title) for item in order(asked)[: asked.k]))


def best_first(truth: dict[str, str]) -> Order:
    """The true item first, the others by id: good, and disturbed by nothing."""

    def order(asked: Request) -> list[Item]:
        return sorted(asked.candidates or (), key=lambda item: (item.id != truth[asked.user.id], item.id))

    return order


def pick(run: Run, name: str, **params: Param) -> list[Finding]:
    return [f for f in run.findings if f.name == name and params.items() <= dict(f.params).items()]


def one(run: Run, name: str, **params: Param) -> Finding:
    found = pick(run, name, **params)
    assert len(found) == 1, [(f.name, dict(f.params)) for f in run.findings]
    return found[0]


def attacked(run: Run) -> list[Finding]:
    """What attacks did to the answers: not what they cost."""
    found = [f for f in run.findings if f.module == "robustness" and "attack" in f.params and f.estimate is not None]
    return [f for f in found if f.metric not in COST_METRICS]


def test_a_target_that_ignores_its_input_is_seen(audited: Any) -> None:
    run = audited(listing(lambda asked: sorted(asked.candidates or (), key=lambda item: item.id)))
    for ablation in ("history_emptied", "history_shuffled", "history_replaced"):
        use = one(run, "quality.history_use", ablation=ablation)
        assert use.estimate == 0
        assert use.ci is not None
        assert use.ci[0] <= 0 <= use.ci[1]
        assert one(run, "quality.history_effect", ablation=ablation).estimate == 0
        changes = one(run, "quality.history_change_rate", ablation=ablation)
        # Wilson's upper end for none of 40 users is z² / (40 + z²).
        assert (changes.estimate, changes.ci) == (0, (0, pytest.approx(1.959964**2 / (40 + 1.959964**2))))
    assert one(run, "quality.history_use", ablation="history_emptied").verdict == "inconclusive"
    assert one(run, "quality.history_change_rate", ablation="history_emptied").verdict == "fail"
    for finding in attacked(run):
        assert finding.estimate == 0
        assert finding.verdict != "fail"
        assert finding.effect in (0, None)


def test_a_good_and_stable_ranker_passes(audited: Any, truth: dict[str, str]) -> None:
    run = audited(listing(best_first(truth)))
    assert one(run, "quality.hr", k=K).estimate == 1
    assert one(run, "quality.ndcg", k=K).estimate == 1
    assert one(run, "quality.lift_over_anchor", anchor="popularity").verdict == "pass"
    flips = pick(run, "robustness.flip_rate")
    assert {f.params.get("attack", f.params.get("control")) for f in flips} >= {
        "repeat",
        "typos",
        "random-words",
        "random-items",
        "negation",
    }
    assert {f.estimate for f in flips} == {0}
    assert not [f for f in run.findings if f.module == "robustness" and f.verdict == "fail"]


def test_a_list_that_turns_on_one_word_is_seen(audited: Any, truth: dict[str, str]) -> None:
    good = best_first(truth)

    def turned(asked: Request) -> list[Item]:
        return good(asked)[::-1] if " not " in asked.instruction else good(asked)

    run = audited(listing(turned))
    flip = one(run, "robustness.flip_rate", attack="negation")
    assert (flip.estimate, flip.floor, flip.effect, flip.verdict) == (1, 0, 1, "fail")
    assert one(run, "robustness.asr", attack="negation").estimate == 1
    assert {f.estimate for f in pick(run, "robustness.flip_rate") if f.params.get("attack") != "negation"} == {0}
    # A person can open what happened.
    shown = run.evidence(flip.evidence)
    assert len(shown) == 40
    first = shown[flip.evidence[0]]
    assert "rank 1 before, not listed after" in first.note
    assert first.before is not None
    assert first.after is not None
    asked = run.store.requests([first.before, first.after])
    assert asked[first.before].instruction == INSTRUCTION
    assert asked[first.after].instruction == INSTRUCTION.replace("rank", "do not rank")


def test_a_list_that_turns_on_one_letter_is_seen(audited: Any, truth: dict[str, str]) -> None:
    good = best_first(truth)

    def brittle(asked: Request) -> list[Item]:
        return good(asked) if "films" in asked.instruction else good(asked)[::-1]

    run = audited(listing(brittle))
    # Three of the five words of four letters and more are misspelled, so "films" in three of five requests.
    flip = one(run, "robustness.flip_rate", attack="typos")
    assert flip.ci is not None
    assert flip.ci[0] <= 3 / 5 <= flip.ci[1]
    assert flip.verdict == "fail"
    assert one(run, "robustness.flip_rate", attack="random-items").estimate == 0


def test_noise_is_reported_as_noise(audited: Any) -> None:
    rng = np.random.default_rng(5)
    run = audited(listing(lambda asked: [asked.candidates[i] for i in rng.permutation(len(asked.candidates))]))  # type: ignore[index,arg-type]
    repeat = one(run, "robustness.flip_rate", control="repeat")
    # A shuffle of ten keeps a hit among the first five with probability one half.
    assert repeat.ci is not None
    assert repeat.ci[0] <= 0.5 <= repeat.ci[1]
    assert one(run, "robustness.rbo_loss", control="repeat").verdict == "fail"
    effects = [f for f in attacked(run) if f.effect is not None]
    assert effects
    assert all(f.floor is not None for f in effects)
    assert not [f for f in effects if f.p_adjusted is not None and f.p_adjusted < 0.05]
    assert not [f for f in attacked(run) if f.threshold is not None and f.verdict == "fail"]


@pytest.mark.parametrize(
    ("outcome", "metric"), [("unparsable", "unparsable_rate"), ("refused", "refused_rate"), ("error", "error_rate")]
)
def test_answers_that_cannot_be_read_are_counted_and_never_robust(audited: Any, outcome: Any, metric: str) -> None:
    run = audited(lambda _: Answer(outcome=outcome, text="I'm sorry", detail="no list"))
    rates = {
        f.metric: f.estimate for f in run.findings if f.metric in {"unparsable_rate", "refused_rate", "error_rate"}
    }
    assert rates == {**dict.fromkeys(("unparsable_rate", "refused_rate", "error_rate"), 0), metric: 1}
    assert one(run, f"quality.{metric}").verdict == "fail"
    assert one(run, "quality.hr").estimate == 0
    assert not [f for f in run.findings if f.module == "robustness" and f.verdict == "pass"]
    assert run.gate().exit_code == 1


def test_an_attack_that_silences_the_target_is_counted_as_that(audited: Any, truth: dict[str, str]) -> None:
    good = listing(best_first(truth))
    run = audited(lambda asked: Answer(outcome="refused") if " not " in asked.instruction else good(asked))
    assert one(run, "robustness.invalid_rate", attack="negation").estimate == 1
    assert one(run, "robustness.invalid_rate", attack="typos").estimate == 0
    assert one(run, "robustness.invalid_rate", attack="negation").verdict == "fail"
    assert one(run, "robustness.asr", attack="negation").estimate == 1
    # No clean hit was exchanged for another list: a refusal is no flip.
    assert one(run, "robustness.flip_rate", attack="negation").verdict != "pass"


def test_faults_of_a_list_are_counted_apart(audited: Any) -> None:
    def faulty(asked: Request) -> Answer:
        known = {event.item.id for event in asked.user.history}  # the next item may be one seen before
        first, second, *_ = (item for item in asked.candidates or () if item.id not in known)
        met = asked.user.history[0].item
        return Answer(
            (Ranked(first.id), Ranked(first.id), Ranked(met.id), Ranked(None, "A Film Nobody Made"), Ranked(second.id))
        )

    run = audited(faulty)
    rates = {f.metric: f.estimate for f in run.findings if f.module == "quality" and f.metric.endswith("_rate")}
    assert rates.pop("history_change_rate") > 0  # it names what the user had first
    assert rates == {
        **dict.fromkeys(rates, 0),
        "absent_rate": 0.2,
        "duplicate_rate": 0.2,
        "history_repeat_rate": 0.2,
        "outside_candidates_rate": 0.2,
    }
    short = audited(listing(lambda asked: list(asked.candidates or ())[:2]))
    assert one(short, "quality.too_few_rate").estimate == 1


def test_late_answers_are_counted_among_those_that_came(audited: Any, truth: dict[str, str]) -> None:
    good = listing(best_first(truth))
    took = dict(zip(sorted(truth), [3.5] * 6 + [0.5] * 30 + [9.0] * 4, strict=True))

    def served(asked: Request) -> Answer:
        seconds = took[asked.user.id]
        answer = Answer(outcome="error", detail="timed out") if seconds == 9.0 else good(asked)
        return replace(answer, usage=Usage(seconds=seconds))

    run = audited(served, {"modules": {"quality": {"slow_s": 2}}})
    late = one(run, "quality.slow_rate", task="rank", limit_s=2)
    assert (late.estimate, late.n) == (pytest.approx(6 / 36), 36)
    assert "4 more failed" in late.note
    assert late.verdict is None  # how long is too long is the owner's to say
    assert len(late.evidence) == 5
    assert one(audited(served, {"modules": {"quality": {}}}), "quality.slow_rate").estimate == 0


def test_a_target_that_never_answers_has_no_pace(audited: Any) -> None:
    run = audited(lambda _: Answer(outcome="error", usage=Usage(seconds=60)), {"modules": {"quality": {}}})
    assert one(run, "quality.slow_rate").verdict == "not_applicable"
    for change in pick(run, "quality.history_change_rate"):
        assert change.verdict == "not_applicable"
        assert "no answer could be read" in change.reason


def test_a_target_without_words_says_what_could_not_be_tested(audited: Any, truth: dict[str, str]) -> None:
    run = audited(listing(best_first(truth)), honours=frozenset({Input.HISTORY}), instructions={})
    for attack in ("typos", "random-words", "negation"):
        finding = one(run, "robustness.flip_rate", attack=attack)
        assert finding.verdict == "not_applicable"
        assert "does not read" in finding.reason
    blind = audited(listing(best_first(truth)), honours=frozenset(), instructions={})
    assert one(blind, "quality.history_use").verdict == "not_applicable"
    assert one(blind, "quality.history_change_rate").verdict == "not_applicable"


# Scorers --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scoring(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same users, all active over the whole time, so that a temporal split leaves each of them a past."""
    frame = world.interactions.copy()
    frame["time"] = frame.groupby("user").cumcount() * 1000.0 + frame["user"].astype(float)
    same = Dataset(world.name, world.catalog, frame, world.users, world.rating_scale, world.like_above)
    block = write_world(same, tmp_path_factory.mktemp("scoring"))
    return {"dataset": {**block, "sample": 40, "history": 10, "targets": 4}}


def scorer(score: Callable[[Request, Item], float]) -> Callable[[Request], Answer]:
    return lambda asked: Answer(tuple(Ranked(item.id, score=score(asked, item)) for item in asked.candidates or ()))


def mean_rating(asked: Request, _: Item) -> float:
    ratings = [e.rating or 0.0 for e in asked.user.history]
    return sum(ratings) / len(ratings) / 5


def test_a_scorer_that_knows_only_the_user_has_a_uauc_of_one_half(audited: Any, scoring: dict[str, Any]) -> None:
    run = audited(scorer(mean_rating), scoring, tasks=("score",), instructions={})
    uauc = one(run, "quality.uauc")
    assert uauc.estimate == 0.5
    assert uauc.verdict != "pass"
    assert 0 < one(run, "quality.calibration_error").estimate < 1  # type: ignore[operator]
    assert one(run, "quality.lift_over_anchor", anchor="like share", metric="uauc").estimate == 0


def test_a_perfect_scorer_is_perfect_and_turns_only_where_it_is_planted(
    audited: Any, scoring: dict[str, Any], world: Dataset
) -> None:
    rated = {(u, i): r for u, i, r in world.interactions[["user", "item", "rating"]].itertuples(index=False)}

    def known(asked: Request, item: Item) -> float:
        liked = rated[(asked.user.id, item.id)] > 3
        return 0.9 if liked != (" not " in asked.instruction) else 0.1

    told = {"score": "Will the user like this film? Answer Yes or No."}
    run = audited(scorer(known), scoring, tasks=("score",), instructions=told)
    assert one(run, "quality.auc").estimate == 1
    assert one(run, "quality.uauc").estimate == 1
    assert one(run, "robustness.auc_drop", attack="negation").estimate == 1
    assert one(run, "robustness.flip_rate", attack="negation").estimate == 1
    for attack in ("typos", "random-words", "random-items"):
        assert one(run, "robustness.auc_drop", attack=attack).estimate == 0
        assert one(run, "robustness.flip_rate", attack=attack).estimate == 0


@pytest.mark.parametrize(("noise", "share"), [(0.0, 0.0), (1e-5, 0.0), (0.1, 1.0)])
def test_scores_are_held_to_the_history_by_their_values(
    audited: Any, scoring: dict[str, Any], noise: float, share: float
) -> None:
    """One candidate a case has no order that could change; and the last digits of a score are the batch's."""
    one_each = {"dataset": {**scoring["dataset"], "targets": 1}, "modules": {"quality": {}}}

    def score(asked: Request, item: Item) -> float:
        return 0.008 * (1 + int(item.id) % 100) * (1 + noise * (len(asked.user.history) > 0))

    run = audited(scorer(score), one_each, tasks=("score",), instructions={})
    assert one(run, "quality.history_change_rate", ablation="history_emptied").estimate == share


def test_scores_that_cannot_be_read_are_counted(audited: Any, scoring: dict[str, Any]) -> None:
    run = audited(scorer(lambda *_: float("nan")), scoring, tasks=("score",), instructions={})
    assert one(run, "quality.unparsable_rate").estimate == 1
    assert one(run, "quality.auc").verdict == "not_applicable"
    assert not [f for f in run.findings if f.module == "robustness" and f.verdict == "pass"]
