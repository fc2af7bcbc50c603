"""Checkpoints of small trainings: weights and optimizer after each epoch, so that a killed training goes on."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audit.errors import TargetError


def write(file: Path, net: nn.Module, optimizer: torch.optim.Optimizer, label: str, epoch: int, loss: float) -> None:
    """Keep the state after an epoch; a kill leaves the last whole checkpoint.

    Args:
        file: where to.
        net: its weights.
        optimizer: its moments.
        label: what the training is; only a training of the same label goes on from it.
        epoch: epochs done.
        loss: mean loss of the last one, in nats.
    """
    # Cloned, because tied weights share their memory and safetensors writes no tensor twice.
    tensors = {f"net.{name}": value.clone() for name, value in net.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"moment.{number}.{name}": value for name, value in state.items()}
    partial = file.with_suffix(".partial")
    save_file(tensors, partial, metadata={"label": label, "epoch": str(epoch), "loss": repr(loss)})
    partial.replace(file)


def read(file: Path, net: nn.Module, optimizer: torch.optim.Optimizer, label: str, *, what: str) -> tuple[int, float]:
    """Load a checkpoint into the network and the optimizer.

    Args:
        file: where it may be.
        net: to be filled.
        optimizer: to be filled.
        label: what the training is.
        what: its name, for the error sentence.

    Returns:
        Epochs done and the loss of the last one; (0, NaN) where there is no checkpoint.

    Raises:
        TargetError: the checkpoint belongs to another training.
    """
    if not file.is_file():
        return 0, math.nan
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    if metadata["label"] != label:
        raise TargetError(f"train {what}: {file} belongs to another training; delete it or name another folder")
    tensors = load_file(file)
    net.load_state_dict({name[4:]: value for name, value in tensors.items() if name.startswith("net.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("moment."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["epoch"]), float(metadata["loss"])
