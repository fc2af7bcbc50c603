"""The network of the P5-style reference: a stock T5 over template words and item tokens, and how it is stored.

Source: Geng et al., "Recommendation as Language Processing (RLP): A Unified Pretrain, Personalized Prompt & Predict
Paradigm (P5)", RecSys 2022, and its re-implementation OpenP5. Two departures make it learn without pre-training:
embeddings and output layer are untied and drawn with standard deviation 0.02, and the decoder reads the most recent
items as its prefix, as it did in training. A history that stands in the encoder alone is read as a set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audit.errors import TargetError
from audit.targets.zoo.p5_indexing import Indexing
from audit.targets.zoo.p5_vocabulary import Vocabulary

ARCHITECTURE = "P5-mini"
WEIGHTS, CONFIG = "model.safetensors", "config.json"

_TIED = ("t5.encoder.embed_tokens.weight", "t5.decoder.embed_tokens.weight")
"""Other names of `shared.weight` in a T5."""


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters; the defaults are recipe R1, that of the shipped `iid` weights.

    Attributes:
        dim: width of the network.
        heads: attention heads, of width 32 each.
        wide: width of the feed-forward layers.
        layers: of the encoder and of the decoder.
        gated: feed-forward layers with a GELU gate instead of ReLU.
        dropout: rate of it.
        far: history items in the encoder.
        near: most recent history items, in the decoder's prefix.
        targets: next items predicted per training sample.
        samples: training samples per epoch.
        batch: samples per step.
        epochs: training length.
        rate: highest learning rate.
        decay: weight decay.
        unknown: share of input items replaced by the unknown-item token in training.
        wishes: share of training samples whose instruction asks for a genre or rules one out, where items have genres.
        buckets: tokens shared by all words outside the training instructions.
        soft: vectors of continuous prompts, all tasks together.
        whole_words: most items of the encoder that have a whole-word embedding: a vector for the first, the second, …
            item, added to each token of that item, so that tokens of one item know that they belong together. 0 for
            none.
    """

    dim: int = 64
    heads: int = 2
    wide: int = 256
    layers: int = 2
    gated: bool = False
    dropout: float = 0.1
    far: int = 20
    near: int = 10
    targets: int = 20
    samples: int = 9600
    batch: int = 64
    epochs: int = 20
    rate: float = 2e-3
    decay: float = 0.01
    unknown: float = 0.01
    wishes: float = 0.0
    buckets: int = 512
    soft: int = 0
    whole_words: int = 0


class P5Net(nn.Module):
    """The stock T5 with its vocabulary.

    Args:
        vocabulary: of words and items.
        hyper: hyper-parameters.
    """

    def __init__(self, vocabulary: Vocabulary, hyper: Hyper) -> None:
        from transformers import T5Config, T5ForConditionalGeneration

        super().__init__()
        self.vocabulary = vocabulary
        self.hyper = hyper
        self.t5 = T5ForConditionalGeneration(
            T5Config(  # type: ignore[no-untyped-call]
                vocab_size=vocabulary.size,
                d_model=hyper.dim,
                d_kv=32,
                d_ff=hyper.wide,
                num_layers=hyper.layers,
                num_decoder_layers=hyper.layers,
                num_heads=hyper.heads,
                dropout_rate=hyper.dropout,
                feed_forward_proj="gated-gelu" if hyper.gated else "relu",
                tie_word_embeddings=False,
                pad_token_id=vocabulary.START,
                decoder_start_token_id=vocabulary.START,
                eos_token_id=vocabulary.END,
                use_cache=False,
            )
        )
        # T5's own start, with standard deviation 1, leaves a network of this size at the level of popularity.
        for table in (self.t5.shared, self.t5.lm_head):
            nn.init.normal_(table.weight, std=0.02)
        # Row 0 is for what is no item, and stays zero.
        self.whole_words = nn.Embedding(hyper.whole_words + 1, hyper.dim, padding_idx=0) if hyper.whole_words else None
        if self.whole_words is not None:
            nn.init.normal_(self.whole_words.weight[1:], std=0.02)

    def forward(self, inputs: Tensor, prefix: Tensor, shift: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Encoder tokens (batch, length), padded on the right, and decoder tokens (batch, n) to (batch, n, dim).

        `shift` is added to the embeddings of the two, for a training that perturbs them.
        """
        mask = (inputs != self.vocabulary.START).long()
        encoder, decoder = self.t5.shared(inputs), self.t5.shared(prefix)
        if self.whole_words is not None:
            encoder = encoder + self.whole_words(item_numbers(inputs, self.vocabulary, self.hyper.whole_words))
        if shift is not None:
            encoder, decoder = encoder + shift[0], decoder + shift[1]
        memory = self.t5.encoder(inputs_embeds=encoder, attention_mask=mask)[0]
        states: Tensor = self.t5.decoder(
            inputs_embeds=decoder, encoder_hidden_states=memory, encoder_attention_mask=mask, use_cache=False
        )[0]
        return states

    def logits(self, states: Tensor, level: int) -> Tensor:
        """States (…, dim) to a logit for each token of a level; the softmax is taken within the level."""
        start, end = self.vocabulary.blocks[level]
        found: Tensor = states @ self.t5.lm_head.weight[start:end].T
        return found

    @torch.no_grad()
    def set_unknown_words(self, seed: int) -> None:
        """Draw the untrained word buckets with the mean and standard deviation, by dimension, of the trained words.

        A word outside the training instructions then acts as a word of natural size but without meaning. A pre-trained
        P5 would know what it means.
        """
        first, count = self.vocabulary.first_bucket, self.vocabulary.buckets
        trained = self.t5.shared.weight[3:first]
        noise = torch.randn(count, self.hyper.dim, generator=torch.Generator().manual_seed(seed))
        self.t5.shared.weight[first : first + count] = trained.mean(0) + noise * trained.std(0)


def item_numbers(tokens: Tensor, vocabulary: Vocabulary, most: int) -> Tensor:
    """Which item of its row each token belongs to, counted from 1; 0 for a token of no item.

    Args:
        tokens: (batch, length) of an encoder.
        vocabulary: theirs.
        most: the highest number; all items after it share it.
    """
    of_item = (tokens == vocabulary.UNKNOWN) | (tokens >= vocabulary.blocks[0][0])
    numbers = (of_item.cumsum(-1) - 1) // vocabulary.indexing.depth + 1
    return (numbers * of_item).clamp(max=most)


def save(net: P5Net, items: Sequence[str], out: Path, architecture: str = ARCHITECTURE) -> None:
    """Write the weights (safetensors, float16), and everything else (JSON) into `out`."""
    state = {name: value.half() for name, value in net.state_dict().items() if name not in _TIED}
    save_file(state, out / WEIGHTS)
    config = {
        "architecture": architecture,
        "hyper": asdict(net.hyper),
        "words": list(net.vocabulary.words),
        "items": list(items),
        "indexing": net.vocabulary.indexing.to_dict(),
    }
    (out / CONFIG).write_text(json.dumps(config) + "\n", encoding="utf-8")


def load(folder: Path, what: str = "p5", architecture: str = ARCHITECTURE) -> tuple[P5Net, tuple[str, ...]]:
    """The network (float32) and its item ids in index order, as written by `save`.

    Args:
        folder: where it lies.
        what: name of the recommender, for error sentences.
        architecture: that `save` was given.

    Raises:
        TargetError: a file is missing, is of another architecture, or the files do not fit each other.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["architecture"] != architecture:
            raise TargetError(
                f"{what}: {folder} holds weights of {config['architecture']!r}, not of {architecture!r}; "
                "name another folder"
            )
        hyper, items = Hyper(**config["hyper"]), tuple(str(item) for item in config["items"])
        indexing = Indexing.from_dict(config["indexing"])
        if len(indexing.codes) != len(items):
            raise ValueError(f"{len(items)} items but {len(indexing.codes)} codes")
        net = P5Net(Vocabulary(indexing, hyper.buckets, config["words"], hyper.soft), hyper)
        state = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
        net.load_state_dict(state | dict.fromkeys(_TIED, state["t5.shared.weight"]))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TargetError(f"{what}: {folder} does not hold usable weights ({reason}); train them again") from None
    return net.eval(), items
