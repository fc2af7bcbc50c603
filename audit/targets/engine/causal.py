"""The prefix-sharing engine of a causal model: scores and texts of many prompts, each distinct token computed once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from audit.targets.engine.cache import CacheStats
from audit.targets.engine.plan import Path, Tokens, Tree, grow
from audit.targets.engine.runner import PrefixRunner

if TYPE_CHECKING:
    import torch

    from audit.targets.sampling import Draw

MAX_CACHE_BYTES = 512 << 20
"""Default bound of the prefix cache: some 20,000 tokens of a model of 135 million weights."""


@dataclass(frozen=True)
class ContinuationScore:
    """How likely a model finds one continuation.

    Attributes:
        tokens: log-probability in nats of each token, given the prompt and the tokens before it.
    """

    tokens: tuple[float, ...]

    @property
    def sum(self) -> float:
        """Log-probability of the whole continuation: favours short ones."""
        return float(sum(self.tokens))

    @property
    def mean(self) -> float:
        """Per token: favours long ones whose end follows from their beginning; 0 for an empty continuation."""
        return self.sum / len(self.tokens) if self.tokens else 0.0


class PrefixEngine:
    """Asks a causal model by plans of trees (`audit.targets.engine.plan`).

    A request's numbers are a function of the request alone (see the package's text). A repeat of a request is computed
    again, behind the same cached prefix, and gives the same digits: what a repeat arm measures on such a target is
    whether the machine computes the same twice, which it does unless it is broken.

    Args:
        model: a transformers causal model, without a PEFT wrapper around it (adapter layers inside are fine).
        pad: a valid token id, to fill up rows.
        max_cache_bytes: bound of the prefix cache, which lives as long as the engine.
        max_tokens: tokens per forward pass; None for what fits the free memory.

    Attributes:
        runner: the model and its cache.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers models have no useful static type
        *,
        pad: int = 0,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        max_tokens: int | None = None,
    ) -> None:
        self.runner = PrefixRunner(model, pad=pad, max_cache_bytes=max_cache_bytes, max_tokens=max_tokens)

    @cached_property
    def _probed(self) -> tuple[bool, str]:
        from audit.targets.engine import probe

        return probe.judge(self.runner)

    @property
    def works(self) -> bool:
        """Whether the model can be run this way; compared with plain passes once, at the first question."""
        return self._probed[0]

    @property
    def note(self) -> str:
        """Why the model cannot be run this way, or only slowly, in one sentence; "" where there is nothing to say."""
        return self._probed[1]

    @property
    def reach(self) -> int | None:
        """The longest sequence that can be run this way, where some layers attend to a window; None for any."""
        window = getattr(self.runner.model.config, "sliding_window", None)
        return int(window) if window else None

    @property
    def stats(self) -> CacheStats:
        """Hits, misses and bytes of the prefix cache."""
        return self.runner.cache.stats

    def next_logits(
        self, groups: Sequence[Sequence[Tokens]], *, only: Sequence[int] | None = None
    ) -> list[torch.Tensor]:
        """Logits of the token after each prompt.

        Args:
            groups: the prompts of each request; none empty.
            only: token ids to return; None for the whole vocabulary.

        Returns:
            Per request a float32 tensor (prompts, tokens).
        """
        import torch

        with torch.inference_mode():
            requests = [grow([Path.last(p) for p in prompts]) for prompts in groups]
            return [self.runner.logits(states, only)[rows] for states, rows in self._states(requests)]

    def score_continuations(
        self, prompts: Sequence[Tokens], continuations: Sequence[Sequence[Tokens]]
    ) -> list[list[ContinuationScore]]:
        """Log-probabilities of several continuations of each prompt.

        Prompt and continuations of a request are one tree: the prompt is computed once, and so is every beginning that
        continuations share.

        Args:
            prompts: none empty.
            continuations: of each prompt; an empty one scores 0.

        Returns:
            Per prompt one score per continuation.
        """
        import torch

        requests: list[list[Tree]] = []
        for prompt, group in zip(prompts, continuations, strict=True):
            paths = [Path([*prompt, *c[:-1]], len(prompt) - 1) for c in group if len(c)]
            requests.append(grow(paths) if paths else [])
        found: list[list[ContinuationScore]] = []
        with torch.inference_mode():
            for (states, rows), group in zip(self._states(requests), continuations, strict=True):
                logprobs = iter(self.runner.logprobs(states, rows, [token for c in group for token in c]))
                found.append([ContinuationScore(tuple(next(logprobs) for _ in c)) for c in group])
        return found

    def generate(
        self,
        prompts: Sequence[Tokens],
        *,
        max_new_tokens: int,
        ends: Collection[int] = (),
        rows: int | None = None,
        draws: Sequence[Draw] | None = None,
    ) -> list[list[int]]:
        """Continuations, without the end token.

        Args:
            prompts: none empty.
            max_new_tokens: longest continuation.
            ends: token ids that end a text.
            rows: texts written at once; None for what fits the free memory.
            draws: how the tokens of each text are drawn; None for the likeliest.
        """
        from audit.targets.engine import decode

        return decode.write(self.runner, prompts, ends, max_new_tokens=max_new_tokens, rows=rows, draws=draws)

    def _states(self, requests: Sequence[Sequence[Tree]]) -> list[tuple[torch.Tensor, list[int]]]:
        """Per request the states of what its trees read, (nodes, width), and which of them each read is."""
        import torch

        flat = [tree for trees in requests for tree in trees]
        states: list[torch.Tensor] = [torch.empty(0)] * len(flat)
        for index, found in self.runner.run(flat):
            states[index] = found
        at = iter(states)
        result = []
        for trees in requests:
            parts: list[torch.Tensor] = []
            rows: list[int] = []
            for tree in trees:
                first = sum(map(len, parts))
                rows += [first + row for row in tree.rows]
                parts.append(next(at))
            result.append((torch.cat(parts) if parts else torch.empty((0, 1)), rows))
        return result
