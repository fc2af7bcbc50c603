"""Per-sample gradients of a language model by opacus, one row of a batch at a time, added up per unit.

The loss is per sequence: the mean over the sequence's own tokens, then the mean over the unit's own rows, then the sum
over units. The loss that comes with a Hugging Face model is the mean over all tokens of a batch; there the gradient of
one sequence shrinks when its neighbours grow longer, and a bound on one person's influence is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from audit.errors import ConfigError
from audit.targets.packing import Tokens
from audit.targets.weights import Model
from defenses.dp.optimizer import Gradients
from defenses.dp.terms import Mode

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of a token without a loss."""


@dataclass(frozen=True)
class Row:
    """One sequence to learn.

    Attributes:
        prompt: tokens that are read; of an encoder-decoder, those of the encoder.
        answer: tokens that are learnt. Without a prompt, a causal model learns all but the first.

    Raises:
        ConfigError: there is nothing to learn.
    """

    prompt: Tokens
    answer: Tokens

    def __post_init__(self) -> None:
        if not self.answer or (not self.prompt and len(self.answer) < 2):
            raise ConfigError("dp.rows: a row without a token to learn; leave it out, or give it an answer")


def check_model(model: Model, optimized: Mapping[str, torch.Tensor], mode: Mode | str = "hooks") -> None:
    """Raise ConfigError, with the reason, where training a model would void the guarantee.

    Args:
        model: to be trained.
        optimized: the parameters that the private optimizer moves.
        mode: how gradients are found.
    """
    import torch

    if mode not in get_args(Mode):
        raise ConfigError(f"dp.mode: {mode!r} must be hooks, functorch or ghost")
    if getattr(model, "is_gradient_checkpointing", False):
        raise ConfigError(
            "dp: gradient checkpointing runs layers twice, and the gradients of single samples are lost; call "
            "gradient_checkpointing_disable() first"
        )
    mixing = (torch.nn.modules.batchnorm._BatchNorm,)
    if found := next((name for name, module in model.named_modules() if isinstance(module, mixing)), None):
        raise ConfigError(
            f"dp: {found} is batch normalisation, which mixes the samples of a batch, so no one's influence can be "
            "bounded; replace it by group or layer normalisation"
        )
    known = {id(p) for p in optimized.values()}
    stray = sorted(name for name, p in model.named_parameters() if p.requires_grad and id(p) not in known)
    if stray:
        raise ConfigError(
            f"dp: {stray[0]} would be trained outside the private optimizer, without noise"
            + (f", and {len(stray) - 1} more" if stray[1:] else "")
            + "; freeze it, such as by leaving out modules_to_save"
        )
    if not known:
        raise ConfigError("dp: the model has nothing to train; give it an adapter that requires gradients")


class Rows:
    """Rows of units, and their gradients by the hooks of opacus; see `loop.Source`.

    Args:
        model: causal or encoder-decoder, in a PEFT wrapper; whatever of it requires gradients is trained.
        units: the rows of each unit, at least one each.
        pad: token id for the padding.
        mode: `hooks`, or `functorch`, which finds the same gradients through `torch.func`; for `ghost`, see
            `defenses.dp.ghost`.
        physical: the most rows in one pass, unless a single unit has more.

    Raises:
        ConfigError: see `check_model`.
    """

    def __init__(
        self, model: Model, units: Sequence[Sequence[Row]], *, pad: int, mode: Mode | str = "hooks", physical: int = 8
    ) -> None:
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        check_model(model, self._parameters, mode)
        if physical < 1:
            raise ConfigError(f"dp.physical: {physical!r} must be at least 1")
        self.model = model.train()
        self.units = units
        self.pad = pad
        self.physical = physical
        self.wrapped: Any = self._hooked(model, mode)

    @staticmethod
    def _hooked(model: Model, mode: Mode | str) -> Any:  # noqa: ANN401 - of opacus, which has no types
        from opacus import GradSampleModule

        return GradSampleModule(model, loss_reduction="sum", force_functorch=mode == "functorch")

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """See `loop.Source`."""
        return self._parameters

    def close(self) -> None:
        """Take the hooks of opacus off the model."""
        self.wrapped.remove_hooks()
        for parameter in self._parameters.values():
            for name in ("grad_sample", "summed_grad"):
                if hasattr(parameter, name):
                    delattr(parameter, name)
        self.model.eval()

    def gradients(self, units: Sequence[int]) -> Iterator[tuple[Gradients, Sequence[float]]]:
        """See `loop.Source`."""
        for part in self._micro(units):
            yield self._pass(part)

    def _micro(self, units: Sequence[int]) -> Iterator[list[int]]:
        part: list[int] = []
        size = 0
        for unit in units:
            if part and size + len(self.units[unit]) > self.physical:
                yield part
                part, size = [], 0
            part.append(unit)
            size += len(self.units[unit])
        if part:
            yield part

    def _pass(self, part: Sequence[int]) -> tuple[Gradients, Sequence[float]]:
        import warnings

        import torch

        rows = [row for unit in part for row in self.units[unit]]
        owner = torch.tensor([n for n, unit in enumerate(part) for _ in self.units[unit]])
        share = torch.tensor([1 / len(self.units[unit]) for unit in part for _ in self.units[unit]])
        losses = self.losses(rows) * share
        with warnings.catch_warnings():
            # The first layer reads frozen embeddings, which is what its hooks are told here; they need no more.
            warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are computed")
            torch.autograd.backward(losses.sum())
        gradients = [self._per_unit(p, owner, len(part)) for p in self._parameters.values()]
        told = torch.zeros(len(part)).index_add_(0, owner, losses.detach())
        return gradients, told.tolist()

    def losses(self, rows: Sequence[Row]) -> torch.Tensor:
        """(rows,) mean loss of each row over its own tokens."""
        from torch.nn import functional

        batch, labels = self._batch(rows)
        logits = self.wrapped(**batch).logits.float()
        if not self._encodes:
            logits, labels = logits[:, :-1], labels[:, 1:]
        tokens = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        counted = labels != IGNORED
        means: torch.Tensor = (tokens * counted).sum(1) / counted.sum(1).clamp(min=1)
        return means

    @property
    def _encodes(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    def _batch(self, rows: Sequence[Row]) -> tuple[dict[str, Any], torch.Tensor]:
        if self._encodes:
            read = [list(row.prompt) or [self.pad] for row in rows]
            learnt = [list(row.answer) for row in rows]
        else:
            read = [[*row.prompt, *row.answer] for row in rows]
            learnt = [[IGNORED] * len(row.prompt) + list(row.answer) for row in rows]
        ids, labels = _padded(read, self.pad), _padded(learnt, IGNORED)
        told = {"input_ids": ids, "attention_mask": _padded([[1] * len(r) for r in read], 0)}
        # Only an encoder-decoder is given labels, for the decoder's input; the loss that it makes of them is not used.
        return (told | {"labels": labels} if self._encodes else told | {"use_cache": False}), labels

    @staticmethod
    def _per_unit(parameter: torch.Tensor, owner: torch.Tensor, units: int) -> torch.Tensor:
        carrier: Any = parameter
        found = getattr(carrier, "grad_sample", None)
        total = parameter.new_zeros((units, *parameter.shape))
        if found is not None:
            total.index_add_(0, owner, found.to(total.dtype))
        carrier.grad_sample = carrier.grad = None
        return total


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    import torch

    length = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])
