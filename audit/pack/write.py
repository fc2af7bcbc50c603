"""Writing a pack: the same run always gives the same bytes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from audit.errors import ConfigError
from audit.pack.manifest import MANIFEST, SIGNATURE, File, Limits, Manifest, sha256
from audit.pack.signature import PrivateKey

if TYPE_CHECKING:
    from audit.run import Run

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time stamp of every file: the earliest that a zip can hold. When a pack was made is no part of what it proves."""

EVIDENCE, REQUESTS, ANSWERS = "evidence/evidence.jsonl", "evidence/requests.jsonl", "evidence/answers.jsonl"
VALUES, MEASURED, RUN = "evidence/values.jsonl", "findings.jsonl", "run.json"

_README = """\
This is an evidence pack of RecAudit: one audit of one recommender, with what it rests on.

report.html, report.md     for people
run.json                   the findings with their verdicts, for programs
run.sarif                  the same for code scanning
config.yaml, policy.yaml   what was asked, and what it was held to
findings.jsonl             the findings as measured, before any policy judged them
evidence/                  the cases behind the findings, their requests and answers, and what each case gave
manifest.json              size and SHA-256 of every other file, the versions, the target

    recaudit verify-pack THIS.zip --digest SHA-256-OF-MANIFEST.JSON

says whether anything was changed since the digest was written down. Without a digest that was kept elsewhere, or a
signature and the public key of its maker, the hashes show damage, but not a forger, who would have changed them too.

    recaudit report THIS.zip --format html

reads the pack like a stored run. It holds what users did and what the target said to them: pass it on as you would pass
on the data of the audit.
"""


@dataclass(frozen=True)
class Packed:
    """A pack that was written.

    Attributes:
        path: where.
        digest: SHA-256 of its manifest: what to keep elsewhere.
        files: how many it holds, the manifest among them.
        bytes: size of the zip file.
        signed: whether it carries a signature.
    """

    path: Path
    digest: str
    files: int
    bytes: int
    signed: bool


def write_pack(run: Run, path: Path, *, key: PrivateKey | None = None, limits: Limits | None = None) -> Packed:
    """Write one finished run as a pack.

    Args:
        run: stored, or read from another pack.
        path: of the zip file.
        key: signs the manifest.
        limits: a pack that a reader would refuse is not written.

    Raises:
        ConfigError: the run is not finished, is too large for a pack, or the file cannot be written.
    """
    if run.record.status != "finished":
        raise ConfigError(
            f"RUN: {run.id} is {run.record.status}; a pack is made of a finished run: `recaudit resume {run.id}` first"
        )
    limits = limits or Limits()
    run = type(run)(run.store.run(run.id), run.store)  # as stored, so that the order of fields is always the same
    contents = dict(sorted(_contents(run)))
    size = sum(map(len, contents.values()))
    if size > limits.bytes:
        raise ConfigError(
            f"pack: {run.id} holds {size:,} bytes, and readers take at most {limits.bytes:,}; "
            "audit fewer users, or split the audit by module"
        )
    manifest = _manifest(run, contents).to_bytes()
    members = {MANIFEST: manifest}
    if key is not None:
        members[SIGNATURE] = key.sign(manifest)
    members |= contents
    raw = _zipped(members)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror}; choose another place") from error
    return Packed(path, sha256(manifest), len(members), len(raw), key is not None)


def _manifest(run: Run, contents: Mapping[str, bytes]) -> Manifest:
    from audit import __version__

    record = run.record
    return Manifest(
        recaudit=__version__,
        run={
            "id": run.id,
            "name": run.name,
            "created": record.created,
            "status": record.status,
            "seed": record.seed,
            "verdict": run.verdict,
        },
        target=dict(record.target),
        versions=dict(sorted(record.versions.items())),
        files=tuple(File(path=name, bytes=len(raw), sha256=sha256(raw)) for name, raw in contents.items()),
    )


def _contents(run: Run) -> Iterator[tuple[str, bytes]]:
    from audit.report import facts, render

    store, pieces = run.store, run.evidence()
    digests = {d for e in pieces.values() for d in (e.before, e.after) if d is not None}
    yield "README.txt", _README.encode()
    for kind in ("html", "md"):
        yield f"report.{kind}", render([run], kind).encode()
    yield RUN, render([run], "json").encode()
    yield "run.sarif", render([run], "sarif").encode()
    yield "config.yaml", (facts.config(run) + "\n").encode()
    yield "policy.yaml", yaml.safe_dump(dict(run.record.policy), sort_keys=False, allow_unicode=True).encode()
    yield MEASURED, _lines(f.to_dict() for f in run.measured)
    yield EVIDENCE, _lines({"id": key, **e.to_dict()} for key, e in sorted(pieces.items()))
    yield REQUESTS, _lines({"digest": d, **r.to_dict()} for d, r in sorted(store.requests(digests).items()))
    answers = sorted(store.answers_to(run.id, digests).items())
    yield ANSWERS, _lines({"request": d, "repeat": n, "answer": a.to_dict()} for (d, n), a in answers)
    values = ((f.id, store.values(run.id, f.id)) for f in run.measured)
    yield VALUES, _lines({"finding": key, "values": found} for key, found in values if found)


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON Lines in plain ASCII: nothing in them acts on the terminal of whoever looks into them."""
    return "".join(json.dumps(row).replace("\x7f", "\\u007f") + "\n" for row in rows).encode()


def _zipped(members: Mapping[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, raw in members.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # as on Unix, whatever made it
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, raw)
    return out.getvalue()
