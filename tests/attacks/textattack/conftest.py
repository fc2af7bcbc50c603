from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_wordnet

from audit.data import wordnet


@pytest.fixture(scope="session")
def textattack() -> None:
    """TextAttack, imported once: it takes seconds."""
    from attacks.textattack.runtime import load

    load()


@pytest.fixture(scope="module")
def small_wordnet(textattack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of assets whose WordNet holds a handful of synonyms."""
    folder = tmp_path_factory.mktemp("wordnet")
    tiny_wordnet.write(folder / "installed")
    with pytest.MonkeyPatch.context() as patch:
        tiny_wordnet.count(patch)
        patch.setenv("RECAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(wordnet, "_candidates", lambda: iter([folder / "installed"]))
        from attacks.textattack.runtime import load_wordnet

        load_wordnet()
        yield


@pytest.fixture(scope="session")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights that knows a few words."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast, set_seed

    words = "please recommend a good movie for this user answer yes or no film song book never always rank list show"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *words.split(), "##ing"]
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    set_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, initializer_range=1.0,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    return folder
