"""An evidence pack: the same run gives the same bytes, it reads back as the run, and every change of it is named."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa

from audit import redaction
from audit.errors import ConfigError, StoreError
from audit.pack import Limits, lines, open_pack, verify, write_pack
from audit.pack.signature import private_key, public_key
from audit.report import render
from audit.run import Run
from audit.store import schema

MakeRun = Callable[..., Run]


@pytest.fixture
def packed(shown: Run, tmp_path: Path) -> Path:
    write_pack(shown, tmp_path / "run.zip")
    return tmp_path / "run.zip"


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(path: Path, files: dict[str, bytes], *more: tuple[str, bytes]) -> Path:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in [*files.items(), *more]:
            archive.writestr(zipfile.ZipInfo(name), raw, zipfile.ZIP_DEFLATED)
    path.write_bytes(out.getvalue())
    return path


def test_the_same_run_gives_the_same_bytes(shown: Run, tmp_path: Path) -> None:
    one, two = (write_pack(shown, tmp_path / name) for name in ("a.zip", "b.zip"))
    assert one.digest == two.digest
    assert one.path.read_bytes() == two.path.read_bytes()


def test_a_pack_read_back_is_the_run(shown: Run, packed: Path) -> None:
    run = open_pack(packed)
    assert run.to_json() == Run(shown.store.run(shown.id), shown.store).to_json()
    assert run.evidence() == shown.evidence()
    assert run.usage == shown.usage
    for kind in ("html", "md", "sarif", "junit"):
        assert render([run], kind) == render([shown], kind), kind


def test_a_pack_of_a_pack_is_the_pack(packed: Path, tmp_path: Path) -> None:
    again = write_pack(open_pack(packed), tmp_path / "again.zip")
    assert again.path.read_bytes() == packed.read_bytes()


def test_values_come_back_so_that_two_runs_are_compared_within_their_cases(make_run: MakeRun, tmp_path: Path) -> None:
    from report_world import FLIP

    values = {FLIP.id: {f"u{i}": float(i % 2) for i in range(40)}}
    write_pack(make_run([FLIP], values=values), tmp_path / "run.zip")
    run = open_pack(tmp_path / "run.zip")
    assert run.store.values(run.id, FLIP.id) == values[FLIP.id]


def test_answers_of_evidence_are_no_sample_of_what_was_asked(packed: Path) -> None:
    run = open_pack(packed)
    assert run.store.asked(run.id) == set()


def test_the_digest_is_the_sha256_of_the_manifest_and_each_hash_is_true(packed: Path) -> None:
    files = members(packed)
    assert verify(packed).digest == hashlib.sha256(files["manifest.json"]).hexdigest()
    listed = json.loads(files["manifest.json"])
    assert {f["path"] for f in listed["files"]} == set(files) - {"manifest.json"}
    for file in listed["files"]:
        assert hashlib.sha256(files[file["path"]]).hexdigest() == file["sha256"]
    assert listed["target"]["fingerprint"] == "demo"
    assert listed["versions"] == {"python": "3.11.7"}


def test_no_file_of_a_pack_names_a_folder_of_the_machine(packed: Path) -> None:
    assert [name for name, raw in members(packed).items() if b"/home/someone" in raw] == []


def test_a_pack_as_it_was_made_has_no_fault(packed: Path) -> None:
    found = verify(packed)
    assert found.faults == ()
    assert not found.authentic, "hashes alone vouch for nothing"
    assert verify(packed, digest=found.digest).authentic
    assert verify(packed, digest=f"SHA256:{found.digest.upper()} ").authentic


def test_every_byte_of_a_member_is_covered(packed: Path) -> None:
    files = members(packed)
    for name in files:
        changed = files | {name: files[name][:-2] + b"xx"}
        faults = verify(rezip(packed, changed)).faults
        assert faults
        assert all(fault.startswith(name) or "manifest" in fault for fault in faults), name


def test_missing_added_and_doubled_files_are_named(packed: Path) -> None:
    files = members(packed)
    without = {k: v for k, v in files.items() if k != "run.json"}
    assert verify(rezip(packed, without)).faults == ("run.json: is missing; the manifest lists it",)
    assert verify(rezip(packed, files, ("more.txt", b"x"))).faults == (
        "more.txt: is not listed in the manifest, so it was added",
    )
    with pytest.warns(UserWarning, match="Duplicate"):
        rezip(packed, files, ("run.json", b"{}"))
    assert "run.json: is in the zip 2 times" in verify(packed).faults[0]
    assert "is missing" in verify(rezip(packed, {"run.json": b"{}"})).faults[0]


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "C:evil", "a\\..\\evil", "a//b", "./a", "con.", "a\x1b[2J", "é"]
)
def test_names_that_could_lead_out_are_refused(packed: Path, name: str) -> None:
    faults = verify(rezip(packed, members(packed), (name, b"x"))).faults
    assert any("leads out of the folder" in fault for fault in faults)
    assert "\x1b" not in "".join(faults)


def test_names_that_one_machine_takes_for_one_are_refused(packed: Path) -> None:
    assert any("capitals" in f for f in verify(rezip(packed, members(packed), ("RUN.json", b"x"))).faults)


def test_links_are_refused(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert any("link: is a link" in fault for fault in verify(packed).faults)


def test_bytes_outside_every_file_are_refused(packed: Path) -> None:
    raw = packed.read_bytes()
    packed.write_bytes(b"#!/bin/sh\n" + raw)
    assert "begins with bytes" in verify(packed).faults[0]
    packed.write_bytes(raw + b"tail")
    assert "ends with bytes" in verify(packed).faults[0]
    packed.write_bytes(raw)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = b"hello"
    assert "comment" in verify(packed).faults[0]


def test_a_bomb_is_not_unpacked(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = rezip(packed, members(packed), ("bomb", b"\0" * 20_000_000))
    assert bomb.stat().st_size < 100_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("unpacked"))
    assert "at most 1,000,000 are taken" in verify(bomb, limits=Limits(bytes=1_000_000)).faults[0]
    assert "at most 3 are taken" in verify(bomb, limits=Limits(files=3)).faults[0]


def test_a_member_longer_than_it_says_is_a_fault(packed: Path) -> None:
    files = members(packed)
    manifest = json.loads(files["manifest.json"])
    for file in manifest["files"]:
        file["bytes"] = 1
    files["manifest.json"] = json.dumps(manifest).encode()
    assert "or more, and the manifest says 1" in verify(rezip(packed, files)).faults[0]


def test_a_forger_who_mends_the_hashes_is_caught_by_the_digest_alone(packed: Path) -> None:
    kept = verify(packed).digest
    files = members(packed)
    files["run.json"] = files["run.json"].replace(b'"fail"', b'"pass"')
    rezip(packed, vouched(files))
    assert verify(packed).faults == ()
    assert "not the pack that was vouched for" in verify(packed, digest=kept).faults[0]


def test_files_cut_short_and_other_files_are_said_in_one_sentence(packed: Path, tmp_path: Path) -> None:
    raw = packed.read_bytes()
    for part in (0, 10, len(raw) // 2, len(raw) - 1):
        packed.write_bytes(raw[:part])
        with pytest.raises(ConfigError, match="not a zip file"):
            verify(packed)
    with pytest.raises(ConfigError, match="no such file"):
        verify(tmp_path / "none.zip")
    with pytest.raises(ConfigError, match="cannot be read"):
        verify(tmp_path)
    packed.write_bytes(raw)
    with pytest.raises(ConfigError, match="64 digits"):
        verify(packed, digest="abc")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"not json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an evidence pack"),
        (b'{"format": "recaudit-pack", "schema": 9}', "schema 9 is not read here"),
        (b'{"format": "recaudit-pack", "schema": 1}', "recaudit is missing"),
    ],
)
def test_a_manifest_that_is_none_is_a_fault(packed: Path, manifest: bytes, said: str) -> None:
    found = verify(rezip(packed, members(packed) | {"manifest.json": manifest}))
    assert said in found.faults[-1]


def test_a_changed_pack_is_not_read_as_a_run(packed: Path) -> None:
    rezip(packed, members(packed) | {"run.json": b"{}"})
    with pytest.raises(ConfigError, match=r"run\.json: .*verify-pack"):
        open_pack(packed)


def test_what_fits_the_manifest_and_means_nothing_is_said(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = members(packed)
    monkeypatch.setattr("tempfile.tempdir", str(packed.parent))
    for name, raw in (("run.json", b"{}"), ("findings.jsonl", b'{"a": 1}\n'), ("evidence/answers.jsonl", b"[]\n")):
        with pytest.raises(ConfigError, match="cannot be understood"):
            open_pack(rezip(packed, vouched(files | {name: raw})))
    assert list(packed.parent.glob("recaudit-pack-*")) == [], "nothing of it is left on the disk"


def test_only_a_finished_run_is_packed(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is stopped; .*resume"):
        write_pack(make_run([], status="stopped"), tmp_path / "run.zip")


def test_a_pack_that_cannot_be_finished_leaves_the_earlier_one(make_run: MakeRun, packed: Path, shown: Run) -> None:
    before = packed.read_bytes()
    with pytest.raises(ConfigError, match="readers take at most 10 bytes"):
        write_pack(make_run([]), packed, limits=Limits(bytes=10))
    most = sum(map(len, members(packed).values()))
    with pytest.raises(ConfigError, match="readers take at most"):
        write_pack(shown, packed, limits=Limits(bytes=most - 1))
    assert packed.read_bytes() == before
    assert [path.name for path in packed.parent.glob("*run.zip*")] == ["run.zip"]
    write_pack(shown, packed, limits=Limits(bytes=most))


def changed_rows(run: Run, change: Callable[[str], str]) -> None:
    """Change what is stored of a run's requests, answers and evidence, as somebody with an editor would."""
    with run.store.engine.begin() as db:
        for table in (schema.requests, schema.answers, schema.evidence):
            for (body,) in db.execute(sa.select(table.c.body)).all():
                db.execute(sa.update(table).where(table.c.body == body).values(body=change(body)))


def test_rows_in_another_spelling_are_packed_as_plain_lines(shown: Run, packed: Path, tmp_path: Path) -> None:
    told = shown.to_json(), shown.evidence(), asked_and_answered(shown)
    changed_rows(shown, lambda body: json.dumps(json.loads(body), indent=1, ensure_ascii=False) + "\n")
    again = write_pack(shown, tmp_path / "again.zip")
    run = open_pack(again.path)
    assert (run.to_json(), run.evidence(), asked_and_answered(run)) == told
    assert again.path.read_bytes() == packed.read_bytes()


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "[" * 100_000, "\n"])
def test_a_row_that_is_no_json_is_one_sentence(shown: Run, tmp_path: Path, body: str) -> None:
    with shown.store.engine.begin() as db:
        db.execute(sa.update(schema.requests).values(body=body))
    with pytest.raises(StoreError, match="cannot be understood") as caught:
        write_pack(shown, tmp_path / "run.zip")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="is not JSON, so it cannot be packed"):  # where no report shows it
        list(lines.requests([("0" * 64, body)]))
    assert list(tmp_path.glob("*run.zip*")) == []


def asked_and_answered(run: Run) -> tuple[object, object]:
    digests = {d for e in run.evidence().values() for d in (e.before, e.after) if d is not None}
    return run.store.requests(digests), run.store.answers_to(run.id, digests)


def respelt(raw: bytes) -> bytes:
    """JSON Lines as another program may write them: other spaces, and keys in another order."""
    rows = [json.loads(line) for line in raw.splitlines()]
    return "".join(json.dumps(dict(reversed(row.items())), separators=(" , ", " : ")) + "\n" for row in rows).encode()


def vouched(files: dict[str, bytes]) -> dict[str, bytes]:
    """With a manifest that fits."""
    manifest = json.loads(files["manifest.json"])
    for file in manifest["files"]:
        raw = files[file["path"]]
        file.update(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    return files | {"manifest.json": json.dumps(manifest).encode()}


def test_lines_in_another_spelling_are_the_same_run(shown: Run, packed: Path) -> None:
    files = members(packed)
    changed = {name: respelt(raw) if name.endswith(".jsonl") else raw for name, raw in files.items()}
    assert changed["evidence/requests.jsonl"] != files["evidence/requests.jsonl"]
    run = open_pack(rezip(packed, vouched(changed)))
    assert run.to_json() == shown.to_json()
    assert asked_and_answered(run) == asked_and_answered(shown)
    assert render([run], "html") == render([shown], "html")


def test_a_line_that_is_no_request_is_one_sentence_when_it_is_read(packed: Path) -> None:
    files = members(packed)
    digest = json.loads(files["evidence/requests.jsonl"].splitlines()[0])["digest"]
    for body in ('"user": 3}', '"user":', '"a": {"\\ud800": NaN}}', '"x": "'):
        line = f'{{"digest": "{digest}", {body}\n'.encode()
        run = open_pack(rezip(packed, vouched(files | {"evidence/requests.jsonl": line})))
        with pytest.raises(ConfigError, match=r"PACK: .*run\.zip: .*a request in them cannot be understood") as caught:
            run.store.requests([digest])
        assert "\n" not in str(caught.value)


def test_a_secret_of_this_machine_in_a_pack_is_not_kept(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_registered", set())
    monkeypatch.setattr(redaction, "_pattern", None)
    redaction.register("Babe (1995)")
    run = open_pack(packed)
    run.store.close()
    raw = b"".join(file.read_bytes() for file in Path(run.store.location).parent.iterdir())
    assert b"[secret]" in raw
    assert b"Babe (1995)" not in raw


def _keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A pair made as the page says: by OpenSSL."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def test_a_signature_shows_who_made_it(shown: Run, tmp_path: Path) -> None:
    (private, public), (_, other) = _keys(tmp_path, "a"), _keys(tmp_path, "b")
    made = write_pack(shown, tmp_path / "run.zip", key=private_key(private))
    assert made.signed
    assert verify(made.path).signature == "present"
    assert verify(made.path, key=public_key(public)).authentic
    assert "somebody else signed it" in verify(made.path, key=public_key(other)).faults[0]
    # As any other tool checks it.
    files = members(made.path)
    (tmp_path / "m").write_bytes(files["manifest.json"])
    decoded = subprocess.run(["base64", "-d"], input=files["manifest.sig"], capture_output=True, check=True).stdout
    (tmp_path / "s").write_bytes(decoded)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", tmp_path / "m"]
    done = subprocess.run([*command, "-sigfile", tmp_path / "s"], capture_output=True, text=True, check=False)
    assert "Verified Successfully" in done.stdout
    files.pop("manifest.sig")
    assert "nobody signed this pack" in verify(rezip(made.path, files), key=public_key(public)).faults[0]


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    private, public = _keys(tmp_path, "a")
    for load, path in ((private_key, public), (public_key, private)):
        with pytest.raises(ConfigError, match=r"no Ed25519 .* key"):
            load(path)
    with pytest.raises(ConfigError, match="cannot read"):
        private_key(tmp_path / "none")


def test_files_of_a_pack_hold_nothing_that_a_terminal_obeys(packed: Path) -> None:
    for name, raw in members(packed).items():
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", raw.decode()), name
