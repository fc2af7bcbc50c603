"""On which terms defenses are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from audit.errors import nearest


@dataclass(frozen=True)
class MatrixTerms:
    """On which terms defenses are compared.

    Attributes:
        users: the first so many cases are used; None for all.
        attacks: names of the attacks in the matrix; None for all that go for one user's answers.
        queries: true queries per user, on the bare target as on a defended one, of an attack that is otherwise drawn
            blind: it keeps the best of its draws.
        draws: of a defense that draws at random, over which the adaptive adversary averages its loss.
        reruns: fresh draws on which found edits are judged, where the defense draws at random.
        certified: users whose answers are certified, for defenses that can; None for as many as `users`.
        radius: largest radius up to which certified quality is reported.
    """

    users: int | None = 30
    attacks: Sequence[str] | None = None
    queries: int = 20
    draws: int = 10
    reruns: int = 5
    certified: int | None = None
    radius: int = 5

    def __post_init__(self) -> None:
        for name in ("users", "queries", "draws", "reruns", "certified", "radius"):
            value = getattr(self, name)
            if value is None and name in {"users", "certified"}:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"matrix.{name}: {value} must be a whole number of at least 1")

    @classmethod
    def read(cls, block: Mapping[str, Any], attacks: Sequence[str]) -> MatrixTerms:
        """The terms in a block of options.

        Args:
            block: options by name.
            attacks: names of the attacks of the module.

        Raises:
            ValueError: an unknown option, an attack that the module does not run, or a value that cannot be meant.
        """
        known = [f.name for f in fields(cls)]
        for name in block:
            if name not in known:
                raise ValueError(f"matrix.{name}: no option has this name; {nearest(name, known)}")
        chosen = block.get("attacks")
        if isinstance(chosen, str):
            raise ValueError(f"matrix.attacks: {chosen!r} must be a list of names")
        for name in chosen or ():
            if name not in attacks:
                raise ValueError(f"matrix.attacks: {name!r} is not among the attacks of the module; add it there")
        return cls(**block)
