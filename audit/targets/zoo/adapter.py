"""A LoRA adapter in training: its optimizer, its checkpoints, and the files it ends as.

A checkpoint is a folder with safetensors and JSON, published by one rename: a kill leaves the last whole one.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import TargetError
from audit.types import canonical_json

if TYPE_CHECKING:
    import numpy as np
    import torch

    from audit.targets.lm import CausalLM

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Written into the adapter instead of the folder on this machine."""


class Adapter:
    """The trainable adapter of a model, and AdamW on it.

    The adapter lives in the model's type (bfloat16 where that is fast); the optimizer works on float32 copies, because
    late updates are smaller than a bfloat16 step.

    Args:
        lm: a model in a PEFT wrapper; the adapter is whatever of it requires gradients.
        clip: largest norm of the gradient.
    """

    def __init__(self, lm: CausalLM, *, clip: float) -> None:
        import torch

        self.lm = lm
        self.clip = clip
        self.live = {name: p for name, p in lm.model.named_parameters() if p.requires_grad}
        self.master = {name: p.detach().float().clone().requires_grad_() for name, p in self.live.items()}
        self.optimizer = torch.optim.AdamW(list(self.master.values()), weight_decay=0.0)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """What gradients are taken of, in the order that `descend` reads."""
        return list(self.live.values())

    def draw(self, rng: np.random.Generator) -> None:
        """LoRA's own start: A as that of a linear layer, B zero."""
        import torch

        for name, parameter in sorted(self.live.items()):
            bound = 1 / math.sqrt(parameter.shape[1]) if "lora_A" in name else 0.0
            parameter.data = torch.tensor(rng.uniform(-bound, bound, tuple(parameter.shape))).to(parameter.dtype)
        for name, master in self.master.items():
            master.data.copy_(self.live[name].data)

    def descend(self, gradients: Sequence[Sequence[torch.Tensor]], rate: float) -> None:
        """One optimizer step along the sum of some gradients, each in the order of `parameters`."""
        import torch

        for n, parameter in enumerate(self.master.values()):
            parameter.grad = torch.stack([part[n] for part in gradients]).float().sum(0)
        torch.nn.utils.clip_grad_norm_(self.master.values(), self.clip)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self._publish()

    def _publish(self) -> None:
        for name, parameter in self.live.items():
            parameter.data.copy_(self.master[name].data)

    def save(self, out: Path, plan: Mapping[str, Any], step: int, history: Sequence[float], seconds: float) -> None:
        """Write a checkpoint beside the old one, publish it by a rename, then drop the old one.

        Args:
            out: folder of the training.
            plan: its settings.
            step: steps done.
            history: loss of each.
            seconds: of training so far.
        """
        from safetensors.torch import save_file

        tensors = {f"weight.{name}": p.detach() for name, p in self.master.items()}
        for name, parameter in self.master.items():
            tensors |= {f"{key}.{name}": value for key, value in self.optimizer.state[parameter].items()}
        partial = out / ".checkpoint.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_file(tensors, partial / "state.safetensors")
        state = {"plan": plan, "step": step, "history": list(history), "seconds": seconds}
        (partial / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
        old = _checkpoints(out)
        partial.rename(out / f"checkpoint-{step:06d}")
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)

    def restore(self, out: Path, plan: Mapping[str, Any]) -> tuple[int, list[float], float]:
        """Read the newest checkpoint: (steps done, losses, seconds); zeros when there is none.

        Raises:
            TargetError: it belongs to a training with another plan.
        """
        from safetensors.torch import load_file

        found = _checkpoints(out)
        if not found:
            return 0, [], 0.0
        state = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
        if canonical_json(state["plan"]) != canonical_json(plan):
            raise TargetError(f"train: {out} holds a training with other settings; remove it or choose another folder")
        tensors = load_file(found[-1] / "state.safetensors")
        for name, parameter in self.master.items():
            parameter.data.copy_(tensors[f"weight.{name}"])
            self.optimizer.state[parameter] = {
                key: tensors[f"{key}.{name}"].clone() for key in ("step", "exp_avg", "exp_avg_sq")
            }
        self._publish()
        return int(state["step"]), list(state["history"]), float(state["seconds"])

    def export(self, out: Path) -> None:
        """Write the finished adapter in the PEFT format, in bfloat16."""
        from peft.utils import get_peft_model_state_dict
        from safetensors.torch import save_file

        # "auto" would ask a hub for the base model's vocabulary; the embeddings are never trained here.
        state = get_peft_model_state_dict(self.lm.model, save_embedding_layers=False)
        tensors = {name: tensor.detach().bfloat16().contiguous() for name, tensor in state.items()}
        partial = out / ".adapter.partial"
        save_file(tensors, partial, metadata={"format": "pt"})
        told = self.lm.model.peft_config["default"]
        # Only what the adapter needs, so that older releases of PEFT read it too.
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": BASE_NAME,
            "inference_mode": True,
            "r": told.r,
            "lora_alpha": told.lora_alpha,
            "lora_dropout": told.lora_dropout,
            "bias": told.bias,
            "target_modules": sorted(told.target_modules),
        }
        (out / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        partial.replace(out / "adapter_model.safetensors")


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turns what a disk can do into a sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise TargetError(
            f"train: {out} cannot be read or written ({said}); mend that and start again, and the training goes on "
            "from its last checkpoint"
        ) from None


def _checkpoints(out: Path) -> list[Path]:
    return sorted(p for p in out.glob("checkpoint-*") if (p / "state.json").is_file())
