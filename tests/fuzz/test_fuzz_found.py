"""Faults that the fuzz tests found, each with the input that showed it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa
from helpers import catalog, new_run, request

from audit.config import load as load_config
from audit.data.files import read_table
from audit.errors import ConfigError, DataError, StoreError, TargetError
from audit.findings import Evidence, Finding
from audit.pack import open_pack, write_pack
from audit.run import Run
from audit.store import Store, schema
from audit.targets.http import HttpTarget
from audit.targets.openai import OpenAITarget
from audit.types import Answer

ASKED = request("u", candidates=1)
CHAT = b'{"choices": [{"message": {"content": "[\\"Winter Garden Number 4\\"]"}, %s}], "usage": {"prompt_tokens": %s}}'


def replying(target: OpenAITarget | HttpTarget, *bodies: bytes) -> None:
    """Let the target's client receive these bodies in turn, as JSON, without a network."""
    left = list(bodies)

    def reply(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=left.pop(0), headers={"content-type": "application/json"})

    target._client._transport = httpx.MockTransport(reply)  # type: ignore[assignment]
    target._client._mounts = {}


@pytest.mark.parametrize("body", [b"", b"x", b'{"choices": '])
def test_a_chat_server_that_says_json_and_sends_none(body: bytes) -> None:
    with OpenAITarget("m", base_url="http://127.0.0.1:1/v1", catalog=catalog()) as target:
        replying(target, body)
        with pytest.raises(TargetError, match=r"the response is not JSON .* is base_url"):
            target.recommend([ASKED])


def test_a_streamed_field_that_is_no_text() -> None:
    with OpenAITarget("m", base_url="http://127.0.0.1:1/v1", catalog=catalog(), stream=True) as target:
        replying(target, b'data: {"\\ud800": 1, "choices": []}\n\ndata: [DONE]\n\n')
        with pytest.raises(TargetError, match="the response is not JSON"):
            target.recommend([ASKED])


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_numbers_that_no_column_and_no_float_holds(sign: bytes) -> None:
    huge = sign + b"1" + b"0" * 400
    listed = b'"logprobs": {"content": [{"top_logprobs": [{"token": "Yes", "logprob": %s}]}]}' % huge
    with OpenAITarget("m", base_url="http://127.0.0.1:1/v1", catalog=catalog(), logprobs=True) as target:
        replying(target, CHAT % (listed, huge), CHAT % (listed, huge))
        (ranked,) = target.recommend([ASKED])
        assert (ranked.outcome, ranked.usage.prompt_tokens) == ("ok", 0)
        (scored,) = target.recommend([request("u", candidates=1, task="score")])
        assert (scored.outcome, scored.ranked) == ("unparsable", ())
    with HttpTarget("http://127.0.0.1:1", catalog=catalog()) as service:
        replying(service, b"{}", b'{"answers": [{"ranked": [], "usage": {"prompt_tokens": %s}}]}' % huge)
        (answer,) = service.recommend([ASKED])
        assert answer.outcome == "unparsable"
        said = "must not be negative" if sign else "usage.prompt_tokens is more than 2147483647"
        assert said in answer.detail


@pytest.mark.parametrize("sign", [b"", b"-"])
def test_a_score_that_no_float_holds(sign: bytes) -> None:
    body = b'{"answers": [{"ranked": [{"item_id": "i1", "title": "x", "score": %s1%s}]}]}' % (sign, b"0" * 400)
    with HttpTarget("http://127.0.0.1:1", catalog=catalog()) as service:
        replying(service, b"{}", body)
        (answer,) = service.recommend([ASKED])
    assert answer.outcome == "unparsable"
    assert answer.detail.endswith("entry 1 has a score that no float holds; scores must be finite")


@pytest.mark.parametrize("body", ["", "[]", "null", "{}", '{"ranked": 3}', '{"u1": "x"}', "[" * 100_000])
def test_a_row_that_somebody_changed(tmp_path: Path, body: str) -> None:
    shown = Evidence("u1", "Case")
    found = Finding("b", "x", "X", evidence=(shown.id,))
    with Store(tmp_path / "runs.sqlite") as store:
        run = new_run(store)
        store.put_answers(run, [("key", ASKED, 0, Answer())])
        store.save_module(run, "b", [found], [shown], {found.id: {"u1": 0.5}})
        with store.engine.begin() as db:
            for table in (schema.requests, schema.findings, schema.evidence):
                db.execute(sa.update(table).values(body=body))
        for what, read in (
            ("request", lambda: store.requests([ASKED.digest])),
            ("finding", lambda: store.findings(run)),
            ("piece of evidence", lambda: store.evidence(run)),
        ):
            with pytest.raises(StoreError, match=f"a stored {what} in .* cannot be understood") as caught:
                read()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 2026-99-99", "month must be in 1..12"),
        ('a: !!int ""', "a value is not of its type"),
        ("a: !!bool maybe", "a value is not of its type"),
        ("a: !!timestamp soon", "a value is not of its type"),
        ("[" * 3000, "nested too deeply"),
    ],
)
def test_a_yaml_value_that_is_not_what_it_looks_like(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "audit.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"audit.yaml: .*not valid YAML: .*{said}"):
        load_config(tmp_path / "audit.yaml")


def test_a_parquet_file_that_pyarrow_gives_up_on(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    pd.DataFrame({"user": ["u1", "u2"], "item": ["i1", "i2"]}).to_parquet(path)
    whole = path.read_bytes()
    refused = []
    for start in range(4, 200):
        path.write_bytes(whole[:start] + b"\x80" + whole[start + 1 :])
        try:
            read_table(path)
        except DataError as error:
            refused.append(str(error))
    assert refused
    assert all("cannot be read as PARQUET" in said for said in refused)


def test_a_pack_whose_findings_nobody_can_judge(tmp_path: Path) -> None:
    """Seen in a pack whose manifest fits: an interval without a lower bound."""
    with Store(tmp_path / "runs.sqlite") as store:
        run = new_run(store, policy={"name": "p", "rules": [{"metric": "b.x", "min": 0.1}]})
        store.save_module(run, "b", [Finding("b", "x", "X", estimate=0.5, ci=(0.4, 0.6))], [])
        store.set_status(run, "finished", "pass")
        path = tmp_path / "run.zip"
        write_pack(Run(store.run(run), store), path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["findings.jsonl"] = files["findings.jsonl"].replace(b"0.6]", b"null]").replace(b"0.6 ]", b"null]")
    manifest = json.loads(files["manifest.json"])
    for entry in manifest["files"]:
        raw = files[entry["path"]]
        entry |= {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    files["manifest.json"] = json.dumps(manifest).encode()
    assert b"null]" in files["findings.jsonl"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    with pytest.raises(ConfigError, match="its files fit the manifest but cannot be understood"):
        open_pack(path)


@pytest.mark.parametrize("name", ["tuple[", "str", "path", "int"])
def test_a_field_that_is_named_like_a_type(name: str) -> None:
    """Such names are left out of a place, where they are the members of a union."""
    whole = {"name": "x", "dataset": {"name": "ml-100k"}, "target": {"kind": "http", "url": "http://localhost:1"}}
    for given in ({**whole, name: 1}, {**whole, "budget": {name: 1}}):
        with pytest.raises(ConfigError) as caught:
            load_config(given)
        assert f"{name}: no field has this name" in str(caught.value)
