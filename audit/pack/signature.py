"""Signatures of a pack: Ed25519 (RFC 8032) over the bytes of its manifest, by the library `cryptography`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import ConfigError

_MISSING = "signatures need one more package; install it with `pip install 'recaudit[sign]'`"


@dataclass(frozen=True)
class PrivateKey:
    """Signs. The same key and manifest give the same signature."""

    key: Any

    def sign(self, manifest: bytes) -> bytes:
        """The signature as a line of base64."""
        return base64.b64encode(self.key.sign(manifest)) + b"\n"


@dataclass(frozen=True)
class PublicKey:
    """Tells whether the owner of its private twin signed."""

    key: Any

    def verifies(self, signature: bytes, manifest: bytes) -> bool:
        """Whether this is the signature of these very bytes by that key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(base64.b64decode(signature.strip(), validate=True), manifest)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def private_key(path: Path) -> PrivateKey:
    """Read an Ed25519 private key: PEM, without a password, as `openssl genpkey -algorithm ed25519` writes it.

    Raises:
        ConfigError: `cryptography` is not installed, or the file holds no such key.
    """
    return PrivateKey(_load(path, "--sign", private=True))


def public_key(path: Path) -> PublicKey:
    """Read an Ed25519 public key: PEM, as `openssl pkey -pubout` writes it.

    Raises:
        ConfigError: `cryptography` is not installed, or the file holds no such key.
    """
    return PublicKey(_load(path, "--key", private=False))


def _load(path: Path, option: str, *, private: bool) -> Any:  # noqa: ANN401 - a key of the library
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise ConfigError(f"{option}: {_MISSING}") from None
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option}: cannot read {path}: {error.strerror}") from error
    what = "private" if private else "public"
    try:
        key: Any = (
            serialization.load_pem_private_key(raw, password=None)
            if private
            else serialization.load_pem_public_key(raw)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the reason of the library, which may quote the file.
        key = None
    if not isinstance(key, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise ConfigError(
            f"{option}: {path} holds no Ed25519 {what} key in PEM without a password; "
            "make one with `openssl genpkey -algorithm ed25519 -out key.pem`"
            + ("" if private else ", and its public half with `openssl pkey -in key.pem -pubout -out key.pub`")
        )
    return key
