"""A tiny language model of random weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tiny models of the targets' own tests.
sys.path += [str(Path(__file__).parents[2] / "targets")]


@pytest.fixture(scope="session")
def llama():
    """A causal model, two layers, float32."""
    from tiny_lms import tiny_model, tiny_tokenizer

    from audit.targets.lm import CausalLM

    return CausalLM(tiny_model(), tiny_tokenizer(), identity="tiny")
