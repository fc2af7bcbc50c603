"""A tiny random language model for the tests, made in milliseconds."""

from __future__ import annotations

import pytest
from tiny_lms import tiny_model, tiny_tokenizer

from audit.targets.lm import CausalLM


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny matrices gain nothing from more threads, and lose much where other programs use the same cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny_lm() -> CausalLM:
    return CausalLM(tiny_model(), tiny_tokenizer())


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The tiny model as a safetensors folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
