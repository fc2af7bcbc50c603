"""Evidence packs of anybody: a run, or one sentence; also where the manifest vouches for what is wrong."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fuzz_inputs import JSON, TEXTS, answered_or_refused, fuzzed, mutated
from helpers import new_run, request
from hypothesis import given
from hypothesis import strategies as st

from audit.edits import HistoryDrop, TextEdit
from audit.findings import Evidence, Finding
from audit.pack import MANIFEST, open_pack, write_pack
from audit.pack.manifest import sha256
from audit.pack.read import PackStore
from audit.run import Run
from audit.store import RunUsage, Store, schema
from audit.types import Answer, Ranked, Usage

_ASKED = [request("u1"), request("u2")]
_SHOWN = Evidence("u1", "Case", before=_ASKED[0].digest, edits=(HistoryDrop(0), TextEdit("note", 0, 0, "é")))
_FOUND = Finding("quality", "hr", "X", {"k": 5}, 0.5, (0.4, 0.6), evidence=(_SHOWN.id,))


def _pack() -> dict[str, bytes]:
    """The files of a small pack."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "runs.sqlite") as store:
        run = new_run(store, policy={"name": "p", "rules": [{"metric": "quality.hr", "min": 0.1}]})
        answer = Answer((Ranked("i1", "T", 0.5, "r"),), text="x", usage=Usage(1, 2, 0.5))
        store.put_answers(run, [(f"key{n}", asked, 0, answer) for n, asked in enumerate(_ASKED)])
        store.save_module(run, "quality", [_FOUND], [_SHOWN], {_FOUND.id: {"u1": 0.5}})
        store.set_status(run, "finished", "pass")
        path = Path(folder) / "run.zip"
        write_pack(Run(store.run(run), store), path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


PACK = _pack()
READ = [name for name in PACK if name == "run.json" or name.endswith(".jsonl")]
"""Files that are read back."""
LINES: list[tuple[str, Any]] = [
    (name, json.loads(line))
    for name in READ
    for line in ([PACK[name]] if name == "run.json" else PACK[name].splitlines())
]


class OneStore(PackStore):
    """A store that every pack is read into, emptied before; making its tables anew took longer than all the rest."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "one.sqlite", "", RunUsage(0, 0, 0, 0, 0.0), {})

    def afresh(self, location: Path, pack: str, usage: RunUsage, outcomes: dict[str, int]) -> OneStore:
        """Where a new store would be made."""
        del location
        with self.engine.begin() as db:
            for table in schema.metadata.tables.values():
                if table is not schema.meta:
                    db.execute(sa.delete(table))
        self._pack, self._usage, self._outcomes = pack, usage, outcomes
        return self

    def close(self) -> None:
        """Keep it open."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the pack, and for what is unpacked of it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("audit.pack.read.atexit.register", lambda *_, **__: None)
    monkeypatch.setattr("audit.pack.read.PackStore", OneStore(tmp_path).afresh)
    return tmp_path


def zipped(files: dict[str, bytes]) -> bytes:
    """As a zip file, in this order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, raw in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), raw)
    return out.getvalue()


def vouched(files: dict[str, bytes]) -> dict[str, bytes]:
    """With a manifest that fits."""
    manifest = json.loads(files[MANIFEST])
    for entry in manifest["files"]:
        raw = files[entry["path"]]
        entry |= {"bytes": len(raw), "sha256": sha256(raw)}
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def read(place: Path, raw: bytes) -> Run | None:
    """Open it and read everything in it."""
    (place / "run.zip").write_bytes(raw)
    run = answered_or_refused(lambda: open_pack(place / "run.zip"))
    if run is not None:
        digests = [asked.digest for asked in _ASKED]
        for look in (
            lambda: run.findings,
            lambda: run.to_json(),
            lambda: run.store.evidence(run.id),
            lambda: run.store.requests(digests),
            lambda: run.store.answers_to(run.id, digests),
        ):
            answered_or_refused(look)
    left = list(place.glob("recaudit-pack-*"))
    assert len(left) == (run is not None), "a pack that is refused leaves nothing"
    for folder in left:
        folder.rmdir()
    return run


def test_the_pack_itself_is_read(place: Path) -> None:
    (place / "run.zip").write_bytes(zipped(vouched(dict(PACK))))
    for _ in range(2):
        run = open_pack(place / "run.zip")
        assert [f.metric for f in run.findings] == ["hr"]
        assert list(run.store.evidence(run.id)) == [_SHOWN.id]


@fuzzed
@given(start=st.integers(0, 10**6), noise=st.binary(max_size=12), kept=st.none() | st.integers(0, 10**6))
def test_bytes_of_a_pack(place: Path, start: int, noise: bytes, kept: int | None) -> None:
    whole = zipped(PACK)
    start %= len(whole)
    spoilt = whole[:start] + noise + whole[start + len(noise) :]
    read(place, spoilt if kept is None else spoilt[: kept % len(whole)])


@fuzzed
@given(manifest=mutated(json.loads(PACK[MANIFEST])), raw=st.none() | TEXTS)
def test_manifests_of_a_pack(place: Path, manifest: Any, raw: str | None) -> None:
    told = json.dumps(manifest) if raw is None else raw
    read(place, zipped({**PACK, MANIFEST: told.encode("utf-8", "surrogatepass")}))


@fuzzed
@given(data=st.data(), raw=st.none() | TEXTS | JSON.map(json.dumps))
def test_files_of_a_pack_that_its_manifest_vouches_for(place: Path, data: st.DataObject, raw: str | None) -> None:
    name, row = data.draw(st.sampled_from(LINES))
    told = json.dumps(data.draw(mutated(row))) if raw is None else raw
    files = {**PACK, name: told.encode("utf-8", "surrogatepass") + b"\n"}
    read(place, zipped(vouched(files)))
