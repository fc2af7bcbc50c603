"""Constraints that hold every recipe to what an audit allows: protected words, and a number of edits."""

from __future__ import annotations

from attacks.textattack.fields import Fields, protected
from attacks.textattack.library import AttackedText, Constraint, PreTransformationConstraint


class Unprotected(PreTransformationConstraint):  # type: ignore[misc]  # untyped base
    """Only words outside of what must stay: template fields, format markers and answer words."""

    def _get_modifiable_indices(self, current_text: AttackedText) -> set[int]:
        text, spans = current_text.text, protected(current_text.text)
        allowed, at = set(), 0
        for index, word in enumerate(current_text.words):
            start = text.find(word, at)
            if start < 0:  # a script that TextAttack cuts into words with a dictionary: such a word is left alone
                continue
            at = start + len(word)
            if not any(start < end and first < at for first, end in spans):
                allowed.add(index)
        return allowed


class AtMostEdits(Constraint):  # type: ignore[misc]  # untyped base
    """As many changed words, or runs of words, as the threat model allows edits.

    TextAttack's own limit compares words by position, so that a word cut in two counts all that follow as changed.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(compare_against_original=True)
        self._fields = fields

    def _check_constraint(self, transformed_text: AttackedText, reference_text: AttackedText) -> bool:
        return self._fields.changes(transformed_text.text) <= self._fields.most
