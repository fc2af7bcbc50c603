"""A language model on this machine that writes short texts for a denoiser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audit.targets import weights
from audit.types import Usage

if TYPE_CHECKING:
    from audit.targets.language_model import LanguageModel


class Writer:
    """A language model that writes short texts, greedily.

    Args:
        lm: the model.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm

    @classmethod
    def from_folder(cls, folder: str | Path) -> Writer:
        """The model in a folder.

        Raises:
            TargetError: it cannot be loaded.
        """
        from audit.targets.hf import language_model

        return cls(language_model(weights.load(folder)))

    @property
    def identity(self) -> str:
        """Digest of the weights."""
        return self.lm.identity

    def write(self, questions: Sequence[tuple[str, str]], tokens: Sequence[int]) -> list[tuple[str, Usage]]:
        """Answer each question.

        Args:
            questions: what is asked, and how the answer begins.
            tokens: most tokens of each answer.

        Returns:
            Per question the answer with its beginning, and what it cost.
        """
        prompts = self.lm.encode([self._prompt(question) + lead for question, lead in questions])
        written: dict[int, tuple[str, Usage]] = {}
        for most in sorted(set(tokens)):
            chosen = [i for i, t in enumerate(tokens) if t == most]
            started = time.perf_counter()
            answers = self.lm.generate([prompts[i] for i in chosen], max_new_tokens=most)
            seconds = (time.perf_counter() - started) / len(chosen)
            for i, answer in zip(chosen, answers, strict=True):
                usage = Usage(len(prompts[i]), len(answer), seconds, calls=1)
                written[i] = (questions[i][1] + self.lm.decode(answer), usage)
        return [written[i] for i in range(len(questions))]

    def _prompt(self, question: str) -> str:
        if not self.lm.tokenizer.chat_template:
            return f"{question}\n\n"
        before, after = self.lm.frame(("user",))
        return before + question + after
