"""One thread, weights of a tiny P5, and a tiny language model under an adapter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from audit.data.dataset import Dataset
from audit.targets.zoo import p5_model

if TYPE_CHECKING:
    from audit.targets.lm import CausalLM

# The tiny models of the targets' own tests.
sys.path += [str(Path(__file__).parents[2] / "targets")]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def p5_folder(world: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an untrained P5 on the tiny world."""
    folder = tmp_path_factory.mktemp("p5")
    from tiny_targets import untrained

    p5_model.save(untrained(world), list(world.catalog), folder)
    return folder


@pytest.fixture
def adapted() -> Callable[[int], CausalLM]:
    """Makes the tiny model under a LoRA adapter; equal seeds give equal adapters."""
    from tiny_targets import with_adapter

    return with_adapter
