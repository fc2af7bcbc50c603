"""Encoder-decoder models: each input is encoded once, and all candidates are scored against it.

The candidates of one request are one token tree (`audit.targets.engine.plan`). A decoder of the T5 family reads the
tree as one row: its positions enter through a bias on the attention scores, which we compute from depths and mask to
ancestors, so equal beginnings are computed once and the encoder's output is projected once for all. Any other decoder
reads one row per candidate, against the encoder's output expanded over them.

Each request runs alone: its numbers depend on nothing else, and its input and candidates fill the processor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from audit.targets.engine.cache import CacheStats
from audit.targets.engine.causal import MAX_CACHE_BYTES, ContinuationScore
from audit.targets.engine.plan import Path, Tokens, Tree, grow
from audit.targets.engine.probe import REFUSALS

if TYPE_CHECKING:
    import torch

    from audit.targets.sampling import Draw

_ROW_TOKENS = 2048
"""Tokens of the decoder at once where each candidate has its own row."""


class EncoderCache:
    """Encoder outputs by input, least recently used first out, bounded in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.stats = CacheStats()
        self._states: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()

    def get(self, tokens: Tokens, encode: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The output for an input; `encode` computes it when it is not held."""
        key = tuple(tokens)
        states = self._states.get(key)
        if states is not None:
            self.stats.hits += 1
            self._states.move_to_end(key)
            return states
        self.stats.misses += 1
        states = self._states[key] = encode()
        self.stats.bytes += states.nbytes
        while self.stats.bytes > self.max_bytes:
            _, oldest = self._states.popitem(last=False)
            self.stats.bytes -= oldest.nbytes
            self.stats.dropped += 1
        return states


class Seq2SeqEngine:
    """Asks an encoder-decoder model.

    Args:
        model: a transformers model with a language head, such as T5.
        max_cache_bytes: bound of the cache of encoder outputs, which lives as long as the engine.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers models have no useful static type
        *,
        max_cache_bytes: int = MAX_CACHE_BYTES,
    ) -> None:
        self.model = model
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.device: torch.device = next(model.parameters()).device
        self.encoded = EncoderCache(max_cache_bytes)

    @property
    def stats(self) -> CacheStats:
        """Hits, misses and bytes of the cache of encoder outputs."""
        return self.encoded.stats

    @property
    def note(self) -> str:
        """What is slow about this model, in one sentence; "" where there is nothing to say."""
        if self._trees:
            return ""
        name = type(self.model).__name__
        return f"{name} reads one row per candidate: its decoder takes no tree of candidates"

    @cached_property
    def _start(self) -> int:
        config = self.model.config
        start = getattr(self.model.generation_config, "decoder_start_token_id", None)
        return int(next(t for t in (start, config.decoder_start_token_id, config.bos_token_id, 0) if t is not None))

    def next_logits(self, inputs: Sequence[Tokens], *, only: Sequence[int] | None = None) -> torch.Tensor:
        """Logits of the first token of the answer to each input.

        Args:
            inputs: of the encoder, with the special tokens that the model was trained with.
            only: token ids to return; None for the whole vocabulary.

        Returns:
            float32 (inputs, tokens).
        """
        import torch

        with torch.inference_mode():
            rows = torch.cat([self._row_logits(tokens, [[self._start]])[:, 0] for tokens in inputs]).float()
        return rows if only is None else rows[:, list(only)]

    def score_continuations(
        self, inputs: Sequence[Tokens], continuations: Sequence[Sequence[Tokens]]
    ) -> list[list[ContinuationScore]]:
        """Log-probabilities of several answers to each input.

        Args:
            inputs: of the encoder.
            continuations: answers to each input; an empty one scores 0.
        """
        import torch

        found: list[list[ContinuationScore]] = []
        with torch.inference_mode():
            for tokens, group in zip(inputs, continuations, strict=True):
                told = [c for c in group if len(c)]
                read = self._by_tree if self._trees else self._by_row
                logprobs = iter(read(tokens, told) if told else [])
                found.append([ContinuationScore(tuple(next(logprobs) for _ in c)) for c in group])
        return found

    def generate(
        self, inputs: Sequence[Tokens], *, max_new_tokens: int, draws: Sequence[Draw] | None = None
    ) -> list[list[int]]:
        """Answers, without special tokens at their ends.

        Args:
            inputs: of the encoder.
            max_new_tokens: longest answer.
            draws: how the tokens of each answer are drawn; None for the likeliest.
        """
        import torch

        from audit.targets.sampling import Drawn

        ends = self.model.generation_config.eos_token_id
        stops = {*(ends if isinstance(ends, list) else [ends]), self.model.generation_config.pad_token_id}
        found: list[list[int]] = []
        each: Sequence[Draw | None] = draws or [None] * len(inputs)
        with torch.inference_mode():
            for tokens, draw in zip(inputs, each, strict=True):
                out = self.model.generate(
                    encoder_outputs=self._output(self._encode(tokens)),
                    attention_mask=torch.ones((1, len(tokens)), dtype=torch.long, device=self.device),
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    num_beams=1,
                    # The decoder begins with one token of its own.
                    logits_processor=None if draw is None else [Drawn(draw, 1)],
                )[0, 1:].tolist()
                end = next((i for i, token in enumerate(out) if token in stops), len(out))
                found.append(out[:end])
        return found

    def _encode(self, tokens: Tokens) -> torch.Tensor:
        import torch

        def encode() -> torch.Tensor:
            ids = torch.tensor([list(tokens)], device=self.device)
            states: torch.Tensor = self.model.get_encoder()(input_ids=ids)[0]
            return states

        return self.encoded.get(tokens, encode)

    @staticmethod
    def _output(states: torch.Tensor) -> Any:  # noqa: ANN401 - the container that transformers expects
        from transformers import modeling_outputs

        library: Any = modeling_outputs
        return library.BaseModelOutput(last_hidden_state=states)

    def _row_logits(self, tokens: Tokens, rows: Sequence[Tokens]) -> torch.Tensor:
        """Logits of decoder rows, (rows, longest, vocabulary); filled up on the right, where nothing looks."""
        import torch

        states = self._encode(tokens)
        ids = torch.full((len(rows), max(map(len, rows))), self._start, device=self.device)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(list(row), device=self.device)
        logits: torch.Tensor = self.model(
            encoder_outputs=self._output(states.expand(len(rows), -1, -1)), decoder_input_ids=ids, use_cache=False
        ).logits
        return logits

    def _by_row(self, tokens: Tokens, told: Sequence[Tokens]) -> Iterator[float]:
        count = max(1, _ROW_TOKENS // max(map(len, told)))
        for start in range(0, len(told), count):
            part = told[start : start + count]
            logits = self._row_logits(tokens, [[self._start, *c[:-1]] for c in part])
            for row, continuation in zip(logits, part, strict=True):
                yield from _logprobs(row[: len(continuation)], continuation)

    def _by_tree(self, tokens: Tokens, told: Sequence[Tokens]) -> Iterator[float]:
        answers = iter(told)
        for tree in grow([Path([self._start, *c[:-1]], 0) for c in told]):
            wanted = [token for _ in tree.counts for token in next(answers)]
            yield from _logprobs(self._tree_logits(tokens, tree)[tree.reads], wanted)

    def _tree_logits(self, tokens: Tokens, tree: Tree) -> torch.Tensor:
        """Logits behind each token of the tree, (tokens, vocabulary)."""
        import torch

        ids = torch.tensor([tree.tokens], device=self.device)
        with self._biased(tree):
            logits: torch.Tensor = self.model(
                encoder_outputs=self._output(self._encode(tokens)), decoder_input_ids=ids, use_cache=False
            ).logits
        return logits[0]

    @contextmanager
    def _biased(self, tree: Tree) -> Iterator[None]:
        """Let the first decoder layer use positions and mask of the tree; the others take theirs from it, as in T5."""
        import torch

        attention = self.model.get_decoder().block[0].layer[0].SelfAttention
        depths = torch.tensor(tree.depths, device=self.device)
        buckets = attention._relative_position_bucket(
            depths[None, :] - depths[:, None],
            bidirectional=False,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        bias = attention.relative_attention_bias(buckets).permute(2, 0, 1)[None]
        sees = torch.from_numpy(tree.sees()).to(self.device)
        bias = bias.masked_fill(~sees, torch.finfo(self.dtype).min)

        def put(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:  # noqa: ANN401
            return args, {**kwargs, "position_bias": bias}

        hook = attention.register_forward_pre_hook(put, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    @cached_property
    def _trees(self) -> bool:
        """Whether the decoder reads trees; compared with rows of their own once."""
        import torch

        top = min(int(self.model.config.vocab_size), 200)
        question = [(7 * i + 3) % top for i in range(9)]
        told = [[5 % top, 6 % top, 7 % top], [5 % top, 8 % top, 9 % top, 4 % top], [3 % top]]
        with torch.inference_mode():
            try:
                found = torch.tensor(list(self._by_tree(question, told)))
            except REFUSALS:
                return False
            plain = torch.tensor(list(self._by_row(question, told)))
        tolerance = 1e-3 if self.dtype == torch.float32 else 0.2
        return bool((found - plain).abs().max() < tolerance)


def _logprobs(logits: torch.Tensor, tokens: Tokens) -> list[float]:
    """Log-probability of one token per row of logits."""
    import torch

    told = torch.tensor(list(tokens), device=logits.device)[:, None]
    found: list[float] = logits.float().log_softmax(1).gather(1, told)[:, 0].tolist()
    return found
