"""The encoder by plain transformers, against sentence-transformers' own figures, and folders that are no encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audit.data import assets
from audit.errors import ConfigError
from audit.knowledge import KnowledgeBase, SentenceEncoder
from audit.types import Catalog, Item

# sentence-transformers 5.1.2 on the same weights, `encode(..., normalize_embeddings=True)`; the fourth text is longer
# than the 256 tokens that are read.
TEXTS = [
    "movie about space travel",
    "film set on a spaceship",
    "a recipe for a chocolate cake",
    "Alien (1979). Genres: Horror and Sci-Fi. " * 40,
]
COSINES = [
    [1.0, 0.67058, 0.05376, 0.19686],
    [0.67058, 1.0, 0.06598, 0.25291],
    [0.05376, 0.06598, 1.0, -0.07738],
    [0.19686, 0.25291, -0.07738, 1.0],
]
FIRST_NUMBERS = [-0.05322646, -0.01760161, -0.04275367, 0.02980353]


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    return SentenceEncoder()


def test_minilm_gives_the_vectors_of_its_authors_library(minilm: SentenceEncoder) -> None:
    vectors = minilm.encode(TEXTS)
    np.testing.assert_allclose(vectors @ vectors.T, COSINES, atol=2e-5)
    np.testing.assert_allclose(vectors[0, :4], FIRST_NUMBERS, atol=1e-5)
    assert (vectors.shape, vectors.dtype, minilm.size, minilm.max_tokens) == ((4, 384), np.float32, 384, 256)


def test_a_vector_does_not_depend_on_its_batch(minilm: SentenceEncoder) -> None:
    one_by_one = np.concatenate([minilm.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(minilm.encode(TEXTS), one_by_one, atol=1e-5)


def test_minilm_is_a_verified_asset() -> None:
    assert assets.verify("minilm") == []


def test_meaning_is_found_by_the_default_encoder(minilm: SentenceEncoder) -> None:
    catalog = Catalog(
        [
            Item("1", "Alien", "The crew of a cargo starship is hunted by a creature."),
            Item("2", "Big Night", "Two brothers run a restaurant."),
            Item("3", "Heat", "A detective chases a gang of bank robbers."),
        ]
    )
    kb = KnowledgeBase.build(catalog, encoder=minilm)
    for query, found in [("monster in space", "1"), ("cooking Italian food", "2"), ("police and thieves", "3")]:
        assert kb.retrieve(query, k=1)[0].document.item_id == found


def test_word_pieces_are_counted_without_special_tokens(minilm: SentenceEncoder) -> None:
    assert minilm.pieces(["a film", "unbelievability", "", "half \ud83d"]) == [2, 5, 0, 2]
    assert minilm.pieces([]) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BERT of random weights and 16 numbers, with first-token pooling."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] film space cake horror".split()
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(tmp_path, safe_serialization=True)
    pool(tmp_path, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    return tmp_path


def pool(folder: Path, **modes: bool) -> None:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **modes}))


def test_any_folder_of_a_sentence_encoder_serves(folder: Path) -> None:
    encoder = SentenceEncoder(folder)
    texts = ["film space", "cake", "film " * 100]
    vectors = encoder.encode(texts)
    assert (encoder.size, encoder.max_tokens) == (16, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    first = encoder._model(**encoder._tokenizer(["cake"], return_tensors="pt")).last_hidden_state[0, 0]
    np.testing.assert_allclose(vectors[1], (first / first.norm()).detach().numpy(), atol=1e-5)
    kb = KnowledgeBase.build(Catalog([Item("1", "Film"), Item("2", "Cake")]), encoder=encoder)
    assert len(kb.retrieve("film")) == 2


def test_the_fingerprint_tells_how_the_vectors_are_made(folder: Path) -> None:
    first = SentenceEncoder(folder).fingerprint
    assert SentenceEncoder(folder, batch=2).fingerprint == first
    assert SentenceEncoder(folder, max_tokens=16).fingerprint != first
    pool(folder, pooling_mode_mean_tokens=True)
    assert SentenceEncoder(folder).fingerprint != first


def test_folders_that_are_no_encoder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.json; name a folder that holds an encoder as safetensors"):
        SentenceEncoder(tmp_path_factory.mktemp("empty"))
    pool(folder, pooling_mode_max_tokens=True)
    with pytest.raises(ConfigError, match="pools by pooling_mode_max_tokens; only mean and first-token"):
        SentenceEncoder(folder)
    pool(folder, pooling_mode_mean_tokens=True)
    (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(ConfigError, match="has a layer 'Dense' after its pooling"):
        SentenceEncoder(folder)
    (folder / "modules.json").write_text("{")
    with pytest.raises(ConfigError, match=r"modules\.json is not JSON"):
        SentenceEncoder(folder)
    (folder / "modules.json").unlink()
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ConfigError, match=r"the model in .* cannot be loaded"):
        SentenceEncoder(folder).encode(["film"])


@pytest.mark.parametrize("option", [{"batch": 0}, {"max_tokens": 2}])
def test_options_are_checked(option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))}: value must be at least"):
        SentenceEncoder("anywhere", **option)
