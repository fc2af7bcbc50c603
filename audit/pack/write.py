"""Writing a pack: the same run always gives the same bytes."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from audit.errors import ConfigError
from audit.pack import lines
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
    run = type(run)(run.store.run(run.id), run.store)  # as stored, so that the order of fields is always the same
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            packing = _Packing(archive, run.id, limits or Limits())
            for name, pieces in sorted(_contents(run), key=lambda content: content[0]):
                packing.add(name, pieces)
            manifest = _manifest(run, packing.files).to_bytes()
            packing.add(MANIFEST, [manifest.decode()])
            if key is not None:
                packing.add(SIGNATURE, [key.sign(manifest).decode()])
        size = part.stat().st_size
        part.replace(path)  # a pack is there whole or not at all
    except OSError as error:
        raise ConfigError(f"--output: cannot write {path}: {error.strerror}; choose another place") from error
    finally:
        part.unlink(missing_ok=True)
    return Packed(path, sha256(manifest), len(packing.files), size, key is not None)


class _Packing:
    """Files put into a zip piece by piece, so that none is ever in memory as a whole; each is measured on its way."""

    def __init__(self, archive: zipfile.ZipFile, run: str, limits: Limits) -> None:
        self._archive, self._run, self._limits = archive, run, limits
        self.files: list[File] = []

    def add(self, name: str, pieces: Iterable[str]) -> None:
        """Put one file in.

        Raises:
            ConfigError: readers would refuse a pack of this size.
        """
        entry = zipfile.ZipInfo(name, EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # as on Unix, whatever made it
        entry.external_attr = 0o100644 << 16
        digest, size, before = hashlib.sha256(), 0, sum(file.bytes for file in self.files)
        with self._archive.open(entry, "w") as file:
            for piece in _larger(pieces):
                raw = piece.encode()
                size += len(raw)
                if before + size > self._limits.bytes:
                    raise ConfigError(
                        f"pack: {self._run} holds too much for a pack: readers take at most {self._limits.bytes:,} "
                        "bytes; audit fewer users, or split the audit by module"
                    )
                digest.update(raw)
                file.write(raw)
        self.files.append(File(path=name, bytes=size, sha256=digest.hexdigest()))


def _larger(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in pieces of some hundred lines: each call of the compressor costs more than a line."""
    left = iter(pieces)
    while some := list(islice(left, 500)):
        yield "".join(some)


def _manifest(run: Run, files: Sequence[File]) -> Manifest:
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
        files=tuple(files),
    )


def _contents(run: Run) -> Iterator[tuple[str, Iterable[str]]]:
    """Name and text of each file, as pieces; those of the evidence are read from the store when they are asked for."""
    from audit.report import facts, render

    store = run.store
    yield "README.txt", [_README]
    for kind in ("html", "md"):
        yield f"report.{kind}", [render([run], kind)]
    yield RUN, [render([run], "json")]
    yield "run.sarif", [render([run], "sarif")]
    yield "config.yaml", [facts.config(run) + "\n"]
    yield "policy.yaml", [yaml.safe_dump(dict(run.record.policy), sort_keys=False, allow_unicode=True)]
    yield MEASURED, (lines.line(f.to_dict()) for f in run.measured)
    values = ((f.id, store.values(run.id, f.id)) for f in run.measured)
    yield VALUES, (lines.line({"finding": key, "values": found}) for key, found in values if found)
    digests = {d for e in run.evidence().values() for d in (e.before, e.after) if d is not None}
    yield EVIDENCE, lines.evidence(store.evidence_bodies(run.id))
    yield REQUESTS, lines.requests(store.request_bodies(digests))
    yield ANSWERS, lines.answers(store.answer_rows(run.id, digests))
