"""Causal language models behind a soft prefix, with all beams and candidates as trees behind one prompt."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attacks.cheatagent.reader import Reader, Tokens, mean_nll
from attacks.cheatagent.trie import Path
from audit.targets.engine.probe import REFUSALS

if TYPE_CHECKING:
    import torch

SYSTEM_ROLES = ("system", "user")


class CausalReader(Reader):
    """A causal model. Answers and beams are trees behind the prompt, by a four-dimensional attention mask."""

    @cached_property
    def _frame(self) -> tuple[str, str]:
        """What stands before and behind an instruction."""
        if not self.lm.tokenizer.chat_template:
            return "", "\nAnswer:"
        before, between, behind = self.lm.frame(SYSTEM_ROLES)
        return before + self._system + between, behind

    @cached_property
    def head(self) -> int:
        """See `Reader`.

        The first position of a causal model is where its attention rests when it has nothing to look at, whatever
        stands there: a prefix in that place would be hardly read.
        """
        return len(self.lm.encode([self._frame[0]])[0])

    @cached_property
    def _lead(self) -> str:
        return self.lm.lead(self._frame[1])

    def prompt(self, text: str) -> list[int]:
        """See `Reader`."""
        before, behind = self._frame
        head, rest = self.lm.encode([before, text + behind])
        return [*head, *rest]

    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """See `Reader`."""
        embedded = self._embedded(prefixes, prompt)
        out = self._body(inputs_embeds=embedded, use_cache=True)
        state = _Beams(out.past_key_values, embedded.shape[1], [{} for _ in prefixes])
        return state, self._read_out(out[0][:, -1])

    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """See `Reader`; every row of the pass gets as many new nodes as the row with the most needs."""
        import torch

        rows: list[list[Path]] = [[] for _ in state.places]
        for row, path in paths:
            rows[row].append(path)
        most = max(map(len, rows))
        past, end = state.trunk, state.length + most
        tokens = torch.zeros((len(rows), most), dtype=torch.long)
        depths = torch.zeros((len(rows), most), dtype=torch.long)
        sees = torch.zeros((len(rows), 1, most, end), dtype=torch.bool)
        sees[..., :past] = True
        for row, beams in enumerate(rows):
            places = state.places[row]
            for node, path in enumerate(beams):
                places[path] = state.length + node
                tokens[row, node], depths[row, node] = path[-1], past + len(path) - 1
                sees[row, 0, node, [places[path[:n]] for n in range(1, len(path) + 1)]] = True
        out = self._body(
            input_ids=tokens.to(self.device),
            past_key_values=state.cache,
            attention_mask=_mask(sees, self.lm.dtype).to(self.device),
            position_ids=depths.to(self.device),
            use_cache=True,
        )
        first = state.length
        state.length = end
        at = [(row, state.places[row][path] - first) for row, path in paths]
        return self._read_out(out[0][[row for row, _ in at], [node for _, node in at]])

    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """See `Reader`. One row: the prompt once, then each answer without its last token, which nothing follows."""
        import torch

        trunk = 1 + len(prompt)
        total = trunk + sum(len(answer) - 1 for answer in answers)
        tokens: list[int] = []
        depths = list(range(trunk))
        sees = torch.ones((total, total), dtype=torch.bool).tril()
        keep = [trunk - 1]
        reads: list[list[int]] = []
        for answer in answers:
            start = trunk + len(tokens)
            length = len(answer) - 1
            sees[start : start + length, trunk:start] = False
            reads.append([0, *range(len(keep), len(keep) + length)])
            keep += range(start, start + length)
            tokens += answer[:-1]
            depths += range(trunk, trunk + length)
        embedded = self._embedded(prefix[None], prompt)
        if tokens:
            embedded = torch.cat([embedded, self._embed(torch.tensor([tokens], device=self.device))], 1)
        states = self._body(
            inputs_embeds=embedded,
            attention_mask=_mask(sees[None, None], self.lm.dtype).to(self.device),
            position_ids=torch.tensor([depths], device=self.device),
            use_cache=False,
        )[0]
        return mean_nll(self._read_out(states[0, keep]), reads, answers)

    @cached_property
    def _body(self) -> Any:  # noqa: ANN401 - transformers models have no useful static type
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        return getattr(base, base.base_model_prefix)

    def _read_out(self, states: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the token behind each state, (states, vocabulary).

        The head gets a matrix: of a batch of rows it would copy its weights for the gradient.
        """
        logprobs: torch.Tensor = self.model.get_output_embeddings()(states).float().log_softmax(-1)
        return logprobs


class PlainReader(CausalReader):
    """A causal model that takes no positions or no attention mask of ours: every answer is a row of its own."""

    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """See `Reader`."""
        embedded = self._embedded(prefixes, prompt)
        return embedded, self._logprobs(embedded)[:, -1]

    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """See `Reader`; beams side by side are equally long."""
        import torch

        tokens = self._embed(torch.tensor([path for _, path in paths], device=self.device))
        return self._logprobs(torch.cat([state[[row for row, _ in paths]], tokens], 1))[:, -1]

    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """See `Reader`; what fills a row up stands behind everything that is read."""
        import torch

        longest = max(map(len, answers))
        padded = [(*a[:-1], *[self.lm.pad] * (longest - len(a))) for a in answers]
        tokens = self._embed(torch.tensor(padded, dtype=torch.long, device=self.device))
        embedded = self._embedded(prefix[None], prompt).expand(len(answers), -1, -1)
        first = embedded.shape[1] - 1
        logprobs = self._logprobs(torch.cat([embedded, tokens], 1))[:, first:]
        reads = [[row * longest + n for n in range(len(a))] for row, a in enumerate(answers)]
        return mean_nll(logprobs.flatten(0, 1), reads, answers)

    def _logprobs(self, embedded: torch.Tensor) -> torch.Tensor:
        logprobs: torch.Tensor = self.model(inputs_embeds=embedded, use_cache=False).logits.float().log_softmax(-1)
        return logprobs


class _Beams:
    """Keys and values of a prompt and of all beams so far, by prefix.

    Attributes:
        cache: of transformers.
        trunk: tokens of prefix and prompt.
        places: per prefix, where the token of each beam stands.
        length: tokens in the cache, the fill of shorter rows included.
    """

    def __init__(self, cache: Any, trunk: int, places: list[dict[Path, int]]) -> None:  # noqa: ANN401
        self.cache = cache
        self.trunk = trunk
        self.places = places
        self.length = trunk


def _mask(sees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Booleans as numbers to add to attention scores."""
    import torch

    return torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, torch.finfo(dtype).min)


def agree(packed: CausalReader, plain: PlainReader) -> bool:
    """Whether the model computes for a tree what it computes for its branches; tried once, on a short prompt."""
    import torch

    prompt = plain.prompt("Which word?")
    answers = [tuple(prompt[n : n + 3]) for n in range(2)]
    prefix = plain.embedding_moments[0]
    with torch.inference_mode(), warnings.catch_warnings():
        # Some architectures only warn about what they do not take; the comparison tells.
        warnings.simplefilter("ignore")
        expected = plain.nll(prefix, prompt, answers)
        try:
            found = packed.nll(prefix, prompt, answers)
            state, first = packed.open(prefix[None], prompt)
            second = packed.extend(state, [(0, answer[:1]) for answer in answers])
        except REFUSALS:
            return False
        beams = torch.stack([-(first[0, a[0]] + s[a[1]]) / 2 for a, s in zip(answers, second, strict=True)])
        pairs = plain.nll(prefix, prompt, [answer[:2] for answer in answers])
    tolerance = 1e-3 if packed.lm.dtype == torch.float32 else 0.1
    both = torch.cat([found - expected, beams - pairs]).abs()
    # Not `>`: a difference that is not a number is no agreement.
    return bool(both.max() < tolerance)
