"""Language models read behind a soft prefix: next tokens, continuations, and the likelihood of given ones.

The prefix stands before the embedded prompt, so nothing behind it can be cached between two prefixes. What can be saved
is the rest: all beams of a search are leaves of one tree behind one prompt, and so are all candidates of an update.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attacks.cheatagent.trie import Path
from audit.errors import ConfigError
from audit.targets.engine.probe import REFUSALS

if TYPE_CHECKING:
    import torch

    from audit.targets.language_model import LanguageModel

SYSTEM_ROLES = ("system", "user")
Tokens = Sequence[int]


class Reader(ABC):
    """A frozen model.

    Args:
        lm: the model with its tokenizer. Its weights stop asking for gradients.
        system: system message, for models with a chat template.
    """

    def __init__(self, lm: LanguageModel, system: str = "") -> None:
        self.lm = lm
        self.model = lm.model.requires_grad_(False)
        self.device: torch.device = next(self.model.parameters()).device
        self._system = system
        self._embed = self.model.get_input_embeddings()

    @cached_property
    def embedding_moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the rows of the embedding, per dimension, in float32."""
        weight = self._embed.weight.detach().float()
        return weight.mean(0), weight.std(0)

    @cached_property
    def end(self) -> int:
        """The token that ends a text."""
        ids = (self.lm.tokenizer.eos_token_id, self.lm.tokenizer.sep_token_id, self.lm.pad)
        return int(next(i for i in ids if i is not None))

    @cached_property
    def special(self) -> frozenset[int]:
        """Tokens that are no text."""
        return frozenset(self.lm.tokenizer.all_special_ids)

    def pieces(self) -> list[str]:
        """The decoding of every entry of the vocabulary alone."""
        count = min(len(self.lm.tokenizer), int(self._embed.weight.shape[0]))
        decoded: list[str] = self.lm.tokenizer.batch_decode(
            [[i] for i in range(count)], clean_up_tokenization_spaces=False
        )
        return decoded

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text as an answer."""
        return self.lm.encode([self._lead + text for text in texts])

    @property
    @abstractmethod
    def _lead(self) -> str:
        """What stands between a prompt and its answer."""

    @abstractmethod
    def prompt(self, text: str) -> list[int]:
        """Tokens of an instruction, framed as the model knows it."""

    @property
    def head(self) -> int:
        """How many tokens of a prompt stand before the prefix: the frame is no part of the instruction."""
        return 0

    @abstractmethod
    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """Read a prompt behind several prefixes.

        Args:
            prefixes: float32, (prefixes, width).
            prompt: its tokens.

        Returns:
            What `extend` goes on from, and the log-probabilities of the answer's first token, float32
            (prefixes, vocabulary).
        """

    @abstractmethod
    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """Log-probabilities of the token behind each beginning of an answer, float32 (paths, vocabulary).

        Args:
            state: from `open`.
            paths: number of the prefix, and the tokens so far. All but the last token were read by an earlier call.
        """

    @abstractmethod
    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """Mean negative log-likelihood per token of each answer, in nats, (answers,); differentiable in the prefix.

        Args:
            prefix: float32, (width,).
            prompt: its tokens.
            answers: none empty.
        """

    def _embedded(self, prefixes: torch.Tensor, prompt: Tokens) -> torch.Tensor:
        """F ⊕ 𝒫: (prefixes, 1 + prompt, width), in the model's number type."""
        import torch

        text = self._embed(torch.tensor([list(prompt)], device=self.device)).expand(len(prefixes), -1, -1)
        at = self.head
        return torch.cat([text[:, :at], prefixes[:, None].to(text.dtype), text[:, at:]], 1)


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
        return _mean_nll(self._read_out(states[0, keep]), reads, answers)

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
        return _mean_nll(logprobs.flatten(0, 1), reads, answers)

    def _logprobs(self, embedded: torch.Tensor) -> torch.Tensor:
        logprobs: torch.Tensor = self.model(inputs_embeds=embedded, use_cache=False).logits.float().log_softmax(-1)
        return logprobs


class Seq2SeqReader(Reader):
    """An encoder-decoder model: the prefix stands before the encoder's input, which is read once for all answers."""

    @property
    def _lead(self) -> str:
        return ""

    def prompt(self, text: str) -> list[int]:
        """See `Reader`."""
        ids: list[int] = self.lm.tokenizer.build_inputs_with_special_tokens(self.lm.encode([text])[0])
        return ids

    def open(self, prefixes: torch.Tensor, prompt: Tokens) -> tuple[Any, torch.Tensor]:
        """See `Reader`."""
        encoded = self._encode(prefixes, prompt)
        return encoded, self._decode(encoded, [()] * len(prefixes))[:, -1]

    def extend(self, state: Any, paths: Sequence[tuple[int, Path]]) -> torch.Tensor:  # noqa: ANN401
        """See `Reader`; answers are a few tokens long, so the decoder reads each from its start."""
        return self._decode(state[[row for row, _ in paths]], [path for _, path in paths])[:, -1]

    def nll(self, prefix: torch.Tensor, prompt: Tokens, answers: Sequence[Path]) -> torch.Tensor:
        """See `Reader`."""
        longest = max(map(len, answers))
        padded = [(*a[:-1], *[self.lm.pad] * (longest - len(a))) for a in answers]
        encoded = self._encode(prefix[None], prompt).expand(len(answers), -1, -1)
        logprobs = self._decode(encoded, padded)
        reads = [[row * longest + n for n in range(len(a))] for row, a in enumerate(answers)]
        return _mean_nll(logprobs.flatten(0, 1), reads, answers)

    def _encode(self, prefixes: torch.Tensor, prompt: Tokens) -> torch.Tensor:
        encoded: torch.Tensor = self.model.get_encoder()(inputs_embeds=self._embedded(prefixes, prompt))[0]
        return encoded

    def _decode(self, encoded: torch.Tensor, paths: Sequence[Path]) -> torch.Tensor:
        """Log-probabilities behind the start and behind each token, (paths, 1 + tokens, vocabulary)."""
        import torch

        told = self.model.generation_config.decoder_start_token_id
        start = next(t for t in (told, self.model.config.decoder_start_token_id, self.lm.pad) if t is not None)
        ids = torch.tensor([[start, *path] for path in paths], device=self.device)
        out = self.model(encoder_outputs=(encoded,), decoder_input_ids=ids, use_cache=False)
        logprobs: torch.Tensor = out.logits.float().log_softmax(-1)
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


def _mean_nll(logprobs: torch.Tensor, reads: Sequence[Sequence[int]], answers: Sequence[Path]) -> torch.Tensor:
    """Mean over the tokens of each answer.

    Args:
        logprobs: (rows, vocabulary).
        reads: per answer, the row that tells each of its tokens.
        answers: their tokens.
    """
    import torch

    return torch.stack([-logprobs[list(r), list(a)].mean() for r, a in zip(reads, answers, strict=True)])


def read(lm: LanguageModel, system: str = "") -> Reader:
    """A reader for a model.

    Raises:
        ConfigError: the model does not write text from left to right.
    """
    config = lm.model.config
    if getattr(config, "is_encoder_decoder", False):
        return Seq2SeqReader(lm, system)
    kinds = " ".join(config.architectures or ())
    if "MaskedLM" in kinds or (not getattr(config, "is_decoder", True) and "bert" in str(config.model_type)):
        raise ConfigError(
            f"agent: a masked language model ({kinds or config.model_type}) writes no text; "
            "give a causal or an encoder-decoder model"
        )
    packed, plain = CausalReader(lm, system), PlainReader(lm, system)
    return packed if _agree(packed, plain) else plain


def _agree(packed: CausalReader, plain: PlainReader) -> bool:
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
