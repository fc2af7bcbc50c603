"""What answers give away: personal data, attributes of who asks, the instruction, and what other users said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from audit.errors import nearest
from audit.gateway import Ask
from audit.modules.base import Context, Output
from audit.modules.privacy import cross_user, own_words, prompt_rates
from audit.modules.privacy.module import INFO
from audit.modules.privacy.pii import KINDS, Finder, Pii, find_pii, presidio
from audit.modules.report_card import ReportCard
from audit.modules.sheet import Sheet

CHECKS = ("pii", "sensitive", "prompt", "cross_user")


@dataclass(frozen=True)
class Leakage:
    """Answers searched for what should not stand in them.

    Attributes:
        checks: what is searched for: `pii`, `sensitive`, `prompt`, `cross_user`.
        answers: how many users are asked.
        kinds: of personal data: `email`, `phone`, `iban`, `card`, `ip`, `national_id`.
        presidio: whether Microsoft Presidio searches too, where it is installed; it knows names and places.
        prompt: the instruction that is to be kept, as its owner knows it; None for the one that the requests carry.
        attacks: how many of the ways to draw the instruction out are tried on each user.
        pairs: pairs of users of whom one is asked what the other has said.
    """

    checks: Sequence[str] = CHECKS
    answers: int = 50
    kinds: Sequence[str] = KINDS
    presidio: bool = False
    prompt: str | None = field(default=None, repr=False)
    attacks: int = 2
    pairs: int = 20

    def __post_init__(self) -> None:
        for name, known in (("checks", CHECKS), ("kinds", KINDS)):
            given = getattr(self, name)
            if isinstance(given, str) or not given:
                raise ValueError(f"{name}: {given!r} must be a list of {', '.join(known)}")
            for one in given:
                if one not in known:
                    raise ValueError(f"{name}: {one!r} is unknown; {nearest(str(one), known)}")
        for name in ("answers", "attacks", "pairs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {value!r} must be a whole number of at least 1")
        if self.attacks > (most := len(prompt_rates.attacks())):
            raise ValueError(f"attacks: {self.attacks} must be at most {most}, for there are so many")
        if self.prompt is not None and (not isinstance(self.prompt, str) or len(self.prompt) < prompt_rates.RUN):
            raise ValueError(
                f"prompt: must be the instruction as a text of at least {prompt_rates.RUN} characters; shorter ones "
                "cannot be told from chance"
            )
        if self.presidio:
            _ = self._finder  # what is not installed is said before anything is asked

    @cached_property
    def _finder(self) -> Finder:
        kinds = tuple(self.kinds)

        def patterns(text: str) -> Sequence[Pii]:
            return find_pii(text, kinds)

        if not self.presidio:
            return patterns
        other = presidio()
        return lambda text: [*patterns(text), *other(text)]

    def lacking(self, context: Context) -> str | None:
        """There must be somebody who asks."""
        return None if context.cases else "no user is in the run"

    def plan(self, context: Context) -> list[Ask]:
        """Every question of every check."""
        asks: list[Ask] = []
        if {"pii", "sensitive"} & set(self.checks):
            asks += own_words.plan(context, self.answers, self.checks)
        if "prompt" in self.checks and prompt_rates.lacking(context, self.prompt) is None:
            asks += prompt_rates.plan(context, self.answers, self.attacks)
        if "cross_user" in self.checks:
            asks += cross_user.plan(cross_user.pairs(context, self.pairs))
        return asks

    def run(self, context: Context, *, examples: int) -> Output:
        """Ask and search."""
        output = Output()
        sheet = Sheet(context, ReportCard(INFO.id, context.level, INFO.controls), output, examples)
        if {"pii", "sensitive"} & set(self.checks):
            own_words.judge(context, sheet, self.answers, self.checks, self._finder)
        if "prompt" in self.checks:
            prompt_rates.judge(context, sheet, self.answers, self.attacks, self.prompt)
        if "cross_user" in self.checks:
            cross_user.judge(context, cross_user.pairs(context, self.pairs), sheet)
        output.findings, output.values = sheet.card.corrected(), sheet.card.values
        return output
