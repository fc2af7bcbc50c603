"""An attack stops at a planned look once the policy can judge it, and says so; switched off, it asks everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import Scripted, write_world
from world import make_world

from audit.run import Run
from audit.runner import prepare, run_audit
from audit.store import Store
from audit.target import Input
from audit.types import Answer, Ranked, Request

LENGTH = 8
INSTRUCTION = "Please rank these films for the user."


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    block = write_world(make_world(users=90), tmp_path_factory.mktemp("files"))
    return {"dataset": {**block, "candidates": 10, "sample": 80, "k": 5, "history": LENGTH}}


def audited(config: dict[str, Any], path: Path, attacks: list[str], *, sequential: bool) -> Run:
    """A target that knows the truth, unless its instruction was touched or its history has grown."""
    truth: dict[str, str] = {}

    def answer(asked: Request) -> Answer:
        right = truth[asked.user.id]
        untouched = asked.instruction == INSTRUCTION and len(asked.user.history) == LENGTH
        sign = 1 if untouched else -1
        order = sorted(asked.candidates or (), key=lambda item: (sign * (item.id != right), item.id))
        return Answer(tuple(Ranked(item.id, item.title) for item in order[: asked.k]))

    target = Scripted(
        answer,
        honours=frozenset({Input.INSTRUCTION, Input.HISTORY}),
        instructions={"rank": INSTRUCTION},
    )
    block = {**config, "modules": {"robustness": {"attacks": attacks, "sequential": sequential}}}
    truth |= {c.request.user.id: next(iter(c.relevant)) for c in prepare(block, target=target).cases}
    return run_audit(block, target=target, store=Store(path))


def of(run: Run, metric: str, attack: str) -> Any:
    return next(f for f in run.findings if f.metric == metric and f.params.get("attack") == attack)


def test_what_is_settled_half_way_is_asked_no_further(config: dict[str, Any], tmp_path: Path) -> None:
    early = audited(config, tmp_path / "a.sqlite", ["random-items"], sequential=True)
    late = audited(config, tmp_path / "b.sqlite", ["random-items"], sequential=False)

    # Foreign items in the history turn every list over, and forty users are enough to show it.
    stopped, full = of(early, "flip_rate", "random-items"), of(late, "flip_rate", "random-items")
    assert (stopped.verdict, full.verdict) == ("fail", "fail")
    assert (stopped.n, full.n) == (40, 80)
    assert early.usage.queries == late.usage.queries - 40
    assert "settled at a planned look after 40 users" in stopped.note
    assert stopped.level == pytest.approx(0.99443, abs=1e-4)  # 1 - α(1/2) of the O'Brien–Fleming spending function


def test_what_is_open_half_way_is_asked_to_the_end_at_the_price_of_the_look(
    config: dict[str, Any], tmp_path: Path
) -> None:
    policy = tmp_path / "strict.yaml"
    # It does not mind random words less than a paraphrase, and no sample can show an effect to be below 0.
    policy.write_text(
        "name: strict\nrules:\n  - {metric: robustness.flip_rate, value: effect, max: 0}\n", encoding="utf-8"
    )
    run = audited({**config, "policy": str(policy)}, tmp_path / "a.sqlite", ["random-words"], sequential=True)
    found = of(run, "flip_rate", "random-words")
    assert (found.verdict, found.n) == ("inconclusive", 80)
    assert found.level == pytest.approx(0.95 + 0.00557, abs=1e-4)


def test_p_values_at_a_look_pay_for_it(config: dict[str, Any], tmp_path: Path) -> None:
    run = audited(config, tmp_path / "a.sqlite", ["negation"], sequential=True)
    # The paraphrase control breaks this target just as well, so the attack shows no effect above its floor.
    found = of(run, "flip_rate", "negation")
    assert found.floor == 1
    assert found.effect == 0
    assert found.p == 1
