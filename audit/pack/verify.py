"""Checking a pack that nobody vouches for: every fault in one sentence, nothing unpacked to disk."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.errors import ConfigError
from audit.pack.manifest import MANIFEST, SIGNATURE, Limits, Manifest, sha256
from audit.pack.signature import PublicKey
from audit.text import one_line

_CHUNK = 1 << 20
_END = b"PK\x05\x06"
_END_SIZE = 22
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Checked:
    """What a check of a pack found.

    Attributes:
        faults: one sentence each; none means that the pack is what its manifest says.
        digest: SHA-256 of the manifest; empty where there is none that can be read.
        digest_matches: whether it is the digest that the caller knew; None where none was given.
        signature: `valid`, `invalid`, `present` (no key was given to check it with), or `absent`.
        manifest: read; None where it cannot be.
        bytes: of all files, unpacked.
    """

    faults: tuple[str, ...]
    digest: str = ""
    digest_matches: bool | None = None
    signature: str = "absent"
    manifest: Manifest | None = None
    bytes: int = 0

    @property
    def authentic(self) -> bool:
        """Whether something from outside the pack vouches for it: a digest kept elsewhere, or a known key."""
        return not self.faults and (self.digest_matches is True or self.signature == "valid")


def verify(
    path: Path, *, digest: str | None = None, key: PublicKey | None = None, limits: Limits | None = None
) -> Checked:
    """Check a pack against its manifest, and the manifest against what is known from elsewhere.

    Args:
        path: of the zip file.
        digest: SHA-256 of the manifest, in hexadecimal, as it was written down when the pack was made.
        key: of whoever should have signed it.
        limits: beyond which nothing is read.

    Raises:
        ConfigError: the file cannot be read or is no zip file, or the digest is none.
    """
    wanted = None if digest is None else _digest(digest)
    with _opened(path) as archive:
        return _verify(archive, path, wanted, key, limits or Limits())


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise ConfigError(f"PACK: {path}: there is no such file; `recaudit pack RUN -o run.zip` makes one") from None
    except OSError as error:
        raise ConfigError(f"PACK: {path}: cannot be read: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise ConfigError(
            f"PACK: {path}: is not a zip file, or was cut short ({one_line(error)}); fetch it again"
        ) from None


def _digest(given: str) -> str:
    text = given.strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ConfigError(f"--digest: {given!r} is not a SHA-256; it has 64 digits of 0-9 and a-f")
    return text


def _verify(archive: zipfile.ZipFile, path: Path, wanted: str | None, key: PublicKey | None, limits: Limits) -> Checked:
    entries = archive.infolist()
    faults = [*_around(archive, path), *_names(entries), *_sizes(entries, limits)]
    if faults:  # nothing of a file that is built to deceive is unpacked
        return Checked(tuple(faults))
    if MANIFEST not in archive.namelist():
        return Checked((f"{MANIFEST}: is missing, so nothing says what the pack should hold",))
    try:
        raw = archive.read(MANIFEST)
        signed = archive.read(SIGNATURE) if SIGNATURE in archive.namelist() else None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return Checked((f"{MANIFEST}: cannot be unpacked: {one_line(error)}",))
    found = sha256(raw)
    matches = None if wanted is None else hmac.compare_digest(found, wanted)
    if matches is False:
        faults.append(f"{MANIFEST}: its SHA-256 is {found}, not {wanted}: this is not the pack that was vouched for")
    signature = _signature(signed, raw, key, faults)
    try:
        manifest = Manifest.from_bytes(raw, path.name)
    except ConfigError as error:
        return Checked((*faults, str(error)), found, matches, signature)
    faults += _listed(archive, manifest)
    return Checked(tuple(faults), found, matches, signature, manifest, sum(e.file_size for e in entries))


def _around(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Bytes of the file that belong to no member: another file could hide there."""
    faults = []
    if archive.comment:
        faults.append("the zip file carries a comment, which no hash covers")
    entries = archive.infolist()
    if entries and min(e.header_offset for e in entries) > 0:
        faults.append("the zip file begins with bytes that belong to none of its files")
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - _END_SIZE, 0))
        if not archive.comment and not file.read(4) == _END:
            faults.append("the zip file ends with bytes that belong to none of its files")
    if any(e.comment or e.extra for e in entries):
        faults.append("a file of the zip carries a comment or extra fields, which no hash covers")
    return faults


def _names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    faults = []
    for name, times in Counter(e.orig_filename for e in entries).items():
        shown = one_line(name)
        if times > 1:
            faults.append(f"{shown}: is in the zip {times} times, and readers differ in which one they take")
        if _escapes(name):
            faults.append(f"{shown}: leads out of the folder that the pack is unpacked to, or is no plain name")
    folded = Counter(e.orig_filename.casefold() for e in entries if not _escapes(e.orig_filename))
    exact = {e.orig_filename for e in entries}
    if len(folded) < len({name for name in exact if not _escapes(name)}):
        faults.append("two names differ in capitals alone, and one would overwrite the other on some machines")
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            faults.append(f"{one_line(entry.orig_filename)}: is a link or a folder, not a file")
        if entry.flag_bits & _ENCRYPTED:
            faults.append(f"{one_line(entry.orig_filename)}: is encrypted; a pack is not")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            faults.append(f"{one_line(entry.orig_filename)}: is compressed in a way that packs are not")
    return faults


def _escapes(name: str) -> bool:
    parts = name.split("/")
    return (
        not re.fullmatch(r"[A-Za-z0-9._/-]+", name)
        or name.startswith("/")
        or any(part in {"", ".", ".."} or part.endswith(".") for part in parts)
    )


def _sizes(entries: Sequence[zipfile.ZipInfo], limits: Limits) -> list[str]:
    faults = []
    if len(entries) > limits.files:
        faults.append(f"the zip holds {len(entries):,} files; at most {limits.files:,} are taken")
    total = sum(e.file_size for e in entries)
    if total > limits.bytes:
        faults.append(f"the files hold {total:,} bytes unpacked; at most {limits.bytes:,} are taken")
    for name in (MANIFEST, SIGNATURE):
        size = sum(e.file_size for e in entries if e.orig_filename == name)
        if size > limits.manifest:
            faults.append(f"{name}: holds {size:,} bytes; at most {limits.manifest:,} are taken")
    return faults


def _signature(signed: bytes | None, manifest: bytes, key: PublicKey | None, faults: list[str]) -> str:
    if signed is None:
        if key is not None:
            faults.append(f"{SIGNATURE}: is missing, so nobody signed this pack; its maker gives `--sign` when packing")
        return "absent"
    if key is None:
        return "present"
    if key.verifies(signed, manifest):
        return "valid"
    faults.append(f"{SIGNATURE}: does not fit the manifest and this key: it was changed, or somebody else signed it")
    return "invalid"


def _listed(archive: zipfile.ZipFile, manifest: Manifest) -> list[str]:
    faults = []
    listed = Counter(f.path for f in manifest.files)
    held = set(archive.namelist()) - {MANIFEST, SIGNATURE}
    faults += [f"{one_line(name)}: is listed {n} times in the manifest" for name, n in listed.items() if n > 1]
    faults += [f"{one_line(name)}: is missing; the manifest lists it" for name in sorted(listed.keys() - held)]
    faults += [
        f"{one_line(name)}: is not listed in the manifest, so it was added" for name in sorted(held - set(listed))
    ]
    for file in manifest.files:
        if file.path not in held:
            continue
        try:
            size, found = _hash(archive, file.path, file.bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            faults.append(f"{file.path}: cannot be unpacked: {one_line(error)}")
            continue
        if size != file.bytes:
            faults.append(f"{file.path}: holds {size:,} bytes or more, and the manifest says {file.bytes:,}")
        elif found != file.sha256:
            faults.append(f"{file.path}: was changed: its SHA-256 is {found[:12]}…, not {file.sha256[:12]}…")
    return faults


def _hash(archive: zipfile.ZipFile, name: str, expected: int) -> tuple[int, str]:
    """Size and SHA-256 of a member, read no further than one chunk beyond the size it should have."""
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
            if size > expected:
                break
    return size, digest.hexdigest()
