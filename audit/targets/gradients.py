"""Gradients of a Hugging Face target's loss with respect to the embeddings of its prompt's tokens.

For causal models whose answer is one token: yes/no, and labels. The prompts of one request are one packed row
(`audit.targets.packing`), so what they share is read once and its gradient is that of all of them together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from audit.target import Span, TokenGradients
from audit.targets.lm import CausalLM
from audit.targets.packing import Group, common_prefix, pack
from audit.targets.prompts import Piece, join, label
from audit.types import Item, Request, Task

if TYPE_CHECKING:
    import torch

    from audit.targets.language_model import LanguageModel

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Term:
    """One log-probability that the worth of a recommendation is made of.

    Attributes:
        prompt: what the model reads.
        answer: token id of the word behind it.
        weight: with which its log-probability counts.
    """

    prompt: str
    answer: int
    weight: float


class PromptGradients(ABC):
    """The white-box side of a target that asks a language model through templates; see `GivesGradients`."""

    lm: LanguageModel
    _modes: Mapping[Task, Any]
    _answers: tuple[str, ...]

    @abstractmethod
    def _pieces(self, request: Request, candidate: int | None) -> list[Piece]:
        """The prompt of a request, or of one of its candidates."""

    @abstractmethod
    def _tokens_of(self, words: tuple[str, ...], lead: str) -> tuple[int, ...]:
        """First token of each word."""

    @property
    def _differentiable(self) -> bool:
        modes = {mode for task, mode in self._modes.items() if task != "answer"}
        return isinstance(self.lm, CausalLM) and bool(modes) and modes <= {"yes-no", "labels"}

    def gradients(self, requests: Sequence[Request], relevant: Sequence[frozenset[str]]) -> list[TokenGradients]:
        """See `audit.target.GivesGradients`."""
        return [self._gradient(request, wanted) for request, wanted in zip(requests, relevant, strict=True)]

    def log_odds(self, request: Request, item: str, second: str | None) -> list[Term]:
        """What the model is asked and answers when an item is scored, as log-probabilities of single words.

        Their weighted sum is the logit of yes to the item, less that to the second where one is named; for labels, the
        log-odds of the item's label against the second's. For whoever holds another implementation against this one.

        Args:
            request: with candidates.
            item: id of one of them.
            second: id of another; needed for labels.

        Returns:
            Nothing where the answer is not read from single words, or an item is not among the candidates.
        """
        mode, offered = self._modes.get(request.task), {c.id: i for i, c in enumerate(request.candidates or ())}
        asked = [(item, 1.0), *([(second, -1.0)] if second is not None else [])]
        if mode not in ("yes-no", "labels") or any(name not in offered for name, _ in asked):
            return []
        if mode == "labels":
            prompt = join(self._pieces(request, None)).text
            words = self._tokens_of(tuple(map(label, range(len(offered)))), self.lm.lead(prompt))
            return [Term(prompt, words[offered[name]], w) for name, w in asked] if second is not None else []
        found = []
        for name, weight in asked:
            prompt = join(self._pieces(request, offered[name])).text
            yes, no = self._tokens_of(self._answers, self.lm.lead(prompt))
            found += [Term(prompt, yes, weight), Term(prompt, no, -weight)]
        return found

    def word_embeddings(self, words: Sequence[str]) -> list[Floats]:
        """See `audit.target.GivesGradients`."""
        return self._embedded([f" {word}" for word in words])

    def item_embeddings(self, items: Sequence[Item]) -> list[Floats]:
        """See `audit.target.GivesGradients`: the tokens of the title."""
        return self._embedded([f" {item.title}" for item in items])

    def _embedded(self, texts: Sequence[str]) -> list[Floats]:
        import torch

        lm = self._causal
        ids = lm.encode(texts)
        with torch.inference_mode():
            flat = lm.embed(torch.tensor([token for line in ids for token in line], dtype=torch.long)).float().cpu()
        return np.split(flat.numpy(), np.cumsum([len(line) for line in ids])[:-1]) if ids else []

    @property
    def _causal(self) -> CausalLM:
        if not isinstance(self.lm, CausalLM):
            raise TypeError("gradients: only causal models give them; the target does not declare them")
        return self.lm

    def _gradient(self, request: Request, wanted: frozenset[str]) -> TokenGradients:
        import torch

        lm, mode, items = self._causal, self._modes.get(request.task), request.candidates or ()
        if mode not in ("yes-no", "labels") or not items:
            return nothing()
        numbers: Sequence[int | None] = range(len(items)) if mode == "yes-no" else [None]
        prompts = [self._located(self._pieces(request, number)) for number in numbers]
        ids = [[token for token, _ in prompt] for prompt in prompts]
        longest = max(map(len, ids))
        if not all(ids) or (lm.limit is not None and longest > lm.limit):
            return nothing()
        words = self._answers if mode == "yes-no" else tuple(map(label, range(len(items))))
        columns = self._tokens_of(words, lm.lead(join(self._pieces(request, numbers[0])).text))
        shared = _shared(prompts)
        packed = pack([Group(ids[0][:shared], [line[shared:] for line in ids])], pad=lm.pad, dtype=lm.dtype)
        spans = [span for _, span in prompts[0][:shared]] + [s for p in prompts for _, s in p[shared:]]
        with torch.inference_mode(False), torch.enable_grad():
            embedded = lm.embed(packed.input_ids.clone()).detach().requires_grad_(True)
            scores = lm.logits_of(packed, embedded)[:, list(columns)]
            loss = _loss(scores.float() if scores.dtype != torch.float64 else scores, request, wanted, mode)
            (gradient,) = torch.autograd.grad(loss, embedded)
        kept = [i for i, span in enumerate(spans) if span is not None]
        return TokenGradients(
            tuple(span for span in spans if span is not None),
            embedded.detach()[0, kept].float().cpu().numpy(),
            gradient[0, kept].float().cpu().numpy(),
            float(loss.detach()),
        )

    def located(self, request: Request, item: str) -> list[tuple[int, Span | None]]:
        """The tokens of the prompt that asks about a candidate, and of each where it came from.

        The span names the field and the characters of its text, as in `audit.target.TokenGradients`; None where a
        token came from the template.
        """
        numbers = [i for i, c in enumerate(request.candidates or ()) if c.id == item]
        one = numbers[0] if numbers and self._modes.get(request.task) == "yes-no" else None
        return self._located(self._pieces(request, one))

    def _located(self, pieces: Sequence[Piece]) -> list[tuple[int, Span | None]]:
        """The tokens of a prompt, and of each the characters of the field from which most of it came."""
        rendered = join(pieces)
        read = self.lm.tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
        found: list[tuple[int, Span | None]] = []
        for token, (start, end) in zip(read["input_ids"], read["offset_mapping"], strict=True):
            best: Span | None = None
            for span in rendered.spans:
                low, high = max(start, span.start), min(end, span.end)
                if high > low and (best is None or high - low > best.end - best.start):
                    best = Span(low - span.start, high - span.start, span.field)
            found.append((token, best))
        return found


def nothing() -> TokenGradients:
    """The gradients of a request that has no loss."""
    return TokenGradients((), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32))


def _shared(prompts: Sequence[Sequence[tuple[int, Span | None]]]) -> int:
    """How many leading tokens all prompts share, of which none belongs to a single candidate."""
    limit = common_prefix([[token for token, _ in prompt] for prompt in prompts])
    fields = [span.field if span else "" for _, span in prompts[0][:limit]]
    own = (i for i, name in enumerate(fields) if name.startswith("candidates["))
    return next(own, limit) if len(prompts) > 1 else limit


def _loss(scores: torch.Tensor, request: Request, wanted: frozenset[str], mode: str) -> torch.Tensor:
    """What `audit.attack.feedback` reads of the answer, from logits: (candidates, 2), or (1, labels)."""
    import torch

    right = torch.tensor([item.id in wanted for item in request.candidates or ()], device=scores.device)
    if mode == "yes-no":
        margin = scores[:, 0] - scores[:, 1]
        if request.task == "score":
            return torch.nn.functional.softplus(torch.where(right, -margin, margin)).mean()
        listed = margin.sigmoid()
    else:
        listed = scores[0].log_softmax(0)
    if not right.any():
        return listed.sum() * 0.0  # the item is not on offer: no edit changes that
    return listed.logsumexp(0) - listed[right].logsumexp(0)
