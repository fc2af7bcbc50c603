"""What an attack is after: a goal function of TextAttack whose score is the rise of the adversarial loss.

The published recipes attack classifiers and stop when the label changes. A ranking has no label to change: here every
search goes on to raise the loss, as far as its budget allows, and the harness judges what it ends with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attacks.textattack.library import MODELS_BY_GOAL_FUNCTION, AttackedText, GoalFunction, GoalFunctionResult
from attacks.textattack.wrapper import UNREADABLE, Target

_BATCH = 1 << 20  # a whole step is asked at once; the harness batches it with those of other users


class LossResult(GoalFunctionResult):  # type: ignore[misc]  # untyped base
    """One evaluated text. TextAttack prints these; nothing here does."""

    @property
    def _processed_output(self) -> tuple[str, str]:
        return f"{self.score:.3f}", "blue"

    def get_text_color_input(self) -> str:
        """Colour of what changed, in the clean text."""
        return "red"

    def get_text_color_perturbed(self) -> str:
        """Colour of what changed, in the perturbed text."""
        return "blue"

    def get_colored_output(self, color_method: str | None = None) -> str:
        """The score."""
        return self._processed_output[0]


class RaiseLoss(GoalFunction):  # type: ignore[misc]  # untyped base
    """Raise the loss above that of the clean text.

    Attributes:
        best: the best perturbed text seen and its score; texts that were only asked to learn from do not count.
        candidates: perturbed texts that were scored.
        traced: whether what raises the loss on the way is an improvement, for curves of success against queries.
        least: the score that a text must exceed to be a result.
    """

    traced = True
    least = UNREADABLE / 2

    def __init__(self, target: Target) -> None:
        self.best: tuple[str, float] | None = None
        self.candidates = 0
        self._clean = 0.0
        MODELS_BY_GOAL_FUNCTION.setdefault(type(self), [r"^builtins\.object$"])  # else it warns of an unknown pair
        super().__init__(target, maximizable=True, use_cache=False, model_batch_size=_BATCH, allow_skip=False)

    def init_attack_example(self, attacked_text: AttackedText, ground_truth_output: object) -> Any:  # noqa: ANN401
        """Ask the clean text, from whose loss all scores are counted."""
        self._clean = self.model([attacked_text.text], scouting=True)[0]
        return super().init_attack_example(attacked_text, ground_truth_output)

    def score(self, loss: float, attacked_text: AttackedText) -> float:
        """How good a text is for the attack: the rise of its loss above the clean one, in the loss's own unit."""
        return loss - self._clean

    def _call_model(self, attacked_text_list: Sequence[AttackedText]) -> list[float]:
        # A transformation signs what it makes; texts without one word, or with it masked, are not signed.
        made = [text for text in attacked_text_list if "last_transformation" in text.attack_attrs]
        try:
            return list(self.model([text.text for text in attacked_text_list], scouting=not made or not self.traced))
        finally:
            for text in made:  # as many as were answered, even if the budget ended among them
                loss = self.model.known(text.text)
                if loss is not None:
                    self.candidates += 1
                    score = self.score(loss, text)
                    if score > (self.best[1] if self.best else self.least):
                        self.best = text.text, score

    def _is_goal_complete(self, model_output: float, attacked_text: AttackedText) -> bool:
        return False

    def _get_score(self, model_output: float, attacked_text: AttackedText) -> float:
        return self.score(model_output, attacked_text)

    def _goal_function_result_type(self) -> type[LossResult]:
        return LossResult

    def _process_model_outputs(self, inputs: object, outputs: Sequence[float]) -> Sequence[float]:
        return outputs


class Reduce(RaiseLoss):
    """Take away as many words as possible while the answer holds (Feng et al., EMNLP 2018, section 2).

    The answer holds while the loss has risen by no more than `slack`.
    """

    traced = False
    least = 0.0

    def __init__(self, target: Target, slack: float) -> None:
        self._slack = slack
        self._words = 1
        super().__init__(target)

    def init_attack_example(self, attacked_text: AttackedText, ground_truth_output: object) -> Any:  # noqa: ANN401
        """Ask the clean text and count its words."""
        self._words = max(attacked_text.num_words, 1)
        return super().init_attack_example(attacked_text, ground_truth_output)

    def score(self, loss: float, attacked_text: AttackedText) -> float:
        """The share of words taken away, with the loss as a tie-breaker; below zero when the answer did not hold."""
        risen = loss - self._clean
        if risen > self._slack:
            return -1.0
        spare = min(max(self._slack - risen, 0.0) / max(self._slack, 1e-9), 1.0)
        return float((self._words - attacked_text.num_words + 0.5 * spare) / self._words)
