"""The randomness of a private training: who is in a step, and the noise.

Both are functions of (secret, step). So a step that is run again after a kill is the same step, with the same people
and the same noise: nothing new is given away, the account counts it once, and the weights are those of an unbroken run.

The secret comes from the operating system, never from the seed of the run. A seed stands in configurations and reports;
whoever knows it could draw the noise again and take it off, and would know who was in which step, so that the
amplification by sampling, which the accountant counts on, would be gone as well. The secret lives in the folder of the
training until its end, and is deleted with the last checkpoint.

Noise is drawn in double precision from Philox, a counter-based generator with a 128-bit key; the generator of torch
has a seed of 32 bits, which can be tried out. Neither it nor the rounding of floats is proof against an adversary of
the kind of Mironov 2012; opacus' `secure_mode` is, and needs `torchcsprng`.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audit.errors import ConfigError, TargetError

FILE = "secret.key"
"""In the folder of a training until it is done. Whoever has it can take off the noise."""


@dataclass(frozen=True)
class Secret:
    """The source of a training's randomness.

    Attributes:
        key: 32 bytes, hexadecimal.
        known: whether it was given by somebody, as tests do; there is no guarantee then.
    """

    key: str
    known: bool = False

    def __repr__(self) -> str:
        return "Secret(…)"

    @classmethod
    def of(cls, seed: int) -> Secret:
        """One that anybody can make again: for tests, and for comparisons without a guarantee."""
        return cls(hashlib.sha256(f"known {seed}".encode()).hexdigest(), known=True)

    @classmethod
    def kept(cls, folder: Path) -> Secret:
        """The one of the training in a folder; a new one, written down before anything depends on it.

        Raises:
            TargetError: the file there is not one.
        """
        path = folder / FILE
        if not path.exists():
            partial = folder / f".{FILE}.partial"
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        key = path.read_text(encoding="ascii", errors="replace").strip()
        if len(key) != 64 or set(key) - set("0123456789abcdef"):
            raise TargetError(f"{path}: is not the secret of a training; remove the folder and start anew")
        return cls(key)

    def rng(self, use: Literal["sample", "noise", "split", "canaries"], step: int) -> np.random.Generator:
        """The generator of one use in one step."""
        digest = hashlib.sha256(f"{self.key} {use} {step}".encode()).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))

    def sample(self, units: int, rate: float, step: int) -> list[int]:
        """Who is in a step: each unit by a coin of its own, with chance `rate`; perhaps nobody."""
        return [int(i) for i in np.flatnonzero(self.rng("sample", step).random(units) < rate)]

    def split(self, units: Sequence[str], share: float) -> tuple[list[str], list[str]]:
        """Who is trained on and who is left out: each by a coin with chance `share` to be in, in the order given.

        Raises:
            ConfigError: `share` is not a chance.
        """
        if not 0 < share <= 1:
            raise ConfigError(f"dp.share: {share!r} must be above 0 and at most 1; 0.5 is a fair coin, 1 trains on all")
        heads = self.rng("split", 0).random(len(units)) < share
        return [u for u, h in zip(units, heads, strict=True) if h], [
            u for u, h in zip(units, heads, strict=True) if not h
        ]


def forget(folder: Path) -> None:
    """Delete the secret of a finished training."""
    (folder / FILE).unlink(missing_ok=True)
