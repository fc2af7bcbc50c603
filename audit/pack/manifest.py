"""What a pack says of itself: its files with their sizes and hashes, the run, and what made it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.config import sentence
from audit.errors import ConfigError

FORMAT: Literal["recaudit-pack"] = "recaudit-pack"
SCHEMA = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Strict):
    """What a reader takes from a file that it does not trust.

    Attributes:
        files: most files in a pack.
        bytes: most bytes of all files together, unpacked; a zip of a few kilobytes can hold petabytes.
        manifest: most bytes of the manifest, which is read before anything is known of it.
    """

    files: int = 100
    bytes: int = 1 << 30
    manifest: int = 1 << 20


class File(_Strict):
    """One file of a pack.

    Attributes:
        path: inside the pack.
        bytes: its size, unpacked.
        sha256: of its bytes, in hexadecimal.
    """

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(_Strict):
    """The manifest.

    Attributes:
        format: always `recaudit-pack`.
        schema_: of the manifest and of the files it lists; written as `schema`.
        recaudit: version that made the pack.
        run: id, name, start, status, seed and verdict.
        target: what the target declared, with its fingerprint if it has one.
        versions: of the libraries that the run was made with.
        files: every other file of the pack, by path.
    """

    format: Literal["recaudit-pack"] = FORMAT
    schema_: Literal[1] = Field(default=1, alias="schema")
    recaudit: str
    run: dict[str, Any]
    target: dict[str, Any]
    versions: dict[str, str]
    files: tuple[File, ...]

    def to_bytes(self) -> bytes:
        """As the pack holds it: readable, and always the same bytes."""
        shown = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(shown, ensure_ascii=True, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, raw: bytes, pack: str) -> Manifest:
        """Inverse of `to_bytes`.

        Raises:
            ConfigError: it is no manifest, or of a version that this one does not read.
        """
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            raise ConfigError(f"{pack}: {MANIFEST} is not JSON; the pack is damaged or was not made here") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ConfigError(f"{pack}: {MANIFEST} has no format {FORMAT!r}, so this is not an evidence pack")
        if data.get("schema") != SCHEMA:
            raise ConfigError(
                f"{pack}: {MANIFEST}: schema {data.get('schema')!r} is not read here, only {SCHEMA}; "
                "use the version of RecAudit that made it"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(sentence(error, cls, f"{pack}: {MANIFEST}")) from None


def sha256(raw: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(raw).hexdigest()
