"""Replies of services and rows of a store: any JSON is answers, an outcome that is counted, or one sentence."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fuzz_inputs import JSON, TEXTS, answered_or_refused, fuzzed, mutated
from helpers import catalog, new_run, request
from hypothesis import given
from hypothesis import strategies as st

from audit.edits import HistoryDrop, TextEdit
from audit.findings import Evidence, Finding
from audit.store import Store, schema
from audit.targets.http import HttpTarget
from audit.targets.openai import OpenAITarget
from audit.types import Answer, Ranked, Usage

REQUESTS = [request("u1"), request("u2")]
_HTTP: dict[str, Any] = {
    "answers": [
        {"ranked": [{"item_id": "i4", "title": "x", "score": 0.5, "reason": "r"}, "Garden 5"], "text": "t"},
        {
            "outcome": "refused", "detail": "no", "usage": {"prompt_tokens": 1, "completion_tokens": 2},
            "tool_calls": [{"name": "f", "arguments": "{}", "result": ""}],
        },
    ]
}  # fmt: skip
_INFO: dict[str, Any] = {
    "name": "s", "tasks": ["rank"], "honours": ["history"], "reveals": [], "instructions": {"rank": "x"},
    "paraphrases": {"rank": ["y"]}, "batch_size": 4, "max_candidates": 9, "version": "1", "needs_candidates": False,
}  # fmt: skip
_CHAT: dict[str, Any] = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '["Winter Garden Number 5"]'},
        "logprobs": {"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": [{"token": "Yes", "logprob": -1}]}]},
    }],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
_CHUNK = {**_CHAT, "choices": [{"index": 0, "delta": {"content": "Yes"}, "logprobs": _CHAT["choices"][0]["logprobs"]}]}


class Service:
    """Says the next thing it was told to say, whatever it is asked; no network."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.status = 200

    def __call__(self, asked: httpx.Request) -> httpx.Response:
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return httpx.Response(self.status, content=body, headers={"content-type": "application/json"})


def plugged(target: Any, service: Service) -> Any:
    """The target with its client answered by the service."""
    target._client._transport = httpx.MockTransport(service)
    target._client._mounts = {}
    return target


@pytest.fixture(scope="module", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Every client reads the certificates of the system, which took longer than all that is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


def _bytes(data: Any) -> bytes:
    return json.dumps(data).encode()


_STATUS = st.sampled_from([200, 200, 200, 200, 400, 404, 429, 500])


@fuzzed
@given(info=mutated(_INFO), reply=mutated(_HTTP), status=_STATUS)
def test_replies_of_an_http_service(info: Any, reply: Any, status: int) -> None:
    service = Service()
    service.bodies = [_bytes(info), _bytes(reply)]
    with plugged(HttpTarget("http://127.0.0.1:1", catalog=catalog()), service) as target:
        if answered_or_refused(lambda: target.info) is None:
            service.bodies = [_bytes(_INFO), _bytes(reply)]
            target.info  # noqa: B018 - asked here, so that the reply below is what is read
        service.status = status
        answers = answered_or_refused(lambda: target.recommend(REQUESTS))
    assert answers is None or [type(a) for a in answers] == [Answer, Answer]
    for answer in answers or ():
        assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


@fuzzed
@given(reply=mutated(_CHAT), status=_STATUS, raw=st.none() | TEXTS)
def test_replies_of_a_chat_model(chat: Any, reply: Any, status: int, raw: str | None) -> None:
    target, service = chat
    service.bodies = [_bytes(reply) if raw is None else raw.encode("utf-8", "surrogatepass")]
    service.status = status
    target._streams = False
    for asked in (REQUESTS[0], request("u", candidates=1, task="score"), request("u", task="answer")):
        answers = answered_or_refused(lambda asked=asked: target.recommend([asked]))
        assert answers is None or type(answers[0]) is Answer


@fuzzed
@given(chunks=st.lists(mutated(_CHUNK), max_size=3), junk=TEXTS)
def test_streams_of_a_chat_model(chat: Any, chunks: list[Any], junk: str) -> None:
    target, service = chat
    lines = [b"data: " + _bytes(chunk) for chunk in chunks] + [
        b"data: " + junk.encode("utf-8", "replace"),
        b"data: [DONE]",
    ]
    service.bodies = [b"\n\n".join(lines) + b"\n\n"]
    service.status = 200
    target._streams = True
    answered_or_refused(lambda: target.recommend([request("u", task="answer")]))


@pytest.fixture(scope="module")
def chat() -> Iterator[tuple[OpenAITarget, Service]]:
    service = Service()
    with plugged(
        OpenAITarget("m", base_url="http://127.0.0.1:1/v1", catalog=catalog(), logprobs=True), service
    ) as target:
        yield target, service


# Stored rows ----------------------------------------------------------------------------------------------------------

_ANSWER = Answer((Ranked("i1", "T", 0.5, "r"),), text="x", usage=Usage(1, 2, 0.5))
_SHOWN = Evidence("u1", "Case", before="d", edits=(HistoryDrop(0), TextEdit("note", 0, 0, "é")))
_FOUND = Finding("b", "x", "X", {"k": 5}, 0.5, (0.4, 0.6), evidence=(_SHOWN.id,))
_RUN: dict[str, Any] = {
    "config": {"name": "x"}, "target": {"name": "t"}, "versions": {"a": "3"}, "seed": 1, "policy": {}, "notes": ["n"]
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, str]]:
    with Store(tmp_path_factory.mktemp("fuzz") / "runs.sqlite") as store:
        run = new_run(store)
        store.put_answers(run, [("key", REQUESTS[0], 0, _ANSWER)])
        store.save_module(run, "b", [_FOUND], [_SHOWN], {_FOUND.id: {"u1": 0.5}})
        store.save_search(run, "s", {"x": 1})
        yield store, run


@fuzzed
@given(
    answer=mutated(_ANSWER.to_dict()),
    asked=mutated(REQUESTS[0].to_dict()),
    finding=mutated(_FOUND.to_dict()),
    shown=mutated(_SHOWN.to_dict()),
    run=mutated(_RUN),
    values=mutated({"u1": 0.5, "u2": 1}),
    raw=st.none() | TEXTS | JSON.map(json.dumps),
)
def test_rows_of_a_store(
    kept: tuple[Store, str], answer: Any, asked: Any, finding: Any, shown: Any, run: Any, values: Any, raw: str | None
) -> None:
    store, name = kept
    bodies = {
        schema.answers: answer,
        schema.requests: asked,
        schema.findings: finding,
        schema.evidence: shown,
        schema.runs: run,
        schema.values: values,
        schema.searches: values,
    }
    with store.engine.begin() as db:
        for table, body in bodies.items():
            text = json.dumps(body) if raw is None else raw.encode("utf-8", "replace").decode()
            db.execute(sa.update(table).values(body=text))
    digest = REQUESTS[0].digest
    for read in (
        lambda: store.answers(["key"]),
        lambda: store.answers_to(name, [digest]),
        lambda: store.requests([digest]),
        lambda: store.findings(name),
        lambda: store.evidence(name),
        lambda: store.evidence(name, [_SHOWN.id]),
        lambda: store.runs(),
        lambda: store.values(name, _FOUND.id),
        lambda: store.search(name, "s"),
    ):
        answered_or_refused(read)
