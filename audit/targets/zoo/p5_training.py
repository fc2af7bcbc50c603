"""Training of the P5-style reference, resumable after each epoch; evaluation is in `p5_evaluation`.

One sample is a random cut of a user's training events: the encoder reads an instruction and the items before the cut,
the decoder predicts the next twenty by teacher forcing. Twenty targets a sample instead of P5's one are what makes
training from scratch cheap, and they train the decoder on every length of prefix.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audit.data.splits import leave_one_out
from audit.targets.zoo.p5_indexing import make
from audit.targets.zoo.p5_model import Hyper, P5Net, save
from audit.targets.zoo.p5_vocabulary import REFUSALS, SEEN, WISHES, Vocabulary, pieces, trained_words
from audit.targets.zoo.training import Progress, Training

if TYPE_CHECKING:
    from audit.data.dataset import Dataset, FloatArray, IntArray

Backward = Callable[..., float]
"""Adds the gradients of a batch's loss to the network's and returns that loss; from the network and what one batch
holds. It may draw from torch's generator, which is seeded for each epoch."""

Batches = Callable[[np.random.Generator], Iterable[tuple[Any, ...]]]
"""The batches of one epoch: encoder tokens, decoder tokens, the answers to them with negative numbers where nothing is
to be said, and whatever else `Backward` reads."""

_WARMUP, _FLOOR = 0.05, 0.02
_WANTED = 0.7
"""Share of the wishes that ask for a genre; the others rule one out."""

_SHARED = Hyper(dim=96, heads=3, wide=384, gated=True, batch=32, epochs=16)
"""Ids made of shared tokens alone need a gate and a wider network: their second token is a product of two contexts."""

RECIPES: Mapping[str, Hyper] = {
    "iid": Hyper(wishes=0.4),
    "hid": Hyper(epochs=12),
    "cid": _SHARED,
    "sid": _SHARED,
    "rid": _SHARED,
}
"""Hyper-parameters by indexing. Only those of `iid` make words mean something; `hid` stays the word-deaf twin."""


@dataclass(frozen=True, eq=False)
class Events:
    """Training events of one user: item indices, and times that tell which events may be exchanged."""

    items: IntArray
    times: FloatArray


def train(
    dataset: Dataset,
    *,
    out: Path,
    seed: int,
    indexing: str = "iid",
    epochs: int | None = None,
    wishes: float | None = None,
    hyper: Hyper | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train on all but the last two items of each user, and save weights, configuration and evaluation to `out`.

    See `train_with`, with the gradients of the plain loss.

    Args:
        dataset: what to learn.
        out: folder to write to; made if absent.
        seed: of the initial weights, the samples, the dropout and the clustering.
        indexing: how items are spelt; see `audit.targets.zoo.p5_indexing`.
        epochs: training length; None for the recipe's.
        wishes: share of samples that ask for a genre or rule one out; None for the recipe's.
        hyper: hyper-parameters; None means those of `RECIPES`.
        progress: called after each epoch.

    Returns:
        As `train_with`.

    Raises:
        ConfigError, TargetError, DataError: as `train_with`.
    """
    hyper = hyper or RECIPES.get(indexing, Hyper())
    hyper = replace(
        hyper,
        epochs=hyper.epochs if epochs is None else epochs,
        wishes=hyper.wishes if wishes is None else wishes,
    )
    return train_with(plain, dataset, out=out, seed=seed, indexing=indexing, hyper=hyper, progress=progress)


def train_with(
    backward: Backward,
    dataset: Dataset,
    *,
    out: Path,
    seed: int,
    indexing: str,
    hyper: Hyper,
    plan: Mapping[str, Any] | None = None,
    start: P5Net | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train by the gradients that `backward` computes.

    A checkpoint is written after each epoch; called again with the same arguments, training goes on from there and
    ends with the weights of a run that was never stopped. Nothing is selected on held-out items.

    Args:
        backward: see `Backward`; `plain` for ordinary training.
        dataset: what to learn.
        out: folder to write to; made if absent.
        seed: of the initial weights, the samples, the dropout and the clustering.
        indexing: how items are spelt; see `audit.targets.zoo.p5_indexing`.
        hyper: hyper-parameters.
        plan: settings of `backward` and `start`: a checkpoint of other settings is refused. None for none.
        start: a trained network to go on from, which is changed; its vocabulary and shape take the place of those that
            `indexing` and `hyper` give. None for fresh weights.
        progress: called after each epoch.

    Returns:
        The last epoch's `loss` and the figures of `p5_evaluation.summary`.

    Raises:
        ConfigError: no such indexing.
        TargetError: `out` holds the checkpoint of another training.
        DataError: no user has three events.
    """
    from audit.targets.zoo import p5_evaluation

    split = leave_one_out(dataset)
    users = users_of(dataset, split.train)
    settings = {"dataset": dataset.digest, "indexing": indexing, **asdict(hyper), **(plan or {})}
    run = Training("p5", out, seed, settings, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        genres = genres_of(dataset) if hyper.wishes else [frozenset()] * len(dataset.catalog)
        if start is None:
            codes = make(indexing, list(split.train.values()), len(dataset.catalog), np.random.default_rng([seed, 0]))
            words = trained_words(sorted({genre for kinds in genres for genre in kinds}))
            start = P5Net(Vocabulary(codes, hyper.buckets, words), hyper)
        net = start
        net.hyper = hyper
        loss = fit(run, net, lambda rng: samples(net, users, genres, rng), backward)
    save(net, list(dataset.catalog), out)
    report = p5_evaluation.evaluate(out, dataset, rng=np.random.default_rng([seed, 2]))
    (out / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    run.finished()
    return {"loss": loss} | p5_evaluation.summary(report)


def fit(run: Training, net: P5Net, batches: Batches, backward: Backward) -> float:
    """Train a P5 network for the epochs of its hyper-parameters, from the last checkpoint on.

    Args:
        run: where its checkpoint lies.
        net: freshly made, or to be trained further.
        batches: one epoch of them.
        backward: their gradients.

    Returns:
        The mean loss of the last epoch.

    Raises:
        TargetError: there is the checkpoint of another training.
    """
    hyper = net.hyper
    optimizer = torch.optim.AdamW(net.parameters(), lr=hyper.rate, betas=(0.9, 0.98), weight_decay=hyper.decay)

    def epoch(number: int) -> float:
        return _epoch(backward, net, optimizer, batches, number, np.random.default_rng([run.seed, 1, number]))

    loss = run.epochs(net, optimizer, hyper.epochs, epoch)
    net.set_unknown_words(run.seed)
    return loss


def users_of(dataset: Dataset, train: Mapping[str, IntArray]) -> list[Events]:
    """The training events of each user; `train` holds the items by user, oldest first."""
    times = dataset.interactions["time"].to_numpy(dtype=np.float64)
    users = []
    for user, items in train.items():
        when = times[dataset.rows(user)[: len(items)]]
        # Without times every order but the given one would be invented.
        users.append(Events(items, when if np.isfinite(when).all() else np.arange(len(items), dtype=np.float64)))
    return users


Genres = Sequence[frozenset[str]]
"""The genres of each item, in catalogue order; an empty set where none is known."""


def genres_of(dataset: Dataset) -> Genres:
    """As the catalogue of a dataset has them."""
    found = (item.attributes.get("genres", ()) for item in dataset.catalog.items_in_order)
    return [frozenset(kinds if isinstance(kinds, tuple) else [str(kinds)]) for kinds in found]


def samples(
    net: P5Net, users: Sequence[Events], genres: Genres, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The batches of one epoch.

    Events of one user with the same time stamp come in a random order: half of the neighbours in MovieLens tie.
    Cuts are drawn evenly over all events, the first of a user included, so that an empty history is trained too.

    Returns:
        Encoder tokens (batch, length) padded on the right with 0, decoder tokens (batch, targets * depth), and the
        code of each decoder step, -100 after the end of the sequence.
    """
    hyper, vocabulary = net.hyper, net.vocabulary
    cuts = cuts_of(users, hyper.samples, rng)
    wording = rng.integers(len(SEEN), size=hyper.samples)
    for start in range(0, hyper.samples, hyper.batch):
        lines, reads, told = [], [], []
        for number in range(start, min(start + hyper.batch, hyper.samples)):
            items, at = cuts[number]
            text, following, silent = SEEN[wording[number]], items[at : at + hyper.targets], 0
            if hyper.wishes and rng.random() < hyper.wishes:
                text, following, silent = _wish(text, items[at:], hyper, genres, rng)
            words = [vocabulary.word(word) for word, _ in pieces(text)]
            lines.append(encoder_line(net, words, items[max(0, at - hyper.far) : at], rng))
            read, codes = decoder_line(net, following, silent, rng)
            reads.append(read)
            told.append(codes)
        steps = hyper.targets * vocabulary.indexing.depth
        yield padded(lines, 0), padded(reads, 0, steps), padded(told, -100, steps)


def cuts_of(users: Sequence[Events], count: int, rng: np.random.Generator) -> list[tuple[IntArray, int]]:
    """Users' items, those of equal times in a random order that holds for all of them, each with a random cut."""
    shuffled = [user.items[np.lexsort((rng.random(len(user.items)), user.times))] for user in users]
    owner = np.repeat(np.arange(len(users)), [len(items) for items in shuffled])
    cut = np.concatenate([np.arange(len(items)) for items in shuffled])
    drawn = rng.integers(len(owner), size=count)
    return [(shuffled[owner[i]], int(cut[i])) for i in drawn]


def encoder_line(net: P5Net, words: Sequence[int], items: IntArray, rng: np.random.Generator) -> list[int]:
    """Encoder tokens: of the words, of the items, some of them unknown by chance, and the end."""
    return [*words, *_tokens(net, items, rng), net.vocabulary.END]


def decoder_line(net: P5Net, items: IntArray, silent: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Decoder tokens of a sequence of items, and the code that each step should say: -100 for the first `silent` items.

    What is not to be said is still read, as the history is when the target is asked.
    """
    indexing = net.vocabulary.indexing
    read = [net.vocabulary.START, *_tokens(net, items, rng)[:-1]]
    return read, [-100] * silent * indexing.depth + indexing.codes[items[silent:]].ravel().tolist()


def _tokens(net: P5Net, items: IntArray, rng: np.random.Generator) -> list[int]:
    unknown = len(net.vocabulary.indexing.codes)
    masked = np.where(rng.random(len(items)) < net.hyper.unknown, unknown, items)
    found: list[int] = net.vocabulary.item_tokens[masked].ravel().tolist()
    return found


def _wish(
    text: str, items: IntArray, hyper: Hyper, genres: Genres, rng: np.random.Generator
) -> tuple[str, IntArray, int]:
    """An instruction that asks for a genre or rules one out, and the items that follow.

    The first items are any, as the history is when the target is asked; those after them obey the wish, and they alone
    are learned. So it is the words, and not the kind of items before, that say what is wished for.

    Returns:
        The instruction, the items, and how many of them are not to be predicted. Where no genre is known, or none would
        be left, the plain ones.
    """
    silent = int(rng.integers(min(hyper.near, len(items) - 1) + 1))
    later = items[silent:]
    offered = sorted(genres[later[rng.integers(min(len(later), hyper.targets))]])
    if not offered:
        return text, items[: hyper.targets], 0
    genre = offered[rng.integers(len(offered))]
    wanted = bool(rng.random() < _WANTED)
    frames = WISHES if wanted else REFUSALS
    obeying = later[[(genre in genres[item]) == wanted for item in later.tolist()]]
    if not len(obeying):
        return text, items[: hyper.targets], 0
    asked = frames[rng.integers(len(frames))].format(text=text, genre=genre)
    return asked, np.concatenate([items[:silent], obeying])[: hyper.targets], silent


def padded(rows: Sequence[Sequence[int]], filler: int, length: int = 0) -> Tensor:
    """Rows of numbers as one tensor, filled up on the right to the longest row and to at least `length`."""
    length = max(length, *map(len, rows))
    return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows])


def loss_of(
    net: P5Net, inputs: Tensor, prefix: Tensor, answer: Tensor, shift: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Mean negative log-probability of an item in nats: the sum of the levels' cross-entropies.

    `shift` is added to the embeddings; see `P5Net.forward`.
    """
    states, depth = net(inputs, prefix, shift), net.vocabulary.indexing.depth
    losses = []
    for level in range(depth):
        codes = answer[:, level::depth]
        told = codes >= 0  # the softmax is the dearest part, and most steps of some batches say nothing
        losses.append(functional.cross_entropy(net.logits(states[:, level::depth][told], level), codes[told]))
    return torch.stack(losses).sum()


def plain(net: P5Net, inputs: Tensor, prefix: Tensor, answer: Tensor) -> float:
    """The `Backward` of ordinary training."""
    loss = loss_of(net, inputs, prefix, answer)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item()


def _epoch(
    backward: Backward,
    net: P5Net,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    epoch: int,
    rng: np.random.Generator,
) -> float:
    net.train()
    total, count = 0.0, 0
    drawn = list(batches(rng))
    steps = len(drawn)
    for number, batch in enumerate(drawn):
        for group in optimizer.param_groups:
            group["lr"] = net.hyper.rate * _schedule(epoch * steps + number, net.hyper.epochs * steps)
        optimizer.zero_grad()
        loss = backward(net, *batch)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        known = int((batch[2] >= 0).sum())
        total, count = total + loss * known, count + known
    return total / count


def _schedule(step: int, steps: int) -> float:
    """Share of the highest rate at a step: linear warm-up, then linear decay."""
    warm = max(1, round(_WARMUP * steps))
    if step < warm:
        return (step + 1) / warm
    return 1 - (1 - _FLOOR) * (step - warm) / max(steps - warm, 1)
