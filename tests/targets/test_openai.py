"""OpenAI-compatible targets: against a real `transformers serve`, and against servers that misbehave."""

import json
import math
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
from scripted_server import Reply, serving

from audit.errors import TargetError, TargetUnavailable
from audit.target import Input, Insight
from audit.targets.chat_reply import yes_probability
from audit.targets.openai import OpenAITarget
from audit.targets.prompts import Template
from audit.types import Catalog, Event, Item, Passage, Request, Turn, User

CANARY = "sk-canary-4f1d9c0e77"
ITEMS = [Item("10", "Toy Story (1995)"), Item("11", "Alien (1979)", "In space."), Item("12", "Fargo (1996)")]
CATALOG = Catalog(ITEMS)
RANK = Request(User("u1", (Event(ITEMS[0], 5.0),)), instruction="Recommend.", candidates=tuple(ITEMS[1:]), k=2)
SCORE = Request(User("u1", (Event(ITEMS[0], 5.0),)), "score", candidates=tuple(ITEMS[1:]))


def completion(content="1. Fargo (1996)\n2. Alien (1979)", finish_reason="stop", refusal=None, top=None, usage=(7, 3)):
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content, "refusal": refusal},
    }
    if top is not None:
        alternatives = [{"token": t, "logprob": p, "bytes": None} for t, p in top]
        choice["logprobs"] = {"content": [{"token": "x", "logprob": 0.0, "bytes": None, "top_logprobs": alternatives}]}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return body | {"usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}}


def event_stream(*deltas, usage=None):
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [base | {"choices": [{"index": 0, "delta": {"content": d}, "finish_reason": None}]} for d in deltas]
    events.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        events.append(base | {"choices": [], "usage": dict(zip(USAGE, usage, strict=True))})
    return "".join(f"data: {json.dumps(e)}\n\n" for e in events).encode() + b"data: [DONE]\n\n"


USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


def failing(status, body=None, headers=None):
    return lambda call: Reply(body or {"error": {"message": "no"}}, status=status, headers=headers or {})


@contextmanager
def target_of(script, **options):
    reply = script if callable(script) else lambda call: Reply(script)
    with serving(reply) as server:
        with OpenAITarget("m", base_url=f"{server.url}/v1", catalog=CATALOG, **options) as target:
            yield target, server


def test_a_ranking_is_parsed_from_the_text_and_usage_is_kept():
    with target_of(completion(), seed=3, extra={"top_p": 1.0}) as (target, server):
        (answer,) = target.recommend([RANK])
    assert answer.ids == ("12", "11")
    assert answer.text == "1. Fargo (1996)\n2. Alien (1979)"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)
    sent = server.calls[0].json()
    assert server.calls[0].path == "/v1/chat/completions"
    prompt = sent.pop("messages")
    assert sent == {"model": "m", "temperature": 0.0, "seed": 3, "max_tokens": 512, "top_p": 1.0}
    assert [m["role"] for m in prompt] == ["user"]
    assert "- Toy Story (1995) (rated 5)" in prompt[0]["content"]
    assert "- Alien (1979): In space." in prompt[0]["content"]


def test_the_prompt_carries_every_part_it_declares():
    request = Request(
        User("u1", (Event(Item("10", "A title {{k}} [0]")),), note="no horror"),
        instruction="Do it.",
        candidates=(ITEMS[1],),
        passages=(Passage("p", "a passage"),),
        turns=(Turn("user", "hello"), Turn("assistant", "hi")),
    )
    with target_of(completion()) as (target, server):
        target.recommend([request])
        assert target.info.honours == {
            Input.INSTRUCTION, Input.HISTORY, Input.ITEM_TEXT, Input.NOTE, Input.PASSAGES, Input.TURNS,
        }  # fmt: skip
        rendered = target.render(request)
    messages = server.calls[0].json()["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert [m["content"] for m in messages[:2]] == ["hello", "hi"]
    for part in ("Do it.", "A title {{k}} [0]", "no horror", "a passage", "Alien (1979): In space."):
        assert part in messages[2]["content"]
        assert part in rendered.text
    shown = {span.field: rendered.text[span.start : span.end] for span in rendered.spans}
    assert shown["history[0].title"] == "A title {{k}} [0]"


def test_a_template_of_the_user_replaces_the_prompt_and_changes_the_fingerprint():
    templates = {"rank": "{{instruction}} Age {{attributes.age}}."}
    with target_of(completion(), templates=templates) as (target, server):
        target.recommend([RANK])
        assert target.info.honours == {Input.INSTRUCTION, Input.ATTRIBUTES}
        assert target.info.tasks == ("rank",)
    assert server.calls[0].json()["messages"] == [{"role": "user", "content": "Recommend. Age ."}]

    def fingerprint(**options):
        with OpenAITarget("m", base_url="http://127.0.0.1:1/v1", **options) as target:
            return target.info.fingerprint

    plain = fingerprint()
    assert plain == fingerprint()
    changes = [{"templates": templates}, {"temperature": 0.7}, {"version": "2"}, {"max_tokens": 9}, {"extra": {"n": 1}}]
    assert len({plain, *(fingerprint(**change) for change in changes)}) == 6


@pytest.mark.parametrize("usage", [None, (5, 2, 7)])
def test_streamed_answers_are_joined(usage):
    body = event_stream("1. Far", "go (1996)", usage=usage)
    with target_of(lambda call: Reply(body, content_type="text/event-stream"), stream=True) as (target, server):
        (answer,) = target.recommend([RANK])
        assert server.calls[0].json()["stream_options"] == {"include_usage": True}
    assert answer.ids == ("12",)
    assert answer.usage.prompt_tokens == (usage[0] if usage else 0)


def test_a_server_that_always_streams_is_followed_without_a_second_call():
    body = event_stream("1. Fargo (1996)")
    with target_of(lambda call: Reply(body, content_type="text/event-stream")) as (target, server):
        answers = target.recommend([RANK, RANK])
    assert [a.ids for a in answers] == [("12",), ("12",)]
    assert [call.json().get("stream", False) for call in server.calls] == [False, True]


def test_a_server_without_stream_options_is_asked_again_without_them():
    def script(call):
        if "stream_options" in call.json():
            return Reply({"detail": "Unexpected keys in the request: {'stream_options'}"}, status=422)
        return Reply(event_stream("1. Fargo (1996)"), content_type="text/event-stream")

    with target_of(script, stream=True) as (target, server):
        assert [a.ids for a in target.recommend([RANK, RANK])] == [("12",), ("12",)]
    assert len(server.calls) == 3


def test_unreadable_refused_and_cut_answers_are_told_apart():
    outcomes = {}
    for name, body in {
        "gibberish": completion("qzx wvu rkk"),
        "cut": completion("qzx wvu", finish_reason="length"),
        "phrase": completion("I'm sorry, but I cannot help with that."),
        "field": completion(None, refusal="I will not."),
        "filter": completion("", finish_reason="content_filter"),
        "none": {"id": "c", "choices": []},
    }.items():
        with target_of(body) as (target, _):
            (answer,) = target.recommend([RANK])
        outcomes[name] = answer.outcome
        assert answer.detail
        assert answer.ranked == ()
        assert ("max_tokens" in answer.detail) == (name == "cut")
    assert outcomes == {
        "gibberish": "unparsable",
        "cut": "unparsable",
        "phrase": "refused",
        "field": "refused",
        "filter": "refused",
        "none": "unparsable",
    }


def test_thinking_is_not_part_of_the_list():
    text = "<think>\n1. Alien (1979)\n</think>\n1. Fargo (1996)"
    with target_of(completion(text)) as (target, _):
        (answer,) = target.recommend([RANK])
    assert answer.ids == ("12",)
    assert answer.text == text


def test_a_free_answer_is_kept_as_text():
    with target_of(completion("Because you liked it.")) as (target, _):
        (answer,) = target.recommend([Request(RANK.user, "answer")])
    assert answer.text == "Because you liked it."
    assert answer.outcome == "ok"


def test_scores_are_the_probability_of_yes_against_no():
    tops = [[("Yes", math.log(0.6)), ("No", math.log(0.2))], [(" no", math.log(0.5)), ("maybe", math.log(0.1))]]

    def script(call):
        asked = call.json()
        assert (asked["max_tokens"], asked["logprobs"], asked["top_logprobs"]) == (1, True, 5)
        return Reply(completion("x", top=tops["Fargo" in asked["messages"][0]["content"]]))

    with target_of(script, logprobs=True, top_logprobs=5) as (target, server):
        (answer,) = target.recommend([SCORE])
        assert target.info.reveals == {Insight.SCORES}
        assert set(target.info.tasks) == {"rank", "score", "answer"}
    assert answer.ids == ("11", "12")
    assert answer.scores == pytest.approx((0.75, 1 / 6))
    assert answer.usage.prompt_tokens == 14
    assert len(server.calls) == 2


def test_yes_probability():
    assert yes_probability([("Yes", math.log(0.2)), (" yes", math.log(0.2)), ("No", math.log(0.4))]) == pytest.approx(
        0.5
    )
    assert yes_probability([("▁YES", -0.1), ("Sure", -2.0)]) == pytest.approx(1 / (1 + math.exp(-1.9)))
    assert yes_probability([("Sure", -0.1)]) is None
    assert yes_probability([]) is None


@pytest.mark.parametrize(("top", "reason"), [(None, "no logprobs"), ([("Hm", -0.1)], "neither Yes nor No")])
def test_a_score_that_cannot_be_read_is_counted(top, reason):
    with target_of(completion("Hm", top=top), logprobs=True) as (target, _):
        (answer,) = target.recommend([SCORE])
    assert answer.outcome == "unparsable"
    assert reason in answer.detail


def test_without_logprobs_scores_are_not_offered():
    with target_of(completion()) as (target, server):
        (answer,) = target.recommend([SCORE])
        assert target.info.tasks == ("rank", "answer")
    assert answer.outcome == "error"
    assert server.calls == []


def test_a_score_template_needs_logprobs():
    with pytest.raises(TargetError, match="set logprobs: true"):
        OpenAITarget("m", base_url="http://127.0.0.1:1", templates={"score": "{{#candidate}}{{title}}{{/candidate}}?"})


@pytest.mark.parametrize("status", [408, 500, 503])
def test_server_failures_may_mend_and_are_not_retried_here(status):
    with target_of(failing(status)) as (target, server):
        with pytest.raises(TargetUnavailable, match=str(status)):
            target.recommend([RANK])
    assert len(server.calls) == 1


def test_throttling():
    with target_of(failing(429, headers={"Retry-After": "3"})) as (target, _):
        with pytest.raises(TargetUnavailable) as caught:
            target.recommend([RANK])
    assert (caught.value.throttled, caught.value.retry_after) == (True, 3.0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "unknown parameter"}),
        (404, {"message": "no such model"}),
        (422, {"message": "bad field"}),
        (429, {"message": "pay first", "code": "insufficient_quota"}),
    ],
)
def test_what_no_waiting_mends_stops(status, error):
    with target_of(failing(status, {"error": error})) as (target, _):
        with pytest.raises(TargetError, match=error["message"]):
            target.recommend([RANK])


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"message": "too long", "code": "context_length_exceeded"}, "error"),
        ({"message": "This model's maximum context length is 2048 tokens."}, "error"),
        ({"message": "flagged", "code": "content_filter"}, "refused"),
    ],
)
def test_a_fault_of_one_request_is_its_outcome(error, outcome):
    with target_of(failing(400, {"error": error})) as (target, _):
        assert [a.outcome for a in target.recommend([RANK, RANK])] == [outcome, outcome]


@pytest.mark.parametrize("stream", [False, True, "auto"])
def test_a_page_of_html_is_not_a_completion(stream):
    page = Reply(b"<html>Welcome</html>", content_type="text/html")
    with target_of(lambda call: page, stream=stream) as (target, _):
        with pytest.raises(TargetError, match="base_url"):
            target.recommend([RANK])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        [],
        "hi",
        {},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"message": "hi", "delta": 3}]},
        {"choices": [{"message": {"content": [1]}, "delta": {"content": [1]}, "logprobs": {"content": [{}]}}]},
        {"choices": [{"message": {"content": "x"}, "delta": None}], "usage": {"prompt_tokens": "many"}},
    ],
)
def test_json_of_any_other_shape_is_an_outcome_or_one_sentence(stream, body):
    reply = Reply(body)
    if stream:
        reply = Reply(f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n".encode(), content_type="text/event-stream")
    for asked in (RANK, SCORE):
        with target_of(lambda call: reply, stream=stream, logprobs=True) as (target, _):
            try:
                (answer,) = target.recommend([asked])
                ended = answer.outcome
            except TargetError as error:
                ended = str(error)
            assert ended == "unparsable" or "base_url" in ended


def test_a_stream_that_breaks_off_may_mend():
    body = b'data: {"error": {"message": "out of memory"}}\n\n'
    for stream in ("auto", True):
        with target_of(lambda call: Reply(body, content_type="text/event-stream"), stream=stream) as (target, _):
            with pytest.raises(TargetUnavailable, match="out of memory"):
                target.recommend([RANK])


@pytest.mark.parametrize("stream", [False, True])
def test_an_endless_answer_is_not_read(stream):
    def endless():
        while True:
            yield b"data: " + b" " * 2**16

    reply = {"content_type": "text/event-stream", "chunks": endless()}
    with target_of(lambda call: Reply(**reply), stream=stream, max_response_bytes=2**20) as (target, _):
        with pytest.raises(TargetError, match="larger than 1,048,576 bytes"):
            target.recommend([RANK])


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_hangs_is_given_up(stream):
    def hang(call):
        server.released.wait(60)
        return Reply({})

    with target_of(hang, timeout_s=0.2, stream=stream) as (target, server):
        with pytest.raises(TargetUnavailable, match=r"no complete answer within 0\.2 s"):
            target.recommend([RANK])


def test_nobody_at_the_address():
    with OpenAITarget("m", base_url="http://127.0.0.1:9/v1") as target:
        with pytest.raises(TargetUnavailable, match="is the server running"):
            target.recommend([RANK])


def everything_said(error):
    said = ""
    while error is not None:
        said += f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_the_key_is_sent_and_never_shown(monkeypatch, status):
    monkeypatch.setenv("MY_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-servers-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")

    def echo(call):
        sent = call.headers["authorization"]
        body = completion(f"you sent {sent}") if status == 200 else {"error": {"message": f"wrong key {sent}"}}
        return Reply(body, status=status)

    with target_of(echo, api_key_env="MY_KEY") as (target, server):
        shown = repr(target) + repr(target.info) + str(vars(target))
        try:
            shown += repr(target.recommend([RANK]))
        except (TargetError, TargetUnavailable) as error:
            shown += everything_said(error)
    assert server.calls[0].headers["authorization"] == f"Bearer {CANARY}"
    assert "openai-organization" not in server.calls[0].headers
    assert CANARY not in shown
    assert ("check the environment variable MY_KEY" in shown) == (status == 401)


def test_a_local_server_never_sees_the_openai_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with target_of(completion()) as (target, server):
        target.recommend([RANK])
    assert CANARY not in str(server.calls)


def test_a_missing_key_names_its_variable(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(TargetError, match="OPENAI_API_KEY"):
        OpenAITarget("gpt")


# --- A real server ---------------------------------------------------------------------------------------------------


def save_tiny_llama(folder) -> None:
    """A Llama of two layers with random weights and a byte-level tokenizer: it answers, and says nothing."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<s>", "</s>", *letters])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_input_names=["input_ids", "attention_mask"],  # Llama takes no token_type_ids
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@contextmanager
def transformers_serve(log):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "from transformers.commands.transformers_cli import main; main()"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        while not healthy(port):
            assert server.poll() is None, f"transformers serve did not start: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()  # it has nothing to save, and a polite end waits for running generations
        server.wait()


def healthy(port) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_a_real_server_with_a_tiny_random_model(tmp_path):
    model = tmp_path / "model"
    save_tiny_llama(model)
    with (
        transformers_serve(tmp_path / "server.log") as url,
        OpenAITarget(str(model), base_url=url, catalog=CATALOG, max_tokens=16, timeout_s=120) as target,
    ):
        first, again = target.recommend([RANK, RANK])  # the first call discovers that this server always streams
        assert first.text
        assert first.text == again.text  # temperature 0
        assert not any(first.ids)  # gibberish names no item, whether or not it looks like a list
        with OpenAITarget("no/such-model", base_url=url, timeout_s=120) as unknown:
            with pytest.raises((TargetError, TargetUnavailable), match="chat/completions"):
                unknown.recommend([RANK])


@pytest.mark.llm
def test_a_real_server_with_a_real_model(tmp_path):
    from audit.targets.zoo.smollm2 import folder

    templates = {"rank": Template.of_messages(("user", "Write a numbered list of {{k}} famous films and their years."))}
    with (
        transformers_serve(tmp_path / "server.log") as url,
        OpenAITarget(
            str(folder()), base_url=url, catalog=CATALOG, templates=templates, max_tokens=80, timeout_s=120
        ) as target,
    ):
        (answer,) = target.recommend([RANK])
    assert answer.outcome == "ok"
    assert answer.ranked
