"""A chat API as the agent: it is told what came of its answers, and only what may be inserted is taken from them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import catalog, requests
from scripted_server import Call, Reply, serving
from test_cheatagent import WORDED, sensitive

from attacks.cheatagent import CheatAgent
from attacks.cheatagent.agent import Candidate, Propose, Question, Reflect, Rule
from attacks.cheatagent.chat import ChatAgent, Told
from audit.attack import Goal, Objective
from audit.edits import HistoryInsert
from audit.errors import ConfigError, TargetError

WORD = Question("Which word?", "word")
ITEM = Question("Which title?", "item", frozenset({"i10"}))


def saying(*texts: str):
    """A server that says these texts in turn, the last one for ever."""
    left = list(texts)

    def script(call: Call) -> Reply:
        text = left.pop(0) if len(left) > 1 else left[0]
        message = {"role": "assistant", "content": text}
        return Reply(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
        )

    return serving(script)


def told(server) -> str:
    return server.calls[-1].json()["messages"][-1]["content"]


def agent(server, **options) -> ChatAgent:
    return ChatAgent(catalog(), "m", base_url=f"{server.url}/v1", **options)


def names(beams) -> list[list[str]]:
    return [[candidate.name for candidate in beam] for beam in beams]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("1. never\n2. Not\n3. never\n4. {x}", ["never", "Not", "{x}"]),
        ("- refuse\n- a whole sentence of words", ["refuse"]),
        ('["oppose", "stop"]', ["oppose", "stop"]),
        ("banana", ["banana"]),
        ("", []),
    ],
)
def test_words_are_read_leniently(said, words) -> None:
    with saying(said) as server:
        one = agent(server)
        ((beams,),) = one.together([[Propose(WORD, (Told(),), 5)]])
    assert names(beams) == [words]
    assert (one.replies, one.unreadable) == (1, 0 if words else 1)


def test_items_are_tied_to_the_catalogue_and_forbidden_ones_dropped() -> None:
    said = "1. Winter Garden Number 12\n2. Winter Garden Number 10\n3. A Film Not There\n4. winter garden number 30"
    with saying(said, "I cannot help with that.") as server:
        one = agent(server)
        ((beams,),) = one.together([[Propose(ITEM, (Told(),), 5)]])
        ((none,),) = one.together([[Propose(ITEM, (Told("x"),), 5)]])
    assert names(beams) == [["i12", "i30"]]
    assert names(none) == [[]]
    assert (one.replies, one.unreadable) == (2, 1)


def test_it_reflects_by_text() -> None:
    with saying("good") as server:
        one = agent(server)
        candidates = (Candidate("never"), Candidate(catalog()["i12"]))
        ((policy,),) = one.together([[Reflect(WORD, Told("hint"), candidates, (1.0, -1.0), Rule(0.1))]])
        one.together([[Propose(WORD, (policy,), 3)]])
        assert "+1 good: never" in told(server)
        assert "-1 bad: Winter Garden Number 12" in told(server)
        assert "3 different single words" in told(server)


def test_random_hints_take_the_place_of_random_prefixes() -> None:
    with saying("x") as server:
        one = agent(server)
        hints = one.draw(np.random.default_rng(0), 4)
        one.together([[Propose(WORD, hints, 3)]])
        asked = {call.json()["messages"][-1]["content"] for call in server.calls}
    assert len(asked) == len(set(hints)) == 4
    assert hints == one.draw(np.random.default_rng(0), 4)


def test_the_whole_attack_with_a_chat_agent() -> None:
    def script(call: Call) -> Reply:
        prompt = call.json()["messages"][-1]["content"]
        numbers = np.random.default_rng(len(prompt)).permutation(40)[:8]
        lines = [f"{n}. Winter Garden Number {i}" for n, i in enumerate(numbers, 1)]
        if "single words" in prompt:
            lines = [f"{n}. word{i}" for n, i in enumerate(numbers, 1)]
        message = {"role": "assistant", "content": "\n".join(lines)}
        return Reply(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
        )

    with serving(script) as server:
        options = {"kind": "openai", "base_url": f"{server.url}/v1", "model": "m"}
        attack = CheatAgent(catalog(), agent=options, rounds=2, prefixes=2, candidates=4)
        objective = Objective(Goal.DEGRADE, (frozenset({"i4"}),) * 2)
        target = sensitive()
        found = list(attack.run(target, requests(2, instruction=WORDED), objective, 60, np.random.default_rng(0)))
        prompts = [call.json()["messages"][-1]["content"] for call in server.calls]
    assert all(1 <= len(a.edits) <= 3 and a.queries <= 60 for a in found)
    assert any("+1 good" in prompt for prompt in prompts)
    for edit in (e for a in found for e in a.edits if isinstance(e, HistoryInsert)):
        assert int(edit.event.item.id[1:]) >= 9


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigError, match=r"agent\.model: missing"):
        ChatAgent(catalog())
    with pytest.raises(TargetError, match="base_url"):
        ChatAgent(catalog(), "m", base_url="nowhere")
