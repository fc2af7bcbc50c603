"""Captum on a local language model: the same attributions by another hand, and gradients.

What must not go wrong with Captum, and how it is kept from going wrong:

- log-probabilities, never probabilities: those of whole titles are all but 0;
- the prompt of a set is written by the target itself, for each of Captum's perturbations, so a removal leaves a list
  that is whole, and what stands in a removed item's place is said and not an empty string by default;
- prompts are split into tokens without special tokens, as the target does, so no marker is doubled, and answers are
  given as the token ids that the target reads;
- one perturbation at a time: Captum cannot batch those of a language model;
- gradients by tokens, not by templates, and only where they add up (`completeness`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audit.modules.explanation.explained import Case
from audit.modules.explanation.values import Values
from audit.target import Span
from audit.types import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.targets.gradients import PromptGradients, Term

Floats = npt.NDArray[np.float64]

MOST_STEPS = 512
"""Steps of the integral beyond which it is given up."""
_AT_ONCE = 16
"""Steps that one pass holds."""


@dataclass(frozen=True, eq=False)
class Integrated:
    """Integrated gradients of one case.

    Attributes:
        phi: (n) sum over the tokens of each player.
        total: v(N) less v with all players' tokens replaced by padding.
        gap: |Σ φ - total| / |total|; NaN where the total is 0.
        steps: of the integral.
    """

    phi: Floats
    total: float
    gap: float
    steps: int


class _Encoder:
    """The target's tokenizer as Captum calls it: never with special tokens of its own."""

    def __init__(self, lm: Any) -> None:  # noqa: ANN401 - LanguageModel
        self._lm = lm

    def encode(self, text: str, add_special_tokens: bool = False, return_tensors: str | None = None) -> Any:  # noqa: ANN401
        import torch

        ids = self._lm.encode([text])[0]
        return torch.tensor([ids]) if return_tensors else ids

    def __call__(self, *given: Any, **options: Any) -> Any:  # noqa: ANN401
        return self._lm.tokenizer(*given, **options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else Captum reads of a tokenizer
        return getattr(self._lm.tokenizer, name)


def feature_ablation(target: PromptGradients, values: Values, number: int) -> Floats:
    """Captum's FeatureAblation of every player of a case, on the scale of v."""
    from captum.attr import FeatureAblation

    return _perturbed(target, values, number, lambda model: FeatureAblation(model), {})


def shapley_sampling(target: PromptGradients, values: Values, number: int, *, samples: int, seed: int) -> Floats:
    """Captum's ShapleyValueSampling with so many orders."""
    import torch
    from captum.attr import ShapleyValueSampling

    with torch.random.fork_rng():
        # Every term must be sampled along the same orders, or their differences are noise.
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()

        def method(model: Any) -> Any:  # noqa: ANN401 - untyped
            torch.random.set_rng_state(state)
            return ShapleyValueSampling(model)

        return _perturbed(target, values, number, method, {"n_samples": samples})


def _perturbed(
    target: PromptGradients,
    values: Values,
    number: int,
    method: Callable[[Any], Any],
    options: dict[str, Any],
) -> Floats:
    import torch
    from captum.attr import LLMAttribution, TextTemplateInput

    case, count = values.cases[number], len(values.players[number])
    if count == 0:
        return np.zeros(0)
    model = _model(target)
    total = np.zeros(count)
    for place, term in enumerate(_terms(target, case, case.request)):

        def write(*slots: str, place: int = place) -> str:
            left = frozenset(i for i, slot in enumerate(slots) if slot)
            return _terms(target, case, values.request(number, left))[place].prompt

        slots = TextTemplateInput(write, [f"[{i}]" for i in range(count)], [""] * count)
        with _quiet():
            found = LLMAttribution(method(model), _Encoder(target.lm), attr_target="log_prob").attribute(
                slots, torch.tensor([term.answer]), use_cached_outputs=False, forward_in_tokens=False, **options
            )
        total += term.weight * found.seq_attr.double().cpu().numpy()
    return total


def integrated_gradients(
    target: PromptGradients, values: Values, number: int, *, steps: int, gap: float
) -> Integrated | None:
    """Captum's LayerIntegratedGradients of the input embeddings, summed over the tokens of each player.

    The path leads from padding in the place of the players' tokens to the prompt as it is. Steps are doubled until the
    attributions add up, or `MOST_STEPS` is reached.

    Args:
        target: gives prompts, words and weights.
        values: whose case is explained.
        number: of the case.
        steps: of the first integral.
        gap: the most that the sum may be away from what it should be, as a share of that.

    Returns:
        None where no token of the prompt belongs to a player.
    """
    case = values.cases[number]
    fields = [player.field for player in values.players[number]]
    used = steps
    parts = _paths(target, case, fields)
    if not any(path.owners.max(initial=-1) >= 0 for path in parts):
        return None
    total = sum(path.change() for path in parts)
    while True:
        phi = sum((path.integral(used) for path in parts), np.zeros(len(fields)))
        off = abs(float(phi.sum()) - total) / abs(total) if abs(total) > 1e-9 else float("nan")
        if not off > gap or used * 2 > MOST_STEPS:
            return Integrated(phi, total, off, used)
        used *= 2


@dataclass(frozen=True, eq=False)
class _Path:
    """From padding to one prompt.

    Attributes:
        target: whose model it is.
        terms: the log-probabilities that are read behind it.
        ids: (tokens) of the prompt.
        owners: (tokens) number of the player that each token belongs to; -1 for none.
        players: how many players there are.
    """

    target: PromptGradients
    terms: tuple[Term, ...]
    ids: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]
    players: int

    def change(self) -> float:
        """How much v rises from the padding to the prompt."""
        import torch

        with torch.no_grad():
            ends = self._forward(torch.stack(self._ends()))
        return float(ends[0] - ends[1])

    def integral(self, steps: int) -> Floats:
        """(players) integrated gradients."""
        import torch
        from captum.attr import LayerIntegratedGradients

        here, padded = self._ends()
        with _quiet(), torch.inference_mode(False), torch.enable_grad():
            method = LayerIntegratedGradients(self._forward, _model(self.target).get_input_embeddings())
            found = method.attribute(here[None], padded[None], n_steps=steps, internal_batch_size=_AT_ONCE)
        tokens = found[0].detach().sum(-1).double().cpu().numpy()
        return np.array([tokens[self.owners == i].sum() for i in range(self.players)], dtype=np.float64)

    def _ends(self) -> tuple[Any, Any]:
        import torch

        here = torch.tensor(self.ids)
        return here, torch.where(torch.tensor(self.owners >= 0), torch.tensor(self.target.lm.pad), here)

    def _forward(self, ids: Any) -> Any:  # noqa: ANN401 - tensors
        logits = _model(self.target)(input_ids=ids, use_cache=False).logits[:, -1]
        logprobs = logits.double().log_softmax(-1)
        return sum(term.weight * logprobs[:, term.answer] for term in self.terms)


def _paths(target: PromptGradients, case: Case, fields: Sequence[str]) -> list[_Path]:
    """One per prompt: yes and no, or two labels, are read behind the same one."""
    terms = _terms(target, case, case.request)
    found = []
    for prompt in dict.fromkeys(term.prompt for term in terms):
        mine = tuple(term for term in terms if term.prompt == prompt)
        # The first two terms are about the item; two more, where they are, about the second.
        first = any(term.prompt == prompt for term in terms[:2])
        item = case.item if first or case.runner_up is None else case.runner_up
        located = target.located(case.request, item.id)
        owners = [_owner(span, fields) for _, span in located]
        found.append(_Path(target, mine, np.array([t for t, _ in located]), np.array(owners), len(fields)))
    return found


def _owner(span: Span | None, fields: Sequence[str]) -> int:
    if span is None:
        return -1
    return next((i for i, name in enumerate(fields) if span.field == name or span.field.startswith(f"{name}.")), -1)


def _terms(target: PromptGradients, case: Case, request: Request) -> list[Term]:
    return target.log_odds(request, case.item.id, None if case.runner_up is None else case.runner_up.id)


def _model(target: PromptGradients) -> Any:  # noqa: ANN401 - transformers
    model = target.lm.model
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def _quiet() -> Iterator[None]:
    """Captum warns of its own calls: that a forward takes no batches, and how it reads older options."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
