"""Likelihoods of given texts through the gateway: planned, counted, stored and resumed as answers are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers import Scripted, gateway, new_run, request

from audit.errors import BudgetExhausted, TargetError
from audit.gateway import Ask, Budget
from audit.store import Store
from audit.target import TokenMoments
from audit.types import Answer, Request

SECRET = " 48213"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "runs.sqlite") as opened:
        yield opened


class Telling(Scripted):
    """Each character of a text is a token; its log-probability is minus its code over a hundred."""

    def __init__(self, flaw: str = "", **info: object) -> None:
        super().__init__(**info)
        self.flaw = flaw
        self.told: list[tuple[str, str]] = []

    def logprobs(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[list[float]]:
        if self.flaw == "raises" and any("bad" in text for text in continuations):
            raise RuntimeError("out of memory")
        self.told += [(r.user.id, text) for r, text in zip(requests, continuations, strict=True)]
        rows = [[-ord(c) / 300 for c in text] for text in continuations]
        if self.flaw == "infinite":
            rows[0][0] = -np.inf
        return rows[1:] if self.flaw == "short" else rows

    def token_moments(self, requests: Sequence[Request], continuations: Sequence[str]) -> list[TokenMoments]:
        rows = [np.array(row) for row in self.logprobs(requests, continuations)]
        return [TokenMoments(row, row - 1, np.ones(len(row))) for row in rows]


def test_a_text_is_asked_about_once_and_counted(store: Store) -> None:
    target = Telling()
    door = gateway(target, store)
    asked = [Ask(request("a"), text=SECRET), Ask(request("b"), text=SECRET), Ask(request("a"), text=SECRET)]
    estimate = door.estimate(asked)
    assert (estimate.queries, estimate.reused) == (2, 0)
    assert estimate.prompt_tokens > door.estimate([Ask(request("a")), Ask(request("b"))]).prompt_tokens
    answers = door.ask(asked)
    assert target.told == [("a", SECRET), ("b", SECRET)]
    assert answers[0].likelihood is not None
    assert answers[0].likelihood.logprobs == pytest.approx([-ord(c) / 300 for c in SECRET], rel=1e-7)
    assert answers[2] == answers[0]
    assert door.usage().queries == 2
    assert door.estimate(asked).queries == 0


def test_a_resumed_run_asks_nothing_twice_and_reads_the_same_numbers(store: Store) -> None:
    run, asked = new_run(store), [Ask(request(str(n)), text=f" {n}") for n in range(5)]
    first = gateway(Telling(), store, run)
    fresh = first.ask(asked)
    again = Telling()
    stored = gateway(again, store, run).ask(asked)
    assert not again.told
    assert [a.likelihood for a in stored] == [a.likelihood for a in fresh]


def test_a_text_is_no_answer_and_a_sharp_one_is_another_question(store: Store) -> None:
    target = Telling()
    door = gateway(target, store)
    same = request("a")
    plain, told, sharp = door.ask([Ask(same), Ask(same, text="x"), Ask(same, text="x", moments=True)])
    assert plain.ranked
    assert plain.likelihood is None
    assert told.likelihood is not None
    assert not told.likelihood.means
    assert sharp.likelihood is not None
    assert sharp.likelihood.means == pytest.approx([-ord("x") / 300 - 1])
    # Whoever opens the request finds its answer, and not what was asked about a text.
    assert store.answers_to(door.run, [same.digest]) == {(same.digest, 0): plain}


def test_neither_the_text_nor_its_request_is_stored(store: Store, tmp_path: Path) -> None:
    door = gateway(Telling(), store)
    door.ask([Ask(request("somebody-in-training"), text=SECRET)])
    store.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert SECRET.strip().encode() not in written
    assert b"somebody-in-training" not in written


def test_the_budget_holds_texts_too(store: Store) -> None:
    door = gateway(Telling(batch_size=2), store, budget=Budget(queries=3))
    with pytest.raises(BudgetExhausted, match=r"budget\.queries"):
        door.ask([Ask(request("a"), text=str(n)) for n in range(6)])
    assert door.usage().queries == 2


def test_a_text_that_fails_is_the_only_one_lost(store: Store) -> None:
    door = gateway(Telling("raises"), store)
    answers = door.ask([Ask(request("a"), text=text) for text in ("good", "bad", "fine")])
    assert [a.outcome for a in answers] == ["ok", "error", "ok"]
    assert "out of memory" in answers[1].detail
    assert store.outcomes(door.run) == {"ok": 2, "error": 1}


def test_numbers_that_are_none_and_texts_without_tokens_are_counted_outcomes(store: Store) -> None:
    answers = gateway(Telling("infinite"), store).ask([Ask(request("a"), text=text) for text in ("one", "")])
    assert [a.outcome for a in answers] == ["unparsable", "unparsable"]
    assert "not finite" in answers[0].detail
    assert "without a token" in answers[1].detail


def test_a_target_that_cannot_or_miscounts_is_said_in_a_sentence(store: Store) -> None:
    with pytest.raises(TargetError, match="gives no log-probabilities of a text"):
        gateway(Scripted(), store).ask([Ask(request("a"), text="x")])
    with pytest.raises(TargetError, match="returned 0 entries for 1 texts"):
        gateway(Telling("short"), store).ask([Ask(request("a"), text="x")])
    with pytest.raises(ValueError, match="give one"):
        Ask(request("a"), moments=True)


def test_an_answer_with_a_likelihood_survives_json() -> None:
    from audit.types import Likelihood

    for told in (Likelihood((-0.5, -2.0)), Likelihood((-0.5,), (-1.0,), (0.25,))):
        answer = Answer(likelihood=told)
        assert Answer.from_dict(answer.to_dict()) == answer
    assert "likelihood" not in Answer().to_dict()
