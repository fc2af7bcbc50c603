"""A key that is nowhere: targets that repeat it in every way they can, and all that RecAudit writes or prints."""

from __future__ import annotations

import base64
import csv
import json
import logging
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cli_workspace import Cli, Workspace
from scripted_server import Call, Reply, ScriptedServer, serving

from audit import redaction
from audit.store import Store

KEY = 'sk-canary-7f3/"Zq9\\x'
"""With what JSON and URLs spell in another way."""

SPELLINGS = {
    KEY,
    json.dumps(KEY)[1:-1],
    json.dumps(KEY).replace("/", "\\/")[1:-1],
    json.dumps(json.dumps(KEY)[1:-1])[1:-1],
    quote(KEY, safe=""),
    base64.b64encode(KEY.encode()).decode(),
    "sk-canary-7f3",
}

ECHOING = """
import os

KEY = os.environ["SHOP_API_KEY"]


def build(catalog):
    asked = 0

    def recommend(history, candidates, k):
        nonlocal asked
        asked += 1
        print("asked with", KEY) if os.environ.get("LOUD") else None
        if asked % 3 == 0:
            raise RuntimeError(f"401 for https://shop/?key={KEY}")
        if asked % 3 == 1:
            return [f"Bearer {KEY}", *(candidates or [])][:k]
        return {"key": KEY}

    return recommend
"""


@pytest.fixture(autouse=True)
def _only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", set())
    monkeypatch.setattr(redaction, "_pattern", None)


def spelt_in(text: str | bytes) -> list[str]:
    """The spellings of the key that stand in a text."""
    told = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return sorted(spelling for spelling in SPELLINGS if spelling.encode() in told)


def hidden_in(folder: Path) -> None:
    """No file of the folder holds the key; zip files are opened."""
    for path in folder.rglob("*"):
        if path.is_file():
            assert spelt_in(path.read_bytes()) == [], path
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    assert spelt_in(archive.read(name)) == [], name


def tour(cli: Cli, work: Workspace, *, ran: bool) -> str:
    """Every command that says something about a target or a run; all that was printed."""
    commands: list[tuple[object, ...]] = [
        ("targets", "check", work.config, "--users", 2),
        ("targets", "check", work.config, "--users", 2, "--format", "json"),
        ("run", work.config, "--dry-run"),
        ("doctor",),
        ("doctor", "--format", "json"),
        ("plugins",),
        ("list",),
        ("list", "--format", "json"),
    ]
    if ran:
        commands += [
            ("show", "latest"),
            ("show", "latest", "--format", "json"),
            ("diff", "latest", "latest"),
            ("gate", "latest"),
            ("pack", "latest", "-o", work.folder / "run.zip"),
            ("verify-pack", work.folder / "run.zip"),
            ("show", work.folder / "run.zip"),
            *(("report", "latest", "--format", form) for form in ("html", "md", "json", "sarif", "junit")),
            ("report", "latest", "--format", "html", "-o", work.folder / "report.html"),
        ]
        with Store(work.store) as store:
            evidence = [key for finding in store.findings(store.run("latest").id) for key in finding.evidence]
        commands += [("show", "latest", "--evidence", key) for key in evidence[:3]]
    said = ""
    for command in commands:
        called = cli(*command)
        assert "See `recaudit --help`" not in called.err, (command, called.err)
        assert spelt_in(called.out + called.err) == [], command
        said += called.out + called.err
    return said


def test_a_python_target_that_shows_its_key(
    work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    (work.folder / "leaky.py").write_text(ECHOING)
    called = cli("run", work.write(target={"factory": "leaky:build"}))
    assert called.code in (0, 1)
    assert spelt_in(called.out + called.err) == []
    with Store(work.store) as store:
        told = store.answers_to(store.run("latest").id, [digest for digest, _ in store.asked(store.run("latest").id)])
        answers = " ".join(map(str, told.values()))
    assert "https://shop/?key=[secret]" in answers, "it was said, and taken out"
    tour(cli, work, ran=True)
    hidden_in(work.folder)
    assert spelt_in(caplog.text) == []


Script = Callable[[Call], Reply]


def _sent(call: Call) -> str:
    return call.headers["authorization"]


def _escaped(text: str) -> str:
    """As JSON may spell it, too: every character by its number."""
    return "".join(f"\\u{ord(c):04x}" for c in text)


def _http_says(call: Call) -> Reply:
    """Works, and repeats the key in every field of its answers and its declaration."""
    key = _sent(call)
    if call.path == "/info":
        return Reply({"name": f"shop {key}", "version": key, "instructions": {"rank": f"Use {key}"}, "tasks": ["rank"]})
    answers: list[dict[str, Any]] = []
    for n, asked in enumerate(call.json()["requests"]):
        ranked: list[Any] = [{"item_id": i["id"], "title": i["title"], "reason": key} for i in asked["candidates"]]
        answers.append(
            [
                {"ranked": ranked, "text": "KEY", "tool_calls": [{"name": key, "arguments": key, "result": key}]},
                {"outcome": "error", "detail": f"denied: {key}"},
                {"outcome": "refused", "text": key, "detail": key},
                {"ranked": [{"item_id": key}, key], "outcome": key},
            ][n % 4]
        )
    body = json.dumps({"answers": answers}).replace('"KEY"', f'"{_escaped(key)}"')
    return Reply(body.encode(), headers={"X-Key": "no"})


def _http_fails(call: Call) -> Reply:
    if call.path == "/info":
        return Reply(status=404)
    return Reply({"error": f"the key {_sent(call)} is unknown"}, status=403)


def _http_is_no_json(call: Call) -> Reply:
    if call.path == "/info":
        return Reply(status=404)
    return Reply(f"<p>{_sent(call)}</p>".encode(), content_type=f"text/{_sent(call)}")


def _http_compresses(call: Call) -> Reply:
    return Reply(b"x", headers={"Content-Encoding": _sent(call)})


@pytest.mark.parametrize(
    ("script", "ran"), [(_http_says, True), (_http_fails, False), (_http_is_no_json, False), (_http_compresses, False)]
)
def test_a_service_that_shows_the_key(
    script: Script,
    ran: bool,
    work: Workspace,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("SHOP_LOGIN", f"Bearer {KEY}")
    with asking(script) as server:
        target = {"kind": "http", "url": server.url, "headers_from_env": {"Authorization": "SHOP_LOGIN"}}
        _look_everywhere(work, cli, target, ran=ran)
    assert {_sent(call) for call in server.calls} == {f"Bearer {KEY}"}, "it was sent, so it could be shown"
    assert spelt_in(caplog.text) == []


def _chat(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": None, **message}}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def _chat_says(call: Call) -> Reply:
    return Reply(_chat(content=f"1. {_sent(call)}\n2. {_sent(call)[7:]}"))


def _chat_refuses(call: Call) -> Reply:
    return Reply(_chat(refusal=f"I was told {_sent(call)}"))


def _chat_fails(call: Call) -> Reply:
    return Reply({"error": {"message": f"Incorrect API key provided: {_sent(call)[7:]}"}}, status=401)


def _chat_breaks_off(call: Call) -> Reply:
    error = json.dumps({"error": {"message": f"lost {_sent(call)}"}})
    return Reply(f"data: {error}\n\n".encode(), content_type="text/event-stream")


def _chat_is_no_chat(call: Call) -> Reply:
    return Reply(f"hello {_sent(call)}".encode(), content_type="text/plain")


@pytest.mark.parametrize(
    ("script", "ran"),
    [
        (_chat_says, True),
        (_chat_refuses, True),
        (_chat_fails, False),
        (_chat_breaks_off, None),
        (_chat_is_no_chat, False),
    ],
)
def test_a_chat_model_that_shows_the_key(
    script: Script,
    ran: bool | None,
    work: Workspace,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("CHAT_LOGIN", KEY)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    with asking(script) as server:
        target = {"kind": "openai", "model": "m", "base_url": f"{server.url}/v1", "api_key_env": "CHAT_LOGIN"}
        _look_everywhere(work, cli, target, ran=ran)
    assert {_sent(call) for call in server.calls} == {f"Bearer {KEY}"}
    assert spelt_in(caplog.text) == []


TITLE = f"Film {KEY}"
"""A key that somebody pasted into a catalogue."""


@pytest.fixture
def elsewhere(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of what is searched: files of the user hold the key, and nobody changes those."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in ("inter.csv", "items.csv"):
        (work.folder / name).rename(folder / name)
    rows = (folder / "items.csv").read_text().splitlines()
    with (folder / "items.csv").open("w", newline="") as file:
        out = csv.writer(file)
        for n, (key, title, *rest) in enumerate(csv.reader(rows)):
            # Every second film, so that each user has some in the history and each list shows some.
            out.writerow([key, f"{TITLE} {title}" if n % 2 else title, *rest])
    return folder


def test_a_reference_recommender_whose_catalogue_holds_the_key(
    work: Workspace,
    cli: Cli,
    elsewhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    files = {"interactions": str(elsewhere / "inter.csv"), "items": str(elsewhere / "items.csv")}
    _look_everywhere(work, cli, {"kind": "zoo", "name": "popularity"}, ran=True, dataset=files)
    with Store(work.store) as store:
        run = store.run("latest").id
        told = store.answers_to(run, [digest for digest, _ in store.asked(run)])
    assert any("Film [secret]" in entry.title for answer in told.values() for entry in answer.ranked)
    assert spelt_in(caplog.text) == []


def test_a_reference_recommender_that_cannot_be_loaded(
    work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder is named in the error, and so is an option that does not exist."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    for option in ({"weights": f"nowhere/{KEY}"}, {KEY: 1}):
        called = cli("run", _with_target(work, {"kind": "zoo", "name": "sasrec", **option}))
        assert called.code == 2
        assert "[secret]" in called.err
        assert spelt_in(called.out + called.err) == []
    assert spelt_in(caplog.text) == []


@pytest.fixture
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A language model whose chat template holds the key, outside of what is searched."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "targets")
    from tiny_lms import CHAT, tiny_model, tiny_tokenizer

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = KEY + CHAT
    tiny_model(max_position_embeddings=4096).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_local_model_that_shows_the_key(
    work: Workspace,
    cli: Cli,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The key of the hub stands in its chat template and in all that it writes."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("HF_TOKEN", KEY)
    prompts: list[str] = []

    def generate(_: Any, asked: list[list[int]], **__: Any) -> list[list[int]]:
        return [[0]] * len(asked)

    def decode(model: Any, tokens: Any) -> str:
        del tokens
        prompts.append("".join(model.frame(("user",))))
        return f"1. Bearer {KEY}\n2. {base64.b64encode(KEY.encode()).decode()}"

    monkeypatch.setattr("audit.targets.lm.CausalLM.generate", generate)
    monkeypatch.setattr("audit.targets.lm.CausalLM.decode", decode)
    options = {"tasks": ["rank"], "rank_mode": "generate"}
    target = {"kind": "hf", "model": str(tiny_model_folder), **options}
    _look_everywhere(work, cli, target, ran=True)
    assert prompts
    assert all(KEY in prompt for prompt in prompts), "the model was asked with it, so it could be shown"
    with Store(work.store) as store:
        run = store.run("latest")
        told = store.answers_to(run.id, [digest for digest, _ in store.asked(run.id)])
    assert {answer.text for answer in told.values()} == {"1. Bearer [secret]\n2. [secret]"}
    assert spelt_in(caplog.text) == []


def test_a_hub_that_refuses_the_key(
    work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the hub's client says goes into our sentence."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", KEY)

    def refuse(name: str, **_: Any) -> None:
        raise OSError(f"401 Client Error for https://hub/{name}: Authorization: Bearer {KEY} is no token")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", refuse)
    target = {"kind": "hf", "model": "somebody/private"}
    called = cli("run", _with_target(work, target))
    assert called.code == 2
    assert "401 Client Error" in called.err
    assert "Bearer [secret] is no token" in called.err
    _look_everywhere(work, cli, target, ran=False)
    assert spelt_in(caplog.text) == []


@contextmanager
def asking(script: Script) -> Iterator[ScriptedServer]:
    with serving(script) as server:
        yield server


def _with_target(work: Workspace, target: dict[str, Any], **changes: Any) -> str:
    """A configuration with this target alone, nothing of the usual one mixed in."""
    config = work.write(target=None, **changes)
    Path(config).write_text(Path(config).read_text() + f"target: {json.dumps(target)}\n")
    return config


def _look_everywhere(work: Workspace, cli: Cli, target: dict[str, Any], *, ran: bool | None, **changes: Any) -> None:
    config = _with_target(work, target, **changes)
    called = cli("run", config, "--report", work.folder / "at-once.html")
    assert spelt_in(called.out + called.err) == []
    assert ran is None or (called.code in (0, 1)) is ran, called.err
    said = tour(cli, work, ran=bool(ran))
    assert "[secret]" in called.err + said, "it was repeated, and taken out"
    hidden_in(work.folder)


@pytest.mark.parametrize(
    "url", ["http://user:KEY@127.0.0.1:1", "http://127.0.0.1:1/?key=KEY", "http://127.0.0.1:1/#KEY"]
)
def test_a_key_in_a_url_is_refused_unseen(url: str, work: Workspace, cli: Cli) -> None:
    config = Path(work.write(target=None))
    config.write_text(config.read_text() + f"target: {json.dumps({'kind': 'http', 'url': url.replace('KEY', KEY)})}\n")
    called = cli("run", config)
    assert called.code == 2
    assert "target" in called.err
    assert spelt_in(called.out + called.err) == []


@pytest.mark.parametrize("form", ["postgresql://me:{}@127.0.0.1:1/db", "postgresql://me@127.0.0.1:1/db?password={}"])
@pytest.mark.parametrize("command", [("list",), ("doctor",), ("run", "audit.yaml")])
def test_the_password_of_a_database(
    form: str, command: tuple[str, ...], work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr("audit.store.database.PATIENCE_S", 0.01)
    called = cli(*command, "--store", form.format(quote(KEY, safe="")))
    assert called.code != 0
    assert "127.0.0.1" in called.out + called.err
    assert spelt_in(called.out + called.err) == []


@pytest.mark.parametrize("debug", [False, True])
def test_the_trace_of_a_bug(
    debug: bool, work: Workspace, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def explode(*_: object) -> None:
        try:
            raise ValueError(f"first {KEY}")
        except ValueError as error:
            raise ZeroDivisionError(f"then Bearer {KEY}") from error

    monkeypatch.setenv("SHOP_API_KEY", KEY)
    monkeypatch.setattr("audit.cli.doctor._python", explode)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.excepthook", None)
    if debug:
        import sys

        monkeypatch.setenv("RECAUDIT_DEBUG", "1")
        with pytest.raises(ZeroDivisionError) as caught:
            cli("doctor")
        said: list[str] = []
        monkeypatch.setattr("sys.stderr.write", said.append)
        sys.excepthook(caught.type, caught.value, caught.tb)
        trace = "".join(said)
    else:
        called = cli("doctor")
        assert called.code == 2
        assert spelt_in(called.err) == []
        (path,) = tmp_path.glob("recaudit-error-*.txt")
        trace = path.read_text()
    assert "first [secret]" in trace
    assert "then Bearer [secret]" in trace
    assert spelt_in(trace) == []
