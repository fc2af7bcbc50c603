"""A mode that keeps its promise not to profile, and modes that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fairness_world import a_context, small_world
from helpers import Scripted

from audit.findings import Finding
from audit.modules.fairness.profiling import Profiling
from audit.policy import Rule
from audit.seeds import generator
from audit.target import Input
from audit.types import Answer, Ranked, Request

HONOURS = frozenset({Input.HISTORY, Input.ATTRIBUTES, Input.INSTRUCTION})
USERS = 160
OFF = {"personalised": "no"}


def ranks(seed_of: Callable[[Request], tuple[str, ...]], **info: object) -> Scripted:
    """Shuffles the candidates by what a function reads out of the request."""

    def answer(asked: Request) -> Answer:
        items = asked.candidates or ()
        order = generator(1, *seed_of(asked)).permutation(len(items))[: asked.k]
        return Answer(tuple(Ranked(items[i].id, items[i].title) for i in order))

    return Scripted(answer, **{"honours": HONOURS, **info})


def asks_for(request: Request) -> str:
    return ",".join(item.id for item in request.candidates or ())


def profile(request: Request) -> str:
    return ",".join(event.item.id for event in request.user.history)


def switched_off(request: Request) -> bool:
    return request.user.attributes.get("personalised") == "no" or request.instruction.startswith("Do not profile")


def honest(request: Request) -> tuple[str, ...]:
    return (asks_for(request),) if switched_off(request) else (asks_for(request), profile(request))


def liar(request: Request) -> tuple[str, ...]:
    return asks_for(request), profile(request)


def run(target: Scripted, folder: Path, part: Profiling, users: int = USERS) -> dict[str, Finding]:
    context = a_context(target, folder, dataset=small_world(170), users=users, candidates=10)
    assert part.lacking(context) is None
    part.plan(context)
    output = part.run(context, examples=2)
    for finding in output.findings:
        if finding.effect is not None:
            assert np.mean(list(output.values[finding.id].values())) == pytest.approx(finding.effect, abs=1e-9)
    return {str(f.params["swap"]): f for f in output.findings}


@pytest.mark.parametrize("part", [Profiling(set=OFF), Profiling(instruction="Do not profile me.")])
def test_a_kept_promise_is_shown(tmp_path: Path, part: Profiling) -> None:
    found = run(ranks(honest), tmp_path, part)
    for swap in ("history", "attributes"):
        finding = found[swap]
        assert finding.effect == 0.0
        assert finding.level == pytest.approx(0.9)
        assert finding.effect_ci is not None
        assert finding.effect_ci[1] < 0.02
        assert finding.p is not None
        assert finding.p < 0.05
        assert finding.p_adjusted is None
        assert "shown to be equivalent" in finding.note
    assert "in the ordinary mode the same exchange moves answers by 0." in found["history"].note


def test_a_broken_promise_is_found_with_the_users_it_was_broken_to(tmp_path: Path) -> None:
    found = run(ranks(liar), tmp_path, Profiling(set=OFF))
    history = found["history"]
    assert history.effect is not None
    assert history.effect > 0.3
    assert history.effect_ci is not None
    assert history.effect_ci[0] > 0.02
    assert history.p == pytest.approx(1.0)
    assert "not shown" in history.note
    assert len(history.evidence) == 2
    assert found["attributes"].effect == 0.0


def test_a_policy_passes_what_is_shown_and_leaves_the_rest_open(tmp_path: Path) -> None:
    rule = Rule(metric="fairness.profiling_effect", value="effect", max=0.02)

    def verdict(target: Scripted, folder: str, users: int) -> str | None:
        part = Profiling(set=OFF, swaps=["history"])
        return rule.judge(run(target, tmp_path / folder, part, users)["history"]).verdict

    assert verdict(ranks(honest), "kept", USERS) == "pass"
    assert verdict(ranks(honest), "kept, few", 40) == "inconclusive"
    assert verdict(ranks(liar), "broken", USERS) == "fail"


def test_a_promise_broken_to_one_in_forty_is_not_shown(tmp_path: Path) -> None:
    def now_and_then(request: Request) -> tuple[str, ...]:
        return liar(request) if int(request.user.id) % 40 == 0 else (asks_for(request),)

    finding = run(ranks(now_and_then), tmp_path, Profiling(swaps=["history"]))["history"]
    assert finding.effect is not None
    assert 0.0 < finding.effect < 0.02, "the mean alone would pass"
    assert finding.p is not None
    assert finding.p > 0.05


def test_too_few_users_show_nothing(tmp_path: Path) -> None:
    finding = run(ranks(honest), tmp_path, Profiling(set=OFF), users=40)["history"]
    assert finding.effect == 0.0
    assert finding.p is not None
    assert finding.p > 0.05
    assert "not shown" in finding.note


def test_noise_is_no_profiling(tmp_path: Path) -> None:
    """A target that answers differently each time, to everybody."""
    rng = np.random.default_rng(0)

    def noisy(asked: Request) -> Answer:
        items = list(asked.candidates or ())
        if rng.random() < 0.2:
            items[0], items[1] = items[1], items[0]
        return Answer(tuple(Ranked(i.id, i.title) for i in items[: asked.k]))

    target = Scripted(noisy, honours=HONOURS, remote=True)
    finding = run(target, tmp_path, Profiling(swaps=["history"], repeats=4))["history"]
    assert finding.floor is not None
    assert finding.floor > 0.01
    assert finding.p is not None
    assert finding.p < 0.05, "the distances are those of repeats"


def test_refusing_strangers_is_a_difference(tmp_path: Path) -> None:
    context = a_context(Scripted(), tmp_path, dataset=small_world(170), users=USERS, candidates=10)
    own = {c.request.digest for c in context.cases}

    def answer(asked: Request) -> Answer:
        return Answer((Ranked("100"),)) if asked.digest in own else Answer(outcome="refused")

    finding = run(Scripted(answer, honours=HONOURS), tmp_path / "x", Profiling(swaps=["history"]))["history"]
    assert finding.effect is not None
    assert finding.effect > 0.9


def test_several_requests_of_a_user_are_one_unit(tmp_path: Path) -> None:
    def answer(asked: Request) -> Answer:
        return Answer(
            tuple(Ranked(i.id, score=0.5 + 0.1 * len(profile(asked)) % 2 / 4) for i in asked.candidates or ())
        )

    target = Scripted(answer, honours=HONOURS, tasks=("score",))
    context = a_context(target, tmp_path, task="score", users=20)
    users = len(context.cases)
    again = [replace(case, id=f"{case.id}+", request=replace(case.request, k=3)) for case in context.cases]
    context = replace(context, cases=[*context.cases, *again])
    (finding,) = Profiling(swaps=["history"]).run(context, examples=0).findings
    assert finding.n == users


def test_what_cannot_be_asked_says_why(tmp_path: Path) -> None:
    blind = a_context(Scripted(honours=frozenset()), tmp_path / "a")
    assert "reads none of what would be exchanged" in str(Profiling().lacking(blind))
    assert "the target reads none (modules" in str(Profiling(set=OFF).lacking(blind))
    assert "reads no instruction" in str(Profiling(instruction="Off.").lacking(blind))
    context = a_context(ranks(honest, honours=frozenset({Input.HISTORY})), tmp_path / "b", users=10)
    skipped = {f.params["swap"]: f for f in Profiling().run(context, examples=0).findings}
    assert skipped["attributes"].verdict == "not_applicable"
    assert "reads no attributes" in skipped["attributes"].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set": {}}, "set: {} must be attributes"),
        ({"instruction": " "}, "must be words"),
        ({"swaps": ["name"]}, "must be a list of history and attributes"),
        ({"margin": 0.0}, "margin: 0.0 must be between 0 and 1"),
        ({"repeats": 1}, "repeats: 1 must be a whole number of at least 2"),
    ],
)
def test_bad_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Profiling(**options)  # type: ignore[arg-type]
