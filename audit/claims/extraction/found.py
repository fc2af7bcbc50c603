"""A wording that says something, before it is known of which item."""

from __future__ import annotations

from dataclasses import dataclass

from audit.claims.claim import Predicate


@dataclass(frozen=True)
class Found:
    """A wording in the text.

    Attributes:
        predicate: what it says; `passage` for a column of the catalogue that no predicate covers.
        start: where the wording begins.
        end: one past its end.
        object_start: where the object begins.
        object_end: one past its end.
        rank: of two wordings over one object the one of lower rank is taken.
        attribute: the column that the answer names itself, if only that says what is meant.
        polarity: False where the wording itself denies (“you have not seen”).
    """

    predicate: Predicate
    start: int
    end: int
    object_start: int
    object_end: int
    rank: int = 0
    attribute: str = ""
    polarity: bool = True

    @property
    def said(self) -> tuple[int, int]:
        """Span of the wording."""
        return self.start, self.end

    @property
    def object(self) -> tuple[int, int]:
        """Span of the object."""
        return self.object_start, self.object_end
