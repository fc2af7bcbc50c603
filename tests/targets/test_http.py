"""HTTP targets: the contract, and what a hostile or broken service can do to an audit."""

import itertools
import json
from pathlib import Path

import jsonschema
import pytest
from scripted_server import Call, Reply, serving

import audit.targets
from audit.errors import TargetError, TargetUnavailable
from audit.target import Input, Insight, describe
from audit.targets.http import HttpTarget
from audit.targets.wire import parse_retry_after
from audit.types import Catalog, Event, Item, Passage, Request, Turn, User

CANARY = "canary-4f1d9c0e77"
SCHEMA = json.loads((Path(audit.targets.__file__).parent / "http_contract.json").read_text())
ITEMS = [Item(str(i), title) for i, title in enumerate(["Toy Story (1995)", "Alien (1979)", "Fargo (1996)"], start=10)]
CATALOG = Catalog(ITEMS)


def conforms(data: object, name: str) -> bool:
    schema = {**SCHEMA, "$ref": f"#/$defs/{name}"}
    return jsonschema.Draft202012Validator(schema).is_valid(data)


def request(k: int = 2, **fields) -> Request:
    return Request(User("u1", (Event(ITEMS[0], 5.0, 1.0),)), k=k, **fields)


def service(answers=None, info=None, **reply):
    """A script: `answers` is the value of "answers", or a function of the call's requests."""

    def script(call: Call) -> Reply:
        if call.path == "/info":
            return Reply(info) if info is not None else Reply({"detail": "Not Found"}, status=404)
        if reply:
            return Reply(**reply)
        given = answers(call.json()["requests"]) if callable(answers) else answers
        return Reply({"answers": given})

    return script


def ask_one(answer: object, asked: Request | None = None):
    with serving(service([answer])) as server, HttpTarget(server.url, catalog=CATALOG) as target:
        return target.recommend([asked or request()])[0]


def test_the_schema_is_a_valid_schema_and_every_request_conforms():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    rich = Request(
        User("u1", (Event(ITEMS[0]),), {"age": 30, "tags": ("a", "b")}, "no horror"),
        instruction="Recommend.",
        candidates=(Item("9", "Heat", "A heist.", {"year": 1995}, b"\x89PNG"),),
        passages=(Passage("p", "text", "web"),),
        turns=(Turn("user", "hi"),),
    )
    assert conforms({"schema": 1, "requests": [request().to_dict(), rich.to_dict()]}, "recommend_request")


def test_requests_arrive_whole_and_answers_come_back_in_order():
    def answers(requests):
        return [{"ranked": [{"item_id": str(10 + r["k"] % 3), "score": 0.5}]} for r in requests]

    with serving(service(answers)) as server, HttpTarget(server.url, catalog=CATALOG, batch_size=2) as target:
        asked = [request(k) for k in (1, 2, 3)]
        got = target.recommend(asked)
        posts = [call.json() for call in server.calls if call.method == "POST"]
    assert [a.ids for a in got] == [("11",), ("12",), ("10",)]
    assert [len(p["requests"]) for p in posts] == [2, 1]
    assert all(conforms(p, "recommend_request") for p in posts)
    assert [Request.from_dict(r) for p in posts for r in p["requests"]] == asked


def test_entries_may_be_titles_ids_or_objects_without_an_id():
    answer = ask_one({"ranked": ["Alien (1979)", {"title": "Fargo (1996)", "reason": "dry"}, "The Film That Is Not"]})
    assert answer.ids == ("11", "12", None)
    assert answer.ranked[1].reason == "dry"
    assert ask_one({"ranked": ["12", "10", "99999"]}).ids == ("12", "10", None)


def test_a_foreign_id_is_kept_so_that_it_can_be_counted():
    assert ask_one({"ranked": [{"item_id": "99999"}]}).ids == ("99999",)


def test_a_title_changed_by_an_edit_is_recognised():
    edited = Item("11", "Alien (1979) – the one everybody should see")
    assert ask_one({"ranked": [edited.title]}, request(candidates=(ITEMS[2], edited))).ids == ("11",)


def test_info_is_declared_checked_and_asked_once():
    info = {
        "schema": 1,
        "name": "shop",
        "version": "7",
        "tasks": ["score", "rank"],
        "honours": ["history", "note"],
        "reveals": ["scores"],
        "instructions": {"rank": "Recommend."},
        "paraphrases": {"rank": ["Please recommend."]},
        "batch_size": 3,
    }
    assert conforms(info, "info")
    with serving(service(info=info)) as server:
        with HttpTarget(server.url) as target, HttpTarget(server.url, version="8") as newer:
            declared = describe(target)
            assert newer.info.fingerprint != declared.fingerprint
        assert len([c for c in server.calls if c.path == "/info"]) == 2
    assert declared.name == "shop"
    assert declared.tasks == ("score", "rank")
    assert declared.honours == {Input.HISTORY, Input.NOTE}
    assert declared.reveals == {Insight.SCORES}
    assert declared.paraphrases == {"rank": ("Please recommend.",)}
    assert declared.batch_size == 3
    assert declared.fingerprint is not None
    assert not declared.remote


def test_without_an_info_page_the_defaults_hold():
    with serving(service()) as server, HttpTarget(server.url, batch_size=5) as target:
        assert target.info.tasks == ("rank",)
        assert target.info.honours == {Input.HISTORY}
        assert target.info.fingerprint is None
        assert target.info.batch_size == 5


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"tasks": ["rnak"]}, "tasks has the str 'rnak'; known: rank, score, answer"),
        ({"honours": "history"}, "honours is the str 'history', not a list"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"needs_candidates": "yes"}, "needs_candidates is the str 'yes', not true or false"),
        ({"instructions": {"rank": 3}}, "instructions.rank is the int 3, not a string"),
        ([], "the response is a list, not an object"),
    ],
)
def test_a_wrong_declaration_is_named(info, message):
    assert not conforms(info, "info")
    with serving(service(info=info)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetError, match="GET http") as caught:
            _ = target.info
    assert message in str(caught.value)


BAD_ANSWERS = [
    ("just text", "the answer is the str 'just text', not an object"),
    (None, "the answer is None, not an object"),
    ({"ranked": "Alien"}, "ranked is the str 'Alien', not a list"),
    ({"ranked": [["Alien"]]}, "entry 1 of ranked is a list, not an object or a string"),
    ({"ranked": [{"score": 1}]}, "entry 1 of ranked has neither item_id nor title"),
    ({"ranked": [{"item_id": 11}]}, "item_id of entry 1 is the int 11, not a string"),
    ({"ranked": [{"item_id": "11", "score": "high"}]}, "entry 1 has the str 'high' as score; scores are numbers"),
    ({"outcome": "fine"}, "outcome the str 'fine' is none of ok, refused, unparsable, error"),
    ({"text": 5}, "text is the int 5, not a string"),
    ({"usage": {"prompt_tokens": -1}}, "usage.prompt_tokens is -1; it must not be negative"),
    ({"tool_calls": [{}]}, "an entry of tool_calls has no name"),
]


@pytest.mark.parametrize(("answer", "detail"), BAD_ANSWERS)
def test_an_answer_against_the_contract_is_counted_and_spares_its_neighbours(answer, detail):
    good = {"ranked": ["Alien (1979)"]}
    assert conforms({"answers": [good]}, "recommend_response")
    assert not conforms({"answers": [answer]}, "recommend_response")
    with serving(service([good, answer, good])) as server, HttpTarget(server.url, catalog=CATALOG) as target:
        got = target.recommend([request()] * 3)
    assert [a.outcome for a in got] == ["ok", "unparsable", "ok"]
    assert got[1].detail == detail


def test_what_no_file_can_hold_is_mended():
    answer = ask_one({"ranked": [{"item_id": "11", "title": "caf\ud800é"}], "text": "\udfff!"})
    assert answer.ranked[0].title == "caf?é"
    assert answer.text == "?!"


def test_scores_must_be_finite_and_complete():
    scored = request(task="score", candidates=tuple(ITEMS))

    def entries(*scores):
        return {"ranked": [{"item_id": i.id, "score": s} for i, s in zip(ITEMS, scores, strict=False)]}

    assert ask_one(entries(1, 0.5, 0), scored).scores == (1.0, 0.5, 0.0)
    for number in (float("nan"), float("inf")):
        answer = ask_one(entries(1.0, number, 0.0), scored)  # json.dumps writes NaN and Infinity, as many servers do
        assert answer.outcome == "unparsable"
        assert answer.detail == f"entry 2 has the score {number}; scores must be finite"
    assert ask_one(entries(1.0, 0.5), scored).detail == "2 scores for 3 candidates"
    assert "keep their order" in ask_one({"ranked": entries(1, 2, 3)["ranked"][::-1]}, scored).detail


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_wrong_number_of_answers_stops(n):
    with serving(service([{"ranked": []}] * n)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetError, match=f"{n} answers to 2 requests"):
            target.recommend([request(), request(3)])


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"<html><b>Sign in</b></html>", "text/html", "not JSON (text/html): '<html><b>Sign in</b></html>'"),
        (b"", "application/json", "not JSON"),
        (b"[" * 100_000, "application/json", "not JSON"),
        (b"\xff\xfe\x00", "application/json", "not JSON"),
        (b'{"result": []}', "application/json", "has no list 'answers'"),
        (b"[]", "application/json", "has no list 'answers'"),
    ],
)
def test_what_is_not_an_answer_page_stops_with_one_sentence(body, kind, message):
    with serving(service(body=body, content_type=kind)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetError) as caught:
            target.recommend([request()])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hundred_megabytes_are_not_read():
    megabyte = b" " * 2**20
    chunks = itertools.repeat(megabyte, 100)
    with serving(service(chunks=chunks)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetError, match="larger than 8,388,608 bytes"):
            target.recommend([request()])
        assert server.bytes_sent < 50 * 2**20


def test_a_declared_size_over_the_limit_is_refused_at_once():
    with serving(service(body=b"x" * 2000)) as server, HttpTarget(server.url, max_response_bytes=1000) as target:
        with pytest.raises(TargetError, match="larger than 1,000 bytes"):
            target.recommend([request()])


def test_a_compressed_answer_is_refused():
    reply = {"body": b"\x1f\x8b", "headers": {"Content-Encoding": "gzip"}}
    with serving(service(**reply)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetError, match="compressed"):
            target.recommend([request()])


def test_a_server_that_hangs_is_given_up():
    def hang(call):
        server.released.wait(60)
        return Reply({})

    with serving(hang) as server, HttpTarget(server.url, timeout_s=0.2) as target:
        with pytest.raises(TargetUnavailable, match=r"no complete answer within 0\.2 s"):
            target.recommend([request()])


def test_a_server_that_drips_is_given_up():
    def drip():
        while not server.released.wait(0.01):
            yield b" "

    with serving(service(info={}, chunks=drip())) as server, HttpTarget(server.url, timeout_s=0.3) as target:
        with pytest.raises(TargetUnavailable, match=r"no complete answer within 0\.3 s"):
            target.recommend([request()])


def test_nobody_at_the_address():
    with serving(service()) as server:
        url = server.url
    with HttpTarget(url) as target, pytest.raises(TargetUnavailable, match="is the service running"):
        target.recommend([request()])


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_server_failures_may_mend(status):
    with serving(service(body=b"<h1>oops</h1>", status=status)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetUnavailable, match=str(status)) as caught:
            target.recommend([request()])
    assert not caught.value.throttled


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), ("0.5", 0.5), (None, None), ("soon", None), ("nan", None)])
def test_throttling_says_how_long_to_wait(header, seconds):
    headers = {} if header is None else {"Retry-After": header}
    with serving(service(body=b"{}", status=429, headers=headers)) as server, HttpTarget(server.url) as target:
        with pytest.raises(TargetUnavailable) as caught:
            target.recommend([request()])
    assert caught.value.throttled
    assert caught.value.retry_after == seconds


def test_retry_after_as_a_date():
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT") > 1e9


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_client_errors_stop(status):
    with serving(service(body=b'{"detail": "no such field"}', status=status)) as server:
        with HttpTarget(server.url) as target, pytest.raises(TargetError, match="no such field"):
            target.recommend([request()])


def test_redirects_are_not_followed():
    with serving(service([{"ranked": []}])) as other:
        moved = service(status=307, headers={"Location": f"{other.url}/recommend"})
        with serving(moved) as server, HttpTarget(server.url) as target:
            with pytest.raises(TargetError, match="redirects are not followed"):
                target.recommend([request()])
        assert other.calls == []


def everything_said(error: BaseException | None) -> str:
    """The error's text and that of every error it hangs on to."""
    said = ""
    while error is not None:
        said += f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500])
def test_a_secret_is_sent_and_never_shown(monkeypatch, status):
    monkeypatch.setenv("SHOP_TOKEN", f"Bearer {CANARY}\n")

    def echo(call):
        sent = call.headers["authorization"]
        return Reply(
            {"answers": [{"text": f"you sent {sent}"}], "detail": sent}, status=200 if "info" in call.path else status
        )

    with serving(echo) as server:
        with HttpTarget(server.url, headers_from_env={"Authorization": "SHOP_TOKEN"}) as target:
            shown = repr(target) + repr(target.info) + str(vars(target))
            try:
                shown += repr(target.recommend([request(task="answer")]))
            except (TargetError, TargetUnavailable) as error:
                shown += everything_said(error)
        assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {CANARY}"}
    assert CANARY not in shown
    assert ("check the environment variable SHOP_TOKEN (header Authorization)" in shown) == (status in (401, 403))


@pytest.mark.parametrize("value", [None, "", f"{CANARY}\nX-Other: 1", f"{CANARY}é"])
def test_an_unusable_secret_names_its_variable_only(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("SHOP_TOKEN", raising=False)
    else:
        monkeypatch.setenv("SHOP_TOKEN", value)
    with pytest.raises(TargetError, match="SHOP_TOKEN") as caught:
        HttpTarget("http://127.0.0.1:1", headers_from_env={"Authorization": "SHOP_TOKEN"})
    assert CANARY not in everything_said(caught.value)


@pytest.mark.parametrize("url", ["foo", "ftp://host", "http://", "http://host:port", "//host"])
def test_what_is_not_a_url(url):
    with pytest.raises(TargetError, match=r"target\.url: .* is not a URL"):
        HttpTarget(url)


@pytest.mark.parametrize("url", [f"http://user:{CANARY}@host", f"http://host/?key={CANARY}", f"http://host/#{CANARY}"])
def test_a_url_with_a_secret_in_it_is_refused_unseen(url):
    with pytest.raises(TargetError, match="environment variable") as caught:
        HttpTarget(url)
    assert CANARY not in everything_said(caught.value)


def test_a_loopback_service_is_never_asked_through_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(service([{"ranked": ["11"]}])) as server, HttpTarget(server.url, catalog=CATALOG) as target:
        assert target.recommend([request()])[0].ids == ("11",)
